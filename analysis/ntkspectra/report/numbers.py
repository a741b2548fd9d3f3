"""Reading numbers out of JSON that may lack them, and writing them for people."""

from __future__ import annotations

import math

DASH = "–"  # what stands where there is no number


def at(place, *keys, default=None):
    """place[k1][k2]..., or the default where a key is missing or a level is null."""
    for key in keys:
        try:
            place = place[key]
        except (KeyError, IndexError, TypeError):
            return default
        if place is None:
            return default
    return place


def number(x) -> float | None:
    """A finite number from a number or from a {value, unit, rule} object; None otherwise."""
    if isinstance(x, dict):
        x = x.get("value")
    if isinstance(x, bool) or not isinstance(x, (int, float)):
        return None
    return float(x) if math.isfinite(x) else None


def numbers(x) -> list[float]:
    """A list as floats with NaN for what is missing: the form that plots want."""
    values = [number(v) for v in x] if isinstance(x, list) else []
    return [math.nan if v is None else v for v in values]


def text(x, digits: int = 3) -> str:
    """Significant digits, without exponents from 1e-4 to 1e6."""
    return _ascii(x, digits).replace("-", "−")


def _ascii(x, digits: int) -> str:
    value = number(x)
    if value is None:
        return DASH
    if value == 0:
        return "0"
    if value == int(value) and abs(value) < 1e6:
        return f"{int(value)}"
    size = abs(value)
    if 1e-4 <= size < 1e6:
        places = max(0, digits - 1 - math.floor(math.log10(size)))
        return f"{value:.{places}f}"
    return f"{value:.{digits - 1}e}"


def interval(value, low, high, digits: int = 3) -> str:
    """3.07 (2.60 to 3.65)"""
    if number(value) is None:
        return DASH
    if number(low) is None or number(high) is None:
        return f"{text(value, digits)} (no interval)"
    return f"{text(value, digits)} ({text(low, digits)} to {text(high, digits)})"


def with_error(x, digits: int = 3) -> str:
    """3.07 ± 0.02, of a quantity that leading pairs give within an error; else the number."""
    error = number(at(x, "error"))
    return text(x, digits) + (f" ± {text(error, 2)}" if error is not None else "")


def percent(part, digits: int = 2) -> str:
    value = number(part)
    if value is None:
        return DASH
    return f"{text(100 * value, digits)} %"


def of_interval(x, digits: int = 3) -> str:
    """The same of a {value, low, high} object."""
    return interval(at(x, "value"), at(x, "low"), at(x, "high"), digits)
