"""One run from configuration to results: what `medgen run`, `score` and `judge` have in common."""

import contextlib
import json
import socket
import time
import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any

import pyarrow as pa
from rich.console import Console

from medgen.actors.chaos import ChaoticPool
from medgen.conf import RunConf
from medgen.engine import registry
from medgen.engine.codec import plain
from medgen.engine.errors import StoreError
from medgen.engine.judging.sentinels import Drift
from medgen.engine.plan.plan import Node, Plan
from medgen.engine.results.columns import system_columns
from medgen.engine.run.driver import Ending, Event, Options, carry_out
from medgen.engine.run.folder import RunFolder, RunStatus, now
from medgen.engine.run.reader import RunReader, stage_shards
from medgen.engine.run.sentinels import drifts
from medgen.engine.run.survey import Todo, survey
from medgen.engine.store.chaos import Chaos, forget_deaths
from medgen.engine.store.connect import connect
from medgen.engine.store.objects import Objects
from medgen.launch import compose, exits
from medgen.launch.compose import config_text, planned
from medgen.launch.exits import code_of
from medgen.launch.run.origin import Job, code_identity, current_job
from medgen.launch.run.progress import Bars, Lines, Recorder, with_means
from medgen.launch.run.repair import mend_benchmark, mend_run
from medgen.launch.run.stop import Pulse, Stop


@dataclass(frozen=True, slots=True)
class Wish:
    """What to do beyond the configuration."""

    stages: tuple[str, ...] = field(default_factory=lambda: tuple(registry.components("stages")))
    retry_errors: bool = False
    quiet: bool = False
    job: Job = field(default_factory=current_job)
    repair: bool = False  # prove everything first, and replace what is damaged
    chaos: Chaos | None = None  # a rehearsal with these faults
    discreet: bool = False  # no words of samples in logs, events and status
    session: str = ""  # names this driver; given when empty


@dataclass(frozen=True, slots=True)
class Done:
    """What a command needs to know of a run that is over."""

    plan: Plan
    reader: RunReader
    ending: Ending
    complete: bool  # every row that was asked for exists
    seconds: float
    work_seconds: float  # of these, between the first worker asked for and the last receipt
    drifts: Mapping[str, Drift] = field(default_factory=dict)  # by group: has the judge moved?


def evaluate(conf: RunConf, wish: Wish, stop: Stop, tell: Callable[[Event], None]) -> Done:
    """Carry a run out, as far as it can be, and publish its status.

    Raises:
        MedgenError: nothing could be started, or the store is gone. All that was committed stays.
    """
    start = time.monotonic()
    told: list[Event] = []  # before there is a record to write to
    objects, plan = _prepared(conf, wish, told.append)
    folder = RunFolder(objects, plan.run_id)
    folder.save_plan(plan, config_text(conf))
    reader = RunReader(objects, plan)
    todo = restrict(survey(reader, wish.retry_errors), plan, wish.stages)
    wish = replace(wish, session=wish.session or _session())
    recorder = Recorder(folder, plan, todo, wish.session)
    for event in told:
        recorder(event)
        tell(event)
    recorder.publish(job=wish.job.id, code=code_identity())
    pulse = Pulse(stop, recorder, obey_present=wish.job.submitted)
    begun = time.monotonic()
    try:
        ending = _work(conf, wish, reader, todo, Ears((recorder, tell), pulse, stop))
    except BaseException as err:
        code = 130 if isinstance(err, KeyboardInterrupt) else code_of(err) or exits.INTERNAL
        reason = str(err) or type(err).__name__
        with contextlib.suppress(StoreError):  # the error above is what is to be said
            recorder.publish(status="error", reason=reason, exit_code=code)
        raise
    worked = time.monotonic() - begun
    reader = reader.anew()  # what was listed before is out of date
    complete = not survey(reader).shards
    recorder.publish(status=_word(ending, complete), failed=ending.failed)
    moved = judge_drifts(folder, plan, wish.session)
    return Done(plan, reader, ending, complete, time.monotonic() - start, worked, moved)


def _word(ending: Ending, complete: bool) -> RunStatus:
    if ending.stopped:
        return "cancelled"
    return "success" if complete else "partial"


def judge_drifts(folder: RunFolder, plan: Plan, session: str) -> Mapping[str, Drift]:
    """Whether judges moved since they were last seen; kept as `sentinels.json` beside the plan."""
    found = drifts(folder.objects, plan, session)
    if found:
        text = json.dumps({"session": session, "judges": plain(found)}, indent=1)
        folder.objects.replace(folder.place.sentinels, text.encode())
    return found


def _prepared(conf: RunConf, wish: Wish, tell: Callable[[Event], None]) -> tuple[Objects, Plan]:
    """The store and the plan, repaired or with faults put in where that is wished."""
    if wish.chaos is not None:
        tell(Event("chaos", "", details={"settings": str(wish.chaos)}))
        forget_deaths(connect(conf.store))
    if wish.repair:
        mend_benchmark(connect(conf.store), conf.benchmark, tell)
    objects, plan = planned(conf, wish.chaos)
    if wish.repair:
        mend_run(objects, plan, tell)
    return objects, plan


def restrict(todo: Todo, plan: Plan, stages: Sequence[str]) -> Todo:
    """Leave out the stages that a command does not do, and what cannot be done without them."""
    for key, node in plan.nodes.items():
        inputs = [plan.nodes[k] for k in node.upstream]
        for shard in list(todo.targets[key]):
            there = all(_there(todo, u, shard // node.split) for u in inputs)
            if node.stage not in stages or not there:
                todo.leave(key, shard)
    return todo


def _there(todo: Todo, node: Node, shard: int) -> bool:
    return all(i in todo.revisions[node.key] for i in stage_shards(node, shard))


@dataclass(frozen=True, slots=True)
class Ears:
    """Who is told of events, who is asked whether to stop, and who hears signals."""

    watchers: Sequence[Callable[[Event], None]]
    pulse: Callable[[], bool]
    stop: Stop


def _work(conf: RunConf, wish: Wish, reader: RunReader, todo: Todo, ears: Ears) -> Ending:
    if not todo.shards:
        return Ending(stopped=False, failed={})  # nothing to do starts nothing
    console = Console(stderr=True)
    shown: Any = Bars(reader.plan, todo, console) if console.is_terminal else Lines()
    everyone = [*ears.watchers] if wish.quiet else [*ears.watchers, shown]

    def watch(event: Event) -> None:
        event = with_means(reader, event)
        for watcher in everyone:
            watcher(event)

    options = Options(
        ears.pulse,
        watch,
        conf.cluster.grace_s,
        wish.discreet,
        conf.spending_cap_usd,
        wish.session,
    )
    with compose.open_pool(conf.cluster, conf.store) as pool, ears.stop.listening(), shown:
        everyone += compose.telemetry(conf.cluster, reader.plan, todo)
        faulty = ChaoticPool(pool, wish.chaos) if wish.chaos else pool
        return carry_out(reader, todo, faulty, options)


def exit_code(done: Done, summary: pa.Table, allowed_failures: float, stop: Stop) -> int:
    """0 complete, 3 rows are missing or not ok beyond the allowed share, 128 + signal."""
    if stop.signal is not None:
        return 128 + stop.signal
    worst = max(failed_share(summary), failed_predictions(done.reader))
    if not done.complete or worst > allowed_failures:
        return exits.INCOMPLETE
    return exits.OK


def finish(done: Done, code: int) -> None:
    """Publish the exit code, which says that results and report are there as well."""
    folder = RunFolder(done.reader.objects, done.plan.run_id)
    if (status := folder.status()) is not None:
        folder.save_status(replace(status, updated=now(), exit_code=code))


def failed_predictions(reader: RunReader) -> float:
    """The largest share, over systems, of predictions that are not ok; no metric need apply."""
    worst = 0.0
    for system in reader.plan.systems:
        column = next(system_columns(reader, system.name), None)
        if column is not None and column.values.size:
            worst = max(worst, 1 - column.context.prediction.counts()["ok"] / column.values.size)
    return worst


def failed_share(summary: pa.Table) -> float:
    """The largest share, over systems and values, of samples with neither value nor verdict.

    An answer that cannot be parsed is the model's own and no failure of the run.
    """
    worst = 0.0
    for row in summary.to_pylist():
        if row["group_kind"] == "all" and row["expected"]:
            settled = row["n"] + row["not_applicable"] + (row.get("status_unparseable") or 0)
            worst = max(worst, 1 - settled / row["expected"])
    return worst


def _session() -> str:
    """Names this driver among several of one run; in the order of time."""
    stamp = datetime.now(UTC).strftime("%Y%m%dT%H%M%S%f")
    return f"{stamp}-{socket.gethostname()}-{uuid.uuid4().hex[:8]}"
