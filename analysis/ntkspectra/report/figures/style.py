"""The look of all figures, and their way into the page.

Figures are drawn in the colours of the light page. In the SVG every one of these colours becomes a
CSS variable, which the page sets for light and dark. The palette follows Okabe and Ito (told apart
with all common colour blindnesses); lines also differ in dashes, markers and their legend.
"""

from __future__ import annotations

import io
import math
import re

import matplotlib
from markupsafe import Markup, escape
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, MaxNLocator, NullFormatter, NullLocator

INK, GRID = "#1b1f24", "#d5d9df"
BLUE, ORANGE, GREEN, PURPLE, OCHRE, GREY = (
    "#0062a3", "#c14a00", "#00795a", "#8f4a7f", "#8a6d00", "#5f6773")  # fmt: skip
VARIABLES = {
    INK: "ink", GRID: "grid", BLUE: "blue", ORANGE: "orange", GREEN: "green", PURPLE: "purple",
    OCHRE: "ochre", GREY: "grey"}  # fmt: skip

SETTINGS = {
    "axes.axisbelow": True,
    "axes.edgecolor": INK,
    "axes.grid": True,
    "axes.labelcolor": INK,
    "axes.labelsize": 9,
    "axes.linewidth": 0.7,
    "axes.spines.right": False,
    "axes.spines.top": False,
    "axes.titlesize": 9,
    "axes.unicode_minus": True,
    "font.family": ["DejaVu Sans"],
    "font.size": 8.5,
    "grid.color": GRID,
    "grid.linewidth": 0.6,
    "legend.fontsize": 8,
    "legend.frameon": False,
    "lines.linewidth": 1.6,
    "lines.markersize": 4.5,
    "svg.fonttype": "none",  # text stays text, in the page's font
    "svg.hashsalt": "ntkspectra",  # equal input, equal bytes
    "text.color": INK,
    "text.parse_math": False,  # names come from files
    "xtick.color": INK,
    "ytick.color": INK,
}
WIDTH = 4.9  # inches: at 380 pixels text is hardly scaled


def plain(text, most: int = 40) -> str:
    """A name from a file as one line of text that XML can hold."""
    line = "".join(c if c.isprintable() else " " for c in str(text))
    return line if len(line) <= most else line[: most - 1] + "…"


def new_figure(height: float = 3.4, width: float = WIDTH):
    """A figure and its axes. To be used under settings()."""
    figure = Figure(figsize=(width, height), layout="constrained")
    FigureCanvasAgg(figure)
    return figure, figure.add_subplot()


def settings():
    return matplotlib.rc_context(SETTINGS)


def _tick(value, _position=None) -> str:
    return f"{value:g}".replace("-", "−") if value != 0 else "0"


def log_axis(axis, low: float, high: float, values=None) -> None:
    """Ticks as plain numbers; more than powers of ten where the range is short."""
    axis.set_major_formatter(FuncFormatter(_tick))
    axis.set_minor_formatter(NullFormatter())
    if values is not None and len(values) <= 6:
        axis.set_ticks(list(values))
        axis.set_minor_locator(NullLocator())
    elif low > 0 and high / low < 30:
        axis.set_major_locator(MaxNLocator(6, steps=[1, 2, 5, 10]))
        axis.set_minor_locator(NullLocator())


def finite(*lists) -> list[float]:
    return [v for values in lists for v in values if v is not None and math.isfinite(v)]


def legend_below(figure, axes, columns: int = 2) -> None:
    handles, labels = axes.get_legend_handles_labels()
    if handles:
        figure.legend(handles, labels, loc="outside lower center", ncols=columns, handlelength=3)


def to_png(figure: Figure, path) -> None:
    with settings():
        figure.savefig(path, dpi=200, facecolor="white", metadata={"Software": None})


def to_svg(figure: Figure, prefix: str, label: str) -> Markup:
    """Inline SVG. `prefix` keeps its ids apart from other figures'."""
    stream = io.StringIO()
    with settings():
        figure.savefig(stream, format="svg", transparent=True, metadata={"Date": None})
    svg = stream.getvalue()
    svg = svg[svg.index("<svg") :]
    svg = re.sub(r"<metadata>.*?</metadata>", "", svg, flags=re.S)
    svg = re.sub(r'(\sid="|url\(#|href="#)', rf"\g<1>{prefix}-", svg)
    for colour, name in VARIABLES.items():
        svg = svg.replace(colour, f"var(--{name})")
    # The page gives it its size; what stays is the viewBox.
    head, rest = svg.split(">", 1)
    head = re.sub(r'\s(width|height)="[^"]*"', "", head)
    return Markup(f'{head} role="img" aria-label="{escape(label)}">{rest}')
