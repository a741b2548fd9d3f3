"""Learning curves of the theory stage: shared by ranks, kept point by point, refused where they
would mean nothing."""

import json
import signal
import subprocess
import time

import support
from support import STATUS


class LearningCurves(support.Case):
    """One kernel and spectrum for all tests; each leaves a complete theory.json."""

    SEEDS = 120
    POINTS = 2 * SEEDS

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        case = cls.lasting()
        cls.home_of_run = case.home
        cls.train = support.write_targets(case.home / "train.h5", case.generator, 200)
        case.run_well("run", case.theory_job(), ranks=2)
        cls.whole = case.read()

    def setUp(self):
        super().setUp()
        self.home = self.home_of_run

    def theory_job(self, **theory):
        settings = {"sizes": [30, 60], "seeds": self.SEEDS, "test_samples": 40, "law_draws": 0,
                    **theory}
        return self.job(self.train, spectrum={}, theory=settings)

    def read(self):
        return json.loads((self.home / "run" / "theory.json").read_text())["kernels"]["total"]

    def points(self):
        return list((self.home / "run" / "theory.points").glob("total.*.json"))

    def start(self, ranks):
        process = subprocess.Popen(
            support.command(ranks, "theory", self.theory_job()), env=support.environment(),
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, start_new_session=True)
        self.addCleanup(support.kill, process)
        end = time.monotonic() + 60
        while len(self.points()) < 5:
            self.assertIsNone(process.poll(), process.stdout.read() if process.poll() else "")
            self.assertLess(time.monotonic(), end)
            time.sleep(0.005)
        return process

    def goes_on(self, ranks):
        kept = len(self.points())
        self.assertGreater(kept, 0)
        self.assertLess(kept, self.POINTS)
        result = self.run_well("theory", self.theory_job(), ranks=ranks)
        self.assertIn(f"{self.POINTS} points, {kept} of them kept from before", result.text)
        self.assertEqual(self.read(), self.whole)
        self.assertFalse((self.home / "run" / "theory.points").exists())

    def test_curves(self):
        curves = self.whole["learning_curves"]
        self.assertEqual(curves["sizes"], [30, 60])
        self.assertEqual(curves["test_rows"], 40)
        rules = {rule["rule"]: rule for rule in curves["labels"][0]["rules"]}
        for name in ("oracle", "discrepancy", "smoothed", "leave_one_out", "k_fold", "hold_out",
                     "gcv", "sure", "rwy", "never", "null", "ridge_oracle", "oracle_in_sample"):
            self.assertIn(name, rules)
            self.assertEqual(len(rules[name]["risk"]), 2)
        self.assertLess(rules["oracle"]["risk"][1], rules["oracle"]["risk"][0])

    def test_stopped_and_gone_on_with_other_ranks(self):
        (self.home / "run" / "theory.json").unlink()
        process = self.start(2)
        process.send_signal(signal.SIGUSR1)
        text, _ = process.communicate(timeout=60)
        self.assertEqual(process.returncode, 85, text)
        self.assertIn(STATUS[85], text)
        self.assertIn("finished points are kept", text)
        self.goes_on(1)

    def test_killed_and_gone_on(self):
        (self.home / "run" / "theory.json").unlink()
        process = self.start(1)
        support.kill(process)
        process.communicate()
        self.goes_on(4)

    def test_sizes_that_do_not_fit(self):
        for sizes, words in (([30, 81], "at most half of the 160 rows"), ([10], "theory.sizes")):
            result = support.run("theory", self.theory_job(sizes=sizes))
            self.assert_refused(result, 2, words, status=STATUS[2])
            self.assertEqual(self.read(), self.whole)


if __name__ == "__main__":
    support.main()
