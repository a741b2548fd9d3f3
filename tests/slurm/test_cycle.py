"""One job on a real Slurm, interrupted on its way; and one that cannot start."""

import signal
import unittest

import slurm_case
from slurm_case import setUpModule, tearDownModule  # noqa: F401


class Cycle(slurm_case.SlurmCase):
    def test_stopped_queued_again_finished(self):
        self.reference()
        job = self.sbatch("cpu", "kernel", self.job_file, slow="run")
        self.wait_for_tiles()
        self.signal_batch(job, signal.SIGUSR1)  # what Slurm does before the time limit
        self.wait(lambda: self.show(job)["Restarts"] == "1", "the job is queued again")
        stopped = self.summary()
        self.assertEqual(stopped["exit_code"], 85)
        self.assertEqual(stopped["stop"]["reason"], "signal SIGUSR1")
        self.assertGreater(stopped["kernel"]["units_done"], 0)
        self.assertLess(stopped["kernel"]["units_done"], stopped["kernel"]["units"])
        record = self.wait_for_end(job)
        self.assertEqual(record["Restarts"], "1")
        self.assert_same_bits()
        log = self.log(job)  # of both starts
        first, second = (log.index(f"STATUS: {word}") for word in ("stopped", "complete"))
        self.assertLess(first, log.index("slurm: queued again (signal SIGUSR1;"))
        self.assertLess(first, second)
        self.assertIn("2 ranks x", log)

    def test_srun_without_pmix(self):
        job = self.sbatch("cpu", "kernel", self.job_file, NTK_MPI="none")
        self.wait_for_end(job, "FAILED", "2:0")
        self.assertIn("--mpi=pmix", self.log(job))
        self.assertFalse((self.home / "run").exists())


if __name__ == "__main__":
    unittest.main()
