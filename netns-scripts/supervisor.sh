#!/usr/bin/env bash
# Three masters with real units, brought up, harmed and looked at. See --help.
set -euo pipefail

usage() {
  cat <<'HELP'
Brings up three masters from one configuration file, each in a network namespace with a real dockerd,
a real etcd in a container and a real kubelet, and prints what each unit took. Then it does harm to
them while a client writes to etcd, and looks for every write that etcd acknowledged. Needs root and
Rust, on Debian 12; installs missing packages with apt-get. About three minutes, and as many to build.

  sudo netns-scripts/supervisor.sh [--keep] [--check]

  --keep     leave the masters up: lab.sh --lab units ..., see lab.sh --help
  --check    exit with 1 if the supervisor's own part between two units is longer than is wanted

kubelet takes part where it was built before, by netns-scripts/kubelet.sh, in about five minutes.

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
indented() { sed 's/^\(..*\)/  \1/'; }
lab() { "$HERE/lab.sh" "$@"; }

build() {
  [[ -z ${MAINSTAY_BIN:-} || -z ${LAB_BIN:-} ]] || return 0
  say "Building (a few minutes the first time)"
  (cd "$HERE/.." && cargo build --release --workspace)
  local target=${CARGO_TARGET_DIR:-$HERE/../target}
  export MAINSTAY_BIN=$target/release/mainstay LAB_BIN=$target/release/mainstay-lab
}

last_unit() { if [[ -x $KUBELET ]]; then echo kubelet; else echo etcd; fi; }
# A master's configuration is written each time, and is always the same.
start() { lab start "$1" --interval 100ms --units "$(last_unit)"; }

# --- what is there -----------------------------------------------------------------------

# within_seconds SECONDS COMMAND...: waits until the command succeeds.
within_seconds() {
  local end=$((SECONDS + $1)); shift
  until "$@"; do ((SECONDS < end)) || return 1; sleep 0.1; done
}

# unit NODE NAME: its line, such as `etcd ready for 3s (container)`.
unit() { lab mainstay "$1" unit list | grep -o "$2 .*"; }
is_ready() { [[ $(unit "$1" "$2") == *" ready for "* ]]; }
was_restarted() { [[ $(unit "$1" "$2") == *" ready for "*restarted* ]]; }
has_failed() { [[ $(unit "$1" "$2") == *" failed for "* ]]; }

# All units are ready, and the node is a good place for the VIP: a degraded one advertises less.
is_well() {
  local units
  units=$(lab mainstay "$1" unit list 2>/dev/null) && [[ -n $units ]] || return 1
  ! grep -qv ' ready for ' <<<"$units" || return 1
  [[ $(lab mainstay "$1" status -o json | tr -d ' \n') =~ \"priority\":([0-9]+),\"effective_priority\":([0-9]+) ]] \
    && [[ ${BASH_REMATCH[1]} == "${BASH_REMATCH[2]}" ]]
}
all_well() {
  local node
  for node in $(lab nodes); do
    within_seconds 120 is_well "$node" || { lab mainstay "$node" status; die "$node is not well"; }
  done
}

owned_by_one() { [[ $(lab owners | wc -l) == 1 ]]; }
owned_by_other() { owned_by_one && [[ $(lab owners) != "$1" ]]; }
moved_from() { within_seconds 20 owned_by_other "$1" || die "the VIP is still on $1"; }
show() { note "the VIP is on $(lab owners | paste -sd' '); the units of $1:"; lab mainstay "$1" unit list; }

# The container of etcd and its process.
etcd_of() { lab units docker "$1" inspect --format '{{.Id}} {{.State.Pid}}' mainstay-etcd; }
kill_etcd() { lab units docker "$1" kill mainstay-etcd >/dev/null; }

# --- the walk ----------------------------------------------------------------------------

bring_up() {
  say "Three masters, each with a dockerd, an etcd$([[ ! -x $KUBELET ]] || echo " and a kubelet") of its own"
  [[ -x $KUBELET ]] || note "without kubelet: there is none at $KUBELET; netns-scripts/kubelet.sh builds one, in five minutes"
  lab down
  lab up 3
  start all
  cmp "$RUN/m1/mainstay.toml" "$RUN/m2/mainstay.toml" && cmp "$RUN/m1/mainstay.toml" "$RUN/m3/mainstay.toml"
  note "one configuration file, the same on each: $RUN/m1/mainstay.toml"

  say "mainstay init on all three at the same time: what it took"
  "$LAB_BIN" bring-up "${check[@]}" | indented
  all_well
  show m1
  lab mainstay m1 etcd status | indented
}

walk() {
  local active before
  say "A client begins to write to etcd, over all members"
  setsid "$LAB_BIN" write "$RUN/written" >/dev/null &
  writing=$!
  within_seconds 20 test -s "$RUN/written/m3.log" || die "nothing is acknowledged"

  active=$(lab owners)
  say "etcd on $active, which has the VIP, is killed: another master takes the VIP, and etcd comes back"
  kill_etcd "$active"
  moved_from "$active"
  all_well
  show "$active"
  lab mainstay "$active" explain | indented

  active=$(lab owners)
  before=$(etcd_of "$active")
  say "dockerd on $active is killed: etcd's container outlives it, nothing moves"
  kill -KILL "$(cat "$RUN/$active/docker.pid")"
  within_seconds 60 was_restarted "$active" dockerd || die "dockerd does not come back"
  all_well
  show "$active"
  [[ $(etcd_of "$active") == "$before" && $(lab owners) == "$active" ]] || die "something moved or was restarted"

  say "mainstay on $active is killed and started again: nothing moves, nothing is restarted"
  lab kill "$active" --parent
  start "$active"
  all_well
  show "$active"
  [[ $(etcd_of "$active") == "$before" && $(lab owners) == "$active" ]] || die "something moved or was restarted"

  say "mainstay down on $active: the VIP first, then the units in reverse; and up"
  lab mainstay "$active" down
  note "the VIP is on $(lab owners | paste -sd' ')"
  lab mainstay "$active" up
  all_well

  active=$(lab owners)
  say "etcd's data on $active are lost: it is not started, and says what to do"
  rm -r "$RUN/$active/etcd/member"
  kill_etcd "$active"
  within_seconds 60 has_failed "$active" etcd || die "etcd was started on nothing"
  moved_from "$active"
  show "$active"
  lab mainstay "$active" etcd replace
  all_well
  lab mainstay "$active" etcd status | indented

  say "What etcd has of the writes that it acknowledged meanwhile"
  end_writing
  "$LAB_BIN" written "$RUN/written" | indented
}

writing=""
end_writing() {
  [[ -n $writing ]] || return 0
  kill -- "-$writing" 2>/dev/null || true
  wait "$writing" 2>/dev/null || true
  writing=""
}
clean_up() {
  end_writing
  [[ -n $keep ]] || lab down >/dev/null 2>&1 || true
}

prepare
build
at_exit clean_up
bring_up
walk
[[ -z $keep ]] || note "they stay up: lab.sh --lab $LAB mainstay m1 status; in the end lab.sh --lab $LAB down"
