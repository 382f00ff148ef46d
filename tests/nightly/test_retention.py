"""What retention takes and what it leaves."""

import pytest
from fakes import benchmark, echo, recipe

from medgen.conf import RunConf
from medgen.conf.schema import NightlyConf, RetentionConf
from medgen.engine.errors import StoreError
from medgen.engine.plan.plan import System, make_plan
from medgen.engine.run.folder import RunFolder, RunStatus, Status, now, run_ids
from medgen.engine.store.connect import connect
from medgen.engine.store.objects import Objects
from medgen.launch.housekeeping.garbage import remove
from medgen.launch.nightly.history import History, Night
from medgen.launch.nightly.night import removable, tidy


@pytest.fixture
def objects(memory_url: str) -> Objects:
    return connect(memory_url)


def night(objects: Objects, day: int, prefix: str, outcome: str = "pass") -> Night:
    """A night whose model is `prefix`; equal prefixes share their stages."""
    run = leave(objects, f"n{day:02d}", prefix)
    return Night("n", f"2026-01-{day:02d}", outcome, 0, run_id=run)  # type: ignore[arg-type]


def leave(objects: Objects, name: str, prefix: str, status: RunStatus = "success") -> str:
    asked = recipe(System("echo", echo(prefix=prefix)))
    plan = make_plan(
        type(asked)(
            name=name,
            systems=asked.systems,
            metrics=asked.metrics,
            scoring=asked.scoring,
            scorer=asked.scorer,
        ),
        benchmark(objects),
    )
    folder = RunFolder(objects, plan.run_id)
    folder.save_plan(plan, "")
    folder.save_status(Status(status, plan.run_id, now(), now()))
    for node in plan.nodes.values():
        objects.create(f"stages/{node.stage}/{node.key}/stage.json", b"{}")
    return plan.run_id


def stages(objects: Objects) -> set[tuple[str, str]]:
    return {(s, k) for s in objects.names("stages") for k in objects.names(f"stages/{s}")}


def test_the_last_ones_stay_and_shared_stages_too(objects: Objects) -> None:
    nights = [night(objects, d, prefix) for d, prefix in enumerate("abbcd", 1)]
    before = stages(objects)
    going = removable(objects, nights, keep=3)
    assert going.runs == (nights[0].run_id, nights[1].run_id)
    assert stages(objects) == before, "planning removes nothing"
    went = remove(objects, going)
    # Only the first night's own stages went: the second shares its with the third, which stays.
    assert before - stages(objects) == set(went.stages)
    assert len(went.stages) == 2
    assert set(run_ids(objects)) == {n.run_id for n in nights[2:]}
    assert removable(objects, nights, keep=3).runs == ()


def test_the_last_good_night_stays_however_old(objects: Objects) -> None:
    words = ["pass", "pass", "regression", "regression"]
    nights = [night(objects, d, p, w) for d, p, w in zip(range(1, 5), "abcd", words, strict=True)]
    assert removable(objects, nights, keep=1).runs == (nights[0].run_id, nights[2].run_id)
    pinned = removable(objects, nights, keep=1, also=[nights[0].run_id])
    assert pinned.runs == (nights[2].run_id,)


def test_what_another_run_needs_stays(objects: Objects) -> None:
    nights = [night(objects, d, prefix) for d, prefix in enumerate("abc", 1)]
    other = leave(objects, "somebody", "a")
    going = removable(objects, nights, keep=1)
    kept = {(n.stage, n.key) for n in RunFolder(objects, other).plan().nodes.values()}
    assert not kept & set(going.stages)
    remove(objects, going)
    assert kept <= stages(objects)


def test_a_run_that_begins_between_plan_and_removal_keeps_its_stages(objects: Objects) -> None:
    nights = [night(objects, d, prefix) for d, prefix in enumerate("ab", 1)]
    going = removable(objects, nights, keep=1)
    other = leave(objects, "newcomer", "a", "started")
    went = remove(objects, going)
    assert went.stages == ()
    kept = {(n.stage, n.key) for n in RunFolder(objects, other).plan().nodes.values()}
    assert kept <= stages(objects)


def test_a_night_that_has_not_ended_stays(objects: Objects) -> None:
    nights = [night(objects, 1, "a"), night(objects, 2, "b")]
    running = leave(objects, "n01", "a", "started")
    assert running == nights[0].run_id
    assert removable(objects, nights, keep=1).runs == ()


def test_an_unreadable_plan_stops_it(objects: Objects) -> None:
    nights = [night(objects, d, prefix) for d, prefix in enumerate("ab", 1)]
    objects.create("runs/strange/plan.json", b"{}")
    with pytest.raises(StoreError, match="nobody knows what run strange needs"):
        removable(objects, nights, keep=1)


def test_a_run_that_nights_of_another_name_are_held_to_stays(objects: Objects) -> None:
    nights = [night(objects, d, prefix) for d, prefix in enumerate("abc", 1)]
    history = History(objects, "n")
    for one in nights:
        history.save(one)
    other = Night("other", "2026-01-03", "pass", 0, run_id="gone", baseline=nights[0].run_id)
    History(objects, "other").save(other)
    conf = RunConf(name="n", nightly=NightlyConf(retention=RetentionConf(keep=1)))
    assert tidy(history, conf, apply=True) == "removed 1 runs and 2 stages"
    assert set(run_ids(objects)) == {nights[0].run_id, nights[2].run_id}
