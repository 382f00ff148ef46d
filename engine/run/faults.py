"""What to do when a unit does not finish: try again, try it alone, split it, give up on it.

What was raised on purpose (no key, no such model, a cap, a damaged object) speaks of the world and
ends the group when it stays. Any other exception costs its samples: a unit that goes on raising is
halved, as one is that kills its workers, until the sample is found, which becomes a row. Only an
exception common to the first units of a group that has done nothing yet, or too large a share of
such samples, end it; where the first ones fail alike they are tried again before any other is, so
that a system that cannot work costs a few units and not one try of each. A machine that is lost is
nobody's fault and is bounded loosely. A unit that was alone when its worker's process died is
split, until the one sample that kills workers is found; the second time that sample kills one, it
is quarantined and becomes a row: of all systems that are scored together, but of the one system
whose answer it is where a judge is killed. A unit that costs money and does not return is not sent
again: its samples become rows that say so.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Literal

from medgen.engine import errors
from medgen.engine.plan.plan import Plan
from medgen.engine.run.pool import Outcome, Target, Unit
from medgen.engine.stages import stage_kind
from medgen.engine.trouble import headline

MAX_FAILURES = 3  # our errors on one unit
MAX_LOSSES = 20  # machines lost under one unit
# Rows of internal errors that end a group: this share of its samples, and at least so many.
MAX_UNFORESEEN, LEAST_UNFORESEEN = 0.05, 20
MAX_CRASHES_IN_A_ROW = 12  # halving a shard of 64 finds its sample in 7
COMMON_TO = 3  # units that raise alike before anything succeeds are the system's fault
# Samples that are given up one by one before their group is: this share of them, and so many.
MAX_RAISING, LEAST_RAISING = 0.05, 16
_OF_ONE_UNIT = ("CorruptError", "StaleError")  # of our errors: others may be sound
_ON_PURPOSE = frozenset(
    name
    for name, kind in vars(errors).items()
    if isinstance(kind, type) and issubclass(kind, errors.MedgenError)
)

Work = tuple[str, int, tuple[Target, ...]]
# What was tried: some positions of the work, None for all; for which targets, when not for all.
Tried = tuple[Work, tuple[int, int] | None, tuple[Target, ...]]
Slot = tuple[Tried, bool]  # what stands for a unit


@dataclass(slots=True)
class _Split:
    """A shard that is done in parts."""

    whole: Unit
    waiting: int = 0  # parts not yet committed
    done: list[tuple[int, int]] = field(default_factory=list)  # parts that are
    quarantined: dict[int, str] = field(default_factory=dict)
    late: dict[int, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Next:
    """What follows from an outcome: units to hand out, or the group given up."""

    kind: Literal["done", "again", "give_up"]
    units: tuple[Unit, ...] = ()
    alone: bool = False
    reason: str = ""
    ahead: bool = False  # of those that were not tried yet


class FaultPolicy:
    """Counts what happened to every unit of a run and decides what follows."""

    def __init__(
        self,
        most_raising: float = MAX_RAISING,
        samples: Mapping[str, int] | None = None,
        by_target: Collection[str] = (),
    ) -> None:
        """Nothing has happened yet.

        Args:
            most_raising: share (0 to 1) of a group's samples that may raise before it is given up.
            samples: how many each group has to do.
            by_target: groups that are given up the sample of one target, not of all.
        """
        self.most_raising, self.samples = most_raising, dict(samples or {})
        self.by_target = frozenset(by_target)
        self._failures: dict[Tried, int] = {}
        self._losses: dict[Tried, int] = {}
        self._kills: dict[Tried, int] = {}
        self._splits: dict[Work, _Split] = {}
        self._suspects: set[Slot] = set()  # halves of what went wrong
        self._in_a_row: dict[str, list[str]] = {}  # group -> workers that died
        self._unforeseen: dict[str, int] = {}  # node -> rows
        self._done: set[str] = set()  # groups that have done a unit
        self._failing: dict[str, dict[Tried, str]] = {}  # group that has not -> unit -> how
        self._raised: dict[str, dict[Tried, str]] = {}  # group -> unit that went on raising -> how
        self._raising: dict[str, int] = {}  # samples that were given up for it

    def has_failed(self, unit: Unit) -> bool:
        """Whether a unit was tried before, and nothing came of it."""
        tried = _try_of(unit)
        return tried in self._failures or tried in self._losses

    def comes_last(self, unit: Unit) -> bool:
        """Whether all that was not tried yet is to be done before a unit."""
        return self.has_failed(unit) and not self._comes_first(unit)

    def _comes_first(self, unit: Unit) -> bool:
        """Whether a unit failed as all did that was tried of its group, and that was several."""
        alike = self._failing.get(unit.group, {})
        common = len(alike) >= COMMON_TO and len(set(alike.values())) == 1
        return common and self._failures.get(_try_of(unit), MAX_FAILURES) < MAX_FAILURES

    def after(self, outcome: Outcome, samples: int) -> Next:
        """Decide. `samples` is how many the unit's shard holds."""
        unit = outcome.unit
        assert unit is not None, "an outcome without a unit is not for this policy"
        if outcome.kind == "finished":
            self._in_a_row.pop(unit.group, None)
            self._done.add(unit.group)
            self._failing.pop(unit.group, None)
            return self._after_finish(unit)
        if outcome.kind == "failed":
            return self._after_failure(outcome, unit, samples)
        if outcome.kind == "lost":
            return self._again(self._losses, unit, MAX_LOSSES, outcome.trouble.error)
        return self._after_crash(outcome, unit, samples)

    def too_many(self, outcome: Outcome, samples: int) -> str:
        """Why a group ends whose rows are internal errors; empty while they are few.

        `samples` is how many there are. A row that a retry leaves as it was counts again.
        """
        limit = max(LEAST_UNFORESEEN, MAX_UNFORESEEN * samples)
        for receipt in outcome.receipts:
            found = receipt.rows.get("internal_error", 0)
            if found and receipt.part is None:  # parts are counted when they are put together
                count = self._unforeseen.get(receipt.key, 0) + found
                self._unforeseen[receipt.key] = count
                if count >= limit:
                    return (
                        f"{count} of {samples} samples ended as internal_error; their rows hold "
                        "reason and traceback. Mend the cause and start again"
                    )
        return ""

    def _after_failure(self, outcome: Outcome, unit: Unit, samples: int) -> Next:
        if unit.group not in self._done and outcome.trouble.error_type not in _OF_ONE_UNIT:
            alike = self._failing.setdefault(unit.group, {})
            alike[_try_of(unit)] = outcome.trouble.error_id
        if unit.merge or outcome.trouble.error_type in _ON_PURPOSE:
            then = self._again(self._failures, unit, MAX_FAILURES, outcome.trouble.error)
        else:
            then = self._after_raise(outcome, unit, samples)
        return replace(then, ahead=not then.alone and self._comes_first(unit))

    def _again(
        self,
        counts: dict[Tried, int],
        unit: Unit,
        limit: int,
        error: str,
    ) -> Next:
        tried = _try_of(unit)
        counts[tried] = counts.get(tried, 0) + 1
        if counts[tried] >= limit:
            return Next("give_up", reason=error)
        return Next("again", (unit,), alone=self.is_suspect(unit))

    def _after_raise(self, outcome: Outcome, unit: Unit, samples: int) -> Next:
        tried = _try_of(unit)
        error = headline(outcome.trouble.error_type, outcome.trouble.error)
        self._failures[tried] = self._failures.get(tried, 0) + 1
        whole = not self.is_suspect(unit)  # a shard, or a part that was cut to end in time
        if whole and self._failures[tried] < MAX_FAILURES:
            return Next("again", (unit,))
        if unit.group not in self._done:
            alike = self._raised.setdefault(unit.group, {})
            alike[tried if whole else (tried[0], None, ())] = outcome.trouble.error_id
            if len(alike) >= COMMON_TO and len(set(alike.values())) == 1:
                return Next("give_up", reason=error)
            if whole and self._failures[tried] < 2 * MAX_FAILURES:
                return Next("again", (unit,))  # behind the others, which say whose fault it is
        low, high = unit.positions or (0, samples)
        if high - low > 1:
            return self._split(unit, low, high)
        then = self._after_kill(unit, (low, high), error, "raised twice")
        self._raising[unit.group] = self._raising.get(unit.group, 0) + (unit not in then.units)
        most = max(LEAST_RAISING, int(self.most_raising * self.samples.get(unit.group, 0)))
        if self._raising[unit.group] > most:
            return Next("give_up", reason=f"more than {most} samples raised, one by one: {error}")
        return then

    def _after_crash(self, outcome: Outcome, unit: Unit, samples: int) -> Next:
        died = self._in_a_row.setdefault(unit.group, [])
        if outcome.alone or outcome.worker not in died:  # not once for each that it held
            died.append(outcome.worker)
        if len(died) >= MAX_CRASHES_IN_A_ROW:
            why = outcome.trouble.error
            return Next("give_up", reason=f"{len(died)} workers died one after another: {why}")
        if not outcome.alone or unit.merge:
            return Next("again", (unit,), alone=True)
        low, high = unit.positions or (0, samples)
        if high - low > 1:
            return self._split(unit, low, high)
        return self._after_kill(unit, (low, high), outcome.trouble.error)

    def cut(self, unit: Unit, span: tuple[int, int], at: int) -> tuple[Unit, Unit]:
        """Two parts of a unit that spans these positions, the second from `at` on."""
        split = self._splits.setdefault(work_of(unit), _Split(replace(unit, positions=None), 1))
        split.waiting += 1  # one part became two
        low, high = span
        return replace(unit, positions=(low, at)), replace(unit, positions=(at, high))

    def take_up(
        self, unit: Unit, spans: Sequence[tuple[int, int]], samples: int
    ) -> tuple[Unit, ...]:
        """What is left of a shard of which an earlier start has committed parts.

        Args:
            unit: the whole shard.
            spans: positions of those parts, in order, none over another.
            samples: how many the shard holds.
        """
        ends = [0, *(end for span in spans for end in span), samples]
        gaps = [(low, high) for low, high in zip(ends[::2], ends[1::2], strict=True) if low < high]
        split = self._splits[work_of(unit)] = _Split(unit, max(1, len(gaps)), list(spans))
        return tuple(replace(unit, positions=gap) for gap in gaps) or self._part_over(split).units

    def _split(self, unit: Unit, low: int, high: int) -> Next:
        halves = self.cut(unit, (low, high), (low + high) // 2)
        self._suspects |= {slot_of(half) for half in halves}
        return Next("again", halves, alone=True)

    def is_suspect(self, unit: Unit) -> bool:
        """Whether a unit is half of one that went wrong, and is to be done alone."""
        return slot_of(unit) in self._suspects

    def time_out(self, unit: Unit, span: tuple[int, int], seconds: float) -> tuple[Unit, ...]:
        """What follows when a unit that costs money did not return: rows that say so, no call."""
        split = self._splits.setdefault(work_of(unit), _Split(replace(unit, positions=None), 1))
        reason = f"no reply in {seconds:.0f} s, and a call that may cost is not made twice"
        if unit.of:  # the others of its targets have their rows of these samples
            late = dict.fromkeys(range(*span), reason)
            return (replace(unit, positions=span, late=late),)
        split.late |= dict.fromkeys(range(*span), reason)
        return self._part_over(split).units

    def _after_kill(
        self, unit: Unit, span: tuple[int, int], error: str, how: str = "killed its worker twice"
    ) -> Next:
        again = replace(unit, positions=span)
        tried, reason = _try_of(again), f"{how}: {error}"
        self._kills[tried] = self._kills.get(tried, 0) + 1
        if self._kills[tried] < 2:
            self._suspects.add(slot_of(again))
            return Next("again", (again,), alone=True)
        if len(unit.targets) > 1 and unit.group in self.by_target:
            return self._one_by_one(again)
        if unit.of:  # the others of its targets have their rows of this sample
            return Next("again", (replace(again, quarantined={span[0]: reason}),))
        split = self._splits.setdefault(work_of(unit), _Split(replace(unit, positions=None), 1))
        split.quarantined[span[0]] = reason
        return self._part_over(split)

    def _one_by_one(self, unit: Unit) -> Next:
        """A sample that kills workers, for each target by itself."""
        every = unit.of or unit.targets
        units = tuple(replace(unit, targets=(target,), of=every) for target in unit.targets)
        split = self._splits.setdefault(work_of(unit), _Split(replace(unit, positions=None), 1))
        split.waiting += len(units) - 1
        self._suspects |= {slot_of(one) for one in units}
        return Next("again", units, alone=True)

    def _after_finish(self, unit: Unit) -> Next:
        split = self._splits.get(work_of(unit))
        if split is None or unit.merge:
            self._splits.pop(work_of(unit), None)
            return Next("done")
        if unit.positions is not None:
            split.done.append(unit.positions)
        return self._part_over(split)

    def _part_over(self, split: _Split) -> Next:
        split.waiting -= 1
        if split.waiting:
            return Next("again")
        merge = replace(
            split.whole,
            merge=True,
            parts=tuple(sorted(set(split.done))),
            quarantined=dict(split.quarantined),
            late=dict(split.late),
        )
        return Next("again", (merge,))


def faults_of(plan: Plan, most_raising: float, samples: Mapping[str, int]) -> FaultPolicy:
    """The policy of a plan's run, of whose groups so many samples are to be done."""
    by_sample = {n for n, group in plan.groups.items() if stage_kind(group.stage).by_sample}
    return FaultPolicy(most_raising, dict(samples), by_sample)


def slot_of(unit: Unit) -> Slot:
    """What stands for a unit: its work and the part of it."""
    return _try_of(unit), unit.merge


def _try_of(unit: Unit) -> Tried:
    return work_of(unit), unit.positions, unit.targets if unit.of else ()


def work_of(unit: Unit) -> Work:
    """What a unit is all or a part of."""
    return (unit.group, unit.shard, unit.of or unit.targets)
