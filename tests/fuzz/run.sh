#!/usr/bin/env bash
# run.sh [SECONDS [TARGET...]]: builds the fuzz targets (preset fuzz) and runs each for SECONDS (5)
# over its seeds. Fails when one has not run, or has a finding; the inputs are then in
# build/fuzz/findings/. What HDF5 itself does wrong with a damaged file is counted, not a failure
# (docs/reliability.md).
# FUZZ_CORPUS=FOLDER keeps the inputs that reach new code there, for the next run.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
seconds=${1:-5}
targets=("${@:2}")
[[ ${#targets[@]} -gt 0 ]] || targets=(safetensors config job data kernel resume spectrum)

if ! clang++ -fsanitize=fuzzer,address -x c++ - -o /dev/null 2>/dev/null <<<'
    extern "C" int LLVMFuzzerTestOneInput(const unsigned char*, unsigned long) { return 0; }'; then
  echo "fuzz targets are skipped: clang++ with libFuzzer is missing" \
    "(apt-get install clang libclang-rt-dev llvm)"
  exit 0
fi
mkdir -p build/fuzz
if ! { cmake --preset fuzz && cmake --build --preset fuzz -j "$(nproc)"; } \
  >build/fuzz/build.log 2>&1; then
  tail -n 40 build/fuzz/build.log >&2
  exit 1
fi

# Every input is written to a file: in memory, where that is possible.
scratch=$(mktemp -d -p /dev/shm 2>/dev/null || mktemp -d)
trap 'rm -rf "$scratch"' EXIT
export TMPDIR=$scratch
# malloc returns null for what no machine has, as it does otherwise. MPI and HDF5 leave things
# behind at the end.
export ASAN_OPTIONS=detect_leaks=0:allocator_may_return_null=1
export OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1
export OMPI_MCA_btl=self  # no shared memory, which a killed process would leave behind

# rerun REPORT PROGRAM INPUT OPTION...: once more, by itself.
rerun() { timeout 60 "$2" "${@:4}" "$3" >"$1" 2>&1; }

# fuzz TARGET: says how it went, fails with a finding.
fuzz() {
  local target=$1 code=0 found=0 ours=0 alone=0 bad=0 input culprit reached name
  local program=build/fuzz/tests/fuzz/fuzz_$target seeds=tests/fuzz/seeds/$target
  local corpus=${FUZZ_CORPUS:-$scratch/corpus}/$target findings=build/fuzz/findings/$target
  local log=build/fuzz/$target.log part=$scratch/$target.log report=$scratch/$target.report
  rm -rf "$findings"
  mkdir -p "$corpus" "$findings"
  local dictionary=tests/fuzz/$target.dict
  local limits=(-timeout=5 -rss_limit_mb=2048 -malloc_limit_mb=64) mode=()
  # Those that read HDF5 run in processes of their own that may die, and go on.
  if [[ ! -e $dictionary ]]; then
    dictionary=tests/fuzz/hdf5.dict
    limits=(-timeout=5 -rss_limit_mb=2048 -malloc_limit_mb=128)  # deflate unpacks 1000 times
    mode=(-fork=1 -ignore_crashes=1 -ignore_timeouts=1 -ignore_ooms=1)
  fi
  if ! "$program" "${limits[@]}" "$seeds"/* >"$log" 2>&1; then
    tail -n 40 "$log"
    echo "$target: its seeds are a finding"
    return 1
  fi
  "$program" "${limits[@]}" "${mode[@]}" -max_total_time="$seconds" -max_len=65536 \
    -dict="$dictionary" -close_fd_mask=1 -artifact_prefix="$findings/" "$corpus" "$seeds" \
    >"$part" 2>&1 || code=$?
  cat "$part" >>"$log"

  declare -A library=()
  for input in "$findings"/{crash,timeout,oom}-*; do
    [[ -e $input ]] || continue
    found=$((found + 1))
    # A large allocation shows its stack only where no other limit comes first.
    if [[ $input == */oom-* ]] &&
      ! rerun "$report" "$program" "$input" "${limits[@]}" -rss_limit_mb=0 -timeout=0 ||
      ! rerun "$report" "$program" "$input" "${limits[@]}"; then
      culprit=$(python3 tests/fuzz/culprit.py <"$report")
    elif [[ ${#mode[@]} -gt 0 ]]; then
      alone=$((alone + 1))  # HDF5 had damaged memory with an earlier input of its process
      continue
    else
      culprit=ours  # there is nobody else
      cp "$log" "$report"
    fi
    if [[ $culprit == ours ]]; then
      ours=$((ours + 1))
      tail -n 60 "$report"
    else
      library[$culprit]=$((${library[$culprit]:-0} + 1))
      rm "$input"
    fi
  done
  reached=$(LC_ALL=C sed -nE \
    's/^#([0-9]+).* cov: ([0-9]+) ft: ([0-9]+).*/\1 inputs, \2 edges, \3 features/p' "$part" |
    tail -n 1)
  if [[ -z $reached || ($code -ne 0 && $found -eq 0) ]]; then
    tail -n 40 "$log"
    reached="${reached:-has not run}, exit code $code" bad=1
  fi
  printf '%-12s %s, %s findings' "$target" "$reached" "$ours"
  for name in "${!library[@]}"; do printf ', %s in %s' "${library[$name]}" "$name"; done
  [[ $alone -eq 0 ]] || printf ', %s not by themselves' "$alone"
  printf '\n'
  [[ $bad -eq 0 && $ours -eq 0 ]]
}

# As many at once as there are CPUs; what they say in their order.
failed=0 running=()
finish() {  # the first that runs
  wait "${running[0]}" || failed=$((failed + 1))
  cat "$scratch/${targets[next]}.said"
  running=("${running[@]:1}") next=$((next + 1))
}
next=0
for target in "${targets[@]}"; do
  [[ ${#running[@]} -lt $(nproc) ]] || finish
  fuzz "$target" >"$scratch/$target.said" 2>&1 &
  running+=($!)
done
while [[ ${#running[@]} -gt 0 ]]; do finish; done
[[ $failed -eq 0 ]]
