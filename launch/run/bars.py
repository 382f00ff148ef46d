"""What a person sees in a terminal while a run goes on: a line a stage, redrawn in its place."""

import time
from collections.abc import Iterator
from typing import Self

from rich.console import Console, Group
from rich.live import Live
from rich.text import Text

from medgen.engine.data import FINE
from medgen.engine.plan.graph import stages_of
from medgen.engine.plan.plan import Plan
from medgen.engine.run.events import Event
from medgen.engine.run.survey import Todo
from medgen.launch.report.escaping import visible
from medgen.launch.run.progress import complete, trouble_line
from medgen.launch.run.stagelines import StageLine, outlook
from medgen.launch.view import numbers

_BAR, _BROAD = 28, 110  # signs of a bar; columns from which on a line says more
_LABEL = 8
_A_SECOND = 2  # how often it is redrawn
_PLAIN = str.maketrans({"━": "#", "─": "."})


class Bars:
    """A bar for each stage, what is worked on, and how long it may last."""

    def __init__(self, plan: Plan, todo: Todo, console: Console, look: str = "") -> None:
        """Shards that exist already count as done.

        `look` is the command that shows results: named once, when the first system is complete.
        """
        self._plan, self._todo, self._look = plan, todo, look
        self._stages = {stage: StageLine() for stage in stages_of(plan)}
        self._workers: dict[str, int] = {}
        self._start, self._over = time.monotonic(), False
        self._console = console
        self._live = Live(get_renderable=self._drawn, console=console, refresh_per_second=_A_SECOND)
        self._count()

    def _count(self) -> None:
        """What is to do, when it is known and when it is another."""
        for stage, line in self._stages.items():
            nodes = [n for n in self._plan.nodes.values() if n.stage == stage]
            line.total = sum(self._plan.shards * n.split for n in nodes)
            line.done = line.total - sum(len(self._todo.targets[n.key]) for n in nodes)

    def __enter__(self) -> Self:
        self._live.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over = True
        self._live.stop()

    def __call__(self, event: Event) -> None:
        """Advance, or say what happened."""
        if event.receipt is not None:
            self._take(event)
        elif event.kind == "identity":
            self._count()
        elif event.kind == "found":
            self._stages[event.details["stage"]].done += event.details["shards"]
        elif event.kind in ("opened", "released"):
            self._workers[event.group] = int(event.details.get("workers", 0))
        elif event.kind == "closed":
            self._workers.pop(event.group, None)
        elif event.kind in ("trouble", "gave_up", "draining"):
            self._print(trouble_line(self._plan, event))
        elif event.kind == "system_finished":
            self._print(*complete(event.details, self._look))
            self._look = ""

    def _take(self, event: Event) -> None:
        receipt = event.receipt
        if receipt is None or receipt.part is not None:
            return  # parts come once more with the whole
        line = self._stages[receipt.stage]
        line.take(receipt, time.monotonic())

    def _print(self, *lines: str) -> None:
        for words in lines:
            self._console.print(visible(words), markup=False, highlight=False)

    # ---- drawing ---------------------------------------------------------------------------

    def _drawn(self) -> Group:
        width = self._console.width
        lines = [self._title(width)]
        lines += [self._stage(stage, line, width) for stage, line in self._stages.items()]
        if not self._over:
            lines += self._outlook()
        for line in lines:
            line.truncate(width, overflow="ellipsis")
        if "utf" not in self._console.encoding.lower():
            lines = [Text(line.plain.translate(_PLAIN)) for line in lines]
        return Group(*lines)

    def _title(self, width: int) -> Text:
        systems = [s for s in self._plan.answering if not s.control]
        controls = len(self._plan.answering) - len(systems)
        judges = len({n.label for n in self._plan.nodes.values() if n.stage == "judge"})
        counts = ((len(systems), "system"), (controls, "control"), (judges, "judge"))
        words = ", ".join(f"{n} {word}{'s' * (n != 1)}" for n, word in counts if n)
        name = self._plan.run_id.rpartition("-")[0] or self._plan.run_id
        said = visible(f"{name} on {self._plan.benchmark}: {words}")
        clock = numbers.clock(time.monotonic() - self._start)
        room = max(1, width - len(clock) - 1)
        said = said if len(said) <= room else f"{said[: room - 1]}…"
        return Text(f"{said:<{room}} {clock}")

    def _stage(self, stage: str, line: StageLine, width: int) -> Text:
        full = round(_BAR * line.done / line.total) if line.total else 0
        text = Text(f"{visible(stage)[: _LABEL - 1]:<{_LABEL}}")
        text.append("━" * full, "cyan").append("─" * (_BAR - full), "dim")
        counts = f"{line.done:,}/{line.total:,}"
        share = f"{100 * line.done // line.total} %" if line.total else ""
        text.append(f" {counts:>13} {share:>6}")
        if width >= _BROAD:
            speed = sum(line.rows.values()) / max(1.0, time.monotonic() - self._start)
            fine = sum(n for status, n in line.rows.items() if status in FINE)
            text.append(f"  {fine:>9,} ok {speed:>8.3g} rows/s")
            if line.prompt:
                text.append(f"  {100 * line.cached / line.prompt:.0f} % cached")
        if line.failures and stage in ("answer", "render"):
            text.append(f"   {line.failures:,} failed", "red")
        if line.cost:
            text.append(f"   {numbers.dollars(line.cost)}")
        return text

    def _outlook(self) -> Iterator[Text]:
        """What is worked on, how long it may last, and how to stop."""
        works = [
            f"{self._who(group)}, {n} worker{'s' * (n != 1)}"
            for group, n in self._workers.items()
            if n
        ]
        if works:
            yield Text(f"{'now':<{_LABEL}}{visible('; '.join(works))}")
        left, why = outlook(self._stages, time.monotonic())
        if left:
            yield Text(f"{'left':<{_LABEL}}{left}, {why}")
        yield Text("Ctrl-C stops cleanly within a minute; the same command goes on.", "dim")

    def _who(self, group: str) -> str:
        labels = sorted({n.label for n in self._plan.nodes.values() if n.group == group})
        stage = group.partition("/")[0]
        return f"{stage} {labels[0]}" if len(labels) == 1 else stage
