"""Risk against the number of training samples: measured, predicted, and the worst case's slope."""

from __future__ import annotations

import numpy as np

from ..numbers import at, number, numbers, text
from . import style

# Rules shown beside the oracle: colour, dashes, marker. The rest is in the table.
RULES = {
    "gcv": (style.GREEN, (0, (5, 1.5, 1, 1.5)), "^", "GCV stop, measured"),
    "rwy": (style.OCHRE, (0, (1, 1)), "v", "RWY stop, measured"),
    "never": (style.GREY, (0, (3, 1, 1, 1, 1, 1)), "x", "never stopping, measured"),
}


def _positive(values) -> np.ndarray:
    values = np.array(values, dtype=float)
    values[~(values > 0)] = np.nan
    return values


def draw(sizes, study: dict | None, label: dict | None, worst_case: float | None, unit: str):
    """`study`: of learning_curves.labels; `label`: of labels. Either may be missing."""
    with style.settings():
        figure, axes = style.new_figure(4.3)
        axes.set_xscale("log")
        axes.set_yscale("log")
        seen_n: list[float] = []
        seen: list[float] = []
        starts: list[tuple[float, float]] = []  # of every line, the measured ones first

        def note(n, risk):
            seen_n.extend(n)
            seen.extend(style.finite(risk))
            starts.extend((x, y) for x, y in zip(n, risk) if np.isfinite(y))

        def curve(n, risk, **look):
            n, risk = np.asarray(n, dtype=float), _positive(risk)
            if not np.isfinite(risk).any():
                return
            axes.plot(n, risk, **look)
            note(n, risk)

        rules = {r.get("rule"): r for r in at(study, "rules", default=[]) if isinstance(r, dict)}
        oracle = rules.get("oracle")
        if oracle:
            low, high = _positive(numbers(oracle.get("low"))), _positive(numbers(oracle.get("high")))
            axes.fill_between(sizes, low, high, color=style.BLUE, alpha=0.18, linewidth=0)
            seen.extend(style.finite(low, high))
            curve(sizes, numbers(oracle.get("risk")), color=style.BLUE, marker="o", linewidth=2.2,
                  label="oracle stop, measured (95 %)", zorder=3)  # fmt: skip
        for name, (colour, dashes, marker, title) in RULES.items():
            if name in rules:
                curve(sizes, numbers(rules[name].get("risk")), color=colour, linestyle=dashes,
                      marker=marker, linewidth=1.2, label=title)  # fmt: skip
        plug_in = at(study, "plug_in")
        if plug_in:
            low, high = _positive(numbers(plug_in.get("low"))), _positive(numbers(plug_in.get("high")))
            axes.fill_between(sizes, low, high, color=style.ORANGE, alpha=0.15, linewidth=0)
            seen.extend(style.finite(low, high))
            curve(sizes, numbers(plug_in.get("risk")), color=style.ORANGE, linestyle="--", marker="s",
                  label="plug-in, training rows (95 %)")  # fmt: skip
        points = [p for p in at(label, "plug_in", "curve", default=[]) if isinstance(p, dict)]
        if any(number(p.get("risk")) for p in points):
            n = numbers([p.get("n") for p in points])
            risk = _positive(numbers([p.get("risk") for p in points]))
            error = np.nan_to_num(numbers([p.get("standard_error") for p in points]))
            axes.errorbar(n, risk, yerr=error, color=style.PURPLE, linestyle=":", marker="D",
                          capsize=2, label="plug-in, all rows (± s.e.)")  # fmt: skip
            note(n, risk)
        corrected = at(study, "corrected")
        if number(at(corrected, "risk")):
            risk = number(corrected["risk"])
            low, high = (number(corrected.get(k)) or risk for k in ("low", "high"))
            # A little aside, so that it does not cover the measured point.
            axes.errorbar([1.06 * number(corrected.get("n"))], [risk],
                          yerr=[[max(0.0, risk - low)], [max(0.0, high - risk)]], fmt="*",
                          color=style.ORANGE, markersize=9, capsize=3,
                          label="plug-in, corrected (95 %)")  # fmt: skip
            seen.extend([low, high])
        if not starts:
            return None
        bottom, top = min(seen), max(seen)
        if worst_case is not None:
            first, start = starts[0]
            ends = np.array([first, max(seen_n)])
            axes.plot(ends, start * (ends / first) ** worst_case, color=style.INK, linewidth=0.9,
                      linestyle=(0, (8, 4)), zorder=1,
                      label=f"worst case, slope {text(worst_case, 2)} (guide)")  # fmt: skip
        axes.set_ylim(bottom / 1.15, top * 1.1)
        axes.set_xlabel("training samples n")
        axes.set_ylabel(f"out-of-sample {unit}")
        style.log_axis(axes.xaxis, min(seen_n), max(seen_n), None)
        ticks = sorted(set(sizes) or {n for n in seen_n})
        axes.set_xticks(_apart(ticks))
        axes.xaxis.set_minor_locator(style.NullLocator())
        style.log_axis(axes.yaxis, bottom / 1.15, top * 1.1)
        style.legend_below(figure, axes)
        return figure


def _apart(ticks: list[float]) -> list[float]:
    """Of sizes that stand too close for their labels the larger ones."""
    kept: list[float] = []
    for n in reversed(ticks):
        if not kept or kept[-1] / n > 1.3:
            kept.append(n)
    return kept[::-1]
