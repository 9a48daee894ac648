#!/bin/bash
# libraries.sh DIR: the libraries of kubectl-resnet, exactly those of its lock file.
set -euo pipefail
python=${PYTHON:-python3}
target=$(realpath -m "$1")
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
"$python" -m pip install --no-deps --require-hashes --quiet --no-compile --disable-pip-version-check --target "$target" -r requirements/cli.lock
