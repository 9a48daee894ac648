#!/bin/bash
# up.sh NAME [INDEX]: boots a real one-node Kubernetes cluster; the kubeconfig's path is the last
# line on stdout. Without INDEX (1 to 49, it sets the address ranges) a free one is taken.
#
#   KT_MODE        full (default): with a node, DNS, storage and simulated NPUs; api: no node
#   KT_COMPONENTS  exactly these, in place of the mode's: apiserver controller-manager scheduler
#                  node devices storage
#   KT_DEVICES     "huawei.com/Ascend310P:4 huawei.com/Ascend310:1 nvidia.com/gpu:2": resource, count;
#                  2x4 for two chips that four pods share each
#   KT_DUAL_STACK=1  Services can have addresses of IPv6 too; nobody routes them
#   KT_OWNER       pid of a process that the cluster shall not outlive: the next up.sh ends it
#   KT_ROOT, KT_DATA, KT_TIMEOUT  see lib.sh
#   KT_KEEP=1      leave a cluster that failed to start as it is, to look at it
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
# shellcheck source=lib.sh
. "$here/lib.sh"
# shellcheck source=configs.sh
. "$here/configs.sh"

[ $# -ge 1 ] || die "usage: up.sh NAME [INDEX]"
check_name "$1"
name_paths "$1"
if [ -n "${2:-}" ] && ! { [[ $2 =~ ^[0-9]+$ ]] && [ "$2" -ge 1 ] && [ "$2" -le $last_index ]; }; then
  die "the index is \"$2\"; it must be 1 to $last_index"
fi
case ${KT_MODE:=full} in
  full) COMPONENTS="apiserver controller-manager scheduler node devices storage" ;;
  api) COMPONENTS="apiserver controller-manager scheduler" ;;
  *) die "KT_MODE is \"$KT_MODE\"; it must be full or api" ;;
esac
COMPONENTS=${KT_COMPONENTS:-$COMPONENTS}
DEVICES=${KT_DEVICES:-huawei.com/Ascend310P:4 huawei.com/Ascend310:1 nvidia.com/gpu:2}
wants() { [[ " $COMPONENTS " == *" $1 "* ]]; }

preflight() {
  [ "$(id -u)" = 0 ] || die "root is needed: the cluster makes namespaces, mounts and cgroups"
  local program
  for program in etcd containerd ctr runc iptables ip nsenter unshare openssl curl; do
    command -v $program >/dev/null || die "$program is missing; run: $here/install.sh"
  done
  unshare --mount --pid --net --uts --fork true 2>/dev/null ||
    die "this machine does not let root make namespaces (CAP_SYS_ADMIN is missing)"
  if wants node && ! grep -qw overlay /proc/filesystems && ! modprobe overlay 2>/dev/null; then
    die "the kernel has no overlay file system, which containers need"
  fi
}

clear_dead() { # a cluster of this name that still runs is an error, one that died is cleared
  [ -e "$STATE" ] || return 0
  if cluster_pid >/dev/null; then
    die "the cluster \"$NAME\" is running; first run: $here/down.sh $NAME"
  fi
  say "clearing what a cluster \"$NAME\" that is no longer running left behind ..."
  "$here/down.sh" "$NAME"
}

make_cgroups() {
  local hierarchy
  while read -r hierarchy; do
    if [ -e "$hierarchy/cgroup.subtree_control" ] && [ "$hierarchy" = /sys/fs/cgroup ]; then
      echo "+cpuset +cpu +io +memory +pids" > "$hierarchy/cgroup.subtree_control" 2>/dev/null || true
    fi
    [ "$(basename "$hierarchy")" = unified ] || mkdir -p "$hierarchy/kt-$NAME"
    if [ -e "$hierarchy/cpuset.cpus" ]; then # an empty cpuset on v1 admits no process
      cat "$hierarchy/cpuset.cpus" > "$hierarchy/kt-$NAME/cpuset.cpus"
      cat "$hierarchy/cpuset.mems" > "$hierarchy/kt-$NAME/cpuset.mems"
    fi
  done < <(cgroup_hierarchies)
}

write_env() {
  local variable SERVICE_RANGES=$SERVICE_NET
  [ -z "${KT_DUAL_STACK:-}" ] || SERVICE_RANGES+=,fd00:10:$INDEX::/112
  for variable in NAME STATE DATA NODE_IP SERVICE_RANGES BIN REPOSITORY COMPONENTS DEVICES; do
    printf '%s=%q\n' "$variable" "${!variable}"
  done > "$STATE/env"
}

start_sandbox() {
  setsid unshare --mount --pid --net --uts --fork --kill-child --propagation private \
    "$here/init.sh" "$STATE" >"$STATE/log/init.log" 2>&1 </dev/null &
  local outer=$!
  echo "$outer" > "$STATE/unshare.pid"
  local end=$((SECONDS + KT_TIMEOUT))
  until pgrep -P "$outer" > "$STATE/init.pid" && cluster_pid >/dev/null; do
    [ "$SECONDS" -lt "$end" ] || die "the sandbox did not start; log: $STATE/log/init.log"
    sleep 0.02
  done
  await "the sandbox's mounts" test -e "$STATE/mounted"
}

connect_sandbox() {
  # First of all the ranges are made unreachable with the lowest priority, so that no request for
  # a pod ever leaves by the default route, neither before the cluster is there nor after it.
  local range
  for range in "$POD_NET" "$SERVICE_NET" "$LINK_NET"; do
    ip route replace unreachable "$range" metric 4294967294
  done
  ip link add "$LINK" type veth peer name eth0 netns "$(cat "$STATE/init.pid")"
  ip address add "$HOST_IP/24" dev "$LINK"
  ip link set "$LINK" up
  inside ip address add "$NODE_IP/24" dev eth0
  inside ip link set eth0 up
  inside ip route add default via "$HOST_IP"
  ip route add "$POD_NET" via "$NODE_IP"
  ip route add "$SERVICE_NET" via "$NODE_IP"
  touch "$STATE/networked"
}

api() { # api PATH [CURL ARGUMENTS]: one request as the administrator
  local path=$1
  shift
  curl -sSf --noproxy '*' --max-time 5 --cacert "$STATE/pki/ca.crt" \
    --cert "$STATE/pki/admin.crt" --key "$STATE/pki/admin.key" "$@" "https://$NODE_IP:6443$path"
}
api_is_ready() { [ "$(api /readyz)" = ok ]; }
node_is_ready() { api "/api/v1/nodes/$NAME" | tr -d ' \n' | grep -q '"type":"Ready","status":"True"'; }
node_has_devices() {
  local device allocatable resource count
  allocatable=$(api "/api/v1/nodes/$NAME" | tr -d ' \n' | grep -o '"allocatable":{[^}]*}')
  for device in $DEVICES; do
    IFS=: read -r resource count _ <<< "$device"
    count=$((${count/x/*})) # 2x4: two chips, four shares each
    grep -qF "\"$resource\":\"$count\"" <<< "$allocatable" || return 1
  done
}
apply() { KUBECONFIG="$STATE/pki/admin.kubeconfig" NO_PROXY='*' "$BIN/kubectl" apply -f "$1"; }

on_exit() {
  local status=$?
  [ $status -ne 0 ] || return 0
  if [ -n "${KT_KEEP:-}" ]; then
    say "KT_KEEP is set: the cluster is left as it is; end it with: $here/down.sh $NAME"
    return $status
  fi
  for log in "$STATE"/log/*.log; do
    [ -e "$log" ] || continue
    say "---- the end of $(basename "$log")"
    tail -n 5 "$log" >&2
  done
  "$here/down.sh" "$NAME" || true
  return $status
}

preflight
end_orphans
clear_dead
BIN=$("$here/build.sh")
# shellcheck disable=SC2034 # written to the sandbox's environment
REPOSITORY=$(cd "$here/../.." && pwd)
export PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin

mkdir -p "$KT_ROOT"
mkdir "$STATE" 2>/dev/null || die "another up.sh is starting the cluster \"$NAME\""
trap on_exit EXIT
claim_index "${2:-}"
say "booting the cluster \"$NAME\" ..."
echo "$INDEX" > "$STATE/index"
mkdir -p "$STATE"/{log,etcd,containerd,cni} \
  "$DATA"/{kubelet,containerd,cni,pod-logs,container-logs,volumes}
chmod 711 "$STATE"
ln -s "$BIN" "$STATE/bin"
if [ -n "${KT_OWNER:-}" ]; then process_identity "$KT_OWNER" > "$STATE/owner"; fi
write_env
"$here/pki.sh" "$STATE/pki" "$NAME" "$NODE_IP" "$FIRST_SERVICE"
write_configs
make_cgroups
start_sandbox
connect_sandbox

await "the API server" api_is_ready
apply "$here/bootstrap.yaml" >/dev/null
if wants storage; then apply "$here/../storage/storageclass.yaml" >/dev/null; fi
if wants node; then
  await "containerd" inside ctr version
  "$here/load.sh" "$NAME" "$BIN/pause.tar"
  await "the node to be ready" node_is_ready
  await "the DNS server" curl -sf --noproxy '*' --max-time 1 "http://$NODE_IP:8181/ready"
fi
if wants devices; then await "the simulated NPUs" node_has_devices; fi
if wants controller-manager; then
  await "the default service account" api /api/v1/namespaces/default/serviceaccounts/default
fi
cp "$STATE/pki/admin.kubeconfig" "$STATE/kubeconfig"
echo "$STATE/kubeconfig"
