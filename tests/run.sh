#!/usr/bin/env bash
# Installs what is missing, builds everything and runs all tests. Needs no data and no model: tests
# make their own. The exit code is that of the tests. tests/campaign.sh has those that take long.
set -euo pipefail
# shellcheck source=jobs/setup.sh
source "$(dirname "${BASH_SOURCE[0]}")/../jobs/setup.sh"

say "building"
cmake --build --preset release -j "$cpus"

say "testing"
ctest --test-dir build/release -LE '^long$' --output-on-failure -j "$cpus"
