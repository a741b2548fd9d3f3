"""Runs that hang: the watchdog ends them and shows where they are."""

import os
import signal

import support
from stop_case import StopCase


class Watchdog(StopCase):
    def test_stack_of_a_living_run(self):
        process = self.start(self.job(), 2, slow=0.02)
        self.wait_for_tiles(process)
        for rank in support.ranks_of(process):
            os.kill(rank, signal.SIGUSR2)
        out = self.ends(process, 0, "complete", within=120)
        self.assertEqual(out.count("stack, as asked for by SIGUSR2"), 2, out)
        self.assertIn("ntk::kernel::run_kernel", out)

    def test_a_rank_that_stops_answering(self):
        job = self.job(run={"watchdog_minutes": 0.2})
        process = self.start(job, 4)
        self.wait_for_tiles(process)
        frozen = support.ranks_of(process)[2]
        os.kill(frozen, signal.SIGSTOP)
        out = self.ends(process, 7, "internal error", within=60)
        self.assertIn("no progress for", out)
        self.assertIn(f"process {frozen} of this node cannot answer: T", out)
        self.assertIn("ntk::kernel::Dispatch", out)  # where the others are
        self.assertEqual(self.summary()["exit_code"], 7)
        self.run_well("kernel", self.job(), ranks=2)


if __name__ == "__main__":
    support.main()
