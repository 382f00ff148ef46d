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
        sources.append(np.array([_number(word) for word in part["source"].to_pylist()], np.int64))
        places.append(pc.fill_null(part["place"], UNKNOWN).to_numpy().astype(np.int32))
    return Numbers(np.concatenate(asks), _cluster(np.concatenate(sources)), np.concatenate(places))


def _number(source: str) -> int:
    """64 bits for a text: of ten million, two share theirs once in 300,000 benchmarks."""
    return (hash(source) or 1) if source else _ALONE


def _cluster(sources: NDArray[np.int64]) -> NDArray[np.int32]:
    alone = sources == _ALONE
    _, first, inverse = np.unique(sources[~alone], return_index=True, return_inverse=True)
    order = np.empty(len(first), np.int32)
    order[np.argsort(first)] = np.arange(len(first), dtype=np.int32)
    found = np.empty(len(sources), np.int32)
    found[~alone] = order[inverse]
    found[alone] = len(first) + np.arange(np.count_nonzero(alone), dtype=np.int32)
    return found
