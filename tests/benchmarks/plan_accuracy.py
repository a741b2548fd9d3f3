"""What `ntk plan` says against what `ntk kernel` then does, on real weights and text:

    .venv/bin/python tests/benchmarks/plan_accuracy.py [--samples 512 1024 2048] [--ranks 1 2]

Runs the kernel stage of jobs/movies.toml (after jobs/quickstart.sh, which fetches model and data) for
every number of samples and ranks, each planned immediately before, and prints the relative deviations
of the plan. On an idle machine: rates are measured. One rank has all CPUs, two share them. Exits with 1
where a deviation is beyond what docs/planning.md promises."""

import argparse
import json
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parents[2]
PROGRAM = os.environ.get("NTK_PROGRAM", str(ROOT / "build/release/ntk"))
MPIRUN = os.environ.get("NTK_MPIRUN", "mpirun")
PROMISED = {"operations": 0.02, "file": 0.02, "memory": 0.20, "seconds": 0.30}


def run(words):
    result = subprocess.run(words, cwd=ROOT, capture_output=True, text=True)
    if result.returncode:
        sys.exit(f"{' '.join(words)} ended with {result.returncode}:\n"
                 f"{result.stdout}{result.stderr}")
    return result.stdout


def compare(job, samples, ranks, directory, more):
    sets = ["--set", f'run.directory="{directory}"', "--set", f"data.samples={samples}", *more]
    plan = json.loads(run([PROGRAM, "plan", job, "--ranks", str(ranks), "--json", *sets]))
    launch = [MPIRUN, "--bind-to", "none", "-n", str(ranks)] if ranks > 1 else []
    run([*launch, PROGRAM, "kernel", job, *sets])
    done = json.loads((directory / "summary.json").read_text())
    planned, kernel = plan["kernel"], done["kernel"]
    seconds = planned["seconds"]
    return {
        "operations": (planned["operations"]["useful"], kernel["useful_operations"]),
        "file": (planned["files"]["kernel_bytes"], (directory / "kernel.h5").stat().st_size),
        "memory": (planned["memory"]["host_gib"], kernel["peak_memory_gib"]),
        "seconds": (seconds["kernel"], done["timings"]["kernel"]),
        "with set-up": (seconds["total"], done["timings"]["kernel_with_setup"]),
        "GEMM a rank": (planned["rates"]["gemm"], kernel["gemm_rate"] / ranks),
    }


def main():
    options = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    options.add_argument("--samples", type=int, nargs="+", default=[512, 1024, 2048])
    options.add_argument("--ranks", type=int, nargs="+", default=[1, 2])
    options.add_argument("--job", default="jobs/movies.toml")
    options.add_argument("--set", action="append", default=[], help="section.key=value")
    given = options.parse_args()
    more = [word for value in given.set for word in ("--set", value)]
    failed = False
    print(f"{'N':>6}{'ranks':>6}  {'':12}{'planned':>12}{'measured':>12}{'deviation':>11}")
    for samples in given.samples:
        for ranks in given.ranks:
            scratch = pathlib.Path(tempfile.mkdtemp(prefix="ntk-plan-"))
            try:
                found = compare(given.job, samples, ranks, scratch, more)
            finally:
                shutil.rmtree(scratch)
            for what, (planned, measured) in found.items():
                deviation = planned / measured - 1
                bad = abs(deviation) > PROMISED.get(what, 1e9)
                failed = failed or bad
                print(f"{samples:6}{ranks:6}  {what:12}{planned:12.4g}{measured:12.4g}"
                      f"{deviation:+10.1%}{' !' if bad else ''}", flush=True)
    sys.exit(failed)


if __name__ == "__main__":
    main()
