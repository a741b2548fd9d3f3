"""Reads a report of a sanitizer or of libFuzzer from standard input and says whose code it is about:
the name of a shared library, or "ours". What a library writes beyond memory that we gave it counts
as ours."""

import re
import sys

FRAME = re.compile(r"^\s+#\d+ 0x[0-9a-f]+\s+(?:in (?P<function>.*?) )?(?P<place>\S+?)(?: \(BuildId.*)?$")
LIBRARY = re.compile(r"^\(/\S*/(lib[\w.+-]+?)\.so")
RUNTIME = re.compile(r"^\(|^[^/]|/include/c\+\+/")  # libFuzzer, sanitizers, libc, C++ headers
C_LIBRARIES = ("libc", "libstdc++", "libgcc_s", "libm", "ld-linux-x86-64")


def owner(lines):
    """Of the first stack in `lines`: its innermost frame that no runtime library put there."""
    inside = False
    for line in lines:
        frame = FRAME.match(line)
        if frame is None:
            if inside:
                break
            continue
        inside = True
        library = LIBRARY.match(frame["place"])
        if library is not None and library[1] not in C_LIBRARIES:
            return library[1]
        if library is None and RUNTIME.search(frame["place"]) is None:
            return "ours"
    return None


def culprit(report):
    lines = report.splitlines()
    where = owner(lines)
    for number, line in enumerate(lines):
        if "allocated by" in line and owner(lines[number:]) == "ours":
            where = "ours"
    return where or "ours"


if __name__ == "__main__":
    print(culprit(sys.stdin.read()))
