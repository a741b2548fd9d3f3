"""Labels from a file (theory.targets): the same as a kernel that was made with them, and refused
where they do not belong to it."""

import json
import shutil

import h5py
import numpy as np
import support
from support import STATUS

SAMPLES = 60


def close(a, b, place="", tolerance=1e-9):
    """Where two JSON values differ, numbers by more than `tolerance` of the larger."""
    if isinstance(a, dict) and isinstance(b, dict) and set(a) == set(b):
        return [d for key in a for d in close(a[key], b[key], f"{place}/{key}", tolerance)]
    if isinstance(a, list) and isinstance(b, list) and len(a) == len(b):
        return [d for i in range(len(a)) for d in close(a[i], b[i], f"{place}/{i}", tolerance)]
    numbers = all(isinstance(x, (int, float)) and not isinstance(x, bool) for x in (a, b))
    same = abs(a - b) <= tolerance * max(abs(a), abs(b)) + 1e-15 if numbers else a == b
    return [] if same else [(place, a, b)]


class Targets(support.Case):
    def setUp(self):
        super().setUp()
        self.first = support.write_targets(self.home / "first.h5", self.generator, SAMPLES)
        self.second = self.home / "second.h5"
        shutil.copy(self.first, self.second)
        with h5py.File(self.second, "a") as file:
            reference = file["reference"][...] ** 2
            noise = self.generator.uniform(0.05, 0.1, SAMPLES)
            target = reference + np.sqrt(noise) * self.generator.normal(size=SAMPLES)
            del file["target"], file["noise_variance"], file["reference"]
            file["target"] = target[:, None]
            file["noise_variance"] = noise
            file["reference"] = reference

    def theory_job(self, train, **theory):
        return self.job(train, directory=f"run-{train.stem}", kernel={"precision": "fp64"},
                        data={"evaluate": [self.first]}, spectrum={},
                        theory={"law_draws": 0, "seeds": 2, "sizes": [20], **theory})

    def labels_of(self, path, rows=slice(None), name="labels.h5"):
        """A file of labels alone, rows in another order."""
        order = self.generator.permutation(SAMPLES)[rows]
        with h5py.File(path) as source, h5py.File(self.home / name, "w") as file:
            for key in ("target", "reference", "reference_variance", "noise_variance", "group",
                        "source_row"):
                file[key] = source[key][...][order]
        return self.home / name

    def read(self, train):
        return json.loads((self.home / f"run-{train.stem}" / "theory.json").read_text())

    def test_as_a_kernel_made_with_these_labels(self):
        self.run_well("run", self.theory_job(self.second))
        expected = self.read(self.second)
        self.run_well("run", self.theory_job(self.first))
        own = self.read(self.first)
        self.assertTrue(close(own["kernels"], expected["kernels"]))  # the labels do matter
        self.assertIsNone(own["targets"])

        labels = self.labels_of(self.second)
        job = self.theory_job(self.first)
        result = self.run_well("theory", job, "--targets", labels, ranks=2)
        self.assertIn(f"references of {labels}", result.text)
        given = self.read(self.first)
        self.assertEqual(close(given["kernels"], expected["kernels"]), [])
        self.assertNotEqual(given["fingerprint"], own["fingerprint"])
        # The spectrum keeps the kernel's own beside those.
        with h5py.File(self.home / "run-first" / "spectrum.h5") as file:
            groups = [name for name in file["total/centred"] if name.startswith("projections")]
            self.assertEqual(sorted(groups),
                             ["projections", "projections-" + given["targets"]["sha256"][:16]])
        again = self.run_well("theory", job, "--set", f"theory.targets={labels}")
        self.assertIn("spectrum.h5 is complete and up to date", again.text)
        self.assertIn("theory.json is complete and up to date", again.text)
        back = self.run_well("theory", job)
        self.assertIn("spectrum.h5 is complete and up to date", back.text)
        self.assertEqual(close(self.read(self.first)["kernels"], own["kernels"]), [])

    def test_refusals(self):
        job = self.theory_job(self.first)
        self.run_well("kernel", job)
        few = self.labels_of(self.second, rows=slice(0, 50))
        result = support.run("theory", job, "--targets", few)
        self.assert_refused(result, 3, "10 of the kernel's 60 samples are not in", "source_row",
                            status=STATUS[3])
        self.assertFalse((self.home / "run-first" / "spectrum.h5").exists())
        twice = self.labels_of(self.second, name="twice.h5")
        with h5py.File(twice, "a") as file:
            file["source_row"][1] = file["source_row"][0]
        result = support.run("theory", job, "--targets", twice)
        self.assert_refused(result, 3, "is a second one of that source_row", status=STATUS[3])
        nameless = self.labels_of(self.second, name="nameless.h5")
        with h5py.File(nameless, "a") as file:
            del file["source_row"]
        result = support.run("theory", job, "--targets", nameless)
        self.assert_refused(result, 3, "has no source_row", status=STATUS[3])
        result = support.run("run", self.theory_job(self.first, targets=self.home / "none.h5"))
        self.assertEqual(result.code, 3, result.text)

    def test_targets_for_outputs_of_classes_are_refused(self):
        train = support.write_classes(self.home / "classes.h5", self.generator, SAMPLES)
        job = self.job(train, spectrum={}, theory={"law_draws": 0})
        self.run_well("kernel", job)
        result = support.run("theory", job, "--targets", self.labels_of(self.second))
        self.assert_refused(result, 2, "has real targets for the kernel's outputs", "no, yes",
                            status=STATUS[2])


if __name__ == "__main__":
    support.main()
