"""Statistics over per-sample values: intervals, paired tests, effect sizes, bounds.

Arrays are float64 and one-dimensional unless said otherwise; values that are not finite must be
left out before. Everything random is seeded, so the same values give the same numbers
whatever else is computed beside them. `scipy` and `statsmodels` are imported where they are used:
a summary needs only SciPy's special functions.
"""

import gc
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache, partial
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Ints = NDArray[np.integer[Any]]

RESAMPLES = 1000
SEED = 42
FLIPS = 9999
# Above this size the percentile bootstrap of a mean and the normal interval differ by less than
# the bootstrap's own Monte Carlo error at 1,000 resamples; the cheap one is taken, and named.
BOOTSTRAP_LIMIT = 20_000
# SciPy's limit for trying all sign patterns when ranks are tied.
_EXACT_RANKS = 13
NORMAL_95 = 1.959963984540054
# Below this many sources an interval covers less than it says (benchmarks/intervals.py).
FEW_SOURCES = 30
# Differences nearer than this share of the numbers that made them are one difference.
_TIED = 1e-10
# What a p value is that is too small for a float: it is never 0.
_LEAST_P = float(np.finfo(np.float64).tiny)
# Values gathered at once while resampling: keeps a block within a few megabytes.
_BLOCK = 250_000


@dataclass(frozen=True, slots=True)
class Interval:
    """A mean with its 95 % interval; all None when there is no value."""

    mean: float | None
    low: float | None
    high: float | None
    method: str = "none"  # bootstrap, normal, either of them clustered, none
    note: str = ""  # what a reader must know beside it: why there is none, or what it covers


def bootstrap_mean(values: Floats) -> Interval:
    """Mean and percentile-bootstrap 95 % interval of finite values.

    Draws with NumPy's PCG64, so that a seed gives the intervals of the benchmark authors'
    evaluator. Source: Efron and Tibshirani, An Introduction to the Bootstrap, 1993, chapter 13.
    """
    return bootstrap_means([values])[0]


def bootstrap_means(columns: Sequence[Floats]) -> list[Interval]:
    """`bootstrap_mean` of many arrays; arrays of one length share their draws, not their result."""
    found: list[Interval] = [Interval(None, None, None)] * len(columns)
    sizes: dict[int, list[int]] = {}
    for at, column in enumerate(columns):
        sizes.setdefault(len(column), []).append(at)
    for size, members in sizes.items():
        if size == 0:
            continue
        if size > BOOTSTRAP_LIMIT:
            for at in members:
                found[at] = normal_mean(columns[at])
            continue
        stacked = np.stack([columns[at] for at in members])
        draws = _resample(size, len(members), partial(_row_means, stacked))
        lows, highs = np.percentile(draws, [2.5, 97.5], axis=1)
        for row, at in enumerate(members):
            mean = float(np.mean(stacked[row]))
            found[at] = Interval(mean, float(lows[row]), float(highs[row]), "bootstrap")
    return found


def _row_means(rows: Floats, indices: Ints) -> Floats:
    # Row by row: NumPy orders a joint gather, and so its sums, by what else is in it.
    return np.stack([row[indices].mean(axis=-1) for row in rows])


def _resample(size: int, rows: int, statistic: Callable[[Ints], Floats]) -> Floats:
    # (rows, RESAMPLES): the statistic on so many draws of `size` indices, some at a time.
    rng = np.random.default_rng(SEED)
    at_once = max(1, _BLOCK // (size * rows))
    blocks = []
    for start in range(0, RESAMPLES, at_once):
        indices = rng.integers(0, size, (min(at_once, RESAMPLES - start), size))
        blocks.append(statistic(indices))
    return np.concatenate(blocks, axis=1)


def normal_mean(values: Floats) -> Interval:
    """Mean and normal-theory 95 % interval, for sizes at which a bootstrap adds only noise.

    >>> found = normal_mean(np.array([1.0, 2.0, 3.0]))
    >>> found.mean, round(found.low, 3), round(found.high, 3)
    (2.0, 0.868, 3.132)
    """
    mean = float(np.mean(values))
    half = NORMAL_95 * float(np.std(values, ddof=1)) / float(np.sqrt(len(values)))
    return Interval(mean, mean - half, mean + half, "normal")


def clustered_mean(values: Floats, clusters: Ints) -> Interval:
    """Mean and 95 % interval with whole clusters drawn; normal-theory above `BOOTSTRAP_LIMIT`.

    `clusters` holds one integer code a value. Samples of one source (patient, study, image) are not
    independent; drawing them together keeps the interval honest. Source: Davison and Hinkley,
    Bootstrap Methods and their Application, 1997, section 3.8. The bootstrap's percentiles are
    moved outwards until they stand where a t interval of as many clusters would (Hesterberg, The
    American Statistician 2015, 69:371, section 5.3): plain ones are too narrow by the factor that
    a standard deviation over n is. One cluster has no interval.
    """
    return clustered_means([(values, clusters)])[0]


def clustered_means(columns: Sequence[tuple[Floats, Ints]]) -> list[Interval]:
    """`clustered_mean` of many; those of as many clusters share their draws, not their result."""
    found: list[Interval] = [Interval(None, None, None, note="no value")] * len(columns)
    sizes: dict[int, list[tuple[int, Floats, Floats]]] = {}
    for at, (values, clusters) in enumerate(columns):
        if len(values) == 0:
            continue
        mean, sources = float(np.mean(values)), len(np.unique(clusters))
        if sources == 1:
            found[at] = Interval(mean, None, None, note="one source: no interval")
        elif sources > BOOTSTRAP_LIMIT:
            residuals = _cluster_sums(values, clusters, mean)
            half = NORMAL_95 * float(np.sqrt(residuals @ residuals)) / len(values)
            found[at] = Interval(mean, mean - half, mean + half, "clustered normal")
        else:
            sums = _unit_sums(values, clusters)
            counts = _cluster_sums(np.ones(len(values)), clusters)
            sizes.setdefault(sources, []).append((at, sums, counts))
    for sources, members in sizes.items():
        draws = _resample(sources, len(members), partial(_ratios, members))
        outer = outer_percentile(sources)
        bounds = np.percentile(draws, [outer, 100 - outer], axis=1)
        for (at, _, _), low, high in zip(members, *bounds, strict=True):
            found[at] = _clustered_interval(columns[at][0], sources, float(low), float(high))
    return found


def _ratios(members: Sequence[tuple[int, Floats, Floats]], indices: Ints) -> Floats:
    # Row by row, as in `_row_means`.
    return np.stack(
        [sums[indices].sum(-1) / counts[indices].sum(-1) for _, sums, counts in members]
    )


def _clustered_interval(values: Floats, sources: int, low: float, high: float) -> Interval:
    mean = float(np.mean(values))
    notes = [f"{sources} sources: covers less than 95 %"] if sources < FEW_SOURCES else []
    least = _TIED * float(np.abs(values).max())
    if np.ptp(values) <= least:
        low = high = mean  # draws of equal values differ in their last bits
        notes = ["no spread", *notes]
    elif high - low <= least:
        notes = ["no spread between sources", *notes]
    return Interval(mean, low, high, "clustered bootstrap", "; ".join(notes))


@cache
def outer_percentile(sources: int) -> float:
    """Which percentile of a bootstrap of so many clusters stands where a t interval's end does."""
    from scipy.special import ndtr, stdtrit

    wider = float(stdtrit(sources - 1, 0.975)) * float(np.sqrt(sources / (sources - 1)))
    return 100 * float(ndtr(-wider))


def settle(differences: Floats, scale: Floats | None = None) -> Floats:
    """Differences with those made one that differ only in their last bits.

    0.3 - 0.2 and 0.2 - 0.1 are the same difference, though not the same float. The rule: sizes that
    lie nearer to each other than 1e-10 of what made each of them become the smallest of them, and 0
    where they are nearer than that to 0. `scale` is the larger value of every pair; where it is not
    known, the usual (median) difference stands for it.
    """
    sizes = np.abs(differences)
    if not sizes.any():
        return np.zeros_like(differences)
    usual = np.median(sizes[sizes > 0]) if scale is None else scale
    order = np.argsort(sizes, kind="stable")
    ranked, slack = sizes[order], _TIED * np.maximum(sizes, usual)[order]
    apart = np.diff(ranked) > np.minimum(slack[1:], slack[:-1])
    first = np.flatnonzero(np.append(True, apart))
    least = np.where(ranked[first] <= slack[first], 0.0, ranked[first])
    settled = np.empty_like(sizes)
    settled[order] = np.repeat(least, np.diff(np.append(first, len(ranked))))
    signed: Floats = np.copysign(settled, differences) + 0.0  # without a zero below zero
    return signed


def paired_differences(left: Floats, right: Floats) -> Floats:
    """`right - left`, settled by the size of each pair's values; both are finite."""
    return settle(right - left, np.maximum(np.abs(left), np.abs(right)))


@dataclass(frozen=True, slots=True)
class Paired:
    """A paired Wilcoxon signed-rank test: smaller rank sum and two-sided p."""

    statistic: float
    p_value: float


def wilcoxon(differences: Floats) -> Paired | None:
    """Two-sided Wilcoxon signed-rank test of paired differences; None below two pairs.

    Zero differences are dropped (Wilcoxon's own rule); all zero gives p = 1. What differs only in
    its last bits is tied (`settle`). Samples are taken as independent: `sign_flip` is the test
    that knows of sources.
    """
    if len(differences) < 2:
        return None
    differences = settle(differences)
    moved = differences[differences != 0]
    if len(moved) == 0:
        return Paired(0.0, 1.0)
    from scipy.stats import rankdata
    from scipy.stats import wilcoxon as scipy_wilcoxon

    if len(differences) <= _EXACT_RANKS and len(np.unique(np.abs(moved))) < len(differences):
        # SciPy tries every pattern of signs here too, one call of Python a pattern.
        ranks = rankdata(np.abs(moved))
        lower = min(float(np.sum(ranks[moved > 0])), float(np.sum(ranks[moved < 0])))
        flips = sign_flip(ranks * np.sign(moved))
        return Paired(lower, flips.p_value if flips else 1.0)
    result = scipy_wilcoxon(differences, zero_method="wilcox")
    return Paired(float(result.statistic), max(float(result.pvalue), _LEAST_P))


@dataclass(frozen=True, slots=True)
class Flips:
    """P values of a sign-flip permutation test of the mean difference against zero."""

    low: float  # that it is so low or lower
    high: float  # that it is so high or higher
    p_value: float  # two-sided


def sign_flip(
    differences: Floats, clusters: Ints | None = None, flips: int = FLIPS
) -> Flips | None:
    """Permutation test: were the two sides of a pair exchangeable, its sign would be a coin's.

    With `clusters`, the sign of a whole cluster is flipped, since its samples move together. Every
    sign pattern is tried when there are no more than `flips` of them; else that many are drawn,
    and the observed one counts as one more (p is never 0). Above `BOOTSTRAP_LIMIT` units the
    limiting normal distribution is used. None below two units. Exact for exchangeable sides,
    whatever the distribution. Source: Fisher, The Design of Experiments, 1935, section 21.
    """
    units = _unit_sums(differences, clusters)
    if len(units) < 2:
        return None
    if len(units) > BOOTSTRAP_LIMIT:
        return normal_flips(units)
    total = float(np.sum(units))
    slack = 1e-12 * float(np.sum(np.abs(units)))
    counts = np.zeros(3, dtype=np.int64)
    for sums in _flipped_sums(units, flips):
        tails = (sums <= total + slack, sums >= total - slack, np.abs(sums) >= abs(total) - slack)
        counts += [int(np.count_nonzero(tail)) for tail in tails]
    patterns: int = 2 ** min(len(units), 60)
    exact = patterns <= flips
    chances = counts / patterns if exact else (counts + 1) / (flips + 1)
    return Flips(*(float(c) for c in chances))


def _cluster_sums(values: Floats, clusters: Ints, less: float = 0.0) -> Floats:
    """The sum of each cluster's values, `less` taken from each: some at a time, in their order."""
    names = np.unique(clusters)
    sums = np.zeros(len(names))
    for at in range(0, len(values), _BLOCK // 4):
        some = slice(at, at + _BLOCK // 4)
        np.add.at(sums, np.searchsorted(names, clusters[some]), values[some] - less)
    return sums


def _codes(clusters: Ints) -> Ints:
    # As `np.unique` has them, which takes twice the memory for it.
    return np.searchsorted(np.unique(clusters), clusters)


def _unit_sums(values: Floats, clusters: Ints | None) -> Floats:
    if clusters is None:
        return values
    return source_sums(values, _codes(clusters))


def source_sums(values: Floats, codes: Ints, sources: int = 0) -> Floats:
    """The sum of every source's values, 0 where they cancel but for their last bits.

    0.1 + 0.2 - 0.3 is no difference: `settle` cannot know it, for it looks at one value at a time.

    Args:
        values: finite numbers.
        codes: the source of each, from 0.
        sources: how many there are at least; those without a value have 0.

    >>> source_sums(np.array([0.1, 0.2, -0.3, 1.0]), np.array([0, 0, 0, 1]))
    array([0., 1.])
    """
    sums = np.bincount(codes, weights=values, minlength=sources)
    sizes = np.bincount(codes, weights=np.abs(values), minlength=sources)
    return np.where(np.abs(sums) <= _TIED * sizes, 0.0, sums)


def _flipped_sums(units: Floats, flips: int) -> Iterator[Floats]:
    # One random bit a sign: SciPy's permutation test draws a float each, and takes ten times
    # as long for the same null distribution.
    size, total = len(units), float(np.sum(units))
    patterns: int = 2 ** min(size, 60)
    every = patterns <= flips
    rng, width = np.random.default_rng(SEED), -(-size // 8)
    count, at_once = patterns if every else flips, max(1, 4 * _BLOCK // size)
    for start in range(0, count, at_once):
        rows = min(at_once, count - start)
        kept: NDArray[Any]
        if every:
            kept = (np.arange(start, start + rows)[:, None] >> np.arange(size)) & 1
        else:
            packed = np.frombuffer(rng.bytes(rows * width), dtype=np.uint8)
            kept = np.unpackbits(packed.reshape(rows, width), axis=1, count=size)
        yield 2 * (kept.astype(np.float64) @ units) - total


def normal_flips(units: Floats) -> Flips:
    """What `sign_flip` says of the sums of many units: by the limiting normal distribution."""
    from scipy.stats import norm

    spread = float(np.sqrt(np.sum(np.square(units))))
    z = float(np.sum(units)) / spread if spread else 0.0
    chances = (float(norm.cdf(z)), float(norm.sf(z)), min(1.0, 2 * float(norm.sf(abs(z)))))
    return Flips(*(max(chance, _LEAST_P) for chance in chances))


def holm(p_values: Sequence[float | None]) -> list[float | None]:
    """Holm's step-down adjustment over one family; None (no test) stays None and is not counted.

    >>> holm([0.01, None, 0.04])
    [0.02, None, 0.04]
    """
    known = [p for p in p_values if p is not None]
    if not known:
        return list(p_values)
    from statsmodels.stats.multitest import multipletests

    # It collects garbage in every call, which takes 80 ms beside a pyarrow that is loaded: what is
    # there by now need not be looked at.
    gc.freeze()
    try:
        adjusted = list(multipletests(known, method="holm")[1])
    finally:
        gc.unfreeze()
    return [None if p is None else float(adjusted.pop(0)) for p in p_values]


def cohen_dz(differences: Floats) -> float | None:
    """Cohen's d of paired differences: their mean in standard deviations of the difference.

    None below two pairs and where all differences are one (`settle`), for there is no spread to
    measure it in; 0 where there is no difference at all.

    >>> cohen_dz(np.array([1.0, 2.0, 3.0]))
    2.0
    >>> cohen_dz(np.array([0.0, 0.0]))
    0.0
    """
    if len(differences) < 2:
        return None
    differences = settle(differences)
    if np.ptp(differences) == 0:
        return None if differences.any() else 0.0
    sd = float(np.std(differences, ddof=1))
    return float(np.mean(differences)) / sd


def rank_biserial(differences: Floats) -> float | None:
    """Matched-pairs rank-biserial correlation in [-1, 1]: (W+ - W-) / (W+ + W-), zeros dropped.

    Source: Kerby, The simple difference formula, Comprehensive Psychology 2014, 3:11.IT.3.1.

    >>> rank_biserial(np.array([1.0, 2.0, -3.0, 0.0]))
    0.0
    """
    differences = settle(differences)
    moved = differences[differences != 0]
    if len(moved) == 0:
        return 0.0 if len(differences) else None
    from scipy.stats import rankdata

    ranks = rankdata(np.abs(moved))
    return float(np.sum(ranks * np.sign(moved)) / np.sum(ranks))


def binomial_interval(
    hits: int, trials: int, method: Literal["exact", "wilson"] = "exact"
) -> tuple[float, float]:
    """95 % interval of a proportion: exact (Clopper-Pearson), or Wilson's (JASA 1927, 22:209).

    >>> low, high = binomial_interval(4, 1000)
    >>> round(100 * low, 1), round(100 * high, 1)
    (0.1, 1.0)
    """
    from scipy.stats import binomtest

    interval = binomtest(hits, trials).proportion_ci(confidence_level=0.95, method=method)
    return float(interval.low), float(interval.high)


def difference_bounds(
    left: Floats, right: Floats, lowest: float, highest: float
) -> tuple[float, float] | None:
    """Worst and best mean of `right - left` when every missing value may be anything in range.

    NaN marks a missing value; both arrays cover the same samples, in the same order. None when
    there is no sample. Source: Manski's worst-case bounds, American Economic Review 1990, 80:319.
    """
    if len(left) == 0:
        return None
    worst = np.where(np.isnan(right), lowest, right) - np.where(np.isnan(left), highest, left)
    best = np.where(np.isnan(right), highest, right) - np.where(np.isnan(left), lowest, left)
    return float(np.mean(worst)), float(np.mean(best))
