#!/usr/bin/env bash
# Installs what is missing, builds, walks through the failovers and measures them. See --help.
set -euo pipefail

usage() {
  cat <<'HELP'
Shows mainstay failing over in network namespaces, keepalived beside it. Needs root and Rust, on
Debian 12; touches nothing but its own namespaces, and installs missing packages with apt-get.

  sudo netns-scripts/demo.sh [--quick | --full] [--no-walk]

  --quick    one or two runs of everything: about 8 minutes
             (default: ten runs of what is fast, about 14 minutes)
  --full     ten runs of everything: about an hour
  --no-walk  only the table

Its last part has a program of its own, supervisor.sh: three masters with a real dockerd, etcd and,
where netns-scripts/kubelet.sh has built one, kubelet each.
HELP
}

plan=demo walk=yes
while (($#)); do
  case $1 in
    --quick) plan=quick ;;
    --full) plan=full ;;
    --no-walk) walk="" ;;
    -h | --help) usage; exit 0 ;;
    *) echo "demo.sh: unknown option '$1'; see demo.sh --help" >&2; exit 2 ;;
  esac
  shift
done

HERE=$(cd -- "$(dirname -- "${BASH_SOURCE[0]}")" && pwd)
readonly HERE
export LAB=demo
note() { printf '  %s\n' "$*"; }
lab() { "$HERE/lab.sh" "$@"; }

# shellcheck source-path=SCRIPTDIR source=lib/prepare.sh
source "$HERE/lib/prepare.sh"
# shellcheck source-path=SCRIPTDIR source=lib/measure.sh
source "$HERE/lib/measure.sh"

build() {
  say "Building (a few minutes the first time)"
  (cd "$HERE/.." && cargo build --release --workspace)
  local target=${CARGO_TARGET_DIR:-$HERE/../target}
  export MAINSTAY_BIN=$target/release/mainstay LAB_BIN=$target/release/mainstay-lab
}

# --- the walk ----------------------------------------------------------------------------

# within_seconds SECONDS COMMAND...: waits until the command succeeds.
within_seconds() {
  local end=$((SECONDS + $1)); shift
  until "$@"; do ((SECONDS < end)) || return 1; sleep 0.05; done
}
owned_by_one() { [[ $(lab owners | wc -l) == 1 ]]; }
owned_by_two() { [[ $(lab owners | wc -l) == 2 ]]; }
owned_by_other() { owned_by_one && [[ $(lab owners) != "$1" ]]; }

# A degraded router advertises less than its priority.
all_healthy() {
  local node
  for node in $(lab nodes); do
    [[ $(lab mainstay "$node" status -o json | tr -d ' \n') =~ \"priority\":([0-9]+),\"effective_priority\":([0-9]+) ]] \
      && [[ ${BASH_REMATCH[1]} == "${BASH_REMATCH[2]}" ]] || return 1
  done
}

show() { note "the VIP 10.51.0.100 is on: $(lab owners | paste -sd' ')"; }
whole() {
  lab heal >/dev/null
  within_seconds 20 owned_by_one || die "no single owner; see lab.sh --lab demo status"
}

# restart NODE: after it was killed.
restart() { lab start "$1" --daemon mainstay --interval 100ms; }

walk() {
  say "Three masters m1 m2 m3, a client and a bridge, each in its own network namespace"
  lab down
  lab up 3
  lab start all --daemon mainstay --interval 100ms
  within_seconds 20 owned_by_one || { lab status; die "mainstay did not take the VIP"; }
  show

  local active
  active=$(lab owners)
  say "The link of the Active, $active, is cut"
  lab cut "$active" >/dev/null
  within_seconds 20 owned_by_other "$active" || die "nobody took over"
  show
  note "the link heals: $active comes back as Backup, the VIP stays"
  whole
  show

  active=$(lab owners)
  say "The VRRP process on $active is killed: the guard removes the VIP at once and restarts it"
  lab kill "$active" --child
  within_seconds 20 owned_by_other "$active" || die "nobody took over"
  show

  active=$(lab owners)
  say "All of mainstay on $active is killed, its kernel lives on: the kernel's lease ends"
  lab kill "$active" --both
  within_seconds 20 owned_by_two || note "(the lease was gone first)"
  show
  within_seconds 20 owned_by_other "$active" || die "the lease did not end"
  show
  restart "$active"

  active=$(lab owners)
  say "The parent on $active is killed and started again: nothing moves"
  lab kill "$active" --parent
  restart "$active"
  whole
  show

  active=$(lab owners)
  say "The network is parted: $active and the client here, the others there"
  lab partition "$active,client" "$(lab nodes | grep -vx "$active" | paste -sd,)" >/dev/null
  within_seconds 20 owned_by_two || die "the other side has no Active"
  show
  note "and healed: one of them yields"
  whole
  show

  say "The VIP is deleted by hand on $(lab owners)"
  active=$(lab owners)
  lab exec "$active" ip address delete 10.51.0.100/32 dev eth0
  whole
  show

  lab clear
  say "Now mainstay follows the apiserver of its node: one runs on each"
  lab apiserver start all
  lab start all --daemon mainstay --interval 1s --check 1s
  within_seconds 20 owned_by_one || die "mainstay did not take the VIP"
  within_seconds 20 all_healthy || { lab mainstay m1 status; die "the checks do not pass"; }
  show
  active=$(lab owners)
  say "The apiserver of the Active, $active, is killed"
  lab apiserver kill "$active"
  within_seconds 20 owned_by_other "$active" || die "nobody took over"
  show
  lab mainstay "$active" explain
  lab apiserver start "$active"
  within_seconds 30 all_healthy || die "$active does not become healthy"
  active=$(lab owners)
  say "The Active, $active, is drained"
  lab mainstay "$active" vip drain
  show
  lab mainstay "$active" explain
  lab mainstay "$active" vip undrain

  "$MAINSTAY_BIN" status --runtime-dir "${LAB_RUN_DIR:-/run/mainstay-lab}/demo/$active/run" || true
  lab down
}

clean_up() {
  lab down >/dev/null 2>&1 || true
  end_measure
}

prepare
build
at_exit clean_up
[[ -z $walk ]] || walk
say "Measuring mainstay and $(keepalived --version 2>&1 | sed -n '1s/ (.*//p') in turn: median [least .. greatest]"
measure --plan "$plan" --only failover,health,handover,jitter
[[ -z $walk ]] || "$HERE/supervisor.sh"
