"""Bars: shares of the trace by group, and error parts by stopping rule."""

from __future__ import annotations

from . import style


def draw_shares(names: list[str], series: list[tuple[str, list[float]]]):
    """One bar a group for each series (its name and shares)."""
    looks = ((style.BLUE, ""), (style.ORANGE, "////"))
    with style.settings():
        rows = len(names)
        figure, axes = style.new_figure(1.1 + (0.2 + 0.22 * len(series)) * rows)
        axes.grid(axis="y", visible=False)
        height = 0.8 / len(series)
        for s, (text, values) in enumerate(series):
            colour, hatch = looks[s % len(looks)]
            places = [i + (s - (len(series) - 1) / 2) * height for i in range(rows)]
            axes.barh(places, [0 if v is None else 100 * v for v in values], height * 0.92,
                      label=text, facecolor=colour if not hatch else "none", edgecolor=colour,
                      hatch=hatch, linewidth=1)  # fmt: skip
            for place, value in zip(places, values):
                shown = "not known" if value is None else f"{100 * value:.1f} %"
                axes.annotate(shown, (0 if value is None else 100 * max(0, value), place),
                              xytext=(4, 0), textcoords="offset points", va="center", fontsize=7.5)  # fmt: skip
        axes.margins(x=0.16)
        axes.set_yticks(range(rows), [style.plain(name, 24) for name in names])
        axes.invert_yaxis()
        axes.set_xlabel("share of the trace (%)")
        if len(series) > 1:
            style.legend_below(figure, axes)
        return figure


def draw_errors(names: list[str], bias: list[float], variance: list[float]):
    """Points and not stacked bars: an estimated bias can be negative."""
    with style.settings():
        figure, axes = style.new_figure(1.5 + 0.3 * len(names))
        axes.grid(axis="y", visible=False)
        places = range(len(names))
        total = [b + v for b, v in zip(bias, variance)]
        for values, colour, marker, text in (
            (bias, style.BLUE, "o", "bias"),
            (variance, style.ORANGE, "s", "variance"),
            (total, style.INK, "D", "sum"),
        ):
            axes.plot(values, places, linestyle="none", marker=marker, color=colour, markersize=6,
                      markerfacecolor="none" if marker == "D" else colour, label=text)  # fmt: skip
        axes.axvline(0, color=style.INK, linewidth=0.7)
        axes.set_yticks(places, [style.plain(name, 24) for name in names])
        axes.set_ylim(len(names) - 0.5, -0.5)
        axes.set_xlabel("in-sample error (y²)")
        style.legend_below(figure, axes, 3)
        return figure
