#!/bin/bash
# build.sh: builds the servers that the tests of sources talk to and prints the folder with them.
#
#   versitygw  an S3 server over a folder (github.com/versity/versitygw), with signatures checked
#   registry   the CNCF's container registry, with the parts named in registry/main.go
#
# Both come from Go modules and are kept in the cache, named after the hash of what they are made
# of. Progress goes to stderr; the last line, on stdout, is the folder.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
cache=${XDG_CACHE_HOME:-$HOME/.cache}/resnet-operator/servers

versitygw=v1.8.0

say() { echo "$*" >&2; }
key() { cat "$@" | sha256sum | cut -c1-16; }

s3_dir=$cache/versitygw-$(key <(echo "$versitygw"))
registry_dir=$cache/registry-$(key "$here"/registry/{go.mod,go.sum,main.go})
bundle=$cache/bundle-$(key <(echo "$s3_dir $registry_dir"))

if [ -x "$bundle/versitygw" ] && [ -x "$bundle/registry" ]; then
  echo "$bundle"
  exit 0
fi
mkdir -p "$cache"
exec 9>"$cache/.lock"
flock 9 # a second caller waits here and then finds everything built

command -v go >/dev/null || { say "build.sh: Go 1.26 or later is needed to build test servers"; exit 1; }
# GOTOOLCHAIN=local: a build never fetches another Go behind the user's back.
export CGO_ENABLED=0 GOTOOLCHAIN=local

if [ ! -x "$registry_dir/registry" ]; then
  say "building the container registry from Go modules (about a minute, once) ..."
  mkdir -p "$registry_dir"
  (cd "$here/registry" && GOFLAGS="-mod=readonly -trimpath -buildvcs=false" \
    nice go build -ldflags "-s -w" -o "$registry_dir/registry.new" .)
  mv "$registry_dir/registry.new" "$registry_dir/registry"
fi
if [ ! -x "$s3_dir/versitygw" ]; then
  say "building the S3 server versitygw $versitygw from Go modules (about two minutes, once) ..."
  (cd / && GOFLAGS="-trimpath" GOBIN="$s3_dir" nice go install -ldflags "-s -w" \
    "github.com/versity/versitygw/cmd/versitygw@$versitygw")
fi

mkdir -p "$bundle"
ln -sfn "$s3_dir/versitygw" "$bundle/versitygw"
ln -sfn "$registry_dir/registry" "$bundle/registry"
echo "$bundle"
