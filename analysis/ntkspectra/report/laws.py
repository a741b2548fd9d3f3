"""Eigenvalues L(k) of the laws of decay: the formulas of src/theory/decay_models.hpp.

They are the variances of a population's features, not the eigenvalues of a sample: at finite n the
leading eigenvalues of a sample lie above their law and the tail lies below it.
"""

from __future__ import annotations

import numpy as np


def _power(k, p):
    return p["A"] * k ** -p["alpha"]


def _shifted(k, p):
    return p["A"] * (k + p["s"]) ** -p["alpha"]


def _broken(k, p):
    knee = p["k0"]
    beyond = p["A"] * knee ** -p["alpha"] * (k / knee) ** -p["alpha_2"]
    return np.where(k <= knee, _power(k, p), beyond)


def _stretched(k, p):
    return p["A"] * np.exp(-p["s"] * np.expm1(p["g"] * np.log(k)) / p["g"])


def _cut_off(k, p):
    return _power(k, p) * np.exp(-k / p["k0"])


def _exponential(k, p):
    return p["A"] * np.exp(-p["c"] * (k - 1))


def _finite_rank(k, p):
    return np.where(k <= p["m"], _power(k, p), np.nan)


LAWS = {
    "power": (_power, "A k^−α"),
    "shifted": (_shifted, "A (k + s)^−α"),
    "broken": (_broken, "A k^−α up to k0, k^−α_2 beyond"),
    "stretched": (_stretched, "A exp(−s (k^g − 1)/g)"),
    "cut-off": (_cut_off, "A k^−α exp(−k/k0)"),
    "exponential": (_exponential, "A exp(−c (k − 1))"),
    "finite rank": (_finite_rank, "A k^−α up to k = m, 0 beyond"),
}


def formula(law: str) -> str:
    return LAWS[law][1] if law in LAWS else "unknown to this report"


def eigenvalues(law: str, parameters: dict, ranks: np.ndarray) -> np.ndarray:
    """L(k) at the ranks; NaN where the law has none. Raises KeyError for an unknown law."""
    with np.errstate(all="ignore"):
        return np.asarray(LAWS[law][0](np.asarray(ranks, dtype=float), parameters), dtype=float)
