"""Risk along the path of gradient descent on one training set, with the rules' stops."""

from __future__ import annotations

import numpy as np

from ..numbers import at, number, numbers
from . import style

COLOURS = (style.ORANGE, style.GREEN, style.PURPLE, style.OCHRE, style.GREY)
MARKERS = "osD^vP*Xh<>"


def draw(path: dict, unit: str):
    """`path`: of learning_curves.labels. None without a positive risk."""
    eta = np.array(numbers(at(path, "eta", default=[])), dtype=float)
    lines = [
        ("gradient descent, out of sample", "flow", style.BLUE, "-"),
        ("ridge regression, out of sample", "ridge", style.GREY, "--"),
        ("gradient descent, in sample", "in_sample", style.OCHRE, ":"),
    ]
    seen: list[float] = []
    with style.settings():
        figure, axes = style.new_figure(3.8)
        axes.set_xscale("log")
        axes.set_yscale("log")
        for name, key, colour, dashes in lines:
            risk = np.array(numbers(at(path, key, default=[])), dtype=float)
            if len(risk) != len(eta) or not (risk > 0).any():
                continue
            risk[~(risk > 0)] = np.nan
            axes.plot(eta, risk, color=colour, linestyle=dashes, label=name)
            seen += style.finite(risk)
        if not seen:
            return None
        ends = {"never": eta[-1], "null": eta[0]}
        for i, stop in enumerate(at(path, "stops", default=[])):
            name, where = str(stop.get("rule")), number(stop.get("eta"))
            where = ends.get(name, where)
            risk = number(stop.get("risk"))
            if not where or risk is None or not risk > 0:
                continue
            axes.plot([min(max(where, eta[0]), eta[-1])], [risk], linestyle="none", markersize=7,
                      marker=MARKERS[i % len(MARKERS)], color=COLOURS[i % len(COLOURS)],
                      label=style.plain(name))  # fmt: skip
            seen.append(risk)
        axes.set_xlabel("total step size η (1/eigenvalue of K/n)")
        axes.set_ylabel(unit)
        axes.set_ylim(min(seen) / 1.1, max(seen) * 1.1)
        style.log_axis(axes.xaxis, eta[0], eta[-1])
        style.log_axis(axes.yaxis, min(seen) / 1.1, max(seen) * 1.1)
        style.legend_below(figure, axes)
        return figure
