# shellcheck shell=bash
# The links of a lab: cut, one-way loss, partition, heal. Sourced by lab.sh.

members() { need_up; nodes; echo client; }

# port MEMBER LINK: the bridge's port.
port() { if (($2)); then echo "$1-$2"; else echo "$1"; fi; }

# A member's ports.
ports() {
  local link
  port "$1" 0
  [[ $1 != m* ]] || for ((link = 1; link < LINKS; link++)); do port "$1" "$link"; done
}

# Adds the elements read from stdin, one `"from" . "to"` a line, to the bridge's drops.
drop() { within bridge nft "add element bridge lab drops { $(paste -sd,) }"; }
pair() {
  local link
  for ((link = 0; link < LINKS; link++)); do echo "\"$(port "$1" "$link")\" . \"$(port "$2" "$link")\""; done
}

drop_node() { # NODE in|out
  local other
  for other in $(members); do
    [[ $other == "$1" ]] && continue
    if [[ $2 == in ]]; then pair "$other" "$1"; else pair "$1" "$other"; fi
  done
}

link_cut() {
  need_member "${1:-}"
  case ${2:-} in
    "") ports "$1" | sed 's/.*/link set & down/' | bridge_ip -batch - ;;
    --drop) { drop_node "$1" in; drop_node "$1" out; } | drop ;;
    *) bad_usage "cut does not know '$2'" ;;
  esac
  done_at "$1 cut"
}

link_oneway() {
  need_member "${1:-}"
  [[ ${2:-} == in || ${2:-} == out ]] || bad_usage "oneway needs 'in' (NODE hears nothing) or 'out' (NODE is not heard)"
  drop_node "$1" "$2" | drop
  done_at "$1 loses $2"
}

link_partition() {
  (($# >= 2)) || bad_usage "partition needs two groups such as m1,client m2,m3"
  local a b one other groups=("$@") all="$*"
  need_up
  for one in ${all//,/ }; do need_member "$one"; done
  for a in "${groups[@]}"; do
    for b in "${groups[@]}"; do
      [[ $a == "$b" ]] && continue
      for one in ${a//,/ }; do for other in ${b//,/ }; do pair "$one" "$other"; done; done
    done
  done | drop
  done_at "partitioned"
}

link_heal() {
  local node pairs
  need_up
  [[ -z ${1:-} ]] || need_member "$1"
  for node in ${1:-$(members)}; do ports "$node"; done | sed 's/.*/link set & up/' | bridge_ip -batch -
  if [[ -z ${1:-} ]]; then
    within bridge nft flush set bridge lab drops
  else
    # Added first, because deleting what is not there fails.
    pairs=$({ drop_node "$1" in; drop_node "$1" out; } | paste -sd,)
    within bridge nft "add element bridge lab drops { $pairs }; delete element bridge lab drops { $pairs }"
  fi
  done_at "healed ${1:-all}"
  # What a node asked for while it was cut, its kernel would ask again only after a second: the next
  # fault would measure that.
  for node in ${1:-$(members)}; do within "$node" ip neigh flush nud incomplete nud failed 2>/dev/null || true; done
}
