"""Figures over units."""

from __future__ import annotations

import math

import numpy as np

from ..report.figures import style
from ..report.numbers import at, number, numbers, text
from .agreement import spearman
from .units import Unit

COLOURS = (style.BLUE, style.ORANGE, style.GREEN, style.PURPLE, style.OCHRE, style.GREY)
MARKERS = "osD^vPX*"


def _looks(names, looks) -> dict:
    return {name: looks[i % len(looks)] for i, name in enumerate(dict.fromkeys(names))}


def predicted_measured(units: list[Unit]):
    """Two panels over the same measured slopes: predicted from the decay alone, and by the plug-in
    curve. Markers are label sets, colours runs, of one run label sets too. None where no unit has
    both numbers."""
    alone = len({u.run for u in units}) == 1
    colour = _looks((u.label if alone else u.run for u in units), COLOURS)
    marker = _looks((u.label for u in units), MARKERS)
    with style.settings():
        figure, first = style.new_figure(4.2, 2 * style.WIDTH)
        first.remove()
        panels = figure.subplots(1, 2, sharey=True)
        drawn = 0
        for axes, which in zip(panels, ("decay alone", "plug-in")):
            pairs, seen = [], set()
            for u in units:
                x, y = u.slopes()[which], u.slopes()["measured"]
                if x is None or y is None:
                    continue
                pairs.append((x, y))
                slope = at(u.rule("oracle"), "slope")
                low, high = (number(at(slope, end)) for end in ("low", "high"))
                bar = [[0 if low is None else y - low], [0 if high is None else high - y]]
                key = (u.run, u.label)
                axes.errorbar([x], [y], yerr=np.clip(bar, 0, None), linestyle="none",
                              color=colour[u.label if alone else u.run],
                              marker=marker[u.label], elinewidth=0.6,
                              label="" if key in seen else style.plain(f"{u.run}, {u.label}"))
                seen.add(key)
            drawn += len(pairs)
            if pairs:
                ends = [min(min(p) for p in pairs), max(max(p) for p in pairs)]
                axes.plot(ends, ends, color=style.INK, linewidth=0.8, linestyle="--")
                rank = spearman(*zip(*pairs))
                said = "" if math.isnan(rank) else f", Spearman {text(rank, 2)}"
                axes.set_title(f"{which}: {len(pairs)} kernels and label sets{said}")
            axes.set_xlabel(f"slope predicted by the {which}".replace("by the decay", "by decay"))
        if not drawn:
            return None
        panels[0].set_ylabel("slope measured (95 %)")
        style.legend_below(figure, panels[1], columns=4)
        return figure


def stopping(units: list[Unit], names=("oracle", "gcv", "rwy")):
    """Median stopping times against n. A thin guide at RWY's has the slope that the decay predicts
    for it, alpha/(alpha + 1). None where there are none."""
    dashes = _looks(names, ("-", "--", ":"))
    colour = _looks(((u.run, u.label) for u in units), COLOURS)
    with style.settings():
        figure, axes = style.new_figure(4.6, 1.4 * style.WIDTH)
        axes.set_xscale("log")
        axes.set_yscale("log")
        seen: list[float] = []
        for u in units:
            for name in names:
                eta = np.array(numbers(at(u.rule(name), "eta_median", default=[])))
                if not len(eta) or not np.isfinite(eta).any() or not np.nanmax(eta) > 0:
                    continue
                axes.plot(u.sizes, np.where(eta > 0, eta, np.nan), color=colour[u.run, u.label],
                          linestyle=dashes[name], marker="o",
                          label=style.plain(f"{u.run}, {u.label}: {name}", 60))
                decay = u.slopes()["decay alone"]
                seen.extend(style.finite(eta[eta > 0]))
                if name == "rwy" and decay is not None and eta[0] > 0:
                    n = np.array(u.sizes, dtype=float)
                    axes.plot(n, eta[0] * (n / n[0]) ** -decay, color=colour[u.run, u.label],
                              linewidth=0.7, linestyle=(0, (8, 4)))
        if not seen:
            return None
        axes.set_xlabel("training samples n (thin: α/(α + 1) of the decay)")
        axes.set_ylabel("median stopping time, 1/eigenvalue of K/n")
        sizes = sorted({n for u in units for n in u.sizes})
        style.log_axis(axes.xaxis, sizes[0], sizes[-1], sizes)
        style.log_axis(axes.yaxis, min(seen), max(seen))
        style.legend_below(figure, axes, columns=3)
        return figure
