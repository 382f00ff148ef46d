"""Calls that wait for a disk or a network, several of them at once."""

from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

T = TypeVar("T")
Made = TypeVar("Made")
# Object storage answers slowly, but as many at once as its client has connections.
AT_ONCE = 32


def in_threads(call: Callable[[T], Made], items: Iterable[T], most: int = AT_ONCE) -> list[Made]:
    """What `call` gives for each item, in order, from at most so many threads.

    One item alone is done where this is called: to start a thread costs what a small read does.

    Raises:
        Whatever `call` raises for the first item that fails; the others are done nonetheless.
    """
    every = list(items)
    if len(every) < 2:
        return [call(item) for item in every]
    with ThreadPoolExecutor(min(most, len(every))) as threads:
        return list(threads.map(call, every))
