#!/usr/bin/env bash
# A lab of routers, a client and a bridge in network namespaces. See --help.
set -euo pipefail

usage() {
  cat <<'HELP'
A lab of routers, one client and one bridge, each in a network namespace of its own.
Nothing touches the host's network.

  lab.sh [--lab NAME] COMMAND [ARGUMENT...]

Lab
  up [N]                     make N routers m1..mN (default 3, at most 12) and the client
  down                       end the daemons, delete the namespaces; works after a crash too
  clear                      kill the daemons, delete VIPs they left, heal the links
  status                     daemons, links and owners
  nodes                      the routers
  owners                     the routers that hold the VIP now
  watch                      adverts and owners as they change; needs the built mainstay-lab
  exec NODE COMMAND...       run a command in the namespace of m1.., client or bridge

Daemons (NODE is m1.. or all)
  start NODE [--daemon mainstay|keepalived] [--interval 1s|100ms|10ms]
             [--preempt default|always|never] [--lease 3s|off] [--bin FILE]
  stop NODE                  orderly
  reload NODE                SIGHUP
  kill NODE [PART]           SIGKILL      PART: --parent | --child | --both (default)
  freeze NODE [PART]         SIGSTOP
  thaw NODE [PART]           SIGCONT
  pids NODE                  print: parent PID child PID (- where there is none)

Links
  cut NODE                   the bridge's port down: NODE loses its carrier
  cut NODE --drop            frames dropped both ways, the carrier stays
  oneway NODE in|out         drop what NODE would hear | what NODE sends
  partition A,B.. C,D..      groups that no longer hear each other; client is a member too
  heal [NODE]                undo cut, oneway and partition, for NODE or everywhere

Addresses: VIP 10.51.0.100, routers 10.51.0.11.., client 10.51.0.200; VRID 51, priorities
254, 244, 234, ... by default nobody takes the VIP from a healthy Active.

Environment
  LAB            name and prefix of the namespaces (default lab), like --lab
  LAB_RUN_DIR    where the labs keep their state (default /run/mainstay-lab)
  MAINSTAY_BIN   the mainstay to run (default: target/release, target/debug, PATH)

Examples
  lab.sh up && lab.sh start all --interval 100ms && lab.sh watch
  lab.sh cut m1; lab.sh owners; lab.sh heal
  lab.sh kill m1 --child
  lab.sh partition m1,client m2,m3
  lab.sh --lab other up 2; lab.sh --lab other start all --daemon keepalived
  lab.sh exec m1 ip address show dev eth0
  lab.sh down
HELP
}

die() { echo "lab.sh: $*" >&2; exit 1; }
bad_usage() { echo "lab.sh: $*; see lab.sh --help" >&2; exit 2; }

readonly VIP=10.51.0.100 VRID=51 CLIENT=10.51.0.200
LAB=${LAB:-lab}
HERE=$(cd -- "$(dirname -- "${BASH_SOURCE[0]}")" && pwd)
readonly HERE

namespace() { echo "$LAB-$1"; }
# Not `ip netns exec` or `ip -n`: they remount /sys, which hides the cgroup mounts, and fail in a
# chroot.
within() { local node=$1; shift; nsenter --net="/run/netns/$(namespace "$node")" "$@"; }
bridge_ip() { within bridge ip "$@"; }
nodes() { cat "$RUN/nodes"; }
need_up() { [[ -f $RUN/nodes ]] || die "no lab $LAB: run lab.sh --lab $LAB up"; }

# The event's name and its time, for those who measure.
done_at() { echo "$* at $EPOCHREALTIME"; }

need_node() {
  need_up
  grep -qx -- "${1:-}" "$RUN/nodes" || bad_usage "'${1:-}' is none of the routers: $(nodes | tr '\n' ' ')"
}
need_member() { [[ ${1:-} == client ]] || need_node "${1:-}"; }
each_node() { if [[ ${1:-} == all ]]; then need_up; nodes; else need_node "${1:-}"; echo "$1"; fi; }

# shellcheck source-path=SCRIPTDIR source=lib/process.sh
source "$HERE/lib/process.sh"
# shellcheck source-path=SCRIPTDIR source=lib/daemon.sh
source "$HERE/lib/daemon.sh"
# shellcheck source-path=SCRIPTDIR source=lib/link.sh
source "$HERE/lib/link.sh"

make_namespace() {
  ip netns add "$(namespace "$1")"
  # Addresses are usable at once, without duplicate address detection.
  within "$1" bash -c 'echo 0 >/proc/sys/net/ipv6/conf/default/accept_dad
                       echo 0 >/proc/sys/net/ipv6/conf/all/accept_dad'
  within "$1" ip link set lo up
}

make_member() { # NAME ADDRESS
  make_namespace "$1"
  bridge_ip link add "$1" type veth peer name eth0 netns "$(namespace "$1")"
  bridge_ip link set "$1" master br0 up
  within "$1" ip link set eth0 up
  within "$1" ip address add "$2/24" dev eth0
}

lab_up() {
  local count=${1:-3} i
  [[ $count =~ ^([1-9]|1[0-2])$ ]] || bad_usage "1 to 12 routers, not '$count'"
  [[ ! -e $RUN ]] || die "lab $LAB is up already: run lab.sh --lab $LAB down"
  mkdir -p "$RUN"
  trap lab_down EXIT
  make_namespace bridge
  within bridge bash -c 'echo 1 >/proc/sys/net/ipv6/conf/default/disable_ipv6'
  # Snooping would hold back multicast until a querier speaks.
  bridge_ip link add br0 type bridge mcast_snooping 0 stp_state 0 forward_delay 0
  bridge_ip link set br0 up
  within bridge nft -f - <<'NFT'
table bridge lab {
  set drops { typeof meta iifname . meta oifname; }
  chain forward { type filter hook forward priority 0; meta iifname . meta oifname @drops drop; }
}
NFT
  make_member client "$CLIENT"
  # Somewhere beyond the link: a host must choose a source for it by its default route.
  within client ip address add 10.52.0.1/32 dev lo
  for ((i = 1; i <= count; i++)); do
    echo "m$i" >>"$RUN/nodes"
    mkdir -p "$RUN/m$i/run" "$RUN/m$i/state"
    make_member "m$i" "$(address "m$i")"
    within "m$i" ip route add default via "$CLIENT"
  done
  trap - EXIT
}

kill_daemons() {
  local node
  for node in $(nodes); do
    send KILL "$node" --both || true
    wait_for 5 ended "$node" || echo "lab.sh: a daemon of $node does not end: $(pids_of "$node")" >&2
  done
}

lab_clear() {
  need_up
  kill_daemons
  local node
  for node in $(nodes); do
    ! holds "$node" || within "$node" ip address delete "$VIP/32" dev eth0
  done
  link_heal >/dev/null
}

lab_down() {
  trap - EXIT
  local name
  [[ ! -f $RUN/nodes ]] || kill_daemons
  # By name, so that also what a lost run directory no longer knows goes.
  ip netns list | while read -r name _; do
    [[ $name =~ ^"$LAB"-(bridge|client|m[0-9]+)$ ]] && ip netns delete "$name"
  done || true
  rm -rf "$RUN"
}

lab_status() {
  need_up
  local node parent child link
  printf '%-5s %-11s %-9s %-9s %-6s %s\n' NODE DAEMON PARENT CHILD LINK VIP
  for node in $(nodes); do
    read -r _ parent _ child < <(pids_of "$node")
    link=up
    [[ $(bridge_ip -o link show "$node") == *,UP* ]] || link="cut"
    printf '%-5s %-11s %-9s %-9s %-6s %s\n' "$node" "$(cat "$RUN/$node/daemon" 2>/dev/null || echo -)" \
      "$(process_state "$parent")" "$(process_state "$child")" "$link" "$(holds "$node" && echo holds || echo -)"
  done
  within bridge nft list set bridge lab drops | tr -s '\n\t' ' ' | sed -n 's/.*elements = {\([^}]*\)}.*/dropped:\1\n/p'
}

process_state() {
  [[ $1 != - ]] && grep -q '^State:.*T' "/proc/$1/status" 2>/dev/null && echo "$1 frozen" || echo "$1"
}

holds() { [[ -n $(within "$1" ip -o address show to "$VIP") ]]; }
lab_owners() { need_up; for node in $(nodes); do if holds "$node"; then echo "$node"; fi; done; }

lab_watch() {
  need_up
  local candidate
  for candidate in "${LAB_BIN:-}" "$HERE/../target/release/mainstay-lab" "$HERE/../target/debug/mainstay-lab"; do
    [[ -n $candidate && -x $candidate ]] && exec "$candidate" watch --lab "$LAB"
  done
  die "no mainstay-lab: cargo build --release --workspace, or set LAB_BIN"
}

lab_exec() {
  local node=${1:-}
  [[ $node == bridge ]] || need_member "$node"
  (($# > 1)) || bad_usage "exec needs a node and a command"
  shift
  exec nsenter --net="/run/netns/$(namespace "$node")" "$@"
}

while (($#)); do
  case $1 in
    --lab) [[ -n ${2:-} ]] || bad_usage "--lab needs a name"; LAB=$2; shift 2 ;;
    -h | --help | help) usage; exit 0 ;;
    -*) bad_usage "unknown option '$1'" ;;
    *) break ;;
  esac
done
[[ $# -gt 0 ]] || { usage >&2; exit 2; }
[[ $LAB =~ ^[a-z][a-z0-9-]{0,15}$ ]] || bad_usage "a lab's name is 1 to 16 of a-z, 0-9 and -, not '$LAB'"
readonly LAB RUN=${LAB_RUN_DIR:-/run/mainstay-lab}/$LAB
((EUID == 0)) || die "network namespaces need root: run it with sudo"

verb=$1
shift
case $verb in
  up) lab_up "$@" ;;
  down) lab_down ;;
  clear) lab_clear ;;
  status) lab_status ;;
  owners) lab_owners ;;
  watch) lab_watch ;;
  exec) lab_exec "$@" ;;
  start) daemon_start "$@" ;;
  stop) daemon_stop "$@" ;;
  reload) daemon_signal HUP "${1:-}" --parent ;;
  kill) daemon_signal KILL "$@" ;;
  freeze) daemon_signal STOP "$@" ;;
  thaw) daemon_signal CONT "$@" ;;
  nodes) need_up; nodes ;;
  pids) need_node "${1:-}"; pids_of "$1" ;;
  cut) link_cut "$@" ;;
  oneway) link_oneway "$@" ;;
  partition) link_partition "$@" ;;
  heal) link_heal "$@" ;;
  *) bad_usage "unknown command '$verb'" ;;
esac
