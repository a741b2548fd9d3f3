"""The ways in which a job ends on a real Slurm, and that the next start goes on. Takes minutes."""

import os
import signal
import unittest

import slurm_case
from slurm_case import setUpModule, tearDownModule  # noqa: F401


class TimeLimit(slurm_case.SlurmCase):
    """A kernel that takes longer than its job may."""

    def interrupted(self, *options):
        """A job that needed a second start: the first of a growing size that did. How fast the
        machine is today is not known."""
        for self.samples in (256, 384, 576, 864, 1296):
            job = self.sbatch("cpu", "kernel", self.kernel_job(f"run{self.samples}"),
                              options=options)
            if self.wait_for_end(job)["Restarts"] != "0":
                return job
        self.fail("no kernel was large enough")

    def finish(self, reason, *options):
        job = self.interrupted(*options)
        self.assertIn(f"slurm: queued again ({reason};", self.log(job))
        self.assertNotIn("DUE TO TIME LIMIT", self.log(job))
        self.assert_same_bits(f"run{self.samples}")

    def test_signal_before_the_limit(self):
        # Sent 100 to 130 seconds before the end: Slurm looks every 30 seconds. The program by itself
        # would stop 25 seconds before.
        self.finish("signal SIGUSR1", "--time=2", "--signal=B:USR1@100")

    def test_without_a_signal_the_program_knows_the_end(self):
        self.finish("end of the Slurm job", "--time=1", "--signal=B:CONT@1")


class Ends(slurm_case.SlurmCase):
    def stopped(self, job, reason, state="FAILED", code="85:0"):
        """The job is over, was not queued again, and said why."""
        record = self.wait_for_end(job, state, code)
        self.assertEqual(record["Restarts"], "0")
        self.assertEqual(self.summary()["stop"]["reason"], reason)
        self.assertIn(f"slurm: not queued again: the program was stopped by {reason}",
                      self.log(job))

    def finish(self, ranks=2, **variables):
        """The same line again, on so many ranks."""
        kept = self.tiles()
        job = self.sbatch("cpu", "kernel", self.job_file,
                          options=[f"--ntasks-per-node={ranks}"], **variables)
        self.wait_for_end(job)
        self.assertIn(f"kernel.h5.partial, {kept} tiles are there (0 damaged)", self.log(job))
        self.assert_same_bits()

    def test_undisturbed(self):
        job = self.sbatch("cpu", self.job_file, "--set", "run.threads=1")
        self.wait_for_end(job)
        self.assertTrue(self.log(job).rstrip().endswith("STATUS: complete"), self.log(job))
        self.assert_same_bits()
        again = self.sbatch("cpu", self.job_file)
        self.wait_for_end(again)

    def test_scancel(self):
        job = self.sbatch("cpu", "kernel", self.job_file, slow="run")
        self.wait_for_tiles()
        self.cluster.say("scancel", job)
        self.cancelled(job)
        self.finish(ranks=3)

    def cancelled(self, job):
        self.stopped(job, "signal SIGTERM", "CANCELLED")
        self.assertIn("STATUS: stopped", self.log(job))

    def test_stop_file(self):
        job = self.sbatch("cpu", "kernel", self.job_file, slow="run")
        self.wait_for_tiles()
        (self.home / "run/STOP").touch()
        self.stopped(job, "STOP file")
        self.assertFalse((self.home / "run/STOP").exists())
        self.finish(ranks=1)

    def test_killed_rank(self):
        job = self.sbatch("cpu", "kernel", self.job_file, slow="run")
        self.wait_for_tiles()
        os.kill(self.ranks(job)[-1], signal.SIGKILL)
        record = self.wait_for_end(job, "FAILED", "137:0")
        self.assertEqual(record["Restarts"], "0")
        self.assertNotIn("slurm:", self.log(job))
        self.finish()

    def test_second_job_in_one_directory(self):
        first = self.sbatch("cpu", "kernel", self.job_file, slow="run", wait=0.2)
        self.wait_for_tiles()
        second = self.sbatch("cpu", "kernel", self.job_file)
        self.wait_for_end(second, "FAILED", "2:0")
        self.assertRegex(self.log(second), rf"run is in use \(by process .*, Slurm job {first},")
        self.wait_for_end(first)
        self.assert_same_bits()


class Mpirun(Ends):
    """The same with the other launcher."""

    def sbatch(self, *arguments, **variables):
        return super().sbatch(*arguments, NTK_LAUNCHER="mpirun", **variables)

    def cancelled(self, job):
        # mpirun no longer passes on what ranks print, and ends with a code of its own.
        record = self.wait_for_end(job, "CANCELLED", "1:0")
        self.assertEqual(record["Restarts"], "0")
        self.assertEqual(self.ranks(job), [])

    def test_signal(self):
        job = self.sbatch("cpu", "kernel", self.job_file, options=["--cpus-per-task=2"],
                          slow="run")
        self.wait_for_tiles()
        self.signal_batch(job, signal.SIGUSR1)
        record = self.wait_for_end(job)
        self.assertEqual(record["Restarts"], "1")
        self.assertIn("slurm: queued again (signal SIGUSR1;", self.log(job))
        self.assertEqual(self.log(job).count("): 2 ranks x"), 2)
        self.assert_same_bits()


class Preempted(slurm_case.SlurmCase):
    def test_within_the_grace_time(self):
        # Slurm sends TERM to the ranks, and does not put back a job that ends in time.
        job = self.sbatch("cpu", "kernel", self.job_file, slow="run", wait=0.05)
        self.wait_for_tiles()
        urgent = self.cluster.say("sbatch", "--parsable", "--partition=urgent", "--exclusive",
                                  "--output=/dev/null", "--wrap=sleep 1")
        self.wait_for_end(urgent)
        record = self.wait_for_end(job)
        self.assertEqual(record["Restarts"], "1", self.log(job))
        self.assertIn("slurm: queued again (preemption;", self.log(job))
        self.assert_same_bits()


class Again(slurm_case.SlurmCase):
    """When a job is no longer put back into the queue."""

    def test_cap(self):
        job = self.sbatch("cpu", "kernel", self.job_file, "--set", "run.max_hours=0.001",
                          slow="run", NTK_MAX_REQUEUES="1")
        record = self.wait_for_end(job, "FAILED", "85:0")
        self.assertEqual(record["Restarts"], "1")
        self.assertIn("slurm: not queued again: this was start 2 (NTK_MAX_REQUEUES)",
                      self.log(job))

    def test_no_progress(self):
        job = self.sbatch("cpu", "kernel", self.job_file, "--set", "run.max_hours=1e-5")
        record = self.wait_for_end(job, "FAILED", "85:0")
        self.assertEqual(record["Restarts"], "1")
        self.assertIn("slurm: not queued again: 2 starts in a row without a new tile",
                      self.log(job))
        self.assertEqual(self.tiles(), 0)


if __name__ == "__main__":
    unittest.main()
