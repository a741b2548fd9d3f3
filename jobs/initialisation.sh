#!/usr/bin/env bash
# What do pretrained weights do to the kernel? The same data and head on three kinds of body:
# pretrained, random, and mixed: pretrained with its last layers drawn anew.
#
#     jobs/initialisation.sh [--directory DIR] [--layers M] [--set section.key=value ...]
#
# Writes DIR/pretrained, DIR/random and DIR/mixed (runs/initialisation; M = 2 layers drawn anew), then
# DIR/comparison: comparison.md, units.tsv and figures. What is complete is not done again.
#
# How to read it: `spectrum` and `decay` of the three, in the lines that each run prints and in its
# theory.json; `labels` has the norm of the target. In comparison.md the measured learning curves. A
# kernel that decays faster need not learn faster: what counts is where the target lies.
set -euo pipefail
directory=runs/initialisation layers=2 settings=()
while [[ $# -gt 0 ]]; do
  case $1 in
    --directory) directory=$2 ;;
    --layers) layers=$2 ;;
    --set) settings+=(--set "$2") ;;
    *) echo "unknown option $1 (the first lines of this script list them) correct it" >&2; exit 2 ;;
  esac
  shift 2
done
# shellcheck source=jobs/study.sh
source "$(dirname "${BASH_SOURCE[0]}")/study.sh"

for kind in pretrained random mixed; do
  own=(--set "model.initialisation=$kind")
  [[ $kind != mixed ]] || own+=(--set "model.reinitialised_layers=$layers")
  run_job jobs/initialisation.toml "$directory/$kind" "${own[@]}" "${settings[@]}"
done
compare "$directory/comparison" "$directory"/{pretrained,random,mixed}
