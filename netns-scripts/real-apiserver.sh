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
readonly HERE APISERVER=${MAINSTAY_LAB_CACHE:-/var/cache/mainstay-lab}/kube-apiserver

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
# shellcheck source-path=SCRIPTDIR source=lib/kubernetes.sh
source "$HERE/lib/kubernetes.sh"

prepare
(build_kubernetes kube-apiserver)
command -v etcd >/dev/null || apt-get install -qy --no-install-recommends etcd-server >/dev/null
[[ ${1:-measure} == measure ]] || exit 0
shift || true
say "Building (a few minutes the first time)"
(cd "$HERE/.." && cargo build --release --workspace)
target=${CARGO_TARGET_DIR:-$HERE/../target}
export MAINSTAY_BIN=$target/release/mainstay LAB_BIN=$target/release/mainstay-lab
export LAB_APISERVER_PROGRAM="$HERE/real-apiserver.sh"
at_exit end_measure
measure --scenario apiserver-killed --interval 1s --family 4 "$@"
