#!/bin/bash
# build.sh: builds what the embedded cluster runs and prints the directory that holds it.
#
# Kubernetes, CoreDNS and helm come from Go modules, the pause image from pause.c, the Python of
# the device plugin from a requirements file. Each part has a directory in the cache named after
# the hash of its inputs, so a second call builds nothing and two checkouts do not disturb each
# other. Progress goes to stderr; the last line, on stdout, is the directory.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
cache=${XDG_CACHE_HOME:-$HOME/.cache}/resnet-operator/cluster

kubernetes=v1.36.4 # the same as in kall/go.mod
helm=v3.21.4
pause_image=localhost/resnet-devkit/pause:1
plugin_requirements=$here/../deviceplugin/requirements.txt

say() { echo "$*" >&2; }
key() { cat "$@" | sha256sum | cut -c1-16; }

# The kubelet, helm and every client read the version; without these flags it is "v0.0.0-master".
version=k8s.io/component-base/version
ldflags="-s -w -X $version.gitVersion=$kubernetes -X $version.gitMajor=1 -X $version.gitMinor=36"
ldflags+=" -X $version.gitCommit=module -X $version.gitTreeState=clean"
ldflags+=" -X $version.buildDate=2026-01-01T00:00:00Z"

# Without these, `helm template` takes itself for one of Kubernetes 1.20.
chartutil=helm.sh/helm/v3/pkg/chartutil
helm_ldflags="-s -w -X helm.sh/helm/v3/internal/version.version=$helm"
helm_ldflags+=" -X $chartutil.k8sVersionMajor=1 -X $chartutil.k8sVersionMinor=36"

kall_dir=$cache/kubernetes-$(key "$here"/kall/{go.mod,go.sum,main.go} <(echo "$ldflags"))
dns_dir=$cache/coredns-$(key "$here"/dns/{go.mod,go.sum,main.go})
helm_dir=$cache/helm-$(key <(echo "$helm $helm_ldflags"))
pause_dir=$cache/pause-$(key "$here"/pause/pause.c "$here"/pack_image.py <(echo "$pause_image"))
venv_dir=$cache/venv-$(key "$plugin_requirements" <(python3 -V))
bundle=$cache/bundle-$(key <(echo "$kall_dir $dns_dir $helm_dir $pause_dir $venv_dir"))

if [ -e "$bundle/complete" ] && [ -x "$bundle/kubectl" ] && [ -x "$bundle/python" ]; then
  echo "$bundle"
  exit 0
fi
mkdir -p "$cache"
exec 9>"$cache/.lock"
flock 9 # a second caller waits here and then finds everything built

# GOTOOLCHAIN=local: a build never fetches another Go behind the user's back.
export CGO_ENABLED=0 GOTOOLCHAIN=local GOFLAGS="-mod=readonly -trimpath -buildvcs=false"
need_go() {
  command -v go >/dev/null || { say "build.sh: Go 1.26 or later is needed to build $1"; exit 1; }
}

build_module() { # build_module NAME FOLDER TARGET LDFLAGS HOW_LONG: nothing when it is there
  if [ -x "$3" ]; then return; fi
  need_go "$1"
  say "building $1 from Go modules ($5, once) ..."
  mkdir -p "$(dirname "$3")"
  (cd "$2" && nice go build -ldflags "$4" -o "$3.new" .)
  mv "$3.new" "$3"
}

build_module "Kubernetes $kubernetes" "$here/kall" "$kall_dir/kall" "$ldflags" "about 8 minutes"
build_module CoreDNS "$here/dns" "$dns_dir/coredns" "-s -w" "about a minute"
if [ ! -x "$helm_dir/helm" ]; then
  need_go helm
  say "building helm $helm from Go modules (about two minutes, once) ..."
  (cd / && GOFLAGS="-trimpath" GOBIN="$helm_dir" nice go install -ldflags "$helm_ldflags" \
    "helm.sh/helm/v3/cmd/helm@$helm")
fi
if [ ! -e "$pause_dir/pause.tar" ]; then
  say "building the pause image ..."
  mkdir -p "$pause_dir"
  gcc -Os -static -s -o "$pause_dir/pause" "$here/pause/pause.c"
  python3 "$here/pack_image.py" "$pause_image" "$pause_dir/pause.tar.new" '["/pause"]' \
    "/pause=$pause_dir/pause"
  mv "$pause_dir/pause.tar.new" "$pause_dir/pause.tar"
fi
if [ ! -e "$venv_dir/complete" ]; then
  say "installing the device plugin's Python libraries ..."
  python3 -m venv --clear "$venv_dir"
  "$venv_dir/bin/pip" install --quiet --no-deps --require-hashes -r "$plugin_requirements" >&2
  touch "$venv_dir/complete"
fi

mkdir -p "$bundle"
for name in kube-apiserver kube-controller-manager kube-scheduler kubelet kube-proxy kubectl; do
  ln -sfn "$kall_dir/kall" "$bundle/$name"
done
ln -sfn "$dns_dir/coredns" "$bundle/coredns"
ln -sfn "$helm_dir/helm" "$bundle/helm"
ln -sfn "$pause_dir/pause.tar" "$bundle/pause.tar"
# A wrapper, not a link: Python finds its virtual environment by the path it was called by.
printf '#!/bin/sh\nexec %s/bin/python "$@"\n' "$venv_dir" > "$bundle/python"
chmod +x "$bundle/python"
touch "$bundle/complete"
ln -sfn "$bundle" "$cache/bin" # for people: kubectl and helm at a path that does not change
echo "$bundle"
