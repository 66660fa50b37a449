#!/usr/bin/env bash
# Measures mainstay and keepalived side by side and writes docs/performance.md. See --help.
set -euo pipefail

usage() {
  cat <<'HELP'
Measures mainstay and keepalived side by side, in network namespaces of its own, and puts the tables
into docs/performance.md, and the picture of a failover beside it. Needs root and Rust, on Debian 12; installs missing packages with apt-get.

  sudo netns-scripts/measure.sh [--quick] [--only PART,...] [--document FILE]

  --quick          one or two runs of nearly everything: about 10 minutes
                   (default: ten runs of nearly everything, about 80 minutes)
  --only PART,...  of failover, health, handover, cost, jitter and flood; the other tables
                   stay as they are
  --document FILE  instead of docs/performance.md; it needs the same marks

Parts
  failover  who takes over when what dies, how soon, and what clients notice; IPv4, IPv6, virtual MAC
  health    apiservers die, hang, fail, flap and recover; who serves then, how soon; a picture of it
  handover  drain, stop, lower priority: nobody may notice; and processes that stand still
  cost      CPU, context switches and memory with 1, 255 and 4,080 virtual routers
  jitter    adverts each 10 ms while two busy loops on every core want the CPU
  flood     malformed adverts, 50 and 80,000 a second

The rest of the machine should be idle meanwhile.
HELP
}

HERE=$(cd -- "$(dirname -- "${BASH_SOURCE[0]}")" && pwd)
readonly HERE
plan=full document=$HERE/../docs/performance.md only=()
while (($#)); do
  case $1 in
    --quick) plan=quick; shift; continue ;;
    -h | --help) usage; exit 0 ;;
    --only | --document) ;;
    *) echo "measure.sh: unknown option '$1'; see measure.sh --help" >&2; exit 2 ;;
  esac
  [[ -n ${2:-} ]] || { echo "measure.sh: $1 needs a value; see measure.sh --help" >&2; exit 2; }
  case $1 in
    --only)
      for part in ${2//,/ }; do
        [[ $part =~ ^(failover|health|handover|cost|jitter|flood)$ ]] \
          || { echo "measure.sh: '$part' is no part; see measure.sh --help" >&2; exit 2; }
      done
      only=(--only "$2") ;;
    --document) document=$2 ;;
  esac
  shift 2
done
[[ -w $document ]] || { echo "measure.sh: cannot write $document" >&2; exit 2; }

# shellcheck source-path=SCRIPTDIR source=lib/prepare.sh
source "$HERE/lib/prepare.sh"

# shellcheck source-path=SCRIPTDIR source=lib/measure.sh
source "$HERE/lib/measure.sh"

prepare
say "Building (a few minutes the first time)"
(cd "$HERE/.." && cargo build --release --workspace)
target=${CARGO_TARGET_DIR:-$HERE/../target}
export MAINSTAY_BIN=$target/release/mainstay LAB_BIN=$target/release/mainstay-lab
commit=$(git -C "$HERE/.." describe --always --dirty 2>/dev/null || true)

at_exit end_measure
say "Measuring mainstay and keepalived in turn: median [least .. greatest]"
measure --plan "$plan" "${only[@]}" --document "$document" ${commit:+--commit "$commit"}
if [[ -z ${only[*]} || ${only[*]} == *health* ]]; then
  picture=$(dirname -- "$document")/failover.svg
  draw "$picture"
  say "$(realpath -- "$picture") is drawn"
fi
say "$(realpath -- "$document") is written"
