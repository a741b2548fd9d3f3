"""SIGKILL at seeded moments, again and again in one directory: half by tests/support/faults.cpp (one
rank, in or around an exact call, writes whole or cut short), half from outside (one rank or all, at
any time). After every kill each journalled tile has the bytes of an undisturbed run, the next start
finds all of them, and what is made in the end is what an undisturbed run makes.

NTK_KILLS and NTK_SEED say how many and which; a line of JSON a kill goes to NTK_CAMPAIGN_LOG."""

import json
import math
import os
import re
import shutil
import signal
import subprocess
import threading
import time
import unittest

import h5py
import numpy as np
import raw_kernel
import support
from kill_table import kill_table

KILLS = int(os.environ.get("NTK_KILLS", 5))
SEED = int(os.environ.get("NTK_SEED", 1))
LEFT = {".lock", "head.safetensors", "kernel.h5", "run.toml", "spectrum.h5", "summary.json"}
RANKS = (1, 2, 4, 6)
KILLED = (-signal.SIGKILL, 128 + signal.SIGKILL)  # mpirun itself, or a rank, of which mpirun tells

# What is drawn besides ranks and moments.
SHAPES = [
    {"ranges": 3, "groups": "split"},
    {"groups": "none", "storage": "fp32", "mirror": False},
    {"groups": "layer", "precision": "fp64", "task_seconds": 0.1},
    {"ranges": 3, "groups": "none", "storage": "fp32", "outputs": "sum"},
]
EVALUATED = (True, False, True, False)


def mean_task(output):
    """Units of a task, as a run's output says."""
    match = re.search(r"kernel: (\d+) tiles in (\d+) tasks", output)
    return int(match[1]) / int(match[2]) if match and int(match[2]) > 0 else 0


class Whole:
    """An undisturbed run of a shape, and the bytes of its file before its last steps."""

    def __init__(self, case, shape):
        self.job = case.shape_job(shape, f"whole{shape}")
        self.directory = case.home / f"whole{shape}"
        self.mean_task = mean_task(case.run_well("run", self.job).out)
        self.contents = support.contents(self.directory / "kernel.h5")
        with h5py.File(self.directory / "spectrum.h5") as file:
            self.eigenvalues = file["total/raw/eigenvalues"][...]
        # The same, killed when everything is in the file and nothing of it is removed yet.
        again = case.shape_job(shape, f"again{shape}")
        partial = case.home / f"again{shape}" / "kernel.h5.partial"
        support.run("kernel", again, **support.fault(
            partial.parent, call="open", file="kernel.h5.partial.undo.partial"))
        self.layout = raw_kernel.RawKernel(partial)
        self.bytes = partial.read_bytes()
        assert self.layout.journalled(partial, self.bytes) == (self.layout.units, 0)
        case.run_well("kernel", again, ranks=2)
        case.assertEqual(support.contents(partial.with_name("kernel.h5")), self.contents)


class Kills(support.Case):
    def setUp(self):
        super().setUp()
        self.generator = np.random.default_rng([20, SEED])
        self.train = support.write_classes(self.home / "train.h5", self.generator, 45)
        self.other = support.write_classes(self.home / "other.h5", self.generator, 11)
        self.wholes, self.lines = {}, []
        self.typical = 2.0  # seconds from a run's first line to its end

    def shape_job(self, shape, directory):
        data = {"evaluate": [self.other] if EVALUATED[shape] else []}
        kernel = {"batch_samples": 16, "task_seconds": 1e-6, **SHAPES[shape]}
        return self.job(self.train, directory, data=data, kernel=kernel,
                        spectrum={"centre": "raw", "vectors": 0})

    def draw(self, low, high):
        """A whole number of [low, high]."""
        return int(self.generator.integers(low, high + 1))

    def choose(self, options):
        return options[self.draw(0, len(options) - 1)]

    def draw_call(self, layout, directory, ranks, verb, missing):
        """Where in the work a rank is killed: a name for it, and the call."""
        there = {path.name for path in directory.glob("*")}
        file = {"file": "kernel.h5.partial"}
        anyone = {"rank": self.draw(0, ranks - 1)}
        torn = {"torn": self.choose((0, 1, float(self.generator.uniform())))}
        several = layout.sets[0].rows > 1
        tiles = [name for name in layout.places
                 if name.startswith("partial/" if several else ("kernel/", "evaluate/"))
                 and ("total" in name or "groups" in name)]
        matrices = [name for name in layout.places if name.startswith(("kernel/", "evaluate/"))
                    and ("total" in name or "groups" in name)]
        journals = [name for name in layout.places if name.startswith("journal/")
                    and name.endswith(("state", "checksum"))]
        states = [name for name in journals if name.endswith("state")]
        of_a_rank = max(1, missing // ranks // 2)
        kinds = {}
        if "kernel.h5" not in there:
            if "kernel.h5.partial" not in there:
                fresh = {"file": "kernel.h5.partial.new"}
                kinds["layout"] = [
                    {**fresh, "call": "write", "nth": self.draw(1, 16), **torn},
                    {**fresh, "call": self.choose(("sync", "rename", "resize")), **torn}]
            tile = {**file, **anyone, "nth": self.draw(1, 8 * of_a_rank), "call": "write",
                    **layout.extent(self.choose(tiles)), **torn}
            entry = {**file, **anyone, "nth": self.draw(1, of_a_rank), "call": "write",
                     **layout.extent(self.choose(journals)), **torn}
            if missing:
                kinds["tile write"] = [tile]
                kinds["journal write"] = [entry]
                kinds["tile sync"] = [{**tile, "call": "sync", "nth": self.draw(1, 3)}]
                kinds["journal sync"] = [{**entry, "call": "sync", "nth": self.draw(1, 3),
                                          **layout.extent(self.choose(states))}]
            if several:
                kinds["sum of ranges"] = [{**tile, "nth": self.draw(1, 16),
                                           **layout.extent(self.choose(matrices))}]
            if SHAPES[self.shape].get("mirror", True):
                row = self.draw(0, layout.sets[0].row_starts[-2] - 1)
                kinds["mirror"] = [
                    {**file, **anyone, "call": "write", **torn,
                     **layout.above_the_diagonal("kernel/total", row)},
                    {**file, "call": "write", **torn, **layout.extent("journal/mirror")}]
            copy = {"file": "kernel.h5.partial.undo.partial", **torn}
            kinds["undo copy"] = [{**copy, "call": self.choose(("open", "write", "sync", "rename"))}]
            last = {**file, "from": 0, "to": layout.first, "nth": self.draw(1, 8)}
            kinds["last metadata"] = [
                {**last, "call": "write", **torn},
                {**file, "call": self.choose(("resize", "rename")), **torn},
                {**last, "call": "sync", "nth": 1, **torn},
                {"file": "kernel.h5.partial.undo", "call": "unlink", **torn}]
        elif verb == "run" and "spectrum.h5" not in there:
            result = {"file": "spectrum.h5.partial", **torn}
            kinds["spectrum"] = [
                {**result, "call": "write", "nth": self.draw(1, 9)},
                {**result, "call": self.choose(("open", "sync", "rename"))}]
        if len(kinds) > 0:
            names = ["run.toml.partial", "summary.json.partial"]
            names += [] if "kernel.h5" in there else ["head.safetensors.partial"]
            kinds["small files"] = [{"file": self.choose(names), **torn,
                                     "call": self.choose(("write", "rename"))}]
        if not kinds:
            return None
        name = self.choose(sorted(kinds))
        return name, self.choose(kinds[name])

    def start(self, job, ranks, verb, changes):
        process = subprocess.Popen(
            support.command(ranks, verb, job), env=support.environment(**changes),
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace",
            start_new_session=True)
        self.addCleanup(support.kill, process)
        return process

    def run_to_its_end(self, job, ranks, verb, changes, killer=None):
        """(exit code, output). The killer acts some time after the run's first line."""
        process = self.start(job, ranks, verb, changes)
        guard = threading.Timer(600, support.kill, [process])
        guard.start()
        lines, began = [], None
        for line in process.stdout:
            lines.append(line)
            if began is None:
                began = time.monotonic()
                if killer:
                    threading.Thread(target=killer, args=[process]).start()
        process.stdout.close()
        code = process.wait()
        if code == 0:
            self.typical = 0.5 * self.typical + 0.5 * (time.monotonic() - began)
        self.assertTrue(guard.is_alive(), f"a run hangs:\n{''.join(lines)}")
        guard.cancel()
        support.kill(process)  # whoever survived its mpirun
        return code, "".join(lines)

    def killer(self, everyone, moment):
        def kill(process):
            time.sleep(moment)
            if everyone:
                support.kill(process)
                return
            ranks = support.ranks_of(process)
            if ranks:
                try:
                    os.kill(self.choose(ranks), signal.SIGKILL)
                except ProcessLookupError:
                    pass
        return kill

    def state(self, whole, directory):
        """(units journalled, wrong tiles, where the run stood) of a directory."""
        if (directory / "kernel.h5").exists():
            found = support.contents(directory / "kernel.h5")
            wrong = sum(found.get(name) != what for name, what in whole.contents.items())
            return whole.layout.units, wrong, "spectrum"
        partial = directory / "kernel.h5.partial"
        if not partial.exists():
            return 0, 0, "start"
        if not (directory / "kernel.h5.partial.undo").exists():  # HDF5 can read it
            self.assertEqual(raw_kernel.RawKernel(partial).places, whole.layout.places)
        units, wrong = whole.layout.journalled(partial, whole.bytes)
        return units, wrong, "finish" if units == whole.layout.units else "compute"

    def found_by(self, output, units):
        """How many units a start says it has found and how many of them damaged, or None."""
        if "is complete and of this job, nothing to do" in output:
            return units, 0
        match = re.search(r"(\d+) tiles are there \((\d+) damaged\)", output)
        return (int(match[1]), int(match[2])) if match else None

    def work_under_way(self, whole, output, ranks, missing):
        """Units that a kill during the tasks can have cost: one task a rank, of the mean size."""
        size = mean_task(output) or whole.mean_task  # the output can have died with mpirun
        return min(missing, math.ceil(ranks * size))

    def finished(self, whole, directory):
        """A directory whose run has got through."""
        self.assertEqual(support.contents(directory / "kernel.h5"), whole.contents)
        with h5py.File(directory / "spectrum.h5") as file:
            values = file["total/raw/eigenvalues"][...]
        np.testing.assert_allclose(values, whole.eigenvalues, rtol=0,
                                   atol=1e-12 * whole.eigenvalues[0])
        self.assertEqual({path.name for path in directory.iterdir()} - LEFT, set())
        summary = json.loads((directory / "summary.json").read_text())
        self.assertEqual(summary["exit_code"], 0)
        shutil.rmtree(directory)

    def chain(self, number, kills):
        """Kills in one directory until a run gets through; how many."""
        self.shape = self.draw(0, len(SHAPES) - 1)
        if self.shape not in self.wholes:
            self.wholes[self.shape] = Whole(self, self.shape)
        whole = self.wholes[self.shape]
        directory = self.home / f"chain{number:03}"
        job = self.shape_job(self.shape, directory.name)
        log = self.home / "log"
        had, waiting, done = 0, [], 0
        while True:
            log.unlink(missing_ok=True)
            ranks, verb = self.choose(RANKS), self.choose(("kernel", "run", "run"))
            how, name, killer, changes = "", "", None, {}
            if done < kills:
                how = self.choose(("library", "library", "one rank", "all ranks"))
                call = self.draw_call(
                    whole.layout, directory, ranks, verb, whole.layout.units - had)
                if how == "library" and call:
                    name, pairs = call
                    changes = support.fault(directory, log, **pairs)
                elif how != "library":
                    moment = float(self.generator.uniform(0, self.typical))
                    killer = self.killer(how == "all ranks", moment)
            else:
                verb = "run"
            code, output = self.run_to_its_end(job, ranks, verb, changes, killer)
            found = self.found_by(output, whole.layout.units)
            if found is not None:  # what the kills before have cost
                for line in waiting:
                    line["lost"], line["damaged"] = max(0, had - found[0]), found[1]
                    self.tell(line)
                waiting = []
                self.assertEqual(found, (had, 0), output)
            elif code == 0:  # it began anew
                self.assertEqual(had, 0, output)
            units, wrong, stood = self.state(whole, directory)
            self.assertEqual(wrong, 0, output)
            self.assertGreaterEqual(units, had, output)
            had = units
            if code == 0:
                self.assertEqual(units, whole.layout.units, output)
                if verb == "run":
                    self.finished(whole, directory)
                    for line in waiting:  # killed before there was a file
                        self.tell({**line, "lost": 0, "damaged": 0})
                    return done
                continue
            fault = log.read_text().split() if log.exists() else []
            self.assertTrue(how and (fault or killer), output)  # it did not fail by itself,
            self.assertIn(code, KILLED, output)  # and did not end in another way than the kill's
            for status in re.findall("^STATUS: .*", output, re.MULTILINE):
                self.assertEqual(status, "STATUS: complete", output)
            done += 1
            waiting.append({
                "seed": SEED, "chain": number, "shape": self.shape, "ranks": ranks, "verb": verb,
                "how": how, "phase": name or f"any time: {stood}", "call": " ".join(fault),
                "journalled": units, "units": whole.layout.units, "wrong": wrong, "code": code,
                "repeated": self.work_under_way(whole, output, ranks, whole.layout.units - units)
                if stood == "compute" else 0})

    def tell(self, line):
        self.lines.append(line)
        if path := os.environ.get("NTK_CAMPAIGN_LOG"):
            with open(path, "a") as file:
                file.write(json.dumps(line) + "\n")

    @unittest.skipUnless("NTK_FAULTS" in os.environ, "needs the library of injected faults")
    def test_kills(self):
        done = number = 0
        while done < KILLS:
            done += self.chain(number, min(KILLS - done, 12))
            number += 1
        self.assertEqual(len(self.lines), done)
        print(kill_table(self.lines), flush=True)
        self.assertEqual(sum(line["lost"] + line["wrong"] + line["damaged"]
                             for line in self.lines), 0)


if __name__ == "__main__":
    support.main()
