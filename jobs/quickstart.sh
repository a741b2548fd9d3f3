#!/usr/bin/env bash
# From a fresh clone to the eNTK spectrum of a real model on real text: installs what is missing,
# builds, fetches the default model and data set, runs jobs/movies.toml. A repeat does no work
# twice.
set -euo pipefail
start=$SECONDS
# shellcheck source=jobs/setup.sh
source "$(dirname "${BASH_SOURCE[0]}")/setup.sh"

say "building"
cmake --build --preset release -j "$cpus" --target ntk

say "model and data"
.venv/bin/python jobs/default_data.py

# Two ranks where there are two processors. Open MPI counts cores, so where both are hardware
# threads of one core it has to be told that they count.
ranks=1 placement=()
if [[ $cpus -ge 2 ]]; then
  ranks=2
  [[ $(lscpu -p=CORE,SOCKET | grep -v '^#' | sort -u | wc -l) != 1 ]] ||
    placement=(--use-hwthread-cpus)
fi
# A rank computes on a GPU of its own where the program finds one.
if ! build/release/ntk version | grep -q '^cuda: none' && nvidia-smi -L 2>/dev/null | grep -q GPU; then
  ranks=1 placement=()
fi
job=jobs/movies.toml
say "running $job on $ranks rank(s)"
run_start=$SECONDS
mpirun -n "$ranks" "${placement[@]}" build/release/ntk run "$job"
run_time=$((SECONDS - run_start))

directory=$(sed -n 's/^directory *= *"\(.*\)".*/\1/p' "$job")
say "report"
PYTHONPATH=analysis .venv/bin/python -m ntkspectra.report.command "$directory"
say "done in $((SECONDS - start)) s, $run_time s of them the run; results are in $directory"
find "$directory" -type f -printf '%10s bytes  %p\n' | sort -k3
