# shellcheck shell=bash
# Installs the Debian packages that a part of the devkit needs. Sourced by the scripts
# that list them: install.sh of cluster, images and servers, and torch.sh.

find_missing() { # find_missing NAME...: sets `missing`; ends the script when there is nothing to do
  local package status
  missing=()
  for package in "$@"; do
    status=$(dpkg-query -W -f '${db:Status-Status}' "$package" 2>/dev/null || true)
    [ "$status" = installed ] || missing+=("$package")
  done
  [ ${#missing[@]} -gt 0 ] || exit 0
  [ "$(id -u)" = 0 ] || { echo "install.sh: root is needed to install: ${missing[*]}" >&2; exit 1; }
}

install_without_services() { # for packages that would start a service: only their programs are used
  # policy-rc.d is Debian's own switch for "install, but start nothing". A policy that is already
  # there is the machine's owner's and is left alone.
  local policy=/usr/sbin/policy-rc.d
  if [ ! -e "$policy" ]; then
    printf '#!/bin/sh\nexit 101\n' > "$policy"
    chmod +x "$policy"
    # shellcheck disable=SC2064 # the path as it is now
    trap "rm -f $policy" EXIT
  fi
  install_missing
}

install_missing() { # the package lists are fetched only if it does not go without
  echo "installing Debian packages: ${missing[*]}" >&2
  local wait=(-o DPkg::Lock::Timeout=600) # another program may be installing
  local install=(apt-get -y -qq "${wait[@]}" --no-install-recommends install "${missing[@]}")
  export DEBIAN_FRONTEND=noninteractive
  "${install[@]}" >&2 || {
    apt-get -qq "${wait[@]}" update >&2
    "${install[@]}" >&2
  }
}
