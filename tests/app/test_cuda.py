"""The kernel stage on the CUDA backend, end to end: the program with that backend compiled for the
CPU (tests/support/cuda_on_cpu), whose faults can be ordered. What needs no device is asked of the
program itself."""

import json
import os
import re
import unittest

import h5py
import support

FAKE = os.environ.get("NTK_PROGRAM_CUDA_ON_CPU")
ROUNDOFF = {"fp64": 2**-53, "fp32": 2**-24, "tf32": 2**-11, "bf16x2": 2**-16, "bf16x3": 2**-24}


@unittest.skipUnless(FAKE, "built without CUDA")
class CudaCase(support.Case):
    def setUp(self):
        super().setUp()
        self.train = support.write_classes(self.home / "train.h5", self.generator, 30)

    def gpu_job(self, directory="run", **kernel):
        evaluate = [support.write_classes(self.home / "set.h5", self.generator, 5)]
        return self.job(self.train, directory, data={"evaluate": evaluate},
                        kernel={"device": "cuda", "groups": "part", **kernel})

    def on_gpu(self, job, *sets, orders="gib=0.5", ranks=0):
        words = [word for text in sets for word in ("--set", text)]
        return support.run("kernel", job, *words, ranks=ranks, program=FAKE, NTK_FAKE_CUDA=orders)

    def on_gpu_well(self, *arguments, **options):
        result = self.on_gpu(*arguments, **options)
        self.assertEqual(result.code, 0, result.text)
        return result

    def kernel(self, directory):
        return self.home / directory / "kernel.h5"


class Kernels(CudaCase):
    def test_every_precision_against_fp64_on_the_cpu(self):
        self.run_well("kernel", self.gpu_job("exact", device="cpu", precision="fp64"))
        exact = support.read_kernel(self.kernel("exact"))
        for precision, roundoff in ROUNDOFF.items():
            result = self.on_gpu_well(self.gpu_job(precision, precision=precision))
            self.assertIn("device on the CPU, GPU-00010203-0405", result.text)
            error = support.relative(support.read_kernel(self.kernel(precision)), exact)
            self.assertLess(error, 1e-12 if precision == "fp64" else max(2e-6, 4 * roundoff))
            with h5py.File(self.kernel(precision)) as file:
                self.assertEqual(file.attrs["hardware.device"], "cuda")
                self.assertEqual(file.attrs["kernel.precision"], precision)
                self.assertGreaterEqual(file["error/delta"][()], roundoff)

    def test_bits_do_not_follow_ranks_or_memory(self):
        job = self.gpu_job("alone", precision="bf16x3", ranges=2)
        self.on_gpu_well(job)
        alone = support.contents(self.kernel("alone"))
        for directory, ranks, orders, sets in (
            ("two", 2, "gib=0.5,devices=2", ()),
            ("shared", 2, "gib=0.5", ("kernel.share_gpu=true",)),
            ("little", 0, "gib=0.5", ("kernel.memory_gib=0.4",)),
        ):
            self.on_gpu_well(job, f"run.directory={self.home / directory}", *sets, ranks=ranks,
                             orders=orders)
            self.assertEqual(support.contents(self.kernel(directory)), alone, directory)

    def test_least_memory_is_told_and_suffices(self):
        job = self.gpu_job("tight", precision="bf16x3", groups="split")
        refused = self.on_gpu(job, "kernel.memory_gib=0.0005")
        found = re.search(r"needs ([\d.e+-]+) GiB beside ([\d.e+-]+) GiB", refused.text)
        limit = 1.06 * (float(found[1]) + float(found[2]))
        self.on_gpu_well(job, f"kernel.memory_gib={limit}")
        self.on_gpu_well(job, f"run.directory={self.home / 'free'}")
        self.assertEqual(support.contents(self.kernel("tight")),
                         support.contents(self.kernel("free")))
        peak = {name: json.loads((self.home / name / "summary.json").read_text())["kernel"]
                ["device_memory_gib"] for name in ("tight", "free")}
        self.assertLess(peak["tight"], limit)
        self.assertGreater(peak["free"], limit, "the job is too small a test")

    def test_complete_kernel_needs_no_device(self):
        job = self.gpu_job(device="auto", precision="tf32")
        self.on_gpu_well(job)
        again = self.run_well("kernel", job, CUDA_VISIBLE_DEVICES="")
        self.assertIn("complete and of this job, nothing to do", again.text)

    def test_kernel_of_another_device_is_another_kernel(self):
        job = self.gpu_job()
        self.on_gpu_well(job)
        refused = support.run("kernel", job, "--set", "kernel.device=cpu")
        self.assert_refused(refused, 2, "hardware", status="usage error")
        self.run_well("kernel", job, "--set", "kernel.device=cpu", "--set",
                      "kernel.allow_other_hardware=true")


class Faults(CudaCase):
    def refused(self, code, *words, job=None, status, **options):
        result = self.on_gpu(job or self.gpu_job(), **options)
        self.assert_refused(result, code, *words, status=status)
        self.assertFalse(self.kernel("run").with_suffix(".h5.partial").exists())

    def test_no_device_and_old_driver(self):
        self.refused(6, "no CUDA device is visible", "kernel.device", orders="devices=0",
                     status="out of resources")
        self.refused(6, "no CUDA driver is installed", orders="driver=0",
                     status="out of resources")
        self.refused(6, "driver supports version 12.4 and this program needs 13.0",
                     orders="driver=12040", status="out of resources")

    def test_too_old_a_device(self):
        self.refused(6, "compute capability 7.0 and this program needs 8.0",
                     orders="capability=7", status="out of resources")

    def test_auto_takes_the_cpu_and_says_why_a_gpu_is_left(self):
        job = self.gpu_job(device="auto")
        result = self.on_gpu_well(job, orders="driver=12040")
        self.assertIn("driver supports version 12.4", result.text)
        with h5py.File(self.kernel("run")) as file:
            self.assertEqual(file.attrs["hardware.device"], "cpu")

    def test_reduced_precision_needs_a_device(self):
        self.refused(2, "tf32", "no CUDA device is visible", orders="devices=0",
                     job=self.gpu_job(device="auto", precision="tf32"), status="usage error")

    def test_ranks_do_not_share_a_device_unasked(self):
        self.refused(6, "2 ranks would share one GPU", "kernel.share_gpu", ranks=2,
                     status="out of resources")

    def test_too_little_memory_says_how_much_is_needed(self):
        self.refused(6, "a pair of panels needs", "of its GPU", "kernel.tile_samples",
                     job=self.gpu_job(memory_gib=0.0005), status="out of resources")

    def test_lost_device_loses_no_finished_tile(self):
        job = self.gpu_job("whole", ranges=3)
        self.on_gpu_well(job)
        whole = support.contents(self.kernel("whole"))
        run = f"run.directory={self.home / 'run'}"
        lost = self.on_gpu(job, run, orders="gib=0.5,lost=60")
        self.assert_refused(lost, 6, "unspecified launch failure (cudaErrorLaunchFailure)",
                            "GPU 0 (device on the CPU, GPU-00010203", status="out of resources")
        again = self.on_gpu_well(job, run)
        self.assertRegex(again.text, r"[1-9]\d* tiles are there \(0 damaged\)")
        self.assertEqual(support.contents(self.kernel("run")), whole)


class WithoutDevice(support.Case):
    def test_the_program_itself_says_why_not(self):
        train = support.write_classes(self.home / "train.h5", self.generator, 6)
        job = self.job(train, kernel={"device": "cuda"})
        result = support.run("kernel", job, CUDA_VISIBLE_DEVICES="")
        self.assert_refused(result, 6, "no GPU can be used", "kernel.device",
                            status="out of resources")


if __name__ == "__main__":
    support.main()
