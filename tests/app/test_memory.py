"""Memory: a run keeps to its limit, with the same bytes; what cannot fit is refused at once."""

import json
import os
import re
import unittest

import h5py
import numpy as np
import support


class Memory(support.Case):
    SAMPLES, TILE = 1400, 128
    LIMIT = 0.05  # GiB: some panels and tiles of this job, far from all
    SLACK = 0.012  # stacks, buffers of libraries

    def make(self, directory, samples, **kernel):
        train = support.write_classes(self.home / f"{directory}.h5", self.generator, samples,
                                      classes=("a", "b", "c"), shortest=4, longest=20)
        return self.job(train, directory=directory,
                        kernel={"outputs": "logits", "groups": "none", "batch_samples": 4096,
                                "tile_samples": self.TILE, **kernel})

    def peak(self, directory):
        return json.loads((self.home / directory / "summary.json").read_text())["kernel"][
            "peak_memory_gib"]

    @unittest.skipIf(os.environ.get("NTK_SANITIZED"), "sanitizers keep what is freed for a while")
    def test_limit_is_kept_with_the_same_bytes(self):
        self.run_well("kernel", self.make("small", 4))
        job = self.make("free", self.SAMPLES)
        self.run_well("kernel", job)
        at_rest, free = self.peak("small"), self.peak("free")
        self.assertGreater(free, at_rest + self.LIMIT + self.SLACK, "the job is too small a test")
        for ranks, directory in ((0, "alone"), (2, "both")):
            self.run_well("kernel", job, "--set", f"kernel.memory_gib={self.LIMIT}", "--set",
                          f'run.directory="{self.home / directory}"', ranks=ranks)
            self.assertLess(self.peak(directory), at_rest + self.LIMIT + self.SLACK)
            self.assertEqual(support.contents(self.home / directory / "kernel.h5"),
                             support.contents(self.home / "free" / "kernel.h5"))

    def test_least_memory_is_told_and_suffices(self):
        job = self.make("tight", 300)
        refused = support.run("kernel", job, "--set", "kernel.memory_gib=0.002")
        self.assert_refused(refused, 6, "kernel.tile_samples", "kernel.memory_gib",
                            status="out of resources")
        needed = float(re.search(r"a pair of panels needs ([\d.e+-]+) GiB", refused.text)[1])
        self.assertFalse((self.home / "tight" / "kernel.h5.partial").exists())
        self.run_well("kernel", job, "--set", f"kernel.memory_gib={1.06 * needed + 0.001}")
        kernel = support.read_kernel(self.home / "tight" / "kernel.h5")
        self.assertTrue(np.isfinite(kernel).all())

    def test_the_last_check_is_refused_first(self):
        job = self.make("run", 20, tile_samples=1)
        directory = self.home / "run"
        little = ("--set", "kernel.memory_gib=0.0003")  # for a pair of panels; fp64 asks for more
        self.assert_refused(support.run("kernel", job, *little), 6, "check of the kernel's error",
                            status="out of resources")
        self.assertFalse((directory / "kernel.h5.partial").exists())

        self.run_well("kernel", job)
        whole = support.contents(directory / "kernel.h5")
        begun = (directory / "kernel.h5").rename(directory / "kernel.h5.partial")
        with h5py.File(begun, "r+") as file:  # as if killed before its last tile
            file["journal/kernel/state"][0, -1] = 0
        refused = support.run("kernel", job, *little)
        self.assert_refused(refused, 6, "check of the kernel's error", status="out of resources")
        self.assertNotIn("kernel: going on", refused.text)
        result = self.run_well("kernel", job)
        self.assertIn("209 tiles are there (0 damaged)", result.text)
        self.assertEqual(support.contents(directory / "kernel.h5"), whole)


if __name__ == "__main__":
    unittest.main()
