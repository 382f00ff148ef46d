"""What charts of lines share: where a value is, the grid behind it, the name of a line."""

from collections.abc import Iterable
from dataclasses import dataclass

from medgen.launch.view import charts
from medgen.launch.view.board import Axis

WIDTH, LEFT, RIGHT, TOP = 640, 44, 130, 22


def padded_axis(values: Iterable[float]) -> Axis:
    """An axis over all of the values with some room at both ends."""
    every = list(values)
    pad = 0.08 * ((max(every) - min(every)) or 1.0)
    return Axis(min(every) - pad, max(every) + pad)


@dataclass(frozen=True, slots=True)
class Frame:
    """A chart of lines, `height` pixels high, `bottom` of them below the lowest value."""

    axis: Axis
    height: int
    bottom: int

    def across(self, share: float) -> float:
        """Where a share (0 to 1) of the way from left to right is."""
        return LEFT + (WIDTH - LEFT - RIGHT) * share

    def y(self, value: float) -> float:
        """Where a value is."""
        return self._down(self.axis.at(value))

    def _down(self, share: float) -> float:
        """Where so many percent of the way up are."""
        return TOP + (self.height - TOP - self.bottom) * (1 - share / 100)

    def grid(self) -> list[str]:
        """The axis's ticks, with their labels at the left."""
        parts = []
        for share, label in self.axis.ticks:
            y = self._down(share)
            parts.append(charts.line("grid", (LEFT, y), (WIDTH - RIGHT, y)))
            parts.append(charts.text(LEFT / 2, y + 4, label))
        return parts

    def with_name(self, number: int, parts: Iterable[str], name: str, end: float) -> list[str]:
        """A line's parts in its colour, and its name beside its last value."""
        label = charts.text(WIDTH - RIGHT + 64, self.y(end) + 4, name[:18])
        return [f'<g class="s{number}">{"".join(parts)}</g>', label]
