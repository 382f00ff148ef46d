"""A forecast and what happened since, from the logs of a run's drivers."""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from fakes import Lines, recipe

from medgen.engine.benchmark.importing import ImportOptions, import_benchmark
from medgen.engine.plan.identity import Resources, Spec
from medgen.engine.plan.plan import Model, Plan, System, make_plan
from medgen.engine.run.reckoning import reckon
from medgen.engine.store.connect import connect
from medgen.launch.run.plan import reckoning_lines

START = datetime(2026, 1, 1, tzinfo=UTC)
FORETOLD = {"seconds": 7200.0, "gpu_hours": 9.0, "priced_samples": 8, "usd": 0.8}


def at(minutes: float, event: str, driver: str = "b", **details: Any) -> Mapping[str, Any]:
    time = (START + timedelta(minutes=minutes)).isoformat(timespec="milliseconds")
    return {"event": event, "time": time, "group": "", "driver": driver} | details


def receipt(minutes: float, group: str, part: tuple[int, int] | None = None) -> Mapping[str, Any]:
    rows = {"ok": 3, "model_error": 1}
    return at(minutes, "receipt", group=group, rows=rows, cost_usd=0.25, part=part)


@pytest.fixture
def plan(memory_url: str) -> Plan:
    manifest = import_benchmark(Lines(8), connect(memory_url), ImportOptions("fake", 4))
    of_four = Model(Spec("fakes:Echo"), Resources(gpus=4))
    priced = Model(Spec("run.dear:Dear", {"prices": {"request": 0.1}}))
    systems = (System("large", of_four), System("hosted", priced))
    return make_plan(recipe(*systems, metrics=()), manifest)


def groups(plan: Plan) -> tuple[str, str]:
    """The group with GPUs, and the one with a price."""
    large = next(name for name, g in plan.groups.items() if g.resources.gpus)
    return large, next(name for name in plan.groups if name != large)


def test_gpus_are_counted_while_their_workers_are_there(plan: Plan) -> None:
    large, _ = groups(plan)
    events = [
        at(0, "forecast", **FORETOLD),
        at(0, "opened", group=large, workers=1),
        at(30, "opened", group=large, workers=2),
        at(60, "released", group=large, workers=1),
        at(90, "closed", group=large),
        at(120, "done"),
    ]
    found = reckon(plan, events)
    assert found is not None
    assert found[1].gpu_hours == pytest.approx(4 * (0.5 + 2 * 0.5 + 0.5))
    assert found[1].seconds == 7200


def test_parts_are_not_paid_twice(plan: Plan) -> None:
    large, hosted = groups(plan)
    events = [
        at(0, "forecast", **FORETOLD),
        receipt(1, hosted, part=(0, 2)),
        receipt(2, hosted),
        receipt(3, large),
    ]
    found = reckon(plan, events)
    assert found is not None
    assert (found[1].priced_samples, found[1].usd) == (4, 0.5)


def test_what_other_drivers_did_is_theirs(plan: Plan) -> None:
    _, hosted = groups(plan)
    events = [
        at(0, "forecast", driver="a", **FORETOLD),
        receipt(1, hosted) | {"driver": "a"},
        at(2, "forecast", **FORETOLD),
        receipt(3, hosted),
        receipt(4, hosted) | {"driver": "a"},
    ]
    found = reckon(plan, events)
    assert found is not None
    assert found[0]["driver"] == "b"
    assert (found[1].seconds, found[1].priced_samples) == (60, 4)


def test_without_anything_to_do_nothing_was_foretold(plan: Plan) -> None:
    assert reckon(plan, [at(0, "identity")]) is None


def test_words_leave_out_what_nobody_asked_for(plan: Plan) -> None:
    quiet = FORETOLD | {"seconds": 0.0, "priced_samples": 0, "usd": 0.0}
    found = reckon(plan, [at(0, "forecast", **quiet), at(90, "done")])
    assert found is not None
    assert reckoning_lines(*found) == [
        "time: 1 h 30 min so far, nothing foretold",
        "GPU hours: 0.00 so far, 9.00 foretold",
    ]
