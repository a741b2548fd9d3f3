"""Classes in theory.json: error rates of kernels with a row for every output and with one row a
sample, against dense linear algebra on the stored kernels."""

import json

import h5py
import numpy as np
import support
import theory_reference as reference

SAMPLES, SET, CLASSES = 60, 30, ("red", "green", "blue")


def write_learnable(path, generator, count):
    """Classes that the tokens decide, with some labels wrong."""
    samples = support.random_samples(generator, count)
    score = np.array([np.cos(sample).mean() for sample in samples])
    labels = np.digitize(score, np.quantile(score, [0.4, 0.7]))
    wrong = generator.random(count) < 0.1
    labels[wrong] = generator.integers(0, len(CLASSES), wrong.sum())
    return support.write_data(path, samples, label=(labels, list(CLASSES)),
                              group=np.arange(count) // 3)


class Classes(support.Case):
    def setUp(self):
        super().setUp()
        self.train = write_learnable(self.home / "train.h5", self.generator, SAMPLES)
        self.other = write_learnable(self.home / "other.h5", self.generator, SET)

    def report(self, outputs, **theory):
        job = self.job(self.train, directory=f"run-{outputs}", data={"evaluate": [self.other]},
                       kernel={"precision": "fp64", "outputs": outputs}, spectrum={},
                       theory={"law_draws": 0, "seeds": 3, "sizes": [20], **theory})
        result = self.run_well("run", job)
        home = self.home / f"run-{outputs}"
        self.assertIn("error rate  at n = 20: oracle", result.text)
        self.assertIn("error rate  on other, all rows trained: oracle", result.text)
        return (json.loads((home / "theory.json").read_text())["kernels"]["total"],
                home / "kernel.h5")

    def check(self, report, path, predict):
        """`predict(rules)`: (samples of the set, classes) for the label sets' rules of one name."""
        _, samples = reference.read_set(path, "other")
        classes = report["classes"]["evaluate"]["other"]
        self.assertEqual((classes["samples"], classes["parts"]), (SET, SET // 3))
        named = [{rule["rule"]: rule for rule in label["evaluate"]["other"]["rules"]}
                 for label in report["labels"]]
        self.assertEqual({rule["rule"] for rule in classes["rules"]},
                         {"oracle", "ridge_oracle", "discrepancy", "smoothed", "leave_one_out",
                          "k_fold", "hold_out", "gcv", "sure", "rwy", "never", "null"})
        for rule in classes["rules"]:
            predictions = predict([rules[rule["rule"]] for rules in named])
            wrong = np.argmax(predictions, axis=1) != samples["label"]
            self.assertAlmostEqual(rule["error_rate"], wrong.mean(), delta=1e-12, msg=rule["rule"])
            self.assertLessEqual(rule["low"], rule["error_rate"])
            self.assertGreaterEqual(rule["high"], rule["error_rate"])
        self.assertGreater(len({rule["error_rate"] for rule in classes["rules"]}), 1)
        curves = report["learning_curves"]["classes"]
        rates = {rule["rule"]: rule["error_rate"][0] for rule in curves["rules"]}
        on_set = {rule["rule"]: rule["error_rate"][0] for rule in
                  curves["evaluate"]["other"]["rules"]}
        self.assertEqual(set(rates), set(on_set))
        for of in (rates, on_set):
            self.assertGreater(len(set(of.values())), 1)
            self.assertGreaterEqual(min(of.values()), 0)
            self.assertLessEqual(max(of.values()), 1)

    def one_against_the_rest(self, outputs):
        report, path = self.report(outputs)
        self.assertEqual([label["name"] for label in report["labels"]],
                         [f"class {name}" for name in CLASSES])
        kernel, samples = reference.read_train(path)
        cross, _ = reference.read_set(path, "other")
        hot = np.eye(len(CLASSES))[samples["label"]]

        def predict(rules):
            return np.stack([
                reference.ridge(kernel, cross, hot[:, c], 1 / rule["eta"])
                if rule["rule"] == "ridge_oracle" else
                reference.flow(kernel, cross, hot[:, c], rule["eta"])
                for c, rule in enumerate(rules)], axis=1)

        self.check(report, path, predict)

    def test_one_row_a_sample(self):
        self.one_against_the_rest("mean_diagonal")

    def test_sum_of_the_outputs(self):
        self.one_against_the_rest("sum")

    def test_all_outputs(self):
        report, path = self.report("logits")
        self.assertEqual([label["name"] for label in report["labels"]], ["classes"])
        noise = report["labels"][0]["noise_variance"]
        self.assertIn("estimate", noise["rule"])
        kernel, samples = reference.read_train(path)
        cross, known = reference.read_set(path, "other")
        count = len(CLASSES)
        hot = np.eye(count)[samples["label"]]
        # The mean over samples is taken off every output: (I - 11'/N) x I_C on both sides.
        centre = np.kron(np.eye(SAMPLES) - 1 / SAMPLES, np.eye(count))
        spread = np.kron(np.full((SET, SAMPLES), 1 / SAMPLES), np.eye(count))
        k = centre @ kernel @ centre
        c = (cross - spread @ kernel) @ centre
        y = (hot - hot.mean(0)).ravel()
        rows = len(k)

        def fit(rule):
            if rule["rule"] == "ridge_oracle":
                weights = np.linalg.solve(k / rows + np.eye(rows) / rule["eta"], y)
            elif rule["eta"] is None:
                weights = np.linalg.pinv(k / rows, rcond=1e-10, hermitian=True) @ y
            else:
                weights = reference.integrated_flow(k / rows, rule["eta"]) @ y
            return hot.mean(0) + (c @ weights / rows).reshape(SET, count)

        self.check(report, path, lambda rules: fit(rules[0]))
        judged = report["labels"][0]["evaluate"]["other"]
        truth = np.eye(count)[known["label"]]
        for rule in judged["rules"]:
            self.assertAlmostEqual(rule["risk"], np.mean((fit(rule) - truth) ** 2), delta=1e-7)
        self.assertEqual(report["labels"][0]["growth"]["rows"], SAMPLES * count)
        self.assertIsNotNone(report["labels"][0]["growth"]["value"])
        self.assertEqual(report["learning_curves"]["outputs"], count)
        self.assertEqual(report["learning_curves"]["test_rows"], SAMPLES // 4)

    def test_difference_is_judged_by_its_sign(self):
        for path in (self.train, self.other):
            with h5py.File(path, "a") as file:
                file["label"][...] = np.minimum(file["label"][...], 1)
                file["label"].attrs["classes"] = list(CLASSES[:2])
        report, path = self.report("difference")
        kernel, samples = reference.read_train(path)
        cross, known = reference.read_set(path, "other")
        signs = 2.0 * samples["label"] - 1
        times = {rule["rule"]: rule["eta"]
                 for rule in report["labels"][0]["evaluate"]["other"]["rules"]}
        for rule in report["classes"]["evaluate"]["other"]["rules"]:
            if rule["rule"] == "ridge_oracle":
                continue
            predictions = reference.flow(kernel, cross, signs, times[rule["rule"]])
            wrong = (predictions > 0) != known["label"]
            self.assertAlmostEqual(rule["error_rate"], wrong.mean(), delta=1e-12, msg=rule["rule"])

    def test_kept_outputs_count_as_part_of_the_prediction(self):
        """f0 = keep learns y - f0: the class is that of f0 + f."""
        report, path = self.report("mean_diagonal", f0="keep")
        kernel, samples = reference.read_train(path)
        cross, known = reference.read_set(path, "other")
        labels = np.eye(len(CLASSES))[samples["label"]] - samples["outputs"]

        def predict(rules):
            return known["outputs"] + np.stack([
                reference.ridge(kernel, cross, labels[:, c], 1 / rule["eta"])
                if rule["rule"] == "ridge_oracle" else
                reference.flow(kernel, cross, labels[:, c], rule["eta"])
                for c, rule in enumerate(rules)], axis=1)

        for rule in report["classes"]["evaluate"]["other"]["rules"]:
            named = [next(r for r in label["evaluate"]["other"]["rules"]
                          if r["rule"] == rule["rule"]) for label in report["labels"]]
            wrong = np.argmax(predict(named), axis=1) != known["label"]
            self.assertAlmostEqual(rule["error_rate"], wrong.mean(), delta=1e-12)

    def test_classes_of_other_names_do_not_judge(self):
        with h5py.File(self.other, "a") as file:
            file["label"].attrs["classes"] = ["blue", "red", "violet"]
        job = self.job(self.train, data={"evaluate": [self.other]},
                       kernel={"outputs": "mean_diagonal"}, spectrum={},
                       theory={"law_draws": 0, "seeds": 2, "sizes": [20]})
        self.run_well("run", job)
        report = json.loads((self.home / "run" / "theory.json").read_text())["kernels"]["total"]
        self.assertIsNone(report["classes"])
        self.assertTrue(any("class violet is none of the training rows'" in line
                            for line in report["limits"]), report["limits"])


if __name__ == "__main__":
    support.main()
