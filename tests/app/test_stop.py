"""Runs that end before they are done: on request, by a limit, or refused since another has the
directory. Nothing journalled is lost, and going on gives the bytes of an undisturbed run."""

import os
import signal
import time

import support
from stop_case import STOPPED, StopCase


class OnRequest(StopCase):
    def test_signal_to_all_ranks(self):
        job = self.job()
        process = self.start(job, 2)
        self.wait_for_tiles(process)
        process.send_signal(signal.SIGUSR1)  # mpirun passes it on
        self.ends(process, 85, STOPPED)
        self.goes_on(job, 4, self.assert_stopped("signal SIGUSR1"))

    def test_signal_to_one_rank_stops_all(self):
        job = self.job()
        process = self.start(job, 4)
        self.wait_for_tiles(process)
        os.kill(support.ranks_of(process)[-1], signal.SIGTERM)
        self.ends(process, 85, STOPPED)
        self.goes_on(job, 0, self.assert_stopped("signal SIGTERM"))

    def test_stop_file_is_obeyed_once(self):
        job = self.job()
        process = self.start(job, 2)
        self.wait_for_tiles(process)
        stop = self.home / "run" / "STOP"
        stop.touch()
        self.ends(process, 85, STOPPED)
        self.assertFalse(stop.exists())
        self.goes_on(job, 2, self.assert_stopped("STOP file"))


class ByItself(StopCase):
    def test_interrupt_without_mpirun(self):
        job = self.job()
        process = self.start(job, 0)
        self.wait_for_tiles(process)
        process.send_signal(signal.SIGINT)
        self.ends(process, 85, STOPPED)
        self.goes_on(job, 2, self.assert_stopped("signal SIGINT"))

    def test_second_interrupt_ends_at_once(self):
        process = self.start(self.job(), 0)
        self.wait_for_tiles(process)
        process.send_signal(signal.SIGSTOP)  # it obeys the first only when the others come, too
        process.send_signal(signal.SIGINT)
        process.send_signal(signal.SIGCONT)
        end = time.monotonic() + 60
        while process.poll() is None and time.monotonic() < end:
            process.send_signal(signal.SIGINT)  # two that come too soon are one
            time.sleep(0.003)
        self.ends(process, 130, "interrupted", within=5)

    def test_max_hours(self):
        job = self.job(run={"max_hours": 1.5 / 3600})
        process = self.start(job, 2)
        self.ends(process, 85, STOPPED)
        done = self.assert_stopped("run.max_hours", least=0)
        self.goes_on(self.job(), 2, done)

    def test_end_of_the_slurm_job(self):
        tools = self.home / "tools"
        tools.mkdir()
        squeue = tools / "squeue"
        squeue.write_text("#!/bin/sh\ndate -d '+26 seconds' +%Y-%m-%dT%H:%M:%S\n")
        squeue.chmod(0o755)
        # Not under mpirun: with an absolute path that puts its own folder before PATH.
        process = self.start(self.job(), 0, slow=0.2, SLURM_JOB_ID="17",
                             PATH=f"{tools}:{os.environ['PATH']}")
        out = self.ends(process, 85, STOPPED)
        self.assertIn("the Slurm job ends in", out)
        self.assert_stopped("end of the Slurm job", least=0)


class Lock(StopCase):
    def test_second_job_is_refused(self):
        job = self.job()
        process = self.start(job, 2, slow=0.2)
        self.wait_for_tiles(process)
        for ranks in (0, 2):
            second = support.run("kernel", job, ranks=ranks)
            self.assert_refused(second, 2, "is in use", "process", status="usage error")
        support.kill(process)  # leaves nothing to clean up
        self.run_well("kernel", job, ranks=2)


if __name__ == "__main__":
    support.main()
