"""The samples of a run as pages know them: words as codes, no text before it is used."""

import hashlib
from collections.abc import Iterator, Sequence
from functools import cached_property

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from medgen.engine.benchmark.numbers import clusters_of, source_numbers
from medgen.engine.results.coded import Coded, code_many
from medgen.engine.results.statistics import Ints
from medgen.launch.view.parts import Parts

GROUP = "group: "  # before the name of a kind that the user's own groups make
_MOST_GROUPS = 8
KINDS = ("format", "task", "modality", "source")


class SampleTable:
    """The samples of a run, by position. A column is read when it is first asked for."""

    def __init__(self, parts: Parts, paths: Sequence[str], count: int) -> None:
        """The first so many samples of a benchmark's table of samples; of none where it has no row.

        Their positions are read at once.
        """
        self._parts, self._paths = parts, paths
        self._facets: dict[str, Coded] = {}
        place = parts.table(paths, ["position"])["position"].to_numpy()
        self._count = min(count, len(place))
        # Where each stands in the table; None: in their order, as an import writes them.
        self._order: Ints | None = None
        if (np.diff(place) != 1).any():
            self._order = np.argsort(place, kind="stable")[:count]

    def __len__(self) -> int:
        """How many they are."""
        return self._count

    def _read(self, name: str) -> pa.ChunkedArray:
        column = self._parts.table(self._paths, [name])[name]
        return column.slice(0, self._count) if self._order is None else column.take(self._order)

    @cached_property
    def ids(self) -> list[str]:
        """The id of every sample."""
        return [str(name) for name in self._read("sample").to_pylist()]

    @cached_property
    def digests(self) -> list[str]:
        """The name of every sample in links and file names."""
        return [sample_digest(name) for name in self.ids]

    @property
    def group_kinds(self) -> tuple[str, ...]:
        """The kinds that the user's own groups make."""
        return tuple(self._groups)

    @property
    def kinds(self) -> tuple[str, ...]:
        """All kinds that samples are told apart by."""
        return (*KINDS, *self._groups)

    def facet(self, kind: str) -> Coded:
        """What each sample is, of a kind."""
        if kind in self._groups:
            return self._groups[kind]
        if kind not in self._facets:
            found = code_many([self._read(kind)])
            few = found if kind == "source" else Coded(tuple(found.words), found.codes)
            self._facets[kind] = few
        return self._facets[kind]

    def column(self, kind: str) -> list[str]:
        """The same in words."""
        words, codes = self.facet(kind).words, self.facet(kind).codes
        return [words[code] for code in codes]

    @cached_property
    def clusters(self) -> NDArray[np.int32]:
        """The source of every sample, as a number; one without is a source of its own."""
        numbers = [np.zeros(0, np.int64), *map(source_numbers, self._sources())]
        found = np.concatenate(numbers)
        return clusters_of(found[: self._count] if self._order is None else found[self._order])

    def _sources(self) -> Iterator[pa.ChunkedArray]:
        for table in self._parts.batches(self._paths, ["source"]):  # texts of some at a time
            yield table["source"]

    @cached_property
    def _groups(self) -> dict[str, Coded]:
        """The user's own groups (hospital, scanner …): a kind each."""
        named = _words_of_groups(self._parts, self._paths, self._count)
        found: dict[str, Coded] = {}
        for kind, words in named.items():
            known = tuple(sorted(set(words)))
            at = {word: code for code, word in enumerate(known)}
            found[kind] = Coded(known, np.array([at[word] for word in words], np.int64))
        return found


def sample_digest(sample: str) -> str:
    """The name of a sample in links and file names: an id from outside is never one."""
    return hashlib.sha256(sample.encode("utf-8", "surrogatepass")).hexdigest()[:12]


def _words_of_groups(parts: Parts, paths: Sequence[str], size: int) -> dict[str, list[str]]:
    """The user's own groups (hospital, scanner …): a kind each, a word for every sample."""
    if not parts.has_column(paths, "groups"):
        return {}
    found: dict[str, list[str]] = {}
    table = parts.table(paths, ["position", "groups"])
    own = pc.list_value_length(table["groups"].combine_chunks()).to_numpy(False) > 0
    own &= table["position"].to_numpy() < size
    for row in table.filter(pa.array(own)).to_pylist():
        for group in row["groups"]:
            words = found.setdefault(f"{GROUP}{group['name']}", [""] * size)
            words[row["position"]] = str(group["value"])
    return dict(list(found.items())[:_MOST_GROUPS])
