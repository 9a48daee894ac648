#!/bin/bash
# load.sh NAME TAR...: imports docker-archive files into the cluster's containerd. Pods then use
# the image by the name in the archive, with imagePullPolicy IfNotPresent or Never.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
# shellcheck source=lib.sh
. "$here/lib.sh"

[ $# -ge 2 ] || die "usage: load.sh NAME TAR..."
check_name "$1"
name_paths "$1"
shift
cluster_pid >/dev/null || die "no cluster \"$NAME\" is running under $KT_ROOT"
# As one archive, with the layers that they share once: faster than one import for each. By
# standard input, because the sandbox may see another file at the same path.
python3 "$here/../images/bundle.py" "$@" |
  inside ctr --namespace k8s.io images import - >/dev/null
