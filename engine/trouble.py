"""What an exception says, as words that survive any trip, and how workers log it.

Workers log with `logging`; each record says whose it is (`Place`) and holds the traceback as text,
without keys and bounded. Nothing here sets up a handler but `show_warnings`, which the command
line and the actors call.
"""

import hashlib
import logging
import re
import sys
import traceback as tracebacks
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import asdict, dataclass, field, replace
from pathlib import PurePath
from typing import Self

from medgen.engine.errors import StoreError
from medgen.engine.redaction import redact

TRACEBACK_BYTES = 16 * 1024  # of a traceback's end, where the cause of it all stands
_WORDS = 2000  # characters of an error's own words
_NUMBERS = re.compile(r"(?:0x)?[0-9a-f]{8,}|\d+")
# Errors whose words are ours, about places and numbers.
_OF_NO_SAMPLE = (
    *("StoreError", "BusyError", "CorruptError", "StaleError", "PlanError", "SpendingError"),
)


@dataclass(frozen=True, slots=True)
class Trouble:
    """An error as text. Errors from the same lines of code share `error_id`, whatever they say."""

    error: str = ""
    error_type: str = ""  # class name of what was raised
    traceback: str = ""  # with its chain of causes; the end of it when it is long
    error_id: str = ""

    def details(self) -> dict[str, str]:
        """What there is of it, by name, for an event."""
        return {name: words for name, words in asdict(self).items() if words}

    def withheld(self) -> Self:
        """The same without words that may quote a sample: their kind, and no traceback."""
        if not self.error or self.error_type in _OF_NO_SAMPLE:
            return replace(self, traceback="")
        words = f"{self.error_type or 'an error'} (words withheld)"
        return replace(self, error=words, traceback="")


def trouble(err: BaseException) -> Trouble:
    """What an exception says."""
    kind = type(err).__name__
    text = "".join(tracebacks.TracebackException.from_exception(err).format())
    frames = "\n".join(_frames(err, set()))
    return Trouble(_shorten(_clean(_words(err))), kind, _ending(_clean(text)), _digest(frames))


def secondhand_trouble(kind: str, words: str, account: str) -> Trouble:
    """What somebody else says of an error: its kind, a sentence, and the whole account."""
    said = _shorten(_clean(words))
    return Trouble(said, kind, _ending(_clean(account)), _digest(kind, _NUMBERS.sub("", said)))


def headline(error_type: str, error: str) -> str:
    """Kind and words on one line, as Python writes them."""
    return error if error.startswith(error_type) else f"{error_type}: {error}"


def _words(err: BaseException) -> str:
    try:
        said = str(err) or type(err).__name__
        # Of a key that is not there Python says the key alone.
        return f"{type(err).__name__}: {said}" if isinstance(err, KeyError) else said
    except Exception as broken:  # noqa: BLE001 - a user's class may fail at this, too
        return f"{type(err).__name__}, which cannot say more ({type(broken).__name__})"


def _frames(err: BaseException, seen: set[int]) -> Iterator[str]:
    """The kinds of error in a chain, and the lines of code that they went through."""
    if id(err) in seen:
        return
    seen.add(id(err))
    context = None if err.__suppress_context__ else err.__context__
    if earlier := err.__cause__ or context:
        yield from _frames(earlier, seen)
    for inner in err.exceptions if isinstance(err, BaseExceptionGroup) else ():
        yield from _frames(inner, seen)
    yield f"{type(err).__module__}.{type(err).__qualname__}"
    for frame, line in tracebacks.walk_tb(err.__traceback__):
        code = frame.f_code
        yield f"{PurePath(code.co_filename).name}:{line} {code.co_name}"


def _digest(*parts: str) -> str:
    text = "\0".join(parts).encode("utf-8", "backslashreplace")
    return hashlib.sha256(text).hexdigest()[:12]


def _clean(text: str) -> str:
    """Without keys, and without halves of characters that no file can hold."""
    return redact(text).encode("utf-8", "backslashreplace").decode()


def _shorten(words: str) -> str:
    rest = len(words) - _WORDS
    return words if rest <= 0 else f"{words[:_WORDS]}… ({rest} more characters)"


def _ending(text: str) -> str:
    data = text.encode()
    rest = len(data) - TRACEBACK_BYTES
    if rest <= 0:
        return text.rstrip("\n")
    kept = data[rest:].decode(errors="ignore").rstrip("\n")
    return f"… ({rest} bytes of the beginning are left out)\n{kept}"


@dataclass(frozen=True, slots=True)
class Place:
    """Where work goes on. `discreet` keeps the words of samples, and their ids, out of the log."""

    group: str = ""
    stage: str = ""
    component: str = ""  # the model, metric or judge
    shard: int | None = None
    discreet: bool = False
    logged: set[str] = field(default_factory=set)  # errors whose traceback the log has

    def __str__(self) -> str:
        both = f"{self.group} ({self.component})" if self.group and self.component else ""
        shard = "" if self.shard is None else f", shard {self.shard}"
        return f"{both or self.group or self.component}{shard}"


_PLACE: ContextVar[Place] = ContextVar("place")
_NOWHERE = Place()


@contextmanager
def working_at(place: Place) -> Iterator[None]:
    """Log failures as of this place, also from coroutines that are started meanwhile."""
    token = _PLACE.set(place)
    try:
        yield
    finally:
        _PLACE.reset(token)


def log_failed_unit(log: logging.Logger, err: BaseException) -> None:
    """Log what ended a unit, or the making of a worker."""
    _log(log, logging.ERROR, err, _PLACE.get(_NOWHERE), "")


def log_failed_row(
    log: logging.Logger, err: BaseException, sample_id: str, component: str = ""
) -> None:
    """Log what became one sample's row.

    Args:
        log: of the module that turns it into a row.
        err: what was raised.
        sample_id: whose row it is.
        component: a metric or model, where the place names none.
    """
    place = _PLACE.get(_NOWHERE)
    named = replace(place, component=component or place.component)
    _log(log, logging.WARNING, err, named, sample_id)


def _log(log: logging.Logger, level: int, err: BaseException, place: Place, sample_id: str) -> None:
    told = trouble(err)
    if place.discreet:
        told, sample_id = told.withheld(), ""
    sample = f"sample {sample_id}" if sample_id else ""
    where = ", ".join(part for part in (str(place), sample) if part)
    # Of thousands of rows that fail alike, the first of a worker's gets the traceback. What the
    # store refuses is a sentence; the event log has its traceback all the same.
    again = told.error_id in place.logged
    if place.group:
        place.logged.add(told.error_id)
    trace = " (traceback as before)" if again else f"\n{told.traceback}"
    trace = trace if told.traceback and not isinstance(err, StoreError) else ""
    fields = {
        "group": place.group, "stage": place.stage, "component": place.component,
        "shard": place.shard, "sample_id": sample_id, "error_type": told.error_type,
    }  # fmt: skip
    said = f"{where}: {headline(told.error_type, told.error)}{trace}"
    log.log(level, "%s", said, extra=fields)


class _Stderr(logging.Handler):
    """Standard error as it is at the time: progress bars put their own in its place."""

    def emit(self, record: logging.LogRecord) -> None:
        try:
            sys.stderr.write(f"{redact(self.format(record))}\n")
        except Exception:  # noqa: BLE001 - as every handler: the work goes on, the reason is told
            self.handleError(record)


def show_warnings() -> None:
    """Have warnings shown on standard error, unless this process has made up its mind already."""
    log = logging.getLogger("medgen")
    if not log.hasHandlers():
        shown = _Stderr(logging.WARNING)
        shown.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(name)s: %(message)s"))
        log.addHandler(shown)
