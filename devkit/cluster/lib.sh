# shellcheck shell=bash disable=SC2034,SC2154
# The names, addresses and directories of one cluster. Sourced by up.sh, down.sh and load.sh,
# which set `here`.

: "${KT_ROOT:=/run/resnet-devkit}"      # sockets, certificates, logs: small
: "${KT_DATA:=/var/lib/resnet-devkit}"  # images, pod directories, volumes: on a real disk
: "${KT_TIMEOUT:=60}"                   # seconds that each wait may take
claims=${KT_CLAIMS:-/run/resnet-devkit-index} # one link for each index in use, whatever KT_ROOT is
last_index=49

say() { echo "$*" >&2; }
die() { say "$(basename "$0"): $*"; exit 1; }

check_name() {
  [[ $1 =~ ^[a-z0-9]([a-z0-9-]{0,30}[a-z0-9])?$ ]] ||
    die "the name \"$1\" must be lower-case letters, digits and dashes, at most 32 of them"
}

name_paths() { # name_paths NAME
  NAME=$1
  STATE=$KT_ROOT/$NAME
  DATA=$KT_DATA/$NAME
}

name_addresses() { # name_addresses INDEX: every range is a function of the index
  INDEX=$1
  LINK=kt$INDEX
  LINK_NET=10.250.$INDEX.0/24
  HOST_IP=10.250.$INDEX.1
  NODE_IP=10.250.$INDEX.2
  POD_NET=10.$((INDEX + 100)).0.0/16
  POD_RANGE=10.$((INDEX + 100)).0.0/24
  SERVICE_NET=10.$((INDEX + 150)).0.0/16
  FIRST_SERVICE=10.$((INDEX + 150)).0.1
}

claim_index() { # claim_index WANTED|"": sets and claims an index; a claim is a link to the state
  local wanted=$1 candidate
  mkdir -p "$claims"
  exec 8>"$claims/.lock"
  flock 8
  for candidate in ${wanted:-$(seq 1 $last_index)}; do
    if [ -L "$claims/$candidate" ] && [ ! -e "$claims/$candidate" ]; then
      rm -f "$claims/$candidate" # its cluster's directory is gone
    fi
    if ip link show "kt$candidate" >/dev/null 2>&1; then continue; fi
    if ln -sT "$STATE" "$claims/$candidate" 2>/dev/null; then
      exec 8>&-
      name_addresses "$candidate"
      return
    fi
  done
  exec 8>&-
  if [ -n "$wanted" ]; then die "index $wanted is in use; see: ls -l $claims"; fi
  die "all $last_index indexes are in use; see: ls -l $claims"
}

cluster_pid() { # prints the pid of the sandbox's first process while it lives
  # The command line is compared because a pid may be another program's by now.
  local pid
  pid=$(cat "$STATE/init.pid" 2>/dev/null) || return 1
  tr '\0' ' ' 2>/dev/null < "/proc/$pid/cmdline" | grep -qF "init.sh $STATE " || return 1
  echo "$pid"
}

process_identity() { # process_identity PID: the pid and when it started, as a pid can come again
  local stat
  stat=$(cat "/proc/$1/stat" 2>/dev/null) || return 1
  stat=${stat##*) }
  echo "$1 $(cut -d ' ' -f 20 <<< "$stat")"
}

end_orphans() { # ends clusters whose owner died without ending them: each holds 1 GB of memory
  local file owner
  mkdir -p "$KT_ROOT"
  exec 7>"$KT_ROOT/.orphans.lock"
  flock 7 # two callers must not end the same one
  for file in "$KT_ROOT"/*/owner; do
    owner=$(cat "$file" 2>/dev/null) || continue
    [ -n "$owner" ] && [ "$(process_identity "${owner% *}")" != "$owner" ] || continue
    say "ending the cluster \"$(basename "$(dirname "$file")")\": its owner is gone"
    "$here/down.sh" "$(basename "$(dirname "$file")")" 7>&-
  done
  exec 7>&-
}

inside() { # inside COMMAND...: runs a command in the sandbox's mount, pid and net namespaces
  nsenter --target "$(cat "$STATE/init.pid")" --mount --pid --net -- "$@"
}

await() { # await WHAT COMMAND...: until the command succeeds, or dies after KT_TIMEOUT
  local what=$1 end=$((SECONDS + KT_TIMEOUT))
  shift
  until "$@" >/dev/null 2>&1; do
    [ "$SECONDS" -lt "$end" ] || die "waited $KT_TIMEOUT s in vain for $what; logs: $STATE/log"
    cluster_pid >/dev/null || die "the cluster ended while waiting for $what; logs: $STATE/log"
    sleep 0.05
  done
}

cgroup_hierarchies() { # every mounted hierarchy: about ten on cgroup v1, one on v2
  awk '$3 == "cgroup" || $3 == "cgroup2" {print $2}' /proc/self/mounts
}
