"""ntk-report: the command."""

from __future__ import annotations

import argparse
import pathlib
import sys

from ..complaint import FAILED, USAGE, complain, missing_package

COMMAND = "ntk-report"


def _arguments(argv) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog=COMMAND, description="Makes one self-contained HTML file of a run directory."
    )
    parser.add_argument("run", metavar="RUN_DIR", help="directory with kernel.h5, theory.json, ...")
    parser.add_argument("-o", dest="output", metavar="FILE", help="instead of RUN_DIR/report.html")
    parser.add_argument("--kernel", metavar="NAME", help="of this kernel only")
    parser.add_argument("--png", metavar="FOLDER", help="write the figures there as PNG files too")
    return parser.parse_args(argv)


def main(argv=None) -> int:
    arguments = _arguments(argv)
    try:
        from . import page
        from .figures import style
    except ImportError as error:
        return missing_package(COMMAND, error)
    try:
        text, drawings = page.build(arguments.run, arguments.kernel)
    except FileNotFoundError as error:
        return complain(COMMAND, error, USAGE)
    except KeyError as error:
        return complain(COMMAND, error.args[0], USAGE)
    output = pathlib.Path(arguments.output or pathlib.Path(arguments.run) / "report.html")
    try:
        # A lone surrogate in a name must not cost the report.
        output.write_bytes(text.encode("utf-8", "replace"))
        print(output)
        if arguments.png:
            folder = pathlib.Path(arguments.png)
            folder.mkdir(parents=True, exist_ok=True)
            for name, drawing in drawings.items():
                style.to_png(drawing, folder / f"{name}.png")
            print(f"{len(drawings)} figures in {folder}")
    except OSError as error:
        return complain(COMMAND, error, FAILED)
    return 0


if __name__ == "__main__":
    sys.exit(main())
