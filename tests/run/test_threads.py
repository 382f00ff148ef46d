"""Several calls at once: in order, none lost, and none in a thread that need not be."""

import threading
from collections.abc import Iterator

import pytest

from medgen.engine.threads import in_threads


def test_what_was_made_stands_in_the_order_of_what_was_asked() -> None:
    turns = [threading.Event() for _ in range(4)]

    def backwards(number: int) -> int:
        if number + 1 < len(turns):
            assert turns[number + 1].wait(10)
        turns[number].set()
        return number * number

    assert in_threads(backwards, range(4)) == [0, 1, 4, 9]


def test_one_alone_is_done_where_it_is_asked_for() -> None:
    here = threading.current_thread()
    assert in_threads(lambda _: threading.current_thread(), ["x"]) == [here]
    assert here not in in_threads(lambda _: threading.current_thread(), ["x", "y"])
    assert in_threads(len, []) == []


def test_no_more_run_at_once_than_may() -> None:
    together, most, running = threading.Barrier(2, timeout=10), [0], list[int]()

    def pair(number: int) -> None:
        running.append(number)
        most[0] = max(most[0], len(running))
        together.wait()
        running.remove(number)

    in_threads(pair, range(8), 2)
    assert most == [2]


def test_a_call_that_fails_costs_no_other() -> None:
    done = list[int]()

    def fail(number: int) -> None:
        if number % 2:
            raise ValueError(number)
        done.append(number)

    with pytest.raises(ValueError, match="1"):
        in_threads(fail, iter_of(6))
    assert sorted(done) == [0, 2, 4]


def iter_of(count: int) -> Iterator[int]:
    yield from range(count)
