"""What `medgen gc` takes and what it leaves, over histories that nobody thought of."""

import contextlib
import subprocess
import sys
import uuid
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from fakes import benchmark, echo, recipe
from faults.test_damage import again
from hypothesis import given, settings
from hypothesis import strategies as st
from run.test_heads import setup as set_up

from medgen.engine.codec import encode
from medgen.engine.errors import ConfigError, CorruptError, StoreError
from medgen.engine.plan.plan import Plan, System, make_plan
from medgen.engine.run.folder import RunFolder, Status, find_run, run_ids
from medgen.engine.run.reader import RunReader
from medgen.engine.run.survey import Todo, survey
from medgen.engine.store.connect import connect
from medgen.engine.store.objects import Objects
from medgen.launch.housekeeping.garbage import Asked, Removal, collect, remove
from medgen.launch.nightly.history import History, Night, named_runs
from medgen.launch.run import evaluation

TODAY = datetime(2026, 6, 1, tzinfo=UTC)


def leave(objects: Objects, name: str, words: str, days: float, status: str = "success") -> Plan:
    """A run with a system for each letter, last heard of so many days ago."""
    asked = recipe(*(System(w, echo(prefix=w)) for w in words))
    plan = make_plan(type(asked)(name, asked.systems, asked.metrics), benchmark(objects, 4))
    folder, heard = RunFolder(objects, plan.run_id), (TODAY - timedelta(days=days)).isoformat()
    folder.save_plan(plan, "")
    folder.save_status(Status(status, plan.run_id, heard, heard))  # type: ignore[arg-type]
    for node in plan.nodes.values():
        objects.replace(f"stages/{node.stage}/{node.key}/shard-0a.arrow", b"x")
    return plan


def note(objects: Objects, day: int, run: str, baseline: str = "") -> None:
    night = Night("n", f"2026-01-{day:02d}", "pass", 0, run_id=run, baseline=baseline)
    objects.replace(History(objects, "n").place.record(night.date), encode(night))


def addresses(plan: Plan) -> set[str]:
    return {f"stages/{n.stage}/{n.key}" for n in plan.nodes.values()}


def stages(objects: Objects) -> set[str]:
    return {path.rpartition("/")[0] for path in objects.walk("stages")}


def everything(objects: Objects) -> list[str]:
    return [
        p for folder in ("runs", "stages", "benchmarks", "nightly") for p in objects.walk(folder)
    ]


RUNS = st.lists(
    st.tuples(
        st.text("abcd", min_size=1, max_size=3).map(lambda w: "".join(dict.fromkeys(w))),
        st.sampled_from([0.01, 3, 20, 40]),
        st.sampled_from(["success", "partial", "error", "started"]),
    ),
    min_size=1,
    max_size=6,
)


@settings(max_examples=60)
@given(runs=RUNS, chance=st.randoms(use_true_random=False))
def test_nothing_that_is_named_ever_goes(runs, chance):
    objects = connect(f"memory://{uuid.uuid4().hex}")
    plans = {}
    for number, (words, days, status) in enumerate(runs):
        plan = leave(objects, f"r{number}", words, days, status)
        plans[plan.run_id] = (plan, days, status)
    named = set()
    for day in range(1, chance.randint(1, 4)):
        night = (chance.choice([*plans, ""]), chance.choice([*plans, ""]))
        note(objects, day, *night)
        named |= {run for run in night if run}
    objects.create("stages/answer/0123456789abcdef/shard-0a.arrow", b"orphan")
    named_so_far = named_runs(objects)
    assert set(named_so_far) == named
    asked = Asked(
        tuple(r for r in plans if chance.random() < 0.3), chance.choice([None, 1, 30]), named_so_far
    )
    before = everything(objects)
    said = collect(objects, asked, TODAY)
    assert everything(objects) == before, "looking removes nothing"
    assert remove(objects, said) == said
    left = set(run_ids(objects))
    for run, (plan, days, status) in plans.items():
        old = asked.older_days is not None and days >= asked.older_days
        alive = status == "started" and days < 1
        wanted = (old or run in asked.runs) and not alive and run not in named
        assert (run not in left) == wanted
        if run in left:
            assert addresses(plan) <= stages(objects)
            assert RunFolder(objects, run).plan() == plan
    assert stages(objects) == set().union(*(addresses(plans[run][0]) for run in left))
    assert objects.walk("benchmarks") == [p for p in before if p.startswith("benchmarks/")]
    assert objects.walk("nightly") == [p for p in before if p.startswith("nightly/")]
    assert collect(objects, asked_again(asked, left), TODAY) == Removal((), (), said.stay)


def asked_again(asked: Asked, left: set[str]) -> Asked:
    return replace(asked, runs=tuple(r for r in asked.runs if r in left))


def test_a_run_that_is_not_there_is_said(memory_url: str) -> None:
    objects = connect(memory_url)
    with pytest.raises(ConfigError, match="no run 'nobody' in"):
        collect(objects, Asked(("nobody",)))


def test_a_plan_that_cannot_be_read_stops_it_unless_its_run_is_to_go(memory_url: str) -> None:
    objects = connect(memory_url)
    plan = leave(objects, "good", "a", 50)
    objects.create("runs/odd/plan.json", b"{")
    with pytest.raises(StoreError, match="medgen gc odd"):
        collect(objects, Asked(older_days=30), TODAY)
    said = remove(objects, collect(objects, Asked(("odd",)), TODAY))
    assert (said.runs, run_ids(objects)) == (("odd",), [plan.run_id])


def test_features_stay_as_long_as_the_pictures_that_they_are_of(memory_url: str) -> None:
    objects = connect(memory_url)
    plan = leave(objects, "one", "a", 50)
    (answer,) = (key for key, node in plan.nodes.items() if node.stage == "answer")
    objects.create("stages/sets/aa/stage.json", f'{{"of": ["{answer}"]}}'.encode())
    objects.create("stages/sets/bb/stage.json", b'{"of": ["0123456789abcdef"]}')
    assert collect(objects, Asked(), TODAY).stages == (("sets", "bb"),)
    remove(objects, collect(objects, Asked((plan.run_id,)), TODAY))
    assert stages(objects) == set()


def test_a_run_that_begins_meanwhile_keeps_its_stages(memory_url: str) -> None:
    objects = connect(memory_url)
    leave(objects, "old", "ab", 50)
    said = collect(objects, Asked(older_days=30), TODAY)
    new = leave(objects, "new", "a", 0, "started")
    went = remove(objects, said)
    assert addresses(new) <= stages(objects)
    assert set(went.stages) == {
        (s, k) for s, k in said.stages if f"stages/{s}/{k}" not in addresses(new)
    }


def test_the_command_says_what_would_go(tmp_path) -> None:
    objects = connect(str(tmp_path))
    leave(objects, "old", "a", 4000)
    call = [sys.executable, "-m", "medgen", "gc", "--older-than", "30", "--store", str(tmp_path)]
    told = subprocess.run([*call, "--dry-run"], capture_output=True, text=True, check=True)
    assert "would remove 1 runs and 2 stages" in told.stderr
    assert len(run_ids(objects)) == 1
    told = subprocess.run(call, capture_output=True, text=True, check=True)
    assert "removed 1 runs and 2 stages" in told.stderr
    assert (run_ids(objects), stages(objects)) == ([], set())


@pytest.mark.parametrize("days", [-1, float("nan"), float("-inf")])
def test_an_age_that_is_none_is_refused(days: float) -> None:
    with pytest.raises(ConfigError, match="an age is a number of days, 0 or more"):
        Asked(older_days=days)


@pytest.mark.parametrize("days", [float("inf"), 1e20])
def test_nothing_is_older_than_any_time(memory_url: str, days: float) -> None:
    objects = connect(memory_url)
    leave(objects, "old", "a", 40)
    assert collect(objects, Asked(older_days=days), TODAY) == Removal((), ())


@pytest.mark.parametrize("said", [b"", b"{}", b'{"status"', None])
def test_a_status_that_says_nothing_costs_its_run_alone(
    memory_url: str, said: bytes | None
) -> None:
    objects = connect(memory_url)
    odd, old = (leave(objects, name, "a", 50) for name in ("odd", "old"))
    status = RunFolder(objects, odd.run_id).place.status
    if said is None:
        said = objects.read(status).replace(b"2026-04", b"in April")
    objects.replace(status, said)
    removal = collect(objects, Asked(older_days=30), TODAY)
    assert (removal.runs, set(removal.stay)) == ((old.run_id,), {odd.run_id})
    assert remove(objects, collect(objects, Asked((odd.run_id,)), TODAY)).runs == (odd.run_id,)


def test_a_run_that_is_started_again_meanwhile_stays_with_its_rows(memory_url: str) -> None:
    objects = connect(memory_url)
    again, old = leave(objects, "again", "a", 50), leave(objects, "old", "b", 50)
    said = collect(objects, Asked(older_days=30), TODAY)
    leave(objects, "again", "a", 0, "started")
    went = remove(objects, said)
    assert went.runs == (old.run_id,)
    assert went.stay == {again.run_id: "it was heard of again"}
    assert stages(objects) == addresses(again)


@pytest.mark.parametrize("ends", ["", "error", "cancelled"])
def test_a_run_that_is_being_looked_at_stays(
    ends: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Before anything of it is known: a look at millions of shards takes a while."""
    file = set_up(str(tmp_path / "store"), tmp_path)
    objects, seen = connect(str(tmp_path / "store")), list[Removal]()

    def look(reader: RunReader, *_: object, **__: object) -> Todo:
        seen.append(collect(objects, Asked((reader.plan.run_id,))))
        if ends:
            raise CorruptError("torn") if ends == "error" else KeyboardInterrupt
        return survey(reader)

    monkeypatch.setattr(evaluation, "survey", look)
    with pytest.raises((CorruptError, KeyboardInterrupt)) if ends else contextlib.nullcontext():
        again(file)
    assert seen[0].runs == ()
    (run,) = run_ids(objects)
    assert "it has not ended" in seen[0].stay[run]
    status = RunFolder(objects, run).status()
    assert status is not None
    assert status.status == (ends or "success")
    assert bool(status.reason) is (ends == "error")


def test_a_run_that_a_night_names_meanwhile_stays(memory_url: str) -> None:
    objects = connect(memory_url)
    plan = leave(objects, "old", "a", 50)
    said = collect(objects, Asked(older_days=30, named=named_runs(objects)), TODAY)
    note(objects, 1, "", plan.run_id)
    went = remove(objects, said, lambda: named_runs(objects))
    assert (went.runs, went.stages, run_ids(objects)) == ((), (), [plan.run_id])
    assert addresses(plan) == stages(objects)


class Stopped(Exception):
    """The machine went."""


def test_a_removal_that_is_cut_off_anywhere_is_simply_done_again(
    memory_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    objects = connect(memory_url)
    kept = leave(objects, "kept", "b", 1)
    place = RunFolder(objects, leave(objects, "old", "ab", 50).run_id).place
    more = [place.summary, place.log("a"), place.order(1), f"{place.tables}/values/a/p.parquet"]
    for path in more:
        objects.create(path, b"x")
    whole = {path: objects.read(path) for path in everything(objects)}
    deletes = 0
    for most in range(1, 100):
        for path, data in whole.items():
            objects.replace(path, data)
        deletes = 0

        def delete(path: str, most: int = most, really=objects.inner.delete) -> None:
            nonlocal deletes
            deletes += 1
            if deletes > most:
                raise Stopped
            really(path)

        with monkeypatch.context() as patch:
            patch.setattr(objects.inner, "delete", delete)
            with contextlib.suppress(Stopped):
                remove(objects, collect(objects, Asked(older_days=30), TODAY))
        remove(objects, collect(objects, Asked(older_days=30), TODAY))
        assert run_ids(objects) == [kept.run_id]
        assert stages(objects) == addresses(kept)
        if deletes <= most:
            break
    assert deletes > len(more)


def test_what_a_desktop_leaves_in_a_folder_is_no_run_and_no_night(tmp_path) -> None:
    objects = connect(str(tmp_path))
    plan = leave(objects, "old", "a", 50)
    note(objects, 1, plan.run_id)
    for folder in ("runs", "nightly", "nightly/n", "nightly/n/nights", "stages", "claims"):
        objects.create(f"{folder}/.DS_Store", b"x")
    assert find_run(objects, None) == plan.run_id
    removal = collect(objects, Asked(older_days=30, named=named_runs(objects)), TODAY)
    assert (removal.runs, set(removal.stay)) == ((), {plan.run_id})
