"""Runs that end before they are done: on request, by a limit, by a hang, or refused since another
has the directory. Nothing journalled is lost, and going on gives the bytes of an undisturbed run."""

import json
import os
import pathlib
import signal
import subprocess
import time

import h5py
import numpy as np
import support

STOPPED = support.STATUS[85]
LAYERS, HIDDEN, INNER = 3, 96, 384


def write_model(path, generator):
    """A BERT of about 350,000 parameters: large enough for a kernel of some seconds."""
    path.mkdir()
    config = {"model_type": "bert", "hidden_size": HIDDEN, "num_hidden_layers": LAYERS,
              "num_attention_heads": 4, "intermediate_size": INNER, "hidden_act": "gelu",
              "max_position_embeddings": 24, "type_vocab_size": 2, "vocab_size": 40,
              "layer_norm_eps": 1e-12, "pad_token_id": 0}
    (path / "config.json").write_text(json.dumps(config))
    tensors = {}

    def linear(name, rows, columns):
        tensors[f"{name}.weight"] = generator.normal(0, columns**-0.5, (rows, columns))
        tensors[f"{name}.bias"] = np.zeros(rows)

    def norm(name):
        tensors[f"{name}.weight"] = np.ones(HIDDEN)
        tensors[f"{name}.bias"] = np.zeros(HIDDEN)

    for name, rows in (("word", 40), ("position", 24), ("token_type", 2)):
        tensors[f"embeddings.{name}_embeddings.weight"] = generator.normal(size=(rows, HIDDEN))
    norm("embeddings.LayerNorm")
    for layer in range(LAYERS):
        at = f"encoder.layer.{layer}"
        for part in ("query", "key", "value"):
            linear(f"{at}.attention.self.{part}", HIDDEN, HIDDEN)
        linear(f"{at}.attention.output.dense", HIDDEN, HIDDEN)
        norm(f"{at}.attention.output.LayerNorm")
        linear(f"{at}.intermediate.dense", INNER, HIDDEN)
        linear(f"{at}.output.dense", HIDDEN, INNER)
        norm(f"{at}.output.LayerNorm")
    support.pack_tensors(path / "model.safetensors", tensors)
    return path


class StopCase(support.Case):
    SAMPLES = 320

    def setUp(self):
        super().setUp()
        self.model = write_model(self.home / "model", self.generator)
        self.train = support.write_classes(self.home / "train.h5", self.generator, self.SAMPLES)

    def job(self, directory="run", **tables):
        """One of 210 tiles, every one a task."""
        kernel = {"batch_samples": 64, "tile_samples": 16, "task_seconds": 1e-6,
                  **tables.pop("kernel", {})}
        model = {"path": self.model, "parameters": "no_embeddings"}
        return super().job(self.train, directory, model=model, kernel=kernel, **tables)

    def start(self, job, ranks, slow=0.05, **changes):
        """`ntk kernel`, which takes 20 / ranks seconds longer than it would."""
        slowly = support.slow(self.home / "run", slow)
        process = subprocess.Popen(
            support.command(ranks, "kernel", job), env=support.environment(**slowly, **changes),
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, start_new_session=True)
        self.addCleanup(support.kill, process)
        return process

    def wait_for_tiles(self, process, directory="run"):
        """Until the journal has some tiles, but not all."""
        partial = self.home / directory / "kernel.h5.partial"
        while process.poll() is None:
            try:
                with h5py.File(partial, locking=False) as file:
                    if file["journal/kernel/state"][0].sum() > 3:
                        return
            except (OSError, KeyError, RuntimeError):
                pass  # not there yet
            time.sleep(0.02)
        self.fail(f"the run ended by itself:\n{process.communicate()[0]}")

    def programs(self, process):
        """Process ids of the ranks."""
        def name(member):
            try:
                return pathlib.Path(f"/proc/{member}/comm").read_text().strip()
            except OSError:
                return ""
        return [m for m in support.session_of(process) if name(m) == "ntk"]

    def ends(self, process, code, status, within=20):
        """The output of a process that ends with this code and STATUS line in so many seconds."""
        start = time.monotonic()
        out, _ = process.communicate(timeout=120)
        self.assertEqual(process.returncode, code, out)
        self.assertLess(time.monotonic() - start, within, out)
        lines = [line for line in out.splitlines() if line.startswith("STATUS: ")]
        self.assertEqual(lines, [f"STATUS: {status}"], out)
        return out

    def summary(self, directory="run"):
        return json.loads((self.home / directory / "summary.json").read_text())

    def assert_stopped(self, reason, least=1):
        """What summary.json says; the number of journalled tiles."""
        summary = self.summary()
        self.assertEqual(summary["exit_code"], 85)
        self.assertEqual(summary["status"], STOPPED)
        self.assertEqual(summary["stop"], {"reason": reason})
        done, units = summary["kernel"]["units_done"], summary["kernel"]["units"]
        self.assertGreaterEqual(done, least)
        self.assertLess(done, units)
        with h5py.File(self.home / "run" / "kernel.h5.partial") as file:
            self.assertEqual(int(file["journal/kernel/state"][0].sum()), done)
        return done

    def goes_on(self, job, ranks, done):
        """The same command on other ranks ends the kernel with the bytes of an undisturbed run."""
        result = self.run_well("kernel", job, ranks=ranks)
        self.assertIn(f"{done} tiles are there (0 damaged)", result.text)
        whole = self.job("whole", kernel={"task_seconds": 100})
        self.run_well("kernel", whole, ranks=2)
        self.assertEqual(support.contents(self.home / "run" / "kernel.h5"),
                         support.contents(self.home / "whole" / "kernel.h5"))


class OnRequest(StopCase):
    def test_signal_to_all_ranks(self):
        job = self.job()
        process = self.start(job, 2)
        self.wait_for_tiles(process)
        process.send_signal(signal.SIGUSR1)  # mpirun passes it on
        self.ends(process, 85, STOPPED)
        self.goes_on(job, 4, self.assert_stopped("signal SIGUSR1"))

    def test_signal_to_one_rank_stops_all(self):
        job = self.job()
        process = self.start(job, 4)
        self.wait_for_tiles(process)
        os.kill(self.programs(process)[-1], signal.SIGTERM)
        self.ends(process, 85, STOPPED)
        self.goes_on(job, 0, self.assert_stopped("signal SIGTERM"))

    def test_stop_file_is_obeyed_once(self):
        job = self.job()
        process = self.start(job, 2)
        self.wait_for_tiles(process)
        stop = self.home / "run" / "STOP"
        stop.touch()
        self.ends(process, 85, STOPPED)
        self.assertFalse(stop.exists())
        self.goes_on(job, 2, self.assert_stopped("STOP file"))


class ByItself(StopCase):
    def test_interrupt_without_mpirun(self):
        job = self.job()
        process = self.start(job, 0)
        self.wait_for_tiles(process)
        process.send_signal(signal.SIGINT)
        self.ends(process, 85, STOPPED)
        self.goes_on(job, 2, self.assert_stopped("signal SIGINT"))

    def test_second_interrupt_ends_at_once(self):
        process = self.start(self.job(), 0)
        self.wait_for_tiles(process)
        process.send_signal(signal.SIGSTOP)  # it obeys the first only when the others come, too
        process.send_signal(signal.SIGINT)
        process.send_signal(signal.SIGCONT)
        end = time.monotonic() + 60
        while process.poll() is None and time.monotonic() < end:
            process.send_signal(signal.SIGINT)  # two that come too soon are one
            time.sleep(0.003)
        self.ends(process, 130, "interrupted", within=5)

    def test_max_hours(self):
        job = self.job(run={"max_hours": 1.5 / 3600})
        process = self.start(job, 2)
        self.ends(process, 85, STOPPED)
        done = self.assert_stopped("run.max_hours", least=0)
        self.goes_on(self.job(), 2, done)

    def test_end_of_the_slurm_job(self):
        tools = self.home / "tools"
        tools.mkdir()
        squeue = tools / "squeue"
        squeue.write_text("#!/bin/sh\ndate -d '+26 seconds' +%Y-%m-%dT%H:%M:%S\n")
        squeue.chmod(0o755)
        # Not under mpirun: with an absolute path that puts its own folder before PATH.
        process = self.start(self.job(), 0, slow=0.2, SLURM_JOB_ID="17",
                             PATH=f"{tools}:{os.environ['PATH']}")
        out = self.ends(process, 85, STOPPED)
        self.assertIn("the Slurm job ends in", out)
        self.assert_stopped("end of the Slurm job", least=0)


class Watchdog(StopCase):
    def test_stack_of_a_living_run(self):
        process = self.start(self.job(), 2, slow=0.02)
        self.wait_for_tiles(process)
        for rank in self.programs(process):
            os.kill(rank, signal.SIGUSR2)
        out = self.ends(process, 0, "complete", within=120)
        self.assertEqual(out.count("stack, as asked for by SIGUSR2"), 2, out)
        self.assertIn("ntk::kernel::run_kernel", out)

    def test_a_rank_that_stops_answering(self):
        job = self.job(run={"watchdog_minutes": 0.2})
        process = self.start(job, 4)
        self.wait_for_tiles(process)
        frozen = self.programs(process)[2]
        os.kill(frozen, signal.SIGSTOP)
        out = self.ends(process, 7, "internal error", within=60)
        self.assertIn("no progress for", out)
        self.assertIn(f"process {frozen} of this node cannot answer: T", out)
        self.assertIn("ntk::kernel::Dispatch", out)  # where the others are
        self.assertEqual(self.summary()["exit_code"], 7)
        self.run_well("kernel", self.job(), ranks=2)


class Lock(StopCase):
    def test_second_job_is_refused(self):
        job = self.job()
        process = self.start(job, 2, slow=0.2)
        self.wait_for_tiles(process)
        for ranks in (0, 2):
            second = support.run("kernel", job, ranks=ranks)
            self.assert_refused(second, 2, "is in use", "process", status="usage error")
        support.kill(process)  # leaves nothing to clean up
        self.run_well("kernel", job, ranks=2)


if __name__ == "__main__":
    support.main()
