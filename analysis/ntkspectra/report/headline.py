"""What one would quote: a few sentences, then what could not be said and what to keep in mind."""

from __future__ import annotations

from .blocks import bullets, missing, sentences
from .numbers import at, interval, number, of_interval, percent, text
from .rundata import KernelData

# Rules that need nothing a user does not have, unlike the oracles and the two ends of the path.
USABLE = ("discrepancy", "smoothed", "leave_one_out", "k_fold", "hold_out", "gcv", "sure", "rwy")


def risk_name(study: dict | None) -> str:
    """What the study's numbers are: risks, or errors that contain the labels' noise."""
    return "excess risk" if at(study, "excess", default=True) else "error with its label noise"


def _signed(part) -> str:
    return ("" if (number(part) or 0) < 0 else "+") + percent(part)


def last(values):
    return values[-1] if isinstance(values, list) and values else None


def _decay(kernel: KernelData) -> list[str]:
    decay = at(kernel.report, "decay")
    if decay is None:
        return []
    said = []
    plateau = at(decay, "plateau", "text")
    if plateau:
        said.append(f"Decay: {plateau}.")
    alpha = at(decay, "alpha")
    if number(alpha) is None:
        said.append("There is no exponent of the decay: the kernel has too few modes.")
    else:
        low, high = at(alpha, "window", default=[None, None])
        sd = number(at(alpha, "sd"))
        said.append(
            f"The effective dimension df ~ κ^(−1/alpha) gives the decay alpha = {text(alpha, 4)}"
            + (f" ± {text(sd, 1)} (sampling alone)" if sd is not None else "")
            + f" over df {text(low)} to {text(high)}; from the lower to the upper part of that window "
            f"alpha drifts by {text(at(decay, 'alpha_drift'))}, which is what it is uncertain by."
        )
    return said


def _measured(kernel: KernelData, study: dict) -> list[str]:
    oracle = kernel.rule("oracle", study.get("name"))
    if not oracle:
        return []
    n = last(kernel.sizes())
    said = [
        f"Measured: with n = {n} training samples the best stopping time (oracle) reaches an "
        f"out-of-sample {risk_name(study)} of "
        f"{interval(last(oracle['risk']), last(oracle['low']), last(oracle['high']))} y² "
        "(95 % interval)."
    ]
    plug_in, corrected = study.get("plug_in"), study.get("corrected")
    parts = []
    if plug_in:
        shown = interval(last(plug_in["risk"]), last(plug_in["low"]), last(plug_in["high"]))
        off = at(corrected, "plug_in_error")
        off = f", {_signed(off)} off the measured mean" if number(off) is not None else ""
        parts.append(f"the plug-in curve from the training rows alone gives {shown} y²{off}")
    if corrected:
        shown = interval(at(corrected, "risk"), at(corrected, "low"), at(corrected, "high"))
        parts.append(
            f"with each row's own leverage and corrected by the same rows' own halves it gives {shown} y², "
            f"{_signed(at(corrected, 'error'))} off; {percent(at(corrected, 'covered'))} of {at(corrected, 'draws')} intervals hold the "
            "measured value"
        )
    if parts:
        said.append("Predicted: " + "; ".join(parts) + ".")
    said.append(
        f"From n = {kernel.sizes()[0]} to {n} the measured risk falls as n to the power "
        f"{of_interval(oracle.get('slope'))}; the plug-in from training rows says "
        f"{of_interval(at(plug_in, 'slope'))}, the worst case of the decay alone "
        f"{text(at(kernel.report, 'decay', 'worst_case_exponent'))}."
    )
    return said


def _stopping(kernel: KernelData, name: str) -> list[str]:
    never = kernel.rule("never", name)
    if not never or number(last(never.get("to_oracle"))) is None:
        return []
    ratio = number(last(never["to_oracle"]))
    low, high = (number(last(never.get(k))) for k in ("to_oracle_low", "to_oracle_high"))
    said = f"Early stopping: never stopping costs {percent(ratio - 1)} more than the oracle stop"
    if low is not None and high is not None:
        said += f" (95 %: {percent(low - 1)} to {percent(high - 1)})"
    usable = [
        (number(last(rule["to_oracle"])), rule["rule"])
        for rule in (kernel.rule(key, name) for key in USABLE)
        if rule and number(last(rule.get("to_oracle"))) is not None
    ]
    if usable:
        best, worst = min(usable), max(usable)
        said += (
            f"; rules that need no oracle lose from {percent(best[0] - 1)} ({best[1]}) to "
            f"{percent(worst[0] - 1)} ({worst[1]})"
        )
    null = number(last(at(kernel.rule("null", name), "to_oracle")))
    if null is not None:
        said += f"; predicting the mean alone loses {percent(null - 1)}"
    return [said + ". All at the largest n, out of sample."]


def _growth(label: dict) -> list[str]:
    growth = label.get("growth")
    value = number(growth)
    if value is None:
        return [f"Whether {label.get('name')} lies in the RKHS was not measured."]
    meaning = (
        "little, as for a target in the RKHS"
        if at(growth, "target_in_rkhs")
        else "more than 1.2, so at this n the target does not look as if it were in the RKHS: "
        "bounds that rest on its norm are heuristics here"
    )
    return [
        f"Norm: twice the rows multiply the squared RKHS norm of the fit by {text(value)}: {meaning}."
    ]


def headline(kernel: KernelData) -> list[dict]:
    report = kernel.report
    said = _decay(kernel)
    labels = kernel.label_sets()
    study = next(iter(kernel.studies()), None)
    # What is said on norms belongs to the label set whose risks are told.
    labels.sort(key=lambda label: study is not None and label.get("name") != study.get("name"))
    if study:
        said += _measured(kernel, study)
        said += _stopping(kernel, study.get("name"))
    elif labels:
        point = last(at(labels[0], "plug_in", "curve", default=[]))
        said.append(
            f"Predicted from all rows: excess risk {text(at(point, 'risk'))} ± "
            f"{text(at(point, 'standard_error'), 2)} y² at n = {text(at(point, 'n'))} (± by label "
            "noise alone). Nothing was measured beside it."
        )
    if labels:
        said += _growth(labels[0])
        if len(labels) > 1:
            names = ", ".join(str(label.get("name")) for label in labels[1:])
            said.append(f"These are of {labels[0].get('name')}; other label sets below: {names}.")
    blocks = [sentences(said)] if said else []
    if not labels:
        blocks.append(missing("theory.json has no label sets for this kernel: no risk is stated"))
    blocks.append(bullets("Limits: what could not be said", _lines(report, "limits")))
    blocks.append(bullets("Caveats: what to keep in mind", _lines(report, "caveats")))
    return blocks


def _lines(report: dict, key: str) -> list[str]:
    return [str(line) for line in at(report, key, default=[])]
