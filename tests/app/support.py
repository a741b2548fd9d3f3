"""What the end-to-end tests share: data files and model directories made up on the spot, job files,
and running the program alone or under mpirun. The program is $NTK_PROGRAM."""

import dataclasses
import json
import os
import pathlib
import re
import shutil
import signal
import struct
import subprocess
import sys
import tempfile
import time
import unittest

import h5py
import numpy as np

PROGRAM = os.path.abspath(os.environ["NTK_PROGRAM"])
MPIRUN = os.environ.get("NTK_MPIRUN", "mpirun")
FIXTURES = pathlib.Path(os.environ["NTK_FIXTURES"])
VOCABULARY, POSITIONS, HIDDEN = 40, 24, 16  # of the BERT fixture models
ROOT = pathlib.Path(__file__).resolve().parents[2]
# The words of a STATUS line by exit code, as users are told them.
STATUS = {int(code): words for code, words in re.findall(
    r"^\| (\d+) \| ([^|]+) \|", (ROOT / "docs/exit-codes.md").read_text(), re.MULTILINE)}


def environment(**changes):
    """Variables of a run; a change to None removes one."""
    merged = {
        **os.environ,
        "OMP_NUM_THREADS": "1",
        "OPENBLAS_NUM_THREADS": "1",
        "OMPI_ALLOW_RUN_AS_ROOT": "1",
        "OMPI_ALLOW_RUN_AS_ROOT_CONFIRM": "1",
        "OMPI_MCA_btl_vader_single_copy_mechanism": "none",
        "OMPI_MCA_mpi_yield_when_idle": "1",
        **changes,
    }
    return {name: value for name, value in merged.items() if value is not None}


def fault(directory, log="", **pairs):
    """Variables of a run with a fault in `directory`: support/faults.cpp has the keys."""
    pairs["dir"] = directory
    changes = {"LD_PRELOAD": os.environ["NTK_FAULTS"], "NTK_FAULT_LOG": str(log),
               "NTK_FAULT": " ".join(f"{key}={value}" for key, value in pairs.items())}
    if "NTK_SANITIZED" in os.environ:  # whose library wants to be the first one
        changes["ASAN_OPTIONS"] = os.environ["ASAN_OPTIONS"] + ":verify_asan_link_order=0"
    return changes


def slow(directory, seconds):
    """Variables of a run for which every sync to disk takes so much longer, two a tile: kernels of
    some seconds on the fastest machine."""
    return fault(directory, call="sync", rank="all", times=10**9, wait=seconds)


def command(ranks, *arguments, program=PROGRAM):
    """The program on so many ranks; 0 ranks: alone, without mpirun."""
    words = [program, *map(str, arguments)]
    if ranks == 0:
        return words
    return [MPIRUN, "--oversubscribe", "--bind-to", "none", "-n", str(ranks), *words]


@dataclasses.dataclass
class Result:
    code: int
    out: str
    err: str
    seconds: float

    @property
    def text(self):
        return self.out + self.err

    @property
    def status(self):
        """The last line of stdout that a rank wrote."""
        lines = [line for line in self.out.splitlines() if line.strip()]
        return lines[-1] if lines else ""


def run(*arguments, ranks=0, timeout=120, program=PROGRAM, **changes):
    start = time.monotonic()
    process = subprocess.Popen(
        command(ranks, *arguments, program=program),
        env=environment(**changes),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        errors="replace",
        start_new_session=True,
    )
    try:
        out, err = process.communicate(timeout=timeout)
    except subprocess.TimeoutExpired:
        kill(process)
        out, err = process.communicate()
        raise AssertionError(f"no end after {timeout} s:\n{out}\n{err}") from None
    return Result(process.returncode, out, err, time.monotonic() - start)


def session_of(process):
    """Ids of the living processes in the session that `process` leads. Open MPI's ranks have
    process groups of their own, but stay in mpirun's session."""
    members = []
    for entry in pathlib.Path("/proc").glob("[0-9]*/stat"):
        try:
            state, _, _, session = entry.read_text().rsplit(")", 1)[1].split()[:4]
        except OSError:
            continue  # ended meanwhile
        if int(session) == process.pid and state not in "ZX":
            members.append(int(entry.parent.name))
    return members


def ranks_of(process):
    """Process ids of the program in the session that `process` leads."""
    def runs_program(member):
        try:
            return os.path.samefile(f"/proc/{member}/exe", PROGRAM)
        except OSError:
            return False  # ended meanwhile
    return [member for member in session_of(process) if runs_program(member)]


def kill(process):
    """SIGKILL to mpirun and all its ranks; returns when they are gone."""
    while members := session_of(process):
        for member in members:
            try:
                os.kill(member, signal.SIGKILL)
            except ProcessLookupError:
                pass
        time.sleep(0.005)


def toml(value):
    if isinstance(value, dict):
        return "{ " + ", ".join(f"{json.dumps(k)} = {toml(v)}" for k, v in value.items()) + " }"
    if isinstance(value, (list, tuple)):
        return "[" + ", ".join(map(toml, value)) + "]"
    if isinstance(value, pathlib.Path):
        return json.dumps(str(value))
    return json.dumps(value)


def write_toml(path, tables):
    lines = []
    for table, keys in tables.items():
        lines.append(f"[{table}]")
        lines += [f"{key} = {toml(value)}" for key, value in keys.items()]
    path.write_text("\n".join(lines) + "\n")
    return path


def random_samples(generator, count, shortest=2, longest=12):
    """Ragged token lists that begin alike, as with a real tokenizer."""
    lengths = generator.integers(shortest, longest + 1, count)
    samples = [generator.integers(2, VOCABULARY, length) for length in lengths]
    for sample in samples:
        sample[0] = 1
    return samples


def write_data(path, samples, **columns):
    """A data file. `label` takes (values, class names); the others are arrays, one row a sample."""
    flat = np.concatenate(samples) if samples else np.zeros(0)
    columns = {"source_row": np.arange(1, len(samples) + 1), **columns}
    with h5py.File(path, "w") as file:
        file.attrs["format"] = "ntkspectra-data"
        file.attrs["format_version"] = 1
        file["tokens"] = flat.astype(np.int32)
        file["offsets"] = np.cumsum([0, *map(len, samples)]).astype(np.int64)
        for name, values in columns.items():
            if name == "label":
                file["label"] = np.asarray(values[0], np.int32)
                file["label"].attrs["classes"] = values[1]
            elif name in ("source_row", "group"):
                file[name] = np.asarray(values, np.int64)
            elif name == "token_type":
                file[name] = np.asarray(values, np.int32)
            else:
                file[name] = np.asarray(values, float)
    return path


def write_classes(path, generator, count, classes=("no", "yes"), **lengths):
    labels = generator.integers(0, len(classes), count)
    return write_data(path, random_samples(generator, count, **lengths),
                      label=(labels, list(classes)))


def write_targets(path, generator, count, **lengths):
    """Noisy targets about a reference that depends on the tokens, in groups of four rows."""
    samples = random_samples(generator, count, **lengths)
    reference = np.array([np.cos(sample).mean() for sample in samples])
    variance = generator.uniform(0.1, 0.4, count)
    return write_data(
        path,
        samples,
        target=(reference + generator.normal(size=count) * np.sqrt(variance))[:, None],
        reference=reference,
        reference_variance=np.full(count, 0.01),
        noise_variance=variance,
        group=np.arange(count) // 4,
    )


def read_safetensors(path):
    """Header (without metadata) and data section."""
    raw = pathlib.Path(path).read_bytes()
    (length,) = struct.unpack("<Q", raw[:8])
    header = json.loads(raw[8 : 8 + length])
    header.pop("__metadata__", None)
    return header, bytearray(raw[8 + length :])


def write_safetensors(path, header, data):
    text = json.dumps(header).encode()
    pathlib.Path(path).write_bytes(struct.pack("<Q", len(text)) + text + bytes(data))


def pack_tensors(path, tensors):
    header, data = {}, b""
    for name, values in tensors.items():
        raw = np.asarray(values, np.float32).tobytes()
        header[name] = {"dtype": "F32", "shape": list(np.shape(values)),
                        "data_offsets": [len(data), len(data) + len(raw)]}
        data += raw
    write_safetensors(path, header, data)
    return path


def contents(path, places=("kernel", "evaluate", "rows", "samples")):
    """Bytes, shapes, types and attributes of all that lies below these groups."""
    found = {}

    def describe(name, item):
        attributes = {k: np.asarray(v).tolist() for k, v in item.attrs.items()}
        if isinstance(item, h5py.Dataset):
            found[name] = (item.shape, item.dtype.str, item[()].tobytes(), attributes)
        else:
            found[name] = attributes

    with h5py.File(path) as file:
        for place in places:
            if place in file:
                describe(place, file[place])
                file[place].visititems(lambda name, item, place=place: describe(
                    f"{place}/{name}", item))
    return found


def read_kernel(path, dataset="total"):
    """A whole kernel, its lower triangle mirrored where only that is stored."""
    with h5py.File(path) as file:
        data = file["kernel"][dataset]
        kernel = data[...].astype(float)
        if data.attrs["triangle"] == "lower":
            kernel = np.tril(kernel) + np.tril(kernel, -1).T
    return kernel


def relative(a, b):
    """Frobenius norm of the difference by that of `b`."""
    return np.linalg.norm(a - b) / np.linalg.norm(b)


class Case(unittest.TestCase):
    """A test with a temporary directory of its own, and jobs in it."""

    @classmethod
    def lasting(cls):
        """A case for setUpClass: its home lasts for all tests of the class."""
        case = cls("setUp")
        Case.setUp(case)
        cls.addClassCleanup(case.doCleanups)
        return case

    def setUp(self):
        self.generator = np.random.default_rng(20)
        self.home = pathlib.Path(tempfile.mkdtemp(prefix="ntk-test-"))
        self.addCleanup(shutil.rmtree, self.home, ignore_errors=True)

    def copy_model(self, name="bert", to="model"):
        return pathlib.Path(shutil.copytree(FIXTURES / "models" / name, self.home / to))

    def job(self, train, directory="run", **tables):
        """Writes a job file; `tables` go on top of the least that a job needs."""
        merged = {
            # Threads of a rank that share one CPU with another wait for each other at every step.
            "run": {"directory": self.home / directory, "threads": 1},
            "model": {"path": FIXTURES / "models" / "bert", "head_std": 0.4, "parameters": "all"},
            "data": {"train": train, "samples": 0, "evaluate_samples": 0},
            "kernel": {"device": "cpu", "batch_samples": 32, "tile_samples": 8},
        }
        for table, keys in tables.items():
            merged[table] = {**merged.get(table, {}), **keys}
        number = len(list(self.home.glob("job*.toml")))
        return write_toml(self.home / f"job{number}.toml", merged)

    def run_well(self, *arguments, **options):
        result = run(*arguments, **options)
        self.assertEqual(result.code, 0, result.text)
        self.assertEqual(result.status, "STATUS: complete", result.text)
        return result

    def assert_refused(self, result, code, *words, status):
        """PROBLEM (WHY) SUGGESTION with these words, the exit code, and the last line."""
        self.assertEqual(result.code, code, result.text)
        self.assertEqual(result.status, f"STATUS: {status}", result.text)
        problems = [line for line in result.text.splitlines()
                    if re.search(r"\S.* \(.+\) \S", line) and all(w in line for w in words)]
        self.assertTrue(problems, f"no PROBLEM (WHY) SUGGESTION with {words} in\n{result.text}")
        self.assertNotIn("what():", result.text)


def main():
    """unittest.main, with the test classes of the script side by side: starting MPI is mostly
    waiting."""
    if any(not word.startswith("-") for word in sys.argv[1:]):
        unittest.main()
    script = sys.modules["__main__"]
    classes = [name for name, value in vars(script).items()
               if isinstance(value, type) and issubclass(value, Case)
               and unittest.defaultTestLoader.getTestCaseNames(value)]
    running = [subprocess.Popen([sys.executable, script.__file__, name, *sys.argv[1:]])
               for name in classes]
    codes = [process.wait() for process in running]  # negative for one that a signal ended
    sys.exit(any(codes))
