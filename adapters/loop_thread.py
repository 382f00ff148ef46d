"""An event loop in a thread of its own, so that synchronous ports keep many requests in flight."""

import asyncio
import threading
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from typing import Any, TypeVar

_PATIENCE_S = 5.0

T = TypeVar("T")
U = TypeVar("U")


class LoopThread:
    """Runs coroutines for any number of calling threads."""

    def __init__(self, name: str) -> None:
        """Start the thread; it never keeps the process alive."""
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name=name, daemon=True)
        self._thread.start()

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        """Run a coroutine to its end; whatever it raises is raised here."""
        return asyncio.run_coroutine_threadsafe(work, self._loop).result()

    def map(self, task: Callable[[T], Awaitable[U]], items: Sequence[T]) -> list[U]:
        """Run one coroutine an item side by side, results in order; the first error ends all."""

        async def one(item: T) -> U:
            return await task(item)

        async def every() -> list[U]:
            async with asyncio.TaskGroup() as group:
                tasks = [group.create_task(one(item)) for item in items]
            return [t.result() for t in tasks]

        try:
            return self.run(every())
        except BaseExceptionGroup as errors:
            first = errors.exceptions[0]
        # Out here it keeps its own cause, and the group is none of it.
        raise first

    async def _wind_down(self) -> None:
        # Tasks that are still there belong to libraries; each gets the chance to clean up.
        others = asyncio.all_tasks() - {asyncio.current_task()}
        for task in others:
            task.cancel()
        if others:
            await asyncio.wait(others, timeout=_PATIENCE_S)

    def stop(self) -> None:
        """End the loop and its thread; harmless when it was ended before."""
        if self._loop.is_closed():
            return
        if threading.current_thread() is self._thread:
            # The garbage collector may run here, and a thread cannot wait for itself.
            self._loop.stop()
            return
        self.run(self._wind_down())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()
