"""How the commands end where they cannot go on: one line on standard error, and an exit code."""

from __future__ import annotations

import sys

USAGE, FAILED = 2, 1


def complain(command: str, message, code: int) -> int:
    print(f"{command}: " + " ".join(str(message).split()), file=sys.stderr)
    return code


def missing_package(command: str, error: ImportError) -> int:
    advice = "`pip install` the analysis folder brings what it needs"
    return complain(command, f"{error}; {advice}", FAILED)
