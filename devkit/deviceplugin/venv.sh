#!/bin/bash
# venv.sh DIR: the device plugin's Python, with the libraries of requirements.txt.
set -euo pipefail
dir=$1
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
python3 -m venv "$dir"
"$dir/bin/pip" install --quiet --no-deps --require-hashes -r "$here/requirements.txt"
