# shellcheck shell=bash
# The lab's processes: found, signalled, waited for. Sourced by lab.sh.

# A process is known by its pid and its start time, so that a reused pid is never killed.
start_time() {
  local stat
  { stat=$(<"/proc/$1/stat"); } 2>/dev/null || return 1
  read -ra stat <<<"${stat##*) }"
  [[ ${stat[0]} != Z ]] && echo "${stat[19]}"
}

# Prints the pid recorded in file $1 if that very process lives.
living() {
  local pid start
  [[ -f $1 ]] && read -r pid start <"$1" || return 1
  [[ $(start_time "$pid") == "$start" ]] && echo "$pid"
}

gone() { ! living "$1"; }

record() { echo "$1 $(start_time "$1")" >"$2"; }

# The VRRP process of a node: keepalived writes its pid, mainstay's is `mainstay vrrp`, FRR's is
# vrrpd.
child_of() {
  local dir=$RUN/$1 pid argv
  case $(cat "$dir/daemon" 2>/dev/null) in
    keepalived)
      pid=$(cat "$dir/keepalived-vrrp.pid" 2>/dev/null) && [[ $(cat "/proc/$pid/comm" 2>/dev/null) == keepalived ]] \
        && start_time "$pid" >/dev/null && echo "$pid" ;;
    mainstay)
      for pid in $(ip netns pids "$(namespace "$1")"); do
        argv=$(tr '\0' ' ' <"/proc/$pid/cmdline" 2>/dev/null) || continue
        [[ $argv == *"mainstay"*" vrrp "* || $argv == *"mainstay"*" vrrp" ]] && echo "$pid" && return 0
      done
      return 1 ;;
    frr) living "$dir/vrrpd" ;;
    *) return 1 ;;
  esac
}

pids_of() {
  local parent child
  parent=$(living "$RUN/$1/parent") || parent=-
  child=$(child_of "$1") || child=-
  echo "parent $parent child $child"
}

# send SIGNAL NODE [--parent|--child|--both]: the parent first, so that it cannot act for the child.
send() {
  local signal=$1 node=$2 part=${3:---both} parent child targets=()
  read -r _ parent _ child < <(pids_of "$node")
  case $part in
    --parent) targets=("$parent") ;;
    --child) targets=("$child") ;;
    --both) targets=("$parent" "$child") ;;
    *) bad_usage "'$part' is none of --parent, --child, --both" ;;
  esac
  local alive=()
  for pid in "${targets[@]}"; do [[ $pid == - ]] || alive+=("$pid"); done
  [[ ${#alive[@]} -gt 0 ]] || return 0
  kill "-$signal" "${alive[@]}"
}

# wait_for SECONDS COMMAND...: polls until the command succeeds.
wait_for() {
  local end=$((${EPOCHREALTIME/./} + $1 * 1000000)); shift
  until "$@" >/dev/null 2>&1; do
    ((${EPOCHREALTIME/./} < end)) || return 1
    sleep 0.01
  done
}
ended() { [[ $(pids_of "$1") == "parent - child -" ]]; }
