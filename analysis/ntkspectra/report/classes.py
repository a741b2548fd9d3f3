"""Error rates: how often the class of the largest prediction is a wrong one."""

from __future__ import annotations

from .blocks import table
from .numbers import at, interval
from .rundata import KernelData


def _by_size(kernel: KernelData, rules: list[dict], where: str) -> dict:
    rows = [
        [str(rule.get("rule"))]
        + [interval(*t) for t in zip(rule["error_rate"], rule["low"], rule["high"])]
        for rule in rules
    ]
    return table(
        f"Error rate {where}: share of samples whose class is not that of the largest prediction, "
        "with 95 % intervals. Oracles are those of the squared error.",
        ["rule"] + [f"n = {n}" for n in kernel.sizes()], rows)  # fmt: skip


def of_curves(kernel: KernelData) -> list[dict]:
    """Tables of the learning curves' error rates; none without classes."""
    classes = at(kernel.report, "learning_curves", "classes")
    if not classes:
        return []
    blocks = [_by_size(kernel, at(classes, "rules", default=[]), "on the test set")]
    for name, judged in at(classes, "evaluate", default={}).items():
        blocks.append(_by_size(kernel, at(judged, "rules", default=[]), f"on {name}"))
    return blocks


def of_sets(kernel: KernelData) -> list[dict]:
    """One table of all evaluation sets, trained on all rows; none without classes."""
    sets = at(kernel.report, "classes", "evaluate", default={})
    if not sets:
        return []
    named = [{r["rule"]: r for r in at(judged, "rules", default=[])} for judged in sets.values()]
    names = list(dict.fromkeys(rule for rules in named for rule in rules))
    rows = []
    for name in names:
        found = [rules.get(name, {}) for rules in named]
        cells = [interval(r.get("error_rate"), r.get("low"), r.get("high")) for r in found]
        rows.append([name, *cells])
    return [table(
        "Trained on all rows: error rate on evaluation sets, with 95 % intervals.",
        ["rule", *map(str, sets)], rows)]  # fmt: skip
