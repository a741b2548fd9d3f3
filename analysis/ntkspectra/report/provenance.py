"""Where the numbers come from: versions, job, timings, identity of the kernel."""

from __future__ import annotations

from .blocks import Unavailable, facts, folded, guarded, missing, preformatted, table
from .numbers import at, number, text
from .rundata import RunData

IDENTITY = ("identity", "job")  # long ones with a place of their own


def _summary(data: RunData) -> list[dict]:
    if data.no_summary:
        return [missing(data.no_summary)]
    summary = data.summary
    rows = [[key, str(summary[key])] for key in ("status", "exit_code", "error", "started", "ended",
                                                "ranks", "threads") if key in summary]  # fmt: skip
    blocks = [facts("Last command (summary.json).", "value", rows)]
    rows = []
    for stage in ("kernel", "spectrum", "theory"):
        made = at(summary, stage, "made")
        if at(summary, stage) is None:
            continue
        rows.append([stage, text(at(made, "ranks")), text(at(made, "threads")),
                     str(at(made, "ended", default="not stated")),
                     text(at(summary, "timings", stage)),
                     "yes" if at(summary, stage, "reused") else "no"])  # fmt: skip
    blocks.append(table("Stages, by the commands that made their output.",
                        ["stage", "ranks", "threads", "ended (UTC)", "time (s)", "found there"], rows))  # fmt: skip
    versions = at(summary, "versions", default={})
    blocks.append(folded("Versions and timings of the last command", [
        facts("Versions.", "version", [[k, str(v)] for k, v in sorted(versions.items())]),
        table("Timings.", ["", "seconds"],
              [[k, text(v)] for k, v in sorted(at(summary, "timings", default={}).items())
               if number(v) is not None])]))  # fmt: skip
    return blocks


def _kernel(data: RunData) -> list[dict]:
    attributes = data.attributes("kernel.h5")
    error = {}
    with data.open("kernel.h5") as file:
        for name in ("delta", "rms", "largest"):
            if f"error/{name}" in file:
                error[name] = float(file[f"error/{name}"][()])
    rows = [[k, v] for k, v in sorted(attributes.items()) if k not in IDENTITY]
    measured = (
        f"Measured error of an entry: {text(error.get('delta'))} rms, {text(error.get('largest'))} at "
        f"most, where entries have rms {text(error.get('rms'))}."
        if error
        else "The error of the entries was not measured."
    )
    blocks = [folded("What the kernel depends on (attributes of kernel.h5)",
                     [facts(measured, "value", rows)])]  # fmt: skip
    if attributes.get("job"):
        blocks.append(folded("Job of the kernel", [preformatted(attributes["job"])]))
    return blocks


def _theory(data: RunData) -> list[dict]:
    if data.no_theory:
        raise Unavailable(data.no_theory)
    settings = at(data.theory, "settings", default={})
    rows = [[key, str(settings[key])] for key in sorted(settings)]
    rows.append(["fingerprint", str(data.theory.get("fingerprint"))])
    rows.append(["format version", str(data.theory.get("format_version"))])
    return [folded("Settings of the theory", [facts("theory.json.", "value", rows)])]


def provenance(data: RunData) -> list[dict]:
    blocks = []
    for make in (_summary, _kernel, _theory):
        blocks += guarded(lambda make=make: make(data))
    if isinstance(at(data.summary, "job"), str):
        blocks.append(folded("Job of the last command", [preformatted(data.summary["job"])]))
    return blocks
