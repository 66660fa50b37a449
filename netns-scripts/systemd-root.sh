#!/usr/bin/env bash
# Makes the root of a small Debian with systemd, for the test of the unit. See --help.
set -euo pipefail

if [[ ${1:-} == -h || ${1:-} == --help ]]; then
  cat <<'HELP'
Makes the root of a small Debian 12 with systemd, 260 MB, once, and prints where it is. The test of
the unit under a real systemd boots it; nothing of it is changed then. Needs root and a Debian
mirror; installs debootstrap and systemd-container with apt-get.

  sudo netns-scripts/systemd-root.sh [DIRECTORY]      default /var/cache/mainstay/systemd-root

Example
  sudo MAINSTAY_SYSTEMD_ROOT="$(netns-scripts/systemd-root.sh)" netns-scripts/test.sh --test systemd
HELP
  exit 0
fi

root=${1:-/var/cache/mainstay/systemd-root}
die() { echo "systemd-root.sh: $*" >&2; exit 1; }
((EUID == 0)) || die "debootstrap needs root: run it with sudo"

missing=()
command -v debootstrap >/dev/null || missing+=(debootstrap)
command -v systemd-nspawn >/dev/null || missing+=(systemd-container)
if ((${#missing[@]})); then
  export DEBIAN_FRONTEND=noninteractive
  apt-get install -qy --no-install-recommends "${missing[@]}" >&2 \
    || { apt-get update -q >&2 && apt-get install -qy --no-install-recommends "${missing[@]}" >&2; }
fi

if [[ ! -x $root/usr/lib/systemd/systemd ]]; then
  [[ ! -e $root ]] || rmdir -- "$root" || die "$root is something else: name another directory"
  mkdir -p -- "$(dirname -- "$root")"
  # Complete or not there.
  making=$(mktemp -d -- "$root.XXXXXX")
  trap 'rm -rf -- "$making"' EXIT
  debootstrap --variant=minbase --include=systemd,systemd-sysv,dbus,iproute2 bookworm "$making" >&2
  chmod 755 "$making"
  mv -- "$making" "$root"
  trap - EXIT
fi
realpath -- "$root"
