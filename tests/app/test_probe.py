"""model.head = "probe": what it is fitted on, what comes out, and what follows for restarts, larger
kernels and theory."""

import json
import subprocess

import h5py
import numpy as np

import support
import test_same_bits as bits
from support import HIDDEN, STATUS

USAGE, INPUT = 2, 3


def record_of(head):
    """The record of a fit, and the head's tensors."""
    raw = head.read_bytes()
    header = json.loads(raw[8 : 8 + int.from_bytes(raw[:8], "little")])
    _, data = support.read_safetensors(head)
    tensors = {name: np.frombuffer(data, np.float32)[slice(*(np.array(
        header[name]["data_offsets"]) // 4))].reshape(header[name]["shape"])
        for name in ("weight", "bias")}
    return json.loads(header["__metadata__"]["probe"]), tensors


def rows_of(kernel):
    with h5py.File(kernel) as file:
        return file["samples/source_row"][...].tolist()


class ProbeCase(bits.BitsCase):
    def probe_job(self, train, directory="run", samples=60, model=None, **tables):
        return self.job(train, directory, model={"head": "probe", **(model or {})},
                        data={"samples": samples, **tables.pop("data", {})}, **tables)

    def kernel(self, directory="run"):
        return self.home / directory / "kernel.h5"

    def head(self, directory="run"):
        return self.home / directory / "head.safetensors"

    def targets(self, count=160):
        """Real targets that the tokens say much of, in groups of four rows."""
        samples = support.random_samples(self.generator, count)
        reference = 3 * np.array([np.cos(sample).mean() for sample in samples])
        return support.write_data(
            self.home / "train.h5", samples, reference=reference,
            target=(reference + 0.5 * self.generator.normal(size=count))[:, None],
            reference_variance=np.zeros(count), noise_variance=np.full(count, 0.25),
            group=np.arange(count) // 4)

    def classes(self, count=160, classes=("a", "b", "c"), name="train.h5"):
        """Classes that the tokens say something of."""
        samples = support.random_samples(self.generator, count)
        score = np.array([np.cos(sample).mean() for sample in samples])
        score += 0.1 * self.generator.normal(size=count)
        edges = np.quantile(score, np.arange(1, len(classes)) / len(classes))
        return support.write_data(self.home / name, samples,
                                  label=(np.searchsorted(edges, score), list(classes)))

    def features(self, train, pooling):
        """The features of all rows, by source row: outputs of a head that passes them on."""
        names = [f"class {i}" for i in range(HIDDEN)]
        with h5py.File(train) as file:
            tokens, offsets = file["tokens"][...], file["offsets"][...]
        samples = np.split(tokens, offsets[1:-1])
        labels = np.arange(len(samples)) % HIDDEN
        data = support.write_data(self.home / "features.h5", samples, label=(labels, names))
        head = support.pack_tensors(self.home / "identity.safetensors",
                                    {"weight": np.eye(HIDDEN), "bias": np.zeros(HIDDEN)})
        self.run_well("kernel", self.job(
            data, f"features-{pooling}", model={"head": head, "pooling": pooling},
            kernel={"groups": "none", "outputs": "mean_diagonal"}), ranks=2)
        with h5py.File(self.kernel(f"features-{pooling}")) as file:
            order = np.argsort(file["samples/source_row"][...])
            return file["samples/outputs"][...][order]


class Fits(ProbeCase):
    def test_ridge_on_rows_that_share_no_group(self):
        train = self.targets()
        self.run_well("kernel", self.probe_job(train, model={"pooling": "mean"}), ranks=2)
        record, head = record_of(self.head())
        fitted, own = np.array(record["source_rows"]), np.array(rows_of(self.kernel()))
        with h5py.File(train) as file:
            group, target = file["group"][...], file["target"][...][:, 0]
        self.assertEqual(len(own), 60)
        self.assertGreaterEqual(len(fitted), 20)
        self.assertEqual(len(fitted), len(set(fitted.tolist())))
        self.assertFalse(set(group[fitted - 1]) & set(group[own - 1]))
        # The closed form, on features that the program gives as outputs of another head.
        x, y = self.features(train, "mean")[fitted - 1], target[fitted - 1]
        x_mean, scale = x.mean(0), record["rms_distance"] ** 2
        self.assertAlmostEqual(scale / ((x - x_mean) ** 2).sum(1).mean(), 1, places=5)
        c = x - x_mean
        weight = np.linalg.solve(c.T @ c / len(c) + record["penalty"] * scale * np.eye(HIDDEN),
                                 c.T @ (y - y.mean()) / len(c))
        self.assertLess(support.relative(head["weight"][0], weight), 1e-4)
        self.assertAlmostEqual(head["bias"][0], y.mean() - weight @ x_mean, places=3)
        table = record["cross_validation"]
        self.assertEqual(len(table), 15)
        least = min(table, key=lambda line: line["score"])
        self.assertEqual(least["penalty"], record["penalty"])
        self.assertLess(record["gradient_norm"], 1e-9)
        self.assertEqual(len(record["fold_of_row"]), len(fitted))
        weights = np.bincount(record["fold_of_row"]) / len(fitted)
        for line in table:
            self.assertAlmostEqual(weights @ line["folds"], line["score"], places=12)
        for g in set(group[fitted - 1].tolist()):  # folds keep groups whole
            self.assertEqual(len({f for f, row in zip(record["fold_of_row"], fitted)
                                  if group[row - 1] == g}), 1)
        with h5py.File(self.kernel()) as file:
            self.assertEqual(file.attrs["head.fitted_samples"], 0)
            kept = json.loads(file.attrs["head.probe"])
        self.assertEqual(kept, {key: value for key, value in record.items()
                                if key not in ("source_rows", "fold_of_row")})
        summary = json.loads((self.home / "run" / "summary.json").read_text())["kernel"]["head"]
        self.assertEqual(summary, {"probe": kept, "fitted_samples": 0})

    def test_logistic_regression_is_at_its_minimum(self):
        train = self.classes()
        self.run_well("kernel", self.probe_job(train, model={"probe_rows": 80}), ranks=2)
        record, head = record_of(self.head())
        fitted = np.array(record["source_rows"])
        self.assertEqual(len(fitted), 80)
        self.assertFalse(set(fitted.tolist()) & set(rows_of(self.kernel())))
        with h5py.File(train) as file:
            label = file["label"][...][fitted - 1]
        x = self.features(train, "cls")[fitted - 1]
        scores = x @ head["weight"].T.astype(float) + head["bias"]
        p = np.exp(scores - scores.max(1, keepdims=True))
        p /= p.sum(1, keepdims=True)
        error = (p - np.eye(3)[label]) / len(x)
        penalty = record["penalty"] * record["rms_distance"] ** 2
        gradient = error.T @ x + penalty * head["weight"]
        self.assertLess(abs(gradient).max(), 1e-5 * abs(np.eye(3)[label].T @ x).max() / len(x))
        self.assertLess(abs(error.sum(0)).max(), 1e-5)
        self.assertLess(record["gradient_norm"], 1e-9)
        self.assertLess(record["train_loss"], np.log(3))

    def test_target_columns_are_averaged(self):
        samples = support.random_samples(self.generator, 120)
        target = self.generator.normal(size=(120, 3))
        many = support.write_data(self.home / "many.h5", samples, target=target)
        one = support.write_data(self.home / "one.h5", samples,
                                 target=target.mean(1, keepdims=True))
        for data, name in ((many, "many"), (one, "one")):
            self.run_well("kernel", self.probe_job(data, name, samples=40))
        a, b = (record_of(self.head(name))[1] for name in ("many", "one"))
        np.testing.assert_allclose(a["weight"], b["weight"], rtol=1e-5, atol=1e-9)

    def test_rows_of_an_evaluation_set_are_left_out(self):
        train = self.classes(200)
        copy = self.home / "copy.h5"
        copy.write_bytes(train.read_bytes())
        self.run_well("kernel", self.probe_job(
            train, samples=40, model={"probe_rows": 100},
            data={"evaluate": [copy], "evaluate_samples": 90}), ranks=2)
        fitted = set(record_of(self.head())[0]["source_rows"])
        with h5py.File(self.kernel()) as file:
            self.assertFalse(fitted & set(file["evaluate/copy/samples/source_row"][...].tolist()))

    def test_refusals(self):
        train = self.targets(60)
        for job, words in (
            (self.probe_job(train, samples=0), ("0 rows of", "probe_on")),
            (self.probe_job(train, samples=50), ("are free for the probe head", "20 are wanted")),
            (self.probe_job(train, samples=12, model={"probe_rows": 49}),
             ("49 are wanted", "data.samples")),
            (self.probe_job(train, samples=19, model={"probe_on": "train"}),
             ("19 samples are too few", "data.samples")),
        ):
            self.assert_refused(support.run("kernel", job, ranks=2), INPUT, *words,
                                status=STATUS[INPUT])
        rare = self.classes(120)
        with h5py.File(rare, "r+") as file:
            del file["label"]
            file["label"] = np.arange(120, dtype=np.int32) % 2
            file["label"].attrs["classes"] = ["a", "b", "c"]
        result = support.run("kernel", self.probe_job(rare), ranks=2)
        self.assert_refused(result, INPUT, "class c has none of the 60 rows", status=STATUS[INPUT])
        self.assertFalse(self.kernel().exists())
        self.assertFalse((self.home / "run" / "kernel.h5.partial").exists())

    def test_plan(self):
        job = self.probe_job(self.targets())
        plan = json.loads(self.run_well_plan(job))
        self.assertEqual(plan["kernel"]["state"], "fresh")
        self.run_well("kernel", job, ranks=2)
        self.assertEqual(json.loads(self.run_well_plan(job))["kernel"]["state"], "complete")

    def run_well_plan(self, job):
        result = support.run("plan", job, "--ranks", 2, "--json")
        self.assertEqual(result.code, 0, result.text)
        return result.out


class Bits(ProbeCase):
    def test_any_ranks(self):
        for name, train in (("targets", self.targets()), ("classes", self.classes(name="c.h5"))):
            first = None
            for ranks, threads in ((1, 1), (2, 1), (4, 1), (1, 2)):
                directory = f"{name}-r{ranks}t{threads}"
                job = self.probe_job(train, directory, run={"threads": threads})
                self.run_well("kernel", job, ranks=ranks)
                found = support.contents(self.kernel(directory)), self.head(directory).read_bytes()
                first = first or found
                self.assertEqual(found, first, directory)

    def test_leading_pairs_after_the_fit(self):
        """SLEPc on all ranks after TAO on the first, in one process."""
        job = self.probe_job(self.classes(), spectrum={"method": "leading", "leading": 5})
        self.run_well("run", job, ranks=2)
        with h5py.File(self.home / "run" / "spectrum.h5") as file:
            found = file["total/raw/eigenvalues"][...]
        kernel = support.read_kernel(self.kernel())
        expected = np.linalg.eigvalsh(kernel)[::-1][:5] / len(kernel)
        self.assertLess(abs(found - expected).max(), 1e-10 * expected[0])

    def test_killed_and_gone_on(self):
        train = self.classes(200)
        self.run_well("kernel", self.probe_job(train, "whole", samples=100), ranks=1)
        job = self.probe_job(train, samples=100)
        partial = self.home / "run" / "kernel.h5.partial"
        process = subprocess.Popen(
            support.command(2, "kernel", job),
            env=support.environment(**support.slow(partial.parent, 0.02)),
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True)
        self.addCleanup(support.kill, process)
        bits.kill_when(process, lambda: bits.journalled(partial, bits.journal_states(partial)) >= 5)
        self.assertTrue(partial.exists())
        before = self.head().read_bytes()
        result = self.run_well("kernel", job, ranks=4)
        self.assertIn("fitted before", result.text)
        self.assertIn("going on with", result.text)
        self.assertEqual(self.head().read_bytes(), before)
        self.assert_same(support.contents(self.kernel("whole")), "run", "killed")
        self.head().unlink()  # fitted again, to the same bits
        result = self.run_well("kernel", job, ranks=2)
        self.assertIn("nothing to do", result.text)
        self.assertIn("a probe is fitted", result.text)

    def test_shares(self):
        train = self.targets()
        self.run_well("kernel", self.probe_job(train, "whole"), ranks=2)
        job = self.probe_job(train)
        self.run_well("kernel", job, "--share", "1/2")
        self.assertTrue(self.head().exists())
        self.assertIn("fitted before", self.run_well("kernel", job, "--share", "2/2").text)
        self.assertIn("fitted before", self.run_well("merge", job, ranks=2).text)
        self.assert_same(support.contents(self.kernel("whole")), "run", "shares")


class Larger(ProbeCase):
    """Kernels with a probe head that get more samples."""

    def test_the_head_is_kept_by_its_file(self):
        train = self.classes(200)
        self.run_well("kernel", self.probe_job(train, samples=64), ranks=2)
        kernel, head = self.kernel().read_bytes(), self.head().read_bytes()
        larger = self.probe_job(train, samples=128)
        result = support.run("kernel", larger, ranks=2)
        self.assert_refused(result, USAGE, "fitted otherwise", "model.head", "rows.sha256",
                            status=STATUS[USAGE])
        self.assertEqual(self.kernel().read_bytes(), kernel)
        self.assertEqual(self.head().read_bytes(), head)
        kept = self.job(train, model={"head": self.head()}, data={"samples": 150})
        result = self.run_well("kernel", kept, ranks=2)
        self.assertIn("taken from", result.text)
        self.assertEqual(self.head().read_bytes(), head)
        fitted = set(record_of(self.head())[0]["source_rows"])
        with h5py.File(self.kernel()) as file:
            own = set(file["samples/source_row"][...].tolist())
            self.assertEqual(file.attrs["head.fitted_samples"], len(own & fitted))
        self.assertEqual(len(own & fitted), 14)  # its rows are the last 64 of the draw

    def test_rows_at_the_draws_end_stay(self):
        train = self.classes(200)
        model = {"probe_rows": 60}
        self.run_well("kernel", self.probe_job(train, samples=64, model=model), ranks=2)
        head = self.head().read_bytes()
        result = self.run_well("kernel", self.probe_job(train, samples=128, model=model), ranks=2)
        self.assertIn("fitted before", result.text)
        self.assertIn("taken from", result.text)
        self.assertEqual(self.head().read_bytes(), head)
        self.run_well("kernel", self.probe_job(train, "whole", samples=128, model=model))
        self.assert_same(support.contents(self.kernel("whole")), "run", "grown")

    def test_records_of_other_hands(self):
        train = self.classes()
        self.run_well("kernel", self.probe_job(train, "made"), ranks=2)
        header, data = support.read_safetensors(self.head("made"))
        record, _ = record_of(self.head("made"))
        other = self.home / "other.safetensors"
        for text in ("{", "[]", "{}", json.dumps({**record, "source_rows": ["1"]}),
                     json.dumps({**record, "recipe": {"data.sha256": 5}})):
            support.write_safetensors(other, {**header, "__metadata__": {"probe": text}}, data)
            job = self.job(train, model={"head": other}, data={"samples": 60})
            self.assert_refused(support.run("kernel", job, ranks=2), INPUT,
                                "record of its fit cannot be read", status=STATUS[INPUT])
        support.write_safetensors(other, header, data)  # the same head without its record
        self.run_well("kernel", self.job(train, model={"head": other}, data={"samples": 60}))
        self.assert_same(support.contents(self.kernel("made")), "run", "no record")
        with h5py.File(self.kernel()) as file:
            self.assertNotIn("head.fitted_samples", file.attrs)

    def test_another_fit_in_a_used_directory(self):
        train = self.classes(200)
        self.run_well("kernel", self.probe_job(train))
        for model in ({"pooling": "mean"}, {"probe_on": "train"}, {"probe_rows": 90}):
            result = support.run("kernel", self.probe_job(train, model=model), ranks=2)
            self.assert_refused(result, USAGE, "fitted otherwise", status=STATUS[USAGE])


class Theory(ProbeCase):
    """A head that was fitted on the kernel's own labels, and one that was not."""

    RULES = {"sure", "discrepancy", "rwy"}

    def theory(self, directory, **model):
        theory = {"sizes": [25, 50], "seeds": 3, "test_samples": 40, "law_draws": 0}
        self.run_well("run", self.probe_job(
            self.train, directory, samples=150, model={"pooling": "mean", **model}, spectrum={},
            theory=theory), ranks=2)
        return json.loads((self.home / directory / "theory.json").read_text())["kernels"]["total"]

    def rules(self, theory):
        return {rule["rule"] for rule in theory["learning_curves"]["labels"][0]["rules"]}

    def test_rules_that_take_noise_to_be_independent(self):
        self.train = self.targets(400)
        apart = self.theory("apart")
        self.assertLessEqual(self.RULES, set(apart["labels"][0]["stopping"]))
        self.assertLessEqual(self.RULES | {"smoothed"}, self.rules(apart))
        own = self.theory("own", probe_on="train")
        record, _ = record_of(self.head("own"))
        self.assertEqual(sorted(record["source_rows"]), sorted(rows_of(self.kernel("own"))))
        with h5py.File(self.kernel("own")) as file:
            self.assertEqual(file.attrs["head.fitted_samples"], 150)
        self.assertFalse(self.RULES & set(own["labels"][0]["stopping"]))
        self.assertIn("gcv", own["labels"][0]["stopping"])
        self.assertFalse((self.RULES | {"smoothed"}) & self.rules(own))
        self.assertLessEqual({"gcv", "k_fold", "oracle", "never"}, self.rules(own))
        self.assertTrue([limit for limit in own["limits"]
                         if "no SURE, discrepancy" in limit and "head was fitted on" in limit])
        self.assertFalse([limit for limit in apart["limits"] if "SURE" in limit])
        # The same head by its file: its record tells.
        self.run_well("run", self.job(
            self.train, "by-file", model={"head": self.head("own"), "pooling": "mean"},
            data={"samples": 100}, spectrum={}, theory={"law_draws": 0}), ranks=2)
        by_file = json.loads((self.home / "by-file" / "theory.json").read_text())
        self.assertFalse(
            self.RULES & set(by_file["kernels"]["total"]["labels"][0]["stopping"]))


if __name__ == "__main__":
    support.main()
