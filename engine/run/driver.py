"""The run: plan and store in, committed shards out. Starts where the last one stopped.

plan ──> survey (what exists) ──> board (what is ready) ──> staff (who is there for it)
     ──> desk (what is out) ──> receipts
"""

import time
import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

from medgen.engine.errors import PlanError, StoreError
from medgen.engine.run.board import Board
from medgen.engine.run.books import Books
from medgen.engine.run.budget import Budget, charging, stated_by
from medgen.engine.run.control import Orders
from medgen.engine.run.crew import Crew, Member
from medgen.engine.run.desk import Desk, Out
from medgen.engine.run.editions import Terms
from medgen.engine.run.events import Event, EventKind
from medgen.engine.run.faults import MAX_RAISING, FaultPolicy, slot_of
from medgen.engine.run.fit import check_fit
from medgen.engine.run.pool import Outcome, Pool, Receipt, Unit, Worker
from medgen.engine.run.reader import RunReader
from medgen.engine.run.repair import cure
from medgen.engine.run.speeds import keep_speeds, read_speeds
from medgen.engine.run.staff import Staff
from medgen.engine.run.stages import Manner, worker_recipe
from medgen.engine.run.starts import MAX_STARTS
from medgen.engine.run.steering import Steering
from medgen.engine.run.survey import Todo, survey
from medgen.engine.run.trust import REFUSALS, Culprit, Trust
from medgen.engine.stages import stage_kind
from medgen.engine.trouble import Trouble

PATIENCE_S = 5.0  # how long idle scoring waits for slower systems before it goes ahead
STALL_S = 900.0  # nothing running and nothing starting for so long is a hang; say so instead
LOOK_EVERY_S = 2.0  # at the machines, and for what is late
NOTE_EVERY_S = 5.0  # between two writings of the run's editions


@dataclass(frozen=True, slots=True)
class Options:
    """How a run is carried out. Changes no result."""

    stop: Callable[[], bool] = lambda: False
    orders: Callable[[], Orders] = Orders  # what holds of `medgen control` now
    watch: Callable[[Event], None] = lambda event: None
    grace_s: float = 30.0  # after a stop, how long running shards may take to finish
    discreet: bool = False  # say of errors only their kind: their words may quote samples
    spending_cap_usd: float | None = None  # of this start, over all systems and judges
    spent_usd: float = 0.0  # of it before now
    session: str = ""  # names this driver's run, for judges' sentinels; begins with the time
    deadline_s: float = 1800.0  # the least time that a unit has, however fast the others were
    terms: Terms = field(default_factory=Terms)
    survey: Callable[[RunReader], Todo] | None = None  # looks again; None: as a plain start does
    clock: Callable[[], float] = time.monotonic  # seconds; another one where time is pretended
    most_raising: float = MAX_RAISING  # share of a group's samples that may raise before it ends


@dataclass(frozen=True, slots=True)
class Ending:
    """How a run ended. Rows are in the store; this says what is not."""

    stopped: bool
    failed: Mapping[str, str]  # group -> why it was given up
    spent_usd: float = field(default=0.0, compare=False)  # with what was spent before it


def carry_out(reader: RunReader, todo: Todo, pool: Pool, options: Options) -> Ending:
    """Do what is left of a plan.

    Raises:
        ConfigError: the spending cap is no positive number.
        PlanError: a group fits no machine, or no worker could be placed for too long.
        StoreError: results can no longer be written. Everything committed stays.
    """
    check_fit(reader.plan, pool.machines(), pool.grows())
    driver = Driver(reader, todo, pool, options)
    driver.books.declare()
    driver.books.note_editions()
    ending = driver.run()
    keep_speeds(reader.objects, reader.plan, driver.speeds)
    return ending


class Driver:
    """One run's loop: staff the groups, hand out units, act on outcomes."""

    def __init__(self, reader: RunReader, todo: Todo, pool: Pool, options: Options) -> None:
        """Nothing is started yet."""
        self.reader, self.plan = reader, reader.plan
        self.sizes = [entry.samples for entry in self.plan.content]
        self.pool, self.options, self.clock = pool, options, options.clock
        self.terms = replace(options.terms, driver=options.session or uuid.uuid4().hex)
        self.books = Books(reader, todo)
        self.charging = charging(self.plan)
        self.budget = Budget(options.spending_cap_usd, options.spent_usd, stated_by(self.plan))
        self.speeds = read_speeds(reader.objects, self.plan)
        self.board, self.desk = Board(self.plan, todo), Desk()
        self.crew = Crew(self.plan, pool, self._recipe, self.clock)
        self.trust = Trust(self.crew)
        self.staff = Staff(
            self.board, self.crew, self.desk, self.speeds, self.sizes, self._tell_of_staff
        )
        self.staff.priced, self.staff.deadline_s = self.charging, options.deadline_s
        self.steering = Steering(self.board, self.staff, self.budget, self.give_up)
        self.faults = FaultPolicy(options.most_raising, dict(self.staff.left))
        self.late: list[Out] = []  # out for longer than chance allows
        self.moved = self.clock()  # when something last happened
        self.looked = -LOOK_EVERY_S  # at the machines
        self.stale = True  # all groups are to be looked at
        self.touched: set[str] = set()  # those of which something happened

    def _recipe(self, group: str) -> Callable[[], Worker]:
        manner = Manner(self.options.session, self.options.discreet, self.terms)
        return worker_recipe(self.reader.objects.url, self.plan, group, manner)

    def run(self) -> Ending:
        """Loop until nothing is left, or until told to stop."""
        while not self.board.is_finished() and not self.options.stop():
            if self.steering.obey(self.options.orders()):
                self.moved, self.stale = self.clock(), True
            self._end_unaffordable()
            self._look_around()
            self._arrange()
            self._feed()
            self._act(self._wait(1.0))
            self._score_ahead()
            self._close_idle()
            self._check_stall()
        stopped = self.options.stop()
        if stopped:
            self._drain()
        for group in self.plan.groups:
            self._close(group)
        self.books.note_editions()
        return Ending(stopped, dict(self.board.failed), self.budget.spent_usd)

    # ---- who is there

    def _look_around(self) -> None:
        """Now and then: machines that came, went or are going, and units that are late."""
        now = self.clock()
        if now - self.looked < LOOK_EVERY_S:
            return
        self.looked = now
        self.stale = True  # starts may have become due, too
        for member in self.crew.refresh():
            member.leaving = True
            if not member.units:
                self._release(member)
        self.late = [out for out in self.desk.all() if now - out.since > self.staff.late_after(out)]
        for out in self.late:
            if now - out.since > self.staff.deadline(out):
                self._end_hung(out)

    def _arrange(self) -> None:
        if self.stale:
            self.staff.arrange(self.late)
        elif self.touched:
            self.staff.arrange(self.late, self.touched)
        self.stale, self.touched = False, set()

    def _release(self, member: Member) -> None:
        self.crew.dismiss(member.name)
        self._tell_of_staff("released", member.group, len(self.crew.groups[member.group]))

    # ---- what they do

    def _feed(self) -> None:
        for name, members in self.crew.groups.items():
            queue = self.board.queues[name]
            if not (members and (queue.fresh or queue.suspects)) or name in self.staff.paused:
                continue
            if self.desk.running.get(name, 0) >= self.crew.slots[name]:
                continue
            while queue.suspects and self._offer(queue.suspects[0], alone=True):
                queue.suspects.popleft()
            while queue.fresh and not queue.suspects and self.crew.with_room(name):
                self.books.take_up(queue, self.faults, self.staff)
                unit = self.staff.next_unit(queue, self._cut)
                if not self._offer(unit):
                    queue.fresh.appendleft(unit)
                    break
        for out in self.late:
            self._copy(out)

    def _cut(self, unit: Unit, count: int) -> tuple[Unit, Unit]:
        low, high = unit.positions or (0, self.staff.samples(unit))
        return self.faults.cut(unit, (low, high), low + count)

    def _offer(self, unit: Unit, alone: bool = False) -> bool:
        """Hand a unit to the emptiest worker, elsewhere than where it failed if it can be."""
        if not self._is_affordable(unit):
            return False
        fit = self.crew.with_room(unit.group, alone)
        if not fit:
            return False
        slot = slot_of(unit)
        if bad := self.trust.blame.places_to_avoid(slot):
            fit = [m for m in fit if m.machine not in bad] or fit
            fit = [m for m in fit if m.name not in bad] or fit
            others = any(m.name not in bad for m in self.crew.groups[unit.group].values())
            if others and all(m.name in bad for m in fit):
                return False  # one that is busy or starting will take it
        self._hand(unit, min(fit, key=lambda m: m.units), alone)
        return True

    def _hand(self, unit: Unit, member: Member, alone: bool) -> None:
        samples = 0 if unit.merge else self.staff.samples(unit)
        member.units += 1
        member.alone = alone
        beside = float(member.units)
        now = self.clock()
        self.desk.hand_out(
            Out(unit, slot_of(unit), member.name, member.machine, now, samples, beside)
        )
        self.pool.submit(unit, member.name)

    def _copy(self, out: Out) -> None:
        """Give a second copy of what is late to a worker with nothing to do. Never what costs."""
        queue = self.board.queues[out.unit.group]
        if queue.fresh or queue.suspects or out.unit.group in self.charging:
            return
        copies = self.desk.copies(out.slot)
        if len(copies) == 1 and copies[0] is out and not self.crew.members[out.worker].alone:
            member = self.staff.idle_elsewhere(out.unit.group, {out.machine})
            if member is not None and not member.leaving:
                self._hand(out.unit, member, alone=False)

    def _is_affordable(self, unit: Unit) -> bool:
        if unit.group not in self.charging or unit.merge:
            return True
        out = {g: self.desk.samples.get(g, 0) for g in self.charging if self.desk.running.get(g)}
        return self.budget.allows(unit.group, self.staff.samples(unit), out)

    def _end_unaffordable(self) -> None:
        """Give up what the cap allows no more; not before every open shard's cost is known."""
        if any(self.desk.running.get(group) for group in self.charging):
            return
        for group in sorted(self.charging - self.board.failed.keys()):
            queue = self.board.queues[group]
            ahead = [*list(queue.suspects)[:1], *list(queue.fresh)[:1]][:1]
            if any(not self._is_affordable(unit) for unit in ahead):
                self.give_up(group, self.budget.reason())

    # ---- what came of it

    def _wait(self, seconds: float) -> Sequence[Outcome]:
        outcomes = self.pool.wait(seconds)
        if not self.options.discreet:
            return outcomes
        return [replace(o, trouble=o.trouble.withheld()) for o in outcomes]

    def _act(self, outcomes: Sequence[Outcome]) -> None:
        for outcome in outcomes:
            self.moved = self.clock()
            self.touched.add(outcome.group)
            if outcome.kind == "started":
                self.speeds.note_load(outcome.group, self.crew.note_start(outcome))
            elif outcome.unit is None:
                self._note_no_start(outcome)
            else:
                self._act_on_unit(outcome, outcome.unit)

    def _act_on_unit(self, outcome: Outcome, unit: Unit) -> None:
        out, over = self._take_back(outcome, unit)
        if any(receipt.another for receipt in outcome.receipts):
            self._look_again(outcome, unit)
            return
        if out is None or outcome.group in self.board.failed or not self.board.is_current(unit):
            return
        if outcome.kind == "finished":
            self._note_success(outcome, out)
        else:
            self._answer_for(self.trust.note_failure(outcome, out), outcome)
        if over or (outcome.kind != "finished" and self.desk.copies(out.slot)):
            return  # another copy has done it, or may
        if outcome.kind == "finished":
            self._report(outcome)
        else:
            self._tell_trouble(outcome)
        self._follow(outcome, unit)
        if why := self.faults.too_many(outcome, sum(self.sizes)):
            self.give_up(outcome.group, why)

    def _take_back(self, outcome: Outcome, unit: Unit) -> tuple[Out | None, bool]:
        out, over = self.desk.take_back(unit, outcome.worker)
        member = self.crew.members.get(outcome.worker)
        if member is not None:
            member.units, member.alone = max(0, member.units - 1), False
            if outcome.kind in ("crashed", "lost"):
                self._forget(member, expected=self.faults.is_suspect(unit))
            elif member.leaving and not member.units:
                self._release(member)
        return out, over

    def _forget(self, member: Member, expected: bool) -> None:
        self.crew.forget(member.name)
        if not expected:  # what is halved to find its one bad sample dies on the way
            self.crew.starts.note_death(member.group, self.clock())
        self._tell_of_staff("released", member.group, len(self.crew.groups[member.group]))

    def _note_success(self, outcome: Outcome, out: Out) -> None:
        group = outcome.group
        self.trust.note_success(group, out)
        if out.samples:
            took, weight = self.clock() - out.since, out.samples * len(out.unit.targets)
            self.speeds.note_unit(group, took, weight, out.beside)
        for other in self.desk.settle(out.unit):
            if self.clock() - other.since > self.staff.late_after(other):
                self._end_worker(other.worker)  # else it may hold the worker for ever

    def _answer_for(self, culprit: Culprit | None, outcome: Outcome) -> None:
        """End what is to blame for an outcome: a worker, or a machine with all that is on it."""
        if culprit is None:
            return
        what = {culprit.kind: culprit.name, **outcome.trouble.details()}
        self._tell("retired", outcome.group, **what)
        for name in culprit.workers:
            self._end_worker(name)

    def _end_worker(self, name: str) -> None:
        """End a worker; what it held goes elsewhere, and is not its own fault."""
        member = self.crew.members.get(name)
        if member is None:
            return
        held = self.desk.held_by(name)
        self._release(member)
        why = Trouble("its worker was ended")
        self._act([Outcome("lost", member.group, o.unit, (), why, worker=name) for o in held])

    def _end_hung(self, out: Out) -> None:
        """End the worker of a unit that does not return."""
        why = Trouble("it did not return in time", "TimeoutError")
        outcome = Outcome("crashed", out.unit.group, out.unit, (), why, worker=out.worker)
        self._answer_for(self.trust.hold_against(outcome, out), outcome)
        if out not in self.desk.copies(out.slot):
            return  # its machine was retired just now, and the unit is to be done elsewhere
        _, over = self.desk.take_back(out.unit, out.worker)
        self._end_worker(out.worker)
        if over or self.desk.copies(out.slot) or out.unit.group in self.board.failed:
            return
        self._tell_trouble(outcome)
        if out.unit.group in self.charging and not out.unit.merge:
            span = out.unit.positions or (0, self.staff.samples(out.unit))
            self._requeue(self.faults.time_out(out.unit, span, self.clock() - out.since))
        else:
            self._follow(outcome, out.unit)

    def _requeue(self, units: Sequence[Unit], alone: bool = False) -> None:
        for unit in units:
            queue = self.board.queues[unit.group]
            if unit.merge:
                queue.fresh.appendleft(unit)  # it ends a shard, which others may wait for
            else:
                (queue.suspects if alone else queue.fresh).append(unit)

    def _report(self, outcome: Outcome) -> None:
        unit = outcome.unit
        if outcome.group in self.charging and unit is not None and not unit.merge:
            usd = sum(receipt.cost_usd for receipt in outcome.receipts)
            self.budget.pay(outcome.group, usd, self.staff.samples(unit))
        for receipt in outcome.receipts:
            self.options.watch(Event("receipt", outcome.group, receipt))

    def _follow(self, outcome: Outcome, unit: Unit) -> None:
        if outcome.kind == "failed" and outcome.trouble.error_type in REFUSALS:
            self._follow_refusal(outcome, unit)
            return
        then = self.faults.after(outcome, self.board.samples(unit, self.sizes))
        if outcome.kind == "finished":
            self.staff.note_done(unit, self.staff.samples(unit))
        if then.kind == "done":
            self._commit(unit, outcome.receipts)
        elif then.kind == "again":
            self._requeue(then.units, then.alone)
        else:
            reason = then.reason + cure(outcome.trouble.error_type, then.reason)
            self.give_up(outcome.group, reason, outcome.trouble)

    def _follow_refusal(self, outcome: Outcome, unit: Unit) -> None:
        """The store refused a worker: again, elsewhere; when no machine can write, the run ends."""
        if self.trust.none_can_write():
            self._drain()
            raise StoreError(outcome.trouble.error)
        self._requeue((unit,), alone=self.faults.is_suspect(unit))

    def _look_again(self, outcome: Outcome, unit: Unit) -> None:
        """A worker is another than those that made what is there: what is to do changes."""
        if outcome.group in self.board.failed or not self.board.is_current(unit):
            return  # told by the first of its group
        for receipt in outcome.receipts:
            if receipt.another:
                label = self.plan.nodes[receipt.key].label
                self._tell("identity", outcome.group, label=label, changes=list(receipt.another))
        look = self.options.survey or partial(survey, terms=self.options.terms)
        self.books.look_again(outcome.receipts, look)
        self.steering.lay_back()
        before, self.board = self.board, Board(self.plan, self.books.todo)
        self.board.take_over(before, [out.unit for out in self.desk.all()])
        self.staff.follow(self.board)
        self.steering.board = self.board
        self.stale = True

    def _commit(self, unit: Unit, receipts: Sequence[Receipt]) -> None:
        self.books.note_commit(unit, receipts)
        self.board.commit(unit)
        self.touched |= {name for name in self.plan.groups if self.board.has_queue(name)}
        self.books.note_editions(NOTE_EVERY_S)
        shared = {s for target in unit.targets for s in self.plan.nodes[target.key].systems}
        for system in sorted(s for s in shared if self.board.over(s)):
            self._tell("system_finished", "", system=system)

    def _note_no_start(self, outcome: Outcome) -> None:
        """A worker could not be made, or its machine went while it was."""
        member = self.crew.forget(outcome.worker)
        group = outcome.group
        if member is None or group in self.board.failed:
            return
        self._tell_of_staff("released", group, len(self.crew.groups[group]))
        self.crew.starts.note_death(group, self.clock())
        if outcome.kind == "lost":
            return
        self._tell_trouble(outcome)
        starts = self.crew.starts
        if starts.note_failure(group, member.machine):
            self._answer_for(self.trust.retire(member.machine, group, outcome), outcome)
        hopeless = starts.places_failed(group) >= MAX_STARTS or not self.crew.other_places(group)
        if starts.in_a_row(group) >= MAX_STARTS and not self.crew.sound(group) and hopeless:
            self.give_up(group, outcome.trouble.error, outcome.trouble)

    def give_up(self, group: str, reason: str, why: Trouble | None = None) -> None:
        """Do no more of a group, nor of what reads its rows; the others go on."""
        self.board.give_up(group, reason)
        self.stale = True
        self._tell("gave_up", group, **{**(why or Trouble()).details(), "error": reason})
        self._close(group)

    def _score_ahead(self) -> None:
        if self.clock() - self.moved <= PATIENCE_S:
            return
        scoring = [g.name for g in self.plan.groups.values() if stage_kind(g.stage).shard_major]
        if not any(self.board.has_queue(name) or self.desk.running.get(name) for name in scoring):
            self.board.flush()
            self.stale = True

    def _close_idle(self) -> None:
        for group, members in self.crew.groups.items():
            if members and not self.board.remaining(group):
                self._close(group)

    def _close(self, group: str) -> None:
        self.desk.drop(group)
        if self.crew.groups[group]:
            for name in list(self.crew.groups[group]):
                self.crew.dismiss(name)
            self._tell("closed", group)

    def _drain(self) -> None:
        """Let running shards finish for a while; what does not is done again next time."""
        self._tell("draining", "", units=sum(self.desk.running.values()))
        until = self.clock() + self.options.grace_s
        while any(self.desk.running.values()) and self.clock() < until:
            for outcome in self._wait(0.5):
                if outcome.unit is not None:
                    self.desk.take_back(outcome.unit, outcome.worker)
                if outcome.kind == "finished":
                    self._report(outcome)
                elif outcome.kind != "started":
                    self._tell_trouble(outcome)

    def _check_stall(self) -> None:
        still = self.clock() - self.moved >= STALL_S and not self.staff.paused
        if any(self.desk.running.values()) or not still:
            return
        waiting = [name for name, members in self.crew.groups.items() if members]
        raise PlanError(
            f"no worker of {', '.join(waiting) or 'any group'} could be placed for "
            f"{STALL_S:.0f} s; the cluster offers {[dict(m.offers) for m in self.pool.machines()]}"
        )

    def _tell_trouble(self, outcome: Outcome) -> None:
        told: dict[str, Any] = outcome.trouble.details()
        if outcome.unit is not None:
            told["shard"] = outcome.unit.shard
        self._tell("trouble", outcome.group, what=outcome.kind, **told)

    def _tell_of_staff(self, what: str, group: str, workers: int) -> None:
        self._tell("opened" if what == "opened" else "released", group, workers=workers)

    def _tell(self, kind: EventKind, group: str, **details: Any) -> None:
        self.options.watch(Event(kind, group, details=details))
