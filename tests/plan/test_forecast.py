"""What `medgen plan` says a run will take, by hand; speeds are kept from run to run."""

from dataclasses import replace

import pytest
from fakes import echo, plan

from medgen.actors.local_pool import LocalPool
from medgen.engine.plan.identity import Resources, Spec
from medgen.engine.plan.plan import Model, System
from medgen.engine.run.driver import Options, carry_out
from medgen.engine.run.forecast import forecast
from medgen.engine.run.pool import Machine
from medgen.engine.run.reader import RunReader
from medgen.engine.run.speeds import ENOUGH, Speed, Speeds, guesses, read_speeds
from medgen.engine.run.survey import survey
from medgen.engine.store.connect import connect
from medgen.launch.run.plan import forecast_line, plan_totals

GPU = Resources(cpus=1, gpus=2)


def test_a_forecast_adds_up_what_is_left() -> None:
    objects = connect("memory://forecast")
    costly = Spec("fakes:Echo", {"prefix": "b", "execution": {}, "prices": {"request": 0.5}})
    systems = [
        System("a", Model(Spec("fakes:Echo", {"prefix": "a"}), GPU, seconds_per_sample=3.0)),
        System("b", Model(costly, Resources(cpus=1), seconds_per_sample=10.0)),
    ]
    work = plan(objects, *systems, count=24)
    todo = survey(RunReader(objects, work))
    first, second = (g for g in work.groups if g.startswith("answer/"))
    known = guesses(work) | {first: Speed(2.0, ENOUGH, 60.0, 1)}
    speeds = Speeds(known, {name: g.resources.gpus for name, g in work.groups.items()})
    found = forecast(work, todo, speeds, [Machine("m", {"GPU": 4.0})])
    assert found.gpu_hours == pytest.approx(2 * (24 * 2.0 + 60.0) / 3600)
    assert found.seconds == pytest.approx(24 * 10.0 + 5.0)  # the hosted one is the longest
    assert found.priced_samples == 24
    assert found.usd == pytest.approx(12.0)
    assert found.measured == (first,)
    assert found.guessed == (second,)
    assert len(found.unknown) == 1  # scoring
    assert "at most $12.00" in forecast_line(found)


def test_what_was_measured_is_what_the_next_run_begins_with() -> None:
    objects = connect("memory://measured")
    work = plan(objects, System("echo", echo(execution={"pause": "0.01"})), count=24)
    reader, pool = RunReader(objects, work), LocalPool()
    assert carry_out(reader, survey(reader), pool, Options()).failed == {}
    pool.shutdown()
    group = next(g for g in work.groups if g.startswith("answer/"))
    before, speeds = guesses(work)[group], read_speeds(objects, work)
    assert before.samples == 0
    assert speeds.is_measured(group)
    assert 0.01 <= speeds.sample_s(group) < 0.1
    assert speeds.known[group].loads == 1


def test_few_samples_leave_a_guess_and_many_replace_it() -> None:
    speeds = Speeds({"g": Speed(sample_s=5.0)}, {"g": 1.0})
    speeds.note_unit("g", 7.0, ENOUGH - 1)
    assert speeds.sample_s("g") == 5.0
    speeds.note_unit("g", 1.0, 1)
    assert speeds.sample_s("g") == pytest.approx(1.0)
    # A worker that holds two units at once takes half as long for each as it seems.
    other = Speeds({"g": Speed()}, {"g": 1.0})
    other.note_unit("g", 16.0, 16, beside=2.0)
    assert other.sample_s("g") == pytest.approx(0.5)


def test_a_plan_says_how_much_of_each_stage_is_there(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("NO_SUCH_KEY", raising=False)
    objects = connect("memory://totals")
    asked = echo(execution={"api_key_env": "NO_SUCH_KEY"})
    work = plan(objects, System("a", replace(asked, seconds_per_sample=150.0, split=2)), count=24)
    reader, pool = RunReader(objects, work), LocalPool()
    todo = survey(reader)
    (answer,) = (n for n in work.nodes.values() if n.stage == "answer")
    for shard in range(6):
        del todo.targets[answer.key][shard]
    pool.shutdown()
    said = plan_totals(work, todo)
    assert said[0].endswith(": 1 system")
    assert said[1] == "answer  6 of 12 shards to do, 50 % stored"
    assert "total   12 shards to do, about 0.50 worker hours" in said
