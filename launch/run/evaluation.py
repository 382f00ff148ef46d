"""One run from configuration to results: what `medgen run`, `score` and `judge` have in common."""

import contextlib
import json
import signal
import socket
import time
import uuid
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, datetime
from typing import Any

from rich.console import Console

from medgen.actors.chaos import ChaoticPool
from medgen.conf import RunConf
from medgen.engine import registry
from medgen.engine.codec import plain, seal_json
from medgen.engine.errors import ConfigError, CorruptError, StoreError
from medgen.engine.judging.sentinels import Drift
from medgen.engine.plan.plan import Node, Plan
from medgen.engine.results.publishing import Summaries
from medgen.engine.run.adopting import take_over
from medgen.engine.run.control import Orders
from medgen.engine.run.driver import Ending, Options, carry_out
from medgen.engine.run.editions import Terms, note_editions
from medgen.engine.run.events import Event
from medgen.engine.run.folder import RunFolder, RunStatus, Status, now
from medgen.engine.run.forecast import forecast
from medgen.engine.run.known import find_known, mark
from medgen.engine.run.pool import Pool
from medgen.engine.run.reader import RunReader, stage_shards
from medgen.engine.run.sentinels import drifts
from medgen.engine.run.speeds import read_speeds
from medgen.engine.run.survey import Again, Todo, note_complete, survey
from medgen.engine.store.chaos import Chaos, chaotic_url, forget_deaths
from medgen.engine.store.connect import connect
from medgen.engine.store.objects import Objects
from medgen.engine.store.packs import afresh
from medgen.engine.trouble import trouble
from medgen.launch import compose, exits
from medgen.launch.exits import code_of
from medgen.launch.hints import view_command
from medgen.launch.rules import rules_of
from medgen.launch.run.bars import Bars
from medgen.launch.run.early import EarlyStop
from medgen.launch.run.finishing import Finishing
from medgen.launch.run.offered import check_offered, narrow_models, strange_arguments
from medgen.launch.run.origin import Job, code_identity, current_job
from medgen.launch.run.pinned import check_pinned
from medgen.launch.run.progress import Lines, Recorder
from medgen.launch.run.repair import mend_benchmark, mend_run
from medgen.launch.run.replayed import say_of_replays
from medgen.launch.run.stop import Pulse, Stop


@dataclass(frozen=True, slots=True)
class RunOptions:
    """What to do beyond the configuration."""

    stages: tuple[str, ...] = field(default_factory=lambda: tuple(registry.components("stages")))
    retry_errors: bool = False
    quiet: bool = False
    job: Job = field(default_factory=current_job)
    repair: bool = False  # prove everything first, and replace what is damaged
    chaos: Chaos | None = None  # a rehearsal with these faults
    discreet: bool = False  # no words of samples in logs, events and status
    accept_changed: bool = False  # go on in rows that another model or metric made

    @property
    def again(self) -> Again:
        """Which of the rows that are there are made once more."""
        return "errors" if self.retry_errors else "outside"


@dataclass(frozen=True, slots=True)
class RunResult:
    """What a command needs to know of a run that is over."""

    plan: Plan
    reader: RunReader
    ending: Ending
    complete: bool  # every row that was asked for exists
    seconds: float
    work_seconds: float  # of these, between the first worker asked for and the last receipt
    drifts: Mapping[str, Drift] = field(default_factory=dict)  # by group: has the judge moved?
    summaries: Summaries = field(default_factory=Summaries)  # as systems were finished


@dataclass(frozen=True, slots=True)
class Work:
    """What is to do, how to find that out anew, and how changed models are taken."""

    todo: Todo
    look: Callable[[RunReader], Todo]
    terms: Terms


def evaluate(
    conf: RunConf, options: RunOptions, stop: Stop, tell: Callable[[Event], None]
) -> RunResult:
    """Carry a run out, as far as it can be, and publish its status.

    Raises:
        MedgenError: nothing could be started, or the store is gone. All that was committed stays.
    """
    start = time.monotonic()
    early: list[Event] = []  # before there is a record to write to
    terms = _terms(conf, options)
    objects, plan = _plan(conf, options, early)
    folder = RunFolder(objects, plan.run_id)
    with _begun(folder, options.discreet):
        reader = _open(objects, plan, options, terms, early)
        folder.save_plan(plan, compose.config_text(conf))
        work = _survey(options, reader, terms)
    early += _events_of_changes(plan, work.todo)
    session = _session()
    recorder = Recorder(folder, plan, work.todo, session)
    _tell_all(early, (recorder, tell))
    recorder.publish(job=options.job.id, code=code_identity())
    pulse = Pulse(stop, recorder, obey_present=options.job.submitted)
    begun = time.monotonic()
    watchers = Watchers((recorder, tell), pulse)
    with _record_failure(recorder, options.discreet):
        ending = _drive(conf, options, reader, work, watchers)
    worked = time.monotonic() - begun
    reader, left = _look_back(reader, work)
    recorder.recount(left)
    complete = not left.shards
    _tell_all(_events_of_replays(reader), (recorder, tell))
    recorder.publish(status=_standing(ending, complete), failed=ending.failed)
    moved = judge_drifts(folder, plan, session)
    took, made = time.monotonic() - start, watchers.summaries
    return RunResult(plan, reader, ending, complete, took, worked, moved, made)


def _look_back(reader: RunReader, work: Work) -> tuple[RunReader, Todo]:
    """What there is now that the run is over, and what is left of it; the next start is told."""
    if reader.known is not None:
        return reader, work.todo
    objects = afresh(reader.objects)  # what was listed before is out of date
    marked = mark(objects, reader.plan, work.terms)
    reader = reader.anew(objects=objects)
    left = survey(reader, "nothing", terms=None)
    reader.noted.write()  # of a run with nothing to do, too, that had no note
    if marked is not None and not left.shards:
        note_complete(objects, marked, reader, work.terms)
    return reader, left


def _terms(conf: RunConf, options: RunOptions) -> Terms:
    """How what is found is held against what made the rows that are there."""
    if conf.identity not in ("usual", "strict"):
        raise ConfigError(f"identity is usual or strict, not {conf.identity!r}")
    return Terms(options.accept_changed, conf.identity == "strict")


def _plan(conf: RunConf, options: RunOptions, early: list[Event]) -> tuple[Objects, Plan]:
    """The store, and what is to be done there."""
    tell = early.append
    objects = connect(chaotic_url(conf.store, options.chaos) if options.chaos else conf.store)
    if options.chaos:
        tell(Event("chaos", "", details={"settings": str(options.chaos)}))
        forget_deaths(objects)
    if options.repair:
        mend_benchmark(objects, conf.benchmark, tell)
    return objects, compose.plan_of(conf, objects, options.chaos)


@contextlib.contextmanager
def _begun(folder: RunFolder, discreet: bool) -> Iterator[None]:
    """Say that a run is being looked at, so that nobody takes it for one that is over.

    What was done of it stays in its status, and what ends it here is left there.
    """
    status = replace(_status(folder), status="started", updated=now(), reason="", exit_code=None)
    folder.save_status(status)
    try:
        yield
    except BaseException as err:
        code = _code_of_signal(err)
        told = trouble(err).withheld() if discreet else trouble(err)
        ended = replace(status, status="error", reason=told.error, exit_code=code_of(err))
        if code is not None:
            ended = replace(status, status="cancelled", exit_code=code)
        with contextlib.suppress(StoreError):  # the error above is what is to be said
            folder.save_status(replace(ended, updated=now()))
        raise


def _status(folder: RunFolder) -> Status:
    """What a run says of itself; of one that says nothing that can be read, that it begins."""
    with contextlib.suppress(CorruptError):
        if (found := folder.status()) is not None:
            return found
    return Status("started", folder.run_id, now(), now())


def _open(
    objects: Objects, plan: Plan, options: RunOptions, terms: Terms, early: list[Event]
) -> RunReader:
    """The run as it stands in the store, with damaged objects put aside if that is asked for."""
    if options.repair:
        mend_run(objects, plan, early.append)
    if options.again == "outside" and (known := find_known(objects, plan, terms)):
        reader = RunReader(objects, plan)
        reader.rely_on(known)
        return reader
    return _reader_of(objects, plan, early)


def _survey(options: RunOptions, reader: RunReader, terms: Terms) -> Work:
    """Look what is to do; the run's folder says which editions it reads from now on."""

    def look(reader: RunReader) -> Todo:
        return restrict(survey(reader, options.again, terms), reader.plan, options.stages)

    todo = look(reader)
    note_editions(reader.objects, reader.plan.run_id, todo.editions)
    return Work(todo, look, terms)


def _events_of_changes(plan: Plan, todo: Todo) -> list[Event]:
    """What changed, once for all systems that share what makes their rows."""
    found: dict[tuple[str, str], tuple[str, ...]] = {}
    for key, words in todo.changed.items():
        found.setdefault((plan.nodes[key].group, plan.nodes[key].label), words)
    return [
        Event("identity", group, details={"label": label, "changes": list(words)})
        for (group, label), words in found.items()
    ]


def _tell_all(events: Iterable[Event], told: Sequence[Callable[[Event], None]]) -> None:
    for event in events:
        for watcher in told:
            watcher(event)


def _reader_of(objects: Objects, plan: Plan, early: list[Event]) -> RunReader:
    """A reader of the plan's rows, after those that stand under other shards were taken over."""
    reader = RunReader(objects, plan)
    taken = take_over(reader)
    for model, rows in taken.items():
        words = f"{rows} rows that stand under other shards are taken over"
        early.append(Event("taken_over", "", details={"model": model, "words": words}))
    if taken:
        return RunReader(objects, plan)
    reader.keep_look()
    return reader


def _events_of_replays(reader: RunReader) -> Iterator[Event]:
    for system, words in say_of_replays(reader):
        yield Event("predictions", "", details={"system": system, "words": words})


@contextlib.contextmanager
def _record_failure(recorder: Recorder, discreet: bool) -> Iterator[None]:
    """Leave in the run's status why its driver ended without an ending.

    Raises:
        SystemExit: with 128 + the signal's number, where one ended it.
    """
    try:
        yield
    except BaseException as err:
        code = _code_of_signal(err)
        with contextlib.suppress(StoreError):  # the error above is what is to be said
            if code is None:
                publish_broken(recorder, err, discreet)
            else:
                recorder.publish(status="cancelled", exit_code=code)
        if code == exits.TERMINATED:
            raise SystemExit(code) from err
        raise


def _code_of_signal(err: BaseException) -> int | None:
    """The exit code of a driver that a signal ended; None where it was none."""
    if isinstance(err, KeyboardInterrupt):
        return exits.INTERRUPTED
    # While Ray starts, nothing of ours listens: Ray's own handler exits with the bare number.
    terminated = isinstance(err, SystemExit) and err.code == signal.SIGTERM
    return exits.TERMINATED if terminated else None


def publish_broken(recorder: Recorder, err: BaseException, discreet: bool) -> None:
    """Leave behind what ended the driver itself."""
    told = trouble(err).withheld() if discreet else trouble(err)
    code = code_of(err) or exits.INTERNAL
    if isinstance(err, Exception):
        recorder(Event("trouble", "", details={"what": "driver", **told.details()}))
    recorder.publish(status="error", reason=told.error, exit_code=code)


def _standing(ending: Ending, complete: bool) -> RunStatus:
    if ending.stopped:
        return "cancelled"
    return "success" if complete else "partial"


def judge_drifts(folder: RunFolder, plan: Plan, session: str) -> Mapping[str, Drift]:
    """Whether judges moved since they were last seen; kept as `sentinels.json` beside the plan."""
    found = drifts(folder.objects, plan, session)
    if found:
        text = json.dumps({"session": session, "judges": plain(found)}, indent=1)
        folder.objects.replace(folder.place.sentinels, seal_json(text.encode()))
    return found


def restrict(todo: Todo, plan: Plan, stages: Sequence[str]) -> Todo:
    """Leave out the stages that a command does not do, and what cannot be done without them."""
    for key, node in plan.nodes.items():
        inputs = [plan.nodes[k] for k in node.upstream]
        if node.stage in stages and all(_are_all_there(todo, plan, u) for u in inputs):
            continue
        for shard in list(todo.targets[key]):
            there = all(_there(todo, u, shard // node.split) for u in inputs)
            if node.stage not in stages or not there:
                todo.leave(key, shard)
    return todo


def _are_all_there(todo: Todo, plan: Plan, node: Node) -> bool:
    return len(todo.revisions[node.key]) == plan.shards * node.split


def _there(todo: Todo, node: Node, shard: int) -> bool:
    return all(i in todo.revisions[node.key] for i in stage_shards(node, shard))


@dataclass(frozen=True, slots=True)
class Watchers:
    """Who is told of events, who knows whether to stop, and what is kept of finished systems."""

    told: Sequence[Callable[[Event], None]]
    pulse: Pulse
    summaries: Summaries = field(default_factory=Summaries)


def _drive(
    conf: RunConf, options: RunOptions, reader: RunReader, work: Work, watchers: Watchers
) -> Ending:
    todo = work.todo
    said = check_offered(conf, reader.plan, todo) + narrow_models(conf, reader.plan, todo)
    said += strange_arguments(reader.plan, todo)
    said += check_pinned(conf, reader.plan, todo, options.stages)
    _tell_all((Event("warning", "", details={"words": w}) for w in said), watchers.told)
    if not todo.shards:
        return Ending(stopped=False, failed={})  # nothing to do starts nothing
    console, look = Console(stderr=True), view_command(reader.plan.run_id, reader.objects.url)
    shown: Any = (
        contextlib.nullcontext()
        if options.quiet
        else Bars(reader.plan, todo, console, look)
        if console.is_terminal
        else Lines(reader.plan, todo, look)
    )
    everyone = [*watchers.told] if options.quiet else [*watchers.told, shown]

    finishing = Finishing(reader, lambda event: _tell_all((event,), everyone), watchers.summaries)
    early = EarlyStop(reader, todo, rules_of(conf.nightly.gate)) if conf.early_stop else None
    with (
        compose.open_pool(conf.cluster, conf.store) as pool,
        watchers.pulse.stop.listening(),
        shown,
        finishing,
        early or contextlib.nullcontext(),
    ):
        everyone += compose.telemetry(conf.cluster, reader.plan, todo)
        everyone += [early] if early else []
        _tell_all((_foretell(reader, todo, pool),), everyone)
        faulty = ChaoticPool(pool, options.chaos) if options.chaos else pool
        driving = _driving(conf, options, finishing, watchers, early)
        driving = replace(driving, terms=work.terms, survey=work.look)
        return _carry_on(faulty, (reader, work), driving, watchers.pulse.look_last)


def _foretell(reader: RunReader, todo: Todo, pool: Pool) -> Event:
    speeds = read_speeds(reader.objects, reader.plan)
    found = forecast(reader.plan, todo, speeds, pool.machines())
    return Event("forecast", "", details=asdict(found))


def _driving(
    conf: RunConf,
    options: RunOptions,
    finishing: Finishing,
    watchers: Watchers,
    early: EarlyStop | None,
) -> Options:
    def stop() -> bool:
        finishing.deliver()
        return watchers.pulse()

    def orders() -> Orders:
        given = watchers.pulse.orders()
        return early.orders(given, finishing) if early else given

    return Options(
        stop=stop,
        orders=orders,
        watch=finishing,
        grace_s=conf.cluster.grace_s,
        commit_every_s=conf.cluster.commit_every_s,
        start_s=conf.cluster.start_s,
        place_s=conf.cluster.place_s,
        lease_s=conf.cluster.lease_s,
        judge_wait_s=0.0 if early else conf.cluster.judge_wait_s,
        score_wait_s=0.0 if early else conf.cluster.score_wait_s,
        discreet=options.discreet,
        spending_cap_usd=conf.spending_cap_usd,
        session=watchers.pulse.recorder.driver,
        most_raising=conf.most_raising,
    )


def _carry_on(
    pool: Pool,
    given: tuple[RunReader, Work],
    driving: Options,
    look_last: Callable[[], None] = lambda: None,
) -> Ending:
    """Carry out what is to be done, and again what is owed then when somebody asked to requeue.

    What was ordered since the driver's last look is heard by `look_last`.
    """
    reader, work = given
    todo = work.todo
    asked = driving.orders().requeued  # those of earlier starts
    while True:
        ending = carry_out(reader, todo, pool, driving)
        if not ending.stopped:
            look_last()
        before, asked = asked, driving.orders().requeued
        if ending.stopped or asked == before:
            return ending
        driving = replace(driving, spent_usd=ending.spent_usd)
        reader = reader.anew()
        todo = work.look(reader)
        if not todo.shards:
            return ending


def _session() -> str:
    """Names this driver among several of one run; in the order of time."""
    stamp = datetime.now(UTC).strftime("%Y%m%dT%H%M%S%f")
    return f"{stamp}-{socket.gethostname()}-{uuid.uuid4().hex[:8]}"
