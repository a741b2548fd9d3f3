"""Compares a stored kernel with fp64 automatic differentiation on the same real model and text.

Usage, in an environment with torch, transformers, safetensors and h5py:

    python tests/benchmarks/minilm_reference.py --kernel runs/X/kernel.h5 --data data/movies.h5 \
        [--model models/all-MiniLM-L6-v2] [--samples 32] [--pooling cls]

The head is the `head.safetensors` beside the kernel unless --head names another. Gradients are made
one unpadded sample at a time for as many parameter tensors as fit into --memory-gib, contracted,
and thrown away, so that memory is bounded whatever the model. Only those rows of the word embedding
table that occur in the samples are kept; all others have zero gradient.
Exit status 1 if the relative Frobenius error of the kernel is above --tolerance.
"""

import argparse
import fnmatch
import pathlib
import sys
import time

import h5py
import numpy as np
import torch
import transformers
from safetensors.torch import load_file

from data_files import samples_of

transformers.utils.logging.set_verbosity_error()
transformers.utils.logging.disable_progress_bar()

WORDS = "embeddings.word_embeddings.weight"


def parse_arguments():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--kernel", required=True, type=pathlib.Path)
    parser.add_argument("--data", required=True, type=pathlib.Path)
    parser.add_argument("--model", default="models/all-MiniLM-L6-v2")
    parser.add_argument("--head", type=pathlib.Path)
    parser.add_argument("--pooling", choices=["cls", "mean"], default="cls")
    parser.add_argument("--samples", type=int, default=32, help="the first N of the kernel")
    parser.add_argument("--include", nargs="+", default=["*"], help="as model.parameters")
    parser.add_argument("--exclude", nargs="+", default=[])
    parser.add_argument("--memory-gib", type=float, default=2.0, help="for gradients")
    parser.add_argument("--tolerance", type=float, default=2e-6)
    return parser.parse_args()


def read_kernel(path, samples):
    """The stored kernel of the first samples, their outputs (N, C) and their source rows."""
    with h5py.File(path) as file:
        total = file["kernel/total"]
        keep = np.flatnonzero(file["rows/sample"][()] < samples)
        kernel = total[: keep.max() + 1, : keep.max() + 1][np.ix_(keep, keep)]
        if "lower" in str(total.attrs.get("triangle", file.attrs.get("triangle", "full"))):
            kernel = np.tril(kernel) + np.tril(kernel, -1).T
        order = np.lexsort((file["rows/output"][()][keep], file["rows/sample"][()][keep]))
        return (
            kernel[np.ix_(order, order)],
            file["samples/outputs"][:samples],
            file["samples/source_row"][:samples],
        )


def rows_with(data, source_rows):
    """The rows of the data file that carry the given source rows."""
    with h5py.File(data) as file:
        place = {int(s): row for row, s in enumerate(file["source_row"][()])}
    return [place[int(s)] for s in source_rows]


def blocks(parameters, rows, floats):
    """Runs of parameter tensors whose gradients of all rows together hold at most `floats`."""
    block, used = [], 0
    for name, size in parameters:
        if block and (used + size) * rows > floats:
            yield block
            block, used = [], 0
        block.append(name)
        used += size
    yield block


def autograd_kernel(model, head, samples, arguments):
    """The fp64 kernel (n, n) over the chosen parameters, and f (N, C)."""
    parameters = dict(model.named_parameters()) | {f"head.{k}": v for k, v in head.items()}

    def any_match(name, patterns):
        return any(fnmatch.fnmatchcase(name, p) for p in patterns)

    chosen = [
        n
        for n in parameters
        if any_match(n, arguments.include) and not any_match(n, arguments.exclude)
    ]
    for name, parameter in parameters.items():
        parameter.requires_grad_(name in chosen)
    words = torch.tensor(np.unique(np.concatenate(samples)))
    width = model.config.hidden_size
    sizes = [(n, len(words) * width if n == WORDS else parameters[n].numel()) for n in chosen]
    outputs = len(head["bias"])
    n = len(samples) * outputs
    kernel, f = torch.zeros(n, n, dtype=torch.float64), None
    for block in blocks(sizes, n, arguments.memory_gib * 2**30 / 8):
        start = time.time()
        rows = {name: torch.empty(n, dict(sizes)[name], dtype=torch.float64) for name in block}
        values = []
        for i, tokens in enumerate(samples):
            hidden = model(input_ids=torch.tensor(tokens)[None]).last_hidden_state[0]
            pooled = hidden[0] if arguments.pooling == "cls" else hidden.mean(0)
            value = head["weight"] @ pooled + head["bias"]
            assert value.dtype == torch.float64
            values.append(value.detach())
            for c in range(outputs):
                gradients = torch.autograd.grad(
                    value[c], [parameters[name] for name in block], retain_graph=c + 1 < outputs
                )
                for name, gradient in zip(block, gradients):
                    gradient = gradient[words] if name == WORDS else gradient
                    rows[name][i * outputs + c] = gradient.reshape(-1)
        for name in block:
            kernel += rows[name] @ rows[name].T
        f = torch.stack(values)
        print(f"  {block[0]} … {block[-1]}: {time.time() - start:.0f} s", flush=True)
    return kernel.numpy(), f.numpy()


def relative(actual, expected):
    return float(np.linalg.norm(actual - expected) / np.linalg.norm(expected))


def main():
    arguments = parse_arguments()
    kernel, f, source_rows = read_kernel(arguments.kernel, arguments.samples)
    samples = samples_of(arguments.data, rows_with(arguments.data, source_rows))
    model = transformers.AutoModel.from_pretrained(
        arguments.model,
        dtype=torch.float64,
        attn_implementation="eager",
        add_pooling_layer=False,  # not on the way to the head
    ).eval()
    head = load_file(arguments.head or arguments.kernel.parent / "head.safetensors")
    head = {name: head[name].double() for name in ("weight", "bias")}
    print(f"fp64 autograd kernel of {len(samples)} samples, {len(head['bias'])} outputs")
    expected, expected_f = autograd_kernel(model, head, samples, arguments)
    error = relative(kernel, expected)
    print(f"outputs: relative error {relative(f.reshape(expected_f.shape), expected_f):.2e}")
    print(f"kernel:  relative Frobenius error {error:.2e} (at most {arguments.tolerance:.0e}), "
          f"largest entry error {np.abs(kernel - expected).max() / np.abs(expected).max():.2e}")
    return 0 if error <= arguments.tolerance else 1


if __name__ == "__main__":
    sys.exit(main())
