#!/usr/bin/env bash
# Share and floor ratio of the kernel stage: default model, 1,024 movie snippets, two outputs, two
# ranks of one thread each. Usage: tests/benchmarks/kernel_stage.sh [--set section.key=value ...]
# Needs a release build and the default model and data (jobs/quickstart.sh makes all of them), and
# an idle machine. NTK, PYTHON, RANKS, SAMPLES and RUN may be set in the environment.
set -euo pipefail
cd "$(dirname "$0")/../.."
ntk=${NTK:-build/release/ntk} python=${PYTHON:-.venv/bin/python} run=${RUN:-runs/kernel-stage}

if [ ! -f data/movies-binary.h5 ]; then
    "$python" tests/benchmarks/make_binary.py data/movies.h5 data/movies-binary.h5
fi
rm -rf "$run"
mkdir -p "$run"
job=$run.toml
cat > "$job" <<END
[run]
directory = "$run"
threads = 1
[model]
path = "models/all-MiniLM-L6-v2"
pooling = "cls"
[data]
train = "data/movies-binary.h5"
evaluate = []
samples = ${SAMPLES:-1024}
[kernel]
outputs = "logits"
precision = "fp32"
device = "cpu"
groups = "split"
END
if [ "$(id -u)" = 0 ]; then
    export OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1
fi
mpirun -n "${RANKS:-2}" --bind-to none --oversubscribe "$ntk" kernel "$job" "$@"

"$python" - "$run/summary.json" <<'END'
import json
import sys

WANTED = ("kernel", "share", "floor", "floor_ratio", "gemm_rate", "peak_memory_gib")


def leaves(value, path=""):
    if isinstance(value, dict):
        for key, inner in value.items():
            yield from leaves(inner, f"{path}.{key}" if path else key)
    else:
        yield path, value


found = {p: v for p, v in leaves(json.load(open(sys.argv[1]))) if p.split(".")[-1] in WANTED}
for path, value in found.items():
    print(f"{path:40s} {value}")
missing = {"share", "floor_ratio"} - {path.split(".")[-1] for path in found}
sys.exit(f"summary.json lacks {sorted(missing)}" if missing else 0)
END
