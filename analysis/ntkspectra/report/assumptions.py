"""Which assumptions hold here: what theory asks for, what this run says about it."""

from __future__ import annotations

from .blocks import paragraph, table
from .decay import fits_of
from .numbers import at, number, text
from .rundata import KernelData

HOLDS, FAILS, UNTESTED = "holds", "fails", "not tested"
DRIFT = 0.1  # of alpha between its windows: the program's own limit for its caveat


def _trace_class(kernel: KernelData) -> list:
    alpha = at(kernel.report, "decay", "alpha")
    share = text(at(kernel.report, "spectrum", "centred", "trace"))
    return ["Finite trace (trace-class kernel), alpha > 1",
            f"alpha = {text(alpha)}, but its estimate cannot come out below 1; trace of the centred "
            f"K/n: {share}", UNTESTED + ": assumed by the estimate"]  # fmt: skip


def _power_law(kernel: KernelData) -> list:
    decay = at(kernel.report, "decay", default={})
    drift, found = number(at(decay, "alpha_drift")), at(decay, "plateau", "found")
    evidence = str(at(decay, "plateau", "text", default="no laws were fitted"))
    if drift is not None:
        evidence += f"; alpha drifts by {text(drift)} between its windows"
    verdict = UNTESTED
    if found:
        verdict = HOLDS
    elif found is False or (drift is not None and abs(drift) > DRIFT):
        verdict = FAILS
    return ["Power law of the eigenvalues (a plateau of the local exponent)", evidence, verdict]


def _gaussian(kernel: KernelData) -> list:
    fits = [f for f in fits_of(kernel) if number(f.get("draws"))]
    accepted = [str(f.get("law")) for f in fits if f.get("accepted") is True]
    name = "Gaussian features (draws of a law look like the kernel)"
    if not fits:
        return [name, "no law was drawn from", UNTESTED]
    if accepted:
        return [name, f"draws of {', '.join(accepted)} pass its statistics of the eigenvalues",
                HOLDS + " as far as these statistics see"]  # fmt: skip
    return [name, f"draws of none of {len(fits)} laws pass: either features are not Gaussian or no "
            "law here is the kernel's", FAILS + " for these laws"]  # fmt: skip


def _rkhs(label: dict) -> list:
    growth, name = label.get("growth"), label.get("name")
    value = number(growth)
    row = f"Target in the RKHS: {name}"
    if value is None:
        return [row, "the growth of its norm was not measured", UNTESTED]
    inside = at(growth, "target_in_rkhs")
    return [row, f"squared norm of the fit grows by a factor {text(value)} from "
            f"{text((number(at(growth, 'rows')) or 0) / 2)} to {text(at(growth, 'rows'))} rows (limit "
            "1.2)", HOLDS if inside else FAILS]  # fmt: skip


def _noise(label: dict) -> list:
    noise = label.get("noise_variance")
    rule = str(at(noise, "rule", default=""))
    evidence = (
        f"{text(noise)} y² by {rule or 'an unknown rule'}; the residual of the fit at the GCV stop "
        f"looks like {text(label.get('effective_noise'))} y²"
    )
    known = rule.startswith(("data", "number"))
    verdict = HOLDS + ": given" if known else FAILS + ": estimated, unresolved signal counts as noise"
    return [f"Known noise variance: {label.get('name')}", evidence,
            verdict if rule else UNTESTED]  # fmt: skip


def _split(kernel: KernelData) -> list:
    curves = at(kernel.report, "learning_curves")
    name = "Test rows independent of training rows"
    if curves is None:
        return [name, "no learning curves were measured", UNTESTED]
    if at(curves, "groups_kept_whole"):
        return [name, "groups of the data file are kept whole; whether they are the right ones is not "
                "tested", HOLDS + " by the design of the split"]  # fmt: skip
    return [name, "the data file has no groups, single rows were divided", UNTESTED]


def _resolved(kernel: KernelData) -> list:
    spectrum = at(kernel.report, "spectrum", default={})
    resolved, modes = number(spectrum.get("resolved")), number(spectrum.get("modes"))
    name = "Eigenvalues clear of the arithmetic's error"
    if resolved is None or modes is None:
        return [name, "the resolved rank is not known", UNTESTED]
    return [name, f"resolved to rank {text(resolved)} of {text(modes)} modes",
            HOLDS if resolved >= modes else f"{FAILS} beyond rank {text(resolved)}"]  # fmt: skip


def assumptions(kernel: KernelData) -> list[dict]:
    rows = [_trace_class(kernel), _power_law(kernel), _gaussian(kernel), _resolved(kernel)]
    labels = kernel.label_sets()
    for label in labels:
        rows += [_rkhs(label), _noise(label)]
    if not labels:
        rows += [["Target in the RKHS", "there are no labels", UNTESTED],
                 ["Known noise variance", "there are no labels", UNTESTED]]  # fmt: skip
    rows += [
        _split(kernel),
        ["Squared loss and plain gradient descent",
         "every curve and stopping time here is that of the gradient flow on squared loss, in closed "
         "form; nothing was trained", UNTESTED + ": by construction"],
        ["Lazy regime (the kernel stays as it is while the network is trained)",
         "only the kernel at the given weights was computed", UNTESTED + " here"],
    ]  # fmt: skip
    return [
        table("Assumptions, their evidence in this run, and what follows.",
              ["assumption", "evidence", "verdict"], rows),
        paragraph("“Holds” means not contradicted by this run's evidence, at this n."),
    ]  # fmt: skip
