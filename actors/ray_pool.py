"""Workers as Ray actors. The only code that knows Ray's actor calls.

An actor tells of errors as text, for an exception may not survive pickling, and Ray would write
its words to the workers' logs whatever they quote.
"""

import json
import os
import re
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Literal, Protocol, cast

import ray
from ray import exceptions
from ray._private.ray_constants import DEBUG_AUTOSCALING_STATUS
from ray.autoscaler import sdk
from ray.autoscaler.v2.sdk import get_cluster_status
from ray.autoscaler.v2.utils import is_autoscaler_v2
from ray.experimental.internal_kv import _internal_kv_get
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from medgen.actors.limiter import RayLimiters, start_limiters
from medgen.engine.errors import EngineDied, PlanError
from medgen.engine.limiting import with_limiters
from medgen.engine.plan.identity import Resources
from medgen.engine.run.fit import demand
from medgen.engine.run.pool import Group, Machine, Outcome, Receipt, Unit, Worker
from medgen.engine.trouble import Trouble, secondhand_trouble, show_warnings, trouble


@dataclass(frozen=True, slots=True)
class Dead:
    """The model's engine died, and its process must end: nothing was committed for the unit."""

    trouble: Trouble


# Units of one call, and seconds after which it begins no other: they may be slower than they were.
# The next call waits here, and goes out as soon as one is back.
_MOST_IN_CALL, _CALL_S = 8, 1.0
Said = tuple[Receipt, ...] | Trouble | Dead  # of one unit
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

    def work(self, units: Sequence[Unit]) -> list[Said]:
        """Do units one after another, the first ones where they take long or one ends the engine.

        Each thread has its own.
        """
        said: list[Said] = []
        until = time.monotonic() + _CALL_S
        for unit in units:
            said.append(self._work(unit))
            if isinstance(said[-1], Dead) or time.monotonic() > until:
                break
        return said

    def _work(self, unit: Unit) -> Said:
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
    started: Ref  # tells that it is ready, and where
    threads: int  # calls that it answers at once
    node: str = ""  # empty until it is ready
    calls: dict[Ref, list[Unit]] = field(default_factory=dict)
    waiting: list[Unit] = field(default_factory=list)  # for a thread

    @property
    def units(self) -> list[Unit]:
        """All that it holds."""
        return [*(unit for units in self.calls.values() for unit in units), *self.waiting]

    def call(self) -> None:
        """Have its free threads do what waits, several units each where there are more.

        A call costs as much as a short unit does.
        """
        for free in range(self.threads - len(self.calls), 0, -1):
            share = min(_MOST_IN_CALL, -(-len(self.waiting) // free))
            units, self.waiting = self.waiting[:share], self.waiting[share:]
            if units:
                self.calls[self.handle.work.remote(units)] = units


class RayPool:
    """The pool of a Ray cluster. Actors are never restarted by Ray; the driver replaces them."""

    handful = 2 * _MOST_IN_CALL  # those of one call, and of the next

    def __init__(self, growing: bool = True) -> None:
        """Needs a connected Ray; `growing` where machines that are lost may be replaced."""
        self._growing = growing
        self._actors: dict[str, _Actor] = {}  # by name
        self._asked = False  # for machines
        self.limiters: RayLimiters | None = None  # until a group needs them

    def machines(self) -> Sequence[Machine]:
        """See `Pool.machines`: those that are alive now. A spot machine that goes is draining."""
        going = ray._private.state.state.get_draining_nodes()
        return [
            Machine(node["NodeID"], dict(node["Resources"]), leaving=node["NodeID"] in going)
            for node in ray.nodes()
            if node["Alive"]
        ]

    def open(self, group: Group, machine: str) -> str:
        """See `Pool.open`."""
        host: Any = ray.remote(**_options(group.resources, machine))(Host)
        handle: Handle = host.remote(self._making(group))
        name = str(cast(ray.actor.ActorHandle[Any], handle)._actor_id.hex())
        threads = max(1, group.resources.in_flight)
        self._actors[name] = _Actor(group.name, handle, handle.node.remote(), threads)
        return name

    def _making(self, group: Group) -> Callable[[], Worker]:
        if not group.limited:
            return group.make
        self.limiters = self.limiters or start_limiters()
        return partial(with_limiters, self.limiters, group.make)

    def submit(self, unit: Unit, worker: str) -> None:
        """See `Pool.submit`. It goes there in the next `wait`, with others of its worker."""
        self._actors[worker].waiting.append(unit)

    def waits(self, unit: Unit | None, worker: str) -> bool:
        """See `Pool.waits`: of those in one call nobody knows which is being done."""
        return any(other is unit for other in self._actors[worker].waiting)

    def wait(self, seconds: float) -> Sequence[Outcome]:
        """See `Pool.wait`.

        Raises:
            PlanError: Ray's only machine is lost.
        """
        for actor in self._actors.values():
            actor.call()
        whose = {a.started: name for name, a in self._actors.items() if not a.node}
        whose |= {ref: name for name, a in self._actors.items() for ref in a.calls}
        if not whose:
            time.sleep(min(seconds, 0.05))
            return []
        waiting = list(whose)
        ready, _ = ray.wait(waiting, num_returns=1, timeout=seconds)
        if not self._growing and (_raylet_is_gone() or not (ready or self.machines())):
            raise PlanError(
                "Ray has died on this machine, perhaps for want of memory; what was committed "
                "stays, so run again"
            )
        if ready:  # take what else is there already, without waiting for it
            ready, _ = ray.wait(waiting, num_returns=len(waiting), timeout=0)
        return [told for ref in ready for told in self._settle(ref, whose[ref])]

    def _settle(self, ref: Ref, name: str) -> Sequence[Outcome]:
        actor = self._actors.get(name)
        if actor is None:
            return []  # it died earlier in this batch and told of all its units
        if ref == actor.started:
            return self._note_start(name, actor)
        units = actor.calls[ref]
        try:
            said: list[Said] = ray.get(ref)
        except exceptions.RayTaskError as err:  # before or after our code: a unit not unpickled
            said = [trouble(err.cause if isinstance(err.cause, Exception) else err)] * len(units)
        except exceptions.RayError as err:
            gone = _machine_lost(err, actor.node)
            return self._bury(name, "lost" if gone else "crashed", _trouble_of(err))
        del actor.calls[ref]
        outcomes = [
            _outcome(actor.group, name, unit, told, len(units))
            for unit, told in zip(units, said, strict=False)
            if not isinstance(told, Dead)
        ]
        actor.waiting = [*units[len(outcomes) :], *actor.waiting]
        if isinstance(said[-1], Dead):
            return [*outcomes, *self._bury(name, "crashed", said[-1].trouble)]
        actor.call()
        return outcomes

    def _note_start(self, name: str, actor: _Actor) -> Sequence[Outcome]:
        lost = False
        try:
            told: str | Trouble = ray.get(actor.started)
        except exceptions.RayError as err:
            told, lost = _trouble_of(err), _machine_lost(err, actor.node)
        if isinstance(told, str):
            actor.node = told
            return [Outcome("started", actor.group, worker=name, machine=told)]
        self.end(name)
        return [Outcome("lost" if lost else "unstarted", actor.group, trouble=told, worker=name)]

    def _bury(self, name: str, kind: Literal["lost", "crashed"], why: Trouble) -> Sequence[Outcome]:
        actor = self._actors[name]
        self.end(name)
        units = actor.units
        return [Outcome(kind, actor.group, unit, (), why, len(units) == 1, name) for unit in units]

    def end(self, worker: str) -> None:
        """See `Pool.end`. Ending the process is what frees a GPU."""
        actor = self._actors.pop(worker, None)
        if actor is not None:
            _end(actor.handle)

    def grows(self) -> bool:
        """See `Pool.grows`: whether there is an autoscaler."""
        return self._growing and has_autoscaler()

    def request(self, demands: Sequence[Mapping[str, float]]) -> None:
        """See `Pool.request`. The autoscaler keeps them until it is asked for others."""
        self._asked = True
        sdk.request_resources(bundles=[dict(asked) for asked in demands])

    def shutdown(self) -> None:
        """See `Pool.shutdown`. Ray itself stays connected."""
        for name in list(self._actors):
            self.end(name)
        if self.limiters:
            self.limiters.end()
            self.limiters = None
        if self._asked:
            sdk.request_resources(bundles=[])


def _outcome(
    group: str, worker: str, unit: Unit, told: tuple[Receipt, ...] | Trouble, beside: int
) -> Outcome:
    if isinstance(told, Trouble):
        return Outcome("failed", group, unit, (), told, worker=worker, beside=beside)
    return Outcome("finished", group, unit, told, worker=worker, beside=beside)


def _end(actor: Handle) -> None:
    ray.kill(cast(ray.actor.ActorHandle[Any], actor))


def _options(resources: Resources, machine: str) -> dict[str, Any]:
    asked = demand(resources)
    options: dict[str, Any] = {
        "num_cpus": asked.pop("CPU", 0),
        "num_gpus": asked.pop("GPU", 0),
        "max_restarts": 0,
        "max_task_retries": 0,
        # One thread more than units, so that `node` is answered whatever the worker is doing.
        "max_concurrency": max(1, resources.in_flight) + 1,
    }
    if machine:  # as the driver's ledger says; elsewhere when others took the place
        options["scheduling_strategy"] = NodeAffinitySchedulingStrategy(
            machine, soft=True, _spill_on_unavailable=True
        )
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


def _raylet_is_gone() -> bool:
    """Whether the Ray that this process started has ended; its own list of machines tells later.

    Until then every start fails, and systems would be given up one after the other.
    """
    node = ray._private.worker._global_node
    started: list[Any] = node.all_processes.get("raylet", []) if node else []
    return any(one.process.poll() is not None for one in started)


_ALONE = re.compile(r"node_[0-9a-f]{56}")  # the type of one machine: its identifier


def has_autoscaler() -> bool:
    """Whether one has said so: in the cluster's configuration, or by the names of its machines.

    Every Ray has a monitor. Where nothing can be added it calls each machine a type of its own; an
    autoscaler calls machines by the types of its configuration.
    """
    config = ray._private.state.state.get_cluster_config()
    if config is not None and config.node_group_configs:  # of some vendors' clusters
        return True
    if is_autoscaler_v2(fetch_from_server=True):
        said = get_cluster_status(ray.get_runtime_context().gcs_address)
        nodes = (*said.active_nodes, *said.idle_nodes)
        return _are_configured(node.ray_node_type_name for node in nodes)
    status = _internal_kv_get(DEBUG_AUTOSCALING_STATUS)
    return status is not None and is_of_autoscaler(json.loads(status))


def is_of_autoscaler(status: dict[str, Any]) -> bool:
    """Whether a monitor's report names machines by types of a configuration."""
    report = status.get("autoscaler_report") or {}
    kinds = ("active_nodes", "idle_nodes", "pending_launches")
    names = [name for kind in kinds for name in report.get(kind) or ()]
    return _are_configured([*names, *(report.get("node_type_mapping") or {}).values()])


def _are_configured(names: Iterable[str]) -> bool:
    return any(not _ALONE.fullmatch(name) for name in names)
