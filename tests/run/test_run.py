"""A run gives the known answer, on every pool and in every kind of store, whatever happens."""

import threading
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from fakes import PAIR, echo, plan

from medgen.actors.local_pool import LocalPool
from medgen.engine.data import Prediction
from medgen.engine.errors import PlanError, StoreError
from medgen.engine.plan.identity import Resources, Spec
from medgen.engine.plan.plan import Model, Plan, System
from medgen.engine.run.driver import Ending, Options, carry_out
from medgen.engine.run.events import Event
from medgen.engine.run.pool import Group, Machine, Pool
from medgen.engine.run.reader import RunReader
from medgen.engine.run.survey import survey
from medgen.engine.stages import SCORES
from medgen.engine.store.connect import connect
from medgen.engine.store.objects import Objects


@pytest.fixture
def objects(tmp_path: Path) -> Objects:
    return connect(str(tmp_path / "store"))


def stopping_after(options: Options, receipts: int) -> Options:
    """Options that stop a run after so many receipts; for rehearsing interruptions."""
    seen = 0

    def watch(event: Event) -> None:
        nonlocal seen
        seen += event.kind == "receipt"
        options.watch(event)

    return replace(options, watch=watch, stop=lambda: seen >= receipts or options.stop())


def go(objects: Objects, plan: Plan, pool: Pool, retry: bool = False, **options: Any) -> Ending:
    reader = RunReader(objects, plan)
    return carry_out(
        reader, survey(reader, "errors" if retry else "outside"), pool, Options(**options)
    )


def predictions(objects: Objects, plan: Plan, system: str) -> dict[str, Prediction]:
    reader = RunReader(objects, plan)
    rows = [p for shard in range(plan.shards) for p in reader.predictions(system, shard)]
    assert len({p.sample_id for p in rows}) == len(rows) == plan.rows_due(system)
    return {p.sample_id: p for p in rows}


def rows(objects: Objects, plan: Plan, stage: str) -> list[dict[str, Any]]:
    reader = RunReader(objects, plan)
    found = []
    for node in plan.nodes.values():
        if node.stage == stage:
            for shard in range(plan.shards):
                table = reader.table(node, shard)
                found += [] if table is None else table.to_pylist()
    return found


def test_every_sample_ends_as_one_row_in_every_stage(objects: Objects, pool: Pool) -> None:
    judges = {"fixed": Model(Spec("fakes:FixedJudge", {"name": "fixed"}), PAIR)}
    work = plan(objects, judges=judges)
    assert go(objects, work, pool) == Ending(stopped=False, failed={})
    given = predictions(objects, work, "echo")
    assert {p.text for p in given.values()} == {f"say {i}" for i in range(24)}
    scores = rows(objects, work, "score")
    assert {r["sample_id"]: r["length"] for r in scores} == {
        s: float(len(p.text or "")) for s, p in given.items()
    }
    verdicts = rows(objects, work, "judge")
    assert len(verdicts) == 48
    assert {(r["view"], dict(r["scores"])["overall"]) for r in verdicts} == {
        ("reference_free", 9.0),
        ("reference_based", 8.0),
    }


def test_the_same_rows_in_every_kind_of_store(store_url: str) -> None:
    objects = connect(store_url)
    work = plan(objects)
    go(objects, work, LocalPool())
    assert len(predictions(objects, work, "echo")) == 24
    assert survey(RunReader(objects, work)).shards == 0


def test_a_run_resumes_where_it_stopped(objects: Objects, pool: Pool, tmp_path: Path) -> None:
    calls = tmp_path / "calls"
    work = plan(objects, System("echo", echo(execution={"calls": str(calls)})))
    reader = RunReader(objects, work)
    halfway = stopping_after(Options(), 4)
    assert carry_out(reader, survey(reader), pool, halfway).stopped
    left = survey(RunReader(objects, work)).shards
    assert 0 < left < 12
    go(objects, work, pool)
    asked = calls.read_text().split()
    assert len(predictions(objects, work, "echo")) == 24
    assert len(asked) == len(set(asked)), "a committed shard was computed again"


def test_a_new_metric_repeats_no_prediction(objects: Objects, pool: Pool, tmp_path: Path) -> None:
    calls = tmp_path / "calls"
    system = System("echo", echo(execution={"calls": str(calls)}))
    first = plan(objects, system, metrics=["length"])
    go(objects, first, pool)
    both = plan(objects, system, metrics=["length", "width"])
    todo = survey(RunReader(objects, both))
    assert {both.nodes[k].label for k, targets in todo.targets.items() if targets} == {"width"}
    go(objects, both, pool)
    assert len(calls.read_text().split()) == 24
    assert len(rows(objects, both, "score")) == 48


def test_how_a_system_is_run_changes_no_address(objects: Objects) -> None:
    few = System("echo", Model(Spec("fakes:Echo", {}), Resources(cpus=1, workers=1)))
    many = System("echo", Model(Spec("fakes:Echo", {}), Resources(cpus=4, workers=9, in_flight=3)))
    one, other = plan(objects, few), plan(objects, many)
    assert one.run_id == other.run_id
    assert list(one.nodes) == list(other.nodes)


def test_a_vlm_that_systems_share_answers_once(
    objects: Objects, pool: Pool, tmp_path: Path
) -> None:
    calls = tmp_path / "calls"
    vlm = echo(prefix="vlm ", execution={"calls": str(calls)})
    pairs = [
        System(f"vlm & {name}", vlm, echo(prefix=f"{name}: "), ("image+text",))
        for name in ("brush", "pencil", "chalk")
    ]
    work = plan(objects, *pairs)
    assert sum(n.stage == "answer" for n in work.nodes.values()) == 1
    go(objects, work, pool)
    assert len(calls.read_text().split()) == 8
    for system in pairs:
        given = predictions(objects, work, system.name)
        assert all((p.text or "").startswith("vlm say") for p in given.values())
        assert all(p.images for p in given.values())


def test_a_judge_may_be_asked_of_some_systems_only(objects: Objects) -> None:
    judge = Model(Spec("fakes:FixedJudge", {"name": "dear"}), PAIR)
    systems = [System(name, echo(prefix=name)) for name in ("model-a", "model-b", "blank")]
    work = plan(objects, *systems, judges={"dear": judge}, judged={"dear": ("model-*",)})
    assert [n.systems for n in work.nodes.values() if n.stage == "judge"] == [
        ("model-a",),
        ("model-b",),
    ]


def test_a_pair_answers_questions_in_words_and_draws_the_rest(objects: Objects, pool: Pool) -> None:
    work = plan(objects, System("pair", echo(), echo(prefix="drawn ")))
    assert go(objects, work, pool).failed == {}
    assert len(predictions(objects, work, "pair")) == 24
    (render,) = (n for n in work.nodes.values() if n.stage == "render")
    drawn = [RunReader(objects, work).table(render, s) for s in range(work.shards)]
    assert sum(t.num_rows for t in drawn if t is not None) == 16
    assert len(rows(objects, work, "score")) == 24


def test_stage_shards_may_be_cut_finer_than_the_benchmark(objects: Objects, pool: Pool) -> None:
    fine = Model(Spec("fakes:Echo", {"prefix": "fine "}), Resources(cpus=0.1), split=3)
    work = plan(objects, System("pair", echo(), fine, ("image",)))
    go(objects, work, pool)
    assert len(predictions(objects, work, "pair")) == 8
    assert len(rows(objects, work, "score")) == 8


def test_a_sample_that_kills_its_worker_twice_is_quarantined(objects: Objects, pool: Pool) -> None:
    work = plan(objects, System("echo", echo(faults={"s0005": "engine_died"})))
    assert go(objects, work, pool).failed == {}
    given = predictions(objects, work, "echo")
    assert given.pop("s0005").status == "quarantined"
    assert {p.status for p in given.values()} == {"ok"}
    bad = {r["sample_id"]: r for r in rows(objects, work, "score") if r["status"] != "ok"}
    assert list(bad) == ["s0005"]
    assert bad["s0005"]["length"] is None


def test_a_worker_that_dies_once_costs_nothing(
    objects: Objects, pool: Pool, tmp_path: Path
) -> None:
    once = tmp_path / "once"
    once.mkdir()
    faults = {"s0003": "engine_died", "s0011": "raise", "s0017": "engine_died"}
    work = plan(objects, System("echo", echo(faults=faults, execution={"once": str(once)})))
    assert go(objects, work, pool).failed == {}
    assert {p.status for p in predictions(objects, work, "echo").values()} == {"ok"}
    assert len(list(once.iterdir())) == 3


def test_a_system_that_cannot_start_is_given_up_and_the_others_go_on(
    objects: Objects, pool: Pool
) -> None:
    work = plan(
        objects,
        System("broken", echo(faults={"start": "yes"})),
        System("raises", echo(faults={"s0001": "unusable"})),
        System("sound", echo(prefix="x")),
    )
    ending = go(objects, work, pool)
    reasons = {work.nodes[g.split("/")[1]].systems[0]: why for g, why in ending.failed.items()}
    assert set(reasons) == {"broken", "raises"}
    assert "is its revision right" in reasons["broken"]
    assert "no model for s0001" in reasons["raises"]
    assert {p.status for p in predictions(objects, work, "sound").values()} == {"ok"}
    assert {p.status for p in predictions(objects, work, "broken").values()} == {"missing"}
    sound = work.giving("sound", SCORES)[0]
    assert RunReader(objects, work).table(sound, 0) is not None


def test_retrying_repeats_only_rows_that_failed_and_what_was_made_of_them(
    objects: Objects, pool: Pool, tmp_path: Path
) -> None:
    calls, once = tmp_path / "calls", tmp_path / "once"
    once.mkdir()
    how = {"calls": str(calls), "once": str(once)}
    work = plan(objects, System("echo", echo(faults={"s0007": "error"}, execution=how)))
    go(objects, work, pool)
    assert predictions(objects, work, "echo")["s0007"].status == "model_error"
    assert survey(RunReader(objects, work)).shards == 0, "an error row is not retried unasked"
    todo = survey(RunReader(objects, work), "errors")
    assert todo.shards == 2, "the prediction's shard, and the scores made from it"
    go(objects, work, pool, retry=True)
    assert {p.status for p in predictions(objects, work, "echo").values()} == {"ok"}
    assert {r["status"] for r in rows(objects, work, "score")} == {"ok"}
    assert sorted(calls.read_text().split()).count("s0007") == 2
    assert len(calls.read_text().split()) == 25
    assert survey(RunReader(objects, work), "errors").shards == 0


def test_retrying_a_judge_asks_again_only_where_it_failed(
    objects: Objects, pool: Pool, tmp_path: Path
) -> None:
    once = tmp_path / "once"
    once.mkdir()
    kwargs = {"name": "j", "faults": {"s0002": "x"}, "execution": {"once": str(once)}}
    work = plan(objects, judges={"j": Model(Spec("fakes:FixedJudge", kwargs), PAIR)})
    go(objects, work, pool)
    assert [r["status"] for r in rows(objects, work, "judge")].count("parse_error") == 2
    go(objects, work, pool, retry=True)
    verdicts = rows(objects, work, "judge")
    assert len(verdicts) == 48
    assert {r["status"] for r in verdicts} == {"ok"}


def test_two_drivers_on_one_run_do_no_harm(objects: Objects, tmp_path: Path) -> None:
    work = plan(objects, System("echo", echo(execution={"pause": "0.005"})), count=48)
    endings: list[Ending] = []

    def drive() -> None:
        endings.append(go(objects, work, LocalPool()))

    threads = [threading.Thread(target=drive) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert endings == [Ending(False, {})] * 2
    assert len(predictions(objects, work, "echo")) == 48
    assert len(rows(objects, work, "score")) == 48


def test_scoring_sees_all_systems_of_a_shard_at_once(
    objects: Objects, pool: Pool, tmp_path: Path
) -> None:
    calls = tmp_path / "calls"
    scorer = Spec("fakes:Lengths", {"execution": {"calls": str(calls)}})
    work = plan(
        objects, System("a", echo(prefix="a")), System("b", echo(prefix="b")), scorer=scorer
    )
    go(objects, work, pool)
    assert calls.read_text().splitlines() == ["['a', 'b'] ['length']"] * 6


def test_a_system_is_told_of_once_all_of_it_is_there(objects: Objects, pool: Pool) -> None:
    told: list[str] = []
    systems = [System("sound", echo()), System("broken", echo(faults={"start": "yes"}))]

    def watch(event: Event) -> None:
        if event.kind == "system_finished":
            told.append(str(event.details["system"]))

    go(objects, plan(objects, *systems), pool, watch=watch)
    assert told == ["sound"]


def test_a_plan_that_cannot_fit_is_refused_with_numbers(objects: Objects) -> None:
    class Small(LocalPool):
        def machines(self) -> list[Machine]:
            return [Machine("small", {"CPU": 2.0, "memory": 8.0 * 2**30})]

    big = System("big", Model(Spec("fakes:Echo"), Resources(cpus=3, gpus=1)))
    with pytest.raises(PlanError, match=r"asks for 3 CPU, 1 GPU.*offers machine 0: 2 CPU, 8.0 GiB"):
        go(objects, plan(objects, big), Small())


def test_groups_that_do_not_fit_together_run_one_after_another(objects: Objects) -> None:
    class One(LocalPool):
        """One logical CPU: two models that ask for all of it can never be open at once."""

        def __init__(self) -> None:
            super().__init__()
            self.models: set[str] = set()
            self.most = 0

        def machines(self) -> list[Machine]:
            return [Machine("here", {"CPU": 1.0}, most=1)]

        def open(self, group: Group, machine: str) -> str:
            name = super().open(group, machine)
            self.models |= {name} if group.name.startswith("answer/") else set()
            self.most = max(self.most, len(self.models))
            return name

        def end(self, worker: str) -> None:
            self.models.discard(worker)
            super().end(worker)

    whole = Resources(cpus=1)
    systems = [System(n, Model(Spec("fakes:Echo", {"prefix": n}), whole)) for n in ("a", "b")]
    work = plan(objects, *systems)
    pool = One()
    assert go(objects, work, pool).failed == {}
    assert pool.most == 1
    assert len(rows(objects, work, "score")) == 48


def test_a_store_that_cannot_be_written_ends_the_run_and_keeps_what_is_there(
    objects: Objects, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from medgen.engine.store.shards import Sealed, Stage

    work = plan(objects)
    publish, written = Stage.publish, list[str]()

    def full_disk(self: Stage, sealed: Sealed) -> bool:
        if len(written) >= 3:
            raise StoreError("cannot write: no space left on device")
        written.append(sealed.path)
        return publish(self, sealed)

    monkeypatch.setattr(Stage, "publish", full_disk)
    with pytest.raises(StoreError, match="no space left"):
        go(objects, work, LocalPool())
    monkeypatch.setattr(Stage, "publish", publish)
    go(objects, work, LocalPool())
    assert len(predictions(objects, work, "echo")) == 24
