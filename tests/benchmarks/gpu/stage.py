"""The whole kernel stage on models of random weights: a table for docs/performance.md.

Called by tests/gpu.sh. Runs what fits into --seconds, the most important first; results are kept
in --results, so that another call goes on. Needs Python 3 and nothing else.
"""

import argparse
import dataclasses
import fnmatch
import json
import os
import pathlib
import shutil
import subprocess
import sys
import time

# Millions of parameters in linear maps of the encoder, for estimates.
SIZES = {"bert-base": 85, "minilm": 10.6, "tiny": 0.02}
# TFLOP/s to expect until a run has measured them.
EXPECTED = {"tf32": 300, "bf16x3": 90, "bf16x2": 180, "fp32": 40, "fp64": 40}
# Times as fast as two CPU cores: what MiniLM has to reach.
SPEEDUPS = {"fp32": 120, "bf16x3": 250, "tf32": 500}
KINDS = ("forward", "backward", "form", "contract", "store")
MOST_FLOORS = 1.5  # what a run may take
ROUNDOFF = {"fp64": 2**-53, "fp32": 2**-24, "tf32": 2**-11, "bf16x2": 2**-16, "bf16x3": 2**-24}
CPU_SHARE = 0.8  # of the floor, which the two cores are taken to reach


@dataclasses.dataclass(frozen=True)
class Case:
    shape: str
    tokens: int
    samples: int
    precision: str
    device: str = "cuda"

    @property
    def name(self):
        on = "-cpu" if self.device == "cpu" else ""
        return f"{self.shape}-{self.tokens}-{self.samples}-{self.precision}{on}"

    def seconds(self, rates):
        """What it may take, to see whether there is time: products, writing, and the rest."""
        rows = 2 * self.samples
        operations = rows * rows * SIZES[self.shape] * 1e6 * (1 + 6 * self.tokens / rows)
        bytes_written = 3 * 2 * 8 * rows * rows
        return 1.6 * operations / rates[self.precision] / 1e12 + bytes_written / 0.3e9 + 15


def stage_cases():
    fast, all_three = ("tf32", "bf16x3"), ("tf32", "bf16x3", "fp32")
    groups = [(64, 4096, all_three), (64, 2048, all_three), (64, 8192, fast),
              (128, 4096, all_three), (128, 2048, all_three), (64, 4096, ("bf16x2",)),
              (64, 2048, ("bf16x2",)), (128, 4096, ("bf16x2",)), (128, 2048, ("bf16x2",))]
    return [Case("bert-base", t, n, p) for t, n, precisions in groups for p in precisions]


def minilm_cases():
    cpu = Case("minilm", 64, 128, "fp32", "cpu")
    return [cpu] + [Case("minilm", 64, 4096, p) for p in SPEEDUPS]


def cases_for(part, device):
    if device == "cpu":  # proves the script where there is no GPU
        cases = [Case("tiny", 8, n, "fp32", "cpu") for n in (48, 96)]
    else:
        cases = stage_cases() if part == "stage" else minilm_cases()
    return cases


def two_cores():
    """Two CPUs of this process that are not threads of one core, where there are such."""
    chosen, seen = [], set()
    mine = sorted(os.sched_getaffinity(0))
    for cpu in mine:
        topology = pathlib.Path(f"/sys/devices/system/cpu/cpu{cpu}/topology/thread_siblings_list")
        core = topology.read_text() if topology.exists() else str(cpu)
        if core not in seen:
            seen.add(core)
            chosen.append(cpu)
    return (chosen + [cpu for cpu in mine if cpu not in chosen])[:2]


class Runner:
    def __init__(self, arguments):
        self.arguments = arguments
        self.scratch = arguments.scratch
        self.end = time.monotonic() + arguments.seconds
        self.environment = dict(os.environ)
        if arguments.library_path:
            self.environment["LD_LIBRARY_PATH"] = arguments.library_path

    def left(self):
        return self.end - time.monotonic()

    def call(self, command, log, cpus=None):
        """Exit status; -1 when time ran out."""
        pin = (lambda: os.sched_setaffinity(0, cpus)) if cpus else None
        with open(log, "w") as to:
            try:
                return subprocess.run(command, env=self.environment, stdout=to, stderr=to,
                                      preexec_fn=pin, timeout=max(1, self.left())).returncode
            except subprocess.TimeoutExpired:
                return -1

    def study(self, case):
        """Model folder and data file of a case, made once."""
        model = self.scratch / case.shape
        data = self.scratch / f"{case.shape}-{case.tokens}-{case.samples}.h5"
        wanted = []
        if not (model / "config.json").exists():
            wanted += ["--model", model]
        if not data.exists():
            wanted += ["--data", data, "--samples", str(case.samples), "--tokens",
                       str(case.tokens)]
        if wanted:
            log = self.scratch / "study.log"
            status = self.call([self.arguments.study, "--shape", case.shape, *wanted], log)
            if status != 0:
                sys.exit(f"{self.arguments.study} failed:\n{log.read_text()}")
        return model, data

    def run(self, case):
        """The case's result: figures, or what went wrong."""
        model, data = self.study(case)
        directory = self.scratch / case.name
        shutil.rmtree(directory, ignore_errors=True)
        job = self.scratch / f"{case.name}.toml"
        two = case.device == "cpu" and case.shape == "minilm"
        job.write_text(f"""[run]
directory = {json.dumps(str(directory))}
threads = {2 if two else 0}
[model]
path = {json.dumps(str(model))}
pooling = "cls"
[data]
train = {json.dumps(str(data))}
evaluate = []
samples = 0
[kernel]
outputs = "logits"
groups = "split"
precision = "{case.precision}"
device = "{case.device}"
""")
        log = self.scratch / f"{case.name}.log"
        start = time.monotonic()
        cpus = two_cores() if two else None
        status = self.call([self.arguments.program, "kernel", job], log, cpus)
        seconds = time.monotonic() - start
        try:
            if status != 0:
                lines = log.read_text().strip().splitlines()
                problem = "out of time" if status < 0 else f"exit {status}: {lines[-2:]}"
                return {"problem": problem, "seconds": seconds}
            summary = json.loads((directory / "summary.json").read_text())
            return {"seconds": seconds, "kernel": summary["kernel"]}
        finally:
            shutil.rmtree(directory, ignore_errors=True)


def error_of(kernel):
    """Deviation from fp64 (rms), of the entries' rms."""
    return kernel["error"]["delta"] / kernel["error"]["rms"]


def bound_of(precision):
    """What that may be, as in tests/kernel/autograd_test.cpp."""
    return 1e-12 if precision == "fp64" else max(2e-6, 4 * ROUNDOFF[precision])


def mean(kernel, kind):
    return kernel["timings"]["ranks"][kind]["mean"]


def row(case, result, kept):
    k = result["kernel"]
    wall = k["timings"]["kernel"]
    parts = [f"{mean(k, kind):.2f}" for kind in KINDS]
    after = k["timings"]["self_check"] + k["timings"]["finish"]
    outside = 1 - mean(k, "contract") / wall
    name = case.name + (" (kept)" if kept else "")
    return [name, f"{k['gemm_rate'] / 1e12:.2f}", f"{wall:.2f}", f"{k['floor_ratio']:.2f}",
            f"{100 * k['share']:.0f} %", *parts, f"{100 * outside:.0f} %", f"{after:.1f}",
            f"{result['seconds']:.1f}", f"{error_of(k):.1e} of {bound_of(case.precision):.1e}"]


HEADER = ["run", "GEMM TFLOP/s", "wall s", "x floor", "share", *KINDS, "outside contract",
          "check, finish s", "process s", "error, of what it may be"]


def print_table(header, rows):
    print("| " + " | ".join(header) + " |")
    print("|" + "---|" * len(header))
    for cells in rows:
        print("| " + " | ".join(cells) + " |")


def speedups(results):
    """Rows of times as fast as two CPU cores."""
    cpu = next((r["kernel"] for n, r in results.items()
                if n.startswith("minilm") and n.endswith("-cpu") and "kernel" in r), None)
    rows = []
    for precision, wanted in SPEEDUPS.items():
        gpu = results.get(f"minilm-64-4096-{precision}", {}).get("kernel")
        if cpu is None or gpu is None:
            continue
        operations = gpu["floor"] * gpu["gemm_rate"]
        cores = operations / cpu["gemm_rate"] / CPU_SHARE
        ratio = cores / gpu["timings"]["kernel"]
        rows.append([precision, f"{operations:.3g}", f"{cpu['gemm_rate'] / 1e9:.0f}",
                     f"{cores:.0f}", f"{gpu['timings']['kernel']:.2f}", f"{ratio:.0f} x",
                     f"{wanted} x: {'met' if ratio >= wanted else 'missed'}"])
    return rows


def main():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("part", choices=["stage", "minilm"])
    parser.add_argument("--program", required=True, help="ntk")
    parser.add_argument("--study", required=True, help="random_study")
    parser.add_argument("--scratch", required=True, type=pathlib.Path,
                        help="folder for what runs write")
    parser.add_argument("--results", required=True, type=pathlib.Path, help="JSON file")
    parser.add_argument("--seconds", type=float, default=540)
    parser.add_argument("--identity", default="", help="results of another one are dropped")
    parser.add_argument("--library-path", default="", help="LD_LIBRARY_PATH of the programs")
    parser.add_argument("--device", choices=["cuda", "cpu"], default="cuda")
    parser.add_argument("--only", nargs="*", default=[], help="patterns of names of runs")
    arguments = parser.parse_args()
    arguments.scratch.mkdir(parents=True, exist_ok=True)
    kept = json.loads(arguments.results.read_text()) if arguments.results.exists() else {}
    if kept.get("identity") != arguments.identity:
        kept = {"identity": arguments.identity, "runs": {}}
    results = kept["runs"]

    runner = Runner(arguments)
    rates = dict(EXPECTED)
    for name, result in results.items():
        if "kernel" in result and not name.endswith("-cpu"):
            rates[name.split("-")[-1]] = result["kernel"]["gemm_rate"] / 1e12
    fresh, failed, left_out = set(), [], []
    cases = cases_for(arguments.part, arguments.device)
    if arguments.only:
        cases = [c for c in cases if any(fnmatch.fnmatchcase(c.name, p) for p in arguments.only)]
    for case in cases:
        if "kernel" not in results.get(case.name, {}):
            estimate = 30 if case.device == "cpu" else case.seconds(rates)
            if estimate > runner.left():
                left_out.append(f"{case.name} ({estimate:.0f} s)")
                continue
            results[case.name] = runner.run(case)
            fresh.add(case)
            arguments.results.write_text(json.dumps(kept, indent=1) + "\n")
        result = results[case.name]
        if "problem" in result:
            failed.append(f"{case.name}: {result['problem']}")
            continue
        error, bound = error_of(result["kernel"]), bound_of(case.precision)
        if not error <= bound:
            failed.append(f"{case.name}: the error of an entry, {error:.1e}, is above {bound:.1e}")
        if case.device == "cuda":
            rates[case.precision] = result["kernel"]["gemm_rate"] / 1e12

    print_table(HEADER, [row(c, results[c.name], c not in fresh) for c in cases
                         if "kernel" in results.get(c.name, {})])
    faster = speedups(results) if arguments.part == "minilm" else []
    if faster:
        print("\nTimes as fast as two CPU cores that reach 80 % of the floor:\n")
        print_table(["precision", "operations", "two cores GFLOP/s", "two cores s", "GPU s",
                     "ratio", "wanted"], faster)
    for name in left_out:
        print(f"\nnot run, no time left: {name}")
    for text in failed:
        print(f"\nFAILED {text}")
    done = [results[c.name]["kernel"] for c in cases if "kernel" in results.get(c.name, {})]
    near = sum(kernel["floor_ratio"] <= MOST_FLOORS for kernel in done)
    print(f"\n{len(done)} runs, {near} of them within {MOST_FLOORS} x the floor; "
          f"{len(failed)} failed, {len(left_out)} left out")
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()
