"""What one sample makes a component raise costs that sample; what concerns all ends the system."""

import errno
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
from fakes import Echo, FixedJudge, Lengths, echo, plan
from hypothesis import given
from hypothesis import strategies as st

from medgen.actors.local_pool import LocalPool
from medgen.engine.data import Prediction, Request, Sample, Score, Verdict
from medgen.engine.errors import (
    AdapterError,
    BenchmarkError,
    ConfigError,
    EngineDied,
    ImageError,
    SpendingError,
    StoreError,
)
from medgen.engine.guard import in_halves_unless_all, unforeseen
from medgen.engine.plan.identity import Resources, Spec
from medgen.engine.plan.plan import Model, Plan, System
from medgen.engine.run import survey as surveying
from medgen.engine.run.driver import Ending, Options, carry_out
from medgen.engine.run.reader import RunReader
from medgen.engine.run.survey import survey
from medgen.engine.store.connect import connect
from medgen.engine.store.objects import Objects


class Panic(BaseException):
    """What compiled parsers raise; no Exception."""


AcceleratorError = type("AcceleratorError", (RuntimeError,), {})
ROWS: Sequence[Callable[[], BaseException]] = (
    lambda: ValueError("not a number"), lambda: OverflowError("1e999"), lambda: KeyError("usage"),
    lambda: IndexError(0), lambda: TypeError("None"), lambda: AttributeError("no exif"),
    lambda: RecursionError("deep"), lambda: AssertionError(), lambda: SyntaxError("bad EXIF"),
    lambda: UnicodeDecodeError("utf-8", b"\xff", 0, 1, "bad"), lambda: ZeroDivisionError(),
    lambda: StopIteration(), lambda: SystemExit(3), lambda: Panic("rust"), lambda: OSError("gone"),
    lambda: ImageError("a bomb"), lambda: BenchmarkError("no record"), lambda: TimeoutError(),
    lambda: NotImplementedError(), lambda: EOFError(), lambda: LookupError("codec"),
    lambda: ExceptionGroup("many", [ValueError("inner")]), lambda: RuntimeError("half \ud800"),
)  # fmt: skip
WORLD: Sequence[Callable[[], BaseException]] = (
    lambda: AdapterError("no key"), lambda: EngineDied("dead"), lambda: SpendingError("cap"),
    lambda: StoreError("full"), lambda: ConfigError("bad"), lambda: KeyboardInterrupt(),
    lambda: OSError(errno.ENOSPC, "no space"), lambda: OSError(errno.EDQUOT, "quota"),
    lambda: ExceptionGroup("many", [ValueError("x"), SpendingError("cap")]),
    lambda: AcceleratorError("the device failed"),
)  # fmt: skip
STRUCK = "s0006"


class Raising:
    """Raises one of `ROWS` whenever the struck sample is in what it is given."""

    def __init__(self, which: int) -> None:
        self.which = which

    def strike(self, ids: Sequence[str]) -> None:
        if STRUCK in ids:
            raise ROWS[self.which]()


class RaisingModel(Echo):
    def __init__(self, which: int) -> None:
        super().__init__()
        self.raising = Raising(which)

    def predict(self, requests: Sequence[Request]) -> list[Prediction]:
        self.raising.strike([r.sample.id for r in requests])
        return super().predict(requests)


class RaisingScorer(Lengths):
    def __init__(self, which: int, metrics: Mapping[str, Any]) -> None:
        super().__init__(metrics)
        self.raising = Raising(which)

    def score(self, samples: Sequence[Sample], predictions: Any, wanted: Any) -> Any:
        if any("length" in metrics for metrics in wanted.values()):
            self.raising.strike([s.id for s in samples])
        return super().score(samples, predictions, wanted)


class RaisingJudge(FixedJudge):
    def __init__(self, which: int, name: str) -> None:
        super().__init__(name)
        self.raising = Raising(which)

    def judge(self, samples: Sequence[Sample], predictions: Sequence[Prediction]) -> list[Verdict]:
        self.raising.strike([s.id for s in samples])
        return super().judge(samples, predictions)


@pytest.fixture
def objects(tmp_path: Path) -> Objects:
    return connect(str(tmp_path / "store"))


def go(objects: Objects, work: Plan) -> Ending:
    reader = RunReader(objects, work)
    return carry_out(reader, survey(reader), LocalPool(), Options())


def statuses(objects: Objects, work: Plan, stage: str) -> dict[tuple[str, str], list[str]]:
    """Of each sample and label, what its rows say, reasons behind the status."""
    reader, found = RunReader(objects, work), dict[tuple[str, str], list[str]]()
    for node in work.nodes.values():
        for shard in range(work.shards if node.stage == stage else 0):
            table = reader.table(node, shard)
            for row in [] if table is None else table.to_pylist():
                said = f"{row['status']}: {row['reason']}" if row["reason"] else row["status"]
                found.setdefault((row["sample_id"], node.label), []).append(said)
    return found


@pytest.mark.parametrize("which", range(len(ROWS)))
def test_what_a_model_raises_on_a_sample_is_its_row(objects: Objects, which: int) -> None:
    recipe = Spec("run.test_guard:RaisingModel", {"which": which})
    work = plan(objects, System("boom", Model(recipe, Resources(cpus=0.1))))
    assert go(objects, work).failed == {}
    found = statuses(objects, work, "answer")
    struck = [said for (sample, _), said in found.items() if sample == STRUCK]
    assert struck[0][0].startswith("internal_error: ")
    assert "test_guard.py:" in struck[0][0], "the lines of code"
    assert {s for (sample, _), said in found.items() if sample != STRUCK for s in said} == {"ok"}
    (row,) = [
        p
        for shard in range(work.shards)
        for p in RunReader(objects, work).predictions("boom", shard)
        if p.sample_id == STRUCK
    ]
    assert "Traceback" in row.details["traceback"]


@pytest.mark.parametrize("which", [0, 7, 12, 13, 15, 21])
def test_what_a_judge_raises_on_a_sample_is_its_verdicts(objects: Objects, which: int) -> None:
    recipe = Spec("run.test_guard:RaisingJudge", {"which": which, "name": "j"})
    work = plan(objects, judges={"j": Model(recipe, Resources(cpus=0.1))})
    assert go(objects, work).failed == {}
    found = statuses(objects, work, "judge")
    assert [said.partition(":")[0] for said in found[STRUCK, "j"]] == ["internal_error"] * 2
    assert {s for (i, _), said in found.items() if i != STRUCK for s in said} == {"ok"}


@pytest.mark.parametrize("make", ROWS)
def test_an_exception_of_one_row_is_words(make: Callable[[], BaseException]) -> None:
    with pytest.raises(BaseException) as raised:  # noqa: PT011
        raise make()
    found = unforeseen(raised.value)
    assert "\n" not in found.reason
    assert found.details["traceback"].startswith(("Traceback", "  +", "  + "))
    found.reason.encode()


@pytest.mark.parametrize("make", WORLD)
def test_what_concerns_all_is_raised_again(make: Callable[[], BaseException]) -> None:
    with pytest.raises(BaseException) as raised:  # noqa: PT011
        unforeseen(make())
    kind = type(make())
    wanted = {AcceleratorError: EngineDied, ExceptionGroup: SpendingError}.get(kind, kind)
    assert type(raised.value) is wanted


def ask(items: int, bad: set[int]) -> list[tuple[int, str]]:
    def call(some: Sequence[int]) -> list[tuple[int, str]]:
        for item in some:
            if item in bad:
                raise ValueError(str(item))
        return [(item, "ok") for item in some]

    return in_halves_unless_all(
        call, range(items), lambda item, found: [(item, "internal_error")], str
    )


@given(st.integers(4, 70), st.data())
def test_every_item_has_its_row_in_order(count: int, data: st.DataObject) -> None:
    bad = data.draw(st.sets(st.integers(0, count - 1), max_size=count - 1))
    assert ask(count, bad) == [(i, "internal_error" if i in bad else "ok") for i in range(count)]


def test_what_every_item_raises_alike_is_the_fault_of_none() -> None:
    """So a broken worker is told from bad samples: its unit goes to another."""
    assert ask(2, {0, 1}) == [(0, "internal_error"), (1, "internal_error")]
    with pytest.raises(ValueError, match="63"):
        ask(64, set(range(64)))


@pytest.mark.parametrize("which", [0, 12, 13, 15])
def test_what_a_scorer_raises_on_a_sample_is_that_metrics_row(which: int) -> None:
    from medgen.engine.run.guarding import guard_scores

    samples = [Sample(f"s{i:04d}", "text", "question-answering", "CT", "x") for i in range(9)]
    given = {"one": [Prediction(s.id, text="abc") for s in samples]}
    scorer = RaisingScorer(which, {"length": {}, "width": {}})
    found = guard_scores(scorer, samples, given, {"one": ["length", "width"]})
    assert found["one", "width"] == [Score(s.id, values={"width": 3.0}) for s in samples]
    odd = {s.sample_id: s.status for s in found["one", "length"]}
    assert odd.pop(STRUCK) == "internal_error"
    assert set(odd.values()) == {"ok"}


def test_a_metric_that_raises_at_everything_takes_no_other_along() -> None:
    from medgen.engine.run.guarding import guard_scores

    class Broken(Lengths):
        def score(self, samples: Sequence[Sample], predictions: Any, wanted: Any) -> Any:
            if any("length" in metrics for metrics in wanted.values()):
                raise ZeroDivisionError("always")
            return super().score(samples, predictions, wanted)

    samples = [Sample(f"s{i:04d}", "text", "question-answering", "CT", "x") for i in range(9)]
    given = {"one": [Prediction(s.id, text="abc") for s in samples]}
    scorer = Broken({"length": {}, "width": {}})
    found = guard_scores(scorer, samples, given, {"one": ["length", "width"]})
    assert found["one", "width"] == [Score(s.id, values={"width": 3.0}) for s in samples]
    assert {s.status for s in found["one", "length"]} == {"internal_error"}


def test_too_many_internal_errors_end_the_system_with_the_reason(objects: Objects) -> None:
    few = {f"s{i:04d}": "raise" for i in range(19)}
    work = plan(objects, System("few", echo(faults=few)))
    assert go(objects, work).failed == {}
    many = few | {"s0019": "raise"}
    work = plan(objects, System("many", echo(faults=many)), System("sound", echo(prefix="x")))
    (reason,) = go(objects, work).failed.values()
    assert "20 of 24 samples ended as internal_error" in reason


def test_internal_errors_are_taken_up_again_by_other_code_alone(
    objects: Objects, monkeypatch: pytest.MonkeyPatch
) -> None:
    work = plan(objects, System("boom", echo(faults={STRUCK: "raise"})))
    go(objects, work)
    assert survey(RunReader(objects, work), "outside").shards == 0
    monkeypatch.setattr(surveying, "code_digest", lambda: "another")
    todo = survey(RunReader(objects, work), "outside")
    assert todo.targets[work.predictions("boom")[0].key]
