"""The numbers of every report in tables, and the comparison of kernels."""

from __future__ import annotations

from .blocks import Unavailable, beside, guarded, table
from .headline import last
from .numbers import at, interval, number, of_interval, percent, text, with_error
from .rundata import KernelData, RunData

EXPONENTS = ("alpha", "alpha_low", "alpha_high", "alpha_rank", "alpha_rank_all")


def spectrum_table(kernel: KernelData) -> list[dict]:
    report = kernel.report
    rows = [["samples", text(at(report, "kernel", "samples")), ""],
            ["outputs (rows a sample)", text(at(report, "kernel", "rows_per_sample")), ""],
            ["order n", text(at(report, "kernel", "n")), ""]]  # fmt: skip
    for key, name, show in (
        ("trace", "trace (of K/n)", text), ("l_1", "l_1 (of K/n)", text),
        ("l_1_share", "l_1 / trace", percent), ("stable_rank", "stable rank (modes)", text),
        ("participation_ratio", "participation ratio (modes)", text),
    ):  # fmt: skip
        rows.append([name] + [show(at(report, "spectrum", f, key)) for f in ("raw", "centred")])
    for key, name in (("modes", "modes"), ("resolved", "resolved rank"), ("floor", "noise floor")):
        rows.append([name, "", text(at(report, "spectrum", key))])
    f0 = at(report, "kernel", "f0", default="not stated")
    return [table(f"Size and spectrum. f0: {f0}.", ["", "raw", "centred"], rows)]


def exponent_table(kernel: KernelData) -> list[dict]:
    decay = kernel.part("decay")
    fits = [(name, decay.get(name)) for name in EXPONENTS]
    fits += [("local slope", fit) for fit in at(decay, "local_slopes", default=[])]
    rows = []
    for name, fit in fits:
        low, high = at(fit, "window", default=[None, None])
        rows.append([
            name, with_error(fit), text(at(fit, "sd"), 1), f"{text(low)} to {text(high)}",
            text(at(fit, "points")), text(at(fit, "rms"), 2),
            str(at(fit, "rule", default="not there: too few modes"))])  # fmt: skip
    for name in ("alpha_drift", "worst_case_exponent", "agreeing_rank"):
        fit = decay.get(name)
        rows.append([name, text(fit), text(None), "", "", "",
                     str(at(fit, "rule", default="not there"))])  # fmt: skip
    for label in kernel.label_sets():
        for name, fit in at(label, "target", "predictions", default={}).items():
            low, high = at(fit, "window", default=[None, None])
            rows.append([f"{label.get('name')}: risk, {name.replace('_', ' ')}", of_interval(fit), "",
                         f"{text(low)} to {text(high)}", "", "",
                         str(at(fit, "rule", default="not there"))])  # fmt: skip
    for fit in at(decay, "stretched", default=[]):
        low, high = at(fit, "window", default=[None, None])
        rows.append([f"stretched: g = {text(at(fit, 'g'))}", f"s = {text(at(fit, 's'))}", text(None),
                     f"{text(low)} to {text(high)}", "", text(at(fit, "rms"), 2),
                     "log l_k = c − s (k^g − 1)/g"])  # fmt: skip
    kind = at(decay, "verdict", "kind", default="none")
    return [table(f"Exponents with their windows. First cut of the kind of decay: {kind}.",
                  ["", "value", "sd", "window", "points", "rms", "rule"], rows)]  # fmt: skip


def label_table(kernel: KernelData) -> list[dict]:
    kernel.report
    labels = kernel.label_sets()
    if not labels:
        raise Unavailable("theory.json has no label sets for this kernel")
    rows = []
    for label in labels:
        rows.append([
            str(label.get("name")), text(label.get("label_variance")),
            text(label.get("noise_variance")),
            str(at(label, "noise_variance", "rule", default="")).split(":")[0],
            with_error(label.get("effective_noise")), text(label.get("signal_variance")),
            with_error(label.get("rkhs_norm2")), text(label.get("growth")),
            text(at(label, "plug_in", "slope"))])  # fmt: skip
    means = at(kernel.report, "label_means")
    if means:
        rows.append(["mean", *(text(means.get(k)) for k in ("label_variance", "noise_variance")), "",
                     *(text(means.get(k)) for k in ("effective_noise", "signal_variance", "rkhs_norm2")),
                     "", ""])  # fmt: skip
    return [table(
        "Labels. Variances in y², σ² is the noise variance; norm in y²/eigenvalue of K/n.",
        ["label set", "variance", "σ²", "σ² from", "effective noise", "signal", "RKHS norm²",
         "its growth (m/2 to m)", "plug-in slope"], rows)]  # fmt: skip


def tables(kernel: KernelData) -> list[dict]:
    sizes, exponents, labels = (
        guarded(lambda make=make: make(kernel))
        for make in (spectrum_table, exponent_table, label_table)
    )
    return [beside(sizes, labels), *exponents]


def comparison(data: RunData, names: list[str]) -> list[dict]:
    """One row a kernel."""
    rows = []
    for name in names:
        kernel = KernelData(data, name)
        try:
            report = kernel.report
        except Unavailable as error:
            rows.append([name, f"not available because {error}"] + [text(None)] * 7)
            continue
        label = next(iter(kernel.label_sets()), {})
        study = next(iter(kernel.studies()), {})
        oracle = kernel.rule("oracle", study.get("name")) or {}
        never = kernel.rule("never", study.get("name")) or {}
        ratio = number(last(never.get("to_oracle")))
        rows.append([
            name, str(at(report, "decay", "plateau", "text", default="no laws were fitted")),
            text(at(report, "spectrum", "centred", "trace")),
            percent(at(report, "spectrum", "centred", "l_1_share")),
            " ".join([text(at(report, "decay", "alpha")),
                      f"± {text(at(report, 'decay', 'alpha', 'sd'), 1)}"
                      if number(at(report, "decay", "alpha", "sd")) is not None else ""]).strip(),
            interval(last(oracle.get("risk")), last(oracle.get("low")), last(oracle.get("high"))),
            text(last(at(study, "plug_in", "risk"))),
            percent(None if ratio is None else ratio - 1), text(label.get("growth"))])  # fmt: skip
    n = last(KernelData(data, names[0]).sizes()) if data.theory else None
    return [table(
        "Kernels side by side, first label set; risks out of sample in y²"
        + (f", n = {n}." if n else "."),
        ["kernel", "decay", "trace (centred K/n)", "l_1/trace", "alpha", "oracle risk, measured",
         "plug-in from training rows", "never stopping costs", "growth of the norm²"], rows)]  # fmt: skip
