#!/usr/bin/env bash
# Installs what is missing, builds everything and runs all tests. Needs no data and no model: tests
# make their own. The exit code is that of the tests. Tests that take long (ctest label long) are in
# tests/campaign.sh.
set -euo pipefail
# A Slurm for the tests that submit jobs, clang for the fuzz targets; both are skipped where they are
# missing.
# shellcheck disable=SC2034
extra_packages=(munge slurmctld slurmd slurm-client clang libclang-rt-dev llvm)
# shellcheck source=jobs/setup.sh
source "$(dirname "${BASH_SOURCE[0]}")/../jobs/setup.sh"

say "building"
cmake --build --preset release -j "$cpus"

say "testing"
ctest --test-dir build/release --output-on-failure -j "$cpus" -LE '^long$'
