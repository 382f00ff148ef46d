"""Many threads parse at once, as surveys and imports do."""

import gc
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

from medgen.engine.syntax import parse_expression, parse_module

LINE = "def f(a, *, b=(1, [2, {3: 'x'}])): return [a + b for _ in range(7)]\n"


@contextmanager
def other_threads_let_in() -> Iterator[None]:
    """A collection of garbage in the middle of a tree, which lets another thread go on."""

    def give_way(*_: object) -> None:
        time.sleep(0)

    was = gc.get_threshold()
    gc.callbacks.append(give_way)
    gc.set_threshold(5)
    try:
        yield
    finally:
        gc.set_threshold(*was)
        gc.callbacks.remove(give_way)


def test_threads_that_parse_at_once_do_not_trip_over_each_other() -> None:
    with other_threads_let_in(), ThreadPoolExecutor(4) as pool:
        modules = list(pool.map(parse_module, [LINE.encode() * 20] * 12))
        lists = list(pool.map(parse_expression, ["[[1, 'a'], {2: (3,)}]"] * 50))
    assert {len(module.body) for module in modules} == {20}
    assert len(lists) == 50
