#!/usr/bin/env bash
# A real kube-apiserver on a real etcd instead of the lab's fake ones. See --help.
set -euo pipefail

usage() {
  cat <<'HELP'
Measures the death of a real kube-apiserver on a real etcd, one of each on every router of the lab.
Needs root, Rust and Debian 12; installs golang-go and etcd-server with apt-get, and builds
kube-apiserver from Debian's source package `kubernetes`, about ten minutes, once.

  sudo netns-scripts/real-apiserver.sh [measure [ARGUMENT...]]   as for `mainstay-lab measure`
  sudo netns-scripts/real-apiserver.sh build                     only that

Environment
  MAINSTAY_LAB_CACHE   where kube-apiserver is kept (default /var/cache/mainstay-lab)
HELP
}

HERE=$(cd -- "$(dirname -- "${BASH_SOURCE[0]}")" && pwd)
readonly HERE CACHE=${MAINSTAY_LAB_CACHE:-/var/cache/mainstay-lab}
APISERVER=$CACHE/kube-apiserver

# --- building ----------------------------------------------------------------------------

build() {
  [[ ! -x $APISERVER ]] || return 0
  export DEBIAN_FRONTEND=noninteractive
  say "Installing golang-go and etcd-server, fetching the source of kubernetes"
  mkdir -p "$CACHE/apt"
  apt-get update -q >/dev/null
  # A list of sources of its own, with those of the system's: that stays as it is.
  apt-get indextargets --format "deb-src \$(REPO_URI) \$(RELEASE) \$(COMPONENT)" "Identifier: Packages" \
    | sort -u >"$CACHE/apt/sources.list"
  local options=(-o "Dir::Etc::sourcelist=$CACHE/apt/sources.list" -o Dir::Etc::sourceparts=- -o APT::Get::List-Cleanup=0)
  apt-get update -q "${options[@]}" >/dev/null
  apt-get install -qy --no-install-recommends golang-go etcd-server dpkg-dev >/dev/null
  local gopath=$CACHE/go source=$CACHE/go/src/k8s.io/kubernetes
  if [[ ! -d $source ]]; then
    (cd "$CACHE" && rm -rf kubernetes-* && apt-get source -q "${options[@]}" kubernetes >/dev/null)
    mkdir -p "$(dirname -- "$source")"
    mv "$CACHE"/kubernetes-*/ "$source"
  fi
  say "Building kube-apiserver"
  cd "$source"
  export GOPATH=$gopath GO111MODULE=off CGO_ENABLED=0 GOFLAGS=-p=2 GOCACHE=$CACHE/go-build
  openapi
  go build -o "$APISERVER.new" ./cmd/kube-apiserver
  mv "$APISERVER.new" "$APISERVER"
}

# What Kubernetes' own build generates: the description of all types that are marked.
openapi() {
  local package=pkg/generated/openapi inputs
  [[ ! -s $package/zz_generated.openapi.go ]] || return 0
  go build -o "$CACHE/openapi-gen" ./vendor/k8s.io/kube-openapi/cmd/openapi-gen
  inputs=$({ grep -rlE --include='*.go' '^// \+k8s:openapi-gen=' pkg
    grep -rlE --include='*.go' '^// \+k8s:openapi-gen=' staging/src | sed 's|^staging/src/|vendor/|'; } \
    | xargs -n1 dirname | sort -u | sed 's|^vendor/||; t; s|^|k8s.io/kubernetes/|' | paste -sd,)
  "$CACHE/openapi-gen" -i "$inputs" -p "k8s.io/kubernetes/$package" -O zz_generated.openapi \
    -h hack/boilerplate/boilerplate.generatego.txt -r /dev/null >"$CACHE/openapi-gen.log" 2>&1 \
    || { tail "$CACHE/openapi-gen.log" >&2; return 1; }
}

# --- serving -----------------------------------------------------------------------------

# Called by mainstay-lab in the router's namespace: becomes the apiserver of the folder
# LAB_APISERVER, and says so when it is ready.
serve() {
  local folder=$LAB_APISERVER pki
  pki=$(dirname -- "$folder")/pki
  start_etcd "$folder"
  [[ -f $pki/sa.key ]] || openssl genrsa -out "$pki/sa.key" 2048 2>/dev/null
  (
    until curl -sf --cacert "$pki/ca.crt" -o /dev/null --max-time 1 https://127.0.0.1:6443/readyz; do sleep 0.1; done
    echo listening
  ) &
  exec "$APISERVER" --etcd-servers=http://127.0.0.1:2379 --secure-port=6443 --insecure-port=0 \
    --tls-cert-file="$pki/server.crt" --tls-private-key-file="$pki/server.key" --client-ca-file="$pki/ca.crt" \
    --authorization-mode=RBAC --anonymous-auth=true --service-cluster-ip-range=10.96.0.0/16 \
    --service-account-issuer=https://kubernetes --service-account-key-file="$pki/sa.key" \
    --service-account-signing-key-file="$pki/sa.key" 2>>"$folder/apiserver.log"
}

# It outlives the apiserver, and ends with the lab.
start_etcd() {
  ! curl -sf -o /dev/null --max-time 1 http://127.0.0.1:2379/health || return 0
  rm -rf "$1/etcd"
  setsid setpriv --pdeathsig clear etcd --name "${1##*/}" --data-dir "$1/etcd" \
    --listen-client-urls http://127.0.0.1:2379 --advertise-client-urls http://127.0.0.1:2379 \
    --listen-peer-urls http://127.0.0.1:2380 >>"$1/etcd.log" 2>&1 </dev/null &
}

case ${1:-measure} in
  -h | --help) usage; exit 0 ;;
  serve) serve; exit ;;
  build | measure) ;;
  *) usage >&2; exit 2 ;;
esac

# shellcheck source-path=SCRIPTDIR source=lib/prepare.sh
source "$HERE/lib/prepare.sh"
# shellcheck source-path=SCRIPTDIR source=lib/measure.sh
source "$HERE/lib/measure.sh"

prepare
(build)
[[ ${1:-measure} == measure ]] || exit 0
shift || true
say "Building (a few minutes the first time)"
(cd "$HERE/.." && cargo build --release --workspace)
target=${CARGO_TARGET_DIR:-$HERE/../target}
export MAINSTAY_BIN=$target/release/mainstay LAB_BIN=$target/release/mainstay-lab
export LAB_APISERVER_PROGRAM="$HERE/real-apiserver.sh"
at_exit end_measure
measure --scenario apiserver-killed --interval 1s --family 4 "$@"
