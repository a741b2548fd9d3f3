"""The centred kernel as a heat map."""

from __future__ import annotations

import numpy as np

from . import style


def draw(kernel: np.ndarray, borders: list[tuple[float, str]]):
    """`borders`: end of each class along the axis as a part of 1, and its name."""
    with style.settings():
        figure, axes = style.new_figure(3.8)
        axes.grid(False)
        # The diagonal would leave nothing of the rest: the scale is that of what lies beside it.
        beside = np.abs(kernel[~np.eye(len(kernel), dtype=bool)])
        scale = float(np.quantile(beside, 0.99)) if beside.size else 1.0
        scale = scale or 1.0
        image = axes.imshow(kernel, cmap="RdBu_r", vmin=-scale, vmax=scale, extent=(0, 1, 1, 0),
                            interpolation="nearest")  # fmt: skip
        for end, _ in borders[:-1]:
            axes.axhline(end, color="#000001", linewidth=0.6)
            axes.axvline(end, color="#000001", linewidth=0.6)
        if borders:
            ends = [0.0] + [end for end, _ in borders]
            middles = [(a + b) / 2 for a, b in zip(ends, ends[1:])]
            axes.set_yticks(middles, [style.plain(name, 14) for _, name in borders])
            axes.set_xticks([])
            axes.set_xlabel("samples by label")
        else:
            axes.set_xlabel("samples in this order (part of all)")
            axes.set_ylabel("samples in this order (part of all)")
        bar = figure.colorbar(image, ax=axes, shrink=0.75, extend="both")
        bar.set_label("centred kernel (kernel units)")
        bar.outline.set_linewidth(0.5)
        return figure
