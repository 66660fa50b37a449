#!/usr/bin/env bash
# A lab of routers, a client and a bridge in network namespaces. See --help.
set -euo pipefail

usage() {
  cat <<'HELP'
A lab of routers, one client and one bridge, each in a network namespace of its own.
Nothing touches the host's network.

  lab.sh [--lab NAME] COMMAND [ARGUMENT...]

Lab
  up [N] [--links K]         make N routers m1..mN (default 3, at most 12), the client and the
                             stranger; K links between the routers (default 1, at most 16)
  down                       end the daemons, delete the namespaces; works after a crash too
  clear                      kill the daemons, delete VIPs they left, heal the links
  status                     daemons, links and owners
  nodes                      the routers
  owners [4|6]               the routers that hold the VIP now, of either family or of this one
  watch                      adverts and owners as they change; needs the built mainstay-lab
  exec NODE COMMAND...       run a command in the namespace of m1.., client, stranger or bridge

Daemons (NODE is m1.. or all)
  start NODE [OPTION...]
    --daemon mainstay|keepalived|frr
    --interval 1s|100ms|10ms
    --preempt default|always|never
    --family 4|6|both        virtual routers of IPv4 (default), of IPv6, or of both
    --routers N              N virtual routers of each family on each link (default 1)
    --links K                on the first K links (default 1)
    --priority m1=P,m2=P..   instead of 254, 244, ..; 255 gets the VIPs as its own addresses
    --virtual-mac            FRR always has it
    --unicast
    --checksum auto|rfc9568|pseudo-header
    --lease 3s|off           mainstay only
    --check 1s|100ms|kubeadm follow the node's apiserver, asked so often; keepalived by a script, or
                             as kubeadm's documentation has it. Start the apiservers first
    --bin FILE               the mainstay to run
    --hangable               with a disk, a journal and names that mainstay-lab can make hang
    --units etcd|kubelet     with dockerd and etcd beneath the VIP, or kubelet too; then: mainstay m1 init
    --live-restore true|false  whether containers outlive that dockerd (default true)
  configure NODE OPTION...   other options for one that runs (mainstay, keepalived): it reloads
  stop NODE                  orderly
  reload NODE                SIGHUP
  kill NODE [PART]           SIGKILL      PART: --parent | --child | --both (default)
  freeze NODE [PART]         SIGSTOP
  thaw NODE [PART]           SIGCONT
  versions                   of mainstay and of the others that are installed
  pids NODE                  print: parent PID child PID (- where there is none)
  mainstay NODE ARGUMENT...  its command line there, such as: mainstay m1 explain

Units, of routers that were started with --units
  units docker NODE ARGUMENT...  docker's command line, such as: units docker m1 ps
  units power-off NODE       all that runs there is killed; the disk stays
  units lose NODE            the disk is lost too: what is started there next is a new machine

Apiservers, fake ones (NODE is m1.. or all)
  apiserver start NODE       HTTPS on port 6443; needs the built mainstay-lab
  apiserver kill NODE        SIGKILL
  apiserver freeze NODE      SIGSTOP; apiserver thaw NODE
  apiserver answer NODE A    from now on: ok, a status such as 500, slow:MILLISECONDS, silent, garbage,
                             closed, other-authority, once (closes each connection)

Links
  cut NODE                   the bridge's ports down: NODE loses its carrier
  cut NODE --drop            frames dropped both ways, the carrier stays
  oneway NODE in|out         drop what NODE would hear | what NODE sends
  partition A,B.. C,D..      groups that no longer hear each other; client is a member too
  heal [NODE]                undo cut, oneway and partition, for NODE or everywhere

Addresses of the first virtual router, VRID 51 on eth0:
  VIP       10.51.0.100      fd51::100, after fe80::100
  routers   10.51.0.11..     fd51::11..   fe80::11..
  client    10.51.0.200      fd51::200    fe80::200
  stranger  10.51.0.250      fd51::250    fe80::250
Others have VRID 52, .. 255, 1, .. 50 and the VIPs 10.61.LINK.VRID, or fe80::61:LINK:VRID and
fd61::LINK:VRID. eth1.. have 10.51.LINK.0/24 and fd51:0:0:LINK::/64. Priorities are 254, 244,
234, ... By default nobody takes the VIP from a healthy Active.

Environment
  LAB            name and prefix of the namespaces (default lab), like --lab
  LAB_RUN_DIR    where the labs keep their state (default /run/mainstay-lab)
  MAINSTAY_BIN   the mainstay to run (default: target/release, target/debug, PATH)

Examples
  lab.sh up && lab.sh start all --interval 100ms && lab.sh watch
  lab.sh cut m1; lab.sh owners; lab.sh heal
  lab.sh kill m1 --child
  lab.sh apiserver start all && lab.sh start all --check 1s && lab.sh apiserver kill m1
  lab.sh partition m1,client m2,m3
  lab.sh --lab other up 2; lab.sh --lab other start all --daemon keepalived --family 6
  lab.sh exec m1 ip address show dev eth0
  lab.sh down
HELP
}

die() { echo "lab.sh: $*" >&2; exit 1; }
bad_usage() { echo "lab.sh: $*; see lab.sh --help" >&2; exit 2; }

readonly VIP=10.51.0.100 VIP6=(fe80::100 fd51::100) VRID=51
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
# shellcheck source-path=SCRIPTDIR source=lib/config.sh
source "$HERE/lib/config.sh"
# shellcheck source-path=SCRIPTDIR source=lib/daemon.sh
source "$HERE/lib/daemon.sh"
# shellcheck source-path=SCRIPTDIR source=lib/apiserver.sh
source "$HERE/lib/apiserver.sh"
# shellcheck source-path=SCRIPTDIR source=lib/units.sh
source "$HERE/lib/units.sh"
# shellcheck source-path=SCRIPTDIR source=lib/link.sh
source "$HERE/lib/link.sh"

make_namespace() {
  ip netns add "$(namespace "$1")"
  # Addresses are usable at once, without duplicate address detection.
  within "$1" bash -c 'echo 0 >/proc/sys/net/ipv6/conf/default/accept_dad
                       echo 0 >/proc/sys/net/ipv6/conf/all/accept_dad'
  within "$1" ip link set lo up
}

# make_link MEMBER LINK: from ethLINK to the bridge brLINK. The link-local address is ours, not the
# kernel's, so that it is known.
make_link() {
  local port link=$2
  port=$(port "$1" "$link")
  bridge_ip link add "$port" type veth peer name "eth$link" netns "$(namespace "$1")"
  bridge_ip link set "$port" master "br$link" up
  within "$1" ip -batch - <<IP
link set eth$link addrgenmode none
link set eth$link up
address add $(address "$1" "$link")/24 dev eth$link
address add $(link_local "$1")/64 dev eth$link nodad
address add $(address6 "$1" "$link")/64 dev eth$link nodad
IP
}

make_bridge() { # LINK
  # Snooping would hold back multicast until a querier speaks.
  bridge_ip link add "br$1" type bridge mcast_snooping 0 stp_state 0 forward_delay 0
  bridge_ip link set "br$1" up
}

lab_up() {
  local count=3 i link member
  [[ -z ${1:-} || $1 == --* ]] || { count=$1; shift; }
  [[ ${1:-} != --links ]] || { LINKS=${2:-}; shift 2; }
  (($# == 0)) || bad_usage "up does not know '$1'"
  [[ $count =~ ^([1-9]|1[0-2])$ ]] || bad_usage "1 to 12 routers, not '$count'"
  [[ $LINKS =~ ^([1-9]|1[0-6])$ ]] || bad_usage "1 to 16 links, not '$LINKS'"
  [[ ! -e $RUN ]] || die "lab $LAB is up already: run lab.sh --lab $LAB down"
  mkdir -p "$RUN"
  trap lab_down EXIT
  echo "$LINKS" >"$RUN/links"
  make_namespace bridge
  within bridge bash -c 'echo 1 >/proc/sys/net/ipv6/conf/default/disable_ipv6'
  for ((link = 0; link < LINKS; link++)); do make_bridge "$link"; done
  within bridge nft -f - <<'NFT'
table bridge lab {
  set drops { typeof meta iifname . meta oifname; }
  chain forward { type filter hook forward priority 0; meta iifname . meta oifname @drops drop; }
}
NFT
  for member in client stranger; do make_namespace "$member"; make_link "$member" 0; done
  # Somewhere beyond the link: a host must choose a source for it by its default route.
  within client ip address add 10.52.0.1/32 dev lo
  within client ip address add fd52::1/128 dev lo nodad
  for ((i = 1; i <= count; i++)); do
    echo "m$i" >>"$RUN/nodes"
    mkdir -p "$RUN/m$i/run" "$RUN/m$i/state"
    make_namespace "m$i"
    for ((link = 0; link < LINKS; link++)); do make_link "m$i" "$link"; done
    within "m$i" ip route add default via "$(address client)"
    within "m$i" ip -6 route add default via "$(address6 client)"
  done
  trap - EXIT
}

kill_daemons() {
  local node
  thaw_disks
  for node in $(nodes); do
    apiserver_signal KILL || true
    send KILL "$node" --both || true
    wait_for 5 ended "$node" || echo "lab.sh: a daemon of $node does not end: $(pids_of "$node")" >&2
    end_units "$node"
  done
}

lab_clear() {
  need_up
  kill_daemons
  unmount_disks
  local node prefix link
  for node in $(nodes); do
    delete_macvlans "$node"
    for prefix in "$VIP/32" 10.61.0.0/16 "${VIP6[0]}/128" "${VIP6[1]}/128" fe80::61:0:0/96 fd61::/16; do
      # Says so if there is none.
      within "$node" ip address flush to "$prefix" 2>/dev/null || true
    done
    # What a virtual MAC needs of the interface beneath it.
    for ((link = 0; link < LINKS; link++)); do
      echo 0 | within "$node" tee /proc/sys/net/ipv4/conf/"eth$link"/arp_{ignore,filter} >/dev/null
    done
  done
  link_heal >/dev/null
}

lab_down() {
  trap - EXIT
  local name
  [[ ! -f $RUN/nodes ]] || { kill_daemons; unmount_disks; }
  # By name, so that also what a lost run directory no longer knows goes.
  ip netns list | while read -r name _; do
    [[ $name =~ ^"$LAB"-(bridge|client|stranger|m[0-9]+)$ ]] || continue
    kill_strays "$name"
    ip netns delete "$name"
  done || true
  remove_cgroups
  unmount_below "$RUN"
  rm -rf "$RUN"
}

# The daemons of a namespace that nobody has recorded: whoever started them was interrupted.
kill_strays() {
  local pid
  for pid in $(ip netns pids "$1"); do
    case $(cat "/proc/$pid/comm" 2>/dev/null) in
      mainstay | keepalived | zebra | vrrpd | mainstay-lab | kube-apiserver | etcd) kill -KILL "$pid" 2>/dev/null || true ;;
    esac
  done
  wait_for 5 no_units_run "${1#"$LAB-"}" || true
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

# holds NODE [4|6]: FRR leaves the addresses of a Backup where they are, but on an interface that is
# out of use.
holds() {
  local vip device
  case ${2:-} in
    4) vip=("$VIP") ;;
    6) vip=("${VIP6[1]}") ;;
    "") vip=("$VIP" "${VIP6[1]}") ;;
    *) bad_usage "'$2' is neither 4 nor 6" ;;
  esac
  for vip in "${vip[@]}"; do
    read -r _ device _ < <(within "$1" ip -o address show to "$vip") || continue
    [[ $(cat "$RUN/$1/daemon" 2>/dev/null) == frr ]] || return 0
    [[ $(within "$1" ip -o -d link show "$device") == *"protodown on"* ]] || return 0
  done
  return 1
}
lab_owners() { need_up; for node in $(nodes); do if holds "$node" "${1:-}"; then echo "$node"; fi; done; }

lab_watch() {
  need_up
  local binary
  binary=$(lab_binary)
  exec "$binary" watch --lab "$LAB"
}

lab_exec() {
  local node=${1:-}
  [[ $node =~ ^(bridge|stranger)$ ]] || need_member "$node"
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
LINKS=$(cat "$RUN/links" 2>/dev/null || echo 1)
((EUID == 0)) || die "network namespaces need root: run it with sudo"

verb=$1
shift
case $verb in
  up) lab_up "$@" ;;
  down) lab_down ;;
  clear) lab_clear ;;
  status) lab_status ;;
  owners) lab_owners "$@" ;;
  watch) lab_watch ;;
  exec) lab_exec "$@" ;;
  start) daemon_start "$@" ;;
  configure) daemon_configure "$@" ;;
  stop) daemon_stop "$@" ;;
  reload) daemon_signal HUP "${1:-}" --parent ;;
  kill) daemon_signal KILL "$@" ;;
  freeze) daemon_signal STOP "$@" ;;
  thaw) daemon_signal CONT "$@" ;;
  nodes) need_up; nodes ;;
  versions) daemon_versions ;;
  mainstay) mainstay_command "$@" ;;
  units) units "$@" ;;
  apiserver) apiserver "$@" ;;
  pids) need_node "${1:-}"; pids_of "$1" ;;
  cut) link_cut "$@" ;;
  oneway) link_oneway "$@" ;;
  partition) link_partition "$@" ;;
  heal) link_heal "$@" ;;
  *) bad_usage "unknown command '$verb'" ;;
esac
