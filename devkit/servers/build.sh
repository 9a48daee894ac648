#!/bin/bash
# build.sh: builds the servers that the tests of sources talk to and prints the folder with them.
#
#   versitygw  an S3 server over a folder (github.com/versity/versitygw), with signatures checked
#   registry   the CNCF's container registry, with the parts named in registry/main.go
#   collector  an OpenTelemetry collector with the parts named in collector/main.go
#   keda       the CustomResourceDefinition of KEDA's ScaledObject, and nothing that runs
#
# All come from Go modules and are kept in the cache, named after the hash of what they are made
# of. Progress goes to stderr; the last line, on stdout, is the folder.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
cache=${XDG_CACHE_HOME:-$HOME/.cache}/resnet-operator/servers

versitygw=v1.8.0
keda=v2.20.2
scaled_objects=keda.sh_scaledobjects.yaml

say() { echo "$*" >&2; }
key() { cat "$@" | sha256sum | cut -c1-16; }

s3_dir=$cache/versitygw-$(key <(echo "$versitygw"))
registry_dir=$cache/registry-$(key "$here"/registry/{go.mod,go.sum,main.go})
collector_dir=$cache/collector-$(key "$here"/collector/{go.mod,go.sum,main.go})
keda_dir=$cache/keda-$(key <(echo "$keda"))
bundle=$cache/bundle-$(key <(echo "$s3_dir $registry_dir $collector_dir $keda_dir"))

if [ -x "$bundle/versitygw" ] && [ -x "$bundle/registry" ] && [ -x "$bundle/collector" ] \
  && [ -f "$bundle/$scaled_objects" ]; then
  echo "$bundle"
  exit 0
fi
mkdir -p "$cache"
exec 9>"$cache/.lock"
flock 9 # a second caller waits here and then finds everything built

command -v go >/dev/null || { say "build.sh: Go 1.26 or later is needed to build test servers"; exit 1; }
# GOTOOLCHAIN=local: a build never fetches another Go behind the user's back.
export CGO_ENABLED=0 GOTOOLCHAIN=local

# own NAME FOLDER WHAT: a program of a module of ours
own() {
  [ ! -x "$2/$1" ] || return 0
  say "building $3 from Go modules (a minute or two, once) ..."
  mkdir -p "$2"
  (cd "$here/$1" && GOFLAGS="-mod=readonly -trimpath -buildvcs=false" \
    nice go build -ldflags "-s -w" -o "$2/$1.new" .)
  mv "$2/$1.new" "$2/$1"
}

own registry "$registry_dir" "the container registry"
own collector "$collector_dir" "the OpenTelemetry collector"
if [ ! -x "$s3_dir/versitygw" ]; then
  say "building the S3 server versitygw $versitygw from Go modules (about two minutes, once) ..."
  (cd / && GOFLAGS="-trimpath" GOBIN="$s3_dir" nice go install -ldflags "-s -w" \
    "github.com/versity/versitygw/cmd/versitygw@$versitygw")
fi
if [ ! -f "$keda_dir/$scaled_objects" ]; then
  say "fetching the module of KEDA $keda, for its CustomResourceDefinition ..."
  mkdir -p "$keda_dir"
  said=$(cd / && go mod download -json "github.com/kedacore/keda/v2@$keda") || { say "$said"; exit 1; }
  dir=$(sed -n 's/^\t"Dir": "\(.*\)",$/\1/p' <<<"$said")
  cp "$dir/config/crd/bases/$scaled_objects" "$keda_dir/$scaled_objects.new"
  mv "$keda_dir/$scaled_objects.new" "$keda_dir/$scaled_objects"
fi

mkdir -p "$bundle"
ln -sfn "$s3_dir/versitygw" "$bundle/versitygw"
ln -sfn "$registry_dir/registry" "$bundle/registry"
ln -sfn "$collector_dir/collector" "$bundle/collector"
ln -sfn "$keda_dir/$scaled_objects" "$bundle/$scaled_objects"
echo "$bundle"
