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
install_without_services
