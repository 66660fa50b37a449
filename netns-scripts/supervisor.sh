#!/usr/bin/env bash
# Three masters with real units, brought up, harmed and looked at. See --help.
set -euo pipefail

usage() {
  cat <<'HELP'
Brings up three masters from one configuration file, each in a network namespace with a real dockerd,
a real etcd in a container and a real kubelet, and prints what each unit took. Then it does harm to
them while a client writes to etcd, and looks for every write that etcd acknowledged. Needs root and
Rust, on Debian 12; installs missing packages with apt-get.

  sudo netns-scripts/supervisor.sh [--keep] [--check]

  --keep     leave the masters up: lab.sh --lab units ..., see lab.sh --help
  --check    exit with 1 if the supervisor's own part between two units is longer than is wanted

kubelet takes part where it was built before: netns-scripts/kubelet.sh, about five minutes.

Environment
  MAINSTAY_BIN, LAB_BIN   programs that are built already
  MAINSTAY_KUBELET        the kubelet (default /var/cache/mainstay-lab/kubelet)
HELP
}

keep="" check=()
while (($#)); do
  case $1 in
    --keep) keep=yes ;;
    --check) check=(--check) ;;
    -h | --help) usage; exit 0 ;;
    *) echo "supervisor.sh: unknown option '$1'; see supervisor.sh --help" >&2; exit 2 ;;
  esac
  shift
done

HERE=$(cd -- "$(dirname -- "${BASH_SOURCE[0]}")" && pwd)
readonly HERE
export LAB=units
KUBELET=${MAINSTAY_KUBELET:-${MAINSTAY_LAB_CACHE:-/var/cache/mainstay-lab}/kubelet}
RUN=${LAB_RUN_DIR:-/run/mainstay-lab}/$LAB
readonly KUBELET RUN

# shellcheck source-path=SCRIPTDIR source=lib/prepare.sh
source "$HERE/lib/prepare.sh"
# shellcheck source-path=SCRIPTDIR source=lib/measure.sh
source "$HERE/lib/measure.sh"

note() { printf '  %s\n' "$*"; }
lab() { "$HERE/lab.sh" "$@"; }

build() {
  [[ -z ${MAINSTAY_BIN:-} || -z ${LAB_BIN:-} ]] || return 0
  say "Building (a few minutes the first time)"
  (cd "$HERE/.." && cargo build --release --workspace)
  local target=${CARGO_TARGET_DIR:-$HERE/../target}
  export MAINSTAY_BIN=$target/release/mainstay LAB_BIN=$target/release/mainstay-lab
}

# within_seconds SECONDS COMMAND...: waits until the command succeeds.
within_seconds() {
  local end=$((SECONDS + $1)); shift
  until "$@"; do ((SECONDS < end)) || return 1; sleep 0.1; done
}

# Everything is ready, and the node a good place for the VIP: status has nothing to complain of. What
# the machine refuses the daemon is no matter of the units.
is_well() {
  local text
  text=$(lab mainstay "$1" status 2>/dev/null) || [[ $? == 3 ]] || return 1
  [[ $text == *"etcd "*"ready for"* && $text != *degraded:* ]] \
    && ! grep -qE '^ .*(dockerd|images|etcd|kubelet) +(blocked|starting|running|backoff|stopp|failed|crash)' <<<"$text"
}
all_well() {
  local node
  for node in $(lab nodes); do
    within_seconds 120 is_well "$node" || { lab mainstay "$node" status; die "$node is not well"; }
  done
}
owned_by_other() { local owners; owners=$(lab owners); [[ -n $owners && $owners != *"$1"* ]]; }
show() {
  all_well
  note "the VIP is on $(lab owners | paste -sd' '); the units of $1:"
  lab mainstay "$1" status | sed -n '/^units/,/^$/p'
}
containers() { lab units docker "$1" inspect --format '{{.Id}} {{.State.Pid}}' mainstay-etcd; }

last_unit() { if [[ -x $KUBELET ]]; then echo kubelet; else echo etcd; fi; }

bring_up() {
  say "Three masters, each with its own dockerd, etcd$([[ ! -x $KUBELET ]] || echo " and kubelet"), from one file"
  lab down
  lab up 3
  lab start all --interval 100ms --units "$(last_unit)"
  cmp "$RUN/m1/mainstay.toml" "$RUN/m2/mainstay.toml" && cmp "$RUN/m1/mainstay.toml" "$RUN/m3/mainstay.toml"
  sed -n '/^\[supervisor\]/,$p' "$RUN/m1/mainstay.toml" | sed 's/^./  &/'
  say "mainstay init, on all three at the same time"
  "$LAB_BIN" bring-up "${check[@]}"
  lab mainstay m1 etcd status
}

walk() {
  local active before
  say "A client begins to write to etcd, over all members"
  setsid "$LAB_BIN" write "$RUN/written" >/dev/null &
  writing=$!
  within_seconds 20 test -s "$RUN/written/m3.log" || die "nothing is acknowledged"

  active=$(lab owners)
  say "etcd on $active, which has the VIP, is killed"
  lab units docker "$active" kill mainstay-etcd >/dev/null
  within_seconds 20 owned_by_other "$active" || die "nobody took over"
  show "$active"
  lab mainstay "$active" explain

  active=$(lab owners)
  before=$(containers "$active")
  say "dockerd on $active is killed: containers outlive it"
  kill -KILL "$(cat "$RUN/$active/docker.pid")"
  within_seconds 20 was_restarted "$active" dockerd || die "dockerd does not come back"
  show "$active"
  [[ $(containers "$active") == "$before" ]] || die "etcd was restarted"

  say "mainstay on $active is killed and started again: nothing moves, nothing is restarted"
  lab kill "$active" --parent
  lab start "$active" --interval 100ms --units "$(last_unit)"
  show "$active"
  [[ $(containers "$active") == "$before" ]] || die "etcd was restarted"

  say "etcd's data on $active are lost: it is not started, and says what to do"
  rm -r "$RUN/$active/etcd/member"
  lab units docker "$active" kill mainstay-etcd >/dev/null
  within_seconds 60 has_failed "$active" || die "etcd was started on nothing"
  lab mainstay "$active" status | sed -n '/^units/,/^$/p'
  lab mainstay "$active" etcd replace
  show "$active"

  say "What the client wrote"
  kill -- "-$writing"
  wait "$writing" 2>/dev/null || true
  writing=""
  "$LAB_BIN" written "$RUN/written"
}
was_restarted() { [[ $(lab mainstay "$1" unit list) == *"$2 "*"restarted once"* ]]; }
has_failed() { [[ $(lab mainstay "$1" unit list) == *"etcd "*"failed for"* ]]; }

writing=""
clean_up() {
  [[ -z $writing ]] || kill -- "-$writing" 2>/dev/null || true
  [[ -n $keep ]] || lab down >/dev/null 2>&1 || true
}

prepare
build
at_exit clean_up
bring_up
walk
[[ -z $keep ]] || note "they stay up: lab.sh --lab $LAB mainstay m1 status; in the end lab.sh --lab $LAB down"
