"""ntk-report on small run directories of the documented layout, whole and with parts missing."""

import contextlib
import html.parser
import io
import math
import pathlib
import shutil
import sys
import tempfile
import unittest
import unittest.mock

import h5py
import numpy as np

HERE = pathlib.Path(__file__).resolve().parent
sys.path[:0] = [str(HERE.parents[1] / "analysis"), str(HERE)]
import synthetic_run  # noqa: E402

import ntkspectra  # noqa: E402

try:
    import jinja2  # noqa: F401
    import matplotlib  # noqa: F401
except ImportError as error:
    REASON = f"ntk-report needs {error.name}, which is not installed"
else:
    REASON = ""
    import markupsafe

    from ntkspectra.report import command, kernel_order, laws, page
    from ntkspectra.report.figures import style

SECTIONS = ("Headline", "Learning curves", "Evaluation sets", "Eigenvalues", "Local exponent", "Laws of decay",
            "Shares of the groups", "Stopping times", "Kernel heat map", "Which assumptions hold here",
            "Tables", "Provenance")  # fmt: skip
HOSTILE = '<script>alert(1)</script>"\' $x_{ & \x07'


class Collector(html.parser.HTMLParser):
    """What a page refers to, and its titles."""

    def __init__(self, text):
        super().__init__()
        self.tags, self.links, self.ids, self.titles = [], [], [], []
        self.inside = None
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        self.tags.append(tag)
        self.inside = tag
        for key, value in attributes:
            if key in ("src", "href", "xlink:href", "action", "data"):
                self.links.append(value)
            if key == "id":
                self.ids.append(value)

    def handle_data(self, data):
        if self.inside in ("h2", "h3") and data.strip():
            self.titles.append(data.strip())


@unittest.skipIf(REASON, REASON)
class Report(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.directory = pathlib.Path(folder.name) / "run"
        self.directory.mkdir()

    def call(self, *arguments):
        out, err = io.StringIO(), io.StringIO()
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            code = command.main([str(a) for a in arguments])
        return code, out.getvalue(), err.getvalue()

    def text(self):
        """Of the total kernel alone, which is what most tests are about. Figures are drawn but not
        rendered, which takes most of the time."""
        with unittest.mock.patch.object(style, "to_svg", lambda *_: markupsafe.Markup("<svg></svg>")):
            return page.build(self.directory, "total")[0]

    def write_total(self, change=lambda report: None, **arguments):
        synthetic_run.write_spectrum(self.directory, synthetic_run.write_kernel(self.directory))
        theory = synthetic_run.theory(("total",), **arguments)
        change(theory["kernels"]["total"])
        synthetic_run.write_theory(self.directory, theory)

    def test_error_rates_of_classes(self):
        rates = {"rule": "gcv", "error_rate": [0.5, 0.25], "low": [0.4, 0.125], "high": [0.75, 0.375]}

        def add(report):
            report["learning_curves"]["classes"] = {
                "rules": [rates], "evaluate": {"tweets": {"rules": [{**rates, "rule": "never"}]}}}
            report["classes"] = {"evaluate": {"tweets": {"samples": 8, "parts": 4, "rules": [
                {"rule": "gcv", "error_rate": 0.3, "low": 0.1, "high": 0.6}]}}}
        self.write_total(add)
        text = self.text()
        for words in ("Error rate on the test set", "0.250 (0.125 to 0.375)", "Error rate on tweets",
                      "error rate on evaluation sets", "0.300 (0.100 to 0.600)"):
            self.assertIn(words, text)

    def test_risk_along_the_path(self):
        self.write_total()
        self.assertIn("One training set of n = 20: risk along the path for target", self.text())

        def leave_out(report):
            report["learning_curves"]["labels"][0]["path"] = None
        self.write_total(leave_out)
        self.assertNotIn("risk along the path", self.text())

    def test_evaluation_sets(self):
        self.write_total()
        text = self.text()
        for words in ("2.50 (2.10 to 2.90)", "3.25 (3 to 3.50)", "2.75 (2.65 to 2.85)",
                      "tweets: 12 rows in 6 parts"):
            self.assertIn(words, text)

        def leave_out(report):
            report["labels"][0]["evaluate"] = None
            report["limits"].append("evaluation set tweets does not judge label set target: why")
        self.write_total(leave_out)
        self.assertIn("evaluation set tweets does not judge label set target: why", self.text())

    def test_a_whole_run_gives_every_section_in_one_file(self):
        synthetic_run.write_run(self.directory)
        code, out, err = self.call(self.directory)
        self.assertEqual((code, err), (0, ""))
        self.assertIn("report.html", out)
        text = (self.directory / "report.html").read_text(encoding="utf-8")
        found = Collector(text)
        places = [found.titles.index(title) for title in SECTIONS]
        self.assertEqual(places, sorted(places))
        self.assertEqual([t for t in found.titles if t.startswith("Kernel ")][0], "Kernel total")
        for link in found.links:
            self.assertTrue(link.startswith(("#", "data:")), link)
        self.assertNotIn("script", found.tags)
        self.assertNotIn("@import", text)
        self.assertNotIn("url(http", text)
        self.assertEqual(len(found.ids), len(set(found.ids)))
        for link in found.links:
            if link.startswith("#"):
                self.assertIn(link[1:], found.ids)
        self.assertNotIn("Not available because", text)
        self.assertIn("prefers-color-scheme: dark", text)
        self.assertIn("vacuous", text)
        self.assertIn("never stopping costs 25 %", text)
        self.assertIn("a caveat of the test", text)
        self.assertIn("target: risk, noisy", text)
        self.assertIn("1.07", text)
        self.assertNotIn("nan", found.titles)

    def test_equal_input_gives_equal_bytes_and_pngs_are_written(self):
        synthetic_run.write_run(self.directory)
        files = []
        for number in (1, 2):
            target = self.directory / f"{number}.html"
            pngs = self.directory / f"png{number}"
            more = ("--png", pngs) if number == 1 else ()
            self.assertEqual(self.call(self.directory, "-o", target, "--kernel", "total", *more)[0], 0)
            files.append(target.read_bytes())
        self.assertEqual(*files)
        names = sorted(path.name for path in (self.directory / "png1").iterdir())
        self.assertIn("total-learning-curve-1.png", names)
        self.assertIn("total-kernel-map.png", names)
        for name in names:
            self.assertEqual((self.directory / "png1" / name).read_bytes()[:4], b"\x89PNG")

    def test_a_wrong_directory_or_kernel_is_one_line_and_exit_code_2(self):
        for place in (self.directory / "nothing", self.directory):
            code, out, err = self.call(place)
            self.assertEqual((code, out), (2, ""))
            self.assertEqual(err.count("\n"), 1)
            self.assertIn("no run directory", err)
        self.write_total()
        code, _, err = self.call(self.directory, "--kernel", "none")
        self.assertEqual(code, 2)
        self.assertIn("no kernel none", err)

    def test_each_file_may_be_missing(self):
        synthetic_run.write_run(self.directory)
        for name, stated in (
            ("theory.json", "Not available because there is no theory.json"),
            ("spectrum.h5", "there is no spectrum.h5"),
            ("kernel.h5", "there is no kernel.h5"),
            ("summary.json", "there is no summary.json"),
        ):
            with self.subTest(name):
                shutil.move(self.directory / name, self.directory / "away")
                self.assertIn(stated, self.text())
                shutil.move(self.directory / "away", self.directory / name)

    def test_damaged_files_are_named(self):
        self.write_total()
        for name in ("theory.json", "kernel.h5", "spectrum.h5"):
            (self.directory / name).write_bytes(b"\x00{ no such format")
        text = self.text()
        for name in ("theory.json", "kernel.h5", "spectrum.h5"):
            self.assertIn(f"{name} cannot be read", text)

    def test_missing_parts_are_stated(self):
        def strip(report):
            report["learning_curves"] = None
            report["labels"] = []
            report["limits"] = ["no learning curves: of a test", "no law of decay is judged: of a test"]
            del report["decay"]["laws"], report["decay"]["plateau"]
            report["decay"]["alpha_by_n"] = []

        self.write_total(strip)
        text = self.text()
        for stated in (
            "Not available because theory.json has no label sets for this kernel",
            "no learning curves: of a test",
            "no law of decay was fitted to this kernel (no law of decay is judged: of a test)",
            "alpha was not measured on parts of the rows",
            "no law was drawn from",
        ):
            self.assertIn(stated, text)

    def test_a_kernel_too_small_for_anything_is_told_by_its_limits(self):
        def strip(report):
            for key in ("decay", "labels", "learning_curves"):
                del report[key]
            report["limits"] = ["nothing is predicted: too few rows"]

        self.write_total(strip)
        self.assertIn("nothing is predicted: too few rows", self.text())

    def test_null_and_nan_are_dashes(self):
        def strip(report):
            for place in (report["learning_curves"]["labels"][0]["rules"], report["labels"]):
                for entry in place:
                    for key, value in entry.items():
                        if isinstance(value, list) and key != "name":
                            entry[key] = [math.nan if key == "risk" else None for _ in value]
            report["labels"][0]["growth"] = None
            report["labels"][0]["plug_in"]["curve"] = []
            report["learning_curves"]["labels"][0]["plug_in"] = None
            report["learning_curves"]["labels"][0]["corrected"] = None
            report["decay"]["alpha"] = None

        self.write_total(strip)
        text = self.text()
        self.assertIn("no risk of this label set is a positive number", text)
        self.assertIn("There is no exponent of the decay", text)
        self.assertIn("was not measured", text)
        self.assertNotIn(">nan<", text)
        self.assertNotIn("None", text)

    def test_leading_pairs_are_reported_with_their_errors(self):
        total = synthetic_run.write_kernel(self.directory)
        synthetic_run.write_spectrum(self.directory, total, ("total",), pairs=8)
        theory = synthetic_run.theory(("total",))
        synthetic_run.make_partial(theory["kernels"]["total"])
        synthetic_run.write_theory(self.directory, theory)
        text = self.text()
        for stated in (
            "1.20 ± 0.011",
            "0.600 ± 0.013",
            "4 (in 3.50 to –)",
            "7 ± 0.031",
            "The line is missing: only 8 leading eigenvalues were computed",
            "8 leading pairs do not give within 10 %",
            "too few pairs",
        ):
            self.assertIn(stated, text)
        self.assertNotIn("None", text)
        self.assertNotIn(">nan<", text)

    def test_names_from_files_are_escaped(self):
        synthetic_run.write_spectrum(
            self.directory, synthetic_run.write_kernel(self.directory, groups=("<script>", "b$_{")),
            ("total", "<script>x"))  # fmt: skip
        theory = synthetic_run.theory(("total", "<script>x"), names=(HOSTILE,))
        theory["kernels"]["total"]["limits"] = [HOSTILE]
        theory["kernels"]["total"]["decay"]["laws"]["fits"][0]["law"] = HOSTILE
        theory["kernels"]["total"]["labels"][0]["stopping"][HOSTILE] = synthetic_run.stop(3.0)
        synthetic_run.write_theory(self.directory, theory)
        text, drawings = page.build(self.directory)
        self.assertNotIn("<script", text)
        self.assertIn("&lt;script&gt;", text)
        self.assertNotIn("script", Collector(text).tags)
        for name in drawings:
            self.assertRegex(name, r"\A[A-Za-z0-9._-]+\Z")

    def test_several_label_sets_classes_and_outputs(self):
        total = synthetic_run.write_kernel(self.directory, triangle="lower", classes=True, outputs=3)
        synthetic_run.write_spectrum(self.directory, np_symmetric(total), ("total",))
        theory = synthetic_run.theory(("total",), names=("cat", "dog", "eel"))
        report = theory["kernels"]["total"]
        report["learning_curves"] = None
        report["label_means"] = {"label_sets": 3, "plug_in": report["labels"][0]["plug_in"]}
        synthetic_run.write_theory(self.directory, theory)
        text = self.text()
        for stated in ("Label set dog", "Label set eel", "Mean over 3 label sets",
                       "samples ordered by class label", "Mean over the 3 outputs",
                       "learning_curves is null"):  # fmt: skip
            self.assertIn(stated, text)

    def test_both_triangles_give_the_same_heat_map(self):
        picked = np.array([1, 4, 30])
        for outputs in (1, 2):
            maps = []
            for triangle in ("full", "lower"):
                synthetic_run.write_kernel(self.directory, triangle=triangle, outputs=outputs)
                with h5py.File(self.directory / "kernel.h5") as file:
                    maps.append(kernel_order.read_samples(file["kernel/total"], picked, outputs))
                    whole = ntkspectra.load(self.directory).kernel()
            expected = sum(whole[c::outputs, c::outputs] for c in range(outputs)) / outputs
            for found in maps:
                np.testing.assert_allclose(found, expected[np.ix_(picked, picked)])
        centred = kernel_order.centred(expected)
        np.testing.assert_allclose(centred.sum(axis=0), 0, atol=1e-9)
        np.testing.assert_allclose(
            kernel_order.blocked(np.arange(16.0).reshape(4, 4), 2), [[2.5, 4.5], [10.5, 12.5]])  # fmt: skip

    def test_classes_have_names_where_the_file_has_them(self):
        self.assertEqual(kernel_order.class_name([b"cat", "dog"], 0), "cat")
        self.assertEqual(kernel_order.class_name([b"cat", "dog"], 1), "dog")
        self.assertEqual(kernel_order.class_name([], 3), "3")

    def test_laws_meet_at_their_knees(self):
        broken = laws.eigenvalues(
            "broken", {"A": 2.0, "alpha": 0.5, "alpha_2": 2.0, "k0": 10.0}, np.array([10.0, 20.0]))  # fmt: skip
        np.testing.assert_allclose(broken, [2 * 10**-0.5, 2 * 10**-0.5 / 4])
        one = {"A": 3.0, "alpha": 1.0, "s": 1.0, "g": 0.5, "c": 0.1, "k0": 5.0, "m": 4.0, "alpha_2": 2.0}
        for name in ("power", "broken", "stretched", "exponential", "finite rank"):
            np.testing.assert_allclose(laws.eigenvalues(name, one, np.array([1.0])), 3.0)
        self.assertTrue(np.isnan(laws.eigenvalues("finite rank", one, np.array([5.0])))[0])


def np_symmetric(kernel):
    return kernel if (kernel == kernel.T).all() else kernel + kernel.T


class SamplesFrame(unittest.TestCase):
    def test_columns_or_a_hint(self):
        with tempfile.TemporaryDirectory() as folder:
            directory = pathlib.Path(folder)
            synthetic_run.write_kernel(directory)
            try:
                import pandas  # noqa: F401
            except ImportError:
                with self.assertRaisesRegex(ImportError, "pip install pandas"):
                    ntkspectra.load(directory).samples_frame()
            else:
                frame = ntkspectra.load(directory).samples_frame()
                self.assertEqual(sorted(frame.columns), ["outputs", "target_0", "target_1"])


if __name__ == "__main__":
    unittest.main()
