"""Evaluation sets: what fits on the training rows reach on rows of other data."""

from __future__ import annotations

from . import classes
from .blocks import Unavailable, beside, figure, folded, missing, paragraph, table
from .figures import evaluation_sets as drawing
from .headline import last, risk_name
from .numbers import at, interval, text
from .rundata import KernelData


def _sets(place: dict | None) -> dict[str, dict]:
    sets = at(place, "evaluate", default={})
    return {str(k): v for k, v in sets.items() if isinstance(v, dict)}


def _named(rules: list[dict]) -> dict[str, dict]:
    return {str(rule.get("rule")): rule for rule in rules if isinstance(rule, dict)}


def rules_table(sets: dict[str, dict], n) -> dict:
    named = {name: _named(at(judged, "rules", default=[])) for name, judged in sets.items()}
    names: list[str] = []
    for rules in named.values():
        names += [rule for rule in rules if rule not in names]
    rows = []
    for rule in names:
        cells = [rule]
        for rules in named.values():
            one = rules.get(rule, {})
            cells.append(interval(one.get("risk"), one.get("low"), one.get("high")))
        rows.append(cells)
    return table(
        f"Trained on all {text(n)} rows, judged on evaluation sets: risk in y² with 95 % "
        "intervals, which resample parts of the set. Oracles are the best for each set.",
        ["rule", *names_of(sets)], rows)  # fmt: skip


def names_of(sets: dict[str, dict]) -> list[str]:
    return [f"{name}: {risk_name(judged)}" for name, judged in sets.items()]


def _sizes_table(kernel: KernelData, sets: dict[str, dict]) -> dict:
    rows = []
    for name, judged in sets.items():
        for rule in at(judged, "rules", default=[]):
            triples = zip(rule.get("risk", []), rule.get("low", []), rule.get("high", []))
            rows.append([f"{name}, {rule.get('rule')}"] + [interval(*t) for t in triples])
    return table(
        "Risk (y²) on evaluation sets at every n of the learning curves, with 95 % intervals.",
        ["set, rule"] + [f"n = {n}" for n in kernel.sizes()],
        rows,
    )


def _one_label(kernel: KernelData, label: dict, place: int) -> list[dict]:
    name = str(label.get("name"))
    study = kernel.study_of(name)
    sets, curves = _sets(label), _sets(study)
    if not sets:
        return [missing(f"no evaluation set judges label set {name} {_why(kernel)}")]
    drawn = drawing.draw(kernel.sizes(), study, curves) if curves else None
    left = (
        [figure(
            f"evaluation-sets-{place + 1}", drawn,
            f"Learning curves of {name} on evaluation sets and on the test set: the best stop for "
            "each, with 95 % intervals. A set that is judged by its labels, whose noise is not "
            "known, has that noise in its errors.",
            f"Risk on evaluation sets against training samples for {name}")]
        if drawn is not None else
        [missing("no learning curves were measured on the evaluation sets")])  # fmt: skip
    told = "; ".join(
        f"{key}: {text(at(judged, 'rows'))} rows in {text(at(judged, 'parts'))} parts, judged by "
        f"their {at(judged, 'judged_by', default='labels')}"
        for key, judged in sets.items()
    )
    right = [rules_table(sets, at(kernel.report, "kernel", "n")), paragraph(told + ".")]
    blocks = [beside(left, right)]
    if curves and last(kernel.sizes()):
        sizes = [_sizes_table(kernel, curves)]
        blocks.append(folded(f"All sizes on evaluation sets: {name}", sizes))
    return blocks


def _why(kernel: KernelData) -> str:
    told = [str(line) for line in at(kernel.report, "limits", default=[])]
    told = [line for line in told if "evaluation set" in line]
    return f"({'; '.join(told)})" if told else "(the kernel has none: data.evaluate names them)"


def evaluation(kernel: KernelData) -> list[dict]:
    labels = kernel.label_sets()
    if not any(_sets(label) for label in labels):
        raise Unavailable("no evaluation set judges these labels " + _why(kernel))
    blocks = classes.of_sets(kernel) + _one_label(kernel, labels[0], 0)
    for place, label in enumerate(labels[1:], 1):
        blocks.append(folded(f"Label set {label.get('name')}", _one_label(kernel, label, place)))
    return blocks
