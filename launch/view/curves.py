"""Values over the checkpoints of a training, as lines with their intervals."""

from collections.abc import Sequence
from dataclasses import dataclass

from medgen.launch.view import charts
from medgen.launch.view.board import Board
from medgen.launch.view.data import StoredRun
from medgen.launch.view.lines import WIDTH, Frame, padded_axis
from medgen.launch.view.overview import Chart

_MOST = 6
_HEIGHT, _BOTTOM = 220, 40


@dataclass(frozen=True, slots=True)
class Point:
    """A mean at a step, with the ends of its interval."""

    step: int
    mean: float
    low: float
    high: float


def curves(data: StoredRun, boards: Sequence[Board]) -> list[Chart]:
    """A chart a format, of the value that ranks it, for systems with two checkpoints and more."""
    drawn = []
    for board in boards[:_MOST]:
        lines = {name: points for name, points in _lines(data, board).items() if len(points) > 1}
        if lines:
            drawn.append(_draw(f"{board.value.title} {board.value.arrow}, {board.title}", lines))
    return drawn


def _lines(data: StoredRun, board: Board) -> dict[str, list[Point]]:
    places = {s.name: s for s in data.plan.systems if s.series and not s.of}
    found: dict[str, list[Point]] = {}
    for row in data.summary:
        key = (row["stage"], row["label"], row["output"])
        system = places.get(row["system"])
        if system is None or (row["format"], key) != (board.format, board.value.key):
            continue
        if row["mean"] is not None:
            ends = (row["ci_low"], row["ci_high"])
            low, high = (float(row["mean"] if end is None else end) for end in ends)
            point = Point(system.step, float(row["mean"]), low, high)
            found.setdefault(system.series, []).append(point)
    return {name: sorted(points, key=lambda p: p.step) for name, points in found.items()}


def _draw(title: str, lines: dict[str, list[Point]]) -> Chart:
    every = [point for points in lines.values() for point in points]
    steps = sorted({p.step for p in every})
    axis = padded_axis(end for p in every for end in (p.low, p.high))
    frame = _Frame(axis, _HEIGHT, _BOTTOM, steps[0], steps[-1])
    parts = frame.ground()
    for number, (name, points) in enumerate(lines.items(), start=1):
        parts += frame.series(number, name, points)
    said = "; ".join(f"{n}: " + ", ".join(f"{p.mean:.3g}" for p in ps) for n, ps in lines.items())
    whole = f"{title} over {len(steps)} checkpoints. {said}"
    return Chart(title, charts.svg(whole, WIDTH, _HEIGHT, parts))


@dataclass(frozen=True, slots=True)
class _Frame(Frame):
    """Where a step and a value stand."""

    first: int
    last: int

    def x(self, step: int) -> float:
        return self.across((step - self.first) / max(self.last - self.first, 1))

    def ground(self) -> list[str]:
        parts = self.grid()
        for step in (self.first, self.last):
            parts.append(charts.text(self.x(step), _HEIGHT - _BOTTOM + 16, f"{step:,}"))
        return [*parts, charts.text(self.across(0.5), _HEIGHT - 6, "step of the checkpoint")]

    def series(self, number: int, name: str, points: Sequence[Point]) -> list[str]:
        parts, before = [], points[0]
        for point in points:
            x = self.x(point.step)
            parts.append(charts.line("bar2", (x, self.y(point.low)), (x, self.y(point.high))))
            start = (self.x(before.step), self.y(before.mean))
            parts.append(charts.line("bar2", start, (x, self.y(point.mean))))
            before = point
        return self.with_name(number, parts, name, before.mean)
