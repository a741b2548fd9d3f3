"""Scree plot: eigenvalues against rank, with laws, windows and the noise floor."""

from __future__ import annotations

import numpy as np

from .. import laws
from . import style

LOOKS = ((style.ORANGE, "--"), (style.PURPLE, "-."), (style.OCHRE, ":"))


def thinned(count: int, most: int = 300) -> np.ndarray:
    """Indices: all leading ones, then ones even in log rank."""
    return np.unique(np.geomspace(1, count, most).round().astype(int)) - 1 if count else np.array([], int)


def draw(raw, centred, fits: list[dict], windows: list, floor: float | None, resolved: int | None):
    """Eigenvalues may be None. `fits` as in decay.laws.fits; windows: (low, high, text)."""
    with style.settings():
        figure, axes = style.new_figure(4.2)
        axes.set_xscale("log")
        axes.set_yscale("log")
        top, bottom, count = 0.0, np.inf, 1
        for values, colour, marker, text in ((raw, style.GREY, "x", "raw K/n"),
                                             (centred, style.BLUE, "o", "centred K/n")):  # fmt: skip
            if values is None or not len(values):
                continue
            at = thinned(len(values))
            y = np.where(values > 0, values, np.nan)[at]
            axes.plot(at + 1, y, linestyle="none", marker=marker, markersize=3, color=colour,
                      markerfacecolor="none", markeredgewidth=0.8, label=text)  # fmt: skip
            shown = values[values > max(0.0, (floor or 0) / 3)]
            if len(shown):
                top, bottom = max(top, shown.max()), min(bottom, shown.min())
            count = max(count, len(values))
        ranks = np.geomspace(1, count, 200)
        for fit, (colour, dashes) in zip(fits, LOOKS):
            values = laws.eigenvalues(fit["law"], fit["parameters"], ranks)
            axes.plot(ranks, np.where(values > 0, values, np.nan), color=colour, linestyle=dashes,
                      label=f"law: {fit['law']} (population)")  # fmt: skip
            top = max([top, *style.finite(values[:1])])
        if not top > 0:
            return None
        bottom = max(bottom, top * 1e-9)
        if floor and floor > bottom / 50:
            bottom = min(bottom, floor / 1.5)
            axes.axhline(floor, color=style.INK, linewidth=0.9, linestyle=(0, (1, 2)),
                         label="noise floor")  # fmt: skip
        if resolved and resolved < count:
            axes.axvline(resolved, color=style.INK, linewidth=0.9, linestyle=(0, (6, 3)),
                         label=f"resolved to rank {resolved}")  # fmt: skip
        # Windows as bars along the lower edge, with room of their own.
        room = 0.03 + 0.055 * len(windows)
        axes.set_ylim(bottom * (bottom / top) ** (room / (1 - room)) / 1.3, top * 1.7)
        for step, (low, high, text) in enumerate(windows):
            height = 0.035 + 0.055 * step
            axes.plot([low, high], [height, height], color=style.INK, linewidth=2.5,
                      solid_capstyle="butt", transform=axes.get_xaxis_transform())  # fmt: skip
            axes.annotate(text, (low, height), xycoords=axes.get_xaxis_transform(), xytext=(-3, 0),
                          textcoords="offset points", ha="right", va="center", fontsize=7)  # fmt: skip
        axes.set_xlabel("rank k")
        axes.set_ylabel("eigenvalue of K/n (kernel units)")
        style.log_axis(axes.xaxis, 1, count)
        style.log_axis(axes.yaxis, bottom, top)
        style.legend_below(figure, axes)
        return figure
