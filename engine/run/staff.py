"""Keeps as many workers of each group as are worth it, and says how much each is handed."""

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field, replace

from medgen.engine.batching import patience_s
from medgen.engine.limiting import pace_s
from medgen.engine.plan.plan import Node
from medgen.engine.run.board import Board, Queue
from medgen.engine.run.crew import Crew, Member
from medgen.engine.run.desk import Desk, Out
from medgen.engine.run.fit import holds
from medgen.engine.run.pool import Outcome, Unit
from medgen.engine.run.schedule import (
    LEAST_S,
    Pace,
    Standing,
    can_spare,
    demands,
    even_part,
    horizon_s,
    least_s,
    might_spare,
    portion,
    rank,
    urgency,
)
from medgen.engine.run.spans import Rest, numbers_of
from medgen.engine.run.speeds import Speeds
from medgen.engine.stages import stage_kind

_UNKNOWN_S = 1.0  # a sample, where nobody says: it orders the work and cuts nothing
ASK_EVERY_S = 10.0  # for machines
HANGS = 3.0  # times as late as chance allows: then a unit hangs
MOST_GRACE = 4.0  # times as long, where one unit after another hangs
SLOW_START, LOADS = 1 / 8, 2.0  # of what a start may take, and times as long as others took
LATE_S = 10.0  # the least time after which a unit gets a second copy
# A worker holds several units for each that it does if they are so short together, and as many are
# left for it so many times.
HANDFUL_S, HANDFULS_LEFT = 0.5, 4
SOUND = 64  # units in a row that come back good: what went wrong before them is over


@dataclass(slots=True)
class Staff:
    """Hires and dismisses by the rules of `schedule`, from what board, desk and speeds know."""

    board: Board
    crew: Crew
    desk: Desk
    speeds: Speeds
    sizes: list[int]  # samples of each benchmark shard
    tell: Callable[[str, str, int], None]  # what happened, in which group, how many it has now
    paused: set[str] = field(default_factory=set)  # groups that are to hold no machine
    most: dict[str, int] = field(default_factory=dict)  # group -> workers, over its resources
    left: dict[str, int] = field(default_factory=dict)  # group -> samples not committed
    priced: frozenset[str] = frozenset()  # groups whose units stay whole
    admits: Callable[[str], bool] = field(init=False)  # a first worker: is there work for it?
    is_capped: Callable[[], bool] = field(init=False)  # may what costs money come to an end?
    deadline_s: float = 1800.0  # the least that a unit has
    commit_every_s: float = 300.0  # of work in one unit, at most
    patience: dict[str, float] = field(default_factory=dict)  # group -> seconds a unit may take
    paces: dict[str, float] = field(default_factory=dict)  # group -> seconds from call to call
    horizon: float = 0.0
    grace: dict[str, float] = field(default_factory=dict)  # group -> times as long for its units
    _graced: dict[str, float] = field(default_factory=dict)  # group -> since when
    _singly: dict[str, int] = field(default_factory=dict)  # group -> good units until it is sound
    _standings: dict[str, Standing] = field(default_factory=dict)
    _asked_at: float = -ASK_EVERY_S

    def __post_init__(self) -> None:
        """Count what is left."""
        groups = self.board.plan.groups.values()
        self.patience = {g.name: s for g in groups if (s := patience_s(g.spec.kwargs))}
        self.paces = {g.name: s for g in groups if (s := pace_s(g.spec.kwargs))}
        self._count()

    def follow(self, board: Board) -> None:
        """Another board is in its place: what is to do has changed."""
        self.board = board
        self._standings = {}
        self._count()

    def _count(self) -> None:
        self.left = dict.fromkeys(self.board.plan.groups, 0)
        pieces: dict[int, list[int]] = {}  # samples of each stage shard, by split
        for key, targets in self.board.todo.targets.items():
            node = self.board.plan.nodes[key]
            if node.split not in pieces:
                each = (max(1, size // node.split) for size in self.sizes)
                pieces[node.split] = [size for size in each for _ in range(node.split)]
            self.left[node.group] += _total(numbers_of(targets), pieces[node.split])

    def note_done(self, unit: Unit, samples: int) -> None:
        """So many samples of a unit are committed, each for all of its targets."""
        if not unit.merge:
            self.left[unit.group] = max(0, self.left[unit.group] - samples * len(unit.targets))

    def note_gone(self, node: Node, shard: int) -> None:
        """Another driver has committed a shard."""
        count = max(1, self.sizes[shard // node.split] // node.split)
        self.left[node.group] = max(0, self.left[node.group] - count)

    def arrange(self, late: Sequence[Out], touched: set[str] | None = None) -> None:
        """Give back what is not needed where it is, then start what is worth it.

        Args:
            late: units that are later than chance allows.
            touched: groups of which something happened since the last time; None: look at all.
        """
        now = self.crew.clock()
        self._take_stock(now, late, touched)
        everyone = self._standings.values()
        if touched is None or not self.horizon:
            self._obey()
            self.horizon = horizon_s(everyone, self.crew.ledger.total("GPU"))
        self._spare(touched)
        self._hire()
        if now - self._asked_at >= ASK_EVERY_S:
            self._asked_at = now
            if self.crew.pool.grows():
                self.crew.pool.request(demands(everyone, self.crew.asked))

    def _take_stock(self, now: float, late: Sequence[Out], touched: set[str] | None) -> None:
        """See where the groups stand of which something happened, or all."""
        stuck: dict[str, list[Out]] = {}
        for out in late:
            stuck.setdefault(out.unit.group, []).append(out)
        for name in self.left if touched is None else touched:
            if (self.left[name] or self.board.has_queue(name)) and self._may_work(name):
                self._standings[name] = self._standing(name, now, stuck.get(name, []))
            else:
                self._standings.pop(name, None)

    def _obey(self) -> None:
        """Give back the idle workers of groups that are paused, or have more than they may."""
        for name in (*self.paused, *self.most):
            most = 0 if name in self.paused else self.most[name]
            for member in self.crew.idle(name):
                if len(self.crew.groups[name]) <= most:
                    break
                self.crew.dismiss(member.name)
                self.tell("released", name, len(self.crew.groups[name]))

    def slow_start_s(self, group: str, start_s: float) -> float:
        """Seconds after which another worker is tried elsewhere, beside one that still starts."""
        return max(SLOW_START * start_s, LOADS * self.speeds.load_s(group))

    def drop_surplus(self, group: str) -> None:
        """A worker is made: where their number is given, the one that was tried beside it goes."""
        if (most := self._most(group)) is None:
            return
        for member in self.crew.surplus(group, most):
            self.crew.dismiss(member.name)
            self.tell("released", group, len(self.crew.groups[group]))

    def _may_work(self, name: str) -> bool:
        return name not in self.board.failed and name not in self.paused

    def next_unit(self, queue: Queue, cut: Callable[[Unit, int], tuple[Unit, Unit]]) -> Unit:
        """The next unit of a queue, or its first part; the rest stays at the front."""
        unit = queue.fresh.popleft()
        whole = self.samples(unit)
        if unit.merge or whole <= 1:
            return unit
        pace, count = self._pace(unit), whole
        if self._is_cut(unit.group):
            waiting = self.left[unit.group] - self.desk.rows.get(unit.group, 0)
            count = portion(max(1, waiting // len(unit.targets)), whole, pace)
        elif self.is_capped():  # a unit is to cost no more than a shard of one system
            shard = self.board.samples(unit, self.sizes)
            count = min(whole, -(-shard // len(unit.targets)))
        if unit.group not in self.patience:
            count = min(count, even_part(whole, pace.sample_s, self.commit_every_s))
        if count >= whole:
            return unit
        first, rest = cut(unit, count)
        queue.fresh.appendleft(rest)
        return first

    def handful(self, queue: Queue) -> int:
        """How many units a worker gets for each that it does at once.

        To ask for a short one takes as long as to do it. Where something went wrong it is one, so
        that what is to blame is known.
        """
        if not queue.fresh or (unit := queue.fresh[0]).group in self._singly:
            return 1
        rows, group = self.rows(unit), unit.group
        if unit.merge or not self._is_cut(group) or not self.speeds.is_measured(group):
            return 1
        unit_s = max(1e-6, self.speeds.sample_s(group) * rows)
        left = self.left[group] // max(1, rows * len(self.crew.groups[group]) * HANDFULS_LEFT)
        return max(1, min(self.crew.pool.handful, int(HANDFUL_S / unit_s), left))

    def note_outcome(self, outcome: Outcome) -> None:
        """Something came back; a group of which something went wrong is handed units singly."""
        if outcome.kind not in ("started", "finished"):
            self._singly[outcome.group] = SOUND
        elif outcome.kind == "finished" and (left := self._singly.pop(outcome.group, 0) - 1) > 0:
            self._singly[outcome.group] = left

    def samples(self, unit: Unit) -> int:
        """How many samples a unit has."""
        if unit.positions is not None:
            return unit.positions[1] - unit.positions[0]
        return self.board.samples(unit, self.sizes)

    def rows(self, unit: Unit) -> int:
        """How many samples a unit has, each as often as it has targets."""
        return self.samples(unit) * len(unit.targets)

    def late(self, now: float) -> list[Out]:
        """What has been at work for longer than chance allows."""
        every = list(self.desk.all())
        for out in every:
            if self.crew.pool.waits(out.unit, out.worker):
                out.waited = now - out.since
        return [out for out in every if out.work_s(now) > self.late_after(out)]

    def late_after(self, out: Out) -> float:
        """Seconds after which a unit is later than chance allows."""
        if out.unit.group in self.patience:
            return self.patience[out.unit.group]
        known = self.speeds.late_after(out.unit.group, out.rows)
        after = self.deadline_s if known is None else max(min(LATE_S, self.deadline_s), known)
        return after + self._pace_s(out.unit.group)

    def deadline(self, out: Out) -> float:
        """Seconds after which a unit hangs."""
        if out.unit.group in self.patience:
            return self.patience[out.unit.group]
        known = self.speeds.late_after(out.unit.group, out.rows)
        after = max(self.deadline_s, HANGS * (known or 0.0)) * self.grace.get(out.unit.group, 1.0)
        return after + HANGS * self._pace_s(out.unit.group)

    def hangs(self, out: Out, now: float) -> bool:
        """Whether a unit has been at work for longer than it may."""
        return out.work_s(now) > self.deadline(out)

    def hung_with(self, out: Out, now: float) -> list[Out]:
        """All that a worker has, where nobody can tell which of it hangs; empty: this one does."""
        held = self.desk.held_by(out.worker)
        late = sum(self.hangs(other, now) for other in held)
        at_once = self.board.plan.groups[out.unit.group].resources.in_flight
        return held if late > max(1, at_once) else []

    def _pace_s(self, group: str) -> float:
        """Seconds that all that is out may wait for its turn at an endpoint with a pace."""
        pace = self.paces.get(group, 0.0)
        return pace * sum(self.desk.rows.get(name, 0) for name in self.paces) if pace else 0.0

    def note_hung(self, out: Out) -> None:
        """A unit was ended at its deadline: the next ones of its group get longer.

        A machine that is too busy may be all that is wrong, and what takes the place of a worker
        that was ended makes it busier: without this, sound workers could be ended for ever.
        """
        group = out.unit.group
        if out.since >= self._graced.get(group, out.since):
            self.grace[group] = min(2 * self.grace.get(group, 1.0), MOST_GRACE)
            self._graced[group] = self.crew.clock()

    def note_back(self, group: str) -> None:
        """A unit came back: how long they take is known."""
        self.grace.pop(group, None)

    def idle_elsewhere(self, group: str, but: set[str]) -> Member | None:
        """A worker that holds nothing, on another machine than these if there is one."""
        idle = self.crew.idle(group)
        return next((m for m in idle if m.machine not in but), None)

    def _is_cut(self, group: str) -> bool:
        # A unit with a price stays whole: what it cost is known when it is back.
        return group not in self.priced and group not in self.patience

    def _pace(self, unit: Unit) -> Pace:
        group = unit.group
        resources = self.board.plan.groups[group].resources
        beside = max(1, resources.in_flight)
        workers = max(1, len(self.crew.groups[group]))
        sample_s = self.speeds.sample_s(group) * len(unit.targets)
        return Pace(
            sample_s,
            self.speeds.is_measured(group),
            workers * beside,
            beside,
            self.horizon,
            least_s(len(unit.inputs)),
        )

    def _standing(self, name: str, now: float, stuck: Sequence[Out]) -> Standing:
        group, members = self.board.plan.groups[name], self.crew.groups[name]
        sample_s = self.speeds.sample_s(name) or _UNKNOWN_S
        running = self.desk.running.get(name, 0)
        doing = self.desk.rows.get(name, 0) * sample_s * 0.9
        credit = min(doing, self.desk.seconds_out(name, now)) if running else 0.0
        slow = sum(m.slow for m in members.values())  # as if they were not there
        workers = len(members) - slow - (len({out.worker for out in stuck}) if stuck else 0)
        idle = sum(1 for m in members.values() if not m.units) - slow
        queue = self.board.queues[name]
        return Standing(
            name,
            max(0.0, self.left[name] * sample_s - credit),
            self.speeds.load_s(name),
            workers,
            idle,
            self._ready(name, queue) + sum(len(self.desk.copies(o.slot)) == 1 for o in stuck),
            stage_kind(group.stage).predicts,
            self._most(name),
            group.resources.gpus,
        )

    def _ready(self, name: str, queue: Queue) -> int:
        """How many units could be handed out."""
        waiting = len(queue.fresh) + len(queue.suspects)
        beside = max(1, self.board.plan.groups[name].resources.in_flight)
        sample_s = self.speeds.sample_s(name)
        if not queue.fresh or sample_s <= 0 or not self._is_cut(name):
            return -(-waiting // beside)
        least = max(1.0, LEAST_S / sample_s)
        parts = max(1, round(self.samples(queue.fresh[-1]) / least))
        return -(-waiting * parts // beside)

    def _most(self, name: str) -> int | None:
        """How many workers a group is to have, where that is said; else as many as are worth it.

        What asks for no GPU and is a model is not multiplied unless somebody says so: a model on
        CPUs may want more memory than it says, and limits of an endpoint hold for one worker.
        """
        if name in self.most:
            return self.most[name]
        group = self.board.plan.groups[name]
        if group.resources.workers is not None:
            return group.resources.workers
        return None if group.resources.gpus or stage_kind(group.stage).shard_major else 1

    def _hire(self) -> None:
        started: set[str] = set()
        standings = self._standings
        open_ = {name for name, s in standings.items() if urgency(s) > 0}
        while open_:
            name = max(open_, key=lambda n: rank(standings[n]))
            if not (self.crew.groups[name] or self.admits(name)) or not self.crew.hire(name):
                open_.discard(name)
                continue
            started.add(name)
            had = standings[name]
            standings[name] = s = replace(had, workers=had.workers + 1, idle=had.idle + 1)
            if urgency(s) <= 0:
                open_.discard(name)
        for name in sorted(started):
            self.tell("opened", name, len(self.crew.groups[name]))

    def _spare(self, touched: set[str] | None) -> None:
        """Let workers that hold nothing go where another group wants their place."""
        standings = self._standings
        takers = [s for s in standings.values() if urgency(s) > 0]
        if not takers:
            return
        for name in list(standings) if touched is None else touched & standings.keys():
            for member in self.crew.idle(name):
                s = standings[name]
                if not might_spare(s, self.horizon):
                    break
                taker = max(
                    (t for t in takers if t.group != name and self._would_fit(member, t.group)),
                    key=rank,
                    default=None,
                )
                if not can_spare(s, self.horizon, taker):
                    break
                self.crew.dismiss(member.name)
                standings[name] = replace(s, workers=s.workers - 1, idle=s.idle - 1)
                self.tell("released", name, len(self.crew.groups[name]))

    def _would_fit(self, member: Member, group: str) -> bool:
        asked, own = self.crew.asked[group], self.crew.asked[member.group]
        free = self.crew.ledger.free.get(member.machine, {})
        after = {what: free.get(what, 0.0) + own.get(what, 0.0) for what in asked}
        may = self.crew.may_start(group, member.machine)
        return may and holds(after, asked) and not holds(free, asked)


def _total(shards: Collection[int], samples: Sequence[int]) -> int:
    """The samples of some of all shards; of nearly all of them, by those that are left out."""
    if isinstance(shards, Rest):
        return sum(samples) - sum(samples[shard] for shard in shards.gone)
    return sum(samples[shard] for shard in shards)
