"""A kernel's bytes follow from the job alone: not from ranks, threads, or what was killed on the
way."""

import shutil
import signal
import subprocess
import time

import h5py
import numpy as np

import support
from support import FIXTURES


def journal_states(path):
    """Where the state bytes of every tile journal lie in the file: (offset, count) of each, without
    the row of sums over ranges. They never move (early allocation)."""
    places = []

    def visit(name, item):
        if isinstance(item, h5py.Dataset) and name.endswith("/state"):
            ranges = 1 if item.shape[0] == 1 else item.shape[0] - 1
            places.append((item.id.get_offset(), ranges * item.shape[1]))

    with h5py.File(path, locking=False) as file:
        file["journal"].visititems(visit)
    return places


def journalled(path, places):
    with open(path, "rb") as file:
        done = 0
        for offset, count in places:
            file.seek(offset)
            done += file.read(count).count(1)
    return done


def kill_when(process, reached, patience=120):
    """SIGKILL to a run and all its ranks as soon as it has come so far, in so many seconds."""
    end = time.monotonic() + patience
    while process.poll() is None and time.monotonic() < end:
        try:
            if reached():
                break
        except (OSError, KeyError, RuntimeError):
            pass  # not there yet
        time.sleep(0.01)
    else:
        raise AssertionError(f"it has not come so far, exit code {process.poll()}")
    support.kill(process)
    assert process.wait() == -signal.SIGKILL


class BitsCase(support.Case):
    def assert_same(self, expected, directory, message):
        """The bytes of a run against those of the first one."""
        found = support.contents(self.home / directory / "kernel.h5")
        self.assertEqual(sorted(found), sorted(expected), message)
        for name in expected:
            self.assertEqual(found[name], expected[name], f"{name}: {message}")

    def evaluation_sets(self, write, sizes):
        return [write(self.home / f"set{i}.h5", self.generator, n) for i, n in enumerate(sizes)]


class SameBits(BitsCase):
    def compare(self, train, layouts, **tables):
        """Runs of (ranks, threads); all against the first."""
        first = None
        for ranks, threads in layouts:
            directory = f"r{ranks}t{threads}"
            job = self.job(train, directory, **{**tables, "run": {"threads": threads}})
            self.run_well("kernel", job, ranks=ranks)
            if first is None:
                first = support.contents(self.home / directory / "kernel.h5")
            else:
                self.assert_same(first, directory, f"{ranks} ranks x {threads} threads")
        return first

    def test_parts_and_evaluation_sets_in_fp64(self):
        train = support.write_classes(self.home / "train.h5", self.generator, 75)
        found = self.compare(
            train,
            [(1, 1), (2, 1), (4, 1), (6, 1), (1, 2)],
            data={"evaluate": self.evaluation_sets(support.write_classes, (21, 5))},
            kernel={"precision": "fp64", "groups": "part"},
        )
        for name in ("kernel/groups/layer.1.norms", "evaluate/set0/groups/head",
                     "evaluate/set1/total", "evaluate/set1/samples/outputs", "rows/output",
                     "samples/source_row"):
            self.assertIn(name, found)
        self.assertEqual(found["evaluate/set0/total"][0], (42, 150))

    def test_three_ranges_in_fp32(self):
        train = support.write_classes(self.home / "train.h5", self.generator, 75, ("a", "b", "c"))
        self.compare(
            train,
            [(1, 1), (2, 1), (4, 1), (6, 1)],
            model={"pooling": "mean"},
            data={"evaluate": [support.write_classes(
                self.home / "other.h5", self.generator, 21, ("a", "b", "c"))]},
            kernel={"ranges": 3, "groups": "layer", "slice_columns": 7},
        )

    def test_more_ranks_than_tiles(self):
        train = support.write_targets(self.home / "train.h5", self.generator, 14)
        self.compare(train, [(1, 1), (2, 1), (4, 1), (6, 1)], kernel={"groups": "none"})

    def test_large_tiles_on_threads(self):
        # Tiles of several sub-blocks, which the threads share; stored in single precision.
        train = support.write_classes(self.home / "train.h5", self.generator, 400)
        for precision in ("fp32", "fp64"):
            with self.subTest(precision):
                self.compare(
                    train,
                    [(1, 1), (1, 2), (4, 1)],
                    kernel={"batch_samples": 256, "tile_samples": 256, "precision": precision,
                            "storage": "fp32", "mirror": False},
                )
                for directory in self.home.glob("r*t*"):
                    shutil.rmtree(directory)

    def test_output_modes_and_families(self):
        train = support.write_classes(self.home / "train.h5", self.generator, 45)
        evaluate = self.evaluation_sets(support.write_classes, (9,))
        for outputs, model, head in (("mean_diagonal", "roberta", "random"),
                                     ("sum", "bert-relu", "random"),
                                     ("difference", "roberta-classifier", "checkpoint")):
            with self.subTest(outputs):
                self.compare(
                    train,
                    [(1, 1), (4, 1)],
                    model={"path": FIXTURES / "models" / model, "head": head},
                    data={"evaluate": evaluate},
                    kernel={"outputs": outputs},
                )
                for directory in self.home.glob("r*t*"):
                    shutil.rmtree(directory)


class Killed(BitsCase):
    def start_and_kill(self, job, directory, ranks, total):
        """SIGKILL when a part of the tiles is journalled; the number of those."""
        partial = self.home / directory / "kernel.h5.partial"
        process = subprocess.Popen(
            support.command(ranks, "kernel", job),
            env=support.environment(**support.slow(partial.parent, 0.005)),
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True)
        self.addCleanup(support.kill, process)
        kill_when(process, lambda: journalled(partial, journal_states(partial)) >= total // 16)
        done = journalled(partial, journal_states(partial))
        self.assertTrue(0 < done < total, done)
        return done

    def test_restart_on_other_ranks(self):
        train = support.write_classes(self.home / "train.h5", self.generator, 96)
        evaluate = self.evaluation_sets(support.write_classes, (20,))
        tables = {"data": {"evaluate": evaluate},
                  "kernel": {"tile_samples": 4, "groups": "split", "ranges": 3}}
        total = 3 * (24 * 25 // 2 + 5 * 24)
        self.run_well("kernel", self.job(train, "whole", **tables), ranks=2)
        expected = support.contents(self.home / "whole" / "kernel.h5")
        for first, second in ((4, 1), (1, 6), (2, 4)):
            with self.subTest(first=first, second=second):
                directory = f"from{first}to{second}"
                job = self.job(train, directory, **tables)
                kept = self.start_and_kill(job, directory, first, total)
                result = self.run_well("kernel", job, ranks=second)
                self.assertIn(f"{kept} tiles are there (0 damaged)", result.text)
                self.assertIn(f"kernel: {total - kept} tiles in", result.text)
                self.assertFalse((self.home / directory / "kernel.h5.partial").exists())
                self.assert_same(expected, directory, "killed and restarted")

    def test_twice_killed_with_a_damaged_tile(self):
        train = support.write_classes(self.home / "train.h5", self.generator, 160)
        tables = {"kernel": {"tile_samples": 4, "groups": "none"}}
        total = 40 * 41 // 2
        self.run_well("kernel", self.job(train, "whole", **tables), ranks=4)
        job = self.job(train, "run", **tables)
        kept = self.start_and_kill(job, "run", 2, total)
        partial = self.home / "run" / "kernel.h5.partial"
        with h5py.File(partial, "r+") as file:  # a flipped bit in a journalled tile
            tile = int(np.flatnonzero(file["journal/kernel/state"][0])[0])
            row = next(i for i in range(40) if (i + 1) * (i + 2) // 2 > tile)
            start = file["journal/kernel/row_starts"][row]
            column = file["journal/kernel/column_starts"][tile - row * (row + 1) // 2]
            file["kernel/total"][start, column] *= 1 + 2.0**-52
        result = self.run_well("kernel", job, ranks=6)
        self.assertIn("(1 damaged)", result.text)
        self.assertIn(f"kernel: {total - kept + 1} tiles in", result.text)
        self.assert_same(support.contents(self.home / "whole" / "kernel.h5"), "run", "damaged")

    def test_second_run_does_nothing(self):
        train = support.write_targets(self.home / "train.h5", self.generator, 60)
        job = self.job(train, spectrum={}, theory={})
        self.run_well("run", job, ranks=2)
        names = ("kernel.h5", "spectrum.h5", "theory.json", "head.safetensors")
        before = [(self.home / "run" / name).stat().st_mtime_ns for name in names]
        for ranks in (0, 4):
            result = self.run_well("run", job, ranks=ranks)
            self.assertIn("nothing to do", result.text)
            self.assertNotIn("tiles in", result.text)
            self.assertLess(result.seconds, 15)
            after = [(self.home / "run" / name).stat().st_mtime_ns for name in names]
            self.assertEqual(after, before)


class SameToRounding(support.Case):
    def test_other_tiles(self):
        train = support.write_classes(self.home / "train.h5", self.generator, 75)
        kernels = []
        for tile in (32, 16, 4, 2):
            job = self.job(train, f"tile{tile}",
                           kernel={"precision": "fp64", "groups": "part", "tile_samples": tile})
            self.run_well("kernel", job, ranks=0)
            path = self.home / f"tile{tile}" / "kernel.h5"
            with h5py.File(path) as file:
                groups = [f"groups/{name}" for name in file["kernel/groups"]]
            kernels.append({name: support.read_kernel(path, name) for name in ["total", *groups]})
        whole = np.linalg.norm(kernels[0]["total"])
        for other in kernels[1:]:
            for name, kernel in kernels[0].items():
                error = np.linalg.norm(other[name] - kernel)
                self.assertLess(error, 1e-12 * max(np.linalg.norm(kernel), 1e-10 * whole), name)

    def test_spectrum_on_any_ranks(self):
        train = support.write_classes(self.home / "train.h5", self.generator, 100)
        job = self.job(train, spectrum={"kernels": {"total": "all", "half": "head + 0.25 * body"},
                                        "vectors": 3})
        self.run_well("kernel", job, ranks=2)
        expected = None
        for ranks in (1, 2, 4, 6):
            (self.home / "run" / "spectrum.h5").unlink(missing_ok=True)
            self.run_well("spectrum", job, ranks=ranks)
            with h5py.File(self.home / "run" / "spectrum.h5") as file:
                found = {(kernel, form): file[kernel][form]["eigenvalues"][...]
                         for kernel in ("total", "half") for form in ("raw", "centred")}
            expected = expected or found
            for key, values in found.items():
                with self.subTest(ranks=ranks, kernel=key):
                    self.assertEqual(len(values), 200)
                    error = abs(values - expected[key]).max()
                    self.assertLess(error, 1e-10 * expected[key][0])


if __name__ == "__main__":
    support.main()
