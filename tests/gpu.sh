#!/usr/bin/env bash
# Everything that needs a GPU, in calls of under 10 minutes that end with one table.
#
#   tests/gpu.sh --pack [FILE]             programs and libraries for another machine, as .tar.xz
#   tests/gpu.sh test                      the tests that need a GPU (ctest's label gpu)
#   tests/gpu.sh sanitize [TOOL ...]       the same under compute-sanitizer
#   tests/gpu.sh bench [rates | minilm [PATTERN ...] | stage [PATTERN ...]]
#
# FILE (default build/ntkspectra-gpu.tar.xz) unpacks to a folder with this script in it, which runs
# there as it does here. That machine needs a CUDA runtime of the same major version with cuBLAS;
# sanitize needs compute-sanitizer, bench Python 3. Here programs come from build/gpu-pack, which
# --pack makes, or from NTK_GPU_BUILD. NTK_GPU_SECONDS (570) bounds a call; logs and figures go to
# NTK_GPU_RESULTS (gpu-results beside the programs). NTK_GPU_DEVICE=cpu goes through the motions
# on a CPU, to test this script.
# Exit status: 0 all passed, 1 something failed or had no time, 2 usage, 77 no GPU.
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
limit=${NTK_GPU_SECONDS:-570} device=${NTK_GPU_DEVICE:-cuda}
if [[ -d $here/bin ]]; then  # unpacked
  bin=$here/bin tests=$here/bin benchmarks=$here/bin fixtures=$here/fixtures
  mapfile -t modules < <(basename -as _tests "$here"/bin/*_tests)
  libraries=$here/lib
  work=$here/gpu-results
  export OPAL_PREFIX=$here/mpi OPAL_PKGLIBDIR=$here/mpi/plugins OPAL_PKGDATADIR=$here/mpi/share
  export OMPI_MCA_ess_singleton_isolated=1  # one process needs no daemon, and none is packed
  export HWLOC_PLUGINS_PATH=$here/mpi/none  # those of the system belong to its own hwloc
else
  bin=$(realpath -m "${NTK_GPU_BUILD:-$here/../build/gpu-pack}")
  tests=$bin/tests benchmarks=$bin/tests/benchmarks fixtures=$here/fixtures
  read -ra modules < <(sed -n 's/^set(NTK_GPU_MODULES \(.*\))$/\1/p' "$here/CMakeLists.txt")
  libraries=''
  work=$bin/gpu-results
fi
work=${NTK_GPU_RESULTS:-$work}
with=()  # how programs are started
rows=() failures=0

usage() {
  sed -n '3,7s/^# \{0,1\}//p' "${BASH_SOURCE[0]}" >&2
  exit 2
}

left() { echo $((limit - SECONDS)); }

# Roots of CUDA's, and folders that may hold its libraries, one a line.
cuda_roots() {
  local root nvcc
  for root in "${CUDA_HOME:-}" "${CUDA_PATH:-}" /usr/local/cuda /usr/local/cuda-*; do
    if [[ -d $root ]]; then echo "$root"; fi
  done
  if nvcc=$(command -v nvcc); then dirname "$(dirname "$(readlink -f "$nvcc")")"; fi
}
cuda_folders() {
  local root
  while read -r root; do
    printf '%s\n' "$root"/{lib64,lib,targets/x86_64-linux/lib}
  done < <(cuda_roots)
  while read -r root; do  # pip's packages
    printf '%s\n' "$root"/*/lib
  done < <(python3 -c 'import nvidia; print("\n".join(nvidia.__path__))' 2>/dev/null)
}

missing() { LD_LIBRARY_PATH=$libraries ldd "$bin/ntk" | awk '/not found/ {print $1}' | sort -u; }

# Ours come first, then what the caller has set, then wherever CUDA's are.
find_libraries() {
  local folder name
  libraries=$libraries:${LD_LIBRARY_PATH:-}
  libraries=${libraries#:}
  libraries=${libraries%:}
  while read -r folder; do
    for name in $(missing); do
      [[ -e $folder/$name ]] || continue
      libraries=${libraries:+$libraries:}$folder
      break
    done
  done < <(cuda_folders)
  with=(env "LD_LIBRARY_PATH=$libraries")
  name=$(missing | paste -sd ' ')
  if [[ -n $name ]]; then
    echo "no GPU: libraries are missing: $name (set CUDA_HOME or LD_LIBRARY_PATH)"
    exit 77
  fi
}

# Ends the script where there is no GPU; $gpu describes it otherwise.
prepare() {
  local status=0
  if [[ ! -x $bin/ntk || ! -x $benchmarks/device_rates ]]; then
    echo "$bin has no programs: make them (cmake --build build/release --target all benchmarks, or" \
      "tests/gpu.sh --pack for another machine), or set NTK_GPU_BUILD" >&2
    exit 2
  fi
  find_libraries
  export OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1 NTK_FIXTURES=$fixtures
  export OMPI_MCA_btl_vader_single_copy_mechanism=none
  gpu=$("${with[@]}" "$benchmarks/device_rates" --find --device "$device" 2>&1) || status=$?
  if [[ $status -ne 0 ]]; then
    echo "$gpu"
    exit $((status == 77 ? 77 : 1))
  fi
  mkdir -p "$work"
  filter='*cuda*'
  [[ $device == cuda ]] || filter='-*cuda*'
}

# part NAME LOG COMMAND...: runs one part for as long as there is time, and keeps its row.
part() {
  local name=$1 log=$work/$2.log start=$SECONDS status=0 result=passed note=''
  shift 2
  rm -f "$log"
  if [[ $(left) -lt 5 ]]; then
    result='FAILED: no time left'
  else
    printf '== %s\n' "$name" >&2
    timeout -k 5 "$(left)" "$@" >"$log" 2>&1 || status=$?
    case $status in
      0) ;;
      124 | 137) result='FAILED: out of time' ;;
      *) result="FAILED: exit $status" ;;
    esac
    note=$(awk '/^\[  PASSED  \]/ {p = $4} /^\[  SKIPPED \] [0-9]+ test/ {s = $4}
      /^\[  FAILED  \] [0-9]+ test/ {f = $4} /^========= .*SUMMARY/ {e = substr($0, 11)}
      END {if (p != "" || f) printf "%d passed, %d failed, %d skipped; ", p, f, s; print e}' "$log")
    [[ -n $note ]] || note=$(tail -n 1 "$log" | cut -c 1-90)
  fi
  if [[ $result != passed ]]; then
    failures=$((failures + 1))
    if [[ -n $note ]]; then tail -n 25 "$log" >&2; fi
  fi
  rows+=("| $name | $result | $((SECONDS - start)) | ${note%; } |")
}

show() { if [[ -e $work/$1.log ]]; then cat "$work/$1.log"; fi; }

table() {
  printf '\n%s, %s\n\n| part | result | s | |\n|---|---|---|---|\n' "$(date -u +%F)" "$gpu"
  printf '%s\n' "${rows[@]}"
  printf '\n%s of %s failed, %s s; logs in %s\n' "$failures" "${#rows[@]}" "$SECONDS" "$work"
  [[ $failures -eq 0 ]]
}

run_tests() {
  local module
  for module in "${modules[@]}"; do
    part "$module" "test-$module" "${with[@]}" "$tests/${module}_tests" \
      --gtest_filter="$filter" --gtest_brief=1
  done
  table
}

run_sanitizers() {
  local tool module sanitizer='' root candidate
  sanitizer=$(command -v compute-sanitizer) || while read -r root; do
    for candidate in "$root"/{bin,compute-sanitizer}/compute-sanitizer; do
      if [[ -x $candidate ]]; then sanitizer=$candidate; fi
    done
  done < <(cuda_roots)
  if [[ -z $sanitizer ]]; then
    echo 'compute-sanitizer is not installed: nothing was checked' >&2
    exit 2
  fi
  [[ $# -gt 0 ]] || set -- memcheck racecheck initcheck
  for tool; do
    for module in "${modules[@]}"; do
      part "$tool $module" "$tool-$module" "${with[@]}" "$sanitizer" --tool "$tool" \
        --error-exitcode 1 "$tests/${module}_tests" --gtest_filter="$filter" --gtest_brief=1
    done
  done
  table
}

rates() {
  local precision precisions='fp32 tf32 bf16x3 bf16x2 fp64' small=()
  [[ $device == cuda ]] || precisions='fp32 fp64' small=(--small --panels '2,3')
  for precision in $precisions; do
    part "rates $precision" "rates-$precision" "${with[@]}" "$benchmarks/device_rates" \
      --device "$device" --precision "$precision" --json "$work/rates-$precision.json" \
      ${small[@]+"${small[@]}"}
    show "rates-$precision" | sed 1d
  done
}

stage() {  # WHAT [PATTERN ...]
  local what=$1
  shift
  part "$what" "$what" python3 "$here/benchmarks/gpu/stage.py" "$what" --program "$bin/ntk" \
    --study "$benchmarks/random_study" --scratch "$scratch" --results "$work/$what.json" \
    --seconds $(($(left) - 10)) --device "$device" --library-path "$libraries" \
    --identity "$gpu, $commit" ${1:+--only "$@"}
  printf '\n'
  show "$what"
}

run_benchmarks() {
  local what=${1:-all} driver
  [[ $# -eq 0 ]] || shift
  driver=$(nvidia-smi --query-gpu=driver_version --format=csv,noheader 2>/dev/null | head -n 1) ||
    driver=unknown
  commit=$("${with[@]}" "$bin/ntk" version | grep '^git:')
  printf '%s, %s, driver %s, %s: tests/gpu.sh bench %s\n' "$(date -u +%F)" "$gpu" "$driver" \
    "$commit" "$what $*"
  scratch=$(mktemp -d)
  trap 'rm -rf "$scratch"' EXIT
  case $what in
    rates) rates ;;
    stage | minilm) stage "$what" "$@" ;;
    all) rates && stage minilm && stage stage ;;
    *) usage ;;
  esac
  table
}

case ${1:-} in
  --pack) exec bash "$here/benchmarks/gpu/pack.sh" "${@:2}" ;;
  test) prepare && run_tests ;;
  sanitize) prepare && run_sanitizers "${@:2}" ;;
  bench) prepare && run_benchmarks "${@:2}" ;;
  *) usage ;;
esac
