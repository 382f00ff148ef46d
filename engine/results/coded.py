"""Texts of a column as integer codes: what groups and statuses cost in memory."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, cast

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from medgen.engine.data import LARGEST_VALUE
from medgen.engine.results.statistics import Floats, Ints


class Words:
    """Texts as integer codes, in order of appearance."""

    def __init__(self, words: Sequence[str] = ()) -> None:
        """Begin with known words, so that their codes are known too."""
        self._codes = {word: code for code, word in enumerate(words)}

    @property
    def all(self) -> list[str]:
        """Every word; the code is the place."""
        return list(self._codes)

    def code(self, word: str) -> int:
        """The code of a word, new or not."""
        return self._codes.setdefault(word, len(self._codes))

    def encode(self, column: pa.ChunkedArray) -> Ints:
        """The codes of a text column; null is the empty text."""
        encoded = pc.fill_null(column, "").combine_chunks().dictionary_encode()
        lookup = np.asarray([self.code(w) for w in encoded.dictionary.to_pylist()], dtype=np.int64)
        codes: Ints = lookup[encoded.indices.to_numpy(zero_copy_only=False)]
        return codes

    def codes_of(self, coded: "Coded") -> Ints:
        """The codes that these words give to a column that was coded with others."""
        lookup = np.asarray([self.code(word) for word in coded.words], dtype=np.int64)
        codes: Ints = lookup[coded.codes]
        return codes


@dataclass(frozen=True, slots=True)
class Coded:
    """Texts as codes: `words[codes[i]]` is the i-th."""

    words: Sequence[str]
    codes: NDArray[np.integer]

    def part(self, rows: slice) -> "Coded":
        """Some entries, over the same words."""
        return Coded(self.words, self.codes[rows])

    def where(self, word: str) -> NDArray[np.bool_]:
        """Which entries are that word."""
        code = self.words.index(word) if word in self.words else -1
        mask: NDArray[np.bool_] = self.codes == code
        return mask

    def counts(self, mask: NDArray[np.bool_] | None = None) -> dict[str, int]:
        """How many entries (under the mask) are each word."""
        codes = self.codes if mask is None else self.codes[mask]
        # Word by word: a joint count would widen every code to eight bytes.
        return {word: int(np.count_nonzero(codes == i)) for i, word in enumerate(self.words)}

    def texts(self) -> pa.Array:
        """The texts themselves; an empty one is null."""
        words = pa.array([word or None for word in self.words], pa.string())
        codes = pa.array(self.codes.astype(np.int32))
        return pa.DictionaryArray.from_arrays(codes, words).cast(pa.string())


def put(codes: Ints, place: slice, new: Ints) -> Ints:
    """Codes with some of them set; as wide as the largest needs, for of most columns all are small.

    >>> put(np.zeros(2, np.uint8), slice(1, 2), np.array([300]))
    array([  0, 300], dtype=uint16)
    """
    wide = np.promote_types(codes.dtype, np.min_scalar_type(int(new.max(initial=0))))
    if wide != codes.dtype:
        codes = codes.astype(wide)
    codes[place] = new
    return codes


class ManyWords(Sequence[str]):
    """Words of which there may be one for each sample: each becomes a text when it is asked for."""

    def __init__(self, words: pa.Array) -> None:
        """`words` are texts, no two of them equal."""
        self._words = words

    def __len__(self) -> int:
        return len(self._words)

    def __getitem__(self, at: Any) -> Any:
        return self._words[at].as_py()

    def __contains__(self, word: object) -> bool:
        return self._place(word) >= 0

    def index(self, value: Any, start: int = 0, stop: int | None = None) -> int:
        """Where a word stands.

        Raises:
            ValueError: it is none of them.
        """
        if (at := self._place(value)) < 0:
            raise ValueError(f"{value!r} is none of these words")
        return at

    def _place(self, word: object) -> int:
        return int(pc.index(self._words, pa.scalar(word, pa.string())).as_py())


def code_many(columns: Sequence[pa.ChunkedArray]) -> Coded:
    """Columns of texts, one after another, as codes; null is the empty text."""
    chunks = [chunk for column in columns for chunk in column.chunks]
    texts = pa.chunked_array(chunks, pa.string())
    if texts.null_count:
        texts = pc.fill_null(texts, "")
    encoded = texts.dictionary_encode().chunks  # over one dictionary
    codes = [np.zeros(0, np.int32), *(chunk.indices.to_numpy() for chunk in encoded)]
    words = encoded[-1].dictionary if encoded else pa.array([], pa.string())
    return Coded(ManyWords(words), np.concatenate(codes))


def stored_values(column: pa.ChunkedArray) -> Floats:
    """The values of a column: NaN where there is none, infinite where it is no usable number."""
    values: Floats = column.to_numpy().astype(np.float64)
    given = ~cast(Any, column).is_null().to_numpy().astype(np.bool_)
    return np.where(given & ~(np.abs(values) <= LARGEST_VALUE), np.inf, values)
