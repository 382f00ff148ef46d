"""What a component raises on one sample is that sample's row, and nobody else's matter."""

from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import pytest
from fakes import echo, plan
from hypothesis import given
from hypothesis import strategies as st

from medgen.engine.errors import (
    AdapterError,
    EngineDied,
    ImageError,
    MedgenError,
    SpendingError,
    StoreError,
)
from medgen.engine.plan.plan import Plan, System
from medgen.engine.run.driver import Ending, Options, carry_out
from medgen.engine.run.guard import Guard
from medgen.engine.run.pool import Pool
from medgen.engine.run.reader import RunReader
from medgen.engine.run.survey import Again, survey
from medgen.engine.store.connect import connect
from medgen.engine.store.objects import Objects


@pytest.fixture
def objects(tmp_path: Path) -> Objects:
    return connect(str(tmp_path / "store"))


def ask(guard: Guard, items: Sequence[int], bad: dict[int, Exception]) -> list[tuple[int, str]]:
    def give(some: Sequence[int]) -> list[tuple[int, str]]:
        for item in some:
            if item in bad:
                raise bad[item].with_traceback(None)
        return [(item, "ok") for item in some]

    return guard.rows(items, give, lambda item, status, reason: [(item, status)], str)


@given(st.integers(0, 70), st.sets(st.integers(0, 69), max_size=10))
def test_every_item_has_its_row_in_order(count: int, bad: set[int]) -> None:
    guard = Guard()
    ask(guard, [1000], {})  # it was sound before
    faults = {item: ValueError(str(item)) for item in bad}
    rows = ask(guard, range(count), faults)
    assert rows == [(i, "internal_error" if i in bad else "ok") for i in range(count)]


@pytest.mark.parametrize(
    "err",
    [
        *(ValueError("x"), KeyError("x"), RecursionError(), UnicodeDecodeError("a", b"", 0, 1, "")),
        *(
            OSError("x"),
            AssertionError(),
            StopIteration(),
            OverflowError(),
            ExceptionGroup("x", [OSError()]),
        ),
        *(
            ImageError("x"),
            ZeroDivisionError(),
            TimeoutError(),
            NotImplementedError(),
            LookupError(),
        ),
    ],
    ids=repr,
)
def test_whatever_is_raised_costs_one_row(err: Exception) -> None:
    assert ask(Guard(), range(5), {3: err}) == [
        (i, "internal_error" if i == 3 else "ok") for i in range(5)
    ]


def test_memory_that_is_gone_is_said_as_such() -> None:
    assert ask(Guard(), range(2), {0: MemoryError()})[0] == (0, "out_of_memory")


@pytest.mark.parametrize(
    "err",
    [AdapterError("x"), EngineDied("x"), SpendingError("x"), StoreError("x"), MedgenError("x")],
)
def test_what_is_raised_on_purpose_passes(err: MedgenError) -> None:
    with pytest.raises(type(err)):
        ask(Guard(), range(5), {3: err})


def test_a_component_that_never_worked_is_at_fault() -> None:
    faults: dict[int, Exception] = {i: ValueError(str(i)) for i in range(64)}
    with pytest.raises(ValueError, match="2"):
        ask(Guard(), range(64), faults)


def test_errors_are_told_once_a_kind_and_then_forgotten() -> None:
    guard = Guard()
    ask(guard, range(8), {1: ValueError("a"), 2: ValueError("b")})
    assert [told.error_type for told in guard.troubles()] == ["ValueError"]
    assert guard.troubles() == ()


def go(objects: Objects, work: Plan, pool: Pool, again: Again = "outside") -> Ending:
    reader = RunReader(objects, work)
    return carry_out(reader, survey(reader, again), pool, Options())


def statuses(objects: Objects, work: Plan, system: str) -> Counter[str]:
    reader = RunReader(objects, work)
    shards = (reader.predictions(system, shard) for shard in range(work.shards))
    return Counter(row.status for rows in shards for row in rows)


def test_a_sample_that_a_model_raises_on_costs_itself(objects: Objects, pool: Pool) -> None:
    work = plan(objects, System("echo", echo(faults={"s0003": "raise", "s0009": "raise"})))
    assert not go(objects, work, pool).failed
    assert statuses(objects, work, "echo") == {"ok": 22, "internal_error": 2}
    assert survey(RunReader(objects, work)).shards == 0, "a plain start leaves it"
    assert survey(RunReader(objects, work), "errors").shards > 0


def test_another_release_tries_again(
    objects: Objects, pool: Pool, monkeypatch: pytest.MonkeyPatch
) -> None:
    work = plan(objects, System("echo", echo(faults={"s0003": "raise"})))
    go(objects, work, pool)
    monkeypatch.setattr("medgen.engine.run.survey.engine_version", lambda: "9.9")
    assert survey(RunReader(objects, work)).shards > 0


def test_too_many_of_them_end_the_system(objects: Objects, pool: Pool) -> None:
    faults = {f"s{i:04d}": "raise" for i in range(0, 96, 4)}
    work = plan(
        objects, System("echo", echo(faults=faults)), System("x", echo(prefix="x")), count=96
    )
    (reason,) = go(objects, work, pool).failed.values()
    assert "does not foresee" in reason
    assert statuses(objects, work, "x") == {"ok": 96}
