"""Faults other than kills: damaged files, full and read-only disks, failing calls, a wrong clock, no
locks, numbers out of range. Each ends in a clear message and its exit code, and once the fault is
mended the same command makes the bytes of an undisturbed run."""

import datetime
import errno
import json
import os
import pathlib
import shutil
import subprocess
import tempfile
import time
import unittest

import h5py
import numpy as np
import raw_kernel
import support
from refusals import IO, NUMERICAL, STATUS

FLIPS = int(os.environ.get("NTK_FLIPS", 12))
SEED = int(os.environ.get("NTK_SEED", 1))
DAY = 86400


@unittest.skipUnless("NTK_FAULTS" in os.environ, "needs the library of injected faults")
class FaultCase(support.Case):
    """A kernel of 21 + 12 tiles in 3 ranges with its spectrum. `whole` are its contents, `begun` is
    a file that has about half of the tiles, of which `had` are in the journal."""

    @classmethod
    def setUpClass(cls):
        cls.shared = pathlib.Path(tempfile.mkdtemp(prefix="ntk-faults-"))
        cls.addClassCleanup(shutil.rmtree, cls.shared, ignore_errors=True)
        generator = np.random.default_rng(20)
        cls.train = support.write_classes(cls.shared / "train.h5", generator, 45)
        cls.other = support.write_classes(cls.shared / "other.h5", generator, 11)
        made = cls("run")
        made.home = cls.shared
        made.run_well("kernel", made.small("whole"))
        cls.whole = support.contents(cls.shared / "whole" / "kernel.h5")
        cls.begun = cls.shared / "begun" / "kernel.h5.partial"
        support.run("kernel", made.small("begun"), **support.fault(
            cls.begun.parent, call="write", file=cls.begun.name, nth=1100))
        cls.layout = raw_kernel.RawKernel(cls.begun)
        cls.had, _ = cls.layout.journalled(cls.begun, None)
        assert 9 < cls.had < cls.layout.units - 9, cls.had

    def small(self, directory="run", **tables):
        kernel = {"batch_samples": 16, "ranges": 3, "groups": "split", "task_seconds": 1e-6,
                  **tables.pop("kernel", {})}
        return self.job(self.train, directory, data={"evaluate": [self.other]}, kernel=kernel,
                        spectrum={"centre": "raw", "vectors": 0}, **tables)

    def put_begun(self, directory="run"):
        """A run directory with the unfinished file; the file's path."""
        (self.home / directory).mkdir()
        return pathlib.Path(shutil.copy(self.begun, self.home / directory))

    def refused(self, job, *words, ranks=0, code=IO, verb="kernel", **changes):
        result = support.run(verb, job, ranks=ranks, **changes)
        self.assert_refused(result, code, *words, status=STATUS[code])
        return result

    def gets_through(self, job, ranks=2, directory=None):
        result = self.run_well("run", job, ranks=ranks)
        directory = directory or self.home / "run"
        self.assertEqual(support.contents(directory / "kernel.h5"), self.whole)
        self.assertEqual([path.name for path in directory.glob("*.partial*")], [])
        return result


class Damage(FaultCase):
    def test_truncated_unfinished_file(self):
        job = self.small()
        size = self.begun.stat().st_size
        for length in (0, 1, 96, self.layout.first, size // 2, size - 4096, size - 1):
            with self.subTest(length=length):
                partial = self.put_begun()
                os.truncate(partial, length)
                for ranks in (0, 2):
                    self.refused(job, "kernel.h5.partial", "move it away", ranks=ranks)
                self.assertEqual(partial.stat().st_size, length)
                partial.rename(partial.with_name("away"))
                self.gets_through(job)
                shutil.rmtree(partial.parent)

    def test_truncated_complete_file(self):
        job = self.small()
        (self.home / "run").mkdir()
        kernel = self.home / "run" / "kernel.h5"
        size = (self.shared / "whole" / "kernel.h5").stat().st_size
        for length in (0, 2000, size // 2, size - 1):
            with self.subTest(length=length):
                shutil.copy(self.shared / "whole" / "kernel.h5", kernel)
                os.truncate(kernel, length)
                for ranks in (0, 2):
                    self.refused(job, "kernel.h5", ranks=ranks)
        kernel.unlink()
        self.gets_through(job)

    def test_damaged_undo_copy(self):
        job = self.small()
        support.run("kernel", job, **support.fault(
            self.home / "run", call="rename", file="kernel.h5.partial"))
        undo = self.home / "run" / "kernel.h5.partial.undo"
        good = undo.read_bytes()
        for length in (0, 10, len(good) // 2, len(good) - 1):
            undo.write_bytes(good[:length])
            self.refused(job, "kernel.h5.partial.undo", "damaged")
        undo.write_bytes(good)
        raw_kernel.damage(undo, len(good) // 2)
        self.refused(job, "kernel.h5.partial.undo", "damaged", ranks=2)
        undo.write_bytes(good)
        self.gets_through(job)

    def test_flipped_bits_outside_the_tiles(self):
        """Anything may be refused or made anew, nothing may crash or change the result."""
        generator = np.random.default_rng([21, SEED])
        size = self.begun.stat().st_size
        outside = np.ones(size, bool)
        for name, place in self.layout.places.items():
            if name.split("/")[-1] == "total" or "/groups/" in name:
                outside[place.offset:place.end] = False
        data = np.frombuffer(self.begun.read_bytes(), np.uint8)
        journal = np.zeros(size, bool)
        for name, place in self.layout.places.items():
            if name.startswith("journal"):
                journal[place.offset:place.end] = True
        # Metadata are set aside with much room that is never used.
        kinds = [np.flatnonzero(outside & ~journal & (data != 0)), np.flatnonzero(journal)]
        outcomes = {}
        job = self.small()
        for number in range(FLIPS):
            offset = int(generator.choice(kinds[number % 2]))
            bit = int(generator.integers(8))
            with self.subTest(offset=offset, bit=bit):
                partial = self.put_begun()
                raw_kernel.damage(partial, offset, bit)
                result = support.run("kernel", job, ranks=int(generator.choice([0, 2])))
                outcome = result.code
                if result.code == 0:
                    self.assertEqual(support.contents(partial.with_name("kernel.h5")), self.whole)
                    outcome = "mended" if "(0 damaged)" not in result.text else "no matter"
                else:  # the identity may say that it is another job's
                    self.assertIn(result.code, (2, IO), result.text)
                    self.assert_refused(result, result.code, "kernel.h5.partial", status=result.status[8:])
                outcomes[outcome] = outcomes.get(outcome, 0) + 1
            shutil.rmtree(partial.parent)
        print(f"{FLIPS} flipped bits: {outcomes}", flush=True)


class Calls(FaultCase):
    """Calls that fail in mid-run."""

    def fails(self, words, *, rank=0, **fault):
        """With the fault, exit 5 and these words, alone and with two ranks, then on the rank that is
        given; without it the run goes on with what it had."""
        log = self.home / "log"
        for ranks in (0, 2):
            directory = pathlib.Path(tempfile.mkdtemp(dir=self.home))
            job = self.small(directory.name)
            result = support.run("run", job, ranks=ranks, **support.fault(
                directory, log, rank=rank if ranks else 0, **fault))
            self.assertTrue(log.exists(), f"the fault did not come to pass:\n{result.text}")
            log.unlink()
            self.assert_refused(result, IO, *words, status=STATUS[IO])
            self.gets_through(job, directory=directory)

    def test_layout(self):
        for fault in ({"call": "write", "nth": 3, "error": "ENOSPC", "times": 99},
                      {"call": "write", "nth": 3, "error": "ENOSPC"},
                      {"call": "sync", "error": "EIO"}, {"call": "rename", "error": "EDQUOT"}):
            with self.subTest(**fault):
                self.fails(["kernel.h5.partial.new"], file="kernel.h5.partial.new", **fault)

    def test_tiles_and_journal(self):
        state = self.layout.extent("journal/kernel/state")
        tile = self.layout.extent("partial/1/kernel/total")
        for fault in ({"call": "write", "error": "ENOSPC", "times": 10**6, "nth": 9, **tile},
                      {"call": "write", "error": "EIO", "torn": 0.5, "nth": 11, **tile},
                      {"call": "write", "error": "EDQUOT", "nth": 2, **state},
                      {"call": "sync", "error": "EIO", "nth": 3},
                      {"call": "sync", "error": "ENOSPC", "nth": 2, **state}):
            with self.subTest(**fault):
                self.fails(["kernel.h5.partial"], file="kernel.h5.partial", rank=1, **fault)

    def test_reading_back(self):
        """MPI-IO says nothing of reads that fail: checksums do."""
        log = self.home / "log"
        for ranks in (0, 2):
            partial = self.put_begun(f"run{ranks}")
            job = self.small(partial.parent.name)
            result = self.run_well("run", job, ranks=ranks, **support.fault(
                partial.parent, log, file=partial.name, rank=ranks // 2, call="read", error="EIO",
                **self.layout.extent("partial/0/kernel/total")))
            self.assertTrue(log.exists())
            log.unlink()
            self.assertIn("(1 damaged)", result.text)
            self.gets_through(job, directory=partial.parent)

    def test_reading_at_the_end(self):
        for name, nth in (("partial/2/kernel/total", 3), ("partial/1/kernel/groups/body", 1),
                          ("kernel/groups/body", 1)):
            with self.subTest(name):
                self.fails(["cannot read tile", name], file="kernel.h5.partial", rank=1,
                           call="read", error="EIO", nth=nth, **self.layout.extent(name))

    def test_last_steps(self):
        sums = self.layout.extent("kernel/total")
        metadata = {"from": 0, "to": self.layout.first}
        partial, undo = "kernel.h5.partial", "kernel.h5.partial.undo"
        for file, fault in (
                (partial, {"call": "write", "error": "ENOSPC", "nth": 5, **sums}),
                (f"{undo}.partial", {"call": "write", "error": "ENOSPC", "torn": 0.3}),
                (f"{undo}.partial", {"call": "sync", "error": "EIO"}),
                (partial, {"call": "write", "error": "ENOSPC", "nth": 2, **metadata}),
                (partial, {"call": "write", "error": "EIO", "nth": 7, "times": 99, **metadata}),
                (partial, {"call": "resize", "error": "EIO"}),
                (partial, {"call": "rename", "error": "EDQUOT"}),
                (undo, {"call": "unlink", "error": "EIO"})):
            with self.subTest(file=file, **fault):
                self.fails(["kernel.h5.partial"], file=file, **fault)

    def test_spectrum(self):
        for fault in ({"call": "open", "error": "ENOSPC", "times": 2},  # the first is a try of HDF5's
                      {"call": "write", "nth": 2, "error": "ENOSPC"},
                      {"call": "write", "nth": 5, "error": "EIO", "times": 99},
                      {"call": "sync", "error": "EDQUOT"}, {"call": "rename", "error": "EIO"}):
            with self.subTest(**fault):
                self.fails(["spectrum.h5"], file="spectrum.h5.partial", **fault)

    def test_what_is_not_worth_a_failure(self):
        """run.toml and summary.json: told, but the results are there."""
        for file in ("run.toml.partial", "summary.json.partial"):
            with self.subTest(file):
                job = self.small(file)
                result = self.run_well("run", job, ranks=2, **support.fault(
                    self.home / file, call="write", file=file, error="ENOSPC"))
                self.assertRegex(result.text, rf"WARNING: .*{file} \(No space left on device\)")
                self.gets_through(job, directory=self.home / file)

    def test_no_flock(self):
        job = self.small()
        result = self.run_well("run", job, ranks=2, **support.fault(
            self.home / "run", call="lock", file=".lock", error="ENOLCK"))
        self.assertIn("cannot be locked (No locks available)", result.text)
        self.gets_through(job)

    def test_locks_of_hdf5(self):
        for setting in ("FALSE", "TRUE"):
            with self.subTest(setting):
                self.put_begun(setting)
                result = self.run_well("run", self.small(setting), ranks=2,
                                       HDF5_USE_FILE_LOCKING=setting)
                self.assertIn(f"{self.had} tiles are there (0 damaged)", result.text)
                self.gets_through(self.small(setting), directory=self.home / setting)

    def test_killed_between_kernel_and_spectrum(self):
        job = self.small()
        result = support.run("run", job, ranks=2, **support.fault(
            self.home / "run", call="open", file="spectrum.h5.partial"))
        self.assertNotEqual(result.code, 0)
        self.assertEqual(support.contents(self.home / "run" / "kernel.h5"), self.whole)
        self.assertFalse((self.home / "run" / "spectrum.h5").exists())
        self.assertIn("nothing to do", self.gets_through(job).text)

    def test_clock_that_jumps(self):
        for days in (1, -1):
            with self.subTest(days=days):
                directory = f"clock{days}"
                job = self.small(directory, run={"max_hours": 0.5})
                self.run_well("run", job, ranks=2, **support.fault(
                    self.home / directory, call="write", file="kernel.h5.partial", rank="all",
                    nth=300, jump=days * DAY))
                summary = json.loads((self.home / directory / "summary.json").read_text())
                started, ended = (datetime.datetime.fromisoformat(
                    summary[name].replace("Z", "+00:00")) for name in ("started", "ended"))
                self.assertAlmostEqual((ended - started).total_seconds(), days * DAY, delta=300)
                for seconds in (summary["timings"]["kernel"], summary["timings"]["spectrum"],
                                summary["kernel"]["timings"]["finish"]):
                    self.assertTrue(0 <= seconds < 300, summary)
                self.gets_through(job, directory=self.home / directory)


def mount_refused():
    """Why no file system can be mounted here, or None."""
    if os.geteuid() != 0:
        return "mounting a tmpfs needs root"
    with tempfile.TemporaryDirectory() as directory:
        tried = subprocess.run(["mount", "-t", "tmpfs", "tmpfs", directory], capture_output=True,
                               text=True)
        if tried.returncode == 0:
            subprocess.run(["umount", directory], check=True)
            return None
    return f"no tmpfs can be mounted: {tried.stderr.strip()}"


NO_MOUNT = mount_refused()


@unittest.skipIf(NO_MOUNT, NO_MOUNT)
class Disk(FaultCase):
    def setUp(self):
        super().setUp()
        self.disk = self.home / "disk"
        self.disk.mkdir()
        self.mount("size=4m")
        self.addCleanup(subprocess.run, ["umount", "-l", self.disk], check=True)

    def mount(self, options):
        subprocess.run(["mount", "-t", "tmpfs", "-o", options, "tmpfs", self.disk], check=True)

    def remount(self, options):
        subprocess.run(["mount", "-o", f"remount,{options}", self.disk], check=True)

    def fill(self):
        """Takes the room that is left on the disk."""
        with open(self.disk / "filler", "wb", buffering=0) as file:
            try:
                while file.write(b"\0" * 4096):
                    pass
            except OSError as error:
                self.assertEqual(error.errno, errno.ENOSPC)

    def test_no_room_for_the_file(self):
        job = self.small("disk/run")
        self.remount("size=256k")
        for ranks in (0, 2):
            self.refused(job, "not enough room", "disk/run", ranks=ranks)
        self.assertEqual(list((self.disk / "run").glob("kernel*")), [])
        self.remount("size=4m")
        self.gets_through(job, directory=self.disk / "run")

    def test_no_room_at_all(self):
        job = self.small("disk/run")
        self.fill()
        self.refused(job, "disk/run", ranks=2)
        (self.disk / "filler").unlink()
        self.gets_through(job, directory=self.disk / "run")

    def test_fills_up_in_mid_run(self):
        """Somebody else takes the room while tiles are written."""
        kernel = {"batch_samples": 64, "tile_samples": 2, "groups": "none", "task_seconds": 1e-6}
        train = support.write_classes(self.home / "train.h5", self.generator, 64)
        self.run_well("kernel", self.job(train, "disk/whole", kernel=kernel))
        layout = raw_kernel.RawKernel(self.disk / "whole" / "kernel.h5")
        job = self.job(train, "disk/run", kernel=kernel)
        partial = self.disk / "run" / "kernel.h5.partial"

        def has_tiles():
            return partial.exists() and layout.journalled(partial, None)[0] > 3

        process = subprocess.Popen(
            support.command(2, "kernel", job),
            env=support.environment(**support.slow(self.disk / "run", 0.01)),
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True)
        self.addCleanup(support.kill, process)
        while process.poll() is None and not has_tiles():
            time.sleep(0.0005)
        self.fill()
        out, err = process.communicate(timeout=120)
        result = support.Result(process.returncode, out, err, 0)
        self.assert_refused(result, IO, "kernel.h5.partial", status=STATUS[IO])
        with h5py.File(partial) as file:
            had = int(file["journal/kernel/state"][0].sum())
        self.refused(job, "disk/run")  # nothing has changed
        (self.disk / "filler").unlink()
        again = self.run_well("kernel", job, ranks=2)
        self.assertIn(f"{had} tiles are there (0 damaged)", again.text)
        self.assertEqual(support.contents(self.disk / "run" / "kernel.h5"),
                         support.contents(self.disk / "whole" / "kernel.h5"))

    def test_read_only(self):
        job = self.small("disk/run")
        self.remount("ro")
        for ranks in (0, 2):
            self.refused(job, "disk/run", "Read-only file system", ranks=ranks)
        self.remount("rw")
        self.put_begun("disk/run")
        self.remount("ro")
        for ranks in (0, 2):
            self.refused(job, "kernel.h5.partial", "read only", ranks=ranks)
        self.remount("rw")
        result = self.gets_through(job, directory=self.disk / "run")
        self.assertIn(f"{self.had} tiles are there (0 damaged)", result.text)
        self.remount("ro")  # nothing needs to be written any more
        self.assertIn("nothing to do", self.run_well("run", job, ranks=2).text)


class Numbers(FaultCase):
    def test_outputs_that_overflow(self):
        """Weights are finite, but what the model makes of them is not."""
        model = self.copy_model()
        header, data = support.read_safetensors(model / "model.safetensors")
        name = next(n for n in header if n.endswith("layer.1.output.dense.weight"))
        start, end = header[name]["data_offsets"]
        data[start:end] = np.full((end - start) // 4, 3e38, np.float32).tobytes()
        support.write_safetensors(model / "model.safetensors", header, data)
        for ranks in (0, 2):
            self.refused(self.small(f"run{ranks}", model={"path": model}), "finite", ranks=ranks,
                         code=NUMERICAL)
            self.assertFalse((self.home / f"run{ranks}" / "kernel.h5").exists())
        self.gets_through(self.small())


if __name__ == "__main__":
    support.main()
