"""The seams: what the run needs from models, metrics, judges, benchmarks and pools.

Every port is small, synchronous and batched. A component is built from a `Spec` inside its
worker; it raises `AdapterError` (or lets its process die) when it cannot be used at all, and
gives a row with a status for anything that is wrong with one sample.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol, runtime_checkable

from medgen.engine.benchmark import Benchmark
from medgen.engine.nouns import Format, Prediction, Request, Sample, Score, Verdict
from medgen.engine.spec import Resources


class Generator(Protocol):
    """A model in this process: text, an image prompt, images, or all of them.

    Law: one prediction a request, same ids, same order, whatever the batch size. `predict` may
    be called from several threads when the worker is given several shards in flight.
    """

    def predict(self, requests: Sequence[Request]) -> Sequence[Prediction]:
        """Answer every request; a request that fails gives a prediction with a status."""
        ...

    def passport(self) -> Mapping[str, Any]:
        """What really ran: model, revision, library versions, environment lock (JSON)."""
        ...


@runtime_checkable
class UsesBenchmark(Protocol):
    """A generator that looks at more of the benchmark than the requests it is handed.

    The worker that holds it calls `use` once, before the first `predict`. The benchmark is part
    of every stage's key already, so such a generator needs no argument that names it.
    """

    def use(self, benchmark: Benchmark) -> None:
        """Read what is needed; must not depend on the shard that the worker does first."""
        ...


class Scorer(Protocol):
    """Scores one shard for every system of a sweep, so reference-side work is done once.

    Law: one score a sample for every (system, metric) asked for, same order as `samples`; a
    failure is a row of its own and changes no other row.
    """

    def score(
        self,
        samples: Sequence[Sample],
        predictions: Mapping[str, Sequence[Prediction]],
        wanted: Mapping[str, Sequence[str]],
    ) -> Mapping[tuple[str, str], Sequence[Score]]:
        """Scores by (system, metric). `wanted` gives the metric names for each system."""
        ...

    def outputs(self, metric: str) -> tuple[str, ...]:
        """The names of the values that a metric gives, in the order of its columns."""
        ...

    def passport(self, metric: str) -> Mapping[str, Any]:
        """Implementation, versions, weights' sha256, resize, range and colour policy (JSON)."""
        ...


class Judge(Protocol):
    """A VLM judge under one protocol.

    Law: for every sample the same number of verdicts (views x repeats x judges), in the order
    of `samples`, the views of one prediction adjacent.
    """

    def judge(
        self, samples: Sequence[Sample], predictions: Sequence[Prediction]
    ) -> Sequence[Verdict]:
        """Judge every prediction; a prediction that is not ok gives `skipped` verdicts."""
        ...

    def passport(self) -> Mapping[str, Any]:
        """Model, revision, protocol, prompt hash, sampling, library versions (JSON)."""
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


class Source(Protocol):
    """Outside data in one layout, read in order, images included, in bounded memory."""

    def __iter__(self) -> Iterator[Sample | Problem]:
        """Every record as a sample or as a problem, never an exception for bad content."""
        ...

    def expected(self) -> Mapping[tuple[Format, str], int]:
        """Counts by (format, task) that the source's own manifest promises; empty without one."""
        ...

    def describe(self) -> Mapping[str, Any]:
        """Layout, URL without credentials, revision: kept in the manifest (JSON).

        An entry `notes`, a list of sentences, joins the manifest's notes.
        """
        ...


@dataclass(frozen=True, slots=True)
class Target:
    """One shard object to write: the stage's key, and the revision it will be.

    `retry` takes the rows of the revision before that are ok from there, and repeats the rest.
    """

    key: str
    revision: int = 0
    retry: bool = False


@dataclass(frozen=True, slots=True)
class Unit:
    """What a worker is handed: a shard of one or more stages, or a part of it after a crash.

    `positions` is None for the whole shard, else the half-open range of samples to work on as a
    part. `quarantined` maps sample positions to reasons; they become rows without being tried.
    """

    group: str  # the worker group that does it
    shard: int
    targets: tuple[Target, ...]
    positions: tuple[int, int] | None = None
    quarantined: Mapping[int, str] = field(default_factory=dict)
    merge: bool = False  # put the parts together and commit the shard
    parts: tuple[tuple[int, int], ...] = ()  # when merging, the positions that are committed
    inputs: Mapping[str, int] = field(default_factory=dict)  # "key/shard" -> revision, if not 0


@dataclass(frozen=True, slots=True)
class Receipt:
    """All that comes back from a worker: one committed shard (or part), in numbers."""

    stage: str
    key: str
    shard: int
    rows: Mapping[str, int] = field(default_factory=dict)  # status -> rows
    size: int = 0  # bytes written
    seconds: float = 0.0
    prompt_tokens: int = 0
    completion_tokens: int = 0
    cached_tokens: int = 0
    cost_usd: float = 0.0
    part: tuple[int, int] | None = None


class Worker(Protocol):
    """A callable made once in its process, then fed one unit at a time."""

    def __call__(self, unit: Unit) -> Sequence[Receipt]:
        """Do the unit, commit it, and say so."""
        ...


@dataclass(frozen=True, slots=True)
class Group:
    """Workers of one kind: how to make one, and what each asks of the cluster."""

    name: str
    make: Callable[[], Worker]
    resources: Resources


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of a unit.

    finished: `receipts` say what was committed. failed: the worker raised (our error, the
    worker lives). crashed: the worker's process died. lost: its machine died. unstarted: the
    worker could not be made; `unit` is None.
    """

    kind: Literal["finished", "failed", "crashed", "lost", "unstarted"]
    group: str
    unit: Unit | None = None
    receipts: tuple[Receipt, ...] = ()
    error: str = ""
    error_type: str = ""  # class name of what was raised
    alone: bool = True  # the worker held nothing else, so a crash is the unit's own


class Pool(Protocol):
    """Every worker of a run, by group. The same tests hold for the local pool and for Ray."""

    def nodes(self) -> Sequence[Mapping[str, float]]:
        """What each machine offers: `CPU`, `GPU`, `memory` (bytes) and custom resources."""
        ...

    def open(self, group: Group, workers: int) -> None:
        """Ask for workers of a group, or for more of them."""
        ...

    def room(self, group: str) -> int:
        """How many more units the group's workers can take now."""
        ...

    def submit(self, unit: Unit, alone: bool = False) -> bool:
        """Hand over a unit; False when no worker can take it now.

        `alone` asks for a worker that holds nothing else, and keeps it so: a crash is then the
        unit's own.
        """
        ...

    def wait(self, seconds: float) -> Sequence[Outcome]:
        """Outcomes since the last call; empty when nothing happened in `seconds`."""
        ...

    def close(self, group: str) -> None:
        """End the group's workers and free what they held."""
        ...

    def shutdown(self) -> None:
        """End every worker."""
        ...
