"""Pace and money over all workers of a run on Ray: one actor on the head.

It writes a journal there before it answers. One that dies is started again by Ray and reads it; a
call that was lost meanwhile is made again, and counts once. Where the journal is gone nobody knows
what was spent, and whoever asks is told so.
"""

import contextlib
import logging
import shutil
import tempfile
import time
from collections.abc import Awaitable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, cast
from uuid import uuid4

import ray
from ray import exceptions

from medgen.engine.codec import fingerprint
from medgen.engine.errors import AdapterError, SpendingError
from medgen.engine.limiting import Journal, Ledger, Limiter, Limits, Ticket

log = logging.getLogger(__name__)

_HEAD = "node:__internal_head__"  # a resource that only Ray's head has
_PATIENCE_S = 10.0
_KEEP_S = 7 * 86400.0  # what nobody has written for so long is no run's any more
_LOST = "what was asked for and spent is not known any more: start again"


class _Method(Protocol):
    """A method of the actor, from another process."""

    def remote(self, *args: object) -> Awaitable[Any]:
        """Call it there."""


class _Handle(Protocol):
    """The actor that runs `Keeper`, from another process."""

    admit: _Method
    settle: _Method
    forget: _Method


class Keeper:
    """The actor: the ledgers of a run, by endpoint and model."""

    def __init__(self, run: str) -> None:
        """Take up what an earlier life of this actor has written."""
        self._folder = Path(tempfile.gettempdir()) / f"medgen-limits-{run}"
        again = ray.get_runtime_context().was_current_actor_reconstructed
        self._lost = again and not self._folder.is_dir()
        self._folder.mkdir(mode=0o700, exist_ok=True)
        self._ledgers: dict[str, Ledger] = {}
        _tidy(self._folder)

    def admit(self, name: str, limits: Limits, ticket: Ticket) -> float | str:
        """Seconds to wait, or why the request may not be sent."""
        if self._lost:
            raise FileNotFoundError(_LOST)
        try:
            return self._ledger(name, limits).admit(ticket, time.monotonic())
        except SpendingError as err:
            return str(err)

    def settle(self, name: str, limits: Limits, ticket: Ticket, tokens: int, usd: float) -> None:
        """See `Limiter.settle`."""
        if not self._lost:
            self._ledger(name, limits).settle(ticket, tokens, usd)

    def forget(self) -> None:
        """The run has ended: its journals go."""
        for path in self._folder.iterdir():
            path.unlink()
        self._folder.rmdir()

    def _ledger(self, name: str, limits: Limits) -> Ledger:
        if name not in self._ledgers:
            journal = Journal(self._folder / f"{fingerprint(name)}.jsonl")
            self._ledgers[name] = Ledger(limits, journal)
        return self._ledgers[name]


def _tidy(own: Path) -> None:
    """Remove journals of drivers that were killed long ago: Ray ends their actors, not these."""
    for left in own.parent.glob("medgen-limits-*"):
        with contextlib.suppress(FileNotFoundError):  # another run tidies as well
            last = max(path.stat().st_mtime for path in (left, *left.iterdir()))
            if left != own and time.time() - last > _KEEP_S:
                shutil.rmtree(left, ignore_errors=True)


@dataclass(frozen=True, slots=True)
class RayLimiter:
    """A limiter as a client of the actor's sees it."""

    keeper: _Handle
    name: str
    limits: Limits

    async def admit(self, ticket: Ticket) -> float:
        """See `Limiter.admit`."""
        try:
            told: float | str = await self.keeper.admit.remote(self.name, self.limits, ticket)
        except exceptions.RayError as err:
            raise AdapterError(f"the limiter of {self.name} is gone: {_LOST}") from err
        if isinstance(told, str):
            raise SpendingError(told)
        return told

    async def settle(self, ticket: Ticket, tokens: int, usd: float) -> None:
        """See `Limiter.settle`. When it is gone, a reply that was paid for is not lost with it."""
        try:
            await self.keeper.settle.remote(self.name, self.limits, ticket, tokens, usd)
        except exceptions.RayError as err:
            log.warning("the limiter of %s is gone (%s): %s", self.name, type(err).__name__, _LOST)


@dataclass(frozen=True, slots=True)
class RayLimiters:
    """The limiters of a run on Ray; travels to its workers."""

    keeper: _Handle

    def __call__(self, name: str, limits: Limits) -> Limiter:
        """See `medgen.engine.limiting.Limiters`."""
        return RayLimiter(self.keeper, name, limits)

    def end(self) -> None:
        """The run has ended."""
        try:
            ray.get(cast("ray.ObjectRef[None]", self.keeper.forget.remote()), timeout=_PATIENCE_S)
        except exceptions.RayError as err:
            log.warning("the limiter's journal was left behind: %s", type(err).__name__)
        ray.kill(cast("ray.actor.ActorHandle[Any]", self.keeper))


def start_limiters() -> RayLimiters:
    """Start the actor, without waiting until it is there."""
    kind: Any = ray.remote(
        num_cpus=0, resources={_HEAD: 0.001}, max_restarts=-1, max_task_retries=-1
    )(Keeper)
    return RayLimiters(kind.remote(uuid4().hex))
