"""ntk-compare on small run directories of the documented layout."""

import contextlib
import io
import itertools
import math
import pathlib
import shutil
import sys
import tempfile
import unittest

import numpy as np

HERE = pathlib.Path(__file__).resolve().parent
sys.path[:0] = [str(HERE.parents[1] / "analysis"), str(HERE)]
import synthetic_run  # noqa: E402

try:
    import matplotlib  # noqa: F401
except ImportError as error:
    REASON = f"ntk-compare needs {error.name}, which is not installed"
else:
    REASON = ""
    from ntkspectra.compare import agreement, command, units

LABELS = ("q1", "q7")
# By kernel: slopes measured, by the plug-in, by the decay alone.
SLOPES = {"body": (-0.3, -0.28, -0.5), "head": (-0.1, -0.12, -0.6), "total": (-0.2, -0.2, -0.55)}


def made_theory(shift=0.0):
    """Three kernels with two label sets each, whose slopes are known; q7's are less steep."""
    content = synthetic_run.theory(kernels=tuple(SLOPES), names=LABELS)
    for kernel, (measured, plug_in, decay) in SLOPES.items():
        report = content["kernels"][kernel] = synthetic_run.kernel_report(LABELS)
        report["decay"]["worst_case_exponent"] = synthetic_run.quantity(decay)
        for label, study in zip(LABELS, report["learning_curves"]["labels"]):
            moved = shift + (0.01 if label == "q7" else 0.0)
            study["rules"] = [dict(rule) for rule in study["rules"]]
            study["rules"][0]["slope"] = {"value": measured + moved, "low": -0.9, "high": 0.0}
            study["rules"][0]["eta_slope"] = {"value": 0.4, "low": 0.3, "high": 0.5}
            slope = {"value": plug_in, "low": -1, "high": 0}
            study["plug_in"] = {**study["plug_in"], "slope": slope}
    return content


@unittest.skipIf(REASON, REASON)
class Compare(unittest.TestCase):
    def setUp(self):
        self.home = pathlib.Path(tempfile.mkdtemp(prefix="ntk-test-"))
        self.addCleanup(shutil.rmtree, self.home, ignore_errors=True)

    def run_directory(self, name, content=None, **model):
        directory = self.home / name
        directory.mkdir(parents=True)
        synthetic_run.write_theory(directory, made_theory() if content is None else content)
        if model:
            lines = "\n".join(f"{key} = {value!r}" for key, value in model.items())
            (directory / "run.toml").write_text(
                f"[run]\nseed = 1\ndirectory = '{directory}'\n[model]\n{lines}\n")
        return directory

    def compare(self, *arguments):
        out, errors = io.StringIO(), io.StringIO()
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(errors):
            try:
                code = command.main([str(a) for a in arguments])
            except SystemExit as stop:  # argparse
                code = stop.code
        return code, out.getvalue(), errors.getvalue()

    def rows(self, text, title):
        """The first table after a title: its header and rows, split into cells."""
        lines = text[text.index(f"## {title}\n"):].splitlines()
        start = next(i for i, line in enumerate(lines) if line.startswith("|"))
        table = list(itertools.takewhile(lambda line: line.startswith("|"), lines[start:]))
        cells = [[cell.strip() for cell in line.strip("|").split("|")] for line in table]
        self.assertEqual({len(row) for row in cells}, {len(cells[0])}, table)
        return cells[0], cells[2:]

    def test_tables_say_what_theory_json_says(self):
        runs = [self.run_directory("movies"), self.run_directory("tweets", made_theory(0.05))]
        code, out, errors = self.compare(*runs, "-o", self.home / "out")
        self.assertEqual((code, errors), (0, ""))
        self.assertIn("12 kernels and label sets of 2 runs", out)
        text = (self.home / "out" / "comparison.md").read_text()
        header, rows = self.rows(text, "Learning curves")
        self.assertEqual(header[3:5], ["n = 10", "n = 20"])
        self.assertEqual([row[:3] for row in rows], [
            [run, "total", label] for run in ("movies", "tweets") for label in LABELS])
        self.assertEqual(rows[3], ["tweets", "total", "q7", "2", "1.50", "−0.140 (−0.900 to 0)",
                                   "−0.200 (−1 to 0)", "−0.550"])
        header, rows = self.rows(text, "The largest n")
        self.assertEqual(rows[0], ["movies", "total", "q1", "20", "1.50 (1.40 to 1.60)", "1.40",
                                   "1.45 (1.20 to 1.80)", "−3 %", "100 %", "1.25", "–"])
        header, rows = self.rows(text, "Stopping times")
        oracle = next(row for row in rows if row[3] == "`oracle`")
        self.assertEqual(oracle[4:], ["2", "2", "0.400 (0.300 to 0.500)", "0.550"])
        _, rows = self.rows(text, "Predicted against measured, kernel by kernel")
        self.assertEqual(len(rows), 12)
        header, rows = self.rows(text, "What predictions are off by")
        self.assertEqual(rows[0][1:], ["4", "0.25", "25 %", "−1 %", "−3 %"])
        self.assertEqual([row[:2] for row in rows][-1], ["all", "12"])
        self.assertNotIn("## Head draws", text)
        lines = (self.home / "out" / "units.tsv").read_text().splitlines()
        self.assertEqual(len(lines), 13)
        unit = dict(zip(lines[0].split("\t"), lines[-1].split("\t")))
        self.assertEqual(float(unit["measured_slope"]), -0.3 + 0.05 + 0.01
                         if unit["kernel"] == "body" else -0.1 + 0.05 + 0.01)
        self.assertEqual(unit["in_sample_risk"], "")  # null there
        for name in ("predicted_measured.png", "stopping.png"):
            self.assertTrue((self.home / "out" / name).read_bytes().startswith(b"\x89PNG"))

    def test_agreement_of_known_numbers(self):
        found = units.collect([self.run_directory("movies")])
        of = agreement.agreement([u for u in found if u.label == "q1"])
        # Measured: body steepest, then total, then head; the decay says the opposite.
        self.assertAlmostEqual(of.spearman_plug_in, 1)
        self.assertAlmostEqual(of.spearman_decay, -1)
        self.assertAlmostEqual(of.slope_error_plug_in, (0.02 + 0.02 + 0) / 3)
        self.assertAlmostEqual(of.slope_error_decay, (0.2 + 0.5 + 0.35) / 3)
        self.assertAlmostEqual(of.risk_error_plug_in, 1 - 1.4 / 1.5)
        self.assertAlmostEqual(of.risk_error_corrected, 1 - 1.45 / 1.5)
        self.assertEqual((of.units, of.covered), (3, 1))

    def test_spearman_is_pearson_of_ranks(self):
        generator = np.random.default_rng(3)
        for ties in (False, True):
            x, y = generator.normal(size=(2, 40))
            if ties:
                x, y = np.round(x), np.round(y)
            # Ranks by counting, an independent definition: those below, and half of the equals.
            ranks = [[sum(b < a for b in v) + sum(b == a for b in v) / 2 for a in v]
                     for v in (x, y)]
            self.assertAlmostEqual(agreement.spearman(x, y), np.corrcoef(ranks)[0, 1], places=12)
        self.assertAlmostEqual(agreement.spearman([1, 2, 3, math.nan], [9, 99, 999, 0]), 1)
        self.assertTrue(math.isnan(agreement.spearman([1, 2], [1, 2])))
        self.assertTrue(math.isnan(agreement.spearman([1, 1, 1], [1, 2, 3])))

    def test_head_draws_are_found_by_their_jobs(self):
        runs = [self.run_directory("a-1", head_seed=1, pooling="cls"),
                self.run_directory("a-2", made_theory(0.1), head_seed=2, pooling="cls"),
                self.run_directory("b-1", head_seed=1, pooling="mean")]
        self.assertEqual(self.compare(*runs, "-o", self.home / "out")[0], 0)
        _, rows = self.rows((self.home / "out" / "comparison.md").read_text(), "Head draws")
        self.assertEqual(len(rows), 6)
        total = next(row for row in rows if row[1:3] == ["total", "q1"])
        self.assertEqual(total[:4], ["a-1", "total", "q1", "2"])
        self.assertEqual(total[5], "−0.150 (−0.200 to −0.100)")

    def test_runs_of_other_sizes_and_names(self):
        other = made_theory()
        for report in other["kernels"].values():
            report["learning_curves"]["sizes"] = [20, 40]
        runs = [self.run_directory("x/movies"), self.run_directory("y/movies", other)]
        self.assertEqual(self.compare(*runs, "-o", self.home / "out", "--kernel", "head")[0], 0)
        text = (self.home / "out" / "comparison.md").read_text()
        header, rows = self.rows(text, "Learning curves")
        self.assertEqual(header[3:6], ["n = 10", "n = 20", "n = 40"])
        self.assertEqual(rows[0][:6], ["x/movies", "head", "q1", "2", "1.50", "–"])
        self.assertEqual(rows[2][:6], ["y/movies", "head", "q1", "–", "2", "1.50"])

    def test_evaluation_sets_where_they_were_judged(self):
        content = made_theory()
        of_total = content["kernels"]["total"]["learning_curves"]["labels"]
        for study in of_total[1:]:
            del study["evaluate"]
        study = of_total[0]
        study["evaluate"] = {"tweets": {"rules": [synthetic_run.rule("oracle", [3.0, 2.5]),
                                                  synthetic_run.rule("never", [3.5, 3.25])]}}
        run = self.run_directory("movies", content)
        self.assertEqual(self.compare(run, "-o", self.home / "out")[0], 0)
        _, rows = self.rows((self.home / "out" / "comparison.md").read_text(), "Evaluation sets")
        self.assertEqual(rows, [["movies", "total", "q1", "tweets", "3", "2.50",
                                 "−0.300 (−0.400 to −0.200)", "1.25"]])

    def test_refusals(self):
        whole = self.run_directory("movies")
        bare = synthetic_run.theory()
        for report in bare["kernels"].values():
            report["learning_curves"] = None
        empty = self.run_directory("bare", bare)
        nothing = self.home / "nothing"
        nothing.mkdir()
        (self.home / "kernel").mkdir()
        synthetic_run.write_kernel(self.home / "kernel")
        out = ("-o", self.home / "out")
        for arguments, words in (
                ((nothing, *out), "no run directory"),
                ((self.home / "kernel", *out), "no theory.json"),
                ((whole, empty, *out), "no learning curves"),
                ((whole, whole, *out), "given twice"),
                ((whole, "--kernel", "body2", *out), "no run has a kernel body2"),
                ((whole,), "-o")):
            code, _, errors = self.compare(*arguments)
            self.assertEqual(code, 2, errors)
            self.assertIn(words, errors)
        self.assertFalse((self.home / "out").exists())

    def test_parts_of_theory_json_may_be_missing(self):
        content = made_theory()
        total = content["kernels"]["total"]
        total["decay"]["worst_case_exponent"] = None
        for study in total["learning_curves"]["labels"]:
            study["plug_in"] = study["corrected"] = None
            unknown = {"value": None, "low": None, "high": None}
            study["rules"] = [{**study["rules"][0], "slope": unknown}]
        run = self.run_directory("movies", content)
        code, _, errors = self.compare(run, "-o", self.home / "out")
        self.assertEqual((code, errors), (0, ""))
        _, rows = self.rows((self.home / "out" / "comparison.md").read_text(), "Learning curves")
        self.assertEqual(rows[0][5:], ["–", "–", "–"])


if __name__ == "__main__":
    unittest.main()
