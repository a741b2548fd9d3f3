"""What tests of runs that end before they are done share: a kernel of some seconds, which can be
started and looked at."""

import json
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
