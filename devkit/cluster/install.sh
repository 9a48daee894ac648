#!/bin/bash
# install.sh: the Debian packages that the embedded cluster needs. Does nothing when they are there.
#
# Some of these packages start a service of their own when they are installed (containerd, etcd).
# The cluster uses only their programs, inside its own namespaces, so the services are told not to
# start; one that was running before stays as it was.
set -euo pipefail

packages=(
  containerd runc containernetworking-plugins etcd-server iptables iproute2 conntrack
  gcc libc6-dev curl openssl procps util-linux python3-venv
)

missing=()
for package in "${packages[@]}"; do
  status=$(dpkg-query -W -f '${db:Status-Status}' "$package" 2>/dev/null || true)
  [ "$status" = installed ] || missing+=("$package")
done
[ ${#missing[@]} -gt 0 ] || exit 0

[ "$(id -u)" = 0 ] || { echo "install.sh: root is needed to install: ${missing[*]}" >&2; exit 1; }
echo "installing Debian packages: ${missing[*]}" >&2

# policy-rc.d is Debian's own switch for "install, but start nothing". A policy that is already
# there is the machine's owner's and is left alone.
policy=/usr/sbin/policy-rc.d
if [ ! -e "$policy" ]; then
  printf '#!/bin/sh\nexit 101\n' > "$policy"
  chmod +x "$policy"
  trap 'rm -f "$policy"' EXIT
fi

export DEBIAN_FRONTEND=noninteractive
options=(-y -qq -o DPkg::Lock::Timeout=600 --no-install-recommends)
apt-get "${options[@]}" install "${missing[@]}" >&2 || {
  apt-get -qq -o DPkg::Lock::Timeout=600 update >&2
  apt-get "${options[@]}" install "${missing[@]}" >&2
}
