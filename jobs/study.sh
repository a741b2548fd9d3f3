# shellcheck shell=bash
# What the scripts that run jobs share; sourced, never run. Installs and builds what is missing, makes
# the default model and data, decides how many ranks jobs have here. Leaves the shell in the
# repository's root. With NTK_PROGRAM=FILE that program is used, and all of it is there already
# (NTK_PYTHON: the Python to use, if not that of .venv).

program=${NTK_PROGRAM:+$(realpath "$NTK_PROGRAM")}
cd "$(dirname "${BASH_SOURCE[0]}")/.." || exit
python=${NTK_PYTHON:-.venv/bin/python} ranks=1 placement=()
say() { printf '\n== %s\n' "$*"; }
if [[ -z $program ]]; then
  # shellcheck source=jobs/setup.sh
  source jobs/setup.sh
  program=build/release/ntk
  say "building"
  cmake --build --preset release -j "$cpus" --target ntk
  say "model and data"
  $python jobs/default_data.py

  # Two ranks where there are two processors. Open MPI counts cores, so where both are hardware
  # threads of one core it has to be told that they count.
  if [[ $cpus -ge 2 ]]; then
    ranks=2
    [[ $(lscpu -p=CORE,SOCKET | grep -v '^#' | sort -u | wc -l) != 1 ]] ||
      placement=(--use-hwthread-cpus)
  fi
  # A rank computes on a GPU of its own where the program finds one.
  if ! "$program" version | grep -q '^cuda: none' && nvidia-smi -L 2>/dev/null | grep -q GPU; then
    ranks=1 placement=()
  fi
fi

# run_job JOB DIRECTORY [--set section.key=value ...]: all stages; what is complete is not done again.
run_job() {
  local job=$1 directory=$2
  shift 2
  say "running $job in $directory on $ranks rank(s)"
  mpirun -n "$ranks" "${placement[@]}" "$program" run "$job" --set "run.directory=$directory" "$@"
}

# compare FOLDER RUN...: comparison.md, units.tsv and figures of several run directories.
compare() {
  local folder=$1
  shift
  say "comparing $# run(s)"
  PYTHONPATH=analysis $python -m ntkspectra.compare.command -o "$folder" "$@"
}
