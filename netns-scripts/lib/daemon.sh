# shellcheck shell=bash
# The daemons of a lab: their start and stop. Sourced by lab.sh.

FRR=${FRR:-/usr/lib/frr}

mainstay_binary() {
  local candidate
  for candidate in "${MAINSTAY_BIN:-}" "$HERE/../target/release/mainstay" "$HERE/../target/debug/mainstay"; do
    [[ -n $candidate && -x $candidate ]] && realpath -- "$candidate" && return
  done
  command -v mainstay || die "no mainstay binary: cargo build --release, or set MAINSTAY_BIN"
}

# mainstay NODE ARGUMENT...: the command, for the daemon that runs there.
mainstay_command() {
  need_node "${1:-}"
  local node=$1 binary
  shift
  binary=$(cat "$RUN/$node/binary" 2>/dev/null) || die "mainstay does not run on $node"
  exec nsenter --net="/run/netns/$(namespace "$node")" "$binary" "$@" --runtime-dir "$RUN/$node/run"
}

# One a line, mainstay first.
daemon_versions() {
  local binary
  binary=$(mainstay_binary)
  "$binary" --version
  ! command -v keepalived >/dev/null || keepalived --version 2>&1 | sed -n 's/^Keepalived v\([^ ]*\).*/keepalived \1/p'
  [[ ! -x $FRR/vrrpd ]] || "$FRR/vrrpd" --version | sed -n 's/^vrrpd version \([^ ]*\).*/FRR \1/p'
}

# daemon_start NODE|all OPTION...; daemon_configure for one that runs: only the configuration is
# written anew, and SIGHUP sent.
daemon_configure() { only_configure=yes daemon_start "$@"; }
daemon_start() {
  local nodes node daemon=mainstay interval=1s preempt=default lease=3s binary=""
  local families=4 routers=1 links=1 mac="" transport=multicast checksum=auto priorities="" checked="" hangable=""
  local units="" live_restore=true
  nodes=$(each_node "${1:-}"); shift
  while (($#)); do
    case $1 in
      --virtual-mac) mac=yes; shift; continue ;;
      --hangable) hangable=yes; shift; continue ;;
      --unicast) transport=unicast; shift; continue ;;
      --daemon) daemon=${2:-} ;; --interval) interval=${2:-} ;; --preempt) preempt=${2:-} ;;
      --lease) lease=${2:-} ;; --bin) binary=${2:-} ;; --family) families=${2:-} ;;
      --routers) routers=${2:-} ;; --links) links=${2:-} ;; --checksum) checksum=${2:-} ;;
      --priority) priorities=${2:-} ;; --check) checked=${2:-} ;;
      --units) units=${2:-} ;; --live-restore) live_restore=${2:-} ;;
      *) bad_usage "start does not know '$1'" ;;
    esac
    (($# > 1)) || bad_usage "$1 needs a value"
    shift 2
  done
  check_start
  if [[ -n ${only_configure:-} ]]; then
    for node in $nodes; do write_config; done
    for node in $nodes; do send HUP "$node" --parent; done
    return
  fi
  for node in $nodes; do start_one; done
  for node in $nodes; do
    wait_for 20 started "$node" || die "$daemon on $node does not start; its log ends: $(tail -n 5 "$RUN/$node/log")"
  done
}

check_start() { # uses the variables of daemon_start
  milliseconds "$interval" >/dev/null
  case $families in
    4 | 6) ;;
    both) families="4 6" ;;
    *) bad_usage "'$families' is neither 4, 6 nor both" ;;
  esac
  [[ $routers =~ ^[0-9]{1,3}$ ]] && ((routers >= 1 && routers <= 255)) || bad_usage "1 to 255 virtual routers, not '$routers'"
  [[ $links =~ ^[0-9]{1,2}$ ]] && ((links >= 1 && links <= LINKS)) || bad_usage "this lab has $LINKS links, not '$links'"
  [[ $checksum =~ ^(auto|rfc9568|pseudo-header)$ ]] || bad_usage "'$checksum' is neither auto, rfc9568 nor pseudo-header"
  [[ $priorities =~ ^(m[0-9]+=[0-9]+(,m[0-9]+=[0-9]+)*)?$ ]] || bad_usage "priorities are such as m1=255,m2=100, not '$priorities'"
  [[ -z $checked || $checked == kubeadm ]] || milliseconds "$checked" >/dev/null
  [[ -z $checked || -f $RUN/pki/ca.crt ]] || die "no apiserver runs: lab.sh apiserver start all"
  check_units
  [[ -z $units || $daemon == mainstay ]] || bad_usage "$daemon has no units"
  case $daemon in
    mainstay) [[ -n $binary ]] || binary=$(mainstay_binary) ;;
    keepalived)
      command -v keepalived >/dev/null || die "keepalived is not installed: apt-get install keepalived"
      [[ $checksum != rfc9568 ]] || bad_usage "keepalived knows only the checksum with the pseudo-header" ;;
    frr)
      [[ -x $FRR/vrrpd ]] || die "FRR is not installed: apt-get install frr"
      [[ $transport == multicast ]] || bad_usage "FRR knows only multicast"
      [[ -z $checked ]] || bad_usage "FRR knows no checks"
      [[ $checksum != rfc9568 ]] || bad_usage "FRR knows only the checksum with the pseudo-header" ;;
    *) bad_usage "'$daemon' is neither mainstay, keepalived nor frr" ;;
  esac
}

write_config() { # uses the variables of daemon_start
  local dir=$RUN/$node
  case $daemon in
    mainstay) mainstay_config >"$dir/mainstay.toml" ;;
    keepalived) keepalived_config >"$dir/keepalived.conf" ;;
    *) bad_usage "configure does not know $daemon" ;;
  esac
}

start_one() { # uses the variables of daemon_start
  local dir=$RUN/$node command
  # One that has just been killed takes a moment to be gone.
  wait_for 1 gone "$dir/parent" || die "a daemon runs on $node already"
  echo "$daemon" >"$dir/daemon"
  ! is_owner "$node" || each_virtual_router own_addresses
  case $daemon in
    mainstay)
      write_config
      [[ -z $units ]] || prepare_units
      command=("$binary" run --config "$dir/mainstay.toml" --node "$node"
        --runtime-dir "$dir/run" --state-dir "$dir/state") ;;
    keepalived)
      rm -f "$dir"/keepalived*.pid
      [[ ! $checked =~ [0-9]ms$ ]] || echo 0 >"$dir/apiserver-state"
      write_config
      command=(keepalived --dont-fork --vrrp --log-console --use-file "$dir/keepalived.conf"
        --pid "$dir/keepalived.pid" --vrrp_pid "$dir/keepalived-vrrp.pid") ;;
    frr) frr_start; return ;;
  esac
  if [[ -n $hangable ]]; then
    mount_disk
    # shellcheck disable=SC2016 # expanded there
    command=(unshare --mount --propagation private sh -ec '
      dir=$1; shift
      mount --bind "$dir/hosts" /etc/hosts
      mount --bind "$dir/resolv.conf" /etc/resolv.conf
      mkdir -p /run/systemd/journal
      mount --bind "$dir/journal" /run/systemd/journal
      exec "$@" >"$dir/errors" 2>&1' hangable "$dir" "${command[@]}")
  fi
  launch "$dir/parent" "${command[@]}"
  [[ $daemon != mainstay ]] || echo "$binary" >"$dir/binary"
  [[ $daemon != keepalived || ! $checked =~ [0-9]ms$ ]] || start_prober
}

# The state directory becomes a disk that fsfreeze(8) can hang.
mount_disk() { # uses the variables of start_one
  ! mountpoint -q "$dir/state" || return 0
  truncate -s 32M "$dir/disk"
  mkfs.ext4 -q -F "$dir/disk"
  mount -o loop "$dir/disk" "$dir/state"
}

# What waits for a frozen disk cannot even be killed.
thaw_disks() {
  local node
  for node in $(nodes); do
    ! mountpoint -q "$RUN/$node/state" || fsfreeze --unfreeze "$RUN/$node/state" 2>/dev/null || true
  done
}
unmount_disks() {
  local node
  for node in $(nodes); do ! mountpoint -q "$RUN/$node/state" || umount "$RUN/$node/state"; done
}

start_prober() { # uses the variables of start_one
  local pid seconds
  read -r pid _ <"$dir/parent"
  printf -v seconds '0.%03d' $(($(milliseconds "$checked") % 1000))
  export -f keepalived_prober keepalived_question
  export RUN dir seconds
  launch "$dir/prober" bash -c 'keepalived_prober "$1"' prober "$pid"
}

# launch FILE COMMAND...: in the node's namespace and a session of its own, as a service has. Every
# step replaces the one before: $! is the daemon, which FILE records.
launch() {
  local file=$1
  shift
  setsid nsenter --net="/run/netns/$(namespace "$node")" "$@" >>"$RUN/$node/log" 2>&1 </dev/null &
  record $! "$file"
}

started() {
  child_of "$1" >/dev/null || return 1
  [[ $daemon != frr || -S $RUN/$1/frr/vrrpd.vty ]]
}

# The addresses of an address owner are the interface's own.
own_addresses() {
  local vip
  for vip in "${vips[@]}"; do
    case $family in
      4) within "$node" ip address replace "$vip/32" dev "eth$link" ;;
      6) within "$node" ip address replace "$vip/128" dev "eth$link" nodad ;;
    esac
  done
}

# zebra and vrrpd, without systemd: zebra is the parent, vrrpd the VRRP process. They give up root
# for their own user; their sockets and configuration are in the node's directory `frr`.
frr_start() {
  local own=$dir/frr
  local options=(--vty_socket "$own" --log stdout --log-level debugging -z "$own/zserv.api" -P 0)
  delete_macvlans "$node"
  frr_links | within "$node" ip -batch -
  rm -rf "$own"
  mkdir "$own"
  echo >"$own/zebra.conf"
  frr_config >"$own/vrrpd.conf"
  chown -R frr:frr "$own"
  launch "$dir/parent" "$FRR/zebra" "${options[@]}" -i "$own/zebra.pid" -f "$own/zebra.conf"
  wait_for 10 test -S "$own/zserv.api" || die "zebra on $node does not start; its log ends: $(tail -n 5 "$dir/log")"
  launch "$dir/vrrpd" "$FRR/vrrpd" "${options[@]}" -i "$own/vrrpd.pid" -f "$own/vrrpd.conf"
}

delete_macvlans() {
  local name
  within "$1" ip -o link show type macvlan | while read -r _ name _; do echo "link delete ${name%%@*}"; done \
    | within "$1" ip -batch -
}

daemon_stop() {
  local nodes node
  nodes=$(each_node "${1:-}")
  for node in $nodes; do
    send CONT "$node" --both
    case $(cat "$RUN/$node/daemon" 2>/dev/null) in
      # vrrpd says good-bye through zebra.
      frr) send TERM "$node" --child; wait_for 5 childless "$node" || true ;;&
      *) send TERM "$node" --parent ;;
    esac
  done
  for node in $nodes; do
    wait_for 20 ended "$node" || { send KILL "$node" --both; die "$node did not stop within 20 s and was killed"; }
    [[ $(cat "$RUN/$node/daemon" 2>/dev/null) != frr ]] || delete_macvlans "$node"
  done
}
childless() { ! child_of "$1"; }

# daemon_signal SIGNAL NODE|all [PART]
daemon_signal() {
  local node nodes
  nodes=$(each_node "${2:-}")
  for node in $nodes; do send "$1" "$node" "${3:---both}"; done
}
