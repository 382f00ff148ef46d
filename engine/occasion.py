"""On which occasion a component is asked: for which rows, and where something may be noted.

A worker says it around each unit, in the thread that asks its component. What is asked again on the
same occasion, by another process after a death, is the same question; a row that is repeated, in
another revision or edition, is asked on another.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass

from medgen.engine.store.objects import Objects


@dataclass(frozen=True, slots=True)
class Occasion:
    """For which rows: a stage's under one key, in one edition and revision."""

    objects: Objects
    name: str


_NOW: ContextVar[Occasion | None] = ContextVar("occasion", default=None)


def occasion() -> Occasion | None:
    """The occasion of this thread; None where nobody is asked for rows that will be kept."""
    return _NOW.get()


@contextmanager
def during(now: Occasion | None) -> Iterator[None]:
    """Let it be the occasion of this thread for a while."""
    before = _NOW.set(now)
    try:
        yield
    finally:
        _NOW.reset(before)
