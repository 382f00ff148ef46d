"""What went wrong in a run, from its event log: each distinct error once, with its traceback."""

import textwrap
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from medgen.engine.plan.plan import Plan
from medgen.engine.trouble import headline
from medgen.launch.report.escaping import visible
from medgen.launch.run.plan import who

_INDENT = "   "


@dataclass(slots=True)
class DistinctError:
    """Errors of one kind from the same lines of code, whatever words they chose."""

    error_type: str
    first: str  # when
    last: str = ""
    kinds: Counter[str] = field(default_factory=Counter)  # failed, crashed, lost, unstarted, driver
    shards: dict[str, set[int]] = field(default_factory=dict)  # by group
    words: dict[str, None] = field(default_factory=dict)  # in the order of time
    given_up: set[str] = field(default_factory=set)  # groups
    traceback: str = ""

    def add(self, event: Mapping[str, Any]) -> None:
        """Count one more event of it; that a group was given up for it is no error more."""
        group = str(event["group"])
        shards = self.shards.setdefault(group, set())
        self.last = str(event["time"])
        self.traceback = self.traceback or str(event.get("traceback", ""))
        if event["event"] == "gave_up":
            self.given_up.add(group)
            if self.words:
                return
        else:
            self.kinds[str(event["what"])] += 1
        if "shard" in event:
            shards.add(int(event["shard"]))
        self.words[str(event.get("error", ""))] = None


def distinct_errors(events: Iterable[Mapping[str, Any]]) -> list[DistinctError]:
    """The errors of a run's events, which are in the order of time."""
    found: dict[tuple[str, ...], DistinctError] = {}
    for event in events:
        if event["event"] in ("trouble", "gave_up"):
            kind = str(event.get("error_type", ""))
            said = (kind, str(event.get("error", "")))
            key = (str(event["error_id"]),) if event.get("error_id") else said
            found.setdefault(key, DistinctError(kind, str(event["time"]))).add(event)
    return list(found.values())


def error_lines(errors: Iterable[DistinctError], plan: Plan, width: int) -> Iterator[str]:
    """The errors for people. Lines of a traceback stay whole, so that they can be copied."""
    for number, error in enumerate(errors, 1):
        head, *others = error.words
        yield from _wrap(f"{number}. {headline(error.error_type, head)}", width, "")
        yield from _wrap(_count_line(error), width, _INDENT)
        for group, shards in error.shards.items():
            gave_up = "; given up" if group in error.given_up else ""
            yield from _wrap(f"{_whose(plan, group)}{_ranges(shards)}{gave_up}", width, _INDENT)
        if others:
            more = f"{len(others)} other wordings, the last: " if others[1:] else "or: "
            yield from _wrap(f"{more}{others[-1]}", width, _INDENT)
        trace = visible(error.traceback, lines=True) or "no traceback was kept"
        yield from textwrap.indent(trace, _INDENT).splitlines()
        yield ""


def _count_line(error: DistinctError) -> str:
    first, last = (time[:19].replace("T", " ") for time in (error.first, error.last))
    when = first if first == last else f"{first} to {last}"
    times = sum(error.kinds.values())
    kinds = ", ".join(f"{kind} {n}" for kind, n in error.kinds.items())
    if not times:
        return f"at {when} UTC"
    return f"{times} time{'s' if times > 1 else ''} ({kinds}), {when} UTC"


def _whose(plan: Plan, group: str) -> str:
    if group not in plan.groups:
        return group or "the driver"
    return f"{who(plan, group)}, group {group}"


def _ranges(shards: set[int]) -> str:
    """Shard numbers, neighbours together."""
    runs: list[list[int]] = []
    for shard in sorted(shards):
        if runs and shard == runs[-1][1] + 1:
            runs[-1][1] = shard
        else:
            runs.append([shard, shard])
    told = ", ".join(str(a) if a == b else f"{a}-{b}" for a, b in runs)
    return f", shard{'s' if len(shards) > 1 else ''} {told}" if told else ""


def _wrap(text: str, width: int, indent: str) -> list[str]:
    return textwrap.wrap(
        visible(text), width, initial_indent=indent, subsequent_indent=_INDENT,
        break_on_hyphens=False,
    )  # fmt: skip
