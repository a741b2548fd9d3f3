"""Job arrays and GPU jobs on a real Slurm. Takes minutes."""

import os
import signal
import unittest

import cluster
import slurm_case
from app import support
from slurm_case import setUpModule, tearDownModule  # noqa: F401

CUDA_ON_CPU = os.environ.get("NTK_PROGRAM_CUDA_ON_CPU")


class Lists(slurm_case.SlurmCase):
    RANKS = 1

    def test_a_line_a_task(self):
        lines = [f"kernel {self.job_file} --set run.directory={self.home}/seed{seed} "
                 f"run.seed={seed} data.samples=64 model.head_seed={seed}" for seed in (1, 2, 3)]
        (self.home / "list.txt").write_text("\n".join(lines) + "\n")
        job = self.sbatch("array", "list.txt", options=["--array=1-3"])
        self.wait_for_all(job, 3)
        kernels = []
        for seed in (1, 2, 3):
            self.assertIn("STATUS: complete", self.log(f"{job}_{seed}"))
            kernels.append(support.read_kernel(self.home / f"seed{seed}/kernel.h5"))
        self.assertGreater(support.relative(kernels[0], kernels[1]), 0.1)

    def test_a_task_comes_back_alone(self):
        lines = [f"kernel {self.job_file} --set run.directory={self.home}/run{number}"
                 for number in (1, 2)]
        (self.home / "list.txt").write_text("\n".join(lines) + "\n")
        job = self.sbatch("array", "list.txt", options=["--array=1-2"], slow="run2")
        self.wait_for_tiles(directory="run2")
        self.signal_batch(f"{job}_2", signal.SIGUSR1)
        self.wait_for_all(job, 2)
        self.assertEqual([self.show(f"{job}_{task}")["Restarts"] for task in (1, 2)], ["0", "1"])
        for number in (1, 2):
            self.assert_same_bits(f"run{number}")


class Shares(slurm_case.SlurmCase):
    RANKS = 1

    def test_shares_and_merge(self):
        shares = self.sbatch("array", "--shares", "3", self.job_file, options=["--array=1-3"],
                             slow="run")
        merge = self.sbatch("cpu", "merge", self.job_file,
                            options=[f"--dependency=afterok:{shares}",
                                     "--kill-on-invalid-dep=yes"])
        self.wait_for_tiles(file="share-2-of-3.h5.partial")
        self.signal_batch(f"{shares}_2", signal.SIGUSR1)  # the merge waits for its second start
        self.wait_for_all(shares, 3)
        self.assertEqual(self.show(f"{shares}_2")["Restarts"], "1")
        self.assertIn("slurm: queued again (signal SIGUSR1;", self.log(f"{shares}_2"))
        self.wait_for_end(merge)
        self.assert_same_bits()

    def test_missing_share(self):
        shares = self.sbatch("array", "--shares", "3", self.job_file, options=["--array=1,3"])
        for task in (1, 3):
            self.wait_for_end(f"{shares}_{task}")
        merge = self.sbatch("cpu", "merge", self.job_file)
        record = self.wait_for_end(merge, "FAILED", "85:0")
        self.assertEqual(record["Restarts"], "0")
        self.assertIn("2/3", self.log(merge))
        self.wait_for_end(self.sbatch("cpu", "kernel", self.job_file))  # computes the rest
        self.assert_same_bits()


@unittest.skipUnless(CUDA_ON_CPU, "built without CUDA")
class Gpus(slurm_case.SlurmCase):
    """The template for GPUs, which Slurm believes to have; the program has its CUDA backend on the
    CPU."""

    def test_a_rank_a_gpu(self):
        job_file = self.kernel_job(data={"samples": 32},
                                   kernel={"precision": "bf16x3"})
        gpus = [f"--gpus-per-node={cluster.GPUS}"]
        job = self.sbatch("gpu", "kernel", job_file, options=gpus, NTK_PROGRAM=CUDA_ON_CPU,
                          NTK_FAKE_CUDA=f"gib=0.5,devices={cluster.GPUS}")
        self.wait_for_end(job)
        with slurm_case.h5py.File(self.home / "run/kernel.h5") as file:
            self.assertEqual(file.attrs["hardware.device"], "cuda")

    def test_more_gpus_than_there_are(self):
        with self.assertRaisesRegex(AssertionError, "configuration is not available"):
            self.sbatch("gpu", "kernel", self.job_file)  # 4, as the template says


if __name__ == "__main__":
    unittest.main()
