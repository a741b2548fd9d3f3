"""Scree plot, local exponents and laws of decay."""

from __future__ import annotations

from .blocks import Unavailable, beside, figure, guarded, missing, paragraph, table
from .figures import exponents, spectrum
from .laws import LAWS, formula
from .numbers import at, number, text
from .rundata import KernelData

MOST_LAWS = 3


def fits_of(kernel: KernelData) -> list[dict]:
    fits = at(kernel.report, "decay", "laws", "fits", default=[])
    return [f for f in fits if isinstance(f, dict)]


def _drawable(fits: list[dict]) -> list[dict]:
    """What passed, the power law, and the least residuals, as far as a figure stays readable."""
    known = [f for f in fits if f.get("law") in LAWS and isinstance(f.get("parameters"), dict)]
    known = [f for f in known if all(number(v) is not None for v in f["parameters"].values())]
    known.sort(key=lambda f: (
        f.get("accepted") is not True, f["law"] != "power", number(f.get("rms")) or 1e9))  # fmt: skip
    return known[:MOST_LAWS]


def _windows(decay: dict | None) -> list[tuple[float, float, str]]:
    """Windows of the fits by rank, longest names first where they begin at the same rank."""
    found = []
    for fit, name in [(at(decay, "alpha_rank"), "rank line")] + [
        (f, "slope") for f in at(decay, "local_slopes", default=[])
    ]:
        low, high = (number(v) for v in at(fit, "window", default=[None, None]))
        if low and high and number(fit) is not None:
            found.append((low, high, f"{name} {text(fit, 2)}"))
    return found[:5]


def scree(kernel: KernelData) -> list[dict]:
    values, notes, attributes = {}, [], {}
    for form in ("raw", "centred"):
        try:
            values[form], found = kernel.data.spectrum(kernel.name, form)
            attributes = found  # those of the centred form where it is there
        except Unavailable as error:
            notes.append(missing(f"{form} eigenvalues: {error}"))
    if not values:
        return notes
    try:
        decay, fits = at(kernel.report, "decay"), _drawable(fits_of(kernel))
    except Unavailable as error:
        decay, fits = None, []
        notes.append(missing(f"laws and windows: {error}"))
    floor = number(_plain(attributes.get("floor_independent")))
    resolved = number(_plain(attributes.get("resolved")))
    drawn = spectrum.draw(values.get("raw"), values.get("centred"), fits, _windows(decay), floor,
                          int(resolved) if resolved else None)  # fmt: skip
    if drawn is None:
        raise Unavailable("no eigenvalue is positive")
    laws = (
        "Laws are drawn as L(k), the variances of a population: eigenvalues of a sample lie above "
        "them at the top and below them in the tail even where the law is true. "
        f"Shown: {', '.join(f['law'] for f in fits)}; parameters in the table of laws. "
        if fits
        else "No law was fitted. "
    )
    block = figure(
        "scree", drawn,
        "Eigenvalues of K/n against rank, log-log, raw and centred. " + laws +
        "Bars at the lower edge are windows of the lines through the eigenvalues by rank (their "
        f"slopes, biased at finite n). Noise floor {text(floor, 2)}; resolved (ten times the error "
        f"of an entry) to rank {text(resolved)}.",
        "Scree plot")  # fmt: skip
    return [beside([block], [_rank_table(decay), *notes])]


def _rank_table(decay: dict | None) -> dict:
    """The lines through the eigenvalues by rank: windows of the figure."""
    fits = [("alpha_rank", at(decay, "alpha_rank")), ("alpha_rank_all", at(decay, "alpha_rank_all"))]
    fits += [("local slope", fit) for fit in at(decay, "local_slopes", default=[])]
    if not any(number(fit) is not None for _, fit in fits):
        return missing("no line through the eigenvalues by rank was fitted")
    rows = [
        [name, text(fit), " to ".join(text(k) for k in at(fit, "window", default=[])),
         text(at(fit, "points")), text(at(fit, "rms"), 2)]
        for name, fit in fits
    ]  # fmt: skip
    return table("Lines through the centred eigenvalues by rank. Biased at finite n: the top is "
                 "inflated, the tail deflated. alpha_rank_all is the unweighted line that papers use.",
                 ["line", "exponent", "window of ranks", "ranks", "rms"], rows)  # fmt: skip


def _plain(value):
    return value.item() if hasattr(value, "item") else value


def exponents_section(kernel: KernelData) -> list[dict]:
    decay = kernel.part("decay")
    fits = {n: decay[n] for n in ("alpha", "alpha_low", "alpha_high") if isinstance(decay.get(n), dict)}

    def local() -> list[dict]:
        drawn = exponents.draw_local(at(decay, "local_exponents", default=[]), fits)
        if drawn is None:
            raise Unavailable("theory.json has no local exponents for this kernel")
        return [figure(
            "local-exponent", drawn,
            "Local exponent along the effective dimension, and alpha over its windows (horizontal "
            "extent) with its standard deviation (band): "
            f"{at(decay, 'sd_rule', default='no standard deviation was made')}. A power law would "
            "be a level line.", "Local exponent against rank")]  # fmt: skip

    def by_n() -> list[dict]:
        drawn = exponents.draw_by_n(at(decay, "alpha_by_n", default=[]))
        if drawn is None:
            raise Unavailable("alpha was not measured on parts of the rows (alpha_by_n is missing)")
        return [figure(
            "alpha-by-n", drawn,
            "alpha on random parts of the rows: a drift with n says that alpha is that of this n.",
            "alpha against n")]  # fmt: skip

    def over_windows() -> list[dict]:
        found = at(decay, "alpha_map", default={})
        drawn = exponents.draw_map(*(at(found, key, default=[]) for key in ("first", "last", "alpha")))
        if drawn is None:
            raise Unavailable("alpha_map is empty: too few resolved ranks")
        return [figure(
            "alpha-map", drawn,
            f"Exponent over windows of ranks ({at(found, 'rule', default='rank line')}). Rank lines "
            "are biased at finite n; what a power law needs is that neighbouring windows agree.",
            "Heat map of alpha over windows of ranks")]  # fmt: skip

    return [beside(guarded(local) + guarded(by_n), guarded(over_windows))]


def laws_section(kernel: KernelData) -> list[dict]:
    fits = fits_of(kernel)
    if not fits:
        limits = [str(line) for line in at(kernel.report, "limits", default=[]) if "law" in str(line)]
        why = "; ".join(limits) or "theory.law_draws = 0, too few modes, or a finite rank"
        raise Unavailable(f"no law of decay was fitted to this kernel ({why})")
    rows, checks = [], []
    for fit in fits:
        parameters = ", ".join(f"{k} = {text(v)}" for k, v in at(fit, "parameters", default={}).items())
        statistics = at(fit, "statistics", default=[])
        outside = [str(at(s, "name")) for s in statistics if at(s, "inside") is False]
        inside = [str(at(s, "name")) for s in statistics if at(s, "inside") is True]
        rows.append([
            str(fit.get("law")), formula(str(fit.get("law"))), parameters,
            text(fit.get("rms"), 2), text(fit.get("extrapolation_rms"), 2), text(fit.get("draws")),
            ", ".join(inside) or "none", ", ".join(outside) or "none",
            {True: "accepted", False: "rejected"}.get(fit.get("accepted"), "not drawn from"),
        ])  # fmt: skip
        for s in statistics:
            checks.append([
                str(fit.get("law")), str(at(s, "name")), text(at(s, "observed")),
                f"{text(at(s, 'low'))} to {text(at(s, 'high'))}",
                {True: "inside", False: "outside"}.get(at(s, "inside"), "not known"),
            ])  # fmt: skip
    rule = at(kernel.report, "decay", "laws", "rule", default="")
    return [
        table(f"Laws of decay on {text(at(kernel.report, 'decay', 'laws', 'rows'))} rows: {rule}.",
              ["law", "L(k)", "parameters", "residual (rms of log df)", "extrapolation residual",
               "draws", "statistics inside", "statistics outside", "verdict"], rows),
        paragraph("Few draws (8) mean that the first ones were eight standard deviations away. A law "
                  "that is accepted looks like the kernel by these statistics; it need not be the "
                  "truth."),
        {"kind": "folded", "title": "Every statistic against its draws", "blocks": [
            table("Statistics of the kernel and of draws from each law.",
                  ["law", "statistic", "kernel", "draws", "verdict"], checks)]},
    ]  # fmt: skip
