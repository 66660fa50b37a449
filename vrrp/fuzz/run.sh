#!/usr/bin/env bash
# Fuzzes each target for so many seconds; exits 1 on a finding and says how to have it again.
#
#   vrrp/fuzz/run.sh SECONDS [TARGET...]
#
# This is a cargo-fuzz crate ("cargo fuzz run decode -s none" in vrrp/ works too), but needs
# neither cargo-fuzz nor a nightly compiler: the flags below are the ones that it would pass.
set -euo pipefail
cd -- "$(dirname -- "${BASH_SOURCE[0]}")"

usage() { sed -n '2,4s/^# \{0,1\}//p' run.sh >&2; exit 2; }
seconds=${1:-}
[[ $seconds =~ ^[1-9][0-9]*$ ]] || usage
targets=("${@:2}")
((${#targets[@]})) || targets=(decode router_events)

# libFuzzer is C++.
command -v c++ >/dev/null || {
  export DEBIAN_FRONTEND=noninteractive
  apt-get install -qy --no-install-recommends g++ libc6-dev >/dev/null 2>&1 \
    || { apt-get update -q && apt-get install -qy --no-install-recommends g++ libc6-dev; }
}

flags=(
  --cfg fuzzing
  -Cpasses=sancov-module
  -Cllvm-args=-sanitizer-coverage-level=4
  -Cllvm-args=-sanitizer-coverage-inline-8bit-counters
  -Cllvm-args=-sanitizer-coverage-pc-table
  -Cllvm-args=-sanitizer-coverage-trace-compares
  -Cllvm-args=-sanitizer-coverage-stack-depth
  -Cllvm-args=-simplifycfg-branch-fold-threshold=0
)
host=$(rustc -vV | sed -n 's/^host: //p')
base=${CARGO_TARGET_DIR:-$PWD/../../target}/fuzz
# Named, so that the flags are for the targets alone, not for macros and build scripts.
RUSTFLAGS="${flags[*]}" cargo build --locked --release --target "$host" --target-dir "$base"

failed=0
for target in "${targets[@]}"; do
  binary=$base/$host/release/$target
  corpus=$base/corpus/$target artifacts=$base/artifacts/$target
  mkdir -p "$corpus" "$artifacts"
  folders=("$corpus")
  [[ -d seeds/$target ]] && folders+=("seeds/$target")
  log=$base/$target.log
  if "$binary" "${folders[@]}" -max_total_time="$seconds" -timeout=10 -max_len=4400 \
    -artifact_prefix="$artifacts/" -print_final_stats=1 >"$log" 2>&1; then
    printf '%s: nothing found, %s runs, %s inputs kept\n' "$target" \
      "$(sed -n 's/^stat::number_of_executed_units: *//p' "$log")" \
      "$(find "$corpus" -type f | wc -l)"
  else
    failed=1
    grep -v '^#\|^stat::\|DEDUP_TOKEN' "$log" | tail -n 60 >&2
    printf '%s: a finding; again with\n  %s INPUT (its name is above)\n' "$target" "$binary" >&2
  fi
done
exit "$failed"
