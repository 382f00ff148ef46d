"""What a source gives, held to its contract: one that breaks it is named, whoever wrote it."""

import json
from collections.abc import Callable, Iterator, Mapping
from typing import Any, TypeVar

from medgen.engine.benchmark.source import Problem, Source
from medgen.engine.data import Sample
from medgen.engine.errors import BenchmarkError
from medgen.engine.guard import unforeseen

T = TypeVar("T")


def items_of(source: Source) -> Iterator[Sample | Problem]:
    """The source's records; what nobody foresaw there is a problem, and ends it."""
    try:
        for item in source:
            if not isinstance(item, Sample | Problem):
                what = f"gave {type(item).__name__}, which is no sample and no problem"
                yield Problem("the source", None, None, f"{_name(source)} {what}")
                return
            yield item
    except Exception as err:  # noqa: BLE001 - what no record can stand for is raised again
        what = unforeseen(err).reason
        yield Problem("the source", None, None, f"internal error, the rest is unread: {what}")


def promises_of(source: Source) -> Mapping[tuple[str, str], int]:
    """The counts that a source promises.

    Raises:
        BenchmarkError: it raised, or gave no counts by format and task.
    """
    found = _ask(source, "expected_counts", source.expected_counts)
    sound = isinstance(found, Mapping) and all(
        isinstance(place, tuple) and len(place) == 2 and type(count) is int
        for place, count in found.items()
    )
    if not sound:
        raise BenchmarkError(f"{_name(source)}.expected_counts() gave no counts: {found!r:.200}")
    return {(str(kind), str(task)): count for (kind, task), count in found.items()}


def description_of(source: Source) -> dict[str, Any]:
    """How a source describes itself.

    Raises:
        BenchmarkError: it raised, or gave no mapping that JSON can hold.
    """
    found = _ask(source, "describe", source.describe)
    notes = found.get("notes", []) if isinstance(found, Mapping) else None
    try:
        if isinstance(notes, list | tuple) and all(isinstance(name, str) for name in found):
            json.dumps(dict(found), allow_nan=False)
            return dict(found)
    except (TypeError, ValueError):
        pass
    raise BenchmarkError(f"{_name(source)}.describe() gave no JSON object: {found!r:.200}")


def _ask(source: Source, hook: str, call: Callable[[], T]) -> T:
    try:
        return call()
    except Exception as err:
        why = unforeseen(err).reason
        raise BenchmarkError(f"{_name(source)}.{hook}() raised {why}") from err


def _name(source: Source) -> str:
    return type(source).__qualname__
