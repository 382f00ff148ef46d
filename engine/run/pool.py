"""What a run needs of a pool of workers: groups, units of work, receipts and outcomes."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal, Protocol

from medgen.engine.plan.identity import Resources
from medgen.engine.plan.plan import Node
from medgen.engine.trouble import Trouble


@dataclass(frozen=True, slots=True)
class Target:
    """One shard object to write: the stage's key, and the revision it will be.

    `redo` names the statuses of which rows are repeated; all others are taken from the revision
    before. Without any, the whole shard is made anew. `edition` is where the driver looked, so a
    worker that would write elsewhere says so instead of doing the unit; empty: there is none yet.
    """

    key: str
    revision: int = 0
    redo: tuple[str, ...] = ()
    edition: str = ""


@dataclass(frozen=True, slots=True)
class Input:
    """One shard that a unit reads: the very object that the driver knows."""

    edition: str
    revision: int = 0
    sha256: str = ""


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
    inputs: Mapping[str, Input] = field(default_factory=dict)  # by "<key>/<name of the shard>"


def inputs_of(node: Node, unit: Unit) -> dict[str, Input]:
    """What of a unit's inputs one of its nodes reads."""
    return {
        place: one for place, one in unit.inputs.items() if place.split("/")[0] in node.upstream
    }


def editions_read(node: Node, unit: Unit) -> dict[str, str]:
    """The edition of each key that a node reads."""
    return {place.split("/")[0]: one.edition for place, one in inputs_of(node, unit).items()}


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
    sha256: str = ""  # of the shard as it stands in the store now
    edition: str = ""  # where it stands
    identity: str = ""  # name of what made it
    another: tuple[str, ...] = ()  # nothing was done: the edition is not the driver's, and why


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
    trouble: Trouble = field(default_factory=Trouble)  # what went wrong, unless it finished
    alone: bool = True  # the worker held nothing else, so a crash is the unit's own
    worker: str = ""  # which of the group's workers it was, where there are several


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

    def submit(self, unit: Unit, alone: bool = False, avoid: frozenset[str] = frozenset()) -> bool:
        """Hand over a unit; False when no worker can take it now.

        `avoid` names workers that get it only when the group has no others.

        `alone` asks for a worker that holds nothing else, and keeps it so: a crash is then the
        unit's own.
        """
        ...

    def wait(self, seconds: float) -> Sequence[Outcome]:
        """Outcomes since the last call; empty when nothing happened in `seconds`."""
        ...

    def sound(self, group: str) -> int:
        """How many workers of a group work, or start for the first time."""
        ...

    def retire(self, group: str, worker: str) -> Sequence[Outcome]:
        """End one worker and start none in its place; what it held is lost, and told of."""
        ...

    def abandon(self, unit: Unit) -> Sequence[Outcome]:
        """End the worker that holds a unit which does not return, and start another.

        The unit's own outcome is a crash that it was alone in. Empty where no worker can be ended.
        """
        ...

    def close(self, group: str) -> None:
        """End the group's workers and free what they held."""
        ...

    def shutdown(self) -> None:
        """End every worker."""
        ...
