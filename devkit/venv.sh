#!/bin/bash
# venv.sh DIR: a virtual environment with everything of requirements/dev.lock; nothing to do = 10 ms.
set -euo pipefail
dir=$1
here=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
lock=$here/requirements/dev.lock
want=$(sha256sum <"$lock" | cut -c1-16)
[ "$(cat "$dir/.lock-digest" 2>/dev/null)" = "$want" ] && exit 0

python=$(command -v python3.11 || command -v python3)
if ! "$python" -c 'import ensurepip, venv' 2>/dev/null; then
    echo "installing python3-venv ..." >&2
    apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq python3-venv >/dev/null
fi
if ! "$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))'; then
    echo "Python 3.11 or newer is needed; $python is $("$python" -V)" >&2
    exit 1
fi
echo "installing Python packages into $dir ..." >&2
mkdir -p "$(dirname "$dir")"
[ -x "$dir/bin/python" ] || "$python" -m venv "$dir"
"$dir/bin/python" -m pip install --quiet --disable-pip-version-check --no-deps --require-hashes -r "$lock"
echo "$want" >"$dir/.lock-digest"
