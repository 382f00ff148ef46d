"""What samples are as numbers: sources by their texts, places where they are known."""

import numpy as np
import pyarrow as pa

from medgen.engine.benchmark.numbers import COLUMNS, numbers_of
from medgen.engine.data import ASKS
from medgen.engine.results.coded import code_many

SOURCES: list[list[str | None]] = [["p2", None, "p1"], [], ["p1", "", "p3", "p2"]]


def parts(places: int = 0) -> list[pa.Table]:
    made = []
    for texts in SOURCES:
        at = [n + places for n in range(len(texts))] if places else [None] * len(texts)
        asks = [ASKS[n % len(ASKS)] for n in range(len(texts))]
        arrays = [
            pa.array(asks, pa.string()),
            pa.array(texts, pa.string()),
            pa.array(at, pa.int64()),
        ]
        made.append(pa.table(dict(zip(COLUMNS, arrays, strict=True))))
    return made


def test_a_sample_without_a_source_is_a_source_of_its_own():
    assert numbers_of(parts(), 7).clusters.tolist() == [0, 3, 1, 1, 4, 2, 0]
    assert numbers_of([], 0).clusters.tolist() == []


def test_sources_are_numbered_as_their_texts_appear():
    rng = np.random.default_rng(3)
    texts = [f"patient-{n}" for n in rng.integers(0, 400, 5_000)]
    table = pa.table(
        {
            "asks": pa.array(["image"] * len(texts)),
            "source": pa.array(texts),
            "place": pa.array(range(len(texts))),
        }
    )
    pieces = [table.slice(start, 700) for start in range(0, len(texts), 700)]
    found = numbers_of(pieces, 5_000).clusters
    assert found.tolist() == code_many([table["source"]]).codes.tolist()


def test_a_place_that_nobody_knows_is_told_from_the_first():
    assert numbers_of(parts(), 7).places.tolist() == [-1] * 7
    assert numbers_of(parts(places=5), 7).places.tolist() == [5, 6, 7, 5, 6, 7, 8]
    assert numbers_of(parts(), 7).asks.tolist() == [0, 1, 2, 0, 1, 2, 3]
