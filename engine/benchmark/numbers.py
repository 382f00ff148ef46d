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


def numbers_of(parts: Iterable[pa.Table], count: int) -> Numbers:
    """Make them of the index, `COLUMNS` of it, in parts: of so many samples."""
    asks, places = np.empty(count, np.uint8), np.empty(count, np.int32)
    sources = np.empty(count, np.int64)
    at = 0
    for part in parts:
        rows = slice(at, at + len(part))
        asks[rows] = [ASKS.index(word) for word in part["asks"].to_pylist()]
        sources[rows] = source_numbers(part["source"])
        places[rows] = pc.fill_null(part["place"], UNKNOWN).to_numpy()
        at = rows.stop
    return Numbers(asks, clusters_of(sources), places)


def source_numbers(sources: pa.ChunkedArray) -> NDArray[np.int64]:
    """A number for each text, in this process alone; 0 for none.

    Of ten million texts two share theirs once in 300,000 benchmarks.
    """
    return np.array([(hash(s) or 1) if s else _ALONE for s in sources.to_pylist()], np.int64)


def clusters_of(sources: NDArray[np.int64]) -> NDArray[np.int32]:
    """Sources by such numbers, numbered anew as in `Numbers`."""
    alone = sources == _ALONE
    order = np.argsort(sources, kind="stable").astype(np.int32)  # those of one stand together
    order = order[~alone[order]]
    ordered = sources[order]
    begins = np.ones(len(order), np.bool_)
    begins[1:] = ordered[1:] != ordered[:-1]
    del ordered  # of millions of samples the largest of all
    number = _places_among(order[begins], len(sources))
    source = np.cumsum(begins, dtype=np.int32)
    source -= 1
    found = np.empty(len(sources), np.int32)
    found[order] = number[source]
    found[alone] = len(number) + np.arange(np.count_nonzero(alone), dtype=np.int32)
    return found


def _places_among(chosen: NDArray[np.int32], count: int) -> NDArray[np.int32]:
    """Of some of `count` places, the how many-th each is, from 0."""
    there = np.zeros(count, np.bool_)
    there[chosen] = True
    return np.cumsum(there, dtype=np.int32)[chosen] - np.int32(1)
