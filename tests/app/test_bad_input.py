"""Bad input ends with PROBLEM (WHY) SUGGESTION, the right exit code and a STATUS line, on one rank
and on four, within seconds, and leaves what was there as it was."""

import json
import os
import shutil
import unittest

import h5py
import numpy as np

import support
from refusals import INPUT, IO, RANKS, RESOURCES, STATUS, USAGE, BadInput, change_config
from support import POSITIONS, VOCABULARY


class JobFiles(BadInput):
    def test_missing_job_file(self):
        self.refused(USAGE, "none.toml", "No such file", job=self.home / "none.toml")

    def test_no_toml(self):
        job = self.home / "broken.toml"
        job.write_text("[run]\ndirectory = \n")
        self.refused(USAGE, "not valid TOML", "line 2", job=job)

    def test_unknown_key_names_the_nearest(self):
        self.refused(USAGE, "kernel.tile_sample", "did you mean kernel.tile_samples?",
                     kernel={"tile_sample": 8})

    def test_unknown_table_names_the_nearest(self):
        self.refused(USAGE, "kernels", "did you mean [kernel]?", kernels={"tile_samples": 8})

    def test_key_without_table(self):
        job = self.job(self.train)
        job.write_text("directory = 'x'\n" + job.read_text())
        self.refused(USAGE, "unknown key directory", "below [run]", job=job)

    def test_missing_key(self):
        tables = {"run": {"directory": self.home / "run"}}
        job = support.write_toml(self.home / "short.toml", tables)
        self.refused(USAGE, "lacks", "model.path", job=job)

    def test_wrong_type(self):
        self.refused(USAGE, "kernel.tile_samples", "is not an integer",
                     kernel={"tile_samples": "8"})

    def test_wrong_choice_names_the_nearest(self):
        self.refused(USAGE, "kernel.outputs", 'did you mean "logits"', kernel={"outputs": "logit"})

    def test_number_out_of_range(self):
        self.refused(USAGE, "data.samples", "out of range", data={"samples": -1})

    def test_tiles_that_do_not_divide_batches(self):
        self.refused(USAGE, "kernel.tile_samples", "does not divide",
                     kernel={"tile_samples": 5, "batch_samples": 32})

    def test_override_of_an_unknown_key(self):
        self.refused(USAGE, "kernel.precison", "did you mean kernel.precision?",
                     overrides=["kernel.precison=fp64"])

    def test_cuda_without_cuda(self):
        self.refused(RESOURCES, 'kernel.device = "cuda"', '"cpu"', kernel={"device": "cuda"})

    def test_gpu_for_the_spectrum(self):
        hidden = {"CUDA_VISIBLE_DEVICES": ""}
        job = self.job(self.train, spectrum={"device": "cuda"})
        with self.subTest("several ranks: told before the kernel is computed"):
            result = support.run("run", job, ranks=2, **hidden)
            self.assert_refused(result, USAGE, "2 ranks", '"cpu"', status=STATUS[USAGE])
            self.assertEqual(list(self.home.glob("run/kernel.h5*")), [])
        with self.subTest("one rank without a GPU"):
            result = support.run("run", job, **hidden)
            self.assert_refused(result, RESOURCES, 'spectrum.device = "cuda"', '"cpu"',
                                status=STATUS[RESOURCES])
            self.assertTrue((self.home / "run/kernel.h5").exists())
            self.assertEqual(list(self.home.glob("run/spectrum.h5*")), [])
        with self.subTest("left to the program"):
            self.run_well("spectrum", job, "--set", "spectrum.device=auto", **hidden)

    def test_precision_that_the_cpu_lacks(self):
        self.refused(USAGE, "bf16x3", '"fp32"', kernel={"precision": "bf16x3"})

    def test_too_little_memory_names_the_setting(self):
        self.refused(RESOURCES, "GiB", "kernel.tile_samples", "kernel.memory_gib",
                     kernel={"memory_gib": 1e-6})

    def test_parameters_that_match_nothing(self):
        self.refused(USAGE, "layer.7.*", model={"parameters": {"include": ["layer.7.*"]}})
        self.refused(USAGE, "nothing.*",
                     model={"parameters": {"include": ["*"], "exclude": ["nothing.*"]}})

    def test_all_parameters_excluded(self):
        self.refused(USAGE, "parameter", model={"parameters": {"include": ["*"], "exclude": ["*"]}})

    def test_difference_of_three_classes(self):
        train = support.write_classes(self.home / "three.h5", self.generator, 12, ("a", "b", "c"))
        self.refused(USAGE, "difference", train=train, kernel={"outputs": "difference"})

    def test_unknown_group_in_a_sum(self):
        job = self.job(self.train, kernel={"groups": "split"}, spectrum={
            "kernels": {"half": "head + 0.5 * bodi"}})
        self.run_well("kernel", job)
        for ranks in RANKS:
            result = support.run("spectrum", job, ranks=ranks)
            self.assert_refused(result, USAGE, "bodi", "body", status=STATUS[USAGE])

    def test_command_line(self):
        for words in (["kernell", "x.toml"], [], ["kernel"], ["run", "x.toml", "--sett", "a.b=1"]):
            result = support.run(*words)
            self.assertEqual(result.code, USAGE, result.text)
            self.assertEqual(result.status, "STATUS: usage error")


class Data(BadInput):
    def write(self, samples, labels=None, classes=("no", "yes"), **columns):
        labels = [i % 2 for i in range(len(samples))] if labels is None else labels
        return support.write_data(self.home / "bad.h5", samples,
                                  label=(labels, list(classes)), **columns)

    def samples(self, count=6):
        return support.random_samples(self.generator, count)

    def test_missing_file(self):
        self.refused(INPUT, "none.h5", train=self.home / "none.h5")

    def test_no_hdf5(self):
        text = self.home / "text.h5"
        text.write_text("id\ttext\n1\thello\n")
        self.refused(INPUT, "text.h5", "HDF5", train=text)

    def test_truncated_file(self):
        os.truncate(self.train, self.train.stat().st_size // 2)
        self.refused(INPUT, "train.h5")

    def test_without_labels(self):
        train = support.write_data(self.home / "bare.h5", self.samples())
        self.refused(INPUT, "neither label nor target", train=train)

    def test_token_beyond_the_vocabulary(self):
        samples = self.samples()
        samples[4][1] = VOCABULARY
        self.refused(INPUT, "row 4", f"token {VOCABULARY}", "vocab_size", train=self.write(samples))

    def test_negative_token(self):
        samples = self.samples()
        samples[4][1] = -1
        self.refused(INPUT, "row 4", "token -1", train=self.write(samples))

    def test_token_type_beyond_the_model(self):
        samples = self.samples()
        types = np.zeros(sum(map(len, samples)))
        types[-1] = 2
        self.refused(INPUT, "row 5", "token type 2", "type_vocab_size",
                     train=self.write(samples, token_type=types))

    def test_padded_sample(self):
        samples = self.samples()
        samples[4] = np.append(samples[4], [0, 0])
        self.refused(INPUT, "row 4", "pad_token_id = 0", "without padding",
                     train=self.write(samples))

    def test_overlong_sample(self):
        samples = self.samples()
        samples[2] = np.full(POSITIONS + 1, 3)
        train = self.write(samples)
        self.refused(INPUT, "row 2", f"{POSITIONS + 1} tokens", 'data.overlong = "drop"',
                     train=train)
        for ranks in RANKS:
            job = self.job(train, f"drop{ranks}", data={"overlong": "drop"})
            result = self.run_well("kernel", job, ranks=ranks)
            self.assertIn("1 of 6 samples", result.text)
            with h5py.File(self.home / f"drop{ranks}" / "kernel.h5") as file:
                rows = set(file["samples/source_row"][...].tolist())
            self.assertEqual(rows, {1, 2, 4, 5, 6})

    def test_all_samples_overlong(self):
        train = self.write([np.full(POSITIONS + 1, 3)] * 3)
        self.refused(INPUT, "no sample", "positions", train=train, data={"overlong": "drop"})

    def test_empty_sample(self):
        samples = self.samples()
        samples[3] = samples[3][:0]
        self.refused(INPUT, "row 3", "empty", train=self.write(samples))

    def test_label_outside_the_classes(self):
        self.refused(INPUT, "row 1", "label 2", "2 classes",
                     train=self.write(self.samples(), [0, 2, 1, 0, 1, 0]))

    def test_target_that_is_not_finite(self):
        train = support.write_data(self.home / "nan.h5", self.samples(),
                                   target=[[0.0], [1.0], [np.nan], [0.0], [1.0], [2.0]])
        self.refused(INPUT, "row 2", "target", "nan", train=train)

    def test_columns_of_another_length(self):
        train = self.write(self.samples(), reference=np.zeros(5))
        self.refused(INPUT, "reference", "5", "6", train=train)

    def test_no_samples(self):
        self.refused(INPUT, "no samples", train=self.write([]))

    def test_evaluation_set_with_other_classes(self):
        other = support.write_classes(self.home / "other.h5", self.generator, 6, ("a", "b", "c"))
        self.refused(INPUT, "other.h5", "3 outputs", data={"evaluate": [other]})

    def test_bad_evaluation_set(self):
        samples = self.samples()
        samples[4][1] = VOCABULARY
        self.refused(INPUT, "bad.h5", "row 4", data={"evaluate": [self.write(samples)]})

    def test_two_evaluation_sets_of_one_name(self):
        (self.home / "b").mkdir()
        twin = shutil.copy(self.train, self.home / "b")
        self.refused(USAGE, "train", data={"evaluate": [self.train, twin]})

    def test_one_and_two_samples(self):
        for count in (1, 2):
            for ranks in RANKS:
                with self.subTest(samples=count, ranks=ranks):
                    job = self.job(self.write(self.samples(count)), f"n{count}r{ranks}",
                                   kernel={"precision": "fp64"}, spectrum={"vectors": "all"})
                    self.run_well("run", job, ranks=ranks)
                    directory = self.home / f"n{count}r{ranks}"
                    kernel = support.read_kernel(directory / "kernel.h5")
                    self.assertEqual(kernel.shape, (2 * count, 2 * count))
                    with h5py.File(directory / "spectrum.h5") as file:
                        values = file["total/raw/eigenvalues"][...]
                        centred = file["total/centred/eigenvalues"][...]
                    expected = np.linalg.eigvalsh(kernel)[::-1] / (2 * count)
                    np.testing.assert_allclose(values, expected, rtol=0, atol=1e-12 * expected[0])
                    if count == 1:  # centring one sample leaves nothing
                        self.assertLess(abs(centred).max(), 1e-12 * expected[0])

    def test_theory_of_one_and_two_samples_states_its_limit(self):
        for count in (1, 2):
            train = support.write_targets(self.home / f"few{count}.h5", self.generator, count)
            for ranks in RANKS:
                with self.subTest(samples=count, ranks=ranks):
                    directory = f"t{count}r{ranks}"
                    job = self.job(train, directory, kernel={"precision": "fp64"}, spectrum={},
                                   theory={})
                    result = support.run("run", job, ranks=ranks)
                    self.assertTrue((self.home / directory / "spectrum.h5").exists(), result.text)
                    if result.code == 0:
                        self.assertIn("limit", result.text)
                        text = (self.home / directory / "theory.json").read_text()
                        json.loads(text, parse_constant=self.fail)  # NaN is no JSON
                    else:
                        self.assert_refused(result, INPUT, "sample", status=STATUS[INPUT])


class Directories(BadInput):
    def test_another_jobs_kernel(self):
        self.run_well("kernel", self.job(self.train))
        def files():
            return {path.name: (path.read_bytes(), path.stat().st_mtime_ns)
                    for path in (self.home / "run").iterdir() if path.name != ".lock"}

        before = files()
        other = self.job(self.train, run={"seed": 2}, kernel={"precision": "fp64"})
        third = self.job(support.write_classes(self.home / "new.h5", self.generator, 12))
        for job, words in ((other, ["run.seed", "kernel.precision"]), (third, ["data.sha256"])):
            for ranks in RANKS:
                result = support.run("kernel", job, ranks=ranks)
                self.assert_refused(result, USAGE, "another job's kernel", *words,
                                    status=STATUS[USAGE])
        self.assertEqual(files(), before)

    def test_another_configuration_of_the_same_weights(self):
        model = self.copy_model()
        job = self.job(self.train, model={"path": model})
        self.run_well("kernel", job)
        change_config(model, transformers_version="0.0")  # decides nothing
        self.assertIn("nothing to do", self.run_well("kernel", job).text)
        for change in ({"hidden_act": "relu"}, {"num_attention_heads": 2},
                       {"layer_norm_eps": 1e-3}):
            before = change_config(model, **change)
            for ranks in RANKS:
                result = support.run("kernel", job, ranks=ranks)
                self.assert_refused(result, USAGE, "another job's kernel", "config.sha256",
                                    status=STATUS[USAGE])
            change_config(model, **before)

    def test_other_training_data_beside_a_set_called_train(self):
        (self.home / "b").mkdir()
        beside = support.write_classes(self.home / "b" / "train.h5", self.generator, 6)
        job = self.job(self.train, data={"evaluate": [beside]})
        self.run_well("kernel", job)
        samples = [np.array([1, 2, 3])] * 12
        support.write_data(self.train, samples, label=([0, 1] * 6, ["no", "yes"]))
        for ranks in RANKS:
            result = support.run("kernel", job, ranks=ranks)
            self.assert_refused(result, USAGE, "another job's kernel", "data.sha256",
                                status=STATUS[USAGE])

    def test_read_only_directory(self):
        # Root passes permission bits; /proc takes no directories from anybody.
        job = self.job(self.train, run={"directory": "/proc/ntk/run"})
        self.refused(IO, "/proc/ntk/run", "run.directory", job=job)

    @unittest.skipIf(os.geteuid() == 0, "root passes permission bits")
    def test_permission_bits(self):
        (self.home / "run").mkdir(mode=0o500)
        self.refused(IO, str(self.home / "run"), "run.directory", job=self.job(self.train))

    def test_file_in_place_of_the_directory(self):
        (self.home / "run").write_text("precious")
        self.refused(IO, str(self.home / "run"), "run.directory", job=self.job(self.train))
        self.assertEqual((self.home / "run").read_text(), "precious")

    def test_spectrum_without_a_kernel(self):
        self.refused(IO, "kernel.h5", verb="spectrum", spectrum={})

    def test_damaged_kernel_under_the_spectrum(self):
        job = self.job(self.train, spectrum={})
        self.run_well("kernel", job)
        kernel = self.home / "run" / "kernel.h5"
        os.truncate(kernel, kernel.stat().st_size // 2)
        for ranks in RANKS:
            result = support.run("spectrum", job, ranks=ranks)
            self.assert_refused(result, IO, "kernel.h5", status=STATUS[IO])

    def test_inspect(self):
        text = self.home / "text.h5"
        text.write_text("no HDF5")
        with h5py.File(self.home / "foreign.h5", "w") as file:
            file["x"] = [1]
        (self.home / "broken.json").write_text("{")
        (self.home / "broken.safetensors").write_bytes(b"\0" * 4)
        for name in ("none.h5", "text.h5", "foreign.h5", "broken.json", "broken.safetensors"):
            with self.subTest(name):
                result = support.run("inspect", self.home / name)
                self.assert_refused(result, result.code, name, status=STATUS[result.code])
                self.assertIn(result.code, (INPUT, IO))


if __name__ == "__main__":
    support.main()
