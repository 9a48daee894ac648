#!/bin/bash
# install.sh: the Debian packages that building the images needs. Does nothing when they are there.
set -euo pipefail

packages=(buildah mmdebstrap debian-archive-keyring dpkg tar python3 python3-pip)

missing=()
for package in "${packages[@]}"; do
  status=$(dpkg-query -W -f '${db:Status-Status}' "$package" 2>/dev/null || true)
  [ "$status" = installed ] || missing+=("$package")
done
[ ${#missing[@]} -gt 0 ] || exit 0

[ "$(id -u)" = 0 ] || { echo "install.sh: root is needed to install: ${missing[*]}" >&2; exit 1; }
echo "installing Debian packages: ${missing[*]}" >&2
export DEBIAN_FRONTEND=noninteractive
options=(-y -qq -o DPkg::Lock::Timeout=600 --no-install-recommends)
apt-get "${options[@]}" install "${missing[@]}" >&2 || {
  apt-get -qq -o DPkg::Lock::Timeout=600 update >&2
  apt-get "${options[@]}" install "${missing[@]}" >&2
}
