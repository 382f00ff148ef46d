"""What a terminal shows while a run goes on: a line a stage that fits, and how long it may last."""

import io
from types import SimpleNamespace
from typing import Any

import pytest
from results.fake_runs import FakeRun, make_samples, write_benchmark
from rich.console import Console

from medgen.engine.plan.plan import Plan
from medgen.engine.run.events import Event
from medgen.engine.run.pool import Receipt
from medgen.engine.store.connect import connect
from medgen.launch.run import bars as drawn
from medgen.launch.run.bars import Bars
from medgen.launch.run.progress import trouble_line
from medgen.launch.run.stagelines import StageLine, outlook


@pytest.fixture
def plan(tmp_path: Any) -> Plan:
    samples = make_samples(480)
    manifest = write_benchmark(connect(str(tmp_path)), samples, 4)
    return FakeRun(samples, systems=("a", "b")).plan(manifest)


def bars(plan: Plan, width: int, encoding: str = "utf-8") -> Bars:
    todo: Any = SimpleNamespace(targets={key: dict.fromkeys(range(120)) for key in plan.nodes})
    out = io.TextIOWrapper(io.BytesIO(), encoding=encoding)
    return Bars(plan, todo, Console(file=out, width=width, force_terminal=True))


def lines(made: Bars) -> list[str]:
    return [line.plain for line in made._drawn().renderables]  # type: ignore[union-attr]


def receipt(key: str, stage: str, **more: Any) -> Event:
    body = {"stage": stage, "key": key, "shard": 0, "rows": {"ok": 3, "timeout": 1}, "size": 1}
    return Event("receipt", "answer", Receipt(**{**body, "seconds": 1.0, **more}))


@pytest.mark.parametrize("width", [80, 120])
def test_each_stage_has_a_bar_counts_and_what_failed(plan: Plan, width: int) -> None:
    made = bars(plan, width)
    key = next(k for k, n in plan.nodes.items() if n.stage == "answer")
    made(Event("opened", plan.nodes[key].group, details={"workers": 2}))
    for _ in range(60):
        made(receipt(key, "answer", cost_usd=0.25))
    found = lines(made)
    assert max(map(len, found)) <= width
    assert found[0].startswith("fake on ")
    assert "2 systems" in found[0]
    assert found[0].endswith("0:00:00")
    (answer,) = (line for line in found if line.startswith("answer"))
    for words in ("━" * 7 + "─" * 21, " 60/240 ", " 25 % ", "60 failed", "$15.00"):
        assert words in answer
    assert ("rows/s" in answer) == (width == 120)
    assert any(line.startswith("now     answer") and "2 workers" in line for line in found)
    assert found[-1].startswith("Ctrl-C stops cleanly")


def test_without_utf_8_signs_stand_for_the_bar(plan: Plan) -> None:
    assert all(line.isascii() for line in lines(bars(plan, 80, "ascii")))


def test_what_is_left_is_foretold_from_the_slowest_stage(
    plan: Plan, monkeypatch: pytest.MonkeyPatch
) -> None:
    moment = [100.0]
    monkeypatch.setattr(drawn.time, "monotonic", lambda: moment[0])
    made = bars(plan, 80)
    key = next(k for k, n in plan.nodes.items() if n.stage == "answer")
    for _ in range(11):
        made(receipt(key, "answer"))
        moment[0] += 6.0
    moment[0] -= 6.0
    # Ten shards took a minute after the first: 229 are left, and of scores nothing is known.
    assert "left    more than 22 min, score has no speed yet" in lines(made)


def test_what_is_finished_after_ctrl_c_is_said(plan: Plan) -> None:
    def said(units: int) -> str:
        return trouble_line(plan, Event("draining", "", details={"units": units}))

    assert said(6) == "stopping: 6 shards are being finished (Ctrl-C again leaves them)"
    assert said(1) == "stopping: 1 shard is being finished (Ctrl-C again leaves it)"


def test_what_is_left_is_as_long_as_the_slowest_stage() -> None:
    slow = StageLine(total=10, done=5, fresh=3, began=1.0)
    over = StageLine(total=4, done=4, fresh=4, began=1.0)
    assert outlook({"a": over, "b": slow}, 3.0) == ("about 5.0 s", "as long as b is the slowest")
    waiting = {"b": slow, "c": StageLine(total=4)}
    assert outlook(waiting, 3.0) == ("more than 5.0 s", "c has no speed yet")
    assert outlook({"a": over, "c": StageLine(total=4)}, 3.0) == ("", "")
