"""Objects that are written again and again, by a thread, so that nobody waits for the store."""

import threading

from medgen.engine.errors import MedgenError
from medgen.engine.store.objects import Objects


class Uploads:
    """Replaces objects in a thread; of one that changed meanwhile only the last is written."""

    def __init__(self, objects: Objects) -> None:
        """Starts its thread with the first object."""
        self.objects = objects
        self._waiting: dict[str, bytes] = {}
        self._changed = threading.Condition()
        self._busy = False
        self._failure: MedgenError | None = None

    def put(self, path: str, data: bytes) -> None:
        """Have an object written soon.

        Raises:
            StoreError: an earlier one could not be written.
        """
        with self._changed:
            self._raise()
            self._waiting[path] = data
            if not self._busy:
                self._busy = True
                threading.Thread(target=self._write, name="uploads", daemon=True).start()

    def flush(self) -> None:
        """Wait until everything is written.

        Raises:
            StoreError: something could not be.
        """
        with self._changed:
            self._changed.wait_for(lambda: not self._busy)
            self._raise()

    def _raise(self) -> None:
        failure, self._failure = self._failure, None
        if failure is not None:
            raise failure

    def _write(self) -> None:
        while True:
            with self._changed:
                if not self._waiting:
                    self._busy = False
                    self._changed.notify_all()
                    return
                path = next(iter(self._waiting))
                data = self._waiting.pop(path)
            try:
                self.objects.replace(path, data)
            except MedgenError as err:
                self._failure = err
