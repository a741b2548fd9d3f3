"""Theory from leading pairs, on one kernel: the same numbers as from all of them, within the errors
that are stated, on any number of ranks."""

import json
import shutil

import h5py
import numpy as np
import support

SAMPLES, PAIRS = 160, 40


class LeadingPairs(support.Case):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        case = cls.lasting()
        cls.home_of_run = case.home
        cls.train = support.write_targets(case.home / "train.h5", case.generator, SAMPLES)
        case.run_well("run", case.theory_job("full"), ranks=2)
        cls.full = case.read("full")
        for ranks in (1, 2):
            directory = case.home / f"leading{ranks}"
            directory.mkdir()
            shutil.copy(case.home / "full" / "kernel.h5", directory)
            case.run_well("theory", case.theory_job(directory.name), ranks=ranks)
        cls.reports = {ranks: case.read(f"leading{ranks}") for ranks in (1, 2)}

    def setUp(self):
        super().setUp()
        self.home = self.home_of_run

    def theory_job(self, directory, **theory):
        method = "full" if directory == "full" else "leading"
        return self.job(
            self.train, directory, kernel={"precision": "fp64"},
            spectrum={"method": method, "leading": PAIRS},
            theory={"sizes": [20, 40], "seeds": 2, "test_samples": 40, "law_draws": 0, **theory})

    def read(self, directory):
        return json.loads((self.home / directory / "theory.json").read_text())["kernels"]["total"]

    def compare(self, a, b, what, slack=0.05):
        """Within the stated error; grids differ, so that a stop can be a point away."""
        self.assertIsNotNone(a["value"], what)
        self.assertLessEqual(abs(a["value"] - b["value"]), a["error"] + slack * abs(b["value"]), what)

    def test_numbers_are_those_of_the_full_spectrum(self):
        for ranks in (1, 2):
            report, full = self.reports[ranks], self.full
            for kind in ("raw", "centred"):
                for key, value in full["spectrum"][kind].items():
                    self.assertAlmostEqual(
                        report["spectrum"][kind][key]["value"] / value["value"], 1, 10)
            self.assertEqual(report["spectrum"]["modes"]["value"], PAIRS)
            said = 0
            for name in ("alpha", "alpha_low", "alpha_high"):
                a, b = report["decay"][name], full["decay"][name]
                if a and b and a["window"] == b["window"]:
                    self.compare(a, b, name)
                    said += 1
            a, b = report["labels"][0], full["labels"][0]
            self.assertAlmostEqual(a["label_variance"]["value"], b["label_variance"]["value"], 10)
            for name in ("effective_noise", "rkhs_norm2"):
                if a[name]["value"] is not None:
                    self.compare(a[name], b[name], name)
                    said += 1
            for name, stop in a["stopping"].items():
                true = b["stopping"][name]
                # RWY takes the norm at the GCV stop, which may be a point away.
                slack = 0.05 if name == "rwy" else 0.001
                self.assertLessEqual(stop["range"][0], (1 + slack) * true["value"], name)
                self.assertGreaterEqual(stop["range"][1], (1 - slack) * true["value"], name)
                said += 1
            for point, true in zip(a["plug_in"]["curve"], b["plug_in"]["curve"], strict=True):
                if point["risk"] is not None:
                    self.assertLessEqual(abs(point["risk"] - true["risk"]),
                                         point["error"] + 0.01 * true["risk"])
                    said += 1
            self.assertGreater(said, 4, report["limits"])
            self.assertTrue(any(f"{PAIRS} of {SAMPLES} eigenvalues" in c for c in report["caveats"]))
            # Measured on the kernel itself, whatever the spectrum.
            self.assertEqual(report["learning_curves"], full["learning_curves"])
            self.assertEqual(report["labels"][0]["growth"]["rows"], full["labels"][0]["growth"]["rows"])

    def test_ranks_agree(self):
        one, two = self.reports[1], self.reports[2]
        self.assertEqual(one["limits"], two["limits"])
        self.assertAlmostEqual(one["decay"]["alpha"]["value"], two["decay"]["alpha"]["value"], 8)

    def test_file_holds_sums_over_all_modes(self):
        kernel = support.read_kernel(self.home / "full" / "kernel.h5")
        centred = kernel - kernel.mean(0) - kernel.mean(1)[:, None] + kernel.mean()
        a = centred / SAMPLES
        with h5py.File(self.home / "leading2" / "spectrum.h5") as file:
            group = file["total/centred"]
            scale = np.abs(a).max()
            np.testing.assert_allclose(group["diagonal"], np.diag(a), atol=1e-12 * scale)
            np.testing.assert_allclose(group["row_squares"], (a * a).sum(1), atol=1e-11 * scale**2)
            with h5py.File(self.home / "full" / "kernel.h5") as source:
                target = source["samples/target"][...]
            np.testing.assert_allclose(group["products/target"], a @ target, atol=1e-11 * scale)
            self.assertEqual(group["projections/target"].shape, (PAIRS, 1))
            # Of the vectors none is kept, all are used.
            self.assertNotIn("eigenvectors", group)

    def test_outputs_kept(self):
        """Labels are y - f0: their moments come from the products of both."""
        reports = {}
        for directory in ("full", "leading1"):
            self.run_well("theory", self.theory_job(directory, f0="keep"))
            reports[directory] = self.read(directory)["labels"][0]
        a, b = reports["leading1"], reports["full"]
        self.assertAlmostEqual(a["label_variance"]["value"], b["label_variance"]["value"], 10)
        compared = 0
        for name, stop in a["stopping"].items():
            self.compare(stop["df"], b["stopping"][name]["df"], name, slack=0.1)
            self.compare(stop["in_sample_bias"], b["stopping"][name]["in_sample_bias"], name, slack=0.1)
            compared += 1
        self.assertGreater(compared, 0)


if __name__ == "__main__":
    support.main()
