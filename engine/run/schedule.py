"""How many workers each group has, and how much one is handed at a time: rules without a clock.

All groups share one cluster. A free place goes to the group with the most seconds left a worker,
while that is more than loading another one costs. A worker leaves when its group would end well
before the others do and ends in time without it. What is handed out shrinks towards the end, so
that the last units of a group end together.
"""

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

WORTH = 1.15  # loads that a worker must have before it, to be made
# Of the common end: a group that ends before it can spare workers. Of a half one of two or more
# can leave, and the others end in time.
EARLY = 0.5
SLICES = 16  # of the common end, that one unit may take
LEAST_S = 5.0  # of work in one unit: cutting and merging cost a write and a read each
READ_S = 0.03  # to read one shard that a unit is made from
READING = 0.05  # of a unit's time, at most, that goes with reading them one after another
FIRST = 8  # samples of the first units, while nobody knows how long one takes
ASK = 4.0  # loads that a worker must have before it, for a machine to be asked for


@dataclass(frozen=True, slots=True)
class Standing:
    """Where a group stands. Seconds are those of one worker."""

    group: str
    left_s: float  # of what is not committed, less what is done of it already
    load_s: float
    workers: int  # that work or start
    idle: int  # of these, that hold nothing
    ready: int  # units that could be handed out, if there were workers
    first: bool = True  # a model: scoring and judging take what models leave
    most: int | None = None  # workers that were asked for by number; None: as it is worth
    weight: float = 0.0  # GPUs of one worker

    @property
    def end_s(self) -> float:
        """Seconds until it ends with the workers that it has."""
        return self.left_s / max(1, self.workers)


def horizon_s(standings: Iterable[Standing], gpus: float) -> float:
    """Seconds until all groups could end, if all GPUs worked all the time."""
    total = sum(
        s.weight * (s.left_s + (0.0 if s.workers else s.load_s)) for s in standings if s.weight
    )
    return total / gpus if gpus else 0.0


def urgency(standing: Standing) -> float:
    """Seconds left a worker of a group that is worth another worker; 0 when it is not."""
    s = standing
    if s.ready <= s.idle:
        return 0.0  # the workers that are there, or come, take all of it
    if not s.workers:
        return max(s.left_s, 1e-9) + s.load_s
    if s.most is not None:
        return max(s.end_s, 1e-9) if s.workers < s.most else 0.0
    return s.end_s if s.end_s > WORTH * s.load_s else 0.0


def rank(standing: Standing) -> tuple[bool, float, float]:
    """Which group gets the next place: models, wide ones that have none yet, the longest."""
    urgent = urgency(standing)
    wide = standing.weight if not standing.workers and standing.weight > 1 else 0.0
    return standing.first, wide, urgent


def might_spare(standing: Standing, horizon: float) -> bool:
    """Whether a worker that holds nothing may leave, if another group wants its place."""
    s = standing
    if s.most is not None and s.ready:
        return False
    if s.ready <= s.idle - 1:
        return True  # it would have nothing to do
    return s.workers > 1 and s.end_s < EARLY * horizon


def can_spare(standing: Standing, horizon: float, taker: Standing | None) -> bool:
    """Whether it should leave for the group that wants its place most; None: nobody does.

    Not where its own group would be the next to get the place: it would load once more, and be
    back where it stood.
    """
    s = standing
    if taker is None or not might_spare(s, horizon):
        return False
    if s.ready <= s.idle - 1:
        return True
    without = replace(s, workers=s.workers - 1, idle=s.idle - 1)
    back = urgency(without) > 0 and rank(without) >= rank(taker)
    return taker.end_s > s.end_s and not back


@dataclass(frozen=True, slots=True)
class Pace:
    """How fast a group works through what it has."""

    sample_s: float  # of one worker; 0: nobody knows
    measured: bool
    places: int  # units that all of its workers can hold at once
    beside: int = 1  # of these, in one worker
    horizon_s: float = 0.0
    least_s: float = LEAST_S  # of work in one unit


def portion(left: int, whole: int, pace: Pace) -> int:
    """How many samples the next unit has: all `whole` of a shard that is left, or fewer.

    Args:
        left: samples of the group that are not handed out.
        whole: samples that the next shard has left.
        pace: how fast the group works.
    """
    if pace.sample_s <= 0:
        return whole
    if not pace.measured:
        fair = FIRST if whole * pace.sample_s > 4 * pace.least_s else whole
        return min(whole, fair)
    share = left / (2 * max(1, pace.places))
    slice_s = max(pace.least_s, pace.horizon_s / SLICES) if pace.horizon_s else math.inf
    least = pace.least_s / pace.sample_s / pace.beside
    fair = math.ceil(max(1.0, least, min(share, slice_s / pace.sample_s)))
    return whole if 4 * fair > 3 * whole else fair


def least_s(inputs: int) -> float:
    """Seconds of work that a unit has at the least which reads so many shards."""
    return max(LEAST_S, inputs * READ_S / READING)


def even_part(whole: int, sample_s: float, most_s: float) -> int:
    """How many samples of a unit take at most so many seconds, when it is cut evenly; 1 or more.

    So much is lost at the most when a worker dies. All of them, when nobody knows how long one
    takes.
    """
    pieces = min(whole, math.ceil(whole * sample_s / most_s)) if most_s > 0 else 1
    return math.ceil(whole / max(1, pieces))


def workers_worth(standing: Standing) -> int:
    """How many workers a group could use, if machines were added."""
    if standing.most is not None:
        return min(standing.most, standing.workers + max(0, standing.ready - standing.idle))
    worth = math.ceil(standing.left_s / max(1e-9, ASK * standing.load_s))
    busy = standing.workers - standing.idle
    return max(min(1, standing.ready), min(worth, busy + standing.ready))


def demands(
    standings: Iterable[Standing], asked: Mapping[str, Mapping[str, float]]
) -> list[Mapping[str, float]]:
    """What machines should offer, one entry a worker: those there are, and those worth asking."""
    return [
        asked[s.group]
        for s in standings
        for _ in range(max(s.workers, workers_worth(s)))
        if s.left_s >= 0
    ]
