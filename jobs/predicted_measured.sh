#!/usr/bin/env bash
# Do predictions rank the learning curves that are measured? Over many units: kernels of parameter
# groups and head scales (predicted_measured.toml), four domains of text, four doses of label noise.
#
#     jobs/predicted_measured.sh [--directory DIR] [--data "FILE ..."] [--set section.key=value ...]
#
# Writes DIR/NAME for each data file NAME.h5 (runs/predicted_measured and the four domains of the
# default data), then DIR/comparison: comparison.md, units.tsv, predicted_measured.png. What is
# complete is not done again, so the same command goes on where it was stopped.
#
# How to read it: the figure shows the measured slope of log risk on log n against the one predicted
# from the eigenvalues' decay alone (left) and by the plug-in curve, which sees the labels of the
# training rows too (right). On the diagonal predictions are right; a Spearman correlation near 1
# means that they rank kernels rightly even where they are biased. Intervals are 95 %, over training
# sets and groups of test rows.
set -euo pipefail
directory=runs/predicted_measured settings=()
data=(data/movies_raters.h5 data/tweets_raters.h5 data/amazon_raters.h5 data/nyt_raters.h5)
while [[ $# -gt 0 ]]; do
  case $1 in
    --directory) directory=$2 ;;
    --data) read -ra data <<<"$2" ;;
    --set) settings+=(--set "$2") ;;
    *) echo "unknown option $1 (the first lines of this script list them) correct it" >&2; exit 2 ;;
  esac
  shift 2
done
# shellcheck source=jobs/study.sh
source "$(dirname "${BASH_SOURCE[0]}")/study.sh"

runs=()
for file in "${data[@]}"; do
  runs+=("$directory/$(basename "$file" .h5)")
  run_job jobs/predicted_measured.toml "${runs[-1]}" --set "data.train=$file" "${settings[@]}"
done
compare "$directory/comparison" "${runs[@]}"
