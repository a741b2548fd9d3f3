#!/usr/bin/env bash
# From a fresh clone to the eNTK spectrum of a real model on real text: installs what is missing,
# builds, fetches the default model and data set, runs jobs/movies.toml. A repeat does no work
# twice.
set -euo pipefail
start=$SECONDS
# shellcheck source=jobs/study.sh
source "$(dirname "${BASH_SOURCE[0]}")/study.sh"

job=jobs/movies.toml
say "running $job on $ranks rank(s)"
run_start=$SECONDS
mpirun -n "$ranks" "${placement[@]}" "$program" run "$job"
run_time=$((SECONDS - run_start))

directory=$(sed -n 's/^directory *= *"\(.*\)".*/\1/p' "$job")
say "report"
PYTHONPATH=analysis .venv/bin/python -m ntkspectra.report.command "$directory"
say "done in $((SECONDS - start)) s, $run_time s of them the run; results are in $directory"
find "$directory" -type f -not -name '.*' -printf '%10s bytes  %p\n' | sort -k3
