#!/usr/bin/env bash
# Real runs beside simulated ones: the last table of docs/scaling.md. A MiniLM of random weights,
# samples of equal length, one thread a rank; each row is simulated at the GEMM rate, and with the
# seconds of storing a tile, that the real run measured.
# Needs a release build and an idle machine with as many cores as ranks. RANKS, SAMPLES, TOKENS,
# BUILD and RUN may be set in the environment.
set -euo pipefail
cd "$(dirname "$0")/../.."
build=${BUILD:-build/release} run=${RUN:-runs/scaling} samples=${SAMPLES:-1024} tokens=${TOKENS:-32}
python=${PYTHON:-.venv/bin/python}
programs=$build/tests/benchmarks

mkdir -p "$run"
"$programs/random_study" --shape minilm --model "$run/model" --data "$run/data.h5" \
    --samples "$samples" --tokens "$tokens"
cat > "$run/job.toml" <<END
[run]
directory = "$run/kernel"
threads = 1
[model]
path = "$run/model"
pooling = "cls"
[data]
train = "$run/data.h5"
evaluate = []
[kernel]
device = "cpu"
mirror = false
END
if [ "$(id -u)" = 0 ]; then
    export OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1
fi

echo "| ranks | GEMM rate of a rank | measured | efficiency | storing | simulated | efficiency | simulated / measured |"
echo "|---|---|---|---|---|---|---|---|"
for ranks in ${RANKS:-1 2 4 6}; do
    rm -rf "$run/kernel"
    mpirun -n "$ranks" --bind-to none --oversubscribe "$build/ntk" kernel "$run/job.toml" \
        > "$run/$ranks.log"
    "$python" - "$run/kernel/summary.json" "$programs/scaling" "$ranks" "$samples" "$tokens" <<'END'
import json
import subprocess
import sys

summary, program, ranks, samples, tokens = sys.argv[1:]
kernel = json.load(open(summary))["kernel"]
ranks = int(ranks)
wall, rate = kernel["timings"]["kernel"], kernel["gemm_rate"] / ranks
store = kernel["timings"]["ranks"]["store"]["mean"] * ranks / kernel["tiles"]
table = subprocess.run(
    [program, "--shape", "minilm", "--samples", samples, "--tokens", tokens, "--ranks", str(ranks),
     "--rate-gflops", str(rate / 1e9), "--spread", "0", "--setup", "0", "--take", "0",
     "--sync", str(store), "--disk-gb", "1e9"],
    check=True, capture_output=True, text=True).stdout
row = [cell.strip() for cell in table.splitlines()[-1].strip("|").split("|")]
simulated = float(row[7].split()[0])
print(f"| {ranks} | {rate / 1e9:.0f} GFLOP/s | {wall:.0f} s | {100 / kernel['floor_ratio']:.0f} % "
      f"| {100 * store * kernel['tiles'] / ranks / wall:.1f} % | {simulated:.0f} s | {row[8]} "
      f"| {simulated / wall:.2f} |", flush=True)
END
done
