"""The run: plan and store in, committed shards out. Starts where the last one stopped.

plan ──> survey (what exists) ──> board (what is ready) ──> staff (who is there for it)
     ──> desk (what is out) ──> receipts
"""

import uuid
from collections.abc import Sequence
from dataclasses import replace
from functools import partial

from medgen.engine.errors import StoreError
from medgen.engine.run.board import Board, Queue
from medgen.engine.run.books import Books, Look
from medgen.engine.run.budget import Budget, Purse, charging, stated_by
from medgen.engine.run.claims import Claims
from medgen.engine.run.crew import Crew, Member
from medgen.engine.run.desk import Desk, Out
from medgen.engine.run.editions import UNSEEN
from medgen.engine.run.events import Event
from medgen.engine.run.faults import faults_of, slot_of
from medgen.engine.run.fit import check_fit, no_room
from medgen.engine.run.options import Ending, Options
from medgen.engine.run.pool import Outcome, Pool, Receipt, Unit
from medgen.engine.run.presence import Presence, Watch
from medgen.engine.run.reader import RunReader
from medgen.engine.run.repair import cure
from medgen.engine.run.sharing import Sharing
from medgen.engine.run.speeds import keep_speeds, read_speeds, temper_guesses
from medgen.engine.run.staff import Staff
from medgen.engine.run.stages import Manner, recipe_of
from medgen.engine.run.steering import Steering
from medgen.engine.run.survey import Todo, survey
from medgen.engine.run.telling import Telling
from medgen.engine.run.trust import REFUSALS, Culprit, Trust
from medgen.engine.run.waves import Waves
from medgen.engine.trouble import Trouble

__all__ = ["Driver", "Ending", "Options", "carry_out"]

LOOK_EVERY_S = 2.0  # at the machines, and for what is late
NOTE_EVERY_S = 10.0  # between two writings of the run's editions


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
    reader.noted.write()
    keep_speeds(reader.objects, reader.plan, driver.speeds)
    return ending


class Driver:
    """One run's loop: staff the groups, hand out units, act on outcomes."""

    def __init__(self, reader: RunReader, todo: Todo, pool: Pool, options: Options) -> None:
        """Nothing is started yet."""
        self.reader, self.plan = reader, reader.plan
        self.sizes = [entry.samples for entry in self.plan.content]
        self.pool, self.options, self.clock = pool, options, options.clock
        self.tell = Telling(options.watch)
        self.terms = replace(options.terms, driver=options.session or uuid.uuid4().hex)
        self.books = Books(reader, todo)
        self.charging = charging(self.plan)
        self.budget = Budget(options.spending_cap_usd, options.spent_usd, stated_by(self.plan))
        there = Presence(reader.objects, self.plan.run_id, options.lease_s)
        self.speeds = temper_guesses(read_speeds(reader.objects, self.plan))
        self.board, self.desk = Board(self.plan, todo), Desk()
        manner = Manner(options.discreet, options.session, self.terms)
        recipe = partial(recipe_of, reader.objects.url, self.plan, manner)
        self.crew = Crew(self.plan, pool, recipe, self.clock)
        self.trust = Trust(self.crew)
        self.staff = Staff(
            self.board, self.crew, self.desk, self.speeds, self.sizes, self.tell.of_staff
        )
        self.staff.priced, self.staff.is_capped = self.charging, self.budget.is_capped
        self.staff.deadline_s = options.deadline_s
        self.staff.commit_every_s = options.commit_every_s
        self.faults = faults_of(self.plan, options.most_raising, self.staff.left)
        self.sharing = Sharing(
            self.board,
            self.books,
            self.desk,
            Claims(reader.objects, there, Watch(reader.objects, options.lease_s)),
            self.terms,
            self.faults,
            self._note_found,
            self.crew.is_full,
        )
        self.staff.admits = self.sharing.bring
        self.purse = Purse(self.budget, self.charging, self.staff.rows, self.desk)
        self.waves = Waves(self.board, self.desk, self.crew, self.clock, *options.waits)
        self.steering = Steering(self.board, self.staff, self.budget, self.give_up)
        self.late: list[Out] = []  # out for longer than chance allows
        # When something last happened, and when the machines were looked at.
        self.moved, self.looked = self.clock(), -LOOK_EVERY_S
        self.stale = True  # all groups are to be looked at
        self.touched: set[str] = set()  # those of which something happened

    def run(self) -> Ending:
        """Loop until nothing is left here or elsewhere, or until told to stop."""
        self.sharing.begin()
        try:
            return self._run()
        finally:
            self.sharing.end()

    def _run(self) -> Ending:
        while not self._is_over() and not self.options.stop():
            if self.steering.obey(self.options.orders()):
                self.moved, self.stale = self.clock(), True
            for group in self.purse.hopeless(self.board):
                self.give_up(group, self.budget.reason())
            self._share()
            self._look_around()
            self._arrange()
            self._feed()
            self._act(self._wait(1.0))
            self.stale = self.waves.look(self.moved) or self.stale
            self._close_idle()
            self._check_stall()
        stopped = self.options.stop()
        if stopped:
            self._drain()
        for group in self.plan.groups:
            self._close(group)
        self.books.note_editions()
        return Ending(stopped, dict(self.board.failed), self.budget.spent_usd)

    def _is_over(self) -> bool:
        """Whether nothing is left; where others were at work as well, by another look."""
        if self.board.is_finished() and self.sharing.met_others():
            self._survey_again((), self.books.confirm)
        return self.board.is_finished()

    def _share(self) -> None:
        """See what other drivers have done, and go on with it."""
        self.sharing.look()
        if self.sharing.anew:
            self.sharing.anew = False
            self._survey_again(())

    def _note_found(self, key: str, shards: Sequence[int]) -> None:
        node, self.moved, self.stale = self.plan.nodes[key], self.clock(), True
        for shard in shards:
            self.staff.note_gone(node, shard)
        count = self.desk.elsewhere(key, shards)
        self.tell("found", node.group, stage=node.stage, key=key, shards=count)
        self.tell.of_systems(node.systems, self.board)

    # ---- who is there

    def _look_around(self) -> None:
        """Now and then: machines that came, went or are going, and units that are late."""
        now = self.clock()
        if now - self.looked < LOOK_EVERY_S:
            return
        self.looked, self.stale = now, True  # starts may have become due, too
        for member in self.crew.refresh():
            member.leaving = True
            if not member.units:
                self._release(member)
        for outcome in self.crew.end_stuck(self.options.start_s):
            self.moved = now
            self._note_no_start(outcome)
        self.crew.note_slow(lambda group: self.staff.slow_start_s(group, self.options.start_s))
        self.late = self.staff.late(now)
        for out in self.late:
            if self.staff.hangs(out, now) and out in self.desk.copies(out.slot):
                self._end_hung(out)

    def _arrange(self) -> None:
        if self.stale:
            self.staff.arrange(self.late)
        elif self.touched:
            self.staff.arrange(self.late, self.touched)
        self.stale, self.touched = False, set()

    def _release(self, member: Member) -> None:
        self.crew.dismiss(member.name)
        self.tell.of_staff("released", member.group, len(self.crew.groups[member.group]))

    # ---- what they do

    def _feed(self) -> None:
        for name, members in self.crew.groups.items():
            queue = self.board.queues[name]
            if not (members and (queue.fresh or queue.suspects)) or name in self.staff.paused:
                continue
            self.crew.handfuls[name] = self.staff.handful(queue)
            if self.desk.running.get(name, 0) >= self.crew.slots(name):
                continue
            while self.crew.with_room(name) and self.sharing.bring(name):
                if not self._feed_one(name, queue):
                    break
        for out in self.late:
            self._copy(out)

    def _feed_one(self, group: str, queue: Queue) -> bool:
        """Hand out the unit that comes next, suspects before others; False: it must wait."""
        if queue.suspects:
            if gone := self._offer(queue.suspects[0], alone=True):
                queue.suspects.popleft()
            return gone
        if not self.sharing.join(group):
            return True  # others have done what was in front
        self.books.take_up(queue, self.faults, self.staff)
        unit = self.staff.next_unit(queue, self._cut)
        gone = self._offer(unit)
        if not gone:
            queue.fresh.appendleft(unit)
        return gone

    def _cut(self, unit: Unit, count: int) -> tuple[Unit, Unit]:
        low, high = unit.positions or (0, self.staff.samples(unit))
        return self.faults.cut(unit, (low, high), low + count)

    def _offer(self, unit: Unit, alone: bool = False) -> bool:
        """Hand a unit to the emptiest worker, elsewhere than where it failed if it can be."""
        if not self.purse.affords(unit) or not self.sharing.holds(unit):
            return False
        fit = self.crew.with_room(unit.group, alone)
        if fit and (bad := self.trust.blame.places_to_avoid(slot_of(unit))):
            fit = self.crew.elsewhere(unit.group, fit, bad, alone)
        if not fit:
            return False  # one that is busy or starting will take it
        first = self.desk.begun_by(unit)
        self._hand(unit, min(fit, key=lambda m: (m.name != first, m.units)), alone)
        return True

    def _hand(self, unit: Unit, member: Member, alone: bool) -> None:
        samples = 0 if unit.merge else self.staff.samples(unit)
        unit = replace(unit, wary=unit.wary or self.sharing.is_wary())
        member.units += 1
        member.alone = alone
        where, beside = (member.name, member.machine), float(member.units)
        self.desk.hand_out(Out(unit, slot_of(unit), *where, self.clock(), samples, beside))
        self.pool.submit(unit, member.name)

    def _copy(self, out: Out) -> None:
        """Give a second copy of what is late to a worker with nothing to do. Never what costs."""
        if self.board.has_queue(out.unit.group) or out.unit.group in self.charging:
            return
        copies = self.desk.copies(out.slot)
        if len(copies) == 1 and copies[0] is out and not self.crew.members[out.worker].alone:
            member = self.staff.idle_elsewhere(out.unit.group, {out.machine})
            if member is not None and not member.leaving:
                self._hand(out.unit, member, alone=False)

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
            self.staff.note_outcome(outcome)
            if outcome.kind == "started":
                self.speeds.note_load(outcome.group, self.crew.note_start(outcome))
                self.staff.drop_surplus(outcome.group)
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
            self.tell.of_trouble(outcome)
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
        self.tell.of_staff("released", member.group, len(self.crew.groups[member.group]))

    def _note_success(self, outcome: Outcome, out: Out) -> None:
        group = outcome.group
        self.staff.note_back(group)
        for culprit, why in self.trust.note_success(group, out):
            self._answer_for(culprit, why)
        if out.samples:
            beside = max(out.beside, outcome.beside)
            self.speeds.note_unit(group, self.clock() - out.since, out.rows, beside)
        for other in self.desk.settle(out.unit):
            if other.work_s(self.clock()) > self.staff.late_after(other):
                self._end_worker(other.worker)  # else it may hold the worker for ever

    def _answer_for(self, culprit: Culprit | None, outcome: Outcome) -> None:
        """End what is to blame for an outcome: a worker, or a machine with all that is on it."""
        if culprit is None:
            return
        what = {culprit.kind: culprit.name, **outcome.trouble.details()}
        self.tell("retired", outcome.group, **what)
        for name in culprit.workers:
            self._end_worker(name)

    def _end_worker(self, name: str) -> None:
        """End a worker; what it held goes elsewhere, and is not its own fault."""
        member = self.crew.members.get(name)
        if member is None:
            return
        held, why = self.desk.held_by(name), Trouble("its worker was ended")
        self._release(member)
        self._act([Outcome("lost", member.group, o.unit, (), why, worker=name) for o in held])

    def _end_hung(self, out: Out) -> None:
        """End the worker of a unit that does not return."""
        why = Trouble("it did not return in time", "TimeoutError")
        outcome = Outcome("crashed", out.unit.group, out.unit, (), why, worker=out.worker)
        self.staff.note_hung(out)
        self.moved = self.clock()
        if alike := self.staff.hung_with(out, self.moved):
            self._release(self.crew.members[out.worker])
            self._act([replace(outcome, unit=o.unit, alone=False) for o in alike])
            return
        self._answer_for(self.trust.note_failure(outcome, out), outcome)
        if out not in self.desk.copies(out.slot):
            return  # its machine was retired just now, and the unit is to be done elsewhere
        _, over = self.desk.take_back(out.unit, out.worker)
        self._end_worker(out.worker)
        if over or self.desk.copies(out.slot) or out.unit.group in self.board.failed:
            return
        self.tell.of_trouble(outcome)
        if out.unit.group in self.charging and not out.unit.merge:
            span = out.unit.positions or (0, self.staff.samples(out.unit))
            self._requeue(self.faults.time_out(out.unit, span, self.clock() - out.since))
        else:
            self._follow(outcome, out.unit)

    def _requeue(self, units: Sequence[Unit], alone: bool = False, ahead: bool = False) -> None:
        for tried in units:
            # Who had it may have committed some of it, and not have come to say so.
            unit, queue = replace(tried, wary=True), self.board.queues[tried.group]
            if unit.merge or ahead:  # a merge ends a shard, which others may wait for
                queue.fresh.appendleft(unit)
            else:
                (queue.suspects if alone else queue.fresh).append(unit)

    def _report(self, outcome: Outcome) -> None:
        unit = outcome.unit
        if outcome.group in self.charging and unit is not None and not unit.merge:
            usd = sum(receipt.cost_usd for receipt in outcome.receipts)
            self.budget.pay(outcome.group, usd, self.staff.rows(unit))
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
            self._requeue(then.units, then.alone, then.ahead)
        elif outcome.kind == "crashed" and self.trust.others_work(outcome.group):
            self._requeue((unit,), alone=True)  # whose fault it is, they will tell
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
            told = receipt.another == (UNSEEN,) and receipt.key in self.books.todo.changed
            if receipt.another and not told:
                label = self.plan.nodes[receipt.key].label
                self.tell("identity", outcome.group, label=label, changes=list(receipt.another))
        self._survey_again(outcome.receipts)

    def _survey_again(self, receipts: Sequence[Receipt], look: Look | None = None) -> None:
        usual = self.options.survey or partial(survey, terms=self.options.terms)
        self.books.look_again(receipts, look or usual)
        self.steering.lay_back()
        self.sharing.lay_back()
        before, self.board = self.board, Board(self.plan, self.books.todo)
        self.board.take_over(before, [out.unit for out in self.desk.all()])
        self.staff.follow(self.board)
        self.steering.board = self.sharing.board = self.waves.board = self.board
        self.stale = True

    def _commit(self, unit: Unit, receipts: Sequence[Receipt]) -> None:
        self.books.note_commit(unit, receipts)
        self.board.commit(unit)
        self.desk.note_commit(unit)
        self.touched |= {name for name in self.plan.groups if self.board.has_queue(name)}
        self.sharing.note_commit(unit, receipts)
        self.books.note_editions(NOTE_EVERY_S)
        systems = {s for t in unit.targets for s in self.plan.nodes[t.key].systems}
        self.tell.of_systems(systems, self.board)

    def _note_no_start(self, outcome: Outcome) -> None:
        """A worker could not be made, or its machine went while it was."""
        member = self.crew.forget(outcome.worker)
        group = outcome.group
        if member is None or group in self.board.failed:
            return
        self.tell.of_staff("released", group, len(self.crew.groups[group]))
        self.crew.starts.note_death(group, self.clock())
        if outcome.kind == "lost":
            return
        self.tell.of_trouble(outcome)
        if self.crew.starts.note_failure(group, member.machine):
            self._answer_for(self.trust.retire(member.machine, group, outcome), outcome)
        if self.crew.is_hopeless(group):
            self.give_up(group, outcome.trouble.error, outcome.trouble)

    def give_up(self, group: str, reason: str, why: Trouble | None = None) -> None:
        """Do no more of a group, nor of what reads its rows; the others go on."""
        self.board.give_up(group, reason)
        self.stale = True
        self.tell("gave_up", group, **{**(why or Trouble()).details(), "error": reason})
        self._close(group)

    def _close_idle(self) -> None:
        for group, members in self.crew.groups.items():
            if members and (not self.board.remaining(group) or self.sharing.only_waits(group)):
                self._close(group)

    def _close(self, group: str) -> None:
        self.desk.drop(group)
        if self.crew.groups[group]:
            for name in list(self.crew.groups[group]):
                self.crew.dismiss(name)
            self.tell("closed", group)

    def _drain(self) -> None:
        """Let running shards finish for a while; what does not is done again next time."""
        self.tell("draining", "", units=sum(self.desk.running.values()))
        until = self.clock() + self.options.grace_s
        while any(self.desk.running.values()) and self.clock() < until:
            for outcome in self._wait(0.5):
                if outcome.unit is not None:
                    self.desk.take_back(outcome.unit, outcome.worker)
                if outcome.kind == "finished":
                    self._report(outcome)
                elif outcome.kind != "started":
                    self.tell.of_trouble(outcome)
        self.sharing.leave()

    def _check_stall(self) -> None:
        waits = self.staff.paused or self.sharing.away or self.crew.starting()
        still = self.clock() - self.moved >= self.options.place_s and not waits
        if still and not any(self.desk.running.values()):
            waiting = [name for name in self.plan.groups if self.board.has_queue(name)]
            raise no_room(waiting, self.options.place_s, self.pool.machines())
