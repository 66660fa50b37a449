# shellcheck shell=bash
# Measuring in a lab of its own, which goes whatever ends the script. Sourced.

measuring=""

# measure ARGUMENT...: as for `mainstay-lab measure`.
measure() { in_background measure --lab measure "$@"; }

# draw FILE: the picture of a failover.
draw() { in_background draw --lab measure "$1"; }

in_background() {
  # A session of its own: the commands that it runs end with it. And in the background, so that a
  # signal to the script is heeded at once.
  setsid "$LAB_BIN" "$@" &
  measuring=$!
  wait "$measuring"
  measuring=""
}

end_measure() {
  if [[ -n $measuring ]]; then
    kill -TERM -- "-$measuring" 2>/dev/null || true
    wait "$measuring" 2>/dev/null || true
  fi
  "$HERE/lab.sh" --lab measure down >/dev/null 2>&1 || true
}

# Runs COMMAND when the script ends, also by a signal or because nobody reads what it prints.
at_exit() {
  # shellcheck disable=SC2064 # the command is known now
  trap "$1" EXIT
  trap 'exit 130' INT
  trap 'exit 143' TERM HUP
  trap '' PIPE
}
