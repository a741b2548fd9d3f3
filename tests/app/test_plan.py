"""ntk plan against the runs it plans: what it counts, what it refuses, what it leaves alone."""

import json
import os
import unittest

import h5py
import support

IO, USAGE, INPUT, RESOURCES = 5, 2, 3, 6


class Plan(support.Case):
    # Given: a job this small says nothing about rates.
    RATE = ("--rate-gflops", 10)

    def plan(self, job, *options, **settings):
        result = support.run("plan", job, "--json", *options, *self.RATE, **settings)
        self.assertEqual(result.code, 0, result.text)
        return json.loads(result.out)

    def summary(self, directory="run"):
        return json.loads((self.home / directory / "summary.json").read_text())

    def small(self, directory="run", samples=60, **tables):
        train = support.write_classes(self.home / "train.h5", self.generator, samples)
        return self.job(train, directory, **tables)


class Agreement(Plan):
    def check_against_run(self, ranks, **tables):
        job = self.small(**tables)
        plan = self.plan(job, "--ranks", max(1, ranks))
        self.assertFalse((self.home / "run").exists(), "a plan makes no directory")
        kernel = plan["kernel"]
        self.assertEqual(kernel["state"], "fresh")
        self.assertEqual(kernel["units_left"], kernel["units"])
        self.run_well("kernel", job, ranks=ranks)
        done = self.summary()["kernel"]
        self.assertEqual(done["units"], kernel["units"])
        self.assertAlmostEqual(kernel["operations"]["useful"] / done["useful_operations"], 1, 3)
        size = os.path.getsize(self.home / "run" / "kernel.h5")
        planned = kernel["files"]["kernel_bytes"]
        self.assertLess(abs(planned / size - 1), 0.02, f"{planned} planned, {size} written")
        with h5py.File(self.home / "run" / "kernel.h5") as file:
            self.assertEqual(file["kernel/total"].shape[0], kernel["rows"])
        if not os.environ.get("NTK_SANITIZED"):  # a quarantine keeps what is freed
            self.assertLess(abs(kernel["memory"]["host_gib"] / done["peak_memory_gib"] - 1), 0.20)
        after = self.plan(job)
        self.assertEqual(after["kernel"]["state"], "complete")
        self.assertEqual(after["kernel"]["units_left"], 0)
        self.assertEqual(after["kernel"]["operations"]["total"], 0)

    def test_one_rank(self):
        self.check_against_run(0, data={"samples": 400})

    def test_two_ranks_with_ranges_and_parts(self):
        self.check_against_run(2, kernel={"ranges": 2, "groups": "part", "mirror": False})

    def test_other_outputs_in_single_precision(self):
        self.check_against_run(0, kernel={"outputs": "mean_diagonal", "storage": "fp32",
                                          "precision": "fp64"})

    def test_spectrum_file(self):
        job = self.small(spectrum={"method": "full", "centre": "both", "vectors": 5})
        plan = self.plan(job)
        self.run_well("run", job)
        size = os.path.getsize(self.home / "run" / "spectrum.h5")
        # Its attributes and HDF5's own structures are most of a file this small.
        self.assertLess(plan["spectrum"]["file_bytes"], size)
        with h5py.File(self.home / "run" / "spectrum.h5") as file:
            numbers = []
            file.visititems(lambda _, item: numbers.append(item.size)
                            if isinstance(item, h5py.Dataset) else None)
        self.assertEqual(plan["spectrum"]["file_bytes"], 8 * sum(numbers))
        self.assertEqual(plan["spectrum"]["order"], plan["kernel"]["rows"])

    def test_spectrum_file_of_leading_pairs(self):
        job = self.small(spectrum={"method": "leading", "leading": 10}, theory={"law_draws": 0})
        plan = self.plan(job)
        self.run_well("run", job)
        with h5py.File(self.home / "run" / "spectrum.h5") as file:
            numbers = []
            file.visititems(lambda _, item: numbers.append(item.size)
                            if isinstance(item, h5py.Dataset) else None)
        self.assertEqual(plan["spectrum"]["file_bytes"], 8 * sum(numbers))

    def test_what_is_left_of_a_begun_kernel(self):
        job = self.small()
        self.run_well("kernel", job)
        whole = (self.home / "run" / "kernel.h5")
        begun = whole.rename(whole.with_suffix(".h5.partial"))
        with h5py.File(begun, "r+") as file:
            file.attrs["complete"] = 0
            states = file["journal/kernel/state"][...]
            states[0, -3:] = 0
            file["journal/kernel/state"][...] = states
        before = begun.read_bytes()
        plan = self.plan(job)
        self.assertEqual(plan["kernel"]["state"], "begun")
        self.assertEqual(plan["kernel"]["units_left"], 3)
        self.assertEqual(begun.read_bytes(), before)
        self.assertEqual(sorted(p.name for p in (self.home / "run").iterdir()
                                if p.name.startswith("kernel")), ["kernel.h5.partial"])

    def test_a_kernel_that_grows(self):
        train = support.write_classes(self.home / "train.h5", self.generator, 100)
        tables = {"data": {"samples": 64}}
        self.run_well("kernel", self.job(train, **tables))
        plan = self.plan(self.job(train, data={"samples": 96}))["kernel"]
        self.assertEqual(plan["state"], "fresh")
        # Batches of 32 in panels of 8: 8 panels are there, of 12.
        self.assertEqual(plan["units"] - plan["units_left"], 8 * 9 // 2)


class Refusals(Plan):
    def message(self, result):
        return [line.split("ERROR: ", 1)[1] for line in result.err.splitlines()
                if "ERROR: " in line]

    def check_alike(self, code, job, *options, plan_only=()):
        planned = support.run("plan", job, *self.RATE, *options, *plan_only)
        ran = support.run("kernel", job, *options)
        self.assertEqual((planned.code, planned.status), (ran.code, ran.status), planned.text)
        self.assertEqual(planned.code, code, planned.text)
        self.assertTrue(self.message(planned))
        self.assertEqual(self.message(planned), self.message(ran))

    def test_the_same_as_of_the_run(self):
        job = self.small()
        nowhere = self.home / "nowhere"
        self.check_alike(INPUT, job, "--set", f'model.path="{nowhere}"')
        self.check_alike(INPUT, job, "--set", f'data.train="{nowhere}"')
        self.check_alike(USAGE, job, "--set", "kernel.tile=3")
        self.check_alike(USAGE, job, "--set", 'kernel.precision="tf32"')
        self.check_alike(RESOURCES, job, "--set", "kernel.memory_gib=0.0005")
        blocked = self.home / "file"
        blocked.write_text("")
        self.assertEqual(support.run("plan", job, *self.RATE, "--set",
                                     f'run.directory="{blocked}"').code, IO)

    def test_samples_that_are_too_long(self):
        train = support.write_classes(self.home / "long.h5", self.generator, 20,
                                      longest=support.POSITIONS + 5)
        self.check_alike(INPUT, self.job(train))

    def test_another_jobs_directory(self):
        job = self.small()
        self.run_well("kernel", job)
        self.check_alike(USAGE, job, "--set", "run.seed=7")
        # Weights are not read: the plan takes them for those of the file.
        self.assertEqual(support.run("plan", job, *self.RATE).code, 0)

    def test_two_ranks_and_a_gpu_for_the_spectrum(self):
        job = self.small(spectrum={"device": "cuda"})
        planned = support.run("plan", job, *self.RATE, "--ranks", 2)
        ran = support.run("run", job, ranks=2)
        self.assertEqual((planned.code, ran.code), (USAGE, USAGE), planned.text + ran.text)
        self.assertEqual(self.message(planned)[0], self.message(ran)[0])

    def test_its_own_options(self):
        job = self.small()
        for words, options in (
            (["--device-memory"], ["--device", "cuda"]),
            (["--rate-gflops"], ["--device", "cuda", "--device-memory", 80]),
            (["--nodes 3"], ["--ranks", 2, "--nodes", 3]),
            (["--device tpu"], ["--device", "tpu"]),
        ):
            self.assert_refused(support.run("plan", job, *options), USAGE, *words,
                                status="usage error")
        self.assert_refused(support.run("plan", job, ranks=2), USAGE, "--ranks",
                            status="usage error")


class Elsewhere(Plan):
    def test_a_gpu_that_is_not_here(self):
        job = self.small(kernel={"device": "auto", "precision": "bf16x3"})
        plan = self.plan(job, "--device", "cuda", "--device-memory", 2)
        self.assertEqual(plan["device"], "cuda")
        memory = plan["kernel"]["memory"]
        self.assertGreater(memory["device_gib"], 0)
        self.assertLess(memory["device_gib"], memory["limit_gib"])
        self.assertAlmostEqual(memory["limit_gib"], 0.92 * 2, 2)
        small = support.run("plan", job, "--device", "cuda", "--device-memory", 0.0002, *self.RATE)
        self.assert_refused(small, RESOURCES, "a pair of panels", "GPU", status="out of resources")

    def test_memory_of_a_node_elsewhere(self):
        job = self.small()
        limit = self.plan(job, "--ranks", 4, "--nodes", 2, "--node-memory", 64)
        self.assertAlmostEqual(limit["kernel"]["memory"]["limit_gib"], 0.8 * 64 / 2, 2)

    def test_the_largest_that_fits(self):
        job = self.small(spectrum={"method": "full", "vectors": "all"})
        largest = self.plan(job, "--node-memory", 1)["largest"]
        # Five matrices of doubles: 2 n rows each.
        self.assertLess(abs(largest["spectrum"] / ((2**30 / 40) ** 0.5 / 2) - 1), 0.05)
        self.assertEqual(largest["samples"], min(largest["spectrum"], largest["disk"]))

    def test_sweep(self):
        job = self.small(kernel={"tile_samples": 4})
        sweep = self.plan(job, "--sweep")["sweep"]
        self.assertEqual([row["ranks"] for row in sweep], [2**k for k in range(len(sweep))])
        self.assertGreater(len(sweep), 4)
        self.assertLess(sweep[3]["seconds"], sweep[0]["seconds"])
        self.assertGreaterEqual(sweep[-1]["rebuild_share"], sweep[0]["rebuild_share"])
        text = support.run("plan", job, "--sweep", *self.RATE)
        self.assertEqual((text.code, text.status), (0, "STATUS: complete"), text.text)
        for word in ("kernel", "memory", "network", "files", "largest", "ranks"):
            self.assertIn(word, text.out)

    def test_rates_are_measured_where_none_is_given(self):
        result = support.run("plan", self.small(), "--json")
        plan = json.loads(result.out)["kernel"]
        self.assertTrue(plan["rates"]["gemm_measured"])
        self.assertGreater(plan["rates"]["gemm"], 1e8)
        self.assertGreater(plan["seconds"]["kernel"], 0)


if __name__ == "__main__":
    support.main()
