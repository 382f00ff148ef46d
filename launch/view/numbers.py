"""Numbers as pages and terminals print them: rounded to their interval, never more certain."""

import math
from collections.abc import Iterable
from statistics import median

MINUS = "−"  # noqa: RUF001 the true minus of pages; terminals and files take "-"
_MOST_DECIMALS = 4
_FEWEST = 3  # decimals of a value whose interval has no width
_MINUTE, _HOUR, _DAY = 60, 3600, 86400


def decimals(half: float | None) -> int:
    """How many decimals a number has whose 95 % interval is `half` wide to each side.

    -floor(log10 h), one more when the first digit is 1, from 0 to 4; three without a width.
    """
    if not half or not math.isfinite(half):
        return _FEWEST
    power = math.floor(math.log10(half))
    more = 1 if half / 10**power < 2 else 0
    return min(_MOST_DECIMALS, max(0, more - power))


def column_decimals(halves: Iterable[float | None]) -> int:
    """The decimals of a column: those of its median half-width."""
    known = [h for h in halves if h and math.isfinite(h)]
    return decimals(median(known)) if known else _FEWEST


def half_width(low: float | None, high: float | None) -> float | None:
    """Half of an interval; None where there is none."""
    return None if low is None or high is None else (high - low) / 2


def number(value: float | None, places: int = 3, sign: bool = False) -> str:
    """A number with so many decimals; a dash where there is none."""
    if value is None or not math.isfinite(value):
        return "-"
    text = f"{abs(value):,.{places}f}"
    if not text.strip("0.,"):  # rounds to zero: it has no sign
        return text
    return (MINUS if value < 0 else "+" if sign else "") + text


def significant(value: float | None) -> str:
    """A number without an interval, of any size, with three digits; a dash where there is none."""
    if value is None or not math.isfinite(value):
        return "-"
    text = f"{abs(value):.3g}"
    return (MINUS if value < 0 and float(text) else "") + text


def span(low: float | None, high: float | None, places: int, sign: bool = False) -> str:
    """An interval in a cell: `6.75-6.93` with a dash, or with `to` where a sign may stand."""
    if low is None or high is None:
        return ""
    words = " to " if sign or low < 0 else "–"  # noqa: RUF001 the dash of ranges
    return f"{number(low, places, sign)}{words}{number(high, places, sign)}"


def count(value: float) -> str:
    """A whole number with commas."""
    return f"{int(value):,}"


def percent(part: float, whole: float) -> str:
    """A share that says 100 % only of all and 0 % only of none."""
    if not whole:
        return "-"
    if part == whole:
        return "100 %"
    if not part:
        return "0 %"
    share = 100 * part / whole
    if share < 0.1:
        return "< 0.1 %"
    return f"{min(share, 99.9):.1f} %"


def duration(seconds: float | None) -> str:
    """`3 h 12 min`, `4 min`, `12 s`, `0.4 s`."""
    if seconds is None:
        return "-"
    if seconds < 10:
        return f"{seconds:.1f} s"
    if seconds < _MINUTE:
        return f"{seconds:.0f} s"
    if seconds < _HOUR:
        minutes, rest = divmod(round(seconds), _MINUTE)
        return f"{minutes} min {rest} s" if minutes < 10 and rest else f"{minutes} min"
    if seconds < 2 * _DAY:
        hours, rest = divmod(round(seconds / _MINUTE), _MINUTE)
        return f"{hours} h {rest} min" if rest else f"{hours} h"
    return f"{seconds / _DAY:.1f} days"


def clock(seconds: float) -> str:
    """`0:41:07`."""
    minutes, rest = divmod(int(seconds), _MINUTE)
    return f"{minutes // 60}:{minutes % 60:02d}:{rest:02d}"


def dollars(value: float) -> str:
    """US dollars; what is less than a cent says so."""
    if value == 0:
        return "$0"
    return "under 1 cent" if value < 0.01 else f"${value:,.2f}"


def p_value(value: float | None) -> str:
    """A p value with two digits."""
    if value is None:
        return "-"
    return "< 0.001" if value < 0.001 else f"{value:.2g}"


def rank(places: tuple[int, int]) -> str:
    """A rank, or the range of places that the comparisons allow."""
    low, high = places
    return str(low) if low == high else f"{low}–{high}"  # noqa: RUF001 the dash of ranges


def ticks(low: float, high: float, most: int = 6) -> list[float]:
    """Round numbers from `low` to `high`, at most so many."""
    if not high > low:
        return [low]
    raw = (high - low) / max(1, most - 1)
    power = 10.0 ** math.floor(math.log10(raw))
    step = next(s * power for s in (1, 2, 2.5, 5, 10) if s * power >= raw * (1 - 1e-9))
    first = math.ceil(low / step - 1e-9)
    found = [k * step for k in range(first, math.floor(high / step + 1e-9) + 1)]
    return [round(t, 10) for t in found]


def tick(value: float) -> str:
    """The label of a tick."""
    return (MINUS if value < 0 else "") + f"{abs(value):g}"


def join_names(names: list[str]) -> str:
    """`a, b and c`; of more than four the first three and how many more."""
    if len(names) > 4:
        names = [*names[:3], f"{len(names) - 3} more"]
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"
