# shellcheck shell=bash
# The daemons' configuration: the same virtual routers in the words of each. Sourced by lab.sh.
#
# It speaks of the node $node and of what daemon_start was asked for: interval, preempt, lease,
# families, routers, links, mac, transport, checksum and priorities.

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
  [[ $checksum == auto || $family == 6 ]] || printf 'checksum = "%s"\n' "$checksum"
  # The same list on every node, itself included.
  [[ $transport == multicast ]] || printf 'transport = "unicast"\npeers = [%s]\n' "$(quoted $(peers all))"
}

# --- keepalived --------------------------------------------------------------------------

keepalived_config() {
  local ms own nopreempt="nopreempt"
  ms=$(milliseconds "$interval") own=$(priority "$node")
  printf -v ms '%d.%03d' $((ms / 1000)) $((ms % 1000))
  [[ $preempt != always ]] || nopreempt=""
  printf 'global_defs {\n  router_id %s\n  vrrp_version 3\n  %s\n}\n' "$node" "${KEEPALIVED_GLOBAL:-}"
  each_virtual_router keepalived_instance
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
