# shellcheck shell=bash
# The configuration files of one cluster's components. Sourced by up.sh, which sets the names.

write_configs() {
  write_containerd
  write_network
  write_kubelet
  write_proxy
  write_dns
}

write_containerd() {
  # restrict_oom_score_adj: where root lacks CAP_SYS_RESOURCE (a virtual machine for CI, say), a
  # negative score is refused and every pod fails with "can't get final child's PID from pipe".
  cat > "$STATE/containerd.toml" <<TOML
version = 2
root = "/var/lib/containerd"
state = "/run/containerd"
[grpc]
  address = "/run/containerd/containerd.sock"
[plugins."io.containerd.internal.v1.opt"]
  path = "/var/lib/containerd/opt"
[plugins."io.containerd.grpc.v1.cri"]
  sandbox_image = "localhost/resnet-devkit/pause:1"
  restrict_oom_score_adj = true
  [plugins."io.containerd.grpc.v1.cri".registry]
    config_path = "$STATE/certs.d"
  [plugins."io.containerd.grpc.v1.cri".cni]
    bin_dir = "/usr/lib/cni"
    conf_dir = "/etc/cni/net.d"
  [plugins."io.containerd.grpc.v1.cri".containerd]
    snapshotter = "overlayfs"
    default_runtime_name = "runc"
    [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc]
      runtime_type = "io.containerd.runc.v2"
      [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc.options]
        SystemdCgroup = false
TOML
}

write_network() {
  cat > "$STATE/cni/10-devkit.conflist" <<JSON
{"cniVersion": "0.4.0", "name": "devkit", "plugins": [
  {"type": "bridge", "bridge": "cni0", "isGateway": true, "ipMasq": true, "hairpinMode": true,
   "ipam": {"type": "host-local", "ranges": [[{"subnet": "$POD_RANGE"}]],
            "routes": [{"dst": "0.0.0.0/0"}]}},
  {"type": "portmap", "capabilities": {"portMappings": true}}]}
JSON
  : > "$STATE/resolv.conf" # pods learn no name server of the host's: nothing leaves the machine
}

write_kubelet() {
  # Image garbage collection is off: nothing could pull a collected image again, and
  # containerd 1.6 does not protect even the pause image.
  cat > "$STATE/kubelet.yaml" <<YAML
apiVersion: kubelet.config.k8s.io/v1beta1
kind: KubeletConfiguration
failCgroupV1: false
cgroupDriver: cgroupfs
cgroupRoot: /kt-$NAME
enforceNodeAllocatable: [pods]
containerRuntimeEndpoint: unix:///run/containerd/containerd.sock
failSwapOn: false
authentication:
  anonymous: {enabled: false}
  webhook: {enabled: true}
  x509: {clientCAFile: $STATE/pki/ca.crt}
authorization: {mode: Webhook}
tlsCertFile: $STATE/pki/kubelet-server.crt
tlsPrivateKeyFile: $STATE/pki/kubelet-server.key
clusterDomain: cluster.local
clusterDNS: [$NODE_IP]
resolvConf: $STATE/resolv.conf
imageGCHighThresholdPercent: 100
imageGCLowThresholdPercent: 99
evictionHard:
  memory.available: 100Mi
  nodefs.available: "1%"
  imagefs.available: "1%"
  nodefs.inodesFree: "1%"
maxPods: 250
serializeImagePulls: false
nodeStatusUpdateFrequency: 1s # a chip that turns unhealthy shows this soon
YAML
}

write_proxy() {
  # The zeros keep kube-proxy from writing sysctls that only the first network namespace has.
  cat > "$STATE/proxy.yaml" <<YAML
apiVersion: kubeproxy.config.k8s.io/v1alpha1
kind: KubeProxyConfiguration
mode: iptables
clientConnection: {kubeconfig: $STATE/pki/proxy.kubeconfig}
hostnameOverride: $NAME
clusterCIDR: $POD_NET
conntrack: {maxPerCore: 0, min: 0, tcpEstablishedTimeout: 0s, tcpCloseWaitTimeout: 0s}
YAML
}

write_dns() {
  # An unknown name is NXDOMAIN, as on a cluster with a network, and not "try again later".
  cat > "$STATE/Corefile" <<CORE
cluster.local:53 in-addr.arpa:53 {
  bind $NODE_IP
  errors
  ready $NODE_IP:8181
  kubernetes {
    kubeconfig $STATE/pki/admin.kubeconfig $NAME
    pods insecure
    ttl 1
  }
}
resnet-devkit.internal:53 {
  bind $NODE_IP
  hosts {
    $HOST_IP host.resnet-devkit.internal
  }
}
.:53 {
  bind $NODE_IP
  template ANY ANY {
    rcode NXDOMAIN
    authority ". 1 IN SOA ns.resnet-devkit.internal. none.resnet-devkit.internal. 1 1 1 1 1"
  }
}
CORE
}
