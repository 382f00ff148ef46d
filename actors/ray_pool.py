"""Workers as Ray actors. The only code that knows Ray's actor calls.

An actor tells of errors as text, for an exception may not survive pickling, and Ray would write
its words to the workers' logs whatever they quote.
"""

import os
import re
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal, Protocol, cast

import ray
from ray import exceptions

from medgen.engine.errors import EngineDied, PlanError
from medgen.engine.plan.identity import Resources
from medgen.engine.run.fit import demand
from medgen.engine.run.pool import Group, Outcome, Receipt, Unit, Worker
from medgen.engine.trouble import Trouble, secondhand_trouble, show_warnings, trouble

_BACK_OFF_S = 2.0  # between a death and the next start in the same group, doubled each time
_MAX_BACK_OFF_S = 60.0
_MAX_STARTS = 3  # of one worker in a row; the others of its group go on without it


@dataclass(frozen=True, slots=True)
class Dead:
    """The model's engine died, and its process must end: nothing was committed for the unit."""

    trouble: Trouble


Ref = ray.ObjectRef[Any]  # to what an actor says, when it is asked for


class Remote(Protocol):
    """A method of an actor, or its class, as Ray lets it be called from here."""

    def remote(self, *args: object) -> Ref:
        """Call it there."""


class Handle(Protocol):
    """An actor that runs `Host`, from here."""

    node: Remote
    work: Remote


class Host:
    """The actor: makes its worker once, then does units. The pool ends it with its engine."""

    def __init__(self, make: Callable[[], Worker]) -> None:
        """Build the worker in this process."""
        show_warnings()
        self._worker: Worker | None = None
        self._trouble = Trouble()
        try:
            self._worker = make()
        except Exception as err:  # noqa: BLE001 - becomes an outcome; the driver bounds them
            self._trouble = trouble(err)

    def node(self) -> str | Trouble:
        """Where the actor runs, or why it has no worker; answers only when that is known."""
        if self._worker is None:
            return self._trouble
        return str(ray.get_runtime_context().get_node_id())

    def pid(self) -> int:
        """The process that holds the worker."""
        return os.getpid()

    def work(self, unit: Unit) -> tuple[Receipt, ...] | Trouble | Dead:
        """Do a unit. Threads of one actor may do several."""
        assert self._worker is not None, "no unit is handed to an actor without a worker"
        try:
            return tuple(self._worker(unit))
        except EngineDied as err:
            return Dead(trouble(err))
        except Exception as err:  # noqa: BLE001 - becomes an outcome; the driver bounds them
            return trouble(err)


@dataclass(slots=True)
class _Actor:
    """One actor and what it holds."""

    group: str
    handle: Handle
    node: str = ""  # empty until it is ready
    units: dict[Ref, Unit] = field(default_factory=dict)
    alone: bool = False
    starts: int = 0  # that failed before this one, in its place

    @property
    def name(self) -> str:
        """Names it among the workers of its group."""
        return str(cast(ray.actor.ActorHandle[Any], self.handle)._actor_id.hex())


class RayPool:
    """The pool of a Ray cluster. Actors are never restarted by Ray; this replaces them."""

    def __init__(self, growing: bool = True) -> None:
        """Needs a connected Ray; `growing` where machines that are lost may be replaced."""
        self._growing = growing
        self._groups: dict[str, Group] = {}
        self._actors: dict[Ref, _Actor] = {}  # by the reference that tells of readiness
        self._due: list[tuple[float, str, int]] = []  # starts to come: when, group, failed before
        self._deaths: dict[str, int] = {}  # in a row, by group

    def nodes(self) -> Sequence[Mapping[str, float]]:
        """See `Pool.nodes`: the machines that are alive now."""
        return [dict(node["Resources"]) for node in ray.nodes() if node["Alive"]]

    def open(self, group: Group, workers: int) -> None:
        """See `Pool.open`."""
        self._groups[group.name] = group
        for _ in range(workers):
            self._start(group.name)

    def _start(self, name: str, starts: int = 0) -> None:
        group = self._groups[name]
        host: Any = ray.remote(**_options(group.resources))(Host)
        handle: Handle = host.remote(group.make)
        self._actors[handle.node.remote()] = _Actor(name, handle, starts=starts)

    def room(self, group: str) -> int:
        """See `Pool.room`. A worker that is still starting takes nothing."""
        limit = self._groups[group].resources.in_flight if group in self._groups else 0
        return sum(
            max(0, limit - len(a.units))
            for a in self._actors.values()
            if a.group == group and a.node and not a.alone
        )

    def submit(self, unit: Unit, alone: bool = False, avoid: frozenset[str] = frozenset()) -> bool:
        """See `Pool.submit`. The emptiest worker gets it."""
        ready = [a for a in self._actors.values() if a.group == unit.group and a.node]
        ready = [a for a in ready if a.name not in avoid] or ready
        ready = [a for a in ready if not a.alone]
        if not ready:
            return False
        actor = min(ready, key=lambda a: len(a.units))
        limit = 1 if alone else max(1, self._groups[unit.group].resources.in_flight)
        if len(actor.units) >= limit:
            return False
        actor.alone = alone
        actor.units[actor.handle.work.remote(unit)] = unit
        return True

    def wait(self, seconds: float) -> Sequence[Outcome]:
        """See `Pool.wait`.

        Raises:
            PlanError: Ray's only machine is lost.
        """
        self._start_due()
        waiting = [ref for ref, a in self._actors.items() if not a.node]
        waiting += [ref for a in self._actors.values() for ref in a.units]
        if not waiting:
            time.sleep(min(seconds, 0.05 if not self._due else 0.5))
            return []
        ready, _ = ray.wait(waiting, num_returns=1, timeout=seconds)
        if ready:  # take what else is there already, without waiting for it
            ready, _ = ray.wait(waiting, num_returns=len(waiting), timeout=0)
        elif not self._growing and not self.nodes():
            raise PlanError(
                "Ray has died on this machine, perhaps for want of memory; what was committed "
                "stays, so run again"
            )
        outcomes: list[Outcome] = []
        for ref in ready:
            outcomes += self._settle(ref)
        return outcomes

    def _settle(self, ref: Ref) -> Sequence[Outcome]:
        if ref in self._actors:
            return self._note_start(ref)
        actor_ref = next((r for r, a in self._actors.items() if ref in a.units), None)
        if actor_ref is None:
            return []  # its actor died earlier in this batch and told of all its units
        actor = self._actors[actor_ref]
        try:
            told: tuple[Receipt, ...] | Trouble | Dead = ray.get(ref)
        except exceptions.RayTaskError as err:  # before or after our code: a unit not unpickled
            told = trouble(err.cause if isinstance(err.cause, Exception) else err)
        except exceptions.RayError as err:
            gone = _machine_lost(err, actor.node)
            return self._bury(actor_ref, "lost" if gone else "crashed", _trouble_of(err))
        if isinstance(told, Dead):
            return self._bury(actor_ref, "crashed", told.trouble)
        unit = self._finish(actor, ref)
        if isinstance(told, Trouble):
            return [Outcome("failed", actor.group, unit, (), told, worker=actor.name)]
        self._deaths.pop(actor.group, None)
        return [Outcome("finished", actor.group, unit, told, worker=actor.name)]

    def _finish(self, actor: _Actor, ref: Ref) -> Unit:
        actor.alone = False
        return actor.units.pop(ref)

    def _note_start(self, ref: Ref) -> Sequence[Outcome]:
        actor = self._actors[ref]
        lost = False
        try:
            told: str | Trouble = ray.get(ref)
        except exceptions.RayError as err:
            told, lost = _trouble_of(err), _machine_lost(err, actor.node)
        if isinstance(told, str):
            actor.node = told
            return []
        del self._actors[ref]
        _end(actor.handle)
        starts = actor.starts + (not lost)
        if starts < _MAX_STARTS or not self.sound(actor.group):
            self._replace(actor.group, starts)
        return [] if lost else [Outcome("unstarted", actor.group, trouble=told)]

    def _bury(self, ref: Ref, kind: Literal["lost", "crashed"], why: Trouble) -> Sequence[Outcome]:
        actor = self._actors.pop(ref)
        _end(actor.handle)
        self._replace(actor.group, starts=1)
        return self._outcomes_of(actor, kind, why)

    def _outcomes_of(
        self, actor: _Actor, kind: Literal["lost", "crashed"], why: Trouble
    ) -> Sequence[Outcome]:
        alone = len(actor.units) == 1
        return [
            Outcome(kind, actor.group, unit, (), why, alone, actor.name)
            for unit in actor.units.values()
        ]

    def sound(self, group: str) -> int:
        """See `Pool.sound`."""
        own = [a for a in self._actors.values() if a.group == group]
        return sum(bool(a.node) or not a.starts for a in own)

    def retire(self, group: str, worker: str) -> Sequence[Outcome]:
        """See `Pool.retire`."""
        found = [r for r, a in self._actors.items() if a.group == group and a.name == worker]
        outcomes: list[Outcome] = []
        for ref in found:
            actor = self._actors.pop(ref)
            _end(actor.handle)
            outcomes += self._outcomes_of(actor, "lost", Trouble("its worker was retired"))
        return outcomes

    def abandon(self, unit: Unit) -> Sequence[Outcome]:
        """See `Pool.abandon`."""
        held = [r for r, a in self._actors.items() if unit in a.units.values()]
        why = Trouble("it did not return in time", "TimeoutError")
        outcomes = [o for ref in held for o in self._bury(ref, "crashed", why)]
        return [replace(o, alone=True) if o.unit == unit else o for o in outcomes]

    def _replace(self, group: str, starts: int) -> None:
        if group in self._groups:
            deaths = self._deaths[group] = self._deaths.get(group, 0) + 1
            pause = 0.0 if deaths == 1 else min(_BACK_OFF_S * 2 ** (deaths - 2), _MAX_BACK_OFF_S)
            self._due.append((time.monotonic() + pause, group, starts))

    def _start_due(self) -> None:
        now = time.monotonic()
        due = [(group, starts) for at, group, starts in self._due if at <= now]
        self._due = [start for start in self._due if start[0] > now]
        for group, starts in due:
            if group in self._groups:
                self._start(group, starts)

    def close(self, group: str) -> None:
        """See `Pool.close`. Ending the process is what frees a GPU."""
        self._groups.pop(group, None)
        self._due = [start for start in self._due if start[1] != group]
        for ref in [r for r, a in self._actors.items() if a.group == group]:
            _end(self._actors.pop(ref).handle)

    def shutdown(self) -> None:
        """See `Pool.shutdown`. Ray itself stays connected."""
        for group in list(self._groups):
            self.close(group)


def _end(actor: Handle) -> None:
    ray.kill(cast(ray.actor.ActorHandle[Any], actor))


def _options(resources: Resources) -> dict[str, Any]:
    asked = demand(resources)
    options: dict[str, Any] = {
        "num_cpus": asked.pop("CPU", 0),
        "num_gpus": asked.pop("GPU", 0),
        "max_restarts": 0,
        "max_task_retries": 0,
        # One thread more than units, so that `node` is answered whatever the worker is doing.
        "max_concurrency": max(1, resources.in_flight) + 1,
    }
    if memory := asked.pop("memory", 0):
        options["memory"] = int(memory)
    if asked:
        options["resources"] = asked
    if resources.runtime_env:
        options["runtime_env"] = dict(resources.runtime_env)
    return options


def _machine_lost(err: Exception, node: str) -> bool:
    """Whether the machine went, rather than the process on it."""
    if isinstance(err, exceptions.ActorDiedError) and "node has died" in str(err):
        return True
    alive = {n["NodeID"] for n in ray.nodes() if n["Alive"]}
    return bool(node) and node not in alive


def _trouble_of(err: Exception) -> Trouble:
    """What Ray says: its last line, which is the cause without the class's module, and all."""
    account = str(err)
    lines = [line.strip() for line in account.splitlines() if line.strip()]
    last = lines[-1] if lines else type(err).__name__
    sentence = re.sub(r"^(?:\w+\.)+(\w+: )", r"\1", last)
    return secondhand_trouble(type(err).__name__, sentence, account)
