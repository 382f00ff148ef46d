"""The run: plan and store in, committed shards out. Starts where the last one stopped.

plan ──> survey (what exists) ──> board (what is ready) ──> pool (who does it) ──> receipts
"""

import time
import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any, Literal

from medgen.engine.errors import PlanError, StoreError
from medgen.engine.plan.plan import GroupPlan
from medgen.engine.run.blame import Blame
from medgen.engine.run.board import Board
from medgen.engine.run.budget import Budget, charging, stated_by
from medgen.engine.run.editions import Terms, note_editions
from medgen.engine.run.faults import MAX_FAILURES, FaultPolicy, slot_of
from medgen.engine.run.fit import Ledger, check_fit
from medgen.engine.run.pool import Group, Outcome, Pool, Receipt, Unit, inputs_of
from medgen.engine.run.reader import RunReader
from medgen.engine.run.stages import Manner, worker_recipe
from medgen.engine.run.survey import Todo, survey
from medgen.engine.stages import stage_kind
from medgen.engine.store.shards import Head
from medgen.engine.trouble import Trouble

MAX_STARTS = 3  # failed starts in a row that end a group
PATIENCE_S = 5.0  # how long idle scoring waits for slower systems before it goes ahead
DEADLINE_TIMES = 20.0  # of the longest unit of a group so far: then it hangs
STALL_S = 900.0  # nothing running and nothing starting for so long is a hang; say so instead
NOTE_EVERY_S = 5.0  # between two writings of the run's editions

_REFUSALS = ("StoreError", "BusyError")  # what a worker says that cannot write

EventKind = Literal[
    "opened",
    "closed",
    "receipt",
    "trouble",
    "gave_up",
    "retired",  # a worker on which one unit after another failed
    "draining",
    "identity",  # what makes rows now is not what made those that are there
    "system_finished",  # every row of a system is there
    "quarantined",  # before a run: a damaged object was put aside
    "warning",  # before a run: something that will not always be as it is
    "chaos",  # before a run: it is a rehearsal with faults
    "predictions",  # after a run: which replayed predictions are missing, unknown or unreadable
    "taken_over",  # rows that stood under other shards
]


@dataclass(frozen=True, slots=True)
class Event:
    """Something that happened, for progress bars and event logs. Never holds sample text."""

    kind: EventKind
    group: str
    receipt: Receipt | None = None
    details: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Options:
    """How a run is carried out. Changes no result."""

    stop: Callable[[], bool] = lambda: False
    watch: Callable[[Event], None] = lambda event: None
    grace_s: float = 30.0  # after a stop, how long running shards may take to finish
    discreet: bool = False  # say of errors only their kind: their words may quote samples
    spending_cap_usd: float | None = None  # of this start, over all systems and judges
    session: str = ""  # names this driver's run, for judges' sentinels; begins with the time
    deadline_s: float = 1800.0  # the least time that a unit has, however fast the others were
    terms: Terms = field(default_factory=Terms)
    survey: Callable[[RunReader], Todo] | None = None  # looks again; None: as a plain start does


@dataclass(frozen=True, slots=True)
class Ending:
    """How a run ended. Rows are in the store; this says what is not."""

    stopped: bool
    failed: Mapping[str, str]  # group -> why it was given up


def carry_out(reader: RunReader, todo: Todo, pool: Pool, options: Options) -> Ending:
    """Do what is left of a plan.

    Raises:
        ConfigError: the spending cap is no positive number.
        PlanError: a group fits no machine, or no worker could be placed for too long.
        StoreError: results can no longer be written. Everything committed stays.
    """
    check_fit(reader.plan, pool.nodes())
    for key, node in reader.plan.nodes.items():
        if todo.targets[key]:
            reader.stage(node).declare(node.recipe)
    note_editions(reader.objects, reader.plan.run_id, todo.editions)
    return Driver(reader, todo, pool, options).run()


class Driver:
    """One run's loop: open groups, hand out units, act on outcomes."""

    def __init__(self, reader: RunReader, todo: Todo, pool: Pool, options: Options) -> None:
        """Nothing is started yet."""
        self.reader, self.plan = reader, reader.plan
        self.url = reader.objects.url
        self.sizes = [shard.samples for shard in reader.benchmark.manifest.shards]
        self.pool, self.options = pool, options
        self.todo, self.board = todo, Board(self.plan, todo)
        self.terms = replace(options.terms, driver=options.session or uuid.uuid4().hex)
        self.noted = 0.0  # when the run's editions were written down
        self.faults, self.blame = FaultPolicy(), Blame()
        self.refused: dict[str, int] = {}  # group -> times in a row that the store refused it
        self.out: list[tuple[float, Unit]] = []  # since when units are out
        self.longest: dict[str, float] = {}  # group -> seconds of its longest unit so far
        self.charging = charging(self.plan)
        self.budget = Budget(options.spending_cap_usd, stated=stated_by(self.plan))
        self.ledger = Ledger([dict(node) for node in pool.nodes()])
        self.open: dict[str, int] = {}  # group -> workers asked for
        self.running: dict[str, int] = {}  # group -> units out
        self.samples_out: dict[str, int] = {}  # group -> samples in them
        self.unstarted: dict[str, int] = {}
        self.moved = time.monotonic()  # when something last happened

    def run(self) -> Ending:
        """Loop until nothing is left, or until told to stop."""
        while not self.board.is_finished() and not self.options.stop():
            self._end_unaffordable()
            self._open_groups()
            self._feed()
            self._act(self._wait(1.0))
            self._act(self._abandon_hung())
            self._score_ahead()
            self._close_idle()
            self._check_stall()
        stopped = self.options.stop()
        if stopped:
            self._drain()
        for group in list(self.open):
            self._close(group)
        self._note_editions(0.0)
        return Ending(stopped, dict(self.board.failed))

    def _open_groups(self) -> None:
        for group in self._order():
            if self._has_queue(group.name):
                wanted = self._workers_for(group) - self.open.get(group.name, 0)
                placed = self.ledger.take(group, wanted) if wanted > 0 else 0
                if placed:
                    self._open(group, placed)

    def _order(self) -> list[GroupPlan]:
        # Models first, longest first: they feed the rest. Scoring and judging take what is left.
        def rank(group: GroupPlan) -> tuple[bool, float]:
            return not stage_kind(
                group.stage
            ).predicts, -group.seconds_per_sample * self.board.remaining(group.name)

        return sorted(self.plan.groups.values(), key=rank)

    def _workers_for(self, group: GroupPlan) -> int:
        in_flight = max(1, group.resources.in_flight)
        needed = -(-self.board.remaining(group.name) // in_flight)
        return max(1, min(group.resources.workers, needed))

    def _open(self, group: GroupPlan, workers: int) -> None:
        manner = Manner(self.options.session, self.options.discreet, self.terms)
        make = worker_recipe(self.url, self.plan, group.name, manner)
        self.pool.open(Group(group.name, make, group.resources), workers)
        self.open[group.name] = self.open.get(group.name, 0) + workers
        self.moved = time.monotonic()
        self._tell("opened", group.name, workers=workers)

    def _feed(self) -> None:
        for name in self.open:
            queue = self.board.queues[name]
            while queue.suspects and self._submit(queue.suspects[0], alone=True):
                queue.suspects.popleft()
            while queue.fresh and not queue.suspects and self._submit(queue.fresh[0]):
                queue.fresh.popleft()

    def _submit(self, unit: Unit, alone: bool = False) -> bool:
        avoid = self.blame.workers_to_avoid(slot_of(unit))
        if not self._affordable(unit) or not self.pool.submit(unit, alone, avoid):
            return False
        self.out.append((time.monotonic(), unit))
        self._count_out(unit, 1)
        return True

    def _count_out(self, unit: Unit, by: int) -> None:
        """A unit went out (1), or came back (-1)."""
        # What comes back after its group was closed is not counted any more.
        self.running[unit.group] = max(0, self.running.get(unit.group, 0) + by)
        samples = self.samples_out.get(unit.group, 0)
        self.samples_out[unit.group] = samples + by * self._size(unit)

    def _size(self, unit: Unit) -> int:
        start, end = unit.positions or (0, self.board.samples(unit, self.sizes))
        return end - start

    def _affordable(self, unit: Unit) -> bool:
        if unit.group not in self.charging:
            return True
        out = {g: self.samples_out.get(g, 0) for g in self.charging if self.running.get(g)}
        return self.budget.allows(unit.group, self._size(unit), out)

    def _end_unaffordable(self) -> None:
        """Give up what the cap allows no more; not before every open shard's cost is known."""
        if any(self.running.get(group) for group in self.charging):
            return
        for group in sorted(self.charging - self.board.failed.keys()):
            queue = self.board.queues[group]
            ahead = [*list(queue.suspects)[:1], *list(queue.fresh)[:1]][:1]
            if any(not self._affordable(unit) for unit in ahead):
                self._give_up(group, self.budget.reason())

    def _wait(self, seconds: float) -> Sequence[Outcome]:
        outcomes = self.pool.wait(seconds)
        if not self.options.discreet:
            return outcomes
        return [replace(o, trouble=o.trouble.withheld()) for o in outcomes]

    def _act(self, outcomes: Sequence[Outcome]) -> None:
        for outcome in outcomes:
            self.moved = time.monotonic()
            if outcome.unit is None:
                self._not_started(outcome)
                continue
            self._count_out(outcome.unit, -1)
            if any(receipt.another for receipt in outcome.receipts):
                self._look_again(outcome, outcome.unit)
                continue
            self._note_back(outcome, outcome.unit)
            if outcome.group in self.board.failed or not self.board.is_current(outcome.unit):
                continue
            if outcome.kind == "finished":
                self._report(outcome)
            else:
                self._tell_trouble(outcome)
            self._follow(outcome, outcome.unit)
            if why := self.faults.too_many(outcome, sum(self.sizes)):
                self._give_up(outcome.group, why)

    def _note_back(self, outcome: Outcome, unit: Unit) -> None:
        """A unit came back: how long it took, and whether its worker is to blame."""
        since = next((s for s, u in self.out if u == unit), None)
        self.out = [(s, u) for s, u in self.out if u != unit]
        if outcome.kind == "finished":
            self.blame.note_success(outcome.group, outcome.worker, slot_of(unit))
            self.refused.pop(outcome.group, None)
            took = time.monotonic() - since if since is not None else 0.0
            self.longest[outcome.group] = max(took, self.longest.get(outcome.group, 0.0))
        elif outcome.kind == "failed" and outcome.trouble.error_type != "CorruptError":
            bad = self.blame.note_failure(outcome.group, outcome.worker, slot_of(unit))
            if bad and self.pool.sound(outcome.group) > 1:
                told = self.pool.retire(outcome.group, outcome.worker)
                self._tell("retired", outcome.group, **outcome.trouble.details())
                self._act(told)

    def _abandon_hung(self) -> Sequence[Outcome]:
        """End what has been out for far longer than anything of its group took."""
        now = time.monotonic()
        return [
            outcome
            for since, unit in list(self.out)
            if now - since > self._deadline(unit.group)
            for outcome in self.pool.abandon(unit)
        ]

    def _deadline(self, group: str) -> float:
        return max(self.options.deadline_s, DEADLINE_TIMES * self.longest.get(group, 0.0))

    def _report(self, outcome: Outcome) -> None:
        self.unstarted.pop(outcome.group, None)
        if outcome.group in self.charging and outcome.unit is not None:
            usd = sum(receipt.cost_usd for receipt in outcome.receipts)
            self.budget.pay(outcome.group, usd, self._size(outcome.unit))
        for receipt in outcome.receipts:
            self.options.watch(Event("receipt", outcome.group, receipt))

    def _follow(self, outcome: Outcome, unit: Unit) -> None:
        queue = self.board.queues[outcome.group]
        if outcome.kind == "failed" and outcome.trouble.error_type in _REFUSALS:
            self._follow_refusal(outcome, unit)
            return
        then = self.faults.after(outcome, self.board.samples(unit, self.sizes))
        if then.kind == "done":
            self._commit(unit, outcome.receipts)
        elif then.kind == "again":
            (queue.suspects if then.alone else queue.fresh).extend(then.units)
        else:
            cure = "; `medgen run --repair` finds and replaces it"
            damaged = outcome.trouble.error_type == "CorruptError"
            reason = then.reason + (cure if damaged else "")
            self._give_up(outcome.group, reason, outcome.trouble)

    def _follow_refusal(self, outcome: Outcome, unit: Unit) -> None:
        """The store refused a worker: again, elsewhere; when no other can write, the run ends."""
        group = outcome.group
        self.refused[group] = self.refused.get(group, 0) + 1
        if self.refused[group] >= MAX_FAILURES * max(1, self.pool.sound(group)):
            self._drain()
            raise StoreError(outcome.trouble.error)
        queue = self.board.queues[group]
        (queue.suspects if unit.positions else queue.fresh).append(unit)

    def _look_again(self, outcome: Outcome, unit: Unit) -> None:
        """A worker is another than those that made what is there: what is to do changes."""
        self.out = [(s, u) for s, u in self.out if u != unit]
        if outcome.group in self.board.failed or not self.board.is_current(unit):
            return  # told by the first of its group
        for receipt in outcome.receipts:
            self.reader.pin(receipt.key, receipt.edition)
            if receipt.another:
                label = self.plan.nodes[receipt.key].label
                self._tell("identity", outcome.group, label=label, changes=list(receipt.another))
        look = self.options.survey or partial(survey, terms=self.options.terms)
        self.todo.adopt(look(self.reader))
        for key, node in self.plan.nodes.items():
            if self.todo.targets[key]:
                self.reader.stage(node).declare(node.recipe)
        failed, self.board = self.board.failed, Board(self.plan, self.todo)
        for group, why in failed.items():
            self.board.give_up(group, why)
        self.board.withhold([unit for _, unit in self.out])
        self._note_editions(0.0)

    def _note_editions(self, every_s: float = NOTE_EVERY_S) -> None:
        if time.monotonic() - self.noted >= every_s:
            note_editions(self.reader.objects, self.plan.run_id, self.todo.editions)
            self.noted = time.monotonic()

    def _commit(self, unit: Unit, receipts: Sequence[Receipt]) -> None:
        for receipt in receipts:
            if receipt.edition != self.todo.editions.get(receipt.key):
                self.reader.pin(receipt.key, receipt.edition)
            self.todo.note_commit(receipt.key, unit.shard, receipt.sha256, receipt.edition)
        told = {receipt.key: receipt for receipt in receipts}
        for target in unit.targets:
            inputs = inputs_of(self.plan.nodes[target.key], unit)
            read = {place: one.sha256 for place, one in inputs.items()}
            head = Head(told[target.key].sha256, read, told[target.key].identity)
            self.reader.note_commit(target.key, unit.shard, target.revision, head)
        self.board.commit(unit)
        self._note_editions()
        shared = {s for target in unit.targets for s in self.plan.nodes[target.key].systems}
        for system in sorted(s for s in shared if self.board.over(s)):
            self._tell("system_finished", "", system=system)

    def _not_started(self, outcome: Outcome) -> None:
        if outcome.group in self.board.failed:
            return
        self.unstarted[outcome.group] = self.unstarted.get(outcome.group, 0) + 1
        self._tell_trouble(outcome)
        others = self.pool.sound(outcome.group)
        if self.unstarted[outcome.group] >= MAX_STARTS and not others:
            self._give_up(outcome.group, outcome.trouble.error, outcome.trouble)

    def _give_up(self, group: str, reason: str, why: Trouble | None = None) -> None:
        self.board.give_up(group, reason)
        self._tell("gave_up", group, **{**(why or Trouble()).details(), "error": reason})
        self._close(group)

    def _score_ahead(self) -> None:
        scoring = [g.name for g in self.plan.groups.values() if stage_kind(g.stage).shard_major]
        busy = any(self._has_queue(name) or self.running.get(name) for name in scoring)
        if not busy and time.monotonic() - self.moved > PATIENCE_S:
            self.board.flush()

    def _close_idle(self) -> None:
        starved = any(self._has_queue(g) and g not in self.open for g in self.plan.groups)
        for group in list(self.open):
            idle = not self._has_queue(group) and not self.running.get(group)
            if idle and (starved or not self.board.remaining(group)):
                self._close(group)

    def _close(self, group: str) -> None:
        if self.open.pop(group, None) is not None:
            self.pool.close(group)
            self.ledger.release(group)
            self.running.pop(group, None)
            self._tell("closed", group)

    def _drain(self) -> None:
        """Let running shards finish for a while; what does not is done again next time."""
        self._tell("draining", "", units=sum(self.running.values()))
        until = time.monotonic() + self.options.grace_s
        while any(self.running.values()) and time.monotonic() < until:
            for outcome in self._wait(0.5):
                if outcome.unit is not None:
                    self._count_out(outcome.unit, -1)
                if outcome.kind == "finished":
                    self._report(outcome)
                else:
                    self._tell_trouble(outcome)

    def _check_stall(self) -> None:
        if any(self.running.values()) or time.monotonic() - self.moved < STALL_S:
            return
        raise PlanError(
            f"no worker of {', '.join(self.open) or 'any group'} could be placed for "
            f"{STALL_S:.0f} s; the cluster offers {[dict(n) for n in self.pool.nodes()]}"
        )

    def _has_queue(self, group: str) -> bool:
        queue = self.board.queues.get(group)
        return queue is not None and bool(queue.fresh or queue.suspects)

    def _tell_trouble(self, outcome: Outcome) -> None:
        told: dict[str, Any] = outcome.trouble.details()
        if outcome.unit is not None:
            told["shard"] = outcome.unit.shard
        self._tell("trouble", outcome.group, what=outcome.kind, **told)

    def _tell(self, kind: EventKind, group: str, **details: Any) -> None:
        self.options.watch(Event(kind, group, details=details))


def stopping_after(options: Options, receipts: int) -> Options:
    """Options that stop a run after so many receipts; for rehearsing interruptions."""
    seen = 0

    def watch(event: Event) -> None:
        nonlocal seen
        seen += event.kind == "receipt"
        options.watch(event)

    return replace(options, watch=watch, stop=lambda: seen >= receipts or options.stop())
