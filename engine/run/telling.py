"""What a driver says of a run while it goes."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

from medgen.engine.run.board import Board
from medgen.engine.run.events import Event, EventKind
from medgen.engine.run.pool import Outcome


@dataclass(frozen=True, slots=True)
class Telling:
    """Tells whoever watches a run."""

    watch: Callable[[Event], None]

    def __call__(self, kind: EventKind, group: str, **details: Any) -> None:
        """That something happened."""
        self.watch(Event(kind, group, details=details))

    def of_trouble(self, outcome: Outcome) -> None:
        """That a worker or a unit failed."""
        details: dict[str, Any] = outcome.trouble.details()
        if outcome.unit is not None:
            details["shard"] = outcome.unit.shard
        self("trouble", outcome.group, what=outcome.kind, **details)

    def of_staff(self, what: str, group: str, workers: int) -> None:
        """How many workers a group has by now."""
        self("opened" if what == "opened" else "released", group, workers=workers)

    def of_systems(self, names: Iterable[str], board: Board) -> None:
        """Which of these systems have every row by now."""
        for system in sorted(s for s in names if board.over(s)):
            self("system_finished", "", system=system)
