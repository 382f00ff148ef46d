"""What a driver's loop asks at every turn: shall it stop? It also keeps the status fresh."""

import contextlib
import signal
import threading
import time
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from types import FrameType

from medgen.engine.errors import StoreError
from medgen.launch.run.progress import Recorder

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
    """Looks for a request to stop in the run's folder, and passes it on as a signal would be.

    It looks in a thread, some seconds apart; what it found is there at a later turn of the loop.
    A request to stop is told from an older one by its content, so clocks need not agree. One that
    stood there before is meant for a driver of the past, unless the run was submitted: submitting
    takes old requests back, so whatever stands there then is meant for this driver.
    """

    def __init__(self, stop: Stop, recorder: Recorder, obey_present: bool) -> None:
        """Look once."""
        self.stop, self.recorder, self.folder = stop, recorder, recorder.folder
        self.ignored = "" if obey_present else self.folder.stop_request()
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="pulse")
        self._look: Future[None] | None = None
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

    def _take_up(self, look: "Future[None]") -> None:
        self._look = None
        # A store that cannot be read for a moment is no request; writing rows will tell.
        with contextlib.suppress(StoreError):
            look.result()

    def _look_once(self) -> None:
        if self.folder.stop_request() not in ("", self.ignored):
            self.stop.ask()
