"""Which groups of parameters the trace comes from."""

from __future__ import annotations

import numpy as np

from .blocks import Unavailable, beside, figure, table
from .figures import bars
from .numbers import at, number, percent, text
from .rundata import KernelData

BLOCK = 256  # rows read at once: a diagonal does not need the matrix


def trace_of(dataset) -> float:
    total = 0.0
    for start in range(0, dataset.shape[0], BLOCK):
        total += float(np.trace(dataset[start : start + BLOCK, start : start + BLOCK]))
    return total


def _centred(kernel: KernelData, group: str) -> float | None:
    """The centred trace of a kernel of theory.json that is just this group."""
    for name in at(kernel.data.theory, "kernels", default={}):
        try:
            alone = kernel.data.combination(name) == {group: 1.0}
        except ValueError:
            alone = False
        if alone:
            return number(
                at(kernel.data.theory, "kernels", name, "spectrum", "centred", "trace"))  # fmt: skip
    return None


def shares(kernel: KernelData) -> list[dict]:
    with kernel.data.open("kernel.h5") as file:
        if "kernel/groups" not in file or not len(file["kernel/groups"]):
            raise Unavailable('kernel.h5 stores no groups (kernel.groups = "total" in the job)')
        groups = file["kernel/groups"]
        order = [n.decode() if isinstance(n, bytes) else str(n) for n in groups.attrs.get("groups", [])]
        names = [n for n in order if n in groups] or sorted(groups)
        traces = [trace_of(groups[name]) / groups[name].shape[0] for name in names]
        whole = trace_of(file["kernel/total"]) / file["kernel/total"].shape[0]
    centred = [_centred(kernel, name) for name in names]
    all_centred = _centred(kernel, "total")
    series = [("raw", [t / whole if whole else None for t in traces])]
    centred_shares = [c / all_centred if all_centred and c is not None else None for c in centred]
    if None not in centred_shares:  # bars for some groups only would mislead
        series.append(("centred", centred_shares))
    rows = [
        [name, text(trace), percent(series[0][1][i], 3), text(centred[i]), percent(centred_shares[i], 3)]
        for i, (name, trace) in enumerate(zip(names, traces))
    ]  # fmt: skip
    note = (
        "Shares of the stored groups in the trace of K/n: sums over the diagonals in kernel.h5. "
        "The raw trace contains what all samples have in common. "
    )
    note += (
        "The centred kernel shows what tells samples apart."
        if len(series) > 1
        else "Centred shares need every group as a kernel of the spectrum (spectrum.kernels)."
    )
    drawn = figure("trace-shares", bars.draw_shares(names, series), note, "Trace shares of the groups")
    listed = table(
        "Traces of the groups.",
        ["group", "trace of K/n, raw", "share, raw", "trace of K/n, centred", "share, centred"], rows
    )  # fmt: skip
    return [beside([drawn], [listed])]
