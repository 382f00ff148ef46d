"""A worker or machine that is bad costs itself, and neither its system nor the run."""

from pathlib import Path
from typing import Any

import pytest
from fakes import echo, plan
from faults.misfits import Hours

from medgen.actors.local_pool import LocalPool
from medgen.engine.errors import PlanError, StoreError
from medgen.engine.plan.identity import Resources, Spec
from medgen.engine.plan.plan import Model, Plan, System
from medgen.engine.run.driver import Options, carry_out
from medgen.engine.run.events import Event
from medgen.engine.run.faults import COMMON_TO, MAX_FAILURES
from medgen.engine.run.pool import Pool
from medgen.engine.run.reader import RunReader
from medgen.engine.run.survey import survey
from medgen.engine.store.connect import connect
from medgen.engine.store.objects import Objects

FOUR = Resources(0.1, workers=4)


@pytest.fixture
def objects(tmp_path: Path) -> Objects:
    return connect(str(tmp_path / "store"))


@pytest.fixture
def folder(tmp_path: Path) -> str:
    (tmp_path / "marks").mkdir()
    return str(tmp_path / "marks")


def misfit(how: str, folder: str, resources: Resources = FOUR, **kwargs: Any) -> Model:
    given = {"how": how, "execution": {"folder": folder}, **kwargs}
    return Model(Spec("faults.misfits:Misfit", given), resources)


def statuses(objects: Objects, work: Plan, system: str) -> dict[str, str]:
    reader = RunReader(objects, work)
    rows = [p for shard in range(work.shards) for p in reader.predictions(system, shard)]
    return {p.sample_id: p.status for p in rows}


@pytest.mark.cluster
@pytest.mark.parametrize("how", ["raises", "crashes", "unwritable", "unstartable", "hangs"])
def test_one_bad_actor_of_four_costs_no_system(
    objects: Objects, folder: str, local_ray: str, how: str
) -> None:
    from medgen.actors.ray_pool import RayPool

    work = plan(
        objects,
        System("misfit", misfit(how, folder, load_s=6.0)),
        System("sound", echo()),
        count=160,
    )
    told: list[Event] = []
    reader, pool = RunReader(objects, work), RayPool()
    ending = carry_out(reader, survey(reader), pool, Options(watch=told.append, deadline_s=10.0))
    pool.shutdown()
    assert ending.failed == {}
    for system in ("misfit", "sound"):
        assert set(statuses(objects, work, system).values()) == {"ok"}
    assert [e.kind for e in told].count("retired") == (how in ("raises", "unwritable"))


@pytest.mark.parametrize("priced", [False, True])
def test_a_unit_that_never_returns_does_not_hold_a_run_in_one_process(
    objects: Objects, folder: str, priced: bool
) -> None:
    prices = {"prices": {"request": 0.01}} if priced else {}
    model = misfit("hangs", folder, Resources(0.1), **prices)
    work = plan(objects, System("misfit", model), System("sound", echo()), count=16)
    for hung in ({"ok", "timeout"} if priced else {"ok"}, {"ok"}):
        reader, pool = RunReader(objects, work), LocalPool()
        ending = carry_out(reader, survey(reader), pool, Options(deadline_s=1.0))
        pool.shutdown()
        assert ending.failed == {}
        # What a hung call may have cost is not paid twice by a run; the next one owes it still.
        assert set(statuses(objects, work, "misfit").values()) == hung
        assert set(statuses(objects, work, "sound").values()) == {"ok"}


def test_a_start_that_never_ends_is_made_again_in_a_process(objects: Objects, folder: str) -> None:
    work = plan(objects, System("misfit", misfit("stuck", folder, Resources(0.1))), count=16)
    told: list[Event] = []
    reader, pool = RunReader(objects, work), LocalPool()
    ending = carry_out(reader, survey(reader), pool, Options(watch=told.append, start_s=0.5))
    pool.shutdown()
    assert ending.failed == {}
    assert set(statuses(objects, work, "misfit").values()) == {"ok"}
    (why,) = [e.details["error"] for e in told if e.kind == "trouble"]
    assert "did not start in" in why
    assert "cluster.start_s" in why


def test_a_machine_that_never_comes_ends_the_run_with_the_time_it_waited(objects: Objects) -> None:
    """The plan fitted when the run began; then the only machine went."""
    work = plan(objects, System("echo", echo()), count=16)
    reader, pool = RunReader(objects, work), LocalPool()
    there = iter([pool.machines()])
    pool.machines = lambda: next(there, [])  # type: ignore[method-assign]
    with pytest.raises(PlanError, match=r"no worker of answer/\w+ could be placed for 0 s"):
        carry_out(reader, survey(reader), pool, Options(place_s=0.1))


def test_what_waits_for_others_in_one_process_does_not_hang(objects: Objects) -> None:
    kwargs = {"seconds": 500.0, "prices": {"request": 0.01}}
    slow = Model(Spec("faults.misfits:Leisurely", kwargs), Resources(0.1, in_flight=8))
    work = plan(objects, System("slow", slow), System("sound", echo()), count=48)
    told: list[Event] = []
    reader = RunReader(objects, work)
    options = Options(watch=told.append, clock=Hours.read, deadline_s=1800.0)
    assert carry_out(reader, survey(reader), LocalPool(), options).failed == {}
    assert not [e for e in told if e.kind == "trouble"]
    for system in ("slow", "sound"):
        assert set(statuses(objects, work, system).values()) == {"ok"}


def test_a_scorer_that_cannot_be_made_ends_its_group_once(objects: Objects) -> None:
    work = plan(objects, scorer=Spec("fakes:Lengths", {"faults": {"start": "x"}}), count=48)
    told: list[Event] = []
    reader = RunReader(objects, work)
    ending = carry_out(reader, survey(reader), LocalPool(), Options(watch=told.append))
    assert set(ending.failed) == {"score"}
    assert "nowhere" in ending.failed["score"]
    assert [e.kind for e in told].count("gave_up") == 1
    assert set(statuses(objects, work, "echo").values()) == {"ok"}


@pytest.mark.parametrize("bad", [["s0005"], ["s0000", "s0001"], ["s0003", "s0013", "s0023"]])
def test_samples_that_raise_cost_themselves(objects: Objects, bad: list[str]) -> None:
    work = plan(objects, System("echo", echo(faults=dict.fromkeys(bad, "raise"))), shard_size=8)
    reader = RunReader(objects, work)
    assert carry_out(reader, survey(reader), LocalPool(), Options()).failed == {}
    found = statuses(objects, work, "echo")
    assert {s for s, status in found.items() if status != "ok"} == set(bad)
    assert {found[s] for s in bad} == {"internal_error"}


def test_a_shared_scorer_that_fails_on_one_sample_serves_every_system(objects: Objects) -> None:
    work = plan(
        objects,
        System("a", echo(prefix="a")),
        System("b", echo(prefix="b")),
        scorer=Spec("faults.misfits:Choosy", {}),
    )
    reader = RunReader(objects, work)
    assert carry_out(reader, survey(reader), LocalPool(), Options()).failed == {}
    for node in (n for n in work.nodes.values() if n.stage == "score"):
        tables = [reader.anew().table(node, shard) for shard in range(work.shards)]
        rows = [r for t in tables if t is not None for r in t.to_pylist()]
        assert {r["sample_id"] for r in rows if r["status"] != "ok"} == {"s0005"}
        assert len(rows) == 24


@pytest.mark.parametrize(
    ("fault", "says"), [("raise", "cannot do s"), ("unusable", "no model for")]
)
@pytest.mark.parametrize("workers", [1, 4])
def test_a_system_that_raises_at_everything_costs_a_few_units_and_the_others_go_on(
    objects: Objects, pool: Pool, fault: str, says: str, workers: int
) -> None:
    faults, resources = {f"s{n:04d}": fault for n in range(480)}, Resources(0.1, workers=workers)
    bad = System("raises", Model(Spec("fakes:Echo", {"faults": faults}), resources))
    work = plan(objects, bad, System("sound", echo(prefix="x")), count=480)
    told: list[Event] = []
    reader = RunReader(objects, work)
    ending = carry_out(reader, survey(reader), pool, Options(watch=told.append))
    (reason,) = ending.failed.values()
    assert says in reason
    assert set(statuses(objects, work, "sound").values()) == {"ok"}
    tries = [event.kind for event in told].count("trouble")
    assert tries <= 2 * workers * COMMON_TO * (MAX_FAILURES + 1)
    assert tries < work.shards, "most were not tried at all"


def test_a_store_that_no_worker_can_write_ends_the_run(objects: Objects, folder: str) -> None:
    work = plan(objects, System("misfit", misfit("unwritable", folder, Resources(0.1))))
    reader = RunReader(objects, work)
    with pytest.raises(StoreError, match="the disk of this machine is full"):
        carry_out(reader, survey(reader), LocalPool(), Options())
