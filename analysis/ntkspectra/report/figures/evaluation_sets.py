"""Risk of the best stop on evaluation sets against the number of training samples."""

from __future__ import annotations

import numpy as np

from ..numbers import at, numbers
from . import style

LOOKS = (
    (style.ORANGE, "--", "s"), (style.GREEN, (0, (5, 1.5, 1, 1.5)), "^"),
    (style.PURPLE, ":", "D"), (style.OCHRE, (0, (1, 1)), "v"),
    (style.GREY, (0, (3, 1, 1, 1, 1, 1)), "x"))  # fmt: skip


def _oracle(judged: dict | None) -> dict:
    rules = at(judged, "rules", default=[])
    return next((r for r in rules if isinstance(r, dict) and r.get("rule") == "oracle"), {})


def draw(sizes: list[int], study: dict | None, sets: dict[str, dict]):
    """`study`: of learning_curves.labels; `sets`: its evaluation sets. None without a curve."""
    lines = [("test set", _oracle(study), (style.BLUE, "-", "o"))]
    lines += [
        (style.plain(name, 24), _oracle(judged), LOOKS[i % len(LOOKS)])
        for i, (name, judged) in enumerate(sets.items())
    ]
    with style.settings():
        figure, axes = style.new_figure(3.8)
        axes.set_xscale("log")
        axes.set_yscale("log")
        seen: list[float] = []
        for name, rule, (colour, dashes, marker) in lines:
            risk, low, high = (
                np.array(numbers(rule.get(key)), dtype=float) for key in ("risk", "low", "high")
            )
            for values in (risk, low, high):
                values[~(values > 0)] = np.nan
            if len(risk) != len(sizes) or not np.isfinite(risk).any():
                continue
            axes.fill_between(sizes, low, high, color=colour, alpha=0.12, linewidth=0)
            axes.plot(sizes, risk, color=colour, linestyle=dashes, marker=marker, label=name)
            seen += style.finite(risk, low, high)
        if not seen:
            return None
        axes.set_xlabel("training samples n")
        axes.set_ylabel("risk of the best stop (y²)")
        style.log_axis(axes.xaxis, min(sizes), max(sizes), None)
        axes.set_xticks(sizes)
        axes.xaxis.set_minor_locator(style.NullLocator())
        axes.set_ylim(min(seen) / 1.15, max(seen) * 1.1)
        style.log_axis(axes.yaxis, min(seen) / 1.15, max(seen) * 1.1)
        style.legend_below(figure, axes)
        return figure
