"""tests/gpu.sh without a GPU: on a CPU, with a sanitizer that is none, and how it gives up."""

import contextlib
import importlib.util
import io
import json
import os
import pathlib
import subprocess
import sys
import tempfile
import unittest
from unittest import mock

BENCHMARKS = pathlib.Path(__file__).resolve().parent
BUILD = pathlib.Path(os.environ["NTK_PROGRAM"]).resolve().parent

specification = importlib.util.spec_from_file_location("stage", BENCHMARKS / "gpu/stage.py")
stage = importlib.util.module_from_spec(specification)
sys.modules["stage"] = stage
specification.loader.exec_module(stage)


class Script(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory(prefix="ntk-gpu-")
        self.addCleanup(folder.cleanup)
        self.folder = pathlib.Path(folder.name)

    def run_script(self, *arguments, device="cpu", **environment):
        """Exit status and output of tests/gpu.sh."""
        done = subprocess.run(
            [BENCHMARKS.parent / "gpu.sh", *arguments], text=True, stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            env=os.environ | {"NTK_GPU_BUILD": str(BUILD), "NTK_GPU_DEVICE": device,
                              "NTK_GPU_RESULTS": str(self.folder / "results"),
                              "CUDA_VISIBLE_DEVICES": ""} | environment)
        return done.returncode, done.stdout

    def sanitizer(self, body):
        """PATH with a compute-sanitizer of our own."""
        tool = self.folder / "compute-sanitizer"
        tool.write_text(f"#!/bin/sh\n{body}\n")
        tool.chmod(0o755)
        return f"{self.folder}:{os.environ['PATH']}"

    def test_no_gpu(self):
        for arguments in (["test"], ["sanitize"], ["bench", "rates"]):
            status, output = self.run_script(*arguments, device="cuda")
            self.assertEqual(status, 77, output)
            self.assertRegex(output, "^no GPU: .+\n$")

    def test_usage(self):
        for arguments in ([], ["everything"], ["bench", "everything"]):
            self.assertEqual(self.run_script(*arguments)[0], 2)
        status, output = self.run_script("test", NTK_GPU_BUILD=str(self.folder))
        self.assertEqual(status, 2, output)
        self.assertIn("has no programs", output)

    def test_benchmarks(self):
        status, output = self.run_script("bench")
        self.assertEqual(status, 0, output)
        for part in ("rates fp32", "rates fp64", "minilm", "stage"):
            self.assertRegex(output, rf"\| {part} \| passed \| \d+ \| .+ \|")
        for operation in ("layer_norm_backward", "attention", "structured, one token"):
            self.assertIn(f"| {operation} |", output)
        rates = json.loads((self.folder / "results/rates-fp32.json").read_text())
        self.assertEqual({site["panels"] for site in rates["contraction"]}, {2, 3})
        self.assertTrue(all(r["seconds"] > 0 for r in rates["operations"]["list"]))
        runs = json.loads((self.folder / "results/stage.json").read_text())["runs"]
        self.assertEqual(list(runs), ["tiny-8-48-fp32-cpu", "tiny-8-96-fp32-cpu"])
        status, output = self.run_script("bench", "stage", "*-96-*")
        self.assertEqual(status, 0, output)
        self.assertIn("| tiny-8-96-fp32-cpu (kept) |", output)
        self.assertNotIn("tiny-8-48", output)

    def test_sanitizers(self):
        path = self.sanitizer('echo "========= ERROR SUMMARY: 0 errors"; echo "$@"')
        status, output = self.run_script("sanitize", "memcheck", PATH=path)
        self.assertEqual(status, 0, output)
        self.assertIn("| memcheck device | passed | 0 | ERROR SUMMARY: 0 errors |", output)
        log = (self.folder / "results/memcheck-device.log").read_text()
        self.assertRegex(log, "--tool memcheck --error-exitcode 1 .*/device_tests")
        path = self.sanitizer('case $5 in *model*) exit 1 ;; esac')
        status, output = self.run_script("sanitize", PATH=path)
        self.assertEqual(status, 1, output)
        self.assertIn("| racecheck model | FAILED: exit 1 |", output)
        self.assertRegex(output, r"\n3 of \d+ failed")

    def test_time_limit(self):
        path = self.sanitizer("sleep 60")
        status, output = self.run_script("sanitize", "memcheck", PATH=path, NTK_GPU_SECONDS="8")
        self.assertEqual(status, 1, output)
        self.assertIn("| memcheck device | FAILED: out of time |", output)
        self.assertIn("| memcheck model | FAILED: no time left |", output)
        status, output = self.run_script("bench", NTK_GPU_SECONDS="4")
        self.assertEqual(status, 1, output)
        self.assertIn("| stage | FAILED: no time left |", output)


class Stage(unittest.TestCase):
    def kernel(self, gemm_rate, floor, wall, delta=1e-7):
        return {"gemm_rate": gemm_rate, "floor": floor, "floor_ratio": wall / floor, "share": 0.5,
                "timings": {"kernel": wall, "self_check": 0, "finish": 0,
                            "ranks": {k: {"mean": 0} for k in ("forward", "backward", "form",
                                                               "contract", "store")}},
                "error": {"delta": delta, "rms": 1}}

    def run_stage(self, part, kernels, *arguments, seconds=1000):
        """Exit status, what is printed, and which cases were run, on made-up figures."""
        ran = []

        class Runner(stage.Runner):
            def run(self, case):
                ran.append(case.name)
                return {"seconds": 1, "kernel": kernels(case)}

        with tempfile.TemporaryDirectory() as folder, contextlib.redirect_stdout(
            io.StringIO()
        ) as out, mock.patch.object(stage, "Runner", Runner), mock.patch.object(
            sys, "argv", ["stage.py", part, "--program", "", "--study", "", "--scratch", folder,
                          "--results", folder + "/r.json", "--seconds", str(seconds), *arguments]
        ), self.assertRaises(SystemExit) as end:
            stage.main()
        return end.exception.code, out.getvalue(), ran

    def test_speedup(self):
        # 4e14 operations: 2,500 s of two cores at 80 % of 200 GFLOP/s.
        def kernels(case):
            return self.kernel(2e11, 1, 1) if case.device == "cpu" else self.kernel(1e14, 4, 10)

        status, output, ran = self.run_stage("minilm", kernels)
        self.assertEqual(status, 0, output)
        self.assertEqual(len(ran), 4)
        self.assertIn("| fp32 | 4e+14 | 200 | 2500 | 10.00 | 250 x | 120 x: met |", output)
        self.assertIn("| 250 x | 500 x: missed |", output)

    def test_error_above_its_bound(self):
        def kernels(case):
            return self.kernel(1e14, 1, 1, delta=1e-3 if case.samples == 4096 else 2e-3)

        status, output, _ = self.run_stage("stage", kernels, "--only", "*-4096-tf32")
        self.assertEqual(status, 0, output)
        self.assertIn("2 runs, 2 of them within 1.5 x the floor; 0 failed", output)
        status, output, _ = self.run_stage("stage", kernels, "--only", "*-64-2048-tf32")
        self.assertEqual(status, 1, output)
        self.assertIn("FAILED bert-base-64-2048-tf32", output)

    def test_leaves_out_what_does_not_fit(self):
        status, output, ran = self.run_stage("stage", lambda case: self.kernel(4e14, 1, 1),
                                             seconds=100)
        self.assertEqual(status, 0, output)
        self.assertIn("bert-base-64-4096-tf32", ran)
        self.assertNotIn("bert-base-64-8192-tf32", ran)
        self.assertRegex(output, r"not run, no time left: bert-base-64-8192-tf32 \(\d+ s\)")


if __name__ == "__main__":
    unittest.main()
