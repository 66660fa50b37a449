#!/usr/bin/env bash
# Runs all tests. See --help.
set -euo pipefail

if [[ ${1:-} == -h || ${1:-} == --help ]]; then
  cat <<'HELP'
Runs all tests, those of the real thing in network namespaces that they make and remove. Needs root
and Rust, on Debian 12; installs missing packages with apt-get.

  sudo netns-scripts/test.sh [ARGUMENT...]     as for cargo test

Examples
  sudo netns-scripts/test.sh
  sudo netns-scripts/test.sh --test failover
  sudo netns-scripts/test.sh -p mainstay-vrrp router::
HELP
  exit 0
fi

HERE=$(cd -- "$(dirname -- "${BASH_SOURCE[0]}")" && pwd)
# shellcheck source-path=SCRIPTDIR source=lib/prepare.sh
source "$HERE/lib/prepare.sh"

prepare
cd "$HERE/.."
if (($#)); then
  exec cargo test "$@"
fi
exec cargo test --workspace --lib --bins --tests
