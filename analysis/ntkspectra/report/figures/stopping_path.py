"""Degrees of freedom along the path of gradient descent, with the rules' stopping times."""

from __future__ import annotations

import numpy as np

from ..numbers import text
from . import style

MARKERS = "osD^vP*X"


def degrees_of_freedom(eigenvalues: np.ndarray, eta: np.ndarray) -> np.ndarray:
    """sum_k 1 - exp(-eta l_k) for each eta."""
    return np.array([-np.expm1(-e * eigenvalues).sum() for e in eta])


def draw(eigenvalues: np.ndarray | None, stops: list[tuple[str, float, float]]):
    """`stops`: name, eta, df of every rule that stops."""
    colours = (style.ORANGE, style.GREEN, style.PURPLE, style.OCHRE, style.GREY)
    with style.settings():
        figure, axes = style.new_figure(3.7)
        axes.set_xscale("log")
        axes.set_yscale("log")
        times = [eta for _, eta, _ in stops]
        frees = [df for _, _, df in stops]
        if eigenvalues is not None and len(eigenvalues):
            low = min([0.3 / eigenvalues[0], *times]) / 2
            high = max([30 / eigenvalues[0], *times]) * 10
            eta = np.geomspace(low, high, 120)
            df = degrees_of_freedom(eigenvalues, eta)
            axes.plot(eta, df, color=style.BLUE, label="df = Σ 1 − exp(−η l_k)")
            frees.extend([df.min(), df.max()])
            times.extend([low, high])
        for s, (name, eta, df) in enumerate(stops):
            colour = colours[s % len(colours)]
            axes.plot([eta, eta], [1e-300, df], color=colour, linewidth=0.9, linestyle=":")
            axes.plot([eta], [df], linestyle="none", marker=MARKERS[s % len(MARKERS)], color=colour,
                      markersize=7, label=f"{style.plain(name)}: η = {text(eta)}, df = {text(df)}")  # fmt: skip
        axes.set_ylim(max(min(frees), 1e-3) / 1.3, max(frees) * 1.5)
        axes.set_xlabel("total step size η (1/eigenvalue of K/n)")
        axes.set_ylabel("degrees of freedom (modes)")
        style.log_axis(axes.xaxis, min(times), max(times))
        style.log_axis(axes.yaxis, min(frees), max(frees))
        style.legend_below(figure, axes)
        return figure
