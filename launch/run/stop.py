"""What a driver's loop asks at every turn: shall it stop? It also keeps the status fresh."""

import contextlib
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

from medgen.engine.errors import StoreError
from medgen.launch.run.progress import Recorder

_LOOK_EVERY_S = 2.0


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

    A request is told from an older one by its content, so clocks need not agree. One that stood
    there before is meant for a driver of the past, unless the run was submitted: submitting takes
    old requests back, so whatever stands there then is meant for this driver.
    """

    def __init__(self, stop: Stop, recorder: Recorder, obey_present: bool) -> None:
        """Look once."""
        self.stop, self.recorder, self.folder = stop, recorder, recorder.folder
        self.ignored = "" if obey_present else self.folder.stop_request()
        self._looked = 0.0

    def __call__(self) -> bool:
        """Whether to stop, by a signal or by a request in the store."""
        if not self.stop() and time.monotonic() - self._looked > _LOOK_EVERY_S:
            self._looked = time.monotonic()
            # A store that cannot be read for a moment is no request; writing rows will tell.
            with contextlib.suppress(StoreError):
                if self.folder.stop_request() not in ("", self.ignored):
                    self.stop.ask()
                self.recorder.beat()
        return self.stop()
