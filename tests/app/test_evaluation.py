"""Evaluation sets in theory.json against dense linear algebra on the stored kernels."""

import json

import h5py
import numpy as np
import support
import theory_reference as reference

SAMPLES = 60


class Evaluation(support.Case):
    def write_sets(self):
        """Training rows of two label sets, a set with references, one with one label set alone."""
        generator = self.generator
        train = support.write_targets(self.home / "train.h5", generator, SAMPLES)
        with h5py.File(train, "a") as file:
            target = file["target"][...]
            del file["target"]
            file["target"] = np.hstack([target, target + generator.normal(size=(SAMPLES, 1))])
        known = support.write_targets(self.home / "known.h5", generator, 40)
        plain = support.write_targets(self.home / "plain.h5", generator, 24)
        with h5py.File(plain, "a") as file:
            for name in ("reference", "reference_variance", "group"):
                del file[name]
        return train, known, plain

    def test_risks_are_those_of_dense_algebra(self):
        train, known, plain = self.write_sets()
        job = self.job(train, data={"evaluate": [known, plain]}, kernel={"precision": "fp64"},
                       spectrum={}, theory={"law_draws": 0, "seeds": 3, "sizes": [20]})
        result = self.run_well("run", job)
        path = self.home / "run" / "kernel.h5"
        report = json.loads((self.home / "run" / "theory.json").read_text())["kernels"]["total"]
        self.assertIn("evaluation", result.text)
        kernel, samples = reference.read_train(path)
        first, second = report["labels"]
        self.assertEqual(set(first["evaluate"]), {"known", "plain"})
        self.assertEqual(set(second["evaluate"]), {"known"})
        self.assertTrue(any("plain does not judge label set target 2: it has 1 label set(s) only"
                            in line for line in report["limits"]), report["limits"])
        for place, labels in enumerate((first, second)):
            for name, judged in labels["evaluate"].items():
                self.compare(path, kernel, samples["target"][:, place], name, judged)
        self.assertEqual(first["evaluate"]["known"]["judged_by"], "reference")
        self.assertEqual(first["evaluate"]["known"]["parts"], 10)
        self.assertEqual(first["evaluate"]["plain"]["judged_by"], "labels")
        self.assertTrue(first["evaluate"]["plain"]["excess"])
        self.assertEqual(first["evaluate"]["plain"]["parts"], 24)
        curves = report["learning_curves"]["labels"]
        self.assertEqual(len(curves[0]["evaluate"]["plain"]["rules"]), 13)
        self.assertEqual(set(curves[1]["evaluate"]), {"known"})
        # The rules are those of the report on all rows.
        times = {rule["rule"]: rule["eta"] for rule in first["evaluate"]["known"]["rules"]}
        for rule, stop in first["stopping"].items():
            self.assertAlmostEqual(times[rule] / stop["value"], 1, delta=1e-9)

    def compare(self, path, kernel, labels, name, judged):
        cross, samples = reference.read_set(path, name)
        by, variance = ((samples["reference"], samples["reference_variance"])
                        if judged["judged_by"] == "reference"
                        else (samples["target"][:, 0], samples["noise_variance"]))

        def risk(predictions):
            return np.mean((predictions - by) ** 2 - variance)

        scale = np.var(by)
        rules = {rule["rule"]: rule for rule in judged["rules"]}
        self.assertEqual(set(rules), {"oracle", "ridge_oracle", "discrepancy", "smoothed",
                                      "leave_one_out", "k_fold", "hold_out", "gcv", "sure", "rwy",
                                      "never", "null"})
        for rule in rules.values():
            expected = (reference.ridge(kernel, cross, labels, 1 / rule["eta"])
                        if rule["rule"] == "ridge_oracle"
                        else reference.flow(kernel, cross, labels, rule["eta"]))
            self.assertAlmostEqual(rule["risk"], risk(expected), delta=1e-7 * scale)
            self.assertLessEqual(rule["low"], rule["risk"])
            self.assertGreaterEqual(rule["high"], rule["risk"])
        along = judged["path"]
        for point in (0, 40, 80):
            eta = along["eta"][point]
            self.assertAlmostEqual(
                along["flow"][point], risk(reference.flow(kernel, cross, labels, eta)),
                delta=1e-7 * scale)
            self.assertAlmostEqual(
                along["ridge"][point], risk(reference.ridge(kernel, cross, labels, 1 / eta)),
                delta=1e-7 * scale)
        self.assertLessEqual(rules["oracle"]["risk"], min(along["flow"]) + 1e-12)
        self.assertAlmostEqual(rules["ridge_oracle"]["risk"], min(along["ridge"]))


if __name__ == "__main__":
    support.main()
