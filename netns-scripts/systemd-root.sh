#!/usr/bin/env bash
# Makes the root of a small Debian with systemd and docker, for the tests that boot it. See --help.
set -euo pipefail

if [[ ${1:-} == -h || ${1:-} == --help ]]; then
  cat <<'HELP'
Makes the root of a small Debian 12 with systemd and docker, 600 MB, once, and prints where it is.
Tests of units under a real systemd boot it; nothing of it is changed then. They make it themselves
where debootstrap and systemd-nspawn are installed. Needs root and a Debian mirror; installs
debootstrap and systemd-container with apt-get.

  sudo netns-scripts/systemd-root.sh [DIRECTORY]      default /var/cache/mainstay/systemd-root

Example
  sudo MAINSTAY_SYSTEMD_ROOT="$(netns-scripts/systemd-root.sh /srv/root)" netns-scripts/test.sh --test systemd
HELP
  exit 0
fi

root=${1:-/var/cache/mainstay/systemd-root}
die() { echo "systemd-root.sh: $*" >&2; exit 1; }
((EUID == 0)) || die "debootstrap needs root: run it with sudo"
# A cargo of sudo's has no such folders in its path.
PATH=$PATH:/usr/sbin:/sbin

missing=()
command -v debootstrap >/dev/null || missing+=(debootstrap)
command -v systemd-nspawn >/dev/null || missing+=(systemd-container)
if ((${#missing[@]})); then
  export DEBIAN_FRONTEND=noninteractive
  apt-get install -qy --no-install-recommends "${missing[@]}" >&2 \
    || { apt-get update -q >&2 && apt-get install -qy --no-install-recommends "${missing[@]}" >&2; }
fi

mkdir -p -- "$(dirname -- "$root")"
# Several tests may want it at once.
exec 9>"$root.lock"
flock 9
if [[ ! -x $root/usr/lib/systemd/systemd || ! -x $root/usr/sbin/dockerd ]]; then
  if [[ -x $root/usr/lib/systemd/systemd ]]; then
    # From before there was docker in it.
    rm -rf --one-file-system -- "$root"
  elif [[ -e $root ]]; then
    rmdir -- "$root" || die "$root is something else: name another directory"
  fi
  # Complete or not there.
  making=$(mktemp -d -- "$root.XXXXXX")
  trap 'rm -rf --one-file-system -- "$making"' EXIT
  debootstrap --variant=minbase --include=systemd,systemd-sysv,dbus,iproute2,docker.io bookworm "$making" >&2
  # mainstay starts it.
  systemctl --root="$making" disable docker.service docker.socket containerd.service >&2
  rm -rf -- "$making"/var/cache/apt/archives/*.deb "$making"/var/lib/apt/lists/*
  chmod 755 "$making"
  mv -- "$making" "$root"
  trap - EXIT
fi
realpath -- "$root"
