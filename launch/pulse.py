"""What a driver's loop asks at every turn: shall it stop? It also keeps the status fresh."""

import contextlib
import time
from typing import TYPE_CHECKING

from medgen.engine.errors import StoreError
from medgen.launch.progress import Recorder

if TYPE_CHECKING:
    from medgen.launch.evaluation import Stop

_LOOK_EVERY_S = 2.0


class Pulse:
    """Looks for a request to stop in the run's folder, and passes it on as a signal would be.

    A request is told from an older one by its content, so clocks need not agree. One that stood
    there before is meant for a driver of the past, unless the run was submitted: submitting takes
    old requests back, so whatever stands there then is meant for this driver.
    """

    def __init__(self, stop: "Stop", recorder: Recorder, obey_present: bool) -> None:
        """Look once."""
        self.stop, self.recorder, self.folder = stop, recorder, recorder.folder
        self.ignored = "" if obey_present else self.folder.asked_to_stop()
        self._looked = 0.0

    def __call__(self) -> bool:
        """Whether to stop, by a signal or by a request in the store."""
        if not self.stop() and time.monotonic() - self._looked > _LOOK_EVERY_S:
            self._looked = time.monotonic()
            # A store that cannot be read for a moment is no request; writing rows will tell.
            with contextlib.suppress(StoreError):
                if self.folder.asked_to_stop() not in ("", self.ignored):
                    self.stop.ask()
                self.recorder.beat()
        return self.stop()
