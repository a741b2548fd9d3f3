#!/usr/bin/env bash
# What reduced precisions lose, emulated on this machine's CPUs: the table of docs/numerics.md
# ("Precisions"). Takes minutes, and no GPU. ./tests/run.sh has prepared the build.
#   tests/precision_campaign.sh [COLUMNS]     at most so many gradient columns of a shape
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
cmake --build --preset release --target precision_campaign >&2
date -u +%F
grep -m1 "model name" /proc/cpuinfo || uname -m
OPENBLAS_NUM_THREADS=1 exec build/release/tests/precision_campaign "$@"
