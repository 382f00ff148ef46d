"""Values of a whole run that are made of sums (F1, kappa, calibration), with their intervals.

A value that is no mean of items is made of sums over items. Sums are kept by source (patient,
study, image); the bootstrap draws whole sources and makes the value anew of what it drew.
"""

from collections.abc import Callable

import numpy as np

from medgen.engine.results.statistics import RESAMPLES, SEED, Floats, Ints, outer_percentile

_BLOCK = 2**22  # numbers held at once
Reduce = Callable[[Floats], Floats]


def by_source(sums: Floats, sources: Ints) -> Floats:
    """The sums of each source: one row a source, in the order of their codes."""
    codes, inverse = np.unique(sources, return_inverse=True)
    found = np.zeros((len(codes), sums.shape[1]))
    np.add.at(found, inverse, sums)
    return found


def reduced_interval(sums: Floats, reduce: Reduce) -> tuple[float, ...]:
    """Lower and upper end of a 95 % interval; empty where there is none.

    Args:
        sums: one row a source, as `by_source` gives them.
        reduce: rows of sums to values, one a row; NaN where there is no value.
    """
    count = len(sums)
    if count < 2:
        return ()
    rng = np.random.default_rng(SEED)
    at_once = max(1, _BLOCK // max(count, sums.shape[1]))
    values: list[Floats] = []
    for start in range(0, RESAMPLES, at_once):
        draws = min(at_once, RESAMPLES - start)
        times = rng.multinomial(count, np.full(count, 1 / count), draws).astype(np.float64)
        values.append(reduce(times @ sums))
    found = np.concatenate(values)
    found = found[np.isfinite(found)]
    if not len(found):
        return ()
    outer = outer_percentile(count)
    low, high = np.percentile(found, [outer, 100 - outer])
    return float(low), float(high)
