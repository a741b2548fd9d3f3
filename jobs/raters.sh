#!/usr/bin/env bash
# How well do a kernel and its labels predict a learning curve, and does stopping early matter, when
# the noise of the labels is known? Movie snippets that some twenty people rated each: labels are means
# over 1, 2, 4 or 7 of them, the truth is judged by all others. docs/studies/raters.md has the design.
#
#     jobs/raters.sh [--small] [--poolings "cls mean"] [--heads "1 2 3 probe"] [--directory DIR]
#                    [--rows N] [--draw blocks|rows] [--table FILE] [--set section.key=value ...]
#
#   --heads      numbers are seeds of random heads, `probe` is a fitted one ("1")
#   --poolings   cls, mean ("cls")
#   --rows       how many movie snippets (3120)
#   --draw       blocks: whole rating blocks, drawn at random, until they have so many rows;
#                rows: single rows of all blocks ("blocks")
#   --small      a trial of a few minutes: 390 rows, small training sets, 4 seeds
#   --table      the ratings (data/movies_raters.tsv)
#   --directory  where it is written (runs/raters)
#
# Writes DIR/movies.h5, a run directory DIR/POOLING-HEAD for each pooling and head, and DIR/comparison
# (comparison.md, units.tsv, figures). Every step can be stopped and goes on with the same command:
# what is complete is not done again. More heads and poolings come on top of those that are there.
set -euo pipefail
directory=runs/raters table=data/movies_raters.tsv rows=3120 small=0 draw=blocks settings=()
read -ra poolings <<<cls
read -ra heads <<<1
while [[ $# -gt 0 ]]; do
  case $1 in
    --small) small=1; shift; continue ;;
    --poolings) read -ra poolings <<<"$2" ;;
    --heads) read -ra heads <<<"$2" ;;
    --directory) directory=$2 ;;
    --rows) rows=$2 ;;
    --draw) draw=$2 ;;
    --table) table=$2 ;;
    --set) settings+=(--set "$2") ;;
    *) echo "unknown option $1 (the first lines of this script list them) correct it" >&2; exit 2 ;;
  esac
  shift 2
done
if [[ $small == 1 ]]; then
  [[ $rows != 3120 ]] || rows=390
  settings=(--set theory.test_samples=120 --set "theory.sizes=[30,60,120]" --set theory.seeds=4
    --set data.evaluate_samples=64 "${settings[@]}")
fi
if [[ $draw == rows ]]; then
  settings=(--set "data.samples=$rows" "${settings[@]}")
elif [[ $draw != blocks ]]; then
  echo "--draw $draw is not understood (it is blocks or rows) correct it" >&2
  exit 2
fi
# shellcheck source=jobs/study.sh
source "$(dirname "${BASH_SOURCE[0]}")/study.sh"

mkdir -p "$directory"
model=$("$program" job jobs/raters.toml "${settings[@]}" --get model.path)
say "data: $rows rows of $table, drawn by $draw"
whole=()
[[ $draw == rows ]] || whole=(--sample-groups "$rows")
# Made anew each time: equal input makes an equal file, which the kernels go by.
$python jobs/prepare_data.py --input "$table" --text text --target q1,q2,q4,q7 \
  --model "$model" \
  --noise-variance noise_q1,noise_q2,noise_q4,noise_q7 --reference reference \
  --reference-variance reference_variance --group group "${whole[@]}" -o "$directory/movies.h5"

runs=()
for pooling in "${poolings[@]}"; do
  for head in "${heads[@]}"; do
    own=(--set model.head=random --set "model.head_seed=$head")
    [[ $head != probe ]] || own=(--set model.head=probe)
    runs+=("$directory/$pooling-$head")
    run_job jobs/raters.toml "${runs[-1]}" --set "data.train=$directory/movies.h5" \
      --set "model.pooling=$pooling" "${own[@]}" "${settings[@]}"
  done
done
compare "$directory/comparison" "${runs[@]}"
cat "$directory/comparison/comparison.md"
