"""The samples of a run as pages know them: words as codes, no text before it is used."""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from medgen.engine.results.coded import code_many
from medgen.launch.view.parts import Parts

GROUP = "group: "  # before the name of a kind that the user's own groups make
_MOST_GROUPS = 8
_KINDS = ("format", "task", "modality", "source")


@dataclass(eq=False)
class SampleTable:
    """The samples of a run, by position; `codes` index `words`."""

    names: pa.Array  # their ids
    codes: Mapping[str, NDArray[np.integer]]  # format, task, modality, source
    words: Mapping[str, Sequence[str]]

    def __len__(self) -> int:
        return len(self.names)

    @cached_property
    def ids(self) -> list[str]:
        """The id of every sample."""
        return [str(name) for name in self.names.to_pylist()]

    @cached_property
    def digests(self) -> list[str]:
        """The name of every sample in links and file names."""
        return [sample_digest(name) for name in self.ids]

    @property
    def group_kinds(self) -> tuple[str, ...]:
        """The kinds that the user's own groups make."""
        return tuple(kind for kind in self.words if kind.startswith(GROUP))

    def column(self, kind: str) -> list[str]:
        """The words of every sample."""
        return [self.words[kind][c] for c in self.codes[kind]]


def sample_digest(sample: str) -> str:
    """The name of a sample in links and file names: an id from outside is never one."""
    return hashlib.sha256(sample.encode("utf-8", "surrogatepass")).hexdigest()[:12]


def read_samples(parts: Parts, paths: Sequence[str], count: int) -> SampleTable | None:
    """The first so many samples of a benchmark's table of samples; None: it has no row."""
    place = parts.table(paths, ["position"])["position"].to_numpy()
    if not len(place):
        return None
    first = np.argsort(place, kind="stable")[:count]
    # As an import wrote them, of which no copy need be made.
    as_written = bool((np.diff(first) == 1).all())
    codes: dict[str, NDArray[np.integer]] = {}
    words: dict[str, Sequence[str]] = {}
    for kind in _KINDS:  # one after another: all of millions take too much memory
        coded = code_many([parts.table(paths, [kind])[kind]])
        codes[kind] = coded.codes[:count] if as_written else coded.codes[first]
        words[kind] = coded.words if kind == "source" else tuple(coded.words)
    for kind, named in _groups(parts, paths, len(first)).items():
        words[kind] = tuple(sorted(set(named)))
        at = {word: code for code, word in enumerate(words[kind])}
        codes[kind] = np.array([at[word] for word in named], np.int64)
    names = parts.table(paths, ["sample"])["sample"]
    names = names.slice(0, count) if as_written else names.take(first)
    return SampleTable(names.combine_chunks(), codes, words)


def _groups(parts: Parts, paths: Sequence[str], size: int) -> dict[str, list[str]]:
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
