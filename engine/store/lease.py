"""A lock in the store that runs out by itself: one holder at a time, and none for ever.

Every holding is an object of its own, numbered, created only if it does not exist: of two that
try for the same number one wins. The holder alone rewrites its object, to renew or release it.
No machine's clock is asked: who waits watches whether the object changes, for as long as its holder
says, by a monotonic clock of his own. A holder that was suspended past its end learns of it at the
next renewal; until then two may work, which repeats work and harms nothing, for results are
addressed by what they are.
"""

import contextlib
import socket
import threading
import time
import uuid
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from medgen.engine.codec import decode, encode
from medgen.engine.errors import PlanError, StoreError
from medgen.engine.store import layout
from medgen.engine.store.objects import Objects

_LOOK_EVERY_S = 10.0
_KEPT = 3  # old holdings that stay, so that numbers only grow

Tell = Callable[[str], None]


class LeaseHeld(PlanError):
    """Somebody else holds the lease; says who."""


class LeaseLost(StoreError):
    """The lease ran out and somebody else took it."""


@dataclass(frozen=True, slots=True)
class Holding:
    """What one lease object says."""

    holder: str
    seconds: float  # without a renewal, after which it is over
    renewals: int = 0
    released: bool = False


class Lease:
    """A lease in a folder of the store."""

    def __init__(
        self,
        objects: Objects,
        folder: str,
        seconds: float,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Takes nothing yet. `seconds` is how long a holder that died keeps others out."""
        self.objects, self.folder, self.seconds, self.clock = objects, folder, seconds, clock
        self.holder = f"{socket.gethostname()}-{uuid.uuid4().hex[:8]}"
        self.number = 0  # of our holding; 0: none
        self._renewals = 0

    def take(self) -> None:
        """Become the holder.

        Raises:
            LeaseHeld: it is not released, or another was a moment faster. Whether its holder lives
                is not known; `outlive` finds out.
        """
        held, numbers = self._holder()
        if held:
            raise LeaseHeld(self._words(held))
        self._follow(numbers)

    def _follow(self, numbers: Sequence[int]) -> None:
        """Take the number after those that were looked at, and no later one: that has a holder."""
        last = numbers[-1] if numbers else 0
        mine = encode(self._holding())
        if not self.objects.create(self._path(last + 1), mine):
            raise LeaseHeld(self._words(self._read(last + 1)))
        self.number = last + 1
        for number in numbers[:-_KEPT]:
            self.objects.delete(self._path(number))

    def outlive(self, tell: Tell, pause: Callable[[float], None] = time.sleep) -> None:
        """Become the holder; wait for the end of one that has died.

        Who lives renews in a third of the lease's time, so this ends by then or by the lease's end.

        Args:
            tell: is told once why it takes a while.
            pause: waits so many seconds between two looks.

        Raises:
            LeaseHeld: the holder lives, or another was a moment faster.
        """
        (first, numbers), since = self._holder(), self.clock()
        if first is not None:
            tell(f"{self._words(first)}; waiting to see whether that one lives")
        held = first
        while held is not None:
            if held != first:
                raise LeaseHeld(self._words(held))
            if self.clock() - since >= held.seconds:
                break
            pause(min(held.seconds / 30, _LOOK_EVERY_S))
            held, numbers = self._holder()
        self._follow(numbers)

    def renew(self) -> None:
        """Hold it for another `seconds`.

        Raises:
            LeaseLost: it ran out, and another holds it now.
        """
        self._check()
        self._renewals += 1
        self.objects.replace(self._path(self.number), encode(self._holding()))
        self._check()

    def release(self) -> None:
        """Let the next one in at once; nothing happens when it was lost before."""
        with contextlib.suppress(LeaseLost):
            self._check()
            body = encode(self._holding(released=True))
            self.objects.replace(self._path(self.number), body)
        self.number = 0

    @contextlib.contextmanager
    def hold(self, lost: Callable[[], None], tell: Tell) -> Iterator[None]:
        """Take it, when a holder that died is over; renew it in the background, release it.

        Args:
            lost: is called when it is lost.
            tell: as for `outlive`.

        Raises:
            LeaseHeld: another holds it.
        """
        self.outlive(tell)
        over = threading.Event()
        thread = threading.Thread(target=self._keep, args=(over, lost), daemon=True)
        thread.start()
        try:
            yield
        finally:
            over.set()
            thread.join()
            self.release()

    def _keep(self, over: threading.Event, lost: Callable[[], None]) -> None:
        while not over.wait(self.seconds / 3):
            try:
                self.renew()
            except LeaseLost:
                lost()
                return
            except StoreError:
                continue  # a store that is away for a moment; the next turn is before the end

    def _check(self) -> None:
        numbers = self._numbers()
        if not numbers or numbers[-1] != self.number:
            raise LeaseLost(f"{self.folder}: the lease ran out and another has taken it")

    def _holding(self, released: bool = False) -> Holding:
        return Holding(self.holder, self.seconds, self._renewals, released)

    def _holder(self) -> tuple[Holding | None, list[int]]:
        """Who holds it, dead or alive, and the numbers of holdings that were there."""
        numbers = self._numbers()
        held = self._read(numbers[-1]) if numbers else None
        return held if held and not held.released else None, numbers

    def _numbers(self) -> list[int]:
        names = self.objects.names(self.folder)
        return sorted(n for name in names if (n := layout.lease_number(name)) is not None)

    def _path(self, number: int) -> str:
        return layout.lease(self.folder, number)

    def _read(self, number: int) -> Holding:
        path = self._path(number)
        return decode(Holding, self.objects.read(path), f"{path}: not a lease; delete it to go on")

    def _words(self, held: Holding) -> str:
        over = f"over after {held.seconds:g} s without a renewal"
        return f"{self.folder} is held by {held.holder}; {over}"
