"""How well predictions agree with measurements over units. Single numbers are theory.json's; what
is made here are means and rank correlations over them."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from ..report.numbers import at, number
from .units import Unit


def spearman(x, y) -> float:
    """Spearman's rank correlation, ties at their mean rank, over pairs of finite numbers; NaN for
    fewer than three pairs and for constants."""
    x, y = np.asarray(x, dtype=float), np.asarray(y, dtype=float)
    both = np.isfinite(x) & np.isfinite(y)
    if both.sum() < 3:
        return math.nan
    ranks = [_ranks(values[both]) for values in (x, y)]
    if any(np.ptp(r) == 0 for r in ranks):
        return math.nan
    return float(np.corrcoef(*ranks)[0, 1])


def _ranks(values: np.ndarray) -> np.ndarray:
    _, place, count = np.unique(values, return_inverse=True, return_counts=True)
    last = np.cumsum(count)
    return (last - (count - 1) / 2)[place]


@dataclass(frozen=True)
class Agreement:
    """Over `units` units; NaN where nothing can be said."""

    units: int
    spearman_decay: float  # of slopes predicted from the decay alone with measured ones
    spearman_plug_in: float
    slope_error_decay: float  # mean absolute difference of slopes
    slope_error_plug_in: float
    risk_error_plug_in: float  # mean absolute relative error at the largest n
    risk_error_corrected: float
    covered: float  # share of the training sets whose corrected interval holds what they reach


def _mean(values) -> float:
    values = [v for v in values if v is not None and math.isfinite(v)]
    return sum(values) / len(values) if values else math.nan


def _difference(units: list[Unit], which: str) -> float:
    pairs = [(u.slopes()[which], u.slopes()["measured"]) for u in units]
    return _mean(abs(p - m) for p, m in pairs if p is not None and m is not None)


def _relative(units: list[Unit], which: str) -> float:
    pairs = [(u.risks()[which], u.risks()["measured"]) for u in units]
    return _mean(abs(p / m - 1) for p, m in pairs if p is not None and m)


@dataclass(frozen=True)
class Bias:
    """Mean signed relative risk errors at the largest n over `units` units, all predicted from the
    same training rows; NaN where nothing can be said."""

    units: int
    diagonal_cv: float  # spread of the centred kernel's diagonal
    plug_in: float
    leave_one_out: float
    corrected: float


def bias(units: list[Unit]) -> Bias:
    def over(*keys) -> float:
        return _mean(number(at(u.study, "corrected", *keys)) for u in units)
    return Bias(
        units=len(units),
        diagonal_cv=_mean(number(at(u.report, "kernel", "diagonal_cv")) for u in units),
        plug_in=over("plug_in_error"),
        leave_one_out=over("leave_one_out_error"),
        corrected=over("error"),
    )


def agreement(units: list[Unit]) -> Agreement:
    slopes = {
        which: [math.nan if (v := u.slopes()[which]) is None else v for u in units]
        for which in ("measured", "plug-in", "decay alone")
    }
    return Agreement(
        units=len(units),
        spearman_decay=spearman(slopes["decay alone"], slopes["measured"]),
        spearman_plug_in=spearman(slopes["plug-in"], slopes["measured"]),
        slope_error_decay=_difference(units, "decay alone"),
        slope_error_plug_in=_difference(units, "plug-in"),
        risk_error_plug_in=_relative(units, "plug-in"),
        risk_error_corrected=_relative(units, "corrected"),
        covered=_mean(number(at(u.study, "corrected", "covered")) for u in units),
    )
