"""Puts the sections of all kernels together and renders the page."""

from __future__ import annotations

import pathlib
import re

import jinja2

from . import (
    assumptions,
    decay,
    evaluation,
    headline,
    kernel_order,
    learning,
    provenance,
    shares,
    stopping,
    tables,
)
from .blocks import guarded, missing
from .figures import style
from .rundata import KernelData, RunData

SECTIONS = (
    ("headline", "Headline", headline.headline),
    ("learning-curves", "Learning curves", learning.learning),
    ("evaluation-sets", "Evaluation sets", evaluation.evaluation),
    ("scree", "Eigenvalues", decay.scree),
    ("exponents", "Local exponent", decay.exponents_section),
    ("laws", "Laws of decay", decay.laws_section),
    ("shares", "Shares of the groups", shares.shares),
    ("stopping", "Stopping times", stopping.stopping),
    ("kernel-map", "Kernel heat map", kernel_order.heat_map),
    ("assumptions", "Which assumptions hold here", assumptions.assumptions),
    ("tables", "Tables", tables.tables),
)
OF_THE_RUN = ("shares",)  # the same for every kernel: told once


def _walk(blocks: list[dict]):
    for block in blocks:
        yield block
        for column in block.get("columns", []):
            yield from _walk(column)
        yield from _walk(block.get("blocks", []))


def _file_name(kernel: str, figure: str, place: int) -> str:
    safe = re.sub(r"[^A-Za-z0-9._-]+", "-", kernel).strip(".-") or f"kernel-{place + 1}"
    return f"{safe[:60]}-{figure}"


def _sections(kernel: KernelData, place: int, skip: tuple[str, ...], drawings: dict) -> list[dict]:
    result = []
    for key, title, make in SECTIONS:
        if key in skip:
            continue
        blocks = guarded(lambda make=make: make(kernel))
        for block in _walk(blocks):
            if block["kind"] != "figure":
                continue
            name = _file_name(kernel.name, block["name"], place)
            if name in drawings:  # two kernels whose names differ in odd characters only
                name = f"{name}-{place + 1}"
            drawing = block.pop("drawing")
            try:
                label = block["alt"] or block["name"]
                block["svg"] = style.to_svg(drawing, f"k{place}-{block['name']}", label)
                drawings[name] = drawing
            except (ArithmeticError, LookupError, TypeError, ValueError) as error:
                # Axes find out only now that their numbers cannot be drawn.
                why = f"its numbers cannot be drawn ({type(error).__name__}: {error})"
                block.update(missing(why))
        result.append({"id": f"k{place}-{key}", "title": title, "blocks": blocks})
    return result


def build(directory: str | pathlib.Path, kernel: str | None = None) -> tuple[str, dict]:
    """The page, and the figures by name. Raises FileNotFoundError for a wrong directory, KeyError
    for a kernel that is not there."""
    data = RunData(directory)
    names = data.kernels()
    if kernel is not None:
        if kernel not in names:
            raise KeyError(f"no kernel {kernel} in this run: it has {', '.join(names)}")
        names = [kernel]
    drawings: dict = {}
    kernels = [
        {
            "name": name,
            "sections": _sections(
                KernelData(data, name), place, () if place == 0 else OF_THE_RUN, drawings
            ),
        }
        for place, name in enumerate(names)
    ]
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("ntkspectra.report"),
        autoescape=True,  # every name comes from a file
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    text = environment.get_template("report.html.j2").render(
        title=data.directory.resolve().name,
        kernels=kernels,
        comparison=guarded(lambda: tables.comparison(data, names)) if len(names) > 1 else [],
        provenance=guarded(lambda: provenance.provenance(data)),
    )
    return text, drawings
