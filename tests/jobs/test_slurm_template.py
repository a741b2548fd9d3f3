"""The templates in slurm/ under the variables that sbatch sets, with an srun that only says what it got."""

import os
import subprocess
import tempfile
import unittest
from pathlib import Path

SLURM = Path(__file__).resolve().parents[2] / "slurm"


class Template(unittest.TestCase):
    TEMPLATE = SLURM / "cpu.sbatch"

    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = Path(folder.name)
        srun = self.folder / "srun"
        srun.write_text('#!/bin/sh\nprintf "%s\\n" "$@"\n')
        srun.chmod(0o755)

    def words(self, *arguments, code=0, **variables):
        """What srun is called with."""
        kept = {k: v for k, v in os.environ.items() if not k.startswith("SLURM_")}
        path = f"{self.folder}:{kept['PATH']}"
        result = subprocess.run(["bash", self.TEMPLATE, *arguments], text=True, capture_output=True,
                                env={**kept, "PATH": path, "SLURM_CPUS_PER_TASK": "4", **variables})
        self.assertEqual(result.returncode, code, result.stderr)
        return result.stdout.split("\n")[:-1]

    def memory(self, **variables):
        words = self.words("job.toml", **variables)
        return [w.split("=")[1] for w in words if w.startswith("kernel.memory_gib=")]

    def test_command(self):
        words = self.words("job.toml", "--set", "data.samples=5", SLURM_MEM_PER_CPU="2048")
        self.assertEqual(words, ["--mpi=pmix", "--cpus-per-task=4", "build/release/ntk", "run",
                                 "job.toml", "--set", "kernel.memory_gib=6.40", "--set",
                                 "data.samples=5"])

    def test_memory_of_a_node_is_shared_by_its_ranks(self):
        node = {"SLURM_MEM_PER_NODE": "65536"}  # sbatch --mem=64G: no memory per CPU is set
        self.assertEqual(self.memory(**node, SLURM_NTASKS_PER_NODE="8"), ["6.40"])
        self.assertEqual(self.memory(**node, SLURM_TASKS_PER_NODE="16(x2),4"), ["3.20"])
        self.assertEqual(self.memory(**node), ["51.20"])

    def test_without_a_limit_the_program_takes_its_share_of_the_node(self):
        self.assertEqual(self.memory(), [])
        self.assertEqual(self.memory(SLURM_MEM_PER_NODE="0"), [])  # --mem=0: all of the node
        self.assertEqual(self.memory(SLURM_MEM_PER_CPU="0"), [])

    def test_usage(self):
        self.assertEqual(self.words(code=2), [])


class GpuTemplate(Template):
    TEMPLATE = SLURM / "gpu.sbatch"

    def test_command(self):
        words = self.words("job.toml", "--set", "data.samples=5", SLURM_MEM_PER_CPU="2048")
        self.assertEqual(words, ["--mpi=pmix", "--gpu-bind=none", "--cpus-per-task=4",
                                 "build/release/ntk", "run", "job.toml", "--set",
                                 "kernel.device=cuda", "--set", "data.samples=5"])

    def test_memory_of_a_node_is_shared_by_its_ranks(self):
        self.assertEqual(self.memory(SLURM_MEM_PER_NODE="65536"), [])  # the GPU's own limit counts


if __name__ == "__main__":
    unittest.main()
