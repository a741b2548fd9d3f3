"""Kernels that grow, that are united from shares, and that are mended: always the bytes of one that
was computed at once, and only what was not there is computed."""

import re
import shutil
import subprocess

import h5py

import support
import test_same_bits as bits

BATCH, TILE = 16, 8


def tiles(samples, evaluate=()):
    panels = -(-samples // TILE)
    return panels * (panels + 1) // 2 + sum(-(-n // TILE) * panels for n in evaluate)


class Case(bits.BitsCase):
    """Jobs on one data file of 100 samples, with two evaluation sets of 9 and 5."""

    evaluate = (9, 5)

    def setUp(self):
        super().setUp()
        self.train = support.write_classes(self.home / "train.h5", self.generator, 100)
        self.sets = self.evaluation_sets(support.write_classes, self.evaluate)

    def kernel_job(self, directory, samples=100, **kernel):
        return self.job(self.train, directory, data={"samples": samples, "evaluate": self.sets},
                        kernel={"batch_samples": BATCH, "tile_samples": TILE, **kernel})

    def expected(self, **kernel):
        self.run_well("kernel", self.kernel_job("whole", **kernel), ranks=2)
        return support.contents(self.home / "whole" / "kernel.h5")

    def computed(self, result):
        """How many units a run computed."""
        return int(re.search(r"kernel: (\d+) tiles in", result.text)[1])

    def files(self, directory):
        return sorted(path.name for path in (self.home / directory).glob("[!.]*.h5*"))

    def kill_when(self, partial, wanted, *arguments, samples=100, ranks=0):
        """SIGKILL to the run when so many units of a file of so many samples are journalled."""
        process = subprocess.Popen(
            support.command(ranks, *arguments),
            env=support.environment(**support.slow(partial.parent, 0.01)),
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True)
        self.addCleanup(support.kill, process)

        def reached():
            with h5py.File(partial, locking=False) as file:
                own = len(file["samples/source_row"]) == samples
            return own and bits.journalled(partial, bits.journal_states(partial)) >= wanted

        bits.kill_when(process, reached)
        self.assertTrue(partial.exists())

    def flip(self, path, dataset, row, column):
        with h5py.File(path) as file:
            data = file[dataset]
            place = data.id.get_offset() + (row * data.shape[1] + column) * data.dtype.itemsize
        with open(path, "r+b") as raw:
            raw.seek(place)
            byte = raw.read(1)[0]
            raw.seek(place)
            raw.write(bytes([byte ^ 4]))


class Grow(Case):
    def test_in_two_steps(self):
        for number, kernel in enumerate(({"groups": "split"},
                                         {"groups": "layer", "ranges": 3, "storage": "fp32"})):
            with self.subTest(kernel):
                directory, ranges = f"grown{number}", kernel.get("ranges", 1)
                self.run_well("kernel", self.kernel_job(directory, 40, **kernel), ranks=2)
                # Of 40 samples two batches are complete, of 70 four.
                for samples, old in ((70, 32), (0, 64)):
                    result = self.run_well("kernel", self.kernel_job(directory, samples, **kernel),
                                           ranks=1 if samples else 4)
                    kept = tiles(old, self.evaluate)
                    self.assertIn(f"{kept} tiles, ", result.text)
                    self.assertIn("0 of them damaged", result.text)
                    self.assertEqual(self.computed(result),
                                     ranges * (tiles(samples or 100, self.evaluate) - kept))
                    self.assertEqual(self.files(directory), ["kernel.h5"])
                self.assert_same(self.expected(**kernel), directory, "grown")
                shutil.rmtree(self.home / "whole")

    def test_unfinished_ones_and_killed(self):
        # A complete kernel of 40, a killed one of 70, a killed one of 100, and the end.
        kernel = {"ranges": 3, "tile_samples": 4}
        self.run_well("kernel", self.kernel_job("run", 40, **kernel), ranks=2)
        partial = self.home / "run" / "kernel.h5.partial"
        for samples in (70, 100):
            job = self.kernel_job("run", samples, **kernel)
            self.kill_when(partial, 300, "kernel", job, samples=samples, ranks=2)
            with h5py.File(self.home / "run" / "kernel.h5") as file:
                self.assertEqual(len(file["samples/source_row"]), 40)
        self.assertEqual(self.files("run"),
                         ["kernel.h5", "kernel.h5.partial", "kernel.h5.smaller-70"])
        result = self.run_well("kernel", self.kernel_job("run", 100, **kernel), ranks=4)
        self.assertIn("going on with", result.text)
        self.assertEqual(self.files("run"), ["kernel.h5"])
        self.assert_same(self.expected(**kernel), "run", "killed while it grew")

    def test_kernels_do_not_shrink(self):
        self.run_well("kernel", self.kernel_job("run", 70))
        before = (self.home / "run" / "kernel.h5").stat().st_mtime_ns
        result = support.run("kernel", self.kernel_job("run", 40))
        self.assert_refused(result, 2, "data.samples: file 70, job 40", "grow but do not shrink",
                            status="usage error")
        self.assertEqual((self.home / "run" / "kernel.h5").stat().st_mtime_ns, before)

    def test_what_follows_is_made_anew(self):
        for samples in (40, 60):
            job = self.job(self.train, data={"samples": samples}, theory={},
                           kernel={"batch_samples": BATCH, "tile_samples": TILE})
            self.run_well("run", job)
            with h5py.File(self.home / "run" / "spectrum.h5") as file:
                self.assertEqual(len(file["total/centred/eigenvalues"]), 2 * samples)
            with h5py.File(self.home / "run" / "kernel.h5") as file:
                self.assertLess(file["error/samples"][...].max(), samples)
                self.assertEqual(len(file["error/samples"]), 32)


class Verify(Case):
    def test_sound_and_damaged(self):
        kernel = {"groups": "split", "ranges": 2}
        job = self.kernel_job("run", **kernel)
        path = self.home / "run" / "kernel.h5"
        self.run_well("kernel", job, ranks=2)
        expected = support.contents(path)
        before = path.stat().st_mtime_ns
        for ranks in (0, 2):
            result = self.run_well("kernel", job, "--verify", ranks=ranks)
            self.assertRegex(result.text, rf"kernel.h5, {tiles(100, self.evaluate)} tiles, "
                                          r"0\.\d\d GiB in .* s \(.* GiB/s\); 0 damaged")
            self.assertEqual(path.stat().st_mtime_ns, before)
        for ranks, damage, recomputed in (
                (2, [("kernel/total", 40, 3, "tile 3 of /kernel/total")], 1),
                (0, [("kernel/groups/head", 199, 199, "tile 90 of /kernel/groups/head"),
                     ("evaluate/set1/groups/body", 2, 20, "tile 1 of /evaluate/set1/groups/body")],
                 2),
                (2, [("samples/outputs", 50, 1, "tile 27 of /samples/outputs")], 1),
                (0, [("kernel/total", 3, 40, "tile 3 of /kernel/total")], 0)):
            with self.subTest(damage):
                for *place, _ in damage:
                    self.flip(path, *place)
                self.assertIn("nothing to do", self.run_well("kernel", job).text)
                result = self.run_well("kernel", job, "--verify", ranks=ranks)
                self.assertIn(f"; {len(damage)} damaged", result.text)
                for *_, words in damage:
                    self.assertIn(words + " is damaged", result.text)
                if recomputed:
                    self.assertEqual(self.computed(result), 2 * recomputed)
                self.assertEqual(self.files("run"), ["kernel.h5"])
                self.assert_same(expected, "run", "mended")

    def test_unfinished(self):
        kernel = {"tile_samples": 4}
        job = self.kernel_job("run", **kernel)
        partial = self.home / "run" / "kernel.h5.partial"
        self.kill_when(partial, 20, "kernel", job)
        result = self.run_well("kernel", job, "--verify", ranks=2)
        self.assertRegex(result.text, r"verified .*kernel.h5.partial, \d+ tiles, .* GiB/s")
        self.assert_same(self.expected(**kernel), "run", "verified on the way")


class Shares(Case):
    def share(self, job, share, ranks=0, **options):
        return self.run_well("kernel", job, "--share", share, ranks=ranks, **options)

    def test_on_other_ranks_and_killed(self):
        kernel = {"groups": "split", "ranges": 2, "tile_samples": 4}
        job = self.kernel_job("run", **kernel)
        run = self.home / "run"
        results = [self.share(job, "1/3", ranks=2)]
        partial = run / "share-2-of-3.h5.partial"
        self.kill_when(partial, 20, "kernel", job, "--share", "2/3", ranks=2)
        results.append(self.share(job, "3/3", ranks=4))
        self.assertEqual(self.files("run"), ["share-1-of-3.h5", "share-2-of-3.h5.partial",
                                             "share-3-of-3.h5"])
        result = support.run("merge", job, ranks=2)
        self.assertEqual(result.code, 85, result.text)
        missing = int(re.search(r"(\d+) of \d+ tiles are missing .*\((\d+) of share 2/3\)",
                                result.text)[1])
        self.assertGreater(missing, 0)
        # The merged file is gone on with.
        results.append(self.share(job, "2/3"))
        self.assertEqual(self.computed(results[-1]), missing)
        self.assertIn("nothing to do", self.share(job, "2/3", ranks=2).text)
        costs = [self.computed(result) for result in results[:2]]
        self.assertLess(max(costs), 1.5 * min(costs))
        result = self.run_well("merge", job)
        self.assertIn("--remove-shares", result.text)
        self.assertEqual(self.files("run"), ["kernel.h5", "share-1-of-3.h5", "share-2-of-3.h5",
                                             "share-3-of-3.h5"])
        self.assert_same(self.expected(**kernel), "run", "from shares")
        self.assertTrue((run / "head.safetensors").exists())
        self.assertTrue((run / "share-3-of-3.json").exists())
        self.run_well("merge", job, "--remove-shares", ranks=2)
        self.assertEqual(self.files("run"), ["kernel.h5"])
        self.assertIn("nothing to do", self.run_well("merge", job).text)
        self.assertIn("nothing to do", self.share(job, "2/3").text)

    def test_kernel_computes_the_rest(self):
        # Of two divisions, overlapping; on top of a smaller kernel; with a damaged share.
        self.run_well("kernel", self.kernel_job("run", 40))
        job = self.kernel_job("run")
        for share, ranks in (("1/2", 1), ("2/5", 2)):
            self.share(job, share, ranks=ranks)
        self.flip(self.home / "run" / "share-1-of-2.h5", "samples/outputs", 60, 0)
        result = support.run("merge", job, "--remove-shares", ranks=4)
        self.assertEqual(result.code, 85, result.text)
        self.assertIn("/samples/outputs is damaged", result.text)
        self.assertIn("of share 2/2", result.text)
        self.assertRegex(result.text, r"of share \d/5")
        result = self.run_well("kernel", job, ranks=2)
        self.assertLess(self.computed(result), tiles(100, self.evaluate) * 2 // 3)
        self.run_well("merge", job, "--remove-shares")
        self.assertEqual(self.files("run"), ["kernel.h5"])
        self.assert_same(self.expected(), "run", "shares and the rest")

    def test_refused(self):
        job = self.kernel_job("run", 20)
        for text in ("0/3", "4/3", "1", "a/b", "01/2", "1/2/3"):
            self.assert_refused(support.run("kernel", job, "--share", text), 2, "K/N",
                                status="usage error")
        self.assert_refused(support.run("merge", job), 2, "no shares to unite",
                            status="usage error")
        self.share(job, "1/2")
        other = self.job(self.train, data={"samples": 20, "evaluate": self.sets}, run={"seed": 2},
                         kernel={"batch_samples": BATCH, "tile_samples": TILE})
        self.assert_refused(support.run("merge", other, ranks=2), 2, "share-1-of-2.h5 holds another",
                            "run.seed: file 1, job 2", status="usage error")
        self.assert_refused(support.run("kernel", other, "--share", "1/2"), 2,
                            "another job's kernel", "run.seed", status="usage error")


if __name__ == "__main__":
    support.main()
