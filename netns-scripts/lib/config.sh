# shellcheck shell=bash
# The daemons' configuration: the same virtual routers in the words of each. Sourced by lab.sh.
#
# It speaks of the node $node and of what daemon_start was asked for: interval, preempt, lease,
# families, routers, links, mac, transport, checksum, priorities, checked and units.

number() { echo "${1#m}"; }
# The last part of a member's addresses, of either family.
host_of() {
  case $1 in
    client) echo 200 ;;
    stranger) echo 250 ;;
    *) echo $((10 + ${1#m})) ;;
  esac
}
address() { echo "10.51.${2:-0}.$(host_of "$1")"; }
address6() { echo "fd51:0:0:${2:-0}::$(host_of "$1")"; }
link_local() { echo "fe80::$(host_of "$1")"; }

priority() {
  local one
  for one in ${priorities//,/ }; do
    [[ $one == "$1="* ]] && echo "${one#*=}" && return
  done
  echo $((264 - 10 * $(number "$1")))
}
is_owner() { [[ $(priority "$1") == 255 ]]; }

milliseconds() {
  case $1 in
    *ms) echo "${1%ms}" ;;
    *s) echo $((${1%s} * 1000)) ;;
    *) bad_usage "'$1' is no interval such as 1s, 100ms or 10ms" ;;
  esac
}

# each_virtual_router COMMAND: runs it with each one's family, link, vrid, name and vips.
each_virtual_router() {
  local family link index vrid name vips
  for ((link = 0; link < links; link++)); do
    for ((index = 0; index < routers; index++)); do
      vrid=$(((VRID - 1 + index) % 255 + 1))
      for family in $families; do
        case $family,$link,$index in
          4,0,0) name=apiserver vips=("$VIP") ;;
          6,0,0) name=apiserver6 vips=("${VIP6[@]}") ;;
          4,*) name=v4-$link-$vrid vips=("10.61.$link.$vrid") ;;
          6,*) name=v6-$link-$vrid vips=("fe80::61:$link:$vrid" "fd61::$link:$vrid") ;;
        esac
        "$@"
      done
    done
  done
}

# source_of NODE: from and to where a virtual router's unicast adverts go.
source_of() { if [[ $family == 4 ]]; then address "$1" "$link"; else address6 "$1" "$link"; fi; }
peers() { # [all]
  local other
  for other in $(nodes); do [[ $other == "$node" && -z ${1:-} ]] || source_of "$other"; done
}

quoted() { printf '"%s", ' "$@" | sed 's/, $//'; }

# --- mainstay ----------------------------------------------------------------------------

mainstay_config() {
  local other own all=() per_node=""
  all_vips() { all+=("${vips[@]}"); }
  each_virtual_router all_vips
  printf '[cluster]\nname = "%s"\napi_port = 6443\n' "$LAB"
  for other in $(nodes); do
    own=()
    [[ $families != *4* ]] || own+=("$(address "$other")")
    [[ $families != *6* ]] || own+=("$(address6 "$other")")
    ! is_owner "$other" || own+=("${all[@]}")
    printf '\n[[node]]\nname = "%s"\nrole = "master"\naddresses = [%s]\n' "$other" "$(quoted "${own[@]}")"
    [[ -z $priorities ]] || per_node+="$other = $(priority "$other"), "
  done
  each_virtual_router mainstay_virtual_router
  [[ -z $checked ]] || mainstay_check
  [[ -z $units ]] || units_config
}

# kubeadm's setup is keepalived's alone: beside it, the defaults.
mainstay_check() {
  local each=$checked
  [[ $checked != kubeadm ]] || each=1s
  printf '\n[[check]]\nname = "apiserver"\nhttps = "https://127.0.0.1:6443/readyz"\nca = "%s/pki/ca.crt"\n' "$RUN"
  printf 'interval = "%s"\n' "$each"
  [[ -n $hangable ]] || return 0
  # Of a name that has to be looked up.
  printf '\n[[check]]\nname = "named"\nhttps = "https://apiserver.lab:6443/readyz"\nca = "%s/pki/ca.crt"\n' "$RUN"
}

mainstay_virtual_router() {
  local listed
  printf -v listed '"%s", ' "${vips[@]}"
  printf '\n[[virtual_router]]\nname = "%s"\nvrid = %s\ninterface = "eth%s"\n' "$name" "$vrid" "$link"
  printf 'addresses = [%s]\nadvert_interval = "%s"\nlease = "%s"\n' "${listed%, }" "$interval" "$lease"
  [[ $preempt == default ]] || printf 'preempt = "%s"\n' "$preempt"
  [[ -z $per_node ]] || printf 'priority = { %s }\n' "${per_node%, }"
  # Low priorities leave no room for those of degraded routers.
  [[ -z $per_node || $preempt == default ]] || printf 'on_degraded = "release"\n'
  [[ -z $mac ]] || printf 'virtual_mac = true\n'
  [[ -z $checked ]] || printf 'checks = ["apiserver"%s]\n' "${hangable:+, \"named\"}"
  [[ $checksum == auto || $family == 6 ]] || printf 'checksum = "%s"\n' "$checksum"
  # The same list on every node, itself included.
  [[ $transport == multicast ]] || printf 'transport = "unicast"\npeers = [%s]\n' "$(quoted $(peers all))"
}

# --- keepalived --------------------------------------------------------------------------

keepalived_config() {
  local ms own nopreempt="nopreempt"
  ms=$(milliseconds "$interval") own=$(priority "$node")
  printf -v ms '%d.%03d' $((ms / 1000)) $((ms % 1000))
  # kubeadm's setup lowers a priority, which only tells where lower ones are preempted.
  [[ $preempt != always && $checked != kubeadm ]] || nopreempt=""
  printf 'global_defs {\n  router_id %s\n  vrrp_version 3\n  %s\n' "$node" "${KEEPALIVED_GLOBAL:-}"
  [[ -z $checked ]] || printf '  script_user root\n  enable_script_security\n'
  printf '}\n'
  [[ -z $checked ]] || keepalived_check
  each_virtual_router keepalived_instance
}

# What a script of keepalived's asks the apiserver by.
keepalived_question() { # SECONDS
  echo "/usr/bin/curl -sf --cacert $RUN/pki/ca.crt --max-time $1 -o /dev/null https://127.0.0.1:6443/readyz"
}

# A script each second is the most that it runs itself. More often, a loop beside it writes a file
# that it watches. kubeadm's documentation has a script each 3 s, ten failures and a lower priority:
# enough of one here to be lower than all others'.
keepalived_check() {
  case $checked in
    1s) printf 'vrrp_script apiserver {\n  script "%s"\n  interval 1\n  timeout 2\n  rise 1\n  fall 1\n  user root\n}\n' \
      "$(keepalived_question 1)" ;;
    kubeadm) printf 'vrrp_script apiserver {\n  script "%s"\n  interval 3\n  weight -22\n  rise 2\n  fall 10\n  user root\n}\n' \
      "$(keepalived_question 2)" ;;
    *) printf 'track_file apiserver {\n  file "%s/apiserver-state"\n  weight 1\n}\n' "$dir" ;;
  esac
}

# The loop: -254 in the file is a fault. It ends with keepalived, whose pid it is given.
keepalived_prober() { # PID
  local state=0 last=""
  while [[ -e /proc/$1 ]]; do
    if $(keepalived_question 1); then state=0; else state=-254; fi
    [[ $state == "$last" ]] || echo $state >"$dir/apiserver-state"
    last=$state
    sleep "$seconds"
  done
}

keepalived_instance() {
  local device=" dev eth$link" state=BACKUP length=32 vip
  [[ $family == 4 ]] || length=128
  printf 'vrrp_instance %s {\n' "$name"
  # An address owner begins as Active.
  if ((own == 255)); then state=MASTER; elif [[ -n $nopreempt ]]; then printf '  nopreempt\n'; fi
  printf '  state %s\n  interface eth%s\n  virtual_router_id %s\n  priority %s\n  advert_int %s\n' \
    "$state" "$link" "$vrid" "$own" "$ms"
  if [[ -n $mac ]]; then
    # The addresses then belong to the interface with the virtual MAC.
    printf '  use_vmac v%s.%s.%s\n' "$family" "$link" "$vrid"
    device=""
    [[ $transport == multicast ]] || printf '  vmac_xmit_base\n'
  fi
  if [[ $transport == unicast ]]; then
    # Left to itself it sends IPv6 unicast with hop limit 64, which RFC 9568, 5.1.2.3, discards.
    printf '  unicast_ttl 255\n  unicast_src_ip %s\n  unicast_peer {\n' "$(source_of "$node")"
    printf '    %s\n' $(peers)
    printf '  }\n'
  fi
  case $checked in
    "") ;;
    1s | kubeadm) printf '  track_script {\n    apiserver\n  }\n' ;;
    *) printf '  track_file {\n    apiserver\n  }\n' ;;
  esac
  printf '  virtual_ipaddress {\n'
  for vip in "${vips[@]}"; do printf '    %s/%s%s\n' "$vip" "$length" "$device"; done
  printf '  }\n}\n'
}

# --- FRR ---------------------------------------------------------------------------------

frr_config() {
  local own last="" ms
  ms=$(milliseconds "$interval") own=$(priority "$node")
  each_virtual_router frr_virtual_router
}

# Both families of a VRID are one to FRR.
frr_virtual_router() {
  local word=ip vip
  [[ $family == 4 ]] || word=ipv6
  if [[ $last != "$link,$vrid" ]]; then
    last=$link,$vrid
    printf 'interface eth%s\n vrrp %s version 3\n' "$link" "$vrid"
    printf " vrrp $vrid %s\n" "priority $own" "advertisement-interval $ms"
    [[ $preempt == always ]] || printf ' no vrrp %s preempt\n' "$vrid"
  else
    printf 'interface eth%s\n' "$link"
  fi
  for vip in "${vips[@]}"; do printf ' vrrp %s %s %s\n' "$vrid" "$word" "$vip"; done
}

# The interfaces with the virtual MAC and the addresses, which vrrpd does not make itself, as
# commands of ip(8).
frr_links() { each_virtual_router frr_link; }
frr_link() {
  local link_name=vrrp$family-$link-$vrid mac_of length=32 vip
  [[ $family == 4 ]] || length=128
  printf -v mac_of '00:00:5e:00:%02x:%02x' $((family == 4 ? 1 : 2)) "$vrid"
  # vrrpd sends IPv6 adverts from its link-local address, which must not come from the virtual MAC.
  printf 'link add %s link eth%s address %s type macvlan mode bridge\n' "$link_name" "$link" "$mac_of"
  printf 'link set %s addrgenmode random\n' "$link_name"
  # Out of use, as it keeps them in a Backup.
  printf 'link set %s protodown on up\n' "$link_name"
  for vip in "${vips[@]}"; do printf 'address add %s/%s dev %s\n' "$vip" "$length" "$link_name"; done
}
