#!/usr/bin/env bash
# Installs what is missing, builds everything and runs all tests. Needs no data and no model: tests
# make their own. The exit code is that of the tests.
set -euo pipefail
# What tests alone need: fuzz targets are built with clang.
test_packages=(clang libclang-rt-dev llvm)
# shellcheck source=jobs/setup.sh
source "$(dirname "${BASH_SOURCE[0]}")/../jobs/setup.sh" "${test_packages[@]}"

say "building"
cmake --build --preset release -j "$cpus"

say "testing"
ctest --test-dir build/release --output-on-failure -j "$cpus"
