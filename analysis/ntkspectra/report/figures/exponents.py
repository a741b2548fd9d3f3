"""Exponents of the decay: along the rank, over windows of ranks, and with n."""

from __future__ import annotations

import matplotlib
import numpy as np
from matplotlib.patches import Rectangle

from ..numbers import number, numbers
from . import style

LOOKS = {
    "alpha": (style.ORANGE, "-"),
    "alpha_low": (style.PURPLE, "--"),
    "alpha_high": (style.GREEN, "-."),
    "alpha_rank": (style.GREY, ":"),
}


def draw_local(points: list[dict], fits: dict[str, dict]):
    """−dlog κ/dlog df along df; `fits`: alpha and its like, each over its window."""
    ranks, values = (numbers([p.get(key) for p in points]) for key in ("rank", "exponent"))
    if not style.finite(values):
        return None
    with style.settings():
        figure, axes = style.new_figure(3.9)
        axes.set_xscale("log")
        axes.plot(ranks, values, color=style.BLUE, marker="o", markersize=3.5,
                  label="local exponent −dlog κ/dlog df")  # fmt: skip
        for name, fit in fits.items():
            value, window = number(fit), numbers(fit.get("window"))
            if value is None or len(window) != 2:
                continue
            colour, dashes = LOOKS.get(name, (style.INK, ":"))
            sd = number(fit.get("sd"))
            text = f"{name} = {value:.3f}" + (f" ± {sd:.1g}" if sd is not None else "")
            axes.plot(window, [value, value], color=colour, linestyle=dashes, linewidth=2.2,
                      label=text)  # fmt: skip
            if sd is not None:
                axes.fill_between(window, value - sd, value + sd, color=colour, alpha=0.25, linewidth=0)
        axes.set_xlabel("effective dimension df (rank)")
        axes.set_ylabel("exponent (dimensionless)")
        style.log_axis(axes.xaxis, min(style.finite(ranks)), max(style.finite(ranks)))
        style.legend_below(figure, axes)
        return figure


def draw_map(first: list, last: list, alpha: list[list]):
    """alpha of the rank line over [first, last], the numbers written into the cells."""
    values = np.array([numbers(row) for row in alpha], dtype=float)
    if values.ndim != 2 or values.shape != (len(first), len(last)) or not np.isfinite(values).any():
        return None
    # Columns that no window ends in say nothing.
    kept = np.isfinite(values).any(axis=0)
    values, last = values[:, kept], [n for n, k in zip(last, kept) if k]
    with style.settings():
        figure, axes = style.new_figure(0.9 + 0.34 * max(4, len(first)))
        axes.grid(False)
        low, high = np.nanmin(values), np.nanmax(values)
        shades = matplotlib.colormaps["cividis"]
        # Rectangles and not an image: sharp at any size.
        for i in range(len(first)):
            for j in range(len(last)):
                if not np.isfinite(values[i, j]):
                    continue
                part = (values[i, j] - low) / (high - low) if high > low else 0.5
                axes.add_patch(Rectangle((j - 0.5, i - 0.5), 1, 1, color=shades(part), linewidth=0))
                axes.text(j, i, f"{values[i, j]:.2f}", ha="center", va="center", fontsize=7.5,
                          color="#ffffff" if part < 0.55 else "#000001")  # fmt: skip
        axes.set_xlim(-0.5, len(last) - 0.5)
        axes.set_ylim(len(first) - 0.5, -0.5)
        axes.set_xticks(range(len(last)), [f"{n:g}" for n in last])
        axes.set_yticks(range(len(first)), [f"{n:g}" for n in first])
        axes.set_xlabel("last rank of the window")
        axes.set_ylabel("first rank of the window")
        return figure


def draw_by_n(points: list[dict]):
    n, alpha = (numbers([p.get(key) for p in points]) for key in ("n", "alpha"))
    if not style.finite(alpha):
        return None
    with style.settings():
        figure, axes = style.new_figure(2.6)
        axes.set_xscale("log")
        axes.plot(n, alpha, color=style.BLUE, marker="o")
        for x, y in zip(n, alpha):
            axes.annotate(f"{y:.3f}", (x, y), xytext=(-5, 5), textcoords="offset points", ha="right",
                          fontsize=7.5)  # fmt: skip
        axes.margins(x=0.16, y=0.25)
        axes.set_xlabel("rows of the part n")
        axes.set_ylabel("alpha (dimensionless)")
        style.log_axis(axes.xaxis, min(n), max(n), n)
        return figure
