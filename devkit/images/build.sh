#!/bin/bash
# build.sh: builds the images that are not built yet; the last lines on stdout are their tar files.
# `build.sh --help` lists the options. Progress goes to stderr.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
"$here/install.sh"
cd "$here/../.."
exec python3 -m devkit.images.build "$@"
