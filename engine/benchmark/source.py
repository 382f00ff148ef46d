"""What a benchmark is made from: outside data in one layout, and what is wrong with it."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

from medgen.engine.benchmark.manifest import Benchmark
from medgen.engine.data import Sample


@runtime_checkable
class UsesBenchmark(Protocol):
    """A generator that looks at more of the benchmark than the requests it is handed.

    The worker that holds it calls `use` once, before the first `predict`. Its rows are keyed by the
    whole benchmark; its component says so (`Component.reads_benchmark`), but for a class that no
    table describes, which is looked at when the run is planned.
    """

    def use(self, benchmark: Benchmark) -> None:
        """Read what is needed; must not depend on the shard that the worker does first."""
        ...


@dataclass(frozen=True, slots=True)
class Problem:
    """Something wrong in outside data: where it is and what to do about it."""

    file: str
    row: int | None  # 1-based line or row; None when the whole file is meant
    sample_id: str | None
    what: str

    def __str__(self) -> str:
        place = self.file if self.row is None else f"{self.file}:{self.row}"
        return f"{place}: {f'sample {self.sample_id}: ' if self.sample_id else ''}{self.what}"


@runtime_checkable
class TellsPlace(Protocol):
    """A source that says where the sample that it gave last stands: file, and row from 1."""

    @property
    def place(self) -> tuple[str, int | None]:
        """Of the last sample."""
        ...


class Source(Protocol):
    """Outside data in one layout, read in order, images included, in bounded memory."""

    def __iter__(self) -> Iterator[Sample | Problem]:
        """Every record as a sample or as a problem, never an exception for bad content."""
        ...

    def expected_counts(self) -> Mapping[tuple[str, str], int]:
        """Counts by (format, task) that the source's own manifest promises; empty without one."""
        ...

    def describe(self) -> Mapping[str, Any]:
        """Layout, URL without credentials, revision: kept in the manifest (JSON).

        An entry `notes`, a list of sentences, joins the manifest's notes.
        """
        ...
