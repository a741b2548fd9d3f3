#!/usr/bin/env bash
# What takes too long for tests/run.sh: tests/campaign.sh [PART...], all parts without a name.
#   kills      210 seeded SIGKILLs, tables of what they cost
#   faults     damaged files (many flipped bits), full disks, failing calls
#   slurm      the rest of ctest's label "long": on a real Slurm
#   fuzz       every fuzz target for 20 minutes
#   asan       all tests under address and undefined-behaviour sanitizers
#   precision  what reduced precisions lose
# Logs are in build/campaign/. Ends with a table, and with 1 when a part has failed. A part that is
# SKIPPED has left something out, as its log says: a Slurm or clang that is not there.
# shellcheck disable=SC2317  # parts are called by their names
set -uo pipefail
# shellcheck disable=SC2034
extra_packages=(munge slurmctld slurmd slurm-client clang libclang-rt-dev llvm)
# shellcheck source=jobs/setup.sh
source "$(dirname "${BASH_SOURCE[0]}")/../jobs/setup.sh"

long() { ctest --test-dir build/release -L '^long$' --output-on-failure "$@"; }

kills() {
  local lines=$PWD/build/campaign/kills.jsonl code=0
  rm -f "$lines"
  NTK_CAMPAIGN_LOG=$lines long -R '^long_kills' || code=$?
  .venv/bin/python tests/app/kill_table.py "$lines"
  return "$code"
}
faults() { long -R '^long_faults' -V; }
slurm() { long -E '^long_(kills|faults)'; }
fuzz() { tests/fuzz/run.sh 1200; }
asan() {
  cmake --preset asan && cmake --build --preset asan -j "$cpus" &&
    ctest --test-dir build/asan -LE 'gpu|long|fuzz' --output-on-failure -j "$cpus"
}
precision() { tests/precision_campaign.sh; }

all=(kills faults slurm fuzz asan precision)
parts=("${@:-${all[@]}}")
for part in "${parts[@]}"; do
  [[ " ${all[*]} " == *" $part "* ]] ||
    { echo "no part \"$part\" (there are ${all[*]}) name some of them, or none for all" >&2; exit 2; }
done

say "building"
cmake --build --preset release -j "$cpus" --target all benchmarks || exit
mkdir -p build/campaign
table=() failed=0
for part in "${parts[@]}"; do
  say "$part"
  start=$SECONDS
  "$part" 2>&1 | tee "build/campaign/$part.log"
  if [[ ${PIPESTATUS[0]} -ne 0 ]]; then
    outcome=FAILED failed=1
  elif grep -qE '\*\*\*Skipped|\(skipped=|are skipped' "build/campaign/$part.log"; then
    outcome=SKIPPED
  else
    outcome=good
  fi
  table+=("$(printf '%-12s%-8s%6.1f min' "$part" "$outcome" \
    "$((10 * (SECONDS - start) / 60))e-1")")
done
say "campaign"
printf '%s\n' "${table[@]}"
exit "$failed"
