#!/bin/bash
# shellcheck disable=SC2153 # NAME, STATE and so on come from the file that up.sh writes
# init.sh STATE: process 1 of a cluster's sandbox, which has mount, pid, net and uts namespaces of
# its own. up.sh starts it; when it ends, the kernel ends every process in the sandbox, and the
# mounts, interfaces and firewall rules go with them.
set -u
# shellcheck source=/dev/null
. "$1/env"

# Shared inside (the kubelet's mounts must reach containers), but nothing passes to the host.
mount --make-rprivate /
mount --make-rshared /
mount -t proc proc /proc
hostname "$NAME"
ip link set lo up

replace() { # replace DIRECTORY ON_THE_HOST: the sandbox's own in place of the host's
  mkdir -p "$2"
  mount --bind "$1" "$2"
}
replace "$DATA/kubelet" /var/lib/kubelet
mount --make-shared /var/lib/kubelet
replace "$DATA/containerd" /var/lib/containerd
replace "$DATA/cni" /var/lib/cni
replace "$DATA/pod-logs" /var/log/pods
replace "$DATA/container-logs" /var/log/containers
replace "$STATE/containerd" /run/containerd
replace "$STATE/cni" /etc/cni/net.d
mount -t tmpfs tmpfs "$STATE/etcd"

touch "$STATE/mounted"
while [ ! -e "$STATE/networked" ]; do sleep 0.02; done # up.sh moves the network interface in
sysctl -qw net.ipv4.ip_forward=1
sysctl -qw net.bridge.bridge-nf-call-iptables=1 2>/dev/null || true

run() { # run NAME COMMAND...: in the background, with a log, and again when it ends
  local name=$1
  shift
  (
    while :; do
      "$@"
      echo "== $name ended with $?"
      sleep 0.5
    done
  ) >> "$STATE/log/$name.log" 2>&1 &
}
wants() { [[ " $COMPONENTS " == *" $1 "* ]]; }

# The controller-manager ends when RBAC's first roles are not yet written, so it and the others
# start when the API server says that it is ready.
when_ready() {
  until [ "$(curl -sk --noproxy '*' --max-time 1 https://127.0.0.1:6443/readyz)" = ok ]; do
    sleep 0.05
  done
  exec "$@"
}
# A kubelet that starts before containerd answers gives up for good.
when_containerd() {
  until ctr version >/dev/null 2>&1; do sleep 0.05; done
  when_ready "$@"
}
ready() { (when_ready "$@"); }
node_ready() { (when_containerd "$@"); }

pki=$STATE/pki
client() { # client NAME: flags of a control-plane component that talks to the API server
  local file=$pki/$1.kubeconfig
  echo "--kubeconfig=$file --authentication-kubeconfig=$file --authorization-kubeconfig=$file" \
    "--leader-elect=false --bind-address=127.0.0.1 --profiling=false" \
    "--kube-api-qps=500 --kube-api-burst=1000" # the default, 20, delays the first account by 5 s
}

# The collector of Go's memory takes a quarter of what the API server computes when it runs as often
# as it does by default; here memory is what there is enough of.
export GOGC=400 GOMEMLIMIT=1GiB

peer=http://127.0.0.1:2380 etcd=http://127.0.0.1:2379 # reachable in the sandbox only
run etcd etcd --name devkit --data-dir "$STATE/etcd/data" --unsafe-no-fsync \
  --listen-client-urls $etcd --advertise-client-urls $etcd \
  --listen-peer-urls $peer --initial-advertise-peer-urls $peer --initial-cluster devkit=$peer \
  --quota-backend-bytes=4294967296 --log-level=warn

run apiserver "$BIN/kube-apiserver" --etcd-servers=$etcd \
  --advertise-address="$NODE_IP" --secure-port=6443 --profiling=false \
  --tls-cert-file="$pki/apiserver.crt" --tls-private-key-file="$pki/apiserver.key" \
  --client-ca-file="$pki/ca.crt" --authorization-mode=Node,RBAC \
  --enable-admission-plugins=NodeRestriction --allow-privileged=true \
  --service-cluster-ip-range="$SERVICE_RANGES" \
  --service-account-issuer=https://kubernetes.default.svc.cluster.local \
  --service-account-key-file="$pki/sa.pub" --service-account-signing-key-file="$pki/sa.key" \
  --kubelet-client-certificate="$pki/apiserver-kubelet-client.crt" \
  --kubelet-client-key="$pki/apiserver-kubelet-client.key" \
  --kubelet-certificate-authority="$pki/ca.crt" \
  --kubelet-preferred-address-types=InternalIP \
  --requestheader-client-ca-file="$pki/ca.crt" \
  --requestheader-allowed-names=front-proxy-client \
  --requestheader-extra-headers-prefix=X-Remote-Extra- \
  --requestheader-group-headers=X-Remote-Group \
  --requestheader-username-headers=X-Remote-User \
  --proxy-client-cert-file="$pki/front-proxy-client.crt" \
  --proxy-client-key-file="$pki/front-proxy-client.key"

# shellcheck disable=SC2046
if wants controller-manager; then
  run controller-manager ready "$BIN/kube-controller-manager" $(client controller-manager) \
    --use-service-account-credentials=true --root-ca-file="$pki/ca.crt" \
    --service-account-private-key-file="$pki/sa.key" \
    --cluster-signing-cert-file="$pki/ca.crt" --cluster-signing-key-file="$pki/ca.key" \
    --allocate-node-cidrs=false --service-cluster-ip-range="$SERVICE_RANGES"
fi
# shellcheck disable=SC2046
if wants scheduler; then
  run scheduler ready "$BIN/kube-scheduler" $(client scheduler)
fi
if wants node; then
  run containerd containerd --config "$STATE/containerd.toml"
  run kubelet node_ready "$BIN/kubelet" --config="$STATE/kubelet.yaml" --v=2 \
    --kubeconfig="$pki/kubelet.kubeconfig" --hostname-override="$NAME" --node-ip="$NODE_IP"
  run proxy ready "$BIN/kube-proxy" --config="$STATE/proxy.yaml"
  run dns ready "$BIN/coredns" -conf "$STATE/Corefile"
fi
export PYTHONPATH=$REPOSITORY PYTHONDONTWRITEBYTECODE=1
if wants devices; then
  # shellcheck disable=SC2086
  run deviceplugin "$BIN/python" -u -m devkit.deviceplugin.deviceplugin \
    --unhealthy-file "$STATE/unhealthy-chips" --shared-memory "$STATE/npu-memory" $DEVICES
fi
if wants storage; then
  run storage ready python3 -u -m devkit.storage.provisioner \
    --server https://127.0.0.1:6443 --pki "$pki" --node "$NAME" --directory "$DATA/volumes"
fi

# Orphans of containers come to this process; the shell reaps them while it waits.
trap 'exit 0' TERM INT
while :; do
  sleep 3600 &
  wait $!
done
