"""The parts that a page is made of. The template knows how each kind looks."""

from __future__ import annotations

from .numbers import DASH


class Unavailable(Exception):
    """A part cannot be made; the message completes "not available because ..."."""


def paragraph(text: str) -> dict:
    return {"kind": "paragraph", "text": text}


def sentences(items: list[str]) -> dict:
    return {"kind": "sentences", "items": items}


def bullets(title: str, items: list[str], empty: str = "none") -> dict:
    return {"kind": "list", "title": title, "items": items, "empty": empty}


def facts(caption: str, name: str, rows: list[list]) -> dict:
    """Names and what they are, numbers or not: all flush left."""
    made = table(caption, ["", name], rows)
    return {**made, "words": [True, True]}


def table(caption: str, header: list[str], rows: list[list]) -> dict:
    """The first column names its row. Columns of words are set flush left."""
    words = [c == 0 or _is_words([row[c] for row in rows]) for c in range(len(header))]
    return {"kind": "table", "caption": caption, "header": header, "rows": rows, "words": words}


def _is_words(cells: list[str]) -> bool:
    told = [cell for cell in cells if cell not in ("", DASH)]
    begin_as_numbers = sum(cell[0] in "0123456789−±∞" for cell in told)
    return 2 * begin_as_numbers < len(told)


def figure(name: str, drawing, caption: str, alt: str = "") -> dict:
    """`drawing`: a matplotlib figure. `name`: of its PNG file, within its kernel."""
    return {"kind": "figure", "name": name, "drawing": drawing, "caption": caption, "alt": alt}


def beside(*columns: list[dict]) -> dict:
    """Columns that stand below each other on a narrow screen."""
    return {"kind": "beside", "columns": list(columns)}


def folded(title: str, blocks: list[dict]) -> dict:
    return {"kind": "folded", "title": title, "blocks": blocks}


def preformatted(text: str) -> dict:
    return {"kind": "preformatted", "text": text}


def missing(why: str) -> dict:
    return {"kind": "missing", "why": why}


def guarded(make) -> list[dict]:
    """make(), or the reason why not: a report must survive files that lack something."""
    try:
        return make()
    except Unavailable as error:
        return [missing(str(error))]
    except FileNotFoundError as error:
        return [missing(str(error))]
    except (ArithmeticError, AttributeError, LookupError, OSError, TypeError, ValueError) as error:
        return [
            missing(
                "what the files hold is not what docs/file-format.md describes "
                f"({type(error).__name__}: {error})"
            )
        ]
