"""Stops systems that cannot win any more, while a run goes on and only when it was asked for."""

from collections.abc import Callable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import replace
from types import TracebackType
from typing import Self

from medgen.engine.errors import MedgenError
from medgen.engine.results.early import Race, first_part, looks, whole_cells, whole_means
from medgen.engine.results.gate import GateRules
from medgen.engine.run.control import Orders
from medgen.engine.run.events import Event
from medgen.engine.run.reader import RunReader
from medgen.engine.run.survey import Todo
from medgen.engine.stages import SCORES, VERDICTS
from medgen.engine.trouble import trouble

Ready = Mapping[int, frozenset[str]]  # look -> systems of which so many first shards are there


class EarlyStop:
    """Looks, in a thread of its own, at what is scored and judged; who is out is dropped.

    Nothing of it is kept: a start without it owes what is missing, and one with it comes to the
    same from the same rows, before anything is asked.
    """

    def __init__(self, reader: RunReader, todo: Todo, rules: GateRules) -> None:
        """Look at once at what earlier starts have left.

        Raises:
            CorruptError: stored rows are damaged.
        """
        self.reader, self.plan = reader, reader.plan
        self._open = {key: set(shards) for key, shards in todo.targets.items()}
        ranked = tuple(s.name for s in self.plan.systems if not s.control and not s.of)
        self._looks = looks(self.plan.shards)
        self._parts: dict[int, RunReader] = {}
        self.race = Race(
            ranked,
            self._looks,
            rules,
            lambda shards, system: whole_means(self._part(shards), system, rules),
            lambda shards, leader, system: whole_cells(self._part(shards), leader, system, rules),
        )
        self._threads = ThreadPoolExecutor(1, thread_name_prefix="early-stop")
        self._under_way: Future[None] | None = None
        self._stopped: dict[str, str] = {}
        self._looked: Ready = self._ready()
        self._look(self._looked)
        self._fresh: list[Event] = self._take()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, err: BaseException | None, at: TracebackType | None
    ) -> None:
        """Wait for the look that is under way: it reads the store."""
        self._threads.shutdown()

    def __call__(self, event: Event) -> None:
        """Note what was committed, and look when that is enough for somebody."""
        receipt = event.receipt
        if receipt is None or receipt.part is not None or receipt.key not in self._open:
            return
        self._open[receipt.key].discard(receipt.shard)
        ready = self._ready()
        if ready != self._looked and self._under_way is None:
            self._looked = ready
            self._under_way = self._threads.submit(self._look, ready)

    def orders(self, given: Orders, tell: Callable[[Event], None]) -> Orders:
        """What holds beside what people have ordered; says what is new of it."""
        if self._under_way is not None and self._under_way.done():
            done, self._under_way = self._under_way, None
            try:
                done.result()
            except MedgenError as err:
                words = f"no system is stopped early from here on: {trouble(err).error}"
                self._fresh.append(Event("warning", "", details={"words": words}))
                self._looks = ()
            self._fresh += self._take()
        while self._fresh:
            tell(self._fresh.pop(0))
        if not self._stopped:
            return given
        named = {s.name: s.of or s.name for s in self.plan.systems}  # repeats go with their system
        gone = {name: self._stopped[of] for name, of in named.items() if of in self._stopped}
        return replace(given, dropped=given.dropped | gone.keys(), why=gone)

    def _take(self) -> list[Event]:
        """Who is out and was not, unless all of it came to be there meanwhile."""
        found = {
            system: why
            for system, why in self.race.out.items()
            if system not in self._stopped and not self._is_over(system)
        }
        self._stopped |= found
        return [
            Event("warning", "", details={"words": f"{system}: {why}"})
            for system, why in found.items()
        ]

    def _look(self, ready: Ready) -> None:
        for shards, systems in ready.items():
            if len(systems) > 1:
                self._parts.pop(shards, None)  # what was listed before is out of date
                self.race.look(shards, systems, [s for s in systems if not self._is_over(s)])

    def _part(self, shards: int) -> RunReader:
        if shards not in self._parts:
            part = first_part(self.plan, shards)
            self._parts[shards] = RunReader(self.reader.objects, part, self.reader.benchmark)
        return self._parts[shards]

    def _ready(self) -> Ready:
        return {
            shards: frozenset(s for s in self.race.systems if self._has(s, shards))
            for shards in self._looks
        }

    def _has(self, system: str, shards: int) -> bool:
        rows = [n for kind in (SCORES, VERDICTS) for n in self.plan.giving(system, kind)]
        return bool(rows) and all(
            min(self._open[n.key], default=shards * n.split) >= shards * n.split for n in rows
        )

    def _is_over(self, system: str) -> bool:
        return not any(self._open[n.key] for n in self.plan.nodes.values() if system in n.systems)
