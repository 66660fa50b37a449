# shellcheck shell=bash
# What the lab and the tests need on Debian 12 beside Rust: installed if it is missing. Sourced.

bold="" plain=""
if [[ -t 1 && -z ${NO_COLOR:-} ]]; then bold=$'\e[1m' plain=$'\e[0m'; fi
say() { printf '\n%s%s%s\n' "$bold" "$*" "$plain"; }
die() { echo "${0##*/}: $*" >&2; exit 1; }

prepare() {
  ((EUID == 0)) || die "network namespaces need root: sudo $0"
  install_missing
  find_cargo
}

# A command and the Debian package it comes from.
needed() {
  cat <<'LIST'
ip iproute2
nft nftables
keepalived keepalived
dockerd docker.io
nsenter util-linux
cc gcc
openssl openssl
curl curl
etcd etcd-server
etcdctl etcd-client
debootstrap debootstrap
systemd-nspawn systemd-container
LIST
}

# A package and the units of systemd's that it enables.
services() {
  cat <<'LIST'
keepalived keepalived.service
frr frr.service
docker.io docker.service docker.socket containerd.service
etcd-server etcd.service
LIST
}

install_missing() {
  local command package missing=()
  while read -r command package; do
    command -v "$command" >/dev/null || missing+=("$package")
  done < <(needed)
  # Its daemons are on no path.
  [[ -x /usr/lib/frr/vrrpd ]] || missing+=(frr)
  # The linker needs the C library's start files, which gcc only recommends.
  [[ -n $(find /usr/lib -name crt1.o -print -quit) ]] || missing+=(libc6-dev)
  ((${#missing[@]})) || return 0
  command -v apt-get >/dev/null || die "install these first: ${missing[*]}"
  say "Installing ${missing[*]}"
  # The daemons' own services must not start on this host.
  local policy=/usr/sbin/policy-rc.d
  if [[ ! -e $policy ]]; then
    printf '#!/bin/sh\nexit 101\n' >"$policy"
    chmod +x "$policy"
    trap 'rm -f /usr/sbin/policy-rc.d' EXIT
  fi
  export DEBIAN_FRONTEND=noninteractive
  apt-get install -qy --no-install-recommends "${missing[@]}" >/dev/null 2>&1 \
    || { apt-get update -q && apt-get install -qy --no-install-recommends "${missing[@]}"; }
  if [[ $(trap -p EXIT) == *policy-rc.d* ]]; then
    rm -f "$policy"
    trap - EXIT
    # Nor at the next boot.
    local units
    while read -r package units; do
      if command -v systemctl >/dev/null && [[ " ${missing[*]} " == *" $package "* ]]; then
        # shellcheck disable=SC2086 # Several.
        systemctl disable $units >/dev/null 2>&1 || true
      fi
    done < <(services)
  fi
}

# sudo resets PATH: cargo is then found where rustup puts it for the user who called.
find_cargo() {
  command -v cargo >/dev/null && return
  local home
  home=$(getent passwd "${SUDO_USER:-root}" | cut -d: -f6)
  [[ -x $home/.cargo/bin/cargo ]] || die "cargo is not there: install Rust from https://rustup.rs"
  export PATH=$home/.cargo/bin:$PATH CARGO_HOME=${CARGO_HOME:-$home/.cargo}
  export RUSTUP_HOME=${RUSTUP_HOME:-$home/.rustup}
}
