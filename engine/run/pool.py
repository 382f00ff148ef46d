"""What a run needs of a pool of workers: groups, units of work, receipts and outcomes."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
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


_NOTHING: Mapping[int, str] = {}


def _nothing() -> Mapping[int, str]:
    """One for all units, of which a run has hundreds of thousands."""
    return _NOTHING


@dataclass(frozen=True, slots=True)
class Unit:
    """What a worker is handed: a shard of one or more stages, or a part of it.

    `positions` is None for the whole shard, else the half-open range of samples to work on as a
    part. `quarantined` and `late` map sample positions to reasons; they become rows without being
    tried; of a unit that merges nothing, they are all of it.
    """

    group: str  # the worker group that does it
    shard: int
    targets: tuple[Target, ...]
    positions: tuple[int, int] | None = None
    quarantined: Mapping[int, str] = field(default_factory=_nothing)
    merge: bool = False  # put the parts together and commit the shard
    parts: tuple[tuple[int, int], ...] = ()  # when merging, the positions that are committed
    late: Mapping[int, str] = field(default_factory=_nothing)  # position -> why it is a `timeout`
    inputs: Mapping[str, Input] = field(default_factory=dict)  # by "<key>/<name of the shard>"
    of: tuple[Target, ...] = ()  # of a part with fewer targets than it was cut with: all of them
    wary: bool = False  # another, or a worker that was lost, may have made it: to be looked for


def narrow(unit: Unit, targets: tuple[Target, ...]) -> Unit:
    """The unit for some of its targets; a part stays one of what it was cut from."""
    if unit.positions is None and not unit.merge:
        return replace(unit, targets=targets)
    return replace(unit, targets=targets, of=unit.of or unit.targets)


def join(units: Sequence[Unit]) -> Unit:
    """Units of one group and shard as one, for the targets of all."""
    inputs = {place: one for unit in units for place, one in unit.inputs.items()}
    targets = tuple(target for unit in units for target in unit.targets)
    wary = any(unit.wary for unit in units)
    return replace(units[0], targets=targets, inputs=inputs, wary=wary)


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
    md5: str = ""  # of the object that was written for it alone
    stood: bool = False  # another had written it, of whatever inputs
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
    limited: bool = False  # its workers share limits of pace or money


@dataclass(frozen=True, slots=True)
class Machine:
    """A machine that workers run on."""

    name: str
    offers: Mapping[str, float]  # `CPU`, `GPU`, `memory` (bytes) and custom resources, in all
    leaving: bool = False  # it has said that it goes: nothing new is put there
    most: int | None = None  # workers of one group, where a process can hold no more


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of a worker or of a unit.

    started: the worker is made. unstarted: it could not be. finished: `receipts` say what was
    committed. failed: the worker raised (our error, the worker lives). crashed: the worker's
    process died. lost: its machine died. After a start that failed, a crash and a loss the worker
    is gone, and each unit that it held is told of. `unit` is None for what speaks of the worker.
    """

    kind: Literal["started", "unstarted", "finished", "failed", "crashed", "lost"]
    group: str
    unit: Unit | None = None
    receipts: tuple[Receipt, ...] = ()
    trouble: Trouble = field(default_factory=Trouble)  # what went wrong, unless it finished
    alone: bool = True  # the worker held nothing else, so a crash is the unit's own
    worker: str = ""
    machine: str = ""  # where a worker that has started is
    beside: int = 1  # units that its worker was handed with it, itself counted


class Pool(Protocol):
    """Where workers run. The driver decides who does what; a pool does as it is told.

    The same tests hold for the pool of this process, for Ray, and for one in virtual time.
    """

    handful: int  # short units that a worker may hold for each that it does; 1: it saves nothing

    def machines(self) -> Sequence[Machine]:
        """The machines that are there now."""
        ...

    def open(self, group: Group, machine: str) -> str:
        """Ask for one worker, on that machine if it can be; returns the worker's name."""
        ...

    def submit(self, unit: Unit, worker: str) -> None:
        """Hand a unit to a worker that has started. It may hold several.

        Those beyond its resources' `in_flight` wait until it has done others.
        """
        ...

    def waits(self, unit: Unit | None, worker: str) -> bool:
        """Whether a worker's unit, or its start (None), waits for others to be done first."""
        ...

    def wait(self, seconds: float) -> Sequence[Outcome]:
        """Outcomes since the last call; empty when nothing happened in `seconds`."""
        ...

    def end(self, worker: str) -> None:
        """End a worker and free what it held. Nothing more is told of it or of its units."""
        ...

    def grows(self) -> bool:
        """Whether machines may be added when they are asked for."""
        ...

    def request(self, demands: Sequence[Mapping[str, float]]) -> None:
        """Ask for machines on which workers with these demands fit, all at once."""
        ...

    def shutdown(self) -> None:
        """End every worker."""
        ...
