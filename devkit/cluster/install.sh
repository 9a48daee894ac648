#!/bin/bash
# install.sh: the Debian packages that the embedded cluster needs. Does nothing when they are there.
#
# Some of these packages start a service of their own when they are installed (containerd, etcd).
# The cluster uses only their programs, inside its own namespaces, so the services are told not to
# start; one that was running before stays as it was.
set -euo pipefail
# shellcheck source=../apt.sh
. "$(dirname "${BASH_SOURCE[0]}")/../apt.sh"

packages=(
  containerd runc containernetworking-plugins etcd-server iptables iproute2 conntrack
  gcc libc6-dev curl openssl procps util-linux python3-venv
)

find_missing "${packages[@]}"

# policy-rc.d is Debian's own switch for "install, but start nothing". A policy that is already
# there is the machine's owner's and is left alone.
policy=/usr/sbin/policy-rc.d
if [ ! -e "$policy" ]; then
  printf '#!/bin/sh\nexit 101\n' > "$policy"
  chmod +x "$policy"
  trap 'rm -f "$policy"' EXIT
fi

install_missing
