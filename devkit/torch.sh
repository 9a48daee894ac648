#!/bin/bash
# torch.sh: Debian's PyTorch and torchvision for the system's Python, which tests/unit/resnet_jobs/driver/test_export.py uses as the
# image `export` does. Does nothing when it is there; about 250 MB to download otherwise.
set -euo pipefail
# shellcheck source=apt.sh
. "$(dirname "${BASH_SOURCE[0]}")/apt.sh"

find_missing python3-torch python3-torchvision
install_missing
