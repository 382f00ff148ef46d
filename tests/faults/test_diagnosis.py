"""What goes wrong can be found out afterwards: types, tracebacks, places; and nothing secret."""

import json
import logging
import pickle
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from fakes import SMALL, benchmark, echo, plan, recipe

from medgen.actors.local_pool import LocalPool
from medgen.adapters.controls.systems import Classical
from medgen.adapters.loop_thread import LoopThread
from medgen.engine.data import Image, Request, Sample
from medgen.engine.errors import AdapterError
from medgen.engine.plan.identity import Spec
from medgen.engine.plan.plan import Model, Plan, System, make_plan
from medgen.engine.run.driver import Options, carry_out
from medgen.engine.run.events import Event
from medgen.engine.run.folder import RunFolder
from medgen.engine.run.pool import Outcome, Pool
from medgen.engine.run.reader import RunReader
from medgen.engine.run.survey import survey
from medgen.engine.store.connect import connect
from medgen.engine.store.objects import Objects
from medgen.engine.trouble import TRACEBACK_BYTES, Place, log_failed_row, trouble, working_at
from medgen.launch.cli import cli
from medgen.launch.cluster.errors import distinct_errors, error_lines
from medgen.launch.run.evaluation import publish_broken
from medgen.launch.run.progress import Recorder

KEY = "sk-explosive-17fa90b3c2d4"
CAUSE = "The above exception was the direct cause of the following exception"


@pytest.fixture
def pool(pool: Pool, monkeypatch: pytest.MonkeyPatch) -> Pool:
    """With a key in the environment, which no traceback may show."""
    monkeypatch.setenv("EXPLOSIVE_API_KEY", KEY)
    return pool


# A shard of four of which one raises: three times whole, once as a half, twice alone.
TRIES = 6


@pytest.fixture
def objects(tmp_path: Path) -> Objects:
    return connect(str(tmp_path / "store"))


def exploding(name: str) -> System:
    # Variables of this process do not reach a Ray that runs already.
    resources = replace(SMALL, runtime_env={"env_vars": {"EXPLOSIVE_API_KEY": KEY}})
    return System("boom", Model(Spec(f"faults.explosive:{name}"), resources))


def shard_of(objects: Objects, work: Plan, sample_id: str) -> int:
    samples = RunReader(objects, work).benchmark.samples
    return next(i for i in range(work.shards) if sample_id in {s.id for s in samples(i)})


def go(objects: Objects, work: Plan, pool: Pool, discreet: bool = False) -> list[Event]:
    """The events of a run, recorded in its folder as well."""
    reader, told = RunReader(objects, work), list[Event]()
    todo = survey(reader)
    folder = RunFolder(objects, work.run_id)
    folder.save_plan(work, "")
    recorder = Recorder(folder, work, todo, "driver-1")

    def watch(event: Event) -> None:
        told.append(event)
        recorder(event)

    carry_out(reader, todo, pool, Options(watch=watch, discreet=discreet))
    recorder.publish(status="partial")
    return told


def details(events: list[Event], kind: str) -> list[dict[str, Any]]:
    return [dict(e.details) for e in events if e.kind == kind]


def shown(objects: Objects, run: str) -> str:
    done = CliRunner(env={"COLUMNS": "80"}).invoke(
        cli, ["logs", run, "--errors", "--store", objects.url]
    )
    assert done.exit_code == 0, done.output
    return done.output


def test_a_failure_comes_home_with_its_type_and_its_chain_of_causes(
    objects: Objects, pool: Pool
) -> None:
    work = plan(objects, exploding("Explosive"))
    told = go(objects, work, pool)
    shard = shard_of(objects, work, "s0006")
    failures = details(told, "trouble")
    assert not details(told, "gave_up"), "its sample was found and the rest was done"
    assert [(f["what"], f["shard"], f["error_type"]) for f in failures] == [
        ("failed", shard, "Unpicklable")
    ] * TRIES
    for said in failures:
        assert said["error"] == "no idea about 'say 6'"
        trace = said["traceback"]
        assert trace.startswith("Traceback (most recent call last):")
        assert trace.endswith("Unpicklable: no idea about 'say 6'")
        assert "explosive.py" in trace
        assert "in _explode" in trace
        assert CAUSE in trace
        assert "ValueError: invalid literal for int() with base 10: 'nine lives, ***'" in trace
    lines = shown(objects, work.run_id)
    assert lines.count("Unpicklable: no idea about 'say 6'") == 2, "its head and its traceback"
    assert f"{TRIES} times (failed {TRIES})" in lines
    assert "answer of boom (Explosive)" in lines
    assert f"shard {shard}" in " ".join(lines.split())
    assert CAUSE in lines
    assert KEY not in lines + json.dumps(RunFolder(objects, work.run_id).events())


def test_the_log_holds_a_traceback_once(objects: Objects) -> None:
    work = plan(objects, exploding("Explosive"))
    go(objects, work, LocalPool())
    events = RunFolder(objects, work.run_id).events()
    failed = [e for e in events if e["event"] in ("trouble", "gave_up")]
    assert ["traceback" in e for e in failed] == [True] + [False] * (TRIES - 1)
    assert len({e["error_id"] for e in failed}) == 1


def test_a_worker_that_cannot_be_made_says_why(objects: Objects, pool: Pool) -> None:
    work = plan(objects, exploding("Unmade"))
    told = go(objects, work, pool)
    failures = details(told, "trouble")
    assert [(f["what"], f["error_type"]) for f in failures] == [("unstarted", "AdapterError")] * 3
    assert failures[0]["error"] == "the checkpoint cannot be read"
    assert "FileNotFoundError: [Errno 2]" in failures[0]["traceback"]
    assert CAUSE in failures[0]["traceback"]
    assert "3 times (unstarted 3)" in shown(objects, work.run_id)


def test_an_engine_that_died_says_of_what(objects: Objects, pool: Pool) -> None:
    work = plan(objects, System("echo", echo(faults={"s0006": "engine_died"})))
    told = go(objects, work, pool)
    deaths = details(told, "trouble")
    assert {(d["what"], d["error_type"], d["error"]) for d in deaths} == {
        ("crashed", "EngineDied", "the fake engine died")
    }
    assert all("in _fault" in d["traceback"] for d in deaths)
    assert not details(told, "gave_up"), "its sample was found and the rest was done"


@pytest.mark.cluster
def test_a_process_that_died_leaves_what_ray_says(objects: Objects, local_ray: str) -> None:
    from medgen.actors.ray_pool import RayPool

    pool = RayPool()
    work = plan(objects, System("echo", echo(faults={"s0006": "kill"})))
    deaths = details(go(objects, work, pool), "trouble")
    pool.shutdown()
    assert {d["what"] for d in deaths} == {"crashed"}
    assert len({d["error_id"] for d in deaths}) == 1, "ids and numbers of processes are no kinds"
    assert "worker process" in deaths[0]["traceback"]


def test_a_discreet_run_tells_kinds_and_no_traceback(
    objects: Objects, pool: Pool, caplog: pytest.LogCaptureFixture
) -> None:
    work = plan(objects, exploding("Explosive"))
    told = go(objects, work, pool, discreet=True)
    failures = details(told, "trouble")
    assert {f["error"] for f in failures} == {"Unpicklable (words withheld)"}
    assert not any("traceback" in e.details for e in told)
    kept = json.dumps(RunFolder(objects, work.run_id).events()) + shown(objects, work.run_id)
    assert "Unpicklable" in kept
    assert "no traceback was kept" in kept
    assert "say 6" not in kept + caplog.text
    assert "Traceback" not in kept + caplog.text


class Late(LocalPool):
    """Does its first unit only when the run is stopping."""

    stopping = False

    def wait(self, seconds: float) -> Sequence[Outcome]:
        if any(self._held.values()) and not self.stopping:
            self.stopping = True
            return []
        return super().wait(seconds)


def test_what_fails_while_a_run_drains_is_told(objects: Objects) -> None:
    faults = {f"s{i:04d}": "unusable" for i in range(24)}
    work = plan(objects, System("echo", echo(faults=faults)))
    reader, pool, told = RunReader(objects, work), Late(), list[Event]()
    options = Options(stop=lambda: pool.stopping, watch=told.append, discreet=True)
    assert carry_out(reader, survey(reader), pool, options).stopped
    assert [e.kind for e in told][-3:] == ["draining", "trouble", "closed"]
    assert told[-2].details["error"] == "AdapterError (words withheld)"
    assert "traceback" not in told[-2].details


def test_workers_log_what_ends_a_unit_and_whose_it_is(
    objects: Objects, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("EXPLOSIVE_API_KEY", KEY)
    work = plan(objects, exploding("Explosive"))
    go(objects, work, LocalPool())
    first, *rest = [r for r in caplog.records if r.name == "medgen.engine.run.logged"]
    assert first.levelno == logging.ERROR
    (group,) = (g for g in work.groups if g.startswith("answer/"))
    shard = shard_of(objects, work, "s0006")
    where = {"group": group, "stage": "answer", "component": "Explosive", "shard": shard}
    assert where.items() <= vars(first).items()
    assert first.getMessage().startswith(
        f"{group} (Explosive), shard {shard}: Unpicklable: no idea"
    )
    assert CAUSE in first.getMessage()
    assert KEY not in caplog.text
    assert [r.getMessage().endswith("(traceback as before)") for r in rest] == [True] * (TRIES - 1)


@pytest.mark.parametrize("discreet", [False, True])
def test_a_row_that_fails_is_logged_with_its_sample(
    objects: Objects, caplog: pytest.LogCaptureFixture, discreet: bool
) -> None:
    asked = replace(
        recipe(scorer=Spec("medgen.metrics.scorer:FusedScorer")),
        metrics={"touchy": Spec("faults.explosive:Touchy")},
    )
    work = make_plan(asked, benchmark(objects))
    assert not details(go(objects, work, LocalPool(), discreet), "trouble")
    records = [r for r in caplog.records if r.name == "medgen.metrics.eligible"]
    places = {s: f"score (touchy), shard {shard_of(objects, work, s)}" for s in ("s0003", "s0006")}
    order = sorted(places, key=lambda s: (shard_of(objects, work, s), s))
    said = [r.getMessage() for r in records]
    assert {r.levelno for r in records} == {logging.WARNING}
    assert {(r.group, r.stage, r.component) for r in records} == {("score", "score", "touchy")}  # type: ignore[attr-defined]
    if discreet:
        assert said == [f"{places[s]}: ZeroDivisionError (words withheld)" for s in order]
        return
    assert [r.sample_id for r in records] == order  # type: ignore[attr-defined]
    heads = [f"{places[s]}, sample {s}: ZeroDivisionError: nothing to divide" for s in order]
    assert all(words.startswith(head) for words, head in zip(said, heads, strict=True))
    assert "in values" in said[0]
    assert said[1].endswith("(traceback as before)")


def test_a_rule_that_fails_on_an_image_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    junk = (Image(b"junk", "x.png"),)
    sample = Sample("s1", "image", "denoising", "CT", "denoise", input_images=junk)
    (row,) = Classical().predict([Request(sample)])
    assert row.status == "model_error"
    (record,) = caplog.records
    assert record.sample_id == "s1"  # type: ignore[attr-defined]
    assert "Traceback" in record.getMessage()


def test_a_row_that_no_table_holds_is_logged(
    objects: Objects, caplog: pytest.LogCaptureFixture
) -> None:
    kind = {"kind": "half a surrogate pair"}
    system = System("careless", Model(Spec("faults.unstorable:Careless", kind), SMALL))
    go(objects, plan(objects, system, count=12), LocalPool())
    (record,) = caplog.records
    assert (record.stage, record.sample_id) == ("answer", "s0003")  # type: ignore[attr-defined]
    assert "UnicodeEncodeError" in record.getMessage()


def test_work_in_a_loop_of_its_own_is_logged_at_its_place(
    caplog: pytest.LogCaptureFixture,
) -> None:
    loop = LoopThread("test")

    async def fail(item: str) -> None:
        log_failed_row(logging.getLogger("medgen.test"), ValueError(item), item)

    with working_at(Place("judge/x", "judge", "x", 3)):
        loop.map(fail, ["s1"])
    loop.stop()
    assert caplog.records[0].getMessage().startswith("judge/x (x), shard 3, sample s1: ValueError")


def test_a_failure_in_a_loop_of_its_own_keeps_its_cause() -> None:
    loop = LoopThread("test")

    async def fail(item: str) -> None:
        try:
            raise OSError("the disk is full")
        except OSError as err:
            raise AdapterError(item) from err

    with pytest.raises(AdapterError) as caught:
        loop.map(fail, ["no model"])
    loop.stop()
    assert isinstance(caught.value.__cause__, OSError)
    assert caught.value.__suppress_context__, "the group around it says nothing"


def test_an_account_is_small_and_fit_for_every_file() -> None:
    class Speechless(Exception):
        def __str__(self) -> str:
            raise RuntimeError("no words")

    def deep(n: int) -> None:
        if not n:
            raise ValueError("\ud800" + "x" * 100_000 + "the end")
        deep(n - 1)

    with pytest.raises(ValueError) as caught:  # noqa: PT011 - its words are the matter here
        deep(50)
    told = trouble(caught.value)
    assert len(told.traceback.encode()) < TRACEBACK_BYTES + 100
    assert told.traceback.startswith("… (")
    assert told.traceback.endswith("the end")
    assert len(told.error) < 3000
    assert "more characters)" in told.error
    assert pickle.loads(pickle.dumps(told)) == told
    assert trouble(Speechless()).error == "Speechless, which cannot say more (RuntimeError)"


@pytest.mark.parametrize("quoted", [False, True])
def test_keys_are_blanked(monkeypatch: pytest.MonkeyPatch, quoted: bool) -> None:
    secret = "a'very\nlong-secret-value" * 30  # longer than any name of a file
    monkeypatch.setenv("SOME_TOKEN", secret)
    monkeypatch.setenv("TOKENIZERS_PARALLELISM", "not-a-secret-at-all")
    words = f"sent {secret!r}" if quoted else f"sent {secret}"
    told = trouble(ValueError(f"{words} to https://me:mine@host/x, not-a-secret-at-all"))
    assert "very" not in told.error + told.traceback
    assert "***" in told.error
    assert told.error.endswith("to https://***@host/x, not-a-secret-at-all")


def failed(second: int, words: str, **more: Any) -> dict[str, Any]:
    time = f"2026-01-01T00:00:{second:02d}.000+00:00"
    common = {"event": "trouble", "time": time, "what": "failed", "group": "score"}
    return {**common, "error": words, "error_type": "KeyError", "error_id": "e1", **more}


def test_equal_errors_are_told_once_within_eighty_columns(objects: Objects) -> None:
    work = plan(objects)
    events = [
        failed(1, "'a'", shard=3, traceback="Traceback\n\x1b[31mKeyError: 'a'"),
        failed(2, "'b'", shard=4),
        failed(3, "'c'", shard=7, what="crashed"),
        failed(4, "words " * 40, shard=0, error_id="e2"),
        {**failed(5, "'c'"), "event": "gave_up"},
        {"event": "gave_up", "time": failed(6, "")["time"], "group": "gone", "error": "the cap"},
        {"event": "closed", "time": failed(7, "")["time"], "group": "score"},
    ]
    found = distinct_errors(events)
    lines = list(error_lines(found, work, 80))
    assert lines[:7] == [
        "1. KeyError: 'a'",
        "   3 times (failed 2, crashed 1), 2026-01-01 00:00:01 to 2026-01-01 00:00:05 UTC",
        "   score of echo (length), group score, shards 3-4, 7; given up",
        "   2 other wordings, the last: 'c'",
        "   Traceback",
        "   \\x1b[31mKeyError: 'a'",
        "",
    ]
    assert max(map(len, lines)) <= 80
    assert " ".join(" ".join(lines).split()).count("words") == 40, "wrapped, not cut"
    assert lines[-5:-2] == ["3. the cap", "   at 2026-01-01 00:00:06 UTC", "   gone; given up"]


@pytest.mark.parametrize("discreet", [False, True])
def test_what_ends_the_driver_itself_is_kept(objects: Objects, discreet: bool) -> None:
    work = plan(objects)
    folder = RunFolder(objects, work.run_id)
    folder.save_plan(work, "")
    recorder = Recorder(folder, work, survey(RunReader(objects, work)), "driver-1")
    with pytest.raises(KeyError) as caught:
        recorder.folder.logs()["s0003"]
    publish_broken(recorder, caught.value, discreet)
    status = folder.status()
    assert status is not None
    lines = shown(objects, work.run_id)
    if discreet:
        assert "s0003" not in status.reason + lines
        assert "1. KeyError (words withheld)" in lines
    else:
        assert (status.status, status.reason) == ("error", "KeyError: 's0003'")
        assert lines.startswith("1. KeyError: 's0003'\n   1 time (driver 1), ")
        assert "\n   the driver\n   Traceback" in lines


def test_a_run_without_errors_says_so(objects: Objects) -> None:
    work = plan(objects)
    go(objects, work, LocalPool())
    assert shown(objects, work.run_id).startswith("no unit failed")
