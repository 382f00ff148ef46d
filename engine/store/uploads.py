"""Objects on their way to a store, some at once: it takes longer to answer than to make one.

What is under way stands in memory, so it is bounded by number and by size.
"""

from collections import deque
from concurrent.futures import Future, ThreadPoolExecutor
from types import TracebackType
from typing import Self

from medgen.engine.store.objects import Objects

_MOST = 8  # objects under way
_MOST_BYTES = 64 * 2**20  # of all of them; one alone may have more


class Uploads:
    """Writes objects whose names say what they hold, in any order; all are there when it ends."""

    def __init__(self, objects: Objects) -> None:
        """Starts no thread yet."""
        self._objects = objects
        self._threads = ThreadPoolExecutor(_MOST, thread_name_prefix="uploads")
        self._under_way: deque[tuple[Future[None], int]] = deque()

    def __enter__(self) -> Self:
        """Begin."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, err: BaseException | None, at: TracebackType | None
    ) -> None:
        """Wait for what is under way; after an error nothing else is begun.

        Raises:
            StoreError: one of them cannot be written.
        """
        self._threads.shutdown(cancel_futures=err is not None)
        while err is None and self._under_way:
            self._settle_first()

    def put(self, path: str, content: bytes) -> None:
        """Write an object, in place of what may stand there; may return before it is written.

        Raises:
            StoreError: this one or an earlier one cannot be written.
        """
        while self._under_way and not self._has_room(len(content)):
            self._settle_first()
        self._under_way.append((self._threads.submit(self._write, path, content), len(content)))

    def _has_room(self, size: int) -> bool:
        held = sum(size for _, size in self._under_way)
        return len(self._under_way) < _MOST and held + size <= _MOST_BYTES

    def _settle_first(self) -> None:
        self._under_way.popleft()[0].result()

    def _write(self, path: str, content: bytes) -> None:
        if not self._objects.create(path, content):
            self._objects.replace(path, content)
