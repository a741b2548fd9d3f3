"""What the tests on a real Slurm share: one cluster a script, a kernel that takes some seconds with the
bytes an undisturbed run gives it, and our templates submitted with sbatch."""

import json
import os
import pathlib
import re
import shutil
import signal
import tempfile
import time
import unittest

import h5py
import numpy as np

import cluster
from app import support

ROOT = pathlib.Path(__file__).resolve().parents[2]
# Seconds; all ends earlier unless something is wrong, or the machine very busy. Less than ctest's own
# limit, which would show no logs.
PATIENCE = 400
ENDED = ("COMPLETED", "FAILED", "CANCELLED", "TIMEOUT", "NODE_FAIL", "OUT_OF_MEMORY")


def write_model(directory, generator, hidden=64, layers=3):
    """A BERT with random weights, wide enough for kernels that take seconds."""
    config = json.loads((support.FIXTURES / "models/bert/config.json").read_text())
    config.update(hidden_size=hidden, intermediate_size=4 * hidden, num_hidden_layers=layers)
    linear = {"attention.self.query": (hidden, hidden), "attention.self.key": (hidden, hidden),
              "attention.self.value": (hidden, hidden),
              "attention.output.dense": (hidden, hidden),
              "intermediate.dense": (4 * hidden, hidden), "output.dense": (hidden, 4 * hidden)}
    shapes = {f"embeddings.{name}_embeddings.weight": (rows, hidden) for name, rows in
              (("word", config["vocab_size"]), ("position", config["max_position_embeddings"]),
               ("token_type", config["type_vocab_size"]))}
    norms = ["embeddings.LayerNorm"]
    for layer in (f"encoder.layer.{number}" for number in range(layers)):
        norms += [f"{layer}.attention.output.LayerNorm", f"{layer}.output.LayerNorm"]
        for name, shape in linear.items():
            shapes[f"{layer}.{name}.weight"], shapes[f"{layer}.{name}.bias"] = shape, shape[:1]
    tensors = {name: generator.normal(size=shape) / np.sqrt(hidden)
               for name, shape in shapes.items()}
    for norm in norms:
        tensors[f"{norm}.weight"], tensors[f"{norm}.bias"] = np.ones(hidden), np.zeros(hidden)
    directory.mkdir()
    (directory / "config.json").write_text(json.dumps(config))
    support.pack_tensors(directory / "model.safetensors", tensors)
    return directory


class Shared:
    """Made once a script: the cluster, a model, data, and references."""

    def __init__(self):
        self.home = pathlib.Path(tempfile.mkdtemp(prefix="ntk-slurm-jobs-"))
        self.cluster = None
        try:
            self.cluster = cluster.Cluster()
            self.model = write_model(self.home / "model", np.random.default_rng(20))
            self.references = {}  # contents of kernel files, by number of samples
        except BaseException:
            self.close()
            raise

    def train(self, samples):
        """The data file with so many samples."""
        path = self.home / f"train{samples}.h5"
        if not path.exists():
            support.write_classes(path, np.random.default_rng(21), samples, shortest=8,
                                  longest=20)
        return path

    def close(self):
        if self.cluster:
            self.cluster.stop()
        shutil.rmtree(self.home, ignore_errors=True)


shared = None


def setUpModule():
    global shared
    try:
        shared = Shared()
    except cluster.NoSlurm as why:
        raise unittest.SkipTest(f"no Slurm: {why}") from None


def tearDownModule():
    if shared:
        shared.close()


class SlurmCase(support.Case):
    RANKS = 2

    def setUp(self):
        super().setUp()
        (self.home / "slurm").symlink_to(ROOT / "slurm")  # jobs are submitted from here
        self.cluster = shared.cluster
        self.samples = 192
        self.job_file = self.kernel_job()
        self.addCleanup(self.end_jobs)

    def kernel_job(self, directory="run", **tables):
        kernel = {"precision": "fp64", "batch_samples": 32, "tile_samples": 8,
                  "task_seconds": 0.4}
        return self.job(shared.train(self.samples), directory, model={"path": shared.model},
                        kernel={**kernel, **tables.pop("kernel", {})}, **tables)

    def reference(self):
        """The data of an undisturbed run."""
        if self.samples not in shared.references:
            directory = f"reference{self.samples}"
            self.run_well("kernel", self.kernel_job(directory), ranks=2, timeout=PATIENCE)
            shared.references[self.samples] = support.contents(
                self.home / directory / "kernel.h5")
        return shared.references[self.samples]

    def assert_same_bits(self, directory="run"):
        path = self.home / directory / "kernel.h5"
        with h5py.File(path) as file:
            self.assertEqual(file.attrs["complete"], 1)
        self.assertTrue(support.contents(path) == self.reference(), "other bytes")

    # Jobs.

    def sbatch(self, template, *arguments, options=(), slow=None, wait=0.02, **variables):
        """Submits one of our templates. Returns the job's number. `slow`: a run's directory, where
        every sync to disk then takes `wait` seconds longer, the kernel many more."""
        if slow:
            variables.update(support.slow(self.home / slow, wait))
        environment = {**support.environment(**dict.fromkeys(cluster.NETWORK)),
                       **self.cluster.environment, "NTK_PROGRAM": support.PROGRAM, **variables}
        size = [f"--ntasks-per-node={self.RANKS}", "--cpus-per-task=1", "--mem-per-cpu=2G"]
        said = support.subprocess.run(
            ["sbatch", "--parsable", *size, *options, f"slurm/{template}.sbatch",
             *map(str, arguments)], cwd=self.home, env=environment, text=True,
            capture_output=True)
        self.assertEqual(said.returncode, 0, said.stderr)
        return int(said.stdout)

    def signal_batch(self, job, number):
        """A signal for the job's script alone."""
        self.cluster.say("scancel", "--batch", f"--signal={signal.Signals(number).name}", job)

    def end_jobs(self):
        self.cluster.say("scancel", "--quiet", "--user=root", check=False)
        self.wait(lambda: not self.cluster.say("squeue", "-h"), "all jobs are gone")

    def wait(self, condition, what):
        end = time.monotonic() + PATIENCE
        while not (value := condition()):
            self.assertLess(time.monotonic(), end, f"waited in vain: {what}\n{self.logs()}")
            time.sleep(0.1)
        return value

    def show(self, job):
        """Slurm's record of a job."""
        text = self.cluster.say("scontrol", "-o", "show", "job", job)
        return dict(re.findall(r"(\w+)=(\S*)", text))

    def wait_for_end(self, job, state="COMPLETED", code="0:0"):
        record = self.wait(lambda: (r := self.show(job))["JobState"] in ENDED and r,
                           f"the end of job {job}")
        self.assertEqual((record["JobState"], record["ExitCode"]), (state, code), self.logs())
        return record

    def wait_for_all(self, array, tasks):
        """All tasks of an array are complete."""
        for task in range(1, tasks + 1):
            self.wait_for_end(f"{array}_{task}")

    def log(self, job):
        path = self.home / f"ntk-{job}.log"
        return path.read_text(errors="replace") if path.exists() else ""

    def logs(self):
        return "\n".join(f"== {path.name}\n{path.read_text(errors='replace')}"
                         for path in sorted(self.home.glob("ntk-*.log")))

    def summary(self, directory="run"):
        return json.loads((self.home / directory / "summary.json").read_text())

    # What runs.

    def tiles(self, directory="run", file="kernel.h5.partial"):
        """Tiles in the journal of a kernel that is being computed; 0 before there is one."""
        path = self.home / directory / file
        try:
            with h5py.File(path, locking=False) as file:
                return int(np.count_nonzero(file["journal/kernel/state"][...]))
        except (OSError, KeyError):
            return 0

    def wait_for_tiles(self, more_than=0, **file):
        return self.wait(lambda: (n := self.tiles(**file)) > more_than and n,
                         f"more than {more_than} tiles {file}")

    def ranks(self, job):
        """Processes of our program that belong to this job."""
        mark = f"SLURM_JOB_ID={job}".encode()
        found = []
        for process in self.cluster.processes():
            try:
                folder = pathlib.Path(f"/proc/{process}")
                program = os.readlink(folder / "exe")
                variables = (folder / "environ").read_bytes().split(b"\0")
            except OSError:
                continue  # ended meanwhile
            if program == os.path.realpath(support.PROGRAM) and mark in variables:
                found.append(process)
        return found
