#!/usr/bin/env bash
# Builds a real kubelet for the tests. See --help.
set -euo pipefail

if [[ ${1:-} == -h || ${1:-} == --help ]]; then
  cat <<'HELP'
Builds kubelet 1.20 from Debian's source package `kubernetes`, about five minutes, once, and prints
where it is. The tests of kubelet run where it is there. Needs root and Debian 12; installs
golang-go with apt-get.

  sudo netns-scripts/kubelet.sh

Environment
  MAINSTAY_LAB_CACHE   where it is kept (default /var/cache/mainstay-lab)

Example
  sudo MAINSTAY_KUBELET="$(netns-scripts/kubelet.sh)" netns-scripts/test.sh --test kubelet
HELP
  exit 0
fi

HERE=$(cd -- "$(dirname -- "${BASH_SOURCE[0]}")" && pwd)
# shellcheck source-path=SCRIPTDIR source=lib/prepare.sh
source "$HERE/lib/prepare.sh"
# shellcheck source-path=SCRIPTDIR source=lib/kubernetes.sh
source "$HERE/lib/kubernetes.sh"

((EUID == 0)) || die "apt-get needs root: run it with sudo"
(build_kubernetes kubelet) >&2
realpath -- "$CACHE/kubelet"
