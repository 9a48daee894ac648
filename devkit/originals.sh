#!/bin/bash
# originals.sh DIR: the libraries that publishers build their ResNets with (timm, transformers,
# mmpretrain), on Debian's torch and torchvision; tests/originals compares with them. About 120 MB to
# download; nothing to do = 10 ms.
set -euo pipefail
dir=$1
here=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
lock=$here/requirements/originals.lock
want=$(sha256sum <"$lock" | cut -c1-16)
is_done() { [ "$(cat "$dir/.lock-digest" 2>/dev/null)" = "$want" ]; }
is_done && exit 0

"$here/devkit/torch.sh"
mkdir -p "$(dirname "$dir")"
exec 9>"$dir.flock"
flock 9 # a second caller waits here and then finds everything installed
is_done && exit 0
echo "installing timm, transformers and mmpretrain into $dir ..." >&2
rm -rf "$dir"
/usr/bin/python3 -m venv --system-site-packages "$dir"
"$dir/bin/python" -m pip --disable-pip-version-check install --quiet --no-deps --ignore-installed \
    --require-hashes -r "$lock"
echo "$want" >"$dir/.lock-digest"
