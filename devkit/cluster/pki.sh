#!/bin/bash
# pki.sh DIR NODE_NAME NODE_IP FIRST_SERVICE_IP: the cluster's certificates and kubeconfigs.
#
# One authority signs everything; it lives as long as the cluster does. The subjects are what
# Kubernetes' built-in RBAC and the Node authorizer look at. Each kubeconfig carries its
# certificates as data, so that a copy of the file works anywhere on this machine.
set -euo pipefail
dir=$1 node=$2 ip=$3 first_service=$4
umask 077
mkdir -p "$dir"
cd "$dir"

new_key() { openssl ecparam -name prime256v1 -genkey -noout -out "$1.key"; }

sign() { # sign FILE SUBJECT USAGE [NAMES]
  new_key "$1"
  {
    echo "basicConstraints=critical,CA:FALSE"
    echo "keyUsage=critical,digitalSignature,keyEncipherment"
    echo "extendedKeyUsage=$3"
    if [ -n "${4:-}" ]; then echo "subjectAltName=$4"; fi
  } > "$1.ext"
  openssl req -new -key "$1.key" -subj "$2" |
    openssl x509 -req -CA ca.crt -CAkey ca.key -set_serial "0x$(openssl rand -hex 8)" \
      -days 365 -extfile "$1.ext" -out "$1.crt" 2>/dev/null
  rm "$1.ext"
}

kubeconfig() { # kubeconfig FILE CERTIFICATE
  cat > "$1" <<YAML
apiVersion: v1
kind: Config
clusters:
- name: $node
  cluster:
    server: https://$ip:6443
    certificate-authority-data: $(base64 -w0 < ca.crt)
users:
- name: $2
  user:
    client-certificate-data: $(base64 -w0 < "$2.crt")
    client-key-data: $(base64 -w0 < "$2.key")
contexts:
- name: $node
  context: {cluster: $node, user: $2}
current-context: $node
YAML
}

new_key ca
openssl req -x509 -new -key ca.key -subj "/CN=resnet-devkit" -days 365 -out ca.crt \
  -addext "keyUsage=critical,keyCertSign,cRLSign,digitalSignature"
service=kubernetes.default
sign apiserver "/CN=kube-apiserver" serverAuth "DNS:kubernetes,DNS:$service,DNS:$service.svc,\
DNS:$service.svc.cluster.local,DNS:localhost,IP:127.0.0.1,IP:$first_service,IP:$ip"
sign apiserver-kubelet-client "/O=devkit:kubelet-clients/CN=kube-apiserver" clientAuth
sign front-proxy-client "/CN=front-proxy-client" clientAuth
sign kubelet-server "/CN=$node" serverAuth "DNS:$node,IP:$ip"

clients=(
  "admin /O=system:masters/CN=kubernetes-admin"
  "controller-manager /CN=system:kube-controller-manager"
  "scheduler /CN=system:kube-scheduler"
  "proxy /CN=system:kube-proxy"
  "kubelet /O=system:nodes/CN=system:node:$node"
)
for client in "${clients[@]}"; do
  read -r name subject <<< "$client"
  sign "$name" "$subject" clientAuth
  kubeconfig "$name.kubeconfig" "$name"
done

openssl genrsa -out sa.key 2048 2>/dev/null
openssl rsa -in sa.key -pubout -out sa.pub 2>/dev/null
