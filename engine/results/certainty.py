"""How sure it is that a system leads: the words sure, likely, alike and not shown, by rule.

In a format all pairs of eligible systems (no controls, no random weights) are compared in the
headline value: right - left over the pairs that have both, 95 % interval and sign-flip p by source
image, Holm's correction over all pairs of the format.

    sure       interval without 0; corrected p < 0.05; the sign holds at the worst of missing
               values; coverage of both >= 95 %; >= 30 pairs from >= 10 sources; nothing is known
               against the judge
    likely     interval without 0, >= 30 pairs and >= 10 sources, but another condition fails; the
               first that fails is named
    alike      a margin was given, and the interval lies within it
    not shown  everything else; `too few` when there are fewer pairs or sources

A leader's word is the weakest against any other system. A system's rank is a range of places:
from 1 + systems surely better to K - systems surely worse.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from medgen.engine.results.statistics import (
    BOOTSTRAP_LIMIT,
    FLIPS,
    NORMAL_95,
    RESAMPLES,
    SEED,
    Floats,
    holm,
    normal_flips,
    outer_percentile,
    paired_differences,
    source_sums,
)

Word = Literal["sure", "likely", "alike", "not shown", "too few"]
ORDER: tuple[Word, ...] = ("too few", "not shown", "alike", "likely", "sure")
LEAST_PAIRS, LEAST_SOURCES, LEAST_COVERAGE, ALPHA = 30, 10, 0.95, 0.05
_AT_ONCE = 500  # sign patterns and resamples multiplied at a time
_MOST = 2**22  # draws of a source at a time: 32 MB


@dataclass(frozen=True, slots=True)
class Field:
    """One value of several systems in one group of samples; NaN where a system has none."""

    systems: tuple[str, ...]
    values: Floats  # (systems, samples)
    clusters: NDArray[np.integer]  # (samples,)
    direction: str = "higher"
    lowest: float | None = None  # what a missing value could be; None: as was seen
    highest: float | None = None
    against: str = ""  # what is known against the judge
    margin: float | None = None


@dataclass(frozen=True, slots=True)
class PairWord:
    """Two systems of a field: `difference` is right - left."""

    left: str
    right: str
    n: int
    owed: int
    sources: int
    left_mean: float | None
    right_mean: float | None
    difference: float | None
    low: float | None
    high: float | None
    p: float | None
    corrected: float | None
    worst: float | None  # mean difference at the worst of missing values for its sign
    best: float | None
    wins: int  # samples on which the right one is better
    ties: int
    losses: int
    word: Word = "not shown"
    why: str = ""

    @property
    def excludes_zero(self) -> bool:
        """Whether the interval has no zero in it."""
        return self.low is not None and self.high is not None and (self.low > 0 or self.high < 0)


def pair_words(
    field: Field, pairs: Sequence[tuple[int, int]], flips: int = FLIPS
) -> list[PairWord]:
    """Compare pairs of systems, given by their places in the field; Holm over all that are asked.

    All pairs share their resamples and sign patterns, so that 300 pairs cost little more than one.
    """
    raw = [_describe(field, left, right) for left, right in pairs]
    panel = _panel(field, pairs)
    lows, highs = _intervals(panel)
    chances = _flip(panel, flips)
    for i, one in enumerate(raw):
        if one.sources >= 2:
            raw[i] = replace(one, low=lows[i], high=highs[i], p=chances[i])
    # One alone is not corrected, and asking for it would be the slowest part.
    corrected = holm([one.p for one in raw]) if len(raw) > 1 else [one.p for one in raw]
    return [
        _decide(field, replace(one, corrected=p)) for one, p in zip(raw, corrected, strict=True)
    ]


def best_group(field: Field) -> tuple[str, ...]:
    """The best system by its mean, first, and those that are not shown to be worse than it.

    Where no interval can be had (one source, no common sample) nothing is shown.
    """
    means = [mean_known(row) for row in field.values]
    have = [i for i, mean in enumerate(means) if np.isfinite(mean)]
    if not have:
        return ()
    sign = -1.0 if field.direction == "lower" else 1.0
    top = max(have, key=lambda i: sign * means[i])
    rest = [i for i in have if i != top]
    lows, highs = _intervals(_panel(field, [(top, i) for i in rest]))
    also = [
        field.systems[i]
        for i, low, high in zip(rest, lows, highs, strict=True)
        if not (low > 0 or high < 0)  # also where there is no interval
    ]
    return (field.systems[top], *also)


def all_pairs(count: int) -> list[tuple[int, int]]:
    """Every pair of places."""
    return [(i, j) for i in range(count) for j in range(i + 1, count)]


def _describe(field: Field, at: int, to: int) -> PairWord:
    left, right = field.values[at], field.values[to]
    both = np.isfinite(left) & np.isfinite(right)
    owed = np.isfinite(left) | np.isfinite(right)
    delta = paired_differences(left[both], right[both])
    gain = delta if field.direction != "lower" else -delta
    mean = float(delta.mean()) if len(delta) else None
    worst, best = _bounds(field, left[owed], right[owed], mean)
    return PairWord(
        left=field.systems[at],
        right=field.systems[to],
        n=int(both.sum()),
        owed=int(owed.sum()),
        sources=len(np.unique(field.clusters[both])),
        left_mean=float(left[both].mean()) if len(delta) else None,
        right_mean=float(right[both].mean()) if len(delta) else None,
        difference=mean,
        low=None,
        high=None,
        p=None,
        corrected=None,
        worst=worst,
        best=best,
        wins=int((gain > 0).sum()),
        ties=int((gain == 0).sum()),
        losses=int((gain < 0).sum()),
    )


def _bounds(
    field: Field, left: Floats, right: Floats, mean: float | None
) -> tuple[float | None, float | None]:
    """The mean difference at the worst and at the best of missing values for its own sign."""
    if mean is None:
        return None, None
    seen = field.values[np.isfinite(field.values)]
    low = float(seen.min()) if field.lowest is None else field.lowest
    high = float(seen.max()) if field.highest is None else field.highest

    def fill(missing_left: float, missing_right: float) -> float:
        ours = np.where(np.isnan(left), missing_left, left)
        return float((np.where(np.isnan(right), missing_right, right) - ours).mean())

    down, up = fill(high, low), fill(low, high)
    return (down, up) if mean >= 0 else (up, down)


@dataclass(frozen=True, slots=True)
class _Panel:
    """Sums and counts of the complete pairs' differences, by source: (sources, pairs)."""

    sums: Floats
    counts: Floats

    @property
    def sources(self) -> NDArray[np.intp]:
        """How many sources each pair has."""
        found: NDArray[np.intp] = np.count_nonzero(self.counts, axis=0)
        return found


def _panel(field: Field, pairs: Sequence[tuple[int, int]]) -> _Panel:
    _, codes = np.unique(field.clusters, return_inverse=True)
    size = int(codes.max()) + 1 if len(codes) else 0
    sums = np.zeros((size, len(pairs)))
    counts = np.zeros((size, len(pairs)))
    for at, (left, right) in enumerate(pairs):
        ours, theirs = field.values[left], field.values[right]
        both = np.isfinite(ours) & np.isfinite(theirs)
        delta = paired_differences(ours[both], theirs[both])
        sums[:, at] = source_sums(delta, codes[both], size)
        counts[:, at] = np.bincount(codes[both], minlength=size)
    return _Panel(sums, counts)


def _intervals(panel: _Panel) -> tuple[list[float], list[float]]:
    """95 % bootstrap intervals in which whole sources are drawn, widened as `clustered_mean` is.

    Above `BOOTSTRAP_LIMIT` sources they are normal, as there.
    """
    size, pairs = panel.sums.shape
    if not (size and pairs):
        return [], []
    if size > BOOTSTRAP_LIMIT:
        return _normal_intervals(panel)
    rng = np.random.default_rng(SEED)
    draws = np.empty((RESAMPLES, pairs))
    for start, rows in _portions(RESAMPLES, size):
        # How often each source is drawn: counting draws is ten times as fast as a multinomial.
        drawn = rng.integers(0, size, (rows, size)) + size * np.arange(rows)[:, None]
        times = np.bincount(drawn.ravel(), minlength=rows * size).reshape(rows, size)
        weights = times.astype(np.float64)
        counts = weights @ panel.counts
        with np.errstate(invalid="ignore", divide="ignore"):
            draws[start : start + rows] = (weights @ panel.sums) / counts
    lows, highs = [], []
    for at, sources in enumerate(panel.sources):
        own = draws[:, at][np.isfinite(draws[:, at])]
        outer = outer_percentile(int(sources)) if sources > 1 and len(own) else None
        low, high = np.percentile(own, [outer, 100 - outer]) if outer else (np.nan, np.nan)
        lows.append(float(low))
        highs.append(float(high))
    return lows, highs


def _portions(count: int, size: int) -> Iterator[tuple[int, int]]:
    """Where each portion of so many draws from so many sources begins, and how many it has."""
    most = max(1, min(_AT_ONCE, _MOST // size))
    return ((start, min(most, count - start)) for start in range(0, count, most))


def _normal_intervals(panel: _Panel) -> tuple[list[float], list[float]]:
    """Mean of each pair -/+ 1.96 standard errors of a ratio of sums over sources."""
    total, count = panel.sums.sum(axis=0), panel.counts.sum(axis=0)
    with np.errstate(invalid="ignore", divide="ignore"):
        mean = total / count
        half = NORMAL_95 * np.sqrt(np.square(panel.sums - mean * panel.counts).sum(axis=0)) / count
    half[panel.sources < 2] = np.nan
    return (mean - half).tolist(), (mean + half).tolist()


def _flip(panel: _Panel, flips: int) -> list[float]:
    """Two-sided p of the mean difference when the sign of every source is a coin's.

    Above `BOOTSTRAP_LIMIT` sources of the limiting normal distribution.
    """
    size, pairs = panel.sums.shape
    if not (size and pairs):
        return []
    total = panel.sums.sum(axis=0)
    if size > BOOTSTRAP_LIMIT:
        return [normal_flips(sums).p_value for sums in panel.sums.T]
    slack = 1e-12 * np.abs(panel.sums).sum(axis=0)
    rng, hits = np.random.default_rng(SEED), np.zeros(pairs)
    for _, rows in _portions(flips, size):
        packed = np.frombuffer(rng.bytes(rows * -(-size // 8)), dtype=np.uint8)
        bits = np.unpackbits(packed.reshape(rows, -1), axis=1, count=size)
        drawn = 2 * (bits.astype(np.float64) @ panel.sums) - total
        hits += (np.abs(drawn) >= np.abs(total) - slack).sum(axis=0)
    chances: list[float] = ((hits + 1) / (flips + 1)).tolist()
    # With few sources there are few sign patterns: no p is below the share of one of them.
    return [
        max(p, min(1.0, 2.0 ** (1 - int(s)))) for p, s in zip(chances, panel.sources, strict=True)
    ]


def _decide(field: Field, pair: PairWord) -> PairWord:
    """The pair with its word, and why it is no stronger one."""
    if pair.n < LEAST_PAIRS:
        return replace(pair, word="too few", why=f"{pair.n} pairs, {LEAST_PAIRS} are needed")
    if pair.sources < LEAST_SOURCES:
        why = f"{pair.sources} source images, {LEAST_SOURCES} are needed"
        return replace(pair, word="too few", why=why)
    if _is_within(pair, field.margin):
        return replace(pair, word="alike", why=f"within the margin of {field.margin:g}")
    if not pair.excludes_zero:
        return replace(pair, word="not shown", why="the interval holds 0")
    doubt = _doubt(field, pair)
    return replace(pair, word="likely" if doubt else "sure", why=doubt)


def _is_within(pair: PairWord, margin: float | None) -> bool:
    if margin is None or pair.low is None or pair.high is None:
        return False
    return -margin < pair.low and pair.high < margin


def _doubt(field: Field, pair: PairWord) -> str:
    """The first condition of `sure` that fails; empty when none does."""
    if pair.corrected is None or pair.corrected >= ALPHA:
        return "it does not outlast the correction for all pairs"
    if pair.worst is None or pair.difference is None or pair.worst * pair.difference <= 0:
        return "missing answers could turn it"
    if pair.n < LEAST_COVERAGE * pair.owed:
        return "a system has no value for more than 5 % of the samples"
    return field.against


@dataclass(frozen=True, slots=True)
class Standing:
    """What the pairs of a format say together. Systems stand best mean first."""

    order: tuple[str, ...]
    ranks: dict[str, tuple[int, int]]
    leaders: tuple[str, ...]  # not shown to be worse than the best
    word: Word
    why: str
    over: PairWord | None  # the leader (right) against the next by its mean (left)
    pairs: tuple[PairWord, ...]


def standing(field: Field, flips: int = FLIPS) -> Standing | None:
    """Who leads a field, and how surely; None when no system has a value."""
    means = [mean_known(row) for row in field.values]
    have = [i for i, mean in enumerate(means) if np.isfinite(mean)]
    if not have:
        return None
    sign = -1.0 if field.direction == "lower" else 1.0
    have.sort(key=lambda i: -sign * means[i])
    order = tuple(field.systems[i] for i in have)
    # The left one is behind the right one, so that a difference is the lead of the right one.
    pairs = tuple(pair_words(field, [(have[b], have[a]) for a, b in all_pairs(len(have))], flips))
    ranks = {}
    for name in order:
        better = sum(p.word == "sure" and p.left == name for p in pairs)
        worse = sum(p.word == "sure" and p.right == name for p in pairs)
        ranks[name] = (1 + better, len(order) - worse)
    ahead = [p for p in pairs if p.right == order[0]]
    if not ahead:
        return Standing(order, ranks, order, "not shown", "only one system has values", None, pairs)
    weakest = min(ahead, key=lambda p: ORDER.index(p.word))
    rivals = tuple(p.left for p in ahead if p.word not in ("sure", "likely"))
    why = weakest.why if weakest is ahead[0] else f"over {weakest.left}: {weakest.why}"
    return Standing(order, ranks, (order[0], *rivals), weakest.word, why, ahead[0], pairs)


def samples_needed(pair: PairWord, gap: float) -> int | None:
    """How many samples would tell a gap with a power of 80 %, to three digits.

    n x (1.43 x half-width / gap)^2: a half-width is 1.96 standard errors, and 2.8 must fit.
    """
    if pair.low is None or pair.high is None or gap <= 0 or not pair.n:
        return None
    raw = pair.n * (1.43 * (pair.high - pair.low) / 2 / gap) ** 2
    return int(float(f"{raw:.3g}")) if np.isfinite(raw) and raw >= 1 else None


def mean_known(row: Floats) -> float:
    """The mean of the values that are there; NaN of none."""
    known = row[np.isfinite(row)]
    return float(known.mean()) if len(known) else float("nan")


def correct(fields: Sequence[Field], pairs: Sequence[PairWord]) -> list[PairWord]:
    """Pairs of different fields with p corrected over all of them, and their words decided anew."""
    corrected = holm([pair.p for pair in pairs])
    return [
        _decide(field, replace(pair, corrected=p, word="not shown", why=""))
        for field, pair, p in zip(fields, pairs, corrected, strict=True)
    ]
