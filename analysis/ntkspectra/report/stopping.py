"""Stopping times of the rules that all rows give: figure and table for each label set."""

from __future__ import annotations

from .blocks import Unavailable, beside, figure, folded, guarded, missing, paragraph, table
from .figures import bars, stopping_path
from .learning import MOST_FIGURES
from .numbers import at, number, text, with_error
from .rundata import KernelData

ORDER = ("rwy", "gcv", "sure", "discrepancy")


def _stops(label: dict) -> dict[str, dict]:
    found = at(label, "stopping", default={})
    names = [n for n in ORDER if n in found] + sorted(n for n in found if n not in ORDER)
    return {n: found[n] for n in names if isinstance(found[n], dict)}


def _bound(name: str, stop: dict, null_risk) -> str:
    if name != "rwy":
        return text(None)
    if number(stop.get("bound")) is None:
        return "not stated"
    if stop.get("vacuous"):
        return f"{text(stop['bound'])}: vacuous, exceeds the null risk {text(null_risk)}"
    return f"{text(stop['bound'])} (null risk {text(null_risk)})"


def _range(stop: dict) -> str:
    """Where the stop can lie that all eigenvalues would give; of leading pairs."""
    low, high = at(stop, "range", default=[None, None])
    return "" if number(low) is None else f" (in {text(low)} to {text(high)})"


def _table(stops: dict[str, dict], label: dict) -> dict:
    rows = []
    for name, stop in stops.items():
        bias, variance = number(stop.get("in_sample_bias")), number(stop.get("in_sample_variance"))
        total = bias + variance if bias is not None and variance is not None else None
        rows.append([
            name, str(at(stop, "rule", default="")),
            "never (∞)" if stop.get("never") else text(stop) + _range(stop), text(stop.get("steps")),
            with_error(stop.get("df")), with_error(stop.get("in_sample_bias")),
            with_error(stop.get("in_sample_variance")), text(total),
            _bound(name, stop, label.get("signal_variance")),
        ])  # fmt: skip
    return table(
        "Stopping times on all rows. Bias and variance are estimates of the expected error in "
        "sample; a bias can come out negative where little is left of it.",
        ["rule", "stops at", "η (1/eigenvalue of K/n)", "steps of size 1/l_1", "df (modes)",
         "in-sample bias (y²)", "in-sample variance (y²)", "sum (y²)", "bound on the in-sample risk"],
        rows)  # fmt: skip


def one_label(kernel: KernelData, label: dict, place: int) -> list[dict]:
    stops = _stops(label)
    if not stops:
        return [missing("theory.json has no stopping times for this label set")]

    def path() -> list[dict]:
        marked = [
            (name, number(s), number(s.get("df"))) for name, s in stops.items()
            if number(s) and number(s.get("df"))
        ]  # fmt: skip
        values, note = None, ""
        try:
            values, attributes = kernel.data.spectrum(kernel.name, "centred")
            if len(values) < attributes.get("n", 0):
                raise Unavailable(f"only {len(values)} leading eigenvalues were computed")
            values = values[values > 0]
        except Unavailable as error:
            values = None
            note = f" The line is missing: {error}."
        if not marked and values is None:
            raise Unavailable("no rule stops at a finite time" + note)
        return [figure(
            f"stopping-{place + 1}", stopping_path.draw(values, marked),
            "Degrees of freedom along gradient descent (the flow) on all rows, centred kernel, and "
            f"where the rules stop for {label.get('name')}.{note}",
            "Degrees of freedom against total step size")]  # fmt: skip

    def errors() -> list[dict]:
        known = {
            name: (number(s.get("in_sample_bias")), number(s.get("in_sample_variance")))
            for name, s in stops.items()
        }
        known = {n: v for n, v in known.items() if None not in v}
        if not known:
            raise Unavailable("no rule has an in-sample bias and variance")
        return [figure(
            f"stopping-errors-{place + 1}",
            bars.draw_errors(list(known), [v[0] for v in known.values()],
                             [v[1] for v in known.values()]),
            "Estimated bias, variance and their sum at each stop: errors in sample, from the labels "
            "and their noise.", "In-sample bias and variance of the stops")]  # fmt: skip

    blocks = []
    if place < MOST_FIGURES:
        blocks.append(beside(guarded(path), guarded(errors)))
    blocks.append(_table(stops, label))
    rwy = stops.get("rwy")
    if rwy is None:
        blocks.append(missing("there is no Raskutti-Wainwright-Yu stop for this label set (no noise, "
                              "a fit of norm zero, or too few pairs): no bound"))  # fmt: skip
    elif rwy.get("vacuous"):
        blocks.append(paragraph(
            f"The bound of Raskutti, Wainwright and Yu is vacuous here: {text(rwy.get('bound'))} y² "
            f"exceeds the null risk {text(label.get('signal_variance'))} y², which predicting the "
            "mean reaches."))  # fmt: skip
    return blocks


def stopping(kernel: KernelData) -> list[dict]:
    kernel.report
    labels = kernel.label_sets()
    if not labels:
        raise Unavailable("theory.json has no label sets for this kernel")
    blocks = one_label(kernel, labels[0], 0)
    for place, label in enumerate(labels[1:], 1):
        blocks.append(folded(f"Label set {label.get('name')}", one_label(kernel, label, place)))
    return blocks
