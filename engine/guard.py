"""The one guard around what came from outside: an exception costs its sample, not the system.

What adapters, parsers, decoders and metrics raise on one reply, picture or record becomes that
row's status, with its reason and traceback. What concerns no single sample stays what it is: a
dead engine, a missing key, a spending cap, a full store.
"""

import errno
import logging
import traceback as tracebacks
from asyncio import CancelledError
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import PurePath
from typing import TypeVar

from medgen.engine.data import Prediction, PredictionStatus, Usage
from medgen.engine.errors import (
    BenchmarkError,
    BoundsError,
    EngineDied,
    ImageError,
    MedgenError,
    is_out_of_memory,
)
from medgen.engine.trouble import Trouble, headline, log_failed_row, trouble

log = logging.getLogger(__name__)
T = TypeVar("T")
U = TypeVar("U")

_OF_ONE_ROW = (ImageError, BoundsError, BenchmarkError)  # raised on purpose, and about one record
_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EROFS)
_FRAMES = 4  # innermost lines of code that a reason names
_SEVERAL = 3  # items that fail alike with none that does not: no coincidence
_REASON = 500  # characters of what was said


@dataclass(frozen=True, slots=True)
class Unforeseen:
    """An exception that nobody foresaw, as words for a row."""

    reason: str  # one line: what was said, and the lines of code it came from
    told: Trouble
    out_of_memory: bool
    raised: BaseException

    @property
    def details(self) -> dict[str, str]:
        """For a row that has details."""
        return {"traceback": self.told.traceback, "error_id": self.told.error_id}


def unforeseen(err: BaseException) -> Unforeseen:
    """What a row says of an exception; one that concerns no single row is raised again.

    Raises:
        EngineDied: the device under the model failed.
        BaseException: `err` itself, when no row can stand for it.
    """
    inner = err
    while isinstance(inner, BaseExceptionGroup):
        worst = [e for e in inner.exceptions if _is_of_the_world(e)]
        inner = (worst or list(inner.exceptions))[0]
    if type(inner).__name__ == "AcceleratorError":  # torch's; torch may not be here
        raise EngineDied(f"the device failed: {inner}") from err
    if _is_of_the_world(inner):
        raise inner
    told, words = trouble(err), trouble(inner)
    said = " ".join(headline(words.error_type, words.error).split())[:_REASON]
    return Unforeseen(
        f"{said} [{_places(inner if inner.__traceback__ else err)}]",
        told,
        is_out_of_memory(inner),
        err,
    )


def guard_row(make: Callable[[], T], blank: Callable[[Unforeseen], T], sample_id: str = "") -> T:
    """What `make` gives, or the row that stands for what it raised."""
    try:
        return make()
    except BaseException as err:  # noqa: BLE001 - panics of compiled parsers are no Exception
        found = unforeseen(err)
        log_failed_row(log, err, sample_id)
        return blank(found)


def internal_error(sample_id: str, found: Unforeseen, usage: Usage | None = None) -> Prediction:
    """The row of a prediction that nobody foresaw to fail."""
    status: PredictionStatus = "out_of_memory" if found.out_of_memory else "internal_error"
    spent = usage or Usage()
    return Prediction(sample_id, status, found.reason, usage=spent, details=found.details)


def in_halves(
    call: Callable[[Sequence[T]], Sequence[U]],
    items: Sequence[T],
    blank: Callable[[T, Unforeseen], Sequence[U]],
    name: Callable[[T], str],
) -> list[U]:
    """What `call` gives for a batch; when it raises, each half by itself, down to the one item."""
    if not items:
        return []
    try:
        return list(call(items))
    except BaseException as err:  # noqa: BLE001 - as above
        found = unforeseen(err)
        if len(items) == 1:
            log_failed_row(log, err, name(items[0]))
            return list(blank(items[0], found))
    middle = len(items) // 2
    parts = items[:middle], items[middle:]
    return [row for part in parts for row in in_halves(call, part, blank, name)]


def in_halves_unless_all(
    call: Callable[[Sequence[T]], Sequence[U]],
    items: Sequence[T],
    blank: Callable[[T, Unforeseen], Sequence[U]],
    name: Callable[[T], str],
) -> list[U]:
    """As `in_halves`, for one model or judge.

    Raises:
        BaseException: what every one of several items raised alike: then the component or its
            machine is at fault, and not they.
    """
    alone: list[Unforeseen] = []

    def note(item: T, found: Unforeseen) -> Sequence[U]:
        alone.append(found)
        return blank(item, found)

    rows = in_halves(call, items, note, name)
    if len(alone) == len(items) >= _SEVERAL and len({f.told.error_type for f in alone}) == 1:
        raise alone[-1].raised
    return rows


def _is_of_the_world(err: BaseException) -> bool:
    if isinstance(err, BaseExceptionGroup):
        return any(_is_of_the_world(inner) for inner in err.exceptions)
    if isinstance(err, MedgenError):
        return not isinstance(err, _OF_ONE_ROW)
    if isinstance(err, OSError):
        return err.errno in _FULL
    if isinstance(err, Exception | SystemExit):  # a library's sys.exit() ends no run
        return type(err).__name__ == "AcceleratorError"
    # Compiled extensions panic with classes of their own; the interpreter's mean what they say.
    return isinstance(err, KeyboardInterrupt | GeneratorExit | CancelledError)


def _places(err: BaseException) -> str:
    """The innermost lines of code, the last first."""
    frames = [frame for frame, _ in tracebacks.walk_tb(err.__traceback__)]
    lines = [line for _, line in tracebacks.walk_tb(err.__traceback__)]
    named = [
        f"{PurePath(frame.f_code.co_filename).name}:{line} {frame.f_code.co_name}"
        for frame, line in zip(frames, lines, strict=True)
    ]
    return " < ".join(reversed(named[-_FRAMES:]))
