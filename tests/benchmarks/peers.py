"""Speed of the exact empirical NTK side by side: two PyTorch rivals and `ntk kernel`.

Usage, in an environment with torch, transformers, safetensors and h5py, on an idle machine:

    python tests/benchmarks/peers.py --model models/all-MiniLM-L6-v2 --data data/movies.h5 \
        --ntk build/release/ntk            (or --only-peers)

Same samples, same drawn head (C = 2, CLS pooling), same parameters for all: the weights of the
encoder's linear maps and of the head; no embeddings, biases, norms. fp32, two threads each
(--ranks 2: ntk on two ranks of one thread). Every measurement runs in a process of its own, warmed
up, and measures the GEMM rate of its own BLAS first. README.md beside this script says what each
rival does.
"""

import argparse
import concurrent.futures
import json
import multiprocessing
import os
import pathlib
import re
import subprocess
import tempfile
import time

import h5py
import numpy as np
import torch
import transformers
from safetensors.torch import save_file
from torch.func import functional_call, jacrev, vmap

from data_files import samples_of, write_labelled

transformers.utils.logging.set_verbosity_error()
transformers.utils.logging.disable_progress_bar()

OUTPUTS = 2
INCLUDE, EXCLUDE = ["encoder.*.weight", "head.weight"], ["*LayerNorm.weight"]
LENGTH = 32  # of the fixed-length inputs
# The rivals allocate and free gigabytes again and again; without these settings the system takes
# the pages back each time, and zeroing them anew costs as much as the arithmetic.
KEEP_PAGES = {"MALLOC_MMAP_MAX_": "0", "MALLOC_TRIM_THRESHOLD_": str(2**40)}
CHECKED = 8  # samples whose kernel is compared with fp64


class Classifier(torch.nn.Module):
    """A bare encoder and a linear head on its first token."""

    def __init__(self, path, head, dtype):
        super().__init__()
        # vmap needs eager attention; for such short inputs it is also the faster one.
        self.encoder = transformers.AutoModel.from_pretrained(
            path, dtype=dtype, attn_implementation="eager", add_pooling_layer=False
        )
        self.head = torch.nn.Linear(*reversed(head["weight"].shape), dtype=dtype)
        self.head.load_state_dict(head)
        self.eval().requires_grad_(False)

    def forward(self, hidden, mask):
        """hidden: embeddings (B, T, H); mask: additive, (B, 1, 1, T). Returns (B, C)."""
        encoder = self.encoder.encoder
        return self.head(encoder(hidden, attention_mask=mask).last_hidden_state[:, 0])

    def embed(self, ids):
        return self.encoder.embeddings(input_ids=ids)

    def linear_maps(self):
        """name -> module, for the weights that count."""
        modules = {n: m for n, m in self.named_modules() if isinstance(m, torch.nn.Linear)}
        assert not any("pooler" in n for n in modules)
        return modules


def padded_batches(samples, size):
    """Batches of samples of similar length: (sample numbers, ids, additive mask), padded."""
    order = sorted(range(len(samples)), key=lambda i: len(samples[i]))
    for start in range(0, len(order), size):
        chosen = order[start : start + size]
        rows = [torch.from_numpy(samples[i]) for i in chosen]
        ids = torch.nn.utils.rnn.pad_sequence(rows, batch_first=True)
        lengths = torch.tensor([len(r) for r in rows])
        hidden = torch.arange(ids.shape[1]) >= lengths[:, None]
        mask = torch.zeros(hidden.shape).masked_fill(hidden, torch.finfo(torch.float32).min)
        yield chosen, ids, mask[:, None, None, :]


def rows_of(chosen):
    return torch.tensor([i * OUTPUTS + c for i in chosen for c in range(OUTPUTS)])


def func_kernel(model, samples, size):
    """vmap(jacrev) over each batch, all gradients kept, then one GEMM for each tensor."""
    weights = {n + ".weight": m.weight for n, m in model.linear_maps().items()}
    n = len(samples) * OUTPUTS
    gradients = {name: torch.empty(n, w.numel()) for name, w in weights.items()}

    def output(parameters, hidden, mask):
        return functional_call(model, parameters, (hidden[None], mask[None]))[0]

    jacobian = vmap(jacrev(output), (None, 0, 0))
    for chosen, ids, mask in padded_batches(samples, size):
        rows = rows_of(chosen)
        for name, j in jacobian(weights, model.embed(ids), mask).items():
            gradients[name][rows] = j.reshape(len(rows), -1)
    kernel = torch.zeros(n, n, dtype=torch.float64)
    while gradients:
        _, j = gradients.popitem()
        kernel += j @ j.T
    return kernel


def capture_factors(model, samples, size):
    """Inputs A (B, T, d_in) and cotangents G (B, C, T, d_out) of every linear map and batch, by
    one forward and C backward passes a batch: a list of (rows, {name: (A, G)})."""
    inputs, cotangents, handles = {}, {}, []
    for name, module in model.linear_maps().items():
        handles += [
            module.register_forward_hook(
                lambda _, args, __, name=name: inputs.__setitem__(name, args[0].detach())
            ),
            module.register_full_backward_hook(
                lambda _, __, out, name=name: cotangents.setdefault(name, []).append(out[0])
            ),
        ]
    record = []
    for chosen, ids, mask in padded_batches(samples, size):
        # No weight gradient is ever asked for: only the activations are on the tape.
        f = model(model.embed(ids).requires_grad_(), mask)
        for c in range(OUTPUTS):
            f[:, c].sum().backward(retain_graph=c + 1 < OUTPUTS)
        factors = {}
        for name, a in inputs.items():
            g = torch.stack(cotangents[name], 1)
            factors[name] = (a[:, None], g[:, :, None]) if a.dim() == 2 else (a, g)
        record.append((rows_of(chosen), factors))
        inputs.clear()
        cotangents.clear()
    for handle in handles:
        handle.remove()
    return record


def layerwise_kernel(model, samples, size):
    """Hooks for the factors of all samples, then layer by layer: form per-row gradients into one
    buffer that is used again and again, and one GEMM."""
    record = capture_factors(model, samples, size)
    n = len(samples) * OUTPUTS
    kernel = torch.zeros(n, n, dtype=torch.float64)
    product = torch.empty(n, n)
    widest = max(m.weight.numel() for m in model.linear_maps().values())
    buffer = torch.empty(n * widest)
    where = torch.cat([rows for rows, _ in record])
    for name, module in model.linear_maps().items():
        d_out, d_in = module.weight.shape
        gradients = buffer[: n * d_out * d_in].view(n, d_out, d_in)
        start = 0
        for rows, factors in record:
            a, g = factors.pop(name)
            out = gradients[start : start + len(rows)].view(len(a), OUTPUTS * d_out, d_in)
            # Both outputs of a sample share its inputs: one product (C d_out, T) (T, d_in).
            g = g.transpose(2, 3).reshape(len(a), OUTPUTS * d_out, -1)
            torch.bmm(g, a, out=out)
            start += len(rows)
        flat = gradients.view(n, -1)
        torch.mm(flat, flat.T, out=product)
        kernel += product
    back = torch.argsort(where)
    return kernel[back][:, back]


def reference_kernel(model_path, head, samples):
    """fp64 kernel by plain reverse mode, one unpadded sample and output at a time."""
    head = {k: v.double() for k, v in head.items()}
    model = Classifier(model_path, head, torch.float64)
    weights = [m.weight.requires_grad_() for m in model.linear_maps().values()]
    rows = []
    for tokens in samples:
        ids = torch.from_numpy(tokens)[None]
        f = model(model.embed(ids), torch.zeros(1, 1, 1, len(tokens), dtype=torch.float64))
        for c in range(OUTPUTS):
            g = torch.autograd.grad(f[0, c], weights, retain_graph=c + 1 < OUTPUTS)
            rows.append(torch.cat([x.reshape(-1) for x in g]))
    j = torch.stack(rows)
    return (j @ j.T).numpy()


def gemm_rate(order=2048, repeats=5):
    """Best GFLOP/s of an fp32 matrix product in this process."""
    a, b = torch.randn(order, order), torch.randn(order, order)
    best = float("inf")
    for _ in range(repeats):
        start = time.perf_counter()
        a @ b
        best = min(best, time.perf_counter() - start)
    return 2 * order**3 / best / 1e9


def peak_gib():
    """Largest resident set of this process (ru_maxrss would count its parent's)."""
    status = pathlib.Path("/proc/self/status").read_text()
    return int(re.search(r"VmHWM:\s+(\d+) kB", status)[1]) / 2**20


PEERS = {"func": func_kernel, "layerwise": layerwise_kernel}


def measure(peer, size, samples, arguments, head):
    """Runs in a process of its own: timings of one rival at one batch size."""
    torch.set_num_threads(arguments.threads)
    make = PEERS[peer]
    model = Classifier(arguments.model, head, torch.float32)
    rate = gemm_rate()
    make(model, samples[: min(len(samples), size, 16)], size)  # warm-up
    seconds = []
    for _ in range(arguments.repeats):
        start = time.perf_counter()
        kernel = make(model, samples, size)
        seconds.append(time.perf_counter() - start)
    median = float(np.median(seconds))
    return {
        "peer": peer,
        "samples": len(samples),
        "batch": size,
        "seconds": seconds,
        "entries_per_second": len(kernel) ** 2 / median,
        "gemm_gflops": rate,
        "peak_gib": peak_gib(),
    }, kernel.numpy()


def run_apart(function, *arguments):
    """Calls a function in a fresh process, so that memory peaks and thread pools are its own."""
    context = multiprocessing.get_context("spawn")
    os.environ |= KEEP_PAGES
    try:
        with concurrent.futures.ProcessPoolExecutor(1, mp_context=context) as pool:
            return pool.submit(function, *arguments).result()
    finally:
        for name in KEEP_PAGES:
            del os.environ[name]


def toml(value):
    return json.dumps(value)


def run_ntk(samples, arguments, head_file, directory):
    """`ntk kernel` on the same samples; timings as `measure`, and its kernel in our order."""
    data = directory / "samples.h5"
    write_labelled(data, samples, np.arange(len(samples)) % OUTPUTS, ["a", "b"])
    run = directory / "run"
    job = directory / "job.toml"
    job.write_text(
        f"""[run]
directory = {toml(str(run))}
threads = {arguments.threads // arguments.ranks}
[model]
path = {toml(str(arguments.model))}
head = {toml(str(head_file))}
pooling = "cls"
parameters = {{ include = {toml(INCLUDE)}, exclude = {toml(EXCLUDE)} }}
[data]
train = {toml(str(data))}
samples = 0
evaluate = []
[kernel]
outputs = "logits"
precision = "fp32"
device = "cpu"
groups = "none"
tile_samples = {arguments.tile_samples or max(1, len(samples) // 2)}
"""
    )
    command = ["mpirun", "-n", str(arguments.ranks), "--bind-to", "none", "--oversubscribe",
               str(arguments.ntk.resolve()), "kernel", str(job)]
    for setting in arguments.set:
        command += ["--set", setting]
    environment = dict(os.environ)
    if os.geteuid() == 0:
        environment |= {"OMPI_ALLOW_RUN_AS_ROOT": "1", "OMPI_ALLOW_RUN_AS_ROOT_CONFIRM": "1"}
    seconds = []
    for _ in range(arguments.repeats):
        subprocess.run(["rm", "-rf", str(run)], check=True)
        subprocess.run(command, check=True, env=environment, stdout=subprocess.DEVNULL)
        summary = json.loads((run / "summary.json").read_text())
        seconds.append(summary["timings"]["kernel"])
    with h5py.File(run / "kernel.h5") as file:
        place = file["samples/source_row"][()][file["rows/sample"][()]] * OUTPUTS
        back = np.argsort(place + file["rows/output"][()])
        kernel = file["kernel/total"][()][np.ix_(back, back)]
    return {
        "peer": "ntk",
        "samples": len(samples),
        "seconds": seconds,
        "entries_per_second": len(kernel) ** 2 / float(np.median(seconds)),
        "summary": summary,
    }, kernel


def draw(path, count, seed):
    """A seeded draw of samples, and as many of exactly LENGTH tokens cut from the same text."""
    everything = samples_of(path)
    order = np.random.default_rng(seed).permutation(len(everything))
    snippets = [everything[i] for i in order[:count]]
    first, last = snippets[0][0], snippets[0][-1]
    text = np.concatenate([everything[i][1:-1] for i in order])
    inner = text[: len(text) // (LENGTH - 2) * (LENGTH - 2)].reshape(-1, LENGTH - 2)[:count]
    fixed = [np.concatenate([[first], row, [last]]) for row in inner]
    assert len(fixed) == len(snippets) == count
    return {"snippets": snippets, f"{LENGTH} tokens": fixed}


def relative(actual, expected):
    return float(np.linalg.norm(actual - expected) / np.linalg.norm(expected))


def parse_arguments():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--model", type=pathlib.Path, default="models/all-MiniLM-L6-v2")
    parser.add_argument("--data", default="data/movies.h5")
    parser.add_argument("--ntk", type=pathlib.Path, default="build/release/ntk")
    parser.add_argument("--only-peers", action="store_true")
    parser.add_argument("--func-samples", type=int, default=128)
    parser.add_argument("--layerwise-samples", type=int, default=256)
    parser.add_argument("--inputs", nargs="+", default=["snippets", f"{LENGTH} tokens"])
    parser.add_argument("--batches", type=int, nargs="+", default=[16, 32, 64])
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--threads", type=int, default=2, help="of each rival, and of ntk in all")
    parser.add_argument("--ranks", type=int, default=1, help="of ntk, which share the threads")
    parser.add_argument("--tile-samples", type=int, default=0, help="of ntk; 0 = half of N")
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE",
                        help="further job settings for ntk")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--json", type=pathlib.Path, help="write the measurements here")
    return parser.parse_args()


def compare(peer, samples, arguments, head, head_file, reference):
    """All measurements against one rival on one input; prints a line each."""
    results = []
    for size in arguments.batches:
        result, kernel = run_apart(measure, peer, size, samples, arguments, head)
        results.append((result, kernel))
    if not arguments.only_peers:
        with tempfile.TemporaryDirectory() as directory:
            results.append(run_ntk(samples, arguments, head_file, pathlib.Path(directory)))
    checked = CHECKED * OUTPUTS
    for result, kernel in results:
        result["error"] = relative(kernel[:checked, :checked], reference)
        result["difference"] = relative(kernel, results[0][1])
        name = result["peer"] + (f", batch {result['batch']}" if "batch" in result else "")
        notes = [f"error {result['error']:.0e}", f"against first {result['difference']:.0e}"]
        if "gemm_gflops" in result:
            notes += [f"GEMM {result['gemm_gflops']:.0f} GFLOP/s",
                      f"peak {result['peak_gib']:.1f} GiB"]
        print(f"  {name:22s} N = {result['samples']:4d} {np.median(result['seconds']):8.2f} s "
              f"{result['entries_per_second']:9.0f} entries/s   {', '.join(notes)}", flush=True)
    best = max(r["entries_per_second"] for r, _ in results if r["peer"] == peer)
    if not arguments.only_peers:
        ratio = results[-1][0]["entries_per_second"] / best
        results[-1][0]["ratio"] = {"to": peer, "value": ratio}
        print(f"  ntk / best {peer}: {ratio:.2f}", flush=True)
    return [r for r, _ in results]


def main():
    arguments = parse_arguments()
    torch.set_num_threads(arguments.threads)
    width = transformers.AutoConfig.from_pretrained(arguments.model).hidden_size
    random = torch.Generator().manual_seed(arguments.seed)
    head = {"weight": 0.02 * torch.randn(OUTPUTS, width, generator=random),
            "bias": torch.zeros(OUTPUTS)}
    counts = {"func": arguments.func_samples, "layerwise": arguments.layerwise_samples}
    measurements = []
    with tempfile.TemporaryDirectory() as directory:
        head_file = pathlib.Path(directory) / "head.safetensors"
        save_file(head, head_file)
        inputs = draw(arguments.data, max(counts.values()), arguments.seed)
        for name in arguments.inputs:
            lengths = [len(s) for s in inputs[name]]
            print(f"{name}: {np.mean(lengths):.1f} tokens on average, at most {max(lengths)}")
            reference = reference_kernel(arguments.model, head, inputs[name][:CHECKED])
            for peer, count in counts.items():
                for result in compare(peer, inputs[name][:count], arguments, head, head_file,
                                      reference):
                    measurements.append({"input": name} | result)
    if arguments.json:
        arguments.json.write_text(json.dumps(measurements, indent=1) + "\n")


if __name__ == "__main__":
    main()
