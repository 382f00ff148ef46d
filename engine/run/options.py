"""How a run is carried out, and how it ended."""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from medgen.engine.run.control import Orders
from medgen.engine.run.editions import Terms
from medgen.engine.run.events import Event
from medgen.engine.run.faults import MAX_RAISING
from medgen.engine.run.presence import LEASE_S
from medgen.engine.run.reader import RunReader
from medgen.engine.run.survey import Todo

START_S = 3600.0  # that a worker may take to start, weights of hundreds of GB fetched
PLACE_S = 900.0  # that a run waits for a machine while nothing is at work and nothing starts
# A shard is laid for 30 to 60 s of work: systems that run side by side are there within two.
JUDGE_WAIT_S = 120.0
SCORE_WAIT_S = 1800.0


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
    commit_every_s: float = 300.0  # a death repeats, or pays again, no more work of a worker
    deadline_s: float = 1800.0  # the least time that a unit has, however fast the others were
    start_s: float = START_S
    place_s: float = PLACE_S
    lease_s: float = LEASE_S  # without a sign of life, after which others take this driver for dead
    terms: Terms = field(default_factory=Terms)
    survey: Callable[[RunReader], Todo] | None = None  # looks again; None: as a plain start does
    clock: Callable[[], float] = time.monotonic  # seconds; another one where time is pretended
    judge_wait_s: float = JUDGE_WAIT_S  # how long a shard that could be judged waits for systems
    score_wait_s: float = SCORE_WAIT_S  # how long idle scoring waits for slower systems
    most_raising: float = MAX_RAISING  # share of a group's samples that may raise before it ends

    @property
    def waits(self) -> tuple[float, float]:
        """How judging and scoring wait for slower systems."""
        return self.judge_wait_s, self.score_wait_s


@dataclass(frozen=True, slots=True)
class Ending:
    """How a run ended. Rows are in the store; this says what is not."""

    stopped: bool
    failed: Mapping[str, str]  # group -> why it was given up
    spent_usd: float = field(default=0.0, compare=False)  # with what was spent before it
