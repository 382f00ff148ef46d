"""Values of the nights of a name as lines, with marks where one has changed."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from markupsafe import Markup

from medgen.engine.errors import MedgenError
from medgen.engine.results.summary import read_summary
from medgen.engine.store.layout import RunPlace
from medgen.engine.store.objects import Objects
from medgen.launch.view import charts
from medgen.launch.view.board import format_short
from medgen.launch.view.lines import TOP, WIDTH, Frame, padded_axis

_MOST_CHARTS = 6
_MOST_SYSTEMS = 4
_HEIGHT, _BOTTOM = 190, 26
Means = Mapping[str, tuple[float, float, float]]  # system -> mean, and the ends of its interval
Key = tuple[str, str]  # format, value


@dataclass(frozen=True, slots=True)
class Trend:
    """One value of one format over the nights, and on which of them whose value had changed."""

    title: str
    svg: Markup
    changes: tuple[str, ...]


def trends(objects: Objects, nights: Sequence[tuple[str, str]]) -> list[Trend]:
    """A chart a format, of the value that stands first in the summary; nights are (date, run)."""
    values: dict[Key, dict[str, Means]] = {}
    for date, run in nights:
        for key, means in _means(objects, run).items():
            values.setdefault(key, {})[date] = means
    dates = [date for date, _ in nights]
    seen: dict[str, Key] = {}
    for key, by_date in values.items():
        if len(by_date) > 1:
            seen.setdefault(key[0], key)
    return [_draw(key, dates, values[key]) for key in list(seen.values())[:_MOST_CHARTS]]


def changes(dates: Sequence[str], values: Mapping[str, Means]) -> list[tuple[str, str]]:
    """(date, system) where a 95 % interval lies wholly beside that of the night before."""
    found, last = [], dict[str, tuple[float, float, float]]()
    for date in dates:
        for system, mean in values.get(date, {}).items():
            before = last.get(system)
            if before and (mean[1] > before[2] or mean[2] < before[1]):
                found.append((date, system))
            last[system] = mean
    return found


def _means(objects: Objects, run: str) -> dict[Key, dict[str, tuple[float, float, float]]]:
    try:
        path = RunPlace(run).summary
        table = read_summary(objects.read(path), path)
    except (FileNotFoundError, MedgenError):
        return {}  # the night did not come so far, or its run is gone
    found: dict[Key, dict[str, tuple[float, float, float]]] = {}
    rows: list[dict[str, Any]] = table.to_pylist()
    # Judges stand first where there are any: they rank.
    for row in sorted(rows, key=lambda r: r["stage"] != "judge"):
        known = row["group_kind"] == "all" and row["mean"] is not None and row["direction"]
        if known and row["ci_low"] is not None and not row["random_weights"]:
            ends = (float(row["mean"]), float(row["ci_low"]), float(row["ci_high"]))
            found.setdefault((row["format"], row["metric"]), {})[row["system"]] = ends
    return found


def _draw(key: Key, dates: Sequence[str], values: Mapping[str, Means]) -> Trend:
    names = list(dict.fromkeys(s for means in values.values() for s in means))[:_MOST_SYSTEMS]
    ends = [end for means in values.values() for n in names if n in means for end in means[n][1:]]
    frame = _Frame(padded_axis(ends), _HEIGHT, _BOTTOM, dates)
    found = [(d, s) for d, s in changes(dates, values) if s in names]
    parts = frame.ground()
    for date, system in found:
        x = frame.x(date)
        parts.append(charts.line("floor", (x, TOP), (x, _HEIGHT - _BOTTOM)))
        parts.append(charts.text(x + 3, TOP - 8, f"{date[5:]} {system[:16]}"))
    for number, name in enumerate(names, start=1):
        shown = {d: values[d][name] for d in dates if name in values.get(d, {})}
        parts += frame.series(number, name, shown)
    title = f"{key[1]}, {format_short(key[0]).lower()}"
    drawn = charts.svg(f"{title} over {len(dates)} nights", WIDTH, _HEIGHT, parts)
    return Trend(title, drawn, tuple(f"{system} changed on {date}" for date, system in found))


@dataclass(frozen=True, slots=True)
class _Frame(Frame):
    """Where a night and a value stand."""

    dates: Sequence[str]

    def x(self, date: str) -> float:
        return self.across(self.dates.index(date) / max(len(self.dates) - 1, 1))

    def ground(self) -> list[str]:
        dates = {self.dates[0], self.dates[-1]}
        return [*self.grid(), *(charts.text(self.x(d), _HEIGHT - 6, d[5:]) for d in dates)]

    def series(
        self, number: int, name: str, shown: Mapping[str, tuple[float, float, float]]
    ) -> list[str]:
        """A line with an interval at each night; a gap where a night is missing."""
        parts, nights = [], list(shown)
        for date, (mean, low, high) in shown.items():
            x = self.x(date)
            parts.append(charts.line("bar2", (x, self.y(low)), (x, self.y(high))))
            if (place := self.dates.index(date)) and (last := self.dates[place - 1]) in shown:
                start = (self.x(last), self.y(shown[last][0]))
                parts.append(charts.line("bar2", start, (x, self.y(mean))))
        return self.with_name(number, parts, name, shown[nights[-1]][0])
