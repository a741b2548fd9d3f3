"""ntk-compare: the command."""

from __future__ import annotations

import argparse
import pathlib
import sys

from ..complaint import FAILED, USAGE, complain, missing_package

COMMAND = "ntk-compare"


def _arguments(argv) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog=COMMAND,
        description="Tabulates the learning curves of several run directories side by side: "
        "comparison.md, units.tsv and figures.",
    )
    parser.add_argument("runs", metavar="RUN_DIR", nargs="+", help="directories with theory.json")
    parser.add_argument("-o", dest="output", metavar="FOLDER", required=True)
    parser.add_argument("--kernel", metavar="NAME", default="total",
                        help="the kernel whose rules are shown in full (total)")
    return parser.parse_args(argv)


def main(argv=None) -> int:
    arguments = _arguments(argv)
    try:
        from ..report.figures import style
        from . import figures, tables, units
    except ImportError as error:
        return missing_package(COMMAND, error)
    try:
        found = units.collect(arguments.runs)
    except (FileNotFoundError, ValueError) as error:
        return complain(COMMAND, error, USAGE)
    kernels = list(dict.fromkeys(u.kernel for u in found))
    if arguments.kernel not in kernels:
        return complain(COMMAND, f"no run has a kernel {arguments.kernel} (there are {', '.join(kernels)}) "
                         "name one of them with --kernel", USAGE)
    folder = pathlib.Path(arguments.output)
    shown = [u for u in found if u.kernel == arguments.kernel]
    try:
        folder.mkdir(parents=True, exist_ok=True)
        text = tables.document(found, arguments.kernel)
        (folder / "comparison.md").write_bytes(text.encode("utf-8", "replace"))
        (folder / "units.tsv").write_bytes(tables.tab_separated(found).encode("utf-8", "replace"))
        for name, figure in (("predicted_measured", figures.predicted_measured(found)),
                             ("stopping", figures.stopping(shown))):
            if figure is not None:
                style.to_png(figure, folder / f"{name}.png")
    except OSError as error:
        return complain(COMMAND, error, FAILED)
    print(tables.agreements(found))
    print(f"{len(found)} kernels and label sets of {len(arguments.runs)} runs in {folder}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
