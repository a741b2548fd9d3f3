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

# Those that read HDF5 run in processes of their own that may die, and go on.
failed=0
for target in "${targets[@]}"; do
  program=build/fuzz/tests/fuzz/fuzz_$target
  seeds=tests/fuzz/seeds/$target
  corpus=${FUZZ_CORPUS:-$scratch/corpus}/$target
  findings=build/fuzz/findings/$target
  log=build/fuzz/$target.log
  rm -rf "$findings"
  mkdir -p "$corpus" "$findings"
  dictionary=tests/fuzz/$target.dict
  limits=(-timeout=5 -rss_limit_mb=2048 -malloc_limit_mb=64)
  mode=()
  if [[ ! -e $dictionary ]]; then
    dictionary=tests/fuzz/hdf5.dict
    limits=(-timeout=5 -rss_limit_mb=2048 -malloc_limit_mb=128)  # deflate unpacks 1000 times
    mode=(-fork=1 -ignore_crashes=1 -ignore_timeouts=1 -ignore_ooms=1)
  fi
  "$program" "${limits[@]}" "$seeds"/* >"$log" 2>&1 ||
    { tail -n 40 "$log" >&2 && echo "$target: its seeds are a finding" && exit 1; }
  "$program" "${limits[@]}" "${mode[@]}" -max_total_time="$seconds" -max_len=65536 \
    -dict="$dictionary" -close_fd_mask=1 -artifact_prefix="$findings/" "$corpus" "$seeds" \
    >"$scratch/log" 2>&1 && code=0 || code=$?
  cat "$scratch/log" >>"$log"

  declare -A library=()
  found=0 ours=0 alone=0
  for input in "$findings"/{crash,timeout,oom}-*; do
    [[ -e $input ]] || continue
    found=$((found + 1))
    if ! timeout 60 "$program" "${limits[@]}" "$input" >"$scratch/report" 2>&1; then
      culprit=$(python3 tests/fuzz/culprit.py <"$scratch/report")
    elif [[ ${#mode[@]} -gt 0 ]]; then
      alone=$((alone + 1))  # HDF5 had damaged memory with an earlier input of its process
      continue
    else
      culprit=ours  # there is nobody else
      cp "$log" "$scratch/report"
    fi
    if [[ $culprit == ours ]]; then
      ours=$((ours + 1))
      tail -n 60 "$scratch/report" >&2
    else
      library[$culprit]=$((${library[$culprit]:-0} + 1))
      rm "$input"
    fi
  done
  reached=$(LC_ALL=C sed -nE 's/^#([0-9]+).* cov: ([0-9]+) ft: ([0-9]+).*/\1 inputs, \2 edges, \3 features/p' \
    "$scratch/log" | tail -n 1)
  if [[ -z $reached || ($code -ne 0 && $found -eq 0) ]]; then
    tail -n 40 "$log" >&2
    reached="${reached:-has not run}, exit code $code"
    failed=$((failed + 1))
  fi
  printf '%-12s %s, %s findings' "$target" "$reached" "$ours"
  for name in "${!library[@]}"; do printf ', %s in %s' "${library[$name]}" "$name"; done
  [[ $alone -eq 0 ]] || printf ', %s not by themselves' "$alone"
  printf '\n'
  failed=$((failed + ours))
done
[[ $failed -eq 0 ]]
