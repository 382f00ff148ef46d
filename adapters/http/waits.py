"""How long a server asks to be left alone: every spelling of `Retry-After`."""

import math
import re
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

SANE_S = 31 * 86400.0  # what asks for longer is no wish that anybody meant
_UNIX_S, _UNIX_MS = 1e9, 1e12  # numbers so large can only be times
_NUMBER = re.compile(r"[+-]?\d{1,400}(\.\d{0,400})?([eE][+-]?\d{1,4})?", re.ASCII)
_PIECE = re.compile(r"(\d{1,9}(?:\.\d{1,9})?)(ms|s|m|h|d)", re.ASCII)
_UNITS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}


def retry_after(value: str | None, now: datetime | None = None) -> float | None:
    """Seconds that a `Retry-After` header asks for; None where it asks for nothing sane.

    Seconds, a Unix time in seconds or milliseconds, a duration (`1m30s`), an HTTP or an ISO date.
    What is not above 0, lies in the past or beyond a month is no wish.
    """
    text = (value or "").strip()
    now = now or datetime.now(UTC)
    seconds = _number(text, now)
    if seconds is None:
        seconds = _duration(text)
    if seconds is None:
        seconds = _date(text, now)
    sane = seconds is not None and math.isfinite(seconds) and 0.0 < seconds <= SANE_S
    return seconds if sane else None


def wish_of(headers: dict[str, str]) -> float | None:
    """Seconds that the headers of a reply ask for; names are in lower case."""
    milliseconds = headers.get("retry-after-ms", "").strip()
    if milliseconds and _NUMBER.fullmatch(milliseconds):
        found = retry_after(f"{float(milliseconds) / 1000:f}")
        if found is not None:
            return found
    return retry_after(headers.get("retry-after"))


def _number(text: str, now: datetime) -> float | None:
    first = text.partition(",")[0].strip()  # two headers are joined by a comma
    if not _NUMBER.fullmatch(first):
        return None
    number = float(first)
    if number >= _UNIX_MS:
        return number / 1000 - now.timestamp()
    return number - now.timestamp() if number >= _UNIX_S else number


def _duration(text: str) -> float | None:
    pieces = _PIECE.findall(text)
    if not pieces or "".join(f"{n}{unit}" for n, unit in pieces) != text:
        return None
    return sum(float(n) * _UNITS[unit] for n, unit in pieces)


def _date(text: str, now: datetime) -> float | None:
    """Seconds from now to an HTTP or ISO date; None when it is none."""
    for parse in (parsedate_to_datetime, datetime.fromisoformat):
        try:
            when = parse(text)
            when = when if when.tzinfo else when.replace(tzinfo=UTC)
            return (when - now).total_seconds()
        except (ValueError, OverflowError, TypeError, IndexError):
            continue
    return None
