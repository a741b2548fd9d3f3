"""Job files and the scripts that run them, at tiny size: a two-layer model and made-up ratings."""

import csv
import os
import pathlib
import subprocess
import sys

import h5py
import numpy as np

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / "tests" / "app"), str(ROOT / "tests" / "jobs"), str(ROOT / "jobs")]
import prepare_data  # noqa: E402
import support  # noqa: E402
from test_prepare_data import WORDS, make_tokenizer  # noqa: E402

DOSES = (1, 2, 4, 7)
LABELS = [f"q{q}" for q in DOSES]
NOISES = [f"noise_q{q}" for q in DOSES]


class JobFiles(support.Case):
    def test_every_job_file_is_understood_and_documented(self):
        page = (ROOT / "docs/studies/README.md").read_text()
        files = sorted((ROOT / "jobs").glob("*.toml"))
        self.assertGreater(len(files), 5)
        for path in files:
            with self.subTest(path.name):
                result = support.run("job", path)
                self.assertEqual(result.code, 0, result.text)
                self.assertTrue(path.name in page or path.name == "movies.toml")
        for path in (ROOT / "jobs").glob("*.sh"):
            if path.name not in ("setup.sh", "study.sh"):
                self.assertTrue(path.name in page or path.name == "quickstart.sh", path.name)


class Studies(support.Case):
    def setUp(self):
        super().setUp()
        self.model = self.copy_model()
        make_tokenizer(self.model)
        self.table = self.home / "ratings.tsv"
        self.write_table()

    def write_table(self, rows=150, block=10):
        """Ratings of snippets of a few words, in blocks; the reference depends on the words."""
        with open(self.table, "w", newline="") as file:
            writer = csv.writer(file, delimiter="\t", lineterminator="\n")
            writer.writerow(["text", *LABELS, "reference", "reference_variance", *NOISES, "group"])
            for row in range(rows):
                words = self.generator.integers(4, len(WORDS), 6)
                reference = float(np.cos(words).sum())
                labels = [reference + self.generator.normal() / np.sqrt(q) for q in DOSES]
                writer.writerow([" ".join(WORDS[w] for w in words), *labels, reference, 0.01,
                                 *(1 / q for q in DOSES), row // block])

    def data_file(self, name):
        path = self.home / f"{name}.h5"
        code = prepare_data.main(
            ["--model", str(self.model), "--input", str(self.table), "--text", "text",
             "--target", ",".join(LABELS), "--noise-variance", ",".join(NOISES),
             "--reference", "reference", "--reference-variance", "reference_variance",
             "--group", "group", "-o", str(path)])
        self.assertEqual(code, 0)
        return path

    def script(self, name, *arguments, code=0, **settings):
        settings = {
            "model.path": f'"{self.model}"', "kernel.batch_samples": 64, "kernel.tile_samples": 16,
            "spectrum.kernels": '{ total = "all", head = "head" }', "theory.seeds": 2,
            "theory.test_samples": 40, "theory.sizes": "[20, 40]", "run.threads": 1, **settings}
        words = [word for key, value in settings.items() for word in ("--set", f"{key}={value}")]
        environment = support.environment(NTK_PROGRAM=support.PROGRAM, NTK_PYTHON=sys.executable,
                                          OMPI_MCA_rmaps_base_oversubscribe="1")
        result = subprocess.run([ROOT / "jobs" / name, *map(str, arguments), *words], text=True,
                                capture_output=True, env=environment, timeout=300, check=False)
        self.assertEqual(result.returncode, code, result.stdout + result.stderr)
        return result

    def test_raters(self):
        out = self.home / "raters"
        arguments = ("raters.sh", "--table", self.table, "--directory", out, "--rows", 125,
                     "--heads", "1 2")
        empty = {"data.evaluate": "[]"}
        result = self.script(*arguments, **empty)
        with h5py.File(out / "movies.h5") as file:
            _, sizes = np.unique(file["group"][...], return_counts=True)
            self.assertEqual(sizes.tolist(), [10] * 13)  # whole blocks
            self.assertEqual(file["noise_variance"].shape, (130, 4))
            self.assertEqual(list(file["target"].attrs["columns"]), LABELS)
        with h5py.File(out / "cls-1" / "kernel.h5") as file:
            self.assertEqual(list(file["samples/target"].attrs["columns"]), LABELS)
        text = (out / "comparison" / "comparison.md").read_text()
        self.assertIn(text, result.stdout)
        for run in ("cls-1", "cls-2"):
            for label in LABELS:
                self.assertIn(f"| {run} | total | {label} |", text)
        self.assertIn("## Head draws", text)
        # Again, with a pooling more: what is there is taken as it is.
        again = self.script(*arguments[:-1], "1", "--poolings", "cls mean", **empty)
        self.assertIn("theory.json is complete and up to date", again.stdout + again.stderr)
        self.assertIn("| mean-1 | total | q7 |",
                      (out / "comparison" / "comparison.md").read_text())

    def test_predicted_measured(self):
        out = self.home / "units"
        data = f"{self.data_file('one')} {self.data_file('two')}"
        self.script("predicted_measured.sh", "--directory", out, "--data", data,
                    **{"data.samples": 0})
        lines = (out / "comparison" / "units.tsv").read_text().splitlines()
        self.assertEqual(len(lines), 1 + 2 * 2 * len(LABELS))  # data files, kernels, label sets
        self.assertTrue((out / "comparison" / "predicted_measured.png").is_file())

    def test_initialisations(self):
        out = self.home / "kinds"
        self.script("initialisation.sh", "--directory", out, "--layers", 1,
                    **{"data.train": f'"{self.data_file("one")}"', "data.samples": 0})
        text = (out / "comparison" / "comparison.md").read_text()
        for kind in ("pretrained", "random", "mixed"):
            self.assertIn(f"| {kind} | total | q1 |", text)
        risks = {tuple(line.split("\t")[12:13]) for line in
                 (out / "comparison" / "units.tsv").read_text().splitlines()[1:] if "total" in line}
        self.assertGreater(len(risks), 4)  # they are different kernels

    def test_unknown_options(self):
        for name in ("raters.sh", "predicted_measured.sh", "initialisation.sh"):
            result = subprocess.run([ROOT / "jobs" / name, "--bogus", "1"], text=True, check=False,
                                    capture_output=True, env=dict(os.environ))
            self.assertEqual(result.returncode, 2)
            self.assertIn("--bogus", result.stderr)


if __name__ == "__main__":
    support.main()
