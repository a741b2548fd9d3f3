"""The analysis package on files of the documented layout, both triangles."""

import pathlib
import sys
import tempfile
import unittest

import h5py
import numpy as np

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2] / "analysis"))
import ntkspectra  # noqa: E402


class Load(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.directory = pathlib.Path(folder.name)
        a = np.random.default_rng(1).normal(size=(6, 9))
        self.k = a @ a.T

    def write(self, triangle):
        with h5py.File(self.directory / "kernel.h5", "w") as file:
            stored = self.k if triangle == "full" else np.tril(self.k)
            for path in ("kernel/total", "kernel/groups/body"):
                file[path] = stored
                file[path].attrs["triangle"] = triangle
            file["samples/target"] = np.arange(6.0)[:, None]
            file["evaluate/other/total"] = self.k[:2]

    def test_both_triangles_give_the_symmetric_matrix(self):
        for triangle in ("full", "lower"):
            self.write(triangle)
            run = ntkspectra.load(self.directory)
            np.testing.assert_array_equal(run.kernel(), self.k)
            np.testing.assert_array_equal(run.kernel("body"), self.k)
            self.assertEqual(run.groups(), ["body"])
            np.testing.assert_array_equal(run.evaluation_kernel("other"), self.k[:2])
            self.assertEqual(run.samples()["target"].shape, (6, 1))

    def test_eigenvalues(self):
        with h5py.File(self.directory / "spectrum.h5", "w") as file:
            group = file.create_group("total/centred")
            group["eigenvalues"] = np.array([3.0, 1.0])
            group.attrs["resolved"] = 2
        run = ntkspectra.load(self.directory)
        np.testing.assert_array_equal(run.eigenvalues(), [3.0, 1.0])
        self.assertEqual(run.resolved(), 2)

    def test_missing_files_are_named(self):
        with self.assertRaisesRegex(FileNotFoundError, "kernel.h5"):
            ntkspectra.load(self.directory).kernel()
        with self.assertRaisesRegex(FileNotFoundError, "no run directory"):
            ntkspectra.load(self.directory / "nothing")


if __name__ == "__main__":
    unittest.main()
