# shellcheck shell=bash
# The fake apiservers of a lab. Sourced by lab.sh.

lab_binary() {
  local candidate
  for candidate in "${LAB_BIN:-}" "$HERE/../target/release/mainstay-lab" "$HERE/../target/debug/mainstay-lab"; do
    [[ -n $candidate && -x $candidate ]] && realpath -- "$candidate" && return
  done
  die "no mainstay-lab: cargo build --release --workspace, or set LAB_BIN"
}

# apiserver VERB NODE|all [ANSWER]
apiserver() {
  local verb=${1:-} node nodes binary
  nodes=$(each_node "${2:-}")
  case $verb in
    start) binary=$(lab_binary); "$binary" certificates "$RUN/pki" ;;
    kill | freeze | thaw) ;;
    answer) [[ -n ${3:-} ]] || bad_usage "answer needs one of ok, 500, slow:1500, silent, garbage, closed, other-authority, once" ;;
    *) bad_usage "apiserver does not know '$verb'" ;;
  esac
  for node in $nodes; do "apiserver_$verb" "${3:-}"; done
}

apiserver_start() { # uses the variables of apiserver
  ! living "$RUN/$node/apiserver" >/dev/null || return 0
  rm -f "$RUN/$node/answer"
  launch "$RUN/$node/apiserver" "$binary" apiserver "$RUN/$node"
  wait_for 10 apiserver_listens || die "the apiserver of $node does not start; its log ends: $(tail -n 5 "$RUN/$node/log")"
}
apiserver_listens() { [[ -n $(within "$node" ss -Hltn 'sport = :6443') ]]; }

apiserver_signal() {
  local pid
  pid=$(living "$RUN/$node/apiserver") || return 0
  kill "-$1" "$pid"
}
apiserver_kill() { apiserver_signal KILL; wait_for 5 apiserver_ended; }
apiserver_ended() { ! living "$RUN/$node/apiserver" >/dev/null; }
apiserver_freeze() { apiserver_signal STOP; }
apiserver_thaw() { apiserver_signal CONT; }
apiserver_answer() {
  echo "$1" >"$RUN/$node/answer.new"
  mv "$RUN/$node/answer.new" "$RUN/$node/answer"
}
