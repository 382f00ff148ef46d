"""How fast each group of workers is: guessed, then as it was in earlier runs, then as measured.

A guess (`seconds_per_sample` of a preset) is only the first word. What was measured is kept in the
store beside the recipe that it was measured of, so that the next run begins with it.
"""

import math
import statistics
from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from medgen.engine.codec import decode, encode, fingerprint
from medgen.engine.errors import CorruptError
from medgen.engine.plan.identity import identity
from medgen.engine.plan.plan import GroupPlan, Plan
from medgen.engine.store.layout import speed_name
from medgen.engine.store.objects import Objects

ENOUGH = 8  # samples after which what was measured counts, and nothing else
LOAD_S = {True: 120.0, False: 5.0}  # of a worker with a GPU, and without one, before one is known
_WORST = 20.0  # times the mean that one sample may take: a reply has a token limit
_ERROR = math.log(10) ** 2 / 12  # variance of a guess's logarithm: off by 0.3 to 3 times, evenly
_FEW = 3  # guesses, of which nobody knows how far apart they lie
_MANY = 4096  # samples after which older runs weigh no more


@dataclass(frozen=True, slots=True)
class Speed:
    """What is known of a group. Seconds are those of one worker."""

    sample_s: float = 0.0  # 0: nobody knows
    samples: int = 0  # of which it is the mean; 0: a guess
    load_s: float = 0.0
    loads: int = 0


@dataclass(slots=True)
class _Seen:
    """What was measured in this run."""

    seconds: float = 0.0  # of one worker
    waits: float = 0.0  # of units, from hand to hand: more when a worker holds several
    samples: int = 0
    load_s: float = 0.0
    loads: int = 0
    longest: float = 0.0  # wait of one unit


@dataclass(slots=True)
class Speeds:
    """What is known of every group of a plan."""

    known: dict[str, Speed]
    gpus: Mapping[str, float]  # of one worker, by group
    _seen: dict[str, _Seen] = field(default_factory=dict)

    def note_unit(self, group: str, seconds: float, samples: int, beside: float = 1.0) -> None:
        """A unit came back after so many seconds, in which its worker held `beside` units."""
        seen = self._seen.setdefault(group, _Seen())
        seen.seconds += seconds / max(1.0, beside)
        seen.waits += seconds
        seen.samples += samples
        seen.longest = max(seen.longest, seconds)

    def note_load(self, group: str, seconds: float) -> None:
        """A worker was made in so many seconds."""
        seen = self._seen.setdefault(group, _Seen())
        seen.load_s += seconds
        seen.loads += 1

    def is_measured(self, group: str) -> bool:
        """Whether enough samples were seen, in this run or an earlier one."""
        seen = self._seen.get(group)
        return bool(seen and seen.samples >= ENOUGH) or self.known[group].samples >= ENOUGH

    def sample_s(self, group: str) -> float:
        """Seconds of one worker for a sample; 0 when nobody knows."""
        seen, before = self._seen.get(group), self.known[group]
        if seen is not None and seen.samples >= ENOUGH:
            return seen.seconds / seen.samples
        return before.sample_s

    def load_s(self, group: str) -> float:
        """Seconds until a worker is made."""
        seen, before = self._seen.get(group), self.known[group]
        if seen is not None and seen.loads:
            return seen.load_s / seen.loads
        return before.load_s if before.loads else LOAD_S[self.gpus.get(group, 0) > 0]

    def late_after(self, group: str, samples: int) -> float | None:
        """Seconds after which a unit that is out is later than chance; None: nothing to go by."""
        seen = self._seen.get(group)
        if seen is None or seen.samples < ENOUGH:
            return None
        mean = seen.waits / seen.samples
        return max(2 * seen.longest, mean * (samples + _WORST))

    def longest(self, group: str) -> float:
        """Seconds that the longest unit of this run took; 0 when none is back."""
        seen = self._seen.get(group)
        return seen.longest if seen else 0.0

    def now(self, group: str) -> Speed | None:
        """What is to be kept of this run, joined with what was known; None when nothing was seen.

        Of samples the older means weigh as much as they have samples, up to a limit: machines and
        libraries change.
        """
        seen, before = self._seen.get(group), self.known[group]
        if seen is None or seen.samples < ENOUGH:
            return None
        weight = min(before.samples, _MANY)
        total = weight + seen.samples
        sample_s = (before.sample_s * weight + seen.seconds) / total
        load_s = seen.load_s / seen.loads if seen.loads else before.load_s
        return Speed(sample_s, total, load_s, seen.loads or before.loads)


def guesses(plan: Plan) -> dict[str, Speed]:
    """What the configuration says of each group."""
    return {name: Speed(sample_s=group.seconds_per_sample) for name, group in plan.groups.items()}


def temper_guesses(speeds: Speeds) -> Speeds:
    """The same, with guesses of models on GPUs no further apart than they tell.

    A guess is wrong by a factor of its own. The more of the distance between guesses is that alone,
    the less is believed of each: their logarithms shrink towards their mean by the share of their
    variance that errors would make (empirical Bayes; James and Stein 1961). Workers that were
    placed by a wrong guess load once more elsewhere.
    """
    gpus = {name: count for name, count in speeds.gpus.items() if count > 0}
    guessed = {n: speeds.known[n] for n in gpus if not speeds.known[n].samples}
    logs = {n: math.log(s.sample_s * gpus[n]) for n, s in guessed.items() if s.sample_s > 0}
    if len(logs) < _FEW:
        return speeds
    mean, spread = statistics.fmean(logs.values()), statistics.variance(logs.values())
    told = max(0.0, 1 - _ERROR / spread) if spread else 0.0
    for name, log in logs.items():
        sample_s = math.exp(mean + told * (log - mean)) / gpus[name]
        speeds.known[name] = replace(speeds.known[name], sample_s=sample_s)
    return speeds


def read_speeds(objects: Objects, plan: Plan) -> Speeds:
    """What earlier runs left in the store of each group, and guesses for the others."""
    known = guesses(plan)
    for name, group in plan.groups.items():
        try:
            data = objects.read(speed_name(_key(plan, group)))
            known[name] = decode(Speed, data, "not the speed of this version")
        except FileNotFoundError:
            continue
        except CorruptError:  # it only orders the work, and is written again at the end
            continue
    return Speeds(known, {name: group.resources.gpus for name, group in plan.groups.items()})


def keep_speeds(objects: Objects, plan: Plan, speeds: Speeds) -> None:
    """Leave what was measured for later runs."""
    for name, group in plan.groups.items():
        if (speed := speeds.now(name)) is not None:
            objects.replace(speed_name(_key(plan, group)), encode(speed))


def _key(plan: Plan, group: GroupPlan) -> str:
    """What a speed depends on, as far as the plan knows: recipe, benchmark and GPUs of a worker."""
    return fingerprint("speed", identity(group.spec), plan.benchmark, group.resources.gpus)
