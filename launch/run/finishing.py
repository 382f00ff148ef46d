"""What is made of a system as soon as all its rows are there, beside the driver's loop."""

from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import replace
from types import TracebackType
from typing import Self

import pyarrow as pa
import pyarrow.compute as pc

from medgen.engine.errors import MedgenError
from medgen.engine.results.publishing import Summaries, TablePublisher
from medgen.engine.results.summary import summary_table
from medgen.engine.run.events import Event
from medgen.engine.run.reader import RunReader
from medgen.engine.trouble import trouble


class Finishing:
    """Summarizes finished systems and writes their tables, in a thread of its own.

    What it makes of an event is handed on by `deliver`, which the driver's loop calls at every
    turn: watchers are only ever called by the loop's own thread.
    """

    def __init__(
        self, reader: RunReader, tell: Callable[[Event], None], summaries: Summaries | None = None
    ) -> None:
        """Starts no thread yet. What it summarizes is kept with `summaries`."""
        self.reader, self.tell = reader, tell
        self._summaries = summaries or Summaries()
        self._threads = ThreadPoolExecutor(1, thread_name_prefix="finishing")
        self._tables: TablePublisher | None = None
        self._under_way: list[Future[Event]] = []

    def __enter__(self) -> Self:
        """Begin."""
        return self

    def _publisher(self) -> TablePublisher:
        self._tables = self._tables or TablePublisher(self.reader)
        return self._tables

    def __exit__(
        self, kind: type[BaseException] | None, err: BaseException | None, at: TracebackType | None
    ) -> None:
        """Wait for what is under way; after an error do not begin anything else."""
        self._threads.shutdown(cancel_futures=err is not None)
        if err is None:
            self.deliver()

    def __call__(self, event: Event) -> None:
        """Hand an event on, and first the means of a system that it says is finished."""
        if event.kind == "system_finished":
            self._under_way.append(self._threads.submit(self._finish, event))
        else:
            self.tell(event)

    def deliver(self) -> None:
        """Hand on what is ready, in the order in which systems finished."""
        while self._under_way and self._under_way[0].done():
            self.tell(self._under_way.pop(0).result())

    def _finish(self, event: Event) -> Event:
        system, reader = str(event.details["system"]), self.reader.anew()
        try:
            made = self._publisher().finish(reader, system, self._summaries)
        except MedgenError as err:  # the end of the run does it again, and says so if it cannot
            return replace(event, details={**event.details, "unwritten": trouble(err).error})
        return with_means(event, summary_table([made]))


def with_means(event: Event, summary: pa.Table) -> Event:
    """The event with the means of the system that it tells of, each beside n and expected."""
    whole = summary.filter(pc.equal(summary["group_kind"], "all"))
    means: dict[str, dict[str, object]] = {}
    for row in whole.to_pylist():
        owed = row["expected"] - row["not_applicable"]
        value = {"mean": row["mean"], "n": row["n"], "expected": owed}
        means.setdefault(row["format"], {})[row["metric"]] = value
    return replace(event, details={**event.details, "means": means})
