"""The centred kernel as a heat map, samples ordered by label or target."""

from __future__ import annotations

import numpy as np

from .blocks import Unavailable, figure
from .figures import kernel_map
from .rundata import KernelData

MOST_SAMPLES = 1024  # that are read
MOST_CELLS = 256  # along an edge


def order_of(samples: dict[str, np.ndarray]) -> tuple[np.ndarray, str, np.ndarray | None]:
    """Samples in order, by what, and their classes in that order."""
    if "label" in samples:
        order = np.argsort(samples["label"], kind="stable")
        return order, "class label, then in the order of the file", samples["label"][order]
    if "target" in samples:
        target = samples["target"]
        first = target[:, 0] if target.ndim > 1 else target
        note = "target" + (", its first column" if target.ndim > 1 and target.shape[1] > 1 else "")
        return np.argsort(first, kind="stable"), note + ", ascending", None
    count = len(next(iter(samples.values()))) if samples else 0
    return np.arange(count), "the order of the file (there is no label or target)", None


def read_samples(dataset, picked: np.ndarray, outputs: int) -> np.ndarray:
    """The kernel of the picked samples (ascending), mean over outputs of equal index."""
    lower = dataset.attrs.get("triangle", "full") in ("lower", b"lower")
    mean = np.zeros((len(picked), len(picked)))
    for c in range(outputs):
        columns = picked * outputs + c
        for i, row in enumerate(columns):
            mean[i] += dataset[row, : columns[-1] + 1][columns] / outputs
    return np.tril(mean) + np.tril(mean, -1).T if lower else mean


def centred(kernel: np.ndarray) -> np.ndarray:
    rows = kernel.mean(axis=0)
    return kernel - rows - rows[:, None] + rows.mean()


def blocked(kernel: np.ndarray, cells: int) -> np.ndarray:
    """Means over blocks as even as they come."""
    edges = np.linspace(0, len(kernel), min(cells, len(kernel)) + 1).astype(int)
    sums = np.add.reduceat(np.add.reduceat(kernel, edges[:-1], axis=0), edges[:-1], axis=1)
    sizes = np.diff(edges)
    return sums / sizes / sizes[:, None]


def class_name(named, kind: int) -> str:
    """The name beside the labels where there is one, else the class's number."""
    if not 0 <= kind < len(named):
        return str(kind)
    name = named[kind]
    return name.decode("utf-8", "replace") if isinstance(name, bytes) else str(name)


def heat_map(kernel: KernelData) -> list[dict]:
    try:
        weights = kernel.data.combination(kernel.name)
    except ValueError as error:
        raise Unavailable(f"the sum that makes the kernel cannot be read ({error})") from error
    with kernel.data.open("kernel.h5") as file:
        places = {n: "kernel/total" if n == "total" else f"kernel/groups/{n}" for n in weights}
        absent = [place for place in places.values() if place not in file]
        if absent:
            raise Unavailable(f"kernel.h5 holds no {', '.join(absent)}")
        samples = {k: d[...] for k, d in file["samples"].items()} if "samples" in file else {}
        named = file["samples/label"].attrs.get("classes", []) if "label" in samples else []
        outputs = int(file.attrs.get("rows_per_sample", 1))
        count = file[next(iter(places.values()))].shape[0] // outputs
        if not samples:
            samples = {"row": np.arange(count)}
        order, by, classes = order_of(samples)
        if count < 2 or len(order) != count:
            raise Unavailable(f"{len(order)} samples do not fit a kernel of {count}")
        chosen = np.linspace(0, count - 1, min(count, MOST_SAMPLES)).round().astype(int)
        ascending = np.sort(order[chosen])
        matrix = sum(w * read_samples(file[places[n]], ascending, outputs) for n, w in weights.items())
    back = np.searchsorted(ascending, order[chosen])
    matrix = blocked(centred(matrix)[np.ix_(back, back)], MOST_CELLS)
    borders = []
    if classes is not None:
        shown = classes[chosen]
        kinds, ends = np.unique(shown, return_counts=True)
        if len(kinds) <= 20:
            borders = [
                (float(end) / len(shown), class_name(named, int(kind)))
                for kind, end in zip(kinds, np.cumsum(ends))
            ]
    note = f"The centred kernel; samples ordered by {by}, from the top left."
    if len(chosen) < count:
        note += f" {len(chosen)} of {count} samples, evenly from that order, centred among themselves."
    if outputs > 1:
        note += f" Mean over the {outputs} outputs of blocks of equal output."
    if len(matrix) < len(chosen):
        note += f" Means over blocks: {len(matrix)} x {len(matrix)} cells."
    note += " The scale ends at the 99 % quantile beside the diagonal."
    return [figure("kernel-map", kernel_map.draw(matrix, borders), note, "Heat map of the kernel")]
