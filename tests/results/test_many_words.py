"""Words of which there may be as many as samples: coded alike, and none made before it is asked."""

import numpy as np
import pyarrow as pa
import pytest

from medgen.engine.results.coded import Coded, Words, code_many

TEXTS: list[list[str | None]] = [["p2", None, "p1"], [], ["p1", "", "p3", "p2"]]


def columns() -> list[pa.ChunkedArray]:
    return [pa.chunked_array([pa.array(part, pa.string())]) for part in TEXTS]


def test_codes_are_those_of_words_in_order_of_appearance() -> None:
    words = Words()
    codes = np.concatenate([words.encode(column) for column in columns()])
    coded = code_many(columns())
    assert list(coded.words) == words.all
    assert coded.codes.tolist() == codes.tolist()
    assert coded.texts().to_pylist() == Coded(tuple(words.all), codes).texts().to_pylist()


def test_a_word_is_found_by_its_text() -> None:
    words = code_many(columns()).words
    assert len(words) == 4
    assert words[words.index("p3")] == "p3"
    assert "" in words
    assert "p4" not in words
    with pytest.raises(ValueError, match="'p4' is none"):
        words.index("p4")
    assert len(code_many([]).words) == 0
