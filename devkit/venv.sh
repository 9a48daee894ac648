#!/bin/bash
# venv.sh DIR [LOCK]: a virtual environment with exactly what a lock file lists (requirements/dev.lock
# unless said otherwise); nothing to do = 10 ms.
set -euo pipefail
dir=$1
here=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
lock=${2:-$here/requirements/dev.lock}
want=$(sha256sum <"$lock" | cut -c1-16)
is_done() { [ "$(cat "$dir/.lock-digest" 2>/dev/null)" = "$want" ]; }
is_done && exit 0

python=$(command -v python3.11 || command -v python3)
if ! "$python" -c 'import ensurepip, venv' 2>/dev/null; then
    echo "installing python3-venv ..." >&2
    apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq python3-venv >/dev/null
fi
if ! "$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))'; then
    echo "Python 3.11 or newer is needed; $python is $("$python" -V)" >&2
    exit 1
fi
mkdir -p "$(dirname "$dir")"
exec 9>"$dir.flock"
flock 9 # a second caller waits here and then finds everything installed
is_done && exit 0
echo "installing Python packages into $dir ..." >&2
[ -x "$dir/bin/python" ] || "$python" -m venv "$dir"
pip() { "$dir/bin/python" -m pip --disable-pip-version-check "$@"; }
pip install --quiet --no-deps --require-hashes -r "$lock"
# What an older lock installed and this one does not name would hide that something needs it.
names() { sed -nE 's/^([A-Za-z0-9._-]+)==.*/\1/p' | tr 'A-Z_.' 'a-z--' | sort -u; }
mapfile -t stale < <(comm -23 <(pip list --format=freeze | names) \
    <({ cat "$lock"; printf '%s\n' pip==0 setuptools==0; } | names))
[ ${#stale[@]} = 0 ] || pip uninstall --quiet --yes "${stale[@]}"
echo "$want" >"$dir/.lock-digest"
