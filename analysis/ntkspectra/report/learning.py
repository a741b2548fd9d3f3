"""Learning curves: figure and table of rules for each label set."""

from __future__ import annotations

from . import classes
from .blocks import Unavailable, beside, figure, folded, missing, paragraph, table
from .figures import learning_curves as drawing
from .figures import risk_path
from .headline import last, risk_name
from .numbers import at, interval, number, of_interval, percent, text
from .rundata import KernelData

MOST_FIGURES = 6  # label sets with a figure of their own


def _names(kernel: KernelData) -> list[str]:
    names = [str(s.get("name")) for s in kernel.label_sets()]
    return names + [n for n in (str(s.get("name")) for s in kernel.studies()) if n not in names]


def rules_table(kernel: KernelData, study: dict) -> dict:
    rows = []
    for rule in at(study, "rules", default=[]):
        eta = last(rule.get("eta_median"))
        rows.append([
            str(rule.get("rule")),
            interval(last(rule.get("risk")), last(rule.get("low")), last(rule.get("high"))),
            text(last(rule.get("in_sample"))),
            "1" if rule.get("rule") == "oracle" else interval(
                last(rule.get("to_oracle")), last(rule.get("to_oracle_low")),
                last(rule.get("to_oracle_high"))),
            "never (∞)" if eta is None else text(eta),
        ])  # fmt: skip
    n = last(kernel.sizes())
    return table(
        f"Rules at n = {n}: {risk_name(study)} in y², means over "
        f"{text(at(kernel.report, 'learning_curves', 'seeds'))} training sets, with 95 % intervals. "
        "η is the median stopping time, in 1/eigenvalue of K/n.",
        ["rule", "out of sample", "in sample", "ratio to oracle, out of sample", "η"],
        rows,
    )


def _details(kernel: KernelData, study: dict) -> list[dict]:
    sizes = kernel.sizes()
    risks, slopes = [], []
    for rule in at(study, "rules", default=[]):
        triples = zip(rule.get("risk", []), rule.get("low", []), rule.get("high", []))
        risks.append([str(rule.get("rule"))] + [interval(*t) for t in triples])
        slopes.append([
            str(rule.get("rule")), str(rule.get("meaning")), of_interval(rule.get("slope")),
            ", ".join(text(s, 2) for s in rule.get("local_slopes", [])) or text(None),
            text(rule.get("in_sample_slope")),
        ])  # fmt: skip
    plug_in, corrected = study.get("plug_in"), study.get("corrected")
    if plug_in:
        triples = zip(plug_in["risk"], plug_in["low"], plug_in["high"])
        risks.append(["plug-in, predicted"] + [interval(*t) for t in triples])
    blocks = [
        table("Out-of-sample risk (y²) at every n, with 95 % intervals.",
              ["rule"] + [f"n = {n}" for n in sizes], risks),
        table("Slopes of log risk on log n; local ones between neighbouring sizes.",
              ["rule", "stops at", "slope, out of sample", "local slopes", "slope, in sample"],
              slopes),
    ]  # fmt: skip
    if corrected:
        blocks.append(table(
            f"Corrected prediction: {at(corrected, 'rule', default='')}.",
            ["n", "predicted (y²)", "measured (y²)", "error", "error of the plug-in",
             "error of the leave-one-out curve", "scatter of draws", "intervals that hold the measured value"],
            [[text(at(corrected, "n")),
              interval(at(corrected, "risk"), at(corrected, "low"), at(corrected, "high")),
              text(at(corrected, "measured")), percent(at(corrected, "error")),
              percent(at(corrected, "plug_in_error")),
              percent(at(corrected, "leave_one_out_error")), percent(at(corrected, "scatter")),
              percent(at(corrected, "covered"))]]))  # fmt: skip
    else:
        blocks.append(missing("theory.json has no corrected prediction for this label set"))
    return blocks


def _plug_in_table(label: dict) -> dict:
    points = at(label, "plug_in", "curve", default=[])
    rows = [
        [text(at(p, "n")), text(at(p, "risk")), text(at(p, "standard_error"), 2), text(at(p, "df")),
         percent(at(p, "noise_share")), text(at(p, "never_stopping"))]
        for p in points
    ]  # fmt: skip
    return table(
        "Plug-in curve from all rows: predicted out-of-sample excess risk. A dash: less than twice "
        "its standard error, not stated.",
        ["n", "risk (y²)", "standard error by label noise (y²)", "df (modes)", "of it label noise",
         "without stopping (y²)"],
        rows)  # fmt: skip


def one_label(kernel: KernelData, name: str, number_of: int) -> list[dict]:
    label = next((s for s in kernel.label_sets() if str(s.get("name")) == name), None)
    study = next((s for s in kernel.studies() if str(s.get("name")) == name), None)
    worst = number(at(kernel.report, "decay", "worst_case_exponent"))
    drawn = None
    if number_of < MOST_FIGURES:
        drawn = drawing.draw(
            kernel.sizes() if study else [], study, label, worst, f"{risk_name(study)} (y²)"
        )
    left: list[dict] = []
    if drawn is not None:
        left.append(figure(
            f"learning-curve-{number_of + 1}", drawn,
            f"Learning curve of {name}, out of sample, log-log. Bands and bars are 95 % intervals, "
            "those of the plug-in from all rows one standard error by label noise. The plug-in and "
            "its correction see no label of a test row; the plug-in from all rows does. The worst "
            "case has the slope of theory and starts at the first point: a guide, not a bound."
            + ("" if at(study, "excess", default=True) else
               " Measured errors contain the labels' noise, which is not known; the plug-in is an "
               "excess risk: compare slopes, not levels."),
            f"Out-of-sample risk against training samples for {name}"))  # fmt: skip
    elif number_of >= MOST_FIGURES:
        left.append(missing(f"figures are made of the first {MOST_FIGURES} label sets only"))
    else:
        left.append(missing("no risk of this label set is a positive number"))
    right: list[dict] = []
    if study and study.get("rules"):
        right += [rules_table(kernel, study), paragraph(_judge(kernel, study))]
    else:
        right.append(missing("no rules were measured for this label set " + _why(kernel)))
    if label:
        right.append(_plug_in_table(label))
    if number_of < MOST_FIGURES and at(study, "path"):
        left += _path(name, number_of, study)
    blocks = [beside(left, right)]
    if study and study.get("rules"):
        blocks.append(folded(f"All sizes and slopes: {name}", _details(kernel, study)))
    return blocks


def _path(name: str, number_of: int, study: dict) -> list[dict]:
    path = study["path"]
    drawn = risk_path.draw(path, f"{risk_name(study)} (y²)")
    if drawn is None:
        return []
    return [figure(
        f"risk-path-{number_of + 1}", drawn,
        f"One training set of n = {text(at(path, 'n'))}: risk along the path for {name}, and where "
        "each rule stops. In sample the rows that were trained on are judged by their references.",
        f"Risk against total step size for {name}")]  # fmt: skip


def _judge(kernel: KernelData, study: dict) -> str:
    curves = at(kernel.report, "learning_curves", default={})
    judged = at(study, "judged_by", default="labels")
    split = "groups kept whole" if at(curves, "groups_kept_whole") else "single rows"
    noise = "" if at(study, "excess", default=True) else " Their noise is unknown and stays in it."
    return (
        f"Out of sample: {text(at(curves, 'test_rows'))} test rows in "
        f"{text(at(curves, 'test_parts'))} parts ({split}), the same for all draws, judged by their "
        f"{judged}.{noise} In sample: the training rows, judged by their reference; a dash where "
        "there is none. Intervals do not contain that all training sets come from one pool of "
        f"{text(at(curves, 'pool_rows'))} rows."
    )


def _why(kernel: KernelData) -> str:
    limits = [str(line) for line in at(kernel.report, "limits", default=[])]
    told = [line for line in limits if "learning curve" in line]
    return f"({'; '.join(told)})" if told else "(learning_curves is null in theory.json)"


def learning(kernel: KernelData) -> list[dict]:
    kernel.report  # says why where there is none
    names = _names(kernel)
    if not names:
        raise Unavailable("theory.json has no label sets for this kernel " + _why(kernel))
    blocks = classes.of_curves(kernel) + one_label(kernel, names[0], 0)
    means = at(kernel.report, "label_means")
    if means:
        blocks.append(folded(f"Mean over {text(at(means, 'label_sets'))} label sets", [
            _plug_in_table({"plug_in": means.get("plug_in")})]))  # fmt: skip
    for place, name in enumerate(names[1:], 1):
        blocks.append(folded(f"Label set {name}", one_label(kernel, name, place)))
    return blocks
