"""Units as Markdown tables and as tab-separated values."""

from __future__ import annotations

from ..report.numbers import DASH, at, interval, number, numbers, of_interval, percent, text
from .agreement import Agreement, agreement, bias
from .units import Unit, heads


def table(header: list[str], rows: list[list[str]]) -> str:
    def line(cells):
        return "| " + " | ".join(str(c).replace("|", "\\|") for c in cells) + " |"
    return "\n".join([line(header), line(["---"] * len(header)), *map(line, rows)]) + "\n"


def all_sizes(units: list[Unit]) -> list[int]:
    return sorted({n for u in units for n in u.sizes})


def by_size(unit: Unit, sizes: list[int], cells: list[str]) -> list[str]:
    """One cell a size of all units, a dash where this one has none."""
    there = dict(zip(unit.sizes, cells))
    return [there.get(n, DASH) for n in sizes]


def measured(unit: Unit, rule: str = "oracle", size: int = -1) -> str:
    """Risk of a rule with its interval, at the largest n by default."""
    of = unit.rule(rule)
    risk, low, high = (numbers(at(of, key, default=[])) for key in ("risk", "low", "high"))
    return interval(risk[size], low[size], high[size]) if risk else DASH


def curves(units: list[Unit]) -> str:
    """The measured curve of the best stop, its slope, and what was predicted."""
    sizes = all_sizes(units)
    rows = []
    for u in units:
        risks = [text(v) for v in numbers(at(u.rule("oracle"), "risk", default=[]))]
        rows.append([u.run, u.kernel, u.label, *by_size(u, sizes, risks),
                     of_interval(at(u.rule("oracle"), "slope")),
                     of_interval(at(u.study, "plug_in", "slope")),
                     text(u.slopes()["decay alone"])])
    return table(["run", "kernel", "labels", *(f"n = {n}" for n in sizes), "slope, measured",
                  "plug-in", "decay alone"], rows)


def at_largest(units: list[Unit]) -> str:
    """The largest n: measured and predicted risks, what stopping early is worth."""
    rows = []
    for u in units:
        c = at(u.study, "corrected", default={})
        rows.append([
            u.run, u.kernel, u.label, u.sizes[-1], measured(u), text(u.risks()["plug-in"]),
            interval(c.get("risk"), c.get("low"), c.get("high")), percent(c.get("error")),
            percent(c.get("covered")), text(u.at_largest("never", "to_oracle")),
            text(u.at_largest("null", "to_oracle"))])  # fmt: skip
    return table(["run", "kernel", "labels", "n", "risk of the best stop", "plug-in", "corrected",
                  "its error", "its intervals hold", "never stopping / best", "not training / best"],
                 rows)


def rules(units: list[Unit]) -> str:
    """Every rule at the largest n, out of sample and, apart, in sample."""
    names = []
    for u in units:
        names += [r["rule"] for r in at(u.study, "rules", default=[]) if r["rule"] not in names]
    header = ["rule"] + [f"{u.run}, {u.kernel}, {u.label}" for u in units]
    parts = []
    for title, cell in (
        ("Out of sample: risk, and in brackets its ratio to the best stop's",
         lambda u, r: f"{text(u.at_largest(r))} ({text(u.at_largest(r, 'to_oracle'))})"),
        ("In sample: risk", lambda u, r: text(u.at_largest(r, "in_sample")))):
        rows = [[f"`{r}`", *(cell(u, r) if u.rule(r) else DASH for u in units)] for r in names]
        parts.append(f"{title}\n\n{table(header, rows)}")
    return "\n".join(parts)


def stopping(units: list[Unit], names=("oracle", "discrepancy", "gcv", "sure", "rwy")) -> str:
    """Median stopping times by n, their slope, and the slope that the decay predicts."""
    rows, sizes = [], all_sizes(units)
    for u in units:
        decay = u.slopes()["decay alone"]
        for name in names:
            if not u.rule(name):
                continue
            etas = at(u.rule(name), "eta_median", default=[])
            rows.append([u.run, u.kernel, u.label, f"`{name}`",
                         *by_size(u, sizes, ["∞" if eta is None else text(eta) for eta in etas]),
                         of_interval(at(u.rule(name), "eta_slope")),
                         text(None if decay is None else -decay)])
    return table(["run", "kernel", "labels", "rule", *(f"n = {n}" for n in sizes),
                  "slope, measured", "alpha/(alpha + 1)"], rows)


def evaluation_sets(units: list[Unit]) -> str:
    """The best stop on the rows of evaluation sets, empty where there are none."""
    rows, sizes = [], all_sizes(units)
    for u in units:
        for name, judged in (at(u.study, "evaluate", default={}) or {}).items():
            of = {r.get("rule"): r for r in at(judged, "rules", default=[])}
            oracle = of.get("oracle", {})
            risks = [text(v) for v in numbers(at(oracle, "risk", default=[]))]
            never = at(of, "never", "to_oracle", default=[])
            rows.append([u.run, u.kernel, u.label, name, *by_size(u, sizes, risks),
                         of_interval(at(oracle, "slope")), text(never[-1] if never else None)])
    return table(["run", "kernel", "labels", "set", *(f"n = {n}" for n in sizes), "slope",
                  "never stopping / best, largest n"], rows) if rows else ""


def agreements(units: list[Unit]) -> str:
    """By run and label set, and over everything."""
    groups: dict[tuple[str, str], list[Unit]] = {}
    for u in units:
        groups.setdefault((u.run, u.label), []).append(u)
    named = [(*key, group) for key, group in groups.items()]
    if len(named) > 1:
        named.append(("all", "all", units))
    return table(
        ["run", "labels", "kernels", "Spearman: decay alone", "plug-in",
         "mean slope error: decay alone", "plug-in", "mean risk error: plug-in", "corrected",
         "corrected intervals hold"],
        [[run, label, *_agreement_cells(agreement(group))] for run, label, group in named])


def _agreement_cells(a: Agreement) -> list[str]:
    return [str(a.units), text(a.spearman_decay, 2), text(a.spearman_plug_in, 2),
            text(a.slope_error_decay, 2), text(a.slope_error_plug_in, 2),
            percent(a.risk_error_plug_in), percent(a.risk_error_corrected), percent(a.covered)]


def biases(units: list[Unit]) -> str:
    """By kernel, over runs and label sets: what the predictions are off by on average."""
    groups: dict[str, list[Unit]] = {}
    for u in units:
        groups.setdefault(u.kernel, []).append(u)
    named = [*groups.items(), *([("all", units)] if len(groups) > 1 else [])]
    return table(
        ["kernel", "units", "spread of the diagonal", "plug-in", "leave-one-out", "corrected"],
        [[kernel, str(b.units), text(b.diagonal_cv, 2), percent(b.plug_in),
          percent(b.leave_one_out), percent(b.corrected)]
         for kernel, b in ((kernel, bias(group)) for kernel, group in named)])


def head_draws(units: list[Unit]) -> str:
    """Mean and range over head draws, empty where no two runs differ in the head's seed alone."""
    rows = []
    for (run, kernel, label), group in heads(units).items():
        cells = []
        for values in ([u.risks()["measured"] for u in group],
                       [u.slopes()["measured"] for u in group],
                       [u.slopes()["plug-in"] for u in group]):
            there = [v for v in values if v is not None]
            cells.append(
                interval(sum(there) / len(there), min(there), max(there)) if there else DASH)
        rows.append([run, kernel, label, len(group), *cells])
    header = ["first run", "kernel", "labels", "heads", "risk of the best stop at the largest n",
              "slope, measured", "plug-in"]
    return table(header, rows) if rows else ""


def tab_separated(units: list[Unit]) -> str:
    """One line a unit, full precision, empty where there is no number."""
    def cell(value):
        value = number(value)
        return "" if value is None else repr(value)
    header = ["run", "kernel", "labels", "n", "alpha", "decay_slope", "plug_in_slope",
              "plug_in_slope_low", "plug_in_slope_high", "measured_slope", "measured_slope_low",
              "measured_slope_high", "measured_risk", "measured_low", "measured_high",
              "plug_in_risk", "corrected_risk", "corrected_low", "corrected_high", "covered",
              "never_to_oracle", "null_to_oracle", "in_sample_risk"]  # fmt: skip
    lines = ["\t".join(header)]
    for u in units:
        oracle, plug_in = u.rule("oracle"), at(u.study, "plug_in", default={})
        c = at(u.study, "corrected", default={})
        slopes = [at(place, "slope", key) for place in (plug_in, oracle)
                  for key in ("value", "low", "high")]
        values = [at(u.report, "decay", "alpha"), u.slopes()["decay alone"], *slopes,
                  *(u.at_largest("oracle", key) for key in ("risk", "low", "high")),
                  u.risks()["plug-in"], *(c.get(key) for key in ("risk", "low", "high", "covered")),
                  u.at_largest("never", "to_oracle"), u.at_largest("null", "to_oracle"),
                  u.at_largest("oracle", "in_sample")]  # fmt: skip
        lines.append("\t".join([u.run, u.kernel, u.label, str(u.sizes[-1]), *map(cell, values)]))
    return "\n".join(lines) + "\n"


def document(units: list[Unit], kernel: str) -> str:
    """The whole comparison; `kernel` is the one whose curves and rules are shown in full."""
    shown = [u for u in units if u.kernel == kernel]
    parts = [
        ("Learning curves", "Risk of the best stop on the test rows (in brackets 95 % intervals), "
         "the slope of log risk on log n, and what predicts it.", curves(shown)),
        ("The largest n", "Predicted from the training rows alone.", at_largest(shown)),
        ("Stopping rules at the largest n", "", rules(shown)),
        ("Evaluation sets", "Risk of the best stop for each, from the same training sets.",
         evaluation_sets(shown)),
        ("Stopping times", "Medians over training sets, in units of 1/eigenvalue of K/n.",
         stopping(shown)),
        ("Predicted against measured, kernel by kernel", "",
         curves(units) + "\n" + at_largest(units)),
        ("How well predictions agree", "Over the kernels of a run and label set: rank correlation "
         "of predicted and measured slopes, mean absolute errors of slopes and of risks at the "
         "largest n.", agreements(units)),
        ("What predictions are off by", "Mean relative risk errors at the largest n, with their "
         "sign: of the plug-in curve, of the same from leave-one-out errors (each row by its own "
         "leverage), and corrected. A diagonal of little spread leaves rows of like leverage.",
         biases(units)),
        ("Head draws", "Mean and range over runs that differ in the head's seed alone.",
         head_draws(units)),
    ]
    return "\n".join(f"## {title}\n\n" + (f"{lead}\n\n" if lead else "") + body
                     for title, lead, body in parts if body)
