"""How far values move with the seed, beside how far they move with the samples.

A system with `repeats: k` is asked k times. Everything here is of samples that have a value each
time. Two pairs of numbers can be held beside each other:

    sd_seeds    of the run's mean from one time to the next (divided by k - 1)
    se_samples  of that mean if other samples had been drawn, whole sources together
    sd_within   of one sample's value from one time to the next: the root of the mean variance
    sd_samples  of the samples' own means from sample to sample

`pass_at` is of values that are 0 or 1, as those of closed answers are: the chance that at least one
of so many times is right, from 1 to k. Of n times of which c are right it is estimated without bias
by 1 - C(n - c, k) / C(n, k) (Chen et al., Evaluating Large Language Models Trained on Code, 2021,
arXiv 2107.03374, section 2.1). Its intervals draw whole sources, as all others do.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from math import comb

import numpy as np
from numpy.typing import NDArray

from medgen.engine.results.aside import Aside
from medgen.engine.results.columns import Column, system_columns
from medgen.engine.results.statistics import Floats, Ints, clustered_mean, clustered_means
from medgen.engine.run.reader import RunReader


@dataclass(frozen=True, slots=True)
class Spread:
    """One value of one system that was asked several times, in one format."""

    system: str
    format: str
    stage: str
    label: str
    output: str
    metric: str
    direction: str | None
    repeats: int
    n: int  # samples with a value each time
    left_out: int  # with a value some of the times
    mean: float | None
    ci_low: float | None  # over the samples, as every interval of a mean
    ci_high: float | None
    sd_seeds: float | None
    se_samples: float | None
    sd_within: float | None
    sd_samples: float | None
    means: list[float]  # of each time, over these samples
    pass_at: list[float]  # of 1, 2 … times; empty where values are not 0 or 1
    pass_low: list[float | None]
    pass_high: list[float | None]


def spreads(reader: RunReader) -> list[Spread]:
    """The rows of every system that is asked more than once; empty of a run without one.

    Raises:
        CorruptError: stored rows are damaged.
    """
    found: list[Spread] = []
    for system in reader.plan.systems:
        again = [s.name for s in reader.plan.systems if s.of == system.name and s.repeat]
        if again:
            found += _of_system(reader, [system.name, *again])
    return found


def _of_system(reader: RunReader, names: Sequence[str]) -> Iterator[Spread]:
    """Of the same system each time; what one of them lacks altogether has no row."""
    times = [
        {(c.stage, c.label, c.output): c for c in system_columns(reader, name)} for name in names
    ]
    for key, first in times[0].items():
        same = [found[key] for found in times if key in found]
        if len(same) == len(names):
            yield from _of_column(first, np.stack([column.values for column in same]))


def _of_column(column: Column, values: Floats) -> Iterator[Spread]:
    """A row a format. `values` has a row a time; systems of one plan owe samples in one order."""
    clusters, fine = column.context.clusters, np.isfinite(values)
    for format_ in column.context.format.words:
        there = column.context.format.where(format_)
        if (fine & there).any():
            yield _spread(
                column, format_, values, (there & fine.all(0), there & fine.any(0)), clusters
            )


def _spread(
    column: Column,
    format_: str,
    values: Floats,
    masks: tuple[NDArray[np.bool_], NDArray[np.bool_]],
    clusters: Ints,
) -> Spread:
    complete, some = masks
    held, own = values[:, complete], clusters[complete]
    each = held.mean(0)
    whole = clustered_mean(each, own)
    closed = pass_at(held) if column.stage == "score" else []
    passing = clustered_means([(at, own) for at in closed])
    n = int(complete.sum())
    return Spread(
        system=column.system,
        format=format_,
        stage=column.stage,
        label=column.label,
        output=column.output,
        metric=column.name,
        direction=column.declared.direction,
        repeats=len(values),
        n=n,
        left_out=int(some.sum()) - n,
        means=[float(m) for m in held.mean(1)] if n else [],
        mean=whole.mean,
        ci_low=whole.low,
        ci_high=whole.high,
        sd_seeds=float(held.mean(1).std(ddof=1)) if n else None,
        se_samples=standard_error(each, own),
        sd_within=float(np.sqrt(held.var(0, ddof=1).mean())) if n else None,
        sd_samples=float(each.std(ddof=1)) if n > 1 else None,
        pass_at=[float(p.mean or 0.0) for p in passing],
        pass_low=[p.low for p in passing],
        pass_high=[p.high for p in passing],
    )


def standard_error(values: Floats, clusters: Ints) -> float | None:
    """Of a mean whose samples come in sources; None of fewer than two sources.

    >>> standard_error(np.array([0.0, 0.0, 3.0, 3.0]), np.array([0, 0, 1, 1]))
    1.5
    """
    codes, place = np.unique(clusters, return_inverse=True)
    if len(codes) < 2:
        return None
    sums = np.bincount(place, weights=values - values.mean())
    count = len(codes)
    return float(np.sqrt(np.square(sums).sum() * count / (count - 1)) / len(values))


def pass_at(values: Floats) -> list[Floats]:
    """Each sample's chance that one of 1, 2 … k times is right; nothing of values between 0 and 1.

    >>> [p.tolist() for p in pass_at(np.array([[1.0, 0.0], [0.0, 0.0]]))]
    [[0.5, 0.0], [1.0, 0.0]]
    """
    if not values.size or not np.isin(values, (0.0, 1.0)).all():
        return []
    times = len(values)
    right = values.sum(0).astype(int)
    return [
        np.array([1 - comb(times - c, k) / comb(times, k) for c in right], dtype=np.float64)
        for k in range(1, times + 1)
    ]


REPEATS = Aside("repeats", Spread, spreads)
