#!/bin/bash
# install.sh: the Debian packages that building the images needs. Does nothing when they are there.
set -euo pipefail
# shellcheck source=../apt.sh
. "$(dirname "${BASH_SOURCE[0]}")/../apt.sh"

packages=(buildah mmdebstrap debian-archive-keyring dpkg tar python3 python3-pip)

find_missing "${packages[@]}"
install_missing
