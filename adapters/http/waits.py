"""How long a server asks to be left alone: every spelling of `Retry-After`."""

import math
import re
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any

SANE_S = 31 * 86400.0  # what asks for longer is no wish that anybody meant
# Numbers so large can only be times, in these units: nano-, micro-, milliseconds, seconds.
_UNIX = ((1e18, 1e9), (1e15, 1e6), (1e12, 1e3), (1e9, 1.0))
_NUMBER = re.compile(r"[+-]?\d{1,400}(\.\d{0,400})?([eE][+-]?\d{1,4})?", re.ASCII)
_PIECE = re.compile(
    r"(\d{1,9}(?:\.\d{1,9})?) ?"
    r"(milliseconds?|ms|seconds?|secs?|s|minutes?|mins?|m|hours?|h|days?|d) ?",
    re.ASCII | re.IGNORECASE,
)
_ISO = re.compile(  # `PT1M30S`
    r"P(?:(\d{1,4})D)?(?:T(?:(\d{1,6})H)?(?:(\d{1,6})M)?(?:(\d{1,9}(?:\.\d{1,9})?)S)?)?",
    re.ASCII | re.IGNORECASE,
)
_UNITS = {"s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
# Where else servers say it: in milliseconds, and in the body of the error.
_IN_MS = ("retry-after-ms", "x-ms-retry-after-ms")
_BODY_S = ("retry_after", "retryAfter", "retry_after_seconds", "retryDelay", "estimated_time")
_BODY_MS = ("retry_after_ms", "retryAfterMs")


def retry_after(value: str | None, now: datetime | None = None) -> float | None:
    """Seconds that a `Retry-After` header asks for; None where it asks for nothing sane.

    Seconds, a Unix time in seconds or parts of them, a duration (`1m30s`, `PT90S`), an HTTP or an
    ISO date.
    What is not above 0, lies in the past or beyond a month is no wish.
    """
    text = (value or "").strip().strip("\"'")
    now = now or datetime.now(UTC)
    seconds = _number(text, now)
    if seconds is None:
        seconds = _duration(text)
    if seconds is None:
        seconds = _date(text, now)
    sane = seconds is not None and math.isfinite(seconds) and 0.0 < seconds <= SANE_S
    return seconds if sane else None


def wish_of(headers: Mapping[str, str], error: Any) -> float | None:
    """Seconds that an error reply asks for, by its headers or else in its body.

    Args:
        headers: names are in lower case.
        error: the body as JSON.
    """
    for name in _IN_MS:
        if (found := _milliseconds(headers.get(name))) is not None:
            return found
    if (found := retry_after(headers.get("retry-after"))) is not None:
        return found
    return next((found for found in _wishes(error) if found is not None), None)


def _wishes(found: Any, depth: int = 0) -> Iterator[float | None]:
    """What an error's own fields ask for, and those of its details."""
    if isinstance(found, list):
        found = found[0] if found else None
    if not isinstance(found, Mapping) or depth > 2:
        return
    for name, read in (
        *((n, retry_after) for n in _BODY_S),
        *((n, _milliseconds) for n in _BODY_MS),
    ):
        value = found.get(name)
        if isinstance(value, str | int | float) and not isinstance(value, bool):
            yield read(str(value))
    for name in ("error", "details", "parameters", "metadata"):
        inner = found.get(name)
        for one in inner[:10] if isinstance(inner, list) else [inner]:
            yield from _wishes(one, depth + 1)


def _milliseconds(value: str | None) -> float | None:
    text = (value or "").strip()
    return retry_after(f"{float(text) / 1000:f}") if _NUMBER.fullmatch(text) else None


def _number(text: str, now: datetime) -> float | None:
    first = text.partition(",")[0].strip()  # two headers are joined by a comma
    if not _NUMBER.fullmatch(first):
        return None
    number = float(first)
    unit = next((unit for least, unit in _UNIX if number >= least), None)
    return number if unit is None else number / unit - now.timestamp()


def _duration(text: str) -> float | None:
    if iso := _ISO.fullmatch(text):
        pieces = zip(iso.groups(), (86400.0, 3600.0, 60.0, 1.0), strict=True)
        return sum(float(count) * unit for count, unit in pieces if count)
    seconds, at = 0.0, 0
    for piece in _PIECE.finditer(text):
        if piece.start() != at:
            return None
        at, unit = piece.end(), piece[2].lower()
        thousandth = unit == "ms" or unit.startswith("milli")
        seconds += float(piece[1]) * (0.001 if thousandth else _UNITS[unit[0]])
    return seconds if at and at == len(text) else None


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
