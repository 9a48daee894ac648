#!/bin/bash
# down.sh NAME: ends a cluster and everything it made; fails if anything is left.
#
# Left on purpose: the empty mount points (/var/lib/kubelet and so on), which other clusters share.
set -uo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
# shellcheck source=lib.sh
. "$here/lib.sh"

[ $# -ge 1 ] || die "usage: down.sh NAME"
check_name "$1"
name_paths "$1"
[ -e "$STATE" ] || [ -e "$DATA" ] || exit 0

end_sandbox() { # when its first process ends, the kernel ends the rest
  local pid outer
  outer=$(cat "$STATE/unshare.pid" 2>/dev/null) || return 0
  if pid=$(cluster_pid); then kill -KILL "$pid" 2>/dev/null; fi
  for _ in $(seq 400); do
    tr '\0' ' ' 2>/dev/null < "/proc/$outer/cmdline" | grep -qF "$STATE " || return 0
    sleep 0.05
  done
}

remove_network() {
  [ -s "$STATE/index" ] || return 0
  name_addresses "$(cat "$STATE/index")"
  for _ in $(seq 50); do # the kernel may still be busy with the namespace of its other end
    ip link delete "$LINK" 2>/dev/null
    ip link show "$LINK" >/dev/null 2>&1 || break
    sleep 0.1
  done
  for range in "$POD_NET" "$SERVICE_NET" "$LINK_NET"; do
    ip route delete unreachable "$range" metric 4294967294 2>/dev/null
  done
}

cgroups() { # the cluster's directory in each hierarchy that has one
  while read -r hierarchy; do
    if [ -d "$hierarchy/kt-$NAME" ]; then echo "$hierarchy/kt-$NAME"; fi
  done < <(cgroup_hierarchies)
}

remove_cgroups() { # a cgroup can go a moment after its last process went
  for _ in $(seq 50); do
    for directory in $(cgroups); do
      find "$directory" -depth -type d -exec rmdir {} + 2>/dev/null
    done
    [ -n "$(cgroups)" ] || return 0
    sleep 0.1
  done
}

leftovers() {
  cgroups
  grep -F -e " $STATE/" -e " $DATA/" /proc/self/mountinfo
  if [ -n "${LINK:-}" ]; then ip -brief link show "$LINK" 2>/dev/null; fi
}

free_index() { # under the lock: else it may be another cluster's between the look and the removal
  [ -n "${INDEX:-}" ] || return 0
  exec 8>"$claims/.lock"
  flock 8
  if [ "$(readlink "$claims/$INDEX")" = "$STATE" ]; then rm -f "$claims/$INDEX"; fi
  exec 8>&-
}

end_sandbox
remove_network
remove_cgroups
# Whoever takes the index makes a link of the same name, so ours is looked for first; and the index
# of a cluster without its directory is anybody's, so the directory goes last.
left=$(leftovers)
free_index
# Never across a mount: a volume that is still mounted is somebody's data.
rm -rf --one-file-system "$STATE" "$DATA"
left+=$(ls -d "$STATE" "$DATA" 2>/dev/null)
[ -z "$left" ] || die "could not remove everything of the cluster \"$NAME\":"$'\n'"$left"
