"""What the samples of a benchmark are, as numbers: of millions, what they are sorted by.

Nine bytes a sample, made in one pass over the index, some thousands of samples at a time.
"""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from medgen.engine.data import ASKS

COLUMNS = ("asks", "source", "place")  # of the index, that they are made of
_ALONE = 0  # has no source
UNKNOWN = -1  # place


@dataclass(frozen=True, slots=True, eq=False)
class Numbers:
    """One entry a sample, in the benchmark's order.

    Attributes:
        asks: what it asks for, as a place in `ASKS`.
        clusters: its source (patient, study, image). Sources are numbered as they appear; a
            sample without one is a source of its own, and stands behind all that have one.
        places: where it stood in what was imported; -1: nobody knows.
    """

    asks: NDArray[np.uint8]
    clusters: NDArray[np.int32]
    places: NDArray[np.int32]


def numbers_of(parts: Iterable[pa.Table]) -> Numbers:
    """Make them of the index, `COLUMNS` of it, in parts."""
    asks = [np.zeros(0, np.uint8)]
    sources = [np.zeros(0, np.int64)]
    places = [np.zeros(0, np.int32)]
    for part in parts:
        asks.append(np.array([ASKS.index(word) for word in part["asks"].to_pylist()], np.uint8))
        sources.append(source_numbers(part["source"]))
        places.append(pc.fill_null(part["place"], UNKNOWN).to_numpy().astype(np.int32))
    clusters = clusters_of(np.concatenate(sources))
    return Numbers(np.concatenate(asks), clusters, np.concatenate(places))


def source_numbers(sources: pa.ChunkedArray) -> NDArray[np.int64]:
    """A number for each text, in this process alone; 0 for none.

    Of ten million texts two share theirs once in 300,000 benchmarks.
    """
    return np.array([(hash(s) or 1) if s else _ALONE for s in sources.to_pylist()], np.int64)


def clusters_of(sources: NDArray[np.int64]) -> NDArray[np.int32]:
    """Sources by such numbers, numbered anew as in `Numbers`."""
    alone = sources == _ALONE
    at = np.flatnonzero(~alone)
    at = at[np.argsort(sources[at], kind="stable")]  # those of one source stand together
    begins = np.diff(sources[at], prepend=sources[at[:1]] - 1) != 0
    first = at[begins]  # of each source, where it appears
    order = np.empty(len(first), np.int32)
    order[np.argsort(first)] = np.arange(len(first), dtype=np.int32)
    found = np.empty(len(sources), np.int32)
    found[at] = order[np.cumsum(begins, dtype=np.int32) - 1]
    found[alone] = len(first) + np.arange(np.count_nonzero(alone), dtype=np.int32)
    return found
