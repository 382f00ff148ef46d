"""What a driver's loop asks at every turn: shall it stop, and what else was it told?

It also keeps the status fresh.
"""

import contextlib
import logging
import signal
import threading
import time
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from types import FrameType

from medgen.engine.codec import plain
from medgen.engine.errors import StoreError
from medgen.engine.run.control import Control, Order, Orders
from medgen.engine.run.events import Event
from medgen.launch.run.progress import Recorder

log = logging.getLogger(__name__)

_LOOK_EVERY_S = 10.0


class Stop:
    """Turns SIGINT and SIGTERM into a request to drain; a second one ends at once."""

    def __init__(self) -> None:
        """No signal yet."""
        self.signal: int | None = None

    def __call__(self) -> bool:
        """Whether to stop."""
        return self.signal is not None

    def ask(self) -> None:
        """Stop as after SIGTERM, which a request from outside stands for."""
        self.signal = self.signal or signal.SIGTERM

    @contextmanager
    def listening(self) -> Iterator[None]:
        """Listen for both signals; only the main thread can."""
        if threading.current_thread() is not threading.main_thread():
            yield
            return
        before = {s: signal.signal(s, self._heard) for s in (signal.SIGINT, signal.SIGTERM)}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    def _heard(self, number: int, frame: FrameType | None) -> None:
        if self.signal is not None:
            raise KeyboardInterrupt
        self.signal = number


class Pulse:
    """Looks for requests in the run's folder: to stop, as a signal would, and orders.

    It looks in a thread, some seconds apart; what it found is there at a later turn of the loop.
    A request to stop is told from an older one by its content, so clocks need not agree. One that
    stood there before is meant for a driver of the past, unless the run was submitted: submitting
    takes old requests back, so whatever stands there then is meant for this driver. Orders hold
    until others take them back.
    """

    def __init__(self, stop: Stop, recorder: Recorder, obey_present: bool) -> None:
        """Look once."""
        self.stop, self.recorder, self.folder = stop, recorder, recorder.folder
        self.ignored = "" if obey_present else self.folder.stop_request()
        self.control = Control(self.folder.objects, recorder.plan)
        self.control.look()
        self._tell_refused()
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="pulse")
        self._look: Future[list[Order]] | None = None
        self._looked = 0.0

    def __call__(self) -> bool:
        """Whether to stop, by a signal or by a request in the store."""
        if not self.stop() and self._look is None:
            if time.monotonic() - self._looked > _LOOK_EVERY_S:
                self._looked = time.monotonic()
                self._look = self._thread.submit(self._look_once)
            self.recorder.beat()
        if self._look is not None and self._look.done():
            self._take_up(self._look)
        return self.stop()

    def settle(self) -> None:
        """Wait for the look that is under way."""
        if self._look is not None:
            self._take_up(self._look)

    def look_last(self) -> None:
        """Hear what was ordered since the last look, before the loop is left."""
        self.settle()
        self._take_up(self._thread.submit(self.control.look))

    def orders(self) -> Orders:
        """The orders that hold now, as far as they were heard of."""
        return self.control.orders

    def _take_up(self, look: "Future[list[Order]]") -> None:
        self._look = None
        # A store that cannot be read for a moment is no request; writing rows will tell.
        with contextlib.suppress(StoreError):
            for order in look.result():
                self.recorder(Event("control", "", details={**plain(order), "sent": order.time}))
        self._tell_refused()

    def _tell_refused(self) -> None:
        for words in self.control.refused:
            log.warning("an order is passed over: %s", words)
            self.recorder(Event("trouble", "", details={"what": "control", "error": words}))
        self.control.refused = []

    def _look_once(self) -> list[Order]:
        """One listing, and no more, while nobody has asked for anything."""
        there = self.folder.requests()
        if there.stop and self.folder.stop_request() not in ("", self.ignored):
            self.stop.ask()
        return self.control.look() if there.orders else []
