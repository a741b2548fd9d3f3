"""What journalling costs, and how soon a killed run gets on, on real weights and text:

    .venv/bin/python tests/benchmarks/restart.py [--samples 1024] [--ranks 2] [--task-seconds 20]

Runs the kernel stage of jobs/movies.toml (after jobs/quickstart.sh, which fetches model and data) with
tasks of that length and prints which share of its time went into writing, syncing and journalling
tiles. Runs it once more, kills it with SIGKILL when half of the tiles are in the journal, and times
the next start: to its first new task, and the verification of what is there. On an idle machine."""

import argparse
import json
import os
import pathlib
import re
import shutil
import signal
import subprocess
import tempfile
import time

import h5py

ROOT = pathlib.Path(__file__).resolve().parents[2]
PROGRAM = os.environ.get("NTK_PROGRAM", str(ROOT / "build/release/ntk"))
MPIRUN = os.environ.get("NTK_MPIRUN", "mpirun")


def start(given, directory):
    sets = [f'run.directory="{directory}"', f"data.samples={given.samples}",
            f"kernel.task_seconds={given.task_seconds}"]
    words = [MPIRUN, "--bind-to", "none", "-n", str(given.ranks), PROGRAM, "kernel", given.job]
    return subprocess.Popen([*words, *(w for s in sets for w in ("--set", s))], cwd=ROOT, text=True,
                            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, start_new_session=True)


def tiles(directory):
    """In the journal, and of the kernel."""
    try:
        with h5py.File(directory / "kernel.h5.partial", locking=False) as file:
            state = file["journal/kernel/state"][...]
            return int(state.sum()), state.size
    except (OSError, KeyError):
        return 0, 1


def main():
    options = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    options.add_argument("--samples", type=int, default=1024)
    options.add_argument("--ranks", type=int, default=2)
    options.add_argument("--task-seconds", type=float, default=20)
    options.add_argument("--job", default="jobs/movies.toml")
    given = options.parse_args()
    scratch = pathlib.Path(tempfile.mkdtemp(prefix="ntk-restart-"))
    try:
        process = start(given, scratch / "whole")
        out, _ = process.communicate()
        if process.returncode:
            raise SystemExit(out)
        print(re.search(r"kernel: .* tasks,.*", out)[0])
        timings = json.loads((scratch / "whole/summary.json").read_text())["kernel"]["timings"]
        store = timings["ranks"]["store"]
        print(f"kernel {timings['kernel']:.1f} s, storing {store['mean']:.2f} s a rank: "
              f"{100 * store['mean'] / timings['kernel']:.2f} %")

        process = start(given, scratch / "killed")
        while process.poll() is None and 2 * tiles(scratch / "killed")[0] < tiles(
                scratch / "killed")[1]:
            time.sleep(0.05)
        os.killpg(process.pid, signal.SIGKILL)  # mpirun; its end ends the ranks
        process.communicate()
        time.sleep(2)
        kept, _ = tiles(scratch / "killed")
        begin = time.monotonic()
        process = start(given, scratch / "killed")
        for line in process.stdout:
            if "verified" in line or "tasks," in line:
                print(f"{time.monotonic() - begin:6.2f} s after the start, {kept} tiles kept: "
                      f"{line.strip()}")
            if "tasks," in line:
                break
        os.killpg(process.pid, signal.SIGKILL)
        process.communicate()
    finally:
        time.sleep(2)
        shutil.rmtree(scratch)


if __name__ == "__main__":
    main()
