"""What a whole run leaves behind, and that its parts agree with each other and with numpy."""

import json
import os
import tomllib

import h5py
import numpy as np

import support
from support import FIXTURES, HIDDEN


def centred(kernel, rows_per_sample):
    samples = len(kernel) // rows_per_sample
    matrix = np.kron(np.eye(samples) - 1 / samples, np.eye(rows_per_sample))
    return matrix @ kernel @ matrix


def spectrum_of(kernel):
    return np.linalg.eigvalsh(kernel)[::-1] / len(kernel)


class Whole(support.Case):
    """One run of all stages; the tests look at its files."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        case = cls("setUp")
        case.setUp()
        cls.addClassCleanup(case.doCleanups)
        cls.home_of_run = case.home
        train = support.write_classes(case.home / "train.h5", case.generator, 80)
        evaluate = [support.write_classes(case.home / "other.h5", case.generator, 20)]
        cls.job_file = case.job(
            train,
            data={"evaluate": evaluate, "samples": 70},
            kernel={"precision": "fp64", "groups": "split"},
            spectrum={"kernels": {"total": "all", "half": "head + 0.25 * body"}, "vectors": 5},
            theory={},
        )
        cls.result = case.run_well("run", cls.job_file, ranks=4)
        cls.directory = case.home / "run"
        cls.summary = json.loads((cls.directory / "summary.json").read_text())
        cls.kernels = {name: support.read_kernel(cls.directory / "kernel.h5", name)
                       for name in ("total", "groups/head", "groups/body")}

    def test_files(self):
        names = {path.name for path in self.directory.iterdir()}
        self.assertEqual(names, {"kernel.h5", "spectrum.h5", "theory.json", "summary.json",
                                 "run.toml", "head.safetensors", ".lock"})

    def test_start_is_told(self):
        for words in ("4 ranks x", "CPUs", "MPI threads", "OpenBLAS", "HDF5", "PETSc", "SLEPc",
                      "device backends built: cpu"):
            self.assertIn(words, self.result.text)

    def test_kernel(self):
        kernel = self.kernels["total"]
        self.assertEqual(kernel.shape, (140, 140))
        np.testing.assert_array_equal(kernel, kernel.T)
        values = np.linalg.eigvalsh(kernel)
        self.assertGreater(values[0], -10 * 2.0**-53 * values[-1])
        parts = self.kernels["groups/head"] + self.kernels["groups/body"]
        self.assertLess(support.relative(parts, kernel), 1e-14)
        with h5py.File(self.directory / "kernel.h5") as file:
            self.assertEqual(file.attrs["complete"], 1)
            self.assertEqual(file["kernel/total"].attrs["triangle"], "full")
            sample, output = file["rows/sample"][...], file["rows/output"][...]
            np.testing.assert_array_equal(sample, np.arange(140) // 2)
            np.testing.assert_array_equal(output, np.arange(140) % 2)
            rows = file["samples/source_row"][...]
            label, tokens = file["samples/label"][...], file["samples/tokens"][...]
            self.assertEqual(file["evaluate/other/total"].shape, (40, 140))
            self.assertEqual(len(set(rows.tolist())), 70)
        with h5py.File(self.home_of_run / "train.h5") as file:  # source_row leads back
            np.testing.assert_array_equal(label, file["label"][...][rows - 1])
            np.testing.assert_array_equal(tokens, np.diff(file["offsets"][...])[rows - 1])

    def test_spectrum(self):
        half = self.kernels["groups/head"] + 0.25 * self.kernels["groups/body"]
        with h5py.File(self.directory / "spectrum.h5") as file:
            for name, kernel in (("total", self.kernels["total"]), ("half", half)):
                for form, matrix in (("raw", kernel), ("centred", centred(kernel, 2))):
                    with self.subTest(kernel=name, form=form):
                        values = file[name][form]["eigenvalues"][...]
                        expected = spectrum_of(matrix)
                        self.assertLess(abs(values - expected).max(), 1e-10 * expected[0])
                        vectors = file[name][form]["eigenvectors"][...]
                        self.assertEqual(vectors.shape, (140, 5))
                        self.assertLess(abs(vectors.T @ vectors - np.eye(5)).max(), 1e-12)
                        residual = matrix @ vectors / 140 - vectors * values[:5]
                        self.assertLess(abs(residual).max(), 1e-12 * expected[0])

    def test_projections(self):
        with h5py.File(self.directory / "kernel.h5") as file:
            outputs, label = file["samples/outputs"][...], file["samples/label"][...]
            evaluation = file["evaluate/other/total"][...]
        with h5py.File(self.directory / "spectrum.h5") as file:
            place = file["total/raw"]
            vectors = place["eigenvectors"][...]
            found = place["projections/outputs"][...].reshape(140)[:5]
            np.testing.assert_allclose(found, vectors.T @ outputs.reshape(-1), atol=1e-12)
            labels = np.eye(2)[label].reshape(-1)
            found = place["projections/label"][...].reshape(140)[:5]
            np.testing.assert_allclose(found, vectors.T @ labels, atol=1e-12)
            product = place["evaluate/other"][...][:, :5]
            self.assertLess(support.relative(product, evaluation @ vectors), 1e-12)

    def test_theory(self):
        theory = json.loads((self.directory / "theory.json").read_text(), parse_constant=self.fail)
        self.assertEqual(set(theory["kernels"]), {"total", "half"})

    def test_summary(self):
        summary = self.summary
        self.assertEqual(summary["status"], "complete")
        self.assertEqual(summary["exit_code"], 0)
        self.assertEqual(summary["ranks"], 4)
        for name in ("ntkspectra", "git", "mpi", "blas", "blas_core", "hdf5", "petsc", "slepc"):
            self.assertTrue(summary["versions"][name], name)
        for name in ("kernel", "spectrum", "theory"):
            self.assertGreater(summary["timings"][name], 0)
        self.assertGreater(summary["kernel"]["share"], 0)
        self.assertGreater(summary["kernel"]["floor_ratio"], 1)

    def test_job_is_kept(self):
        kept = tomllib.loads((self.directory / "run.toml").read_text())
        self.assertEqual(kept["data"]["samples"], 70)
        self.assertEqual(kept["kernel"]["precision"], "fp64")
        result = self.run_well("run", self.directory / "run.toml")  # and is a job file itself
        self.assertIn("nothing to do", result.text)

    def test_head_serves_another_job(self):
        header, data = support.read_safetensors(self.directory / "head.safetensors")
        self.assertEqual(header["weight"]["shape"], [2, HIDDEN])
        self.assertEqual(header["bias"]["shape"], [2])
        job = self.job(self.home_of_run / "train.h5",
                       model={"head": self.directory / "head.safetensors"},
                       data={"samples": 70}, kernel={"precision": "fp64", "groups": "none"})
        self.run_well("kernel", job)
        again = support.read_kernel(self.home / "run" / "kernel.h5")
        self.assertLess(support.relative(again, self.kernels["total"]), 1e-14)

    def test_inspect(self):
        for name, words in (("kernel.h5", ["ntkspectra-kernel", "total  140 x 140",
                                           "outputs  70 x 2"]),
                            ("spectrum.h5", ["ntkspectra-spectrum", "eigenvectors  140 x 5"]),
                            ("theory.json", ["kernels"]),
                            ("summary.json", ['status: "complete"']),
                            ("head.safetensors", ["weight  F32 [2 x 16]"])):
            with self.subTest(name):
                result = support.run("inspect", self.directory / name)
                self.assertEqual(result.code, 0, result.text)
                for word in words:
                    self.assertIn(word, result.out)
        result = support.run("inspect", self.home_of_run / "train.h5")
        self.assertEqual(result.code, 0, result.text)
        self.assertIn("ntkspectra-data", result.out)
        # A file may hold groups that hold themselves, and names that a terminal would obey.
        odd = self.home / "odd.h5"
        with h5py.File(odd, "w") as file:
            file.attrs["format"] = "ntkspectra-data"
            file["a/b\x1b[2J"] = [1, 2]
            file["a/loop"], file["a/root"] = file["a"], file["/"]
        result = support.run("inspect", odd)
        self.assertEqual(result.code, 0, result.text)
        self.assertIn("b?[2J  2\n", result.out)

    def test_permuted_samples_permute_the_kernel(self):
        samples = []
        with h5py.File(self.home_of_run / "train.h5") as file:
            offsets, label = file["offsets"][...], file["label"][...]
            for start, end in zip(offsets[:-1], offsets[1:]):
                samples.append(file["tokens"][start:end])
        kernels = []
        for order in (np.arange(80), self.generator.permutation(80)):
            train = support.write_data(
                self.home / "train.h5", [samples[i] for i in order],
                label=(label[order], ["no", "yes"]), source_row=order + 1)
            directory = f"run{len(kernels)}"
            self.run_well("kernel", self.job(train, directory, kernel={"precision": "fp64"}))
            with h5py.File(self.home / directory / "kernel.h5") as file:
                back = np.argsort(file["samples/source_row"][...])
            rows = (2 * back[:, None] + np.arange(2)).reshape(-1)
            kernel = support.read_kernel(self.home / directory / "kernel.h5")
            kernels.append(kernel[np.ix_(rows, rows)])
        self.assertLess(support.relative(kernels[1], kernels[0]), 1e-13)


class Precision(support.Case):
    def test_single_against_double(self):
        train = support.write_classes(self.home / "train.h5", self.generator, 60)
        kernels, deltas = {}, {}
        for precision in ("fp32", "fp64"):
            self.run_well("kernel", self.job(train, precision, kernel={"precision": precision}))
            path = self.home / precision / "kernel.h5"
            kernels[precision] = support.read_kernel(path)
            with h5py.File(path) as file:
                deltas[precision] = file["error/delta"][()]
                checked = file["error/samples"][...]
        self.assertLess(support.relative(kernels["fp32"], kernels["fp64"]), 2e-6)
        self.assertEqual(len(checked), 32)  # 64 rows of two outputs
        rows = (2 * checked[:, None] + np.arange(2)).reshape(-1)
        difference = kernels["fp32"] - kernels["fp64"]
        of_checked = np.sqrt((difference[np.ix_(rows, rows)] ** 2).mean())
        of_all = np.sqrt((difference**2).mean())
        floor = 2.0**-24 * np.sqrt((kernels["fp64"][np.ix_(rows, rows)] ** 2).mean())
        self.assertLess(abs(deltas["fp32"] / max(of_checked, floor) - 1), 0.01)
        self.assertLess(deltas["fp32"], 2 * max(of_all, floor))
        self.assertGreater(deltas["fp32"], 0.5 * of_all)
        self.assertLess(deltas["fp64"], 1e-6 * deltas["fp32"])

    def test_single_precision_storage(self):
        train = support.write_classes(self.home / "train.h5", self.generator, 40)
        kernels = []
        for storage in ("fp64", "fp32"):
            job = self.job(train, storage, kernel={"precision": "fp64", "storage": storage})
            self.run_well("kernel", job)
            kernels.append(support.read_kernel(self.home / storage / "kernel.h5"))
        np.testing.assert_array_equal(kernels[0].astype(np.float32), kernels[1])

    def test_lower_triangle(self):
        train = support.write_classes(self.home / "train.h5", self.generator, 40)
        for mirror in (True, False):
            self.run_well("run", self.job(train, f"mirror{mirror}", kernel={"mirror": mirror},
                                          spectrum={}))
        with h5py.File(self.home / "mirrorFalse" / "kernel.h5") as file:
            self.assertEqual(file["kernel/total"].attrs["triangle"], "lower")
            self.assertEqual(file["kernel/total"][0, -1], 0)
        full, lower = (support.read_kernel(self.home / f"mirror{mirror}" / "kernel.h5")
                       for mirror in (True, False))
        np.testing.assert_array_equal(full, lower)
        values = []
        for mirror in (True, False):
            with h5py.File(self.home / f"mirror{mirror}" / "spectrum.h5") as file:
                values.append(file["total/raw/eigenvalues"][...])
        np.testing.assert_array_equal(*values)


class Theory(support.Case):
    def test_targets_with_a_reference(self):
        train = support.write_targets(self.home / "train.h5", self.generator, 200)
        result = self.run_well("run", self.job(train, spectrum={}, theory={}), ranks=2)
        theory = json.loads((self.home / "run" / "theory.json").read_text(),
                            parse_constant=self.fail)
        text = json.dumps(theory)
        with h5py.File(train) as file:
            noise = file["noise_variance"][...].mean()
        self.assertIn("noise_variance", text)
        self.assertIn("rkhs_norm2", text)
        stated = theory["kernels"]["total"]["labels"][0]["noise_variance"]["value"]
        self.assertLess(abs(stated / noise - 1), 0.05)
        self.assertIn("stop at eta", result.text)

    def test_verbs_one_by_one(self):
        train = support.write_targets(self.home / "train.h5", self.generator, 60)
        job = self.job(train)  # without tables for the later stages
        for verb in ("kernel", "spectrum", "theory"):
            self.run_well(verb, job)
        whole = self.job(train, "whole", spectrum={}, theory={})
        self.run_well("run", whole)
        theories = [json.loads((self.home / name / "theory.json").read_text())["kernels"]
                    for name in ("run", "whole")]
        self.assertEqual(*theories)


class Record(support.Case):
    """What a run directory tells of the commands that made its files."""

    def setUp(self):
        super().setUp()
        self.train = support.write_classes(self.home / "train.h5", self.generator, 12)
        self.directory = self.home / "run"

    def summary(self):
        return json.loads((self.directory / "summary.json").read_text())

    def kept(self):
        return tomllib.loads((self.directory / "run.toml").read_text())

    def test_a_run_that_does_nothing_keeps_the_numbers(self):
        job = self.job(self.train, spectrum={})
        self.run_well("run", job, ranks=2)
        first = self.summary()
        self.run_well("run", job)
        again = self.summary()
        self.assertEqual(again["ranks"], 1)
        self.assertEqual(again["timings"], first["timings"])
        for stage in ("kernel", "spectrum"):
            self.assertTrue(again[stage].pop("reused"))
            first[stage].pop("reused", None)
            self.assertEqual(again[stage], first[stage])
            self.assertEqual(again[stage]["made"]["ranks"], 2)
        self.run_well("spectrum", job, "--set", "spectrum.centre=raw")
        self.assertEqual(self.summary()["kernel"]["share"], first["kernel"]["share"])

    def test_a_failed_job_leaves_anothers_summary(self):
        self.run_well("kernel", self.job(self.train))
        before = self.summary()
        other = self.job(self.home / "none.h5", run={"seed": 2})
        self.assert_refused(support.run("kernel", other), 3, "none.h5", status="bad input")
        self.assertEqual(self.summary(), before)
        own = self.job(self.train)
        self.train.rename(self.home / "away.h5")
        self.assert_refused(support.run("kernel", own), 3, "train.h5", status="bad input")
        after = self.summary()
        self.assertEqual((after["status"], after["exit_code"]), ("bad input", 3))
        self.assertEqual(after["kernel"], before["kernel"])

    def test_every_stage_keeps_its_part_of_the_job(self):
        self.run_well("kernel", self.job(self.train, kernel={"precision": "fp64"}))
        self.assertNotIn("spectrum", self.kept())
        self.run_well("spectrum", self.job(self.train, spectrum={"vectors": 3}))
        kept = self.kept()
        self.assertEqual((kept["kernel"]["precision"], kept["spectrum"]["vectors"]), ("fp64", 3))
        self.assertNotIn("theory", kept)
        self.run_well("theory", self.job(self.train, spectrum={"vectors": 3},
                                         theory={"noise_variance": 0.1}))
        self.assertEqual(self.kept()["theory"]["noise_variance"], 0.1)
        again = self.run_well("run", self.directory / "run.toml")
        for name in ("kernel.h5", "spectrum.h5", "theory.json"):
            self.assertRegex(again.text, f"{name} is complete and")

    def test_later_stages_name_the_missing_one(self):
        job = self.job(self.train)
        self.directory.mkdir()
        for verb in ("spectrum", "theory"):
            for ranks in (0, 2):
                self.assert_refused(support.run(verb, job, ranks=ranks), 5, "kernel.h5",
                                    "run `ntk kernel` first", status="input/output failure")
        (self.directory / "kernel.h5.partial").touch()
        self.assert_refused(support.run("spectrum", job), 5, "not complete",
                            "run `ntk kernel` first", status="input/output failure")


class Program(support.Case):
    def test_version(self):
        result = support.run("version")
        self.assertEqual(result.code, 0)
        for word in ("ntkspectra: ", "git: ", "blas: ", "hdf5: ", "petsc: ", "slepc: "):
            self.assertIn(word, result.out)

    def test_default_job_is_a_job_file(self):
        result = support.run("job", "--defaults")
        self.assertEqual(result.code, 0)
        tables = tomllib.loads(result.out)
        self.assertEqual(tables["kernel"]["precision"], "fp32")
        path = self.home / "job.toml"
        path.write_text(result.out)
        train = support.write_targets(self.home / "train.h5", self.generator, 20)
        self.run_well("kernel", path, "--set", f"run.directory={self.home / 'run'}",
                      f"model.path={FIXTURES / 'models' / 'bert'}", f"data.train={train}")
        kept = tomllib.loads((self.home / "run" / "run.toml").read_text())
        self.assertEqual(kept["model"]["head_std"], tables["model"]["head_std"])

    def test_more_samples_than_there_are(self):
        train = support.write_classes(self.home / "train.h5", self.generator, 10)
        result = self.run_well("kernel", self.job(train, data={"samples": 50}))
        self.assertIn("50 samples asked for, all 10 taken", result.text)

    def test_slurm_step_without_launcher(self):
        train = support.write_classes(self.home / "train.h5", self.generator, 6)
        job = self.job(train)
        result = support.run("kernel", job, SLURM_STEP_NUM_TASKS="2")
        self.assert_refused(result, 2, "--mpi=pmix", status="usage error")
        self.assertFalse((self.home / "run").exists())
        self.run_well("kernel", job, SLURM_STEP_NUM_TASKS="1")
        # mpirun on a part of a larger allocation is fine.
        self.run_well("kernel", self.job(train, "part"), ranks=2, SLURM_STEP_NUM_TASKS="8")

    def test_slow_blas_is_cured(self):
        train = support.write_classes(self.home / "train.h5", self.generator, 6)
        result = self.run_well("kernel", self.job(train), OPENBLAS_CORETYPE=None)
        core = result.text.split(", core ")[1].split(";")[0]
        with open("/proc/cpuinfo") as info:
            flags = info.read().split()
        if "avx2" in flags:
            self.assertNotIn(core, ("Prescott", "Core2", "Nehalem", "Sandybridge"))
        forced = self.run_well("kernel", self.job(train, "slow"), OPENBLAS_CORETYPE="Prescott")
        if "avx2" in flags:  # told, since the user chose it
            self.assertIn("set OPENBLAS_CORETYPE=", forced.text)
        with h5py.File(self.home / "run" / "kernel.h5") as file:
            self.assertEqual(file.attrs["hardware.blas_core"], core)

    def test_too_many_threads_are_told(self):
        train = support.write_classes(self.home / "train.h5", self.generator, 6)
        cpus = len(os.sched_getaffinity(0))
        result = self.run_well("kernel", self.job(train, run={"threads": cpus + 1}))
        self.assertIn(f"run.threads = {cpus + 1}", result.text)


if __name__ == "__main__":
    support.main()
