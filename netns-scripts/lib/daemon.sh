# shellcheck shell=bash
# The daemons of a lab: their configuration, start and stop. Sourced by lab.sh.

number() { echo "${1#m}"; }
address() { echo "10.51.0.$((10 + $(number "$1")))"; }
priority() { echo $((264 - 10 * $(number "$1"))); }

milliseconds() {
  case $1 in
    *ms) echo "${1%ms}" ;;
    *s) echo $((${1%s} * 1000)) ;;
    *) bad_usage "'$1' is no interval such as 1s, 100ms or 10ms" ;;
  esac
}

mainstay_config() { # INTERVAL PREEMPT LEASE
  local node
  printf '[cluster]\nname = "%s"\napi_port = 6443\n' "$LAB"
  for node in $(nodes); do
    printf '\n[[node]]\nname = "%s"\nrole = "master"\naddresses = ["%s"]\n' "$node" "$(address "$node")"
  done
  printf '\n[[virtual_router]]\nname = "apiserver"\nvrid = %s\ninterface = "eth0"\n' "$VRID"
  printf 'addresses = ["%s"]\nadvert_interval = "%s"\nlease = "%s"\n' "$VIP" "$1" "$3"
  [[ $2 == default ]] || printf 'preempt = "%s"\n' "$2"
}

keepalived_config() { # NODE INTERVAL PREEMPT
  local ms nopreempt="nopreempt"
  ms=$(milliseconds "$2")
  [[ $3 == always ]] && nopreempt=""
  cat <<CONF
global_defs {
  router_id $1
  vrrp_version 3
  ${KEEPALIVED_GLOBAL:-}
}
vrrp_instance apiserver {
  state BACKUP
  $nopreempt
  interface eth0
  virtual_router_id $VRID
  priority $(priority "$1")
  advert_int $((ms / 1000)).$(printf %03d $((ms % 1000)))
  virtual_ipaddress {
    $VIP/32 dev eth0
  }
}
CONF
}

mainstay_binary() {
  local candidate
  for candidate in "${MAINSTAY_BIN:-}" "$HERE/../target/release/mainstay" "$HERE/../target/debug/mainstay"; do
    [[ -n $candidate && -x $candidate ]] && realpath -- "$candidate" && return
  done
  command -v mainstay || die "no mainstay binary: cargo build --release, or set MAINSTAY_BIN"
}

daemon_start() {
  local nodes node daemon=mainstay interval=1s preempt=default lease=3s binary=""
  nodes=$(each_node "${1:-}"); shift
  while (($#)); do
    case $1 in
      --daemon) daemon=$2 ;; --interval) interval=$2 ;; --preempt) preempt=$2 ;;
      --lease) lease=$2 ;; --bin) binary=$2 ;;
      *) bad_usage "start does not know '$1'" ;;
    esac
    shift 2
  done
  milliseconds "$interval" >/dev/null
  case $daemon in
    mainstay) [[ -n $binary ]] || binary=$(mainstay_binary) ;;
    keepalived) command -v keepalived >/dev/null || die "keepalived is not installed: apt-get install keepalived" ;;
    *) bad_usage "'$daemon' is neither mainstay nor keepalived" ;;
  esac
  for node in $nodes; do start_one "$node"; done
  for node in $nodes; do
    wait_for 10 child_of "$node" || die "$daemon on $node does not start; its log ends: $(tail -n 5 "$RUN/$node/log")"
  done
}

start_one() { # uses the variables of daemon_start
  local node=$1 dir=$RUN/$1 command
  ! living "$dir/parent" >/dev/null || die "a daemon runs on $node already"
  echo "$daemon" >"$dir/daemon"
  if [[ $daemon == mainstay ]]; then
    mainstay_config "$interval" "$preempt" "$lease" >"$dir/mainstay.toml"
    command=("$binary" run --config "$dir/mainstay.toml" --node "$node"
      --runtime-dir "$dir/run" --state-dir "$dir/state")
  else
    rm -f "$dir"/keepalived*.pid
    keepalived_config "$node" "$interval" "$preempt" >"$dir/keepalived.conf"
    command=(keepalived --dont-fork --vrrp --log-console --log-detail --use-file "$dir/keepalived.conf"
      --pid "$dir/keepalived.pid" --vrrp_pid "$dir/keepalived-vrrp.pid")
  fi
  # A session of its own, as a service has. Every step replaces the one before: $! is the daemon.
  setsid nsenter --net="/run/netns/$(namespace "$node")" "${command[@]}" >>"$dir/log" 2>&1 </dev/null &
  record $! "$dir/parent"
}

daemon_stop() {
  local nodes node
  nodes=$(each_node "${1:-}")
  for node in $nodes; do
    send CONT "$node" --both
    send TERM "$node" --parent
  done
  for node in $nodes; do
    wait_for 20 ended "$node" || { send KILL "$node" --both; die "$node did not stop within 20 s and was killed"; }
  done
}

# daemon_signal SIGNAL NODE|all [PART]
daemon_signal() {
  local node nodes
  nodes=$(each_node "${2:-}")
  for node in $nodes; do send "$1" "$node" "${3:---both}"; done
}
