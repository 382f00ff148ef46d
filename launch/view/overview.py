"""What the first page shows."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import numpy as np
from markupsafe import Markup

from medgen.engine.data import FINE
from medgen.engine.results.columns import PREDICTION_STATUSES
from medgen.engine.run.folder import Status
from medgen.launch.hints import resume_words
from medgen.launch.view import charts, numbers
from medgen.launch.view.board import Axis, Board, format_short
from medgen.launch.view.certain import Certainty
from medgen.launch.view.data import StoredRun, SystemEntry

_GROUPS_DRAWN = 8
_FAILING = 6


@dataclass(frozen=True, slots=True)
class Fact:
    """A fact at the top of the page."""

    name: str
    text: str
    small: str = ""


@dataclass(frozen=True, slots=True)
class State:
    """Where the run stands: a word with its glyph and colour, and how to go on."""

    word: str
    glyph: str
    tone: str
    command: str = ""


@dataclass(frozen=True, slots=True)
class Chart:
    """A chart with a title."""

    title: str
    svg: Markup


@dataclass(frozen=True, slots=True)
class FailRow:
    """One system's failed predictions, by status."""

    entry: SystemEntry
    total: int
    bars: list[tuple[float, float, str]]
    said: str


@dataclass(frozen=True, slots=True)
class Failed:
    """What failed, over all systems but the controls."""

    total: int
    owed: int
    rows: tuple[FailRow, ...]
    by_status: tuple[tuple[str, int], ...]
    words: str

    @property
    def statuses(self) -> tuple[str, ...]:
        """The statuses that occur, most frequent first."""
        return tuple(s for s, _ in self.by_status)


def state_of(data: StoredRun) -> State:
    """The run's state in a word."""
    status = data.status
    command = resume_words(data.run_id, data.objects.url)
    if status is None:
        return State("not started", "○", "plain", command)
    if status.status == "success":
        return State("complete", "✓", "ok")
    if status.status == "started":
        total = sum(data.plan.shards * n.split for n in data.plan.nodes.values())
        done = numbers.percent(sum(status.done.values()), total)
        return State(f"running, {done}", "◔", "warn")
    return State(status.status, "!", "warn" if status.status != "error" else "bad", command)


def run_title(data: StoredRun) -> str:
    """The name that the run was given: its id without the hash."""
    return data.run_id.rpartition("-")[0] or data.run_id


def question(data: StoredRun) -> str:
    """What was asked, in one line."""
    systems, controls = len(data.eligible), len(data.controls)
    judges = sorted({v.key[1] for v in data.values if v.key[0] == "judge"} - {"judges"})
    views = {v.key[2].rpartition("/")[2] for v in data.values if v.key[0] == "judge"}
    seen = ", judged in both views" if len(views) > 1 else ", judged" if judges else ""
    parts = f"{systems} system{'s' * (systems != 1)} and {controls} controls"
    samples = numbers.count(sum(data.plan.formats().values()))
    protocol = f" under protocol {data.plan.protocol}" if data.plan.protocol else ""
    part = "the first " if data.plan.left_out else "the "
    return f"{parts} answered {part}{samples} samples of {data.plan.benchmark}{protocol}{seen}."


def so_far(data: StoredRun) -> str:
    """Of a run that is not complete: how many samples every system has answered."""
    if data.status is not None and data.status.status == "success":
        return ""
    size = sum(data.plan.formats().values())
    answered = np.zeros(len(data.samples), np.int64)
    for entry in data.eligible:
        table = data.predictions[entry.name]
        if table.num_rows:
            here = np.array([s != "missing" for s in table["status"].to_pylist()])
            answered[table["position"].to_numpy()[here]] += 1
    every = int((answered == len(data.eligible)).sum()) if data.eligible else 0
    many = f"{numbers.count(every)} of {numbers.count(size)} samples"
    return f"So far: all systems answered {many}; means are over what is there."


def facts(data: StoredRun, failed: Failed, certainty: Certainty) -> list[Fact]:
    """Predictions, judges, time and cost, and when it finished."""
    fine = failed.owed - failed.total
    ok = numbers.percent(fine, failed.owed)
    found = [
        Fact(
            "Predictions",
            f"{numbers.count(fine)} of {numbers.count(failed.owed)}",
            f"{ok} ok · {numbers.count(failed.total)} failed",
        )
    ]
    judges = sorted({v.key[1] for v in data.values if v.key[0] == "judge"} - {"judges"})
    if judges:
        found.append(Fact("Judge", ", ".join(judges), data.doubts or "nothing known against it"))
    cost = sum(own["cost_usd"] for own in certainty.usage.values())
    status = data.status
    if status is not None:
        took = seconds_taken(status)
        money = numbers.dollars(cost) if cost else "no dollars spent"
        found.append(Fact("Took", numbers.duration(took), money))
        found.append(
            Fact(
                "Finished" if status.status == "success" else "Updated", _day(status.updated), "UTC"
            )
        )
    return found


def seconds_taken(status: Status) -> float:
    """Seconds from the first start to the last word of the run."""
    start, end = (datetime.fromisoformat(t) for t in (status.started, status.updated))
    return (end - start).total_seconds()


def _day(stamp: str) -> str:
    return datetime.fromisoformat(stamp).strftime("%d %b %Y, %H:%M").lstrip("0")


def failed_of(data: StoredRun, certainty: Certainty) -> Failed:
    """Predictions without a value, by system and status, of formats that nothing compares too."""
    counts: dict[str, Counter[str]] = {}
    owed = 0
    for entry in data.systems:
        if entry.random or (entry.control and data.eligible):
            continue
        found = certainty.statuses.get(entry.name) or _statuses_of(data, entry.name)
        owed += sum(n for s, n in found.items() if s != "not_applicable")
        counts[entry.name] = Counter({s: n for s, n in found.items() if n and s not in FINE})
    total = sum(sum(c.values()) for c in counts.values())
    worst = sorted(
        (e for e in data.systems if counts.get(e.name)), key=lambda e: -counts[e.name].total()
    )
    largest = max((c.total() for c in counts.values()), default=0)
    rows_ = tuple(
        FailRow(
            e,
            counts[e.name].total(),
            charts.stack(dict(counts[e.name].most_common()), largest),
            ", ".join(f"{s} {n}" for s, n in counts[e.name].most_common()),
        )
        for e in worst[:_FAILING]
    )
    statuses = sum(counts.values(), Counter[str]())
    words = _failed_words(total, owed, len(worst), len(counts))
    return Failed(total, owed, rows_, tuple(statuses.most_common()), words)


def _failed_words(total: int, owed: int, failing: int, systems: int) -> str:
    if not total:
        return f"None of {numbers.count(owed)} predictions failed."
    rest = systems - failing
    words = f"{numbers.count(total)} of {numbers.count(owed)} predictions have no value "
    words += f"({numbers.percent(total, owed)}). None is scored 0."
    return words + (f" The other {rest} failed nowhere." if rest > 0 else "")


def _statuses_of(data: StoredRun, system: str) -> dict[str, int]:
    """The statuses of a system that has no table yet: they stand in each row of the summary."""
    rows: dict[str, Any] = {}
    for row in data.summary:
        if row["system"] == system and row["group_kind"] == "all":
            rows.setdefault(row["format"], row)
    every = rows.values()
    return {s: sum(r[f"prediction_{s}"] for r in every) for s in PREDICTION_STATUSES}


def cost_chart(certainty: Certainty, board: Board, colors: dict[str, int]) -> Chart | None:
    """Cost against quality in a format: dollars, else seconds, a 1,000 samples."""
    rows = [r for r in board.rows if r.mean is not None and r.entry.name in certainty.usage]
    used = {r.entry.name: certainty.usage[r.entry.name] for r in rows}
    unit = "dollars" if all(u["cost_usd"] > 0 for u in used.values()) else "seconds"
    dots = []
    for row in rows:
        own = used[row.entry.name]
        price = 1000 * own["cost_usd" if unit == "dollars" else "seconds"] / own["rows"]
        if price > 0:
            dots.append(charts.Dot(price, row.mean or 0, row.entry.name, colors[row.entry.name]))
    if len(dots) < 2:
        return None
    floor = board.floor
    ends = (floor.entry.name, floor.mean) if floor and floor.mean is not None else None
    label = f"{board.value.title} {board.value.arrow}"
    labels = (f"{unit} per 1,000 samples, log scale", label)
    drawn = charts.price_plot(dots, ends, labels, board.value.direction != "lower")
    what = "Cost" if unit == "dollars" else "Time"
    return Chart(f"{what} against quality, {format_short(board.format).lower()}", drawn)


def modality_chart(data: StoredRun, board: Board, colors: dict[str, int]) -> Chart | None:
    """The means of the first systems by modality."""
    first = [r.entry.name for r in board.rows[:4]]
    if len(board.rows) > 4:
        first.append(board.rows[-1].entry.name)
    cells: dict[str, dict[str, Any]] = {}
    for row in data.group_rows("modality", board.value):
        if row["format"] == board.format:
            cells.setdefault(row["group"], {})[row["system"]] = row
    groups: list[tuple[str, int, Sequence[charts.Dot]]] = []
    for name, found in cells.items():
        own = [n for n in first if n in found and found[n]["mean"] is not None]
        dots = [charts.Dot(found[n]["mean"], 0, n, colors[n]) for n in own]
        size = max((found[n]["n"] for n in own), default=0)
        groups.append((name, size, dots))
    groups = sorted((g for g in groups if g[2]), key=lambda g: -float(np.mean([d.x for d in g[2]])))
    if not groups:
        return None
    ends = [d.x for g in groups for d in g[2]]
    pad = 0.08 * ((max(ends) - min(ends)) or 1.0)
    axis = Axis(min(ends) - pad, max(ends) + pad)
    label = f"{board.value.title} {board.value.arrow}"
    return Chart(
        format_short(board.format).lower(), charts.group_dots(groups[:_GROUPS_DRAWN], axis, label)
    )
