#!/bin/bash
# build.sh: builds what the embedded cluster runs, where it is not built yet; the last line on
# stdout is the directory that holds it. Progress goes to stderr. See build.py.
set -euo pipefail
exec python3 "$(dirname "${BASH_SOURCE[0]}")/build.py"
