"""Small charts as SVG: classes and attributes only, since the policy blocks style attributes."""

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from markupsafe import Markup, escape

from medgen.launch.view import numbers
from medgen.launch.view.board import Axis

_PARTS = re.compile(r"[^A-Za-z0-9.]*[A-Za-z0-9.]+")  # of a name: its words, with what joins them


@dataclass(frozen=True, slots=True)
class Dot:
    """A point with a name and the number of its colour and marker."""

    x: float
    y: float
    name: str
    number: int
    href: str = ""


def _mark(x: float, y: float, number: int) -> str:
    use = f'<use href="#m{number}"/>'
    return f'<svg x="{x:.1f}" y="{y:.1f}" class="s{number}" overflow="visible">{use}</svg>'


_BROAD = 620  # a chart that is drawn wider may take a card's whole width


def svg(title: str, width: int, height: int, parts: Sequence[str]) -> Markup:
    """A chart with its title; `parts` are finished markup."""
    box = f'viewBox="0 0 {width} {height}" aria-label="{escape(title)}"'
    kind = "chart broad" if width > _BROAD else "chart"
    head = f'<svg class="{kind}" role="img" {box}>'
    return Markup(f"{head}<title>{escape(title)}</title>{''.join(parts)}</svg>")


def text(x: float, y: float, words: str, kind: str = "") -> str:
    """A label; foreign words are escaped."""
    return f'<text class="{kind}" x="{x:.1f}" y="{y:.1f}">{escape(words)}</text>'


def line(kind: str, start: tuple[float, float], end: tuple[float, float]) -> str:
    """A straight line of a class."""
    a, b = start, end
    return f'<line class="{kind}" x1="{a[0]:.1f}" y1="{a[1]:.1f}" x2="{b[0]:.1f}" y2="{b[1]:.1f}"/>'


def price_plot(
    dots: Sequence[Dot], floor: tuple[str, float] | None, labels: tuple[str, str], rises: bool
) -> Markup:
    """Quality (y) against price (x, logarithmic), with the front of what is worth its price."""
    width, height, left, right, top, bottom = 420, 260, 34, 16, 24, 40
    logs = [math.log10(d.x) for d in dots]
    low, high = min(logs) - 0.12, max(logs) + 0.12
    ends = [d.y for d in dots] + ([floor[1]] if floor else [])
    pad = 0.12 * ((max(ends) - min(ends)) or 1.0)
    y_axis = Axis(min(ends) - pad, max(ends) + pad)

    def at(dot: Dot) -> tuple[float, float]:
        x = left + (width - left - right) * (math.log10(dot.x) - low) / ((high - low) or 1)
        return x, top + (height - top - bottom) * (1 - y_axis.at(dot.y) / 100)

    parts = [text(left, 12, labels[1], "start")]
    for share, label in y_axis.ticks:
        y = top + (height - top - bottom) * (1 - share / 100)
        parts += [line("grid", (left, y), (width - right, y)), text(left - 6, y + 4, label, "end")]
    for power in range(math.floor(low) - 1, math.ceil(high) + 1):
        for digit in (1, 3):
            value = digit * 10.0**power
            place = math.log10(value)
            if low <= place <= high:
                x = left + (width - left - right) * (place - low) / ((high - low) or 1)
                parts += [line("grid", (x, top), (x, height - bottom))]
                parts += [text(x, height - bottom + 15, f"{value:g}")]
    parts.append(text(width - right, height - 6, labels[0], "end"))
    if floor:
        y = top + (height - top - bottom) * (1 - y_axis.at(floor[1]) / 100)
        parts.append(line("floor", (left, y), (width - right, y)))
        parts.append(text(width - right, y - 4, f"floor: {floor[0]}", "end"))
    front = _front(dots, rises)
    points = " ".join(f"{x:.1f},{y:.1f}" for x, y in map(at, front))
    parts.append(f'<polyline class="front" points="{points}"/>')
    parts += _with_names([(at(d), d) for d in dots], (left, width - right))
    said = "; ".join(f"{d.name}: {d.y:.3g} at {d.x:.3g}" for d in dots)
    return svg(f"{labels[1]} against {labels[0]}. {said}", width, height, parts)


def _with_names(
    dots: Sequence[tuple[tuple[float, float], Dot]], edges: tuple[float, float]
) -> list[str]:
    """Marks with their short names beside them: on the first side where nothing else is."""
    names = short_names([dot.name for _, dot in dots])
    if len(dots) > _NAMED:  # the others are rings; who they are says the chart's own text
        names |= {dot.name: "" for _, dot in dots if not dot.number}
    boxes = [(x - 7, y - 7, x + 7, y + 7) for (x, y), _ in dots]  # what a name must not lie upon
    parts = []
    for (x, y), dot in sorted(dots, key=lambda pair: pair[0][1]):
        wide = 6.2 * len(names[dot.name])
        sides = [  # where the name stands, and where it begins
            ("start", x + 10, y + 4, x + 10), ("end", x - 10, y + 4, x - 10 - wide),
            ("", x, y - 10, x - wide / 2), ("", x, y + 18, x - wide / 2),
            ("start", x + 8, y - 9, x + 8), ("end", x - 8, y + 17, x - 8 - wide),
            ("start", x + 8, y + 17, x + 8), ("end", x - 8, y - 9, x - 8 - wide),
        ]  # fmt: skip
        free = [
            side
            for side in sides
            if side[3] > edges[0] and side[3] + wide < edges[1] + 12
            and not any(
                _overlap((side[3], side[2] - 9, side[3] + wide, side[2] + 3), box) for box in boxes
            )
        ]  # fmt: skip
        if not free:  # a crowd: who it is says the chart's own text
            parts.append(_mark(x, y, dot.number))
            continue
        kind, at, height, start = free[0]
        boxes.append((start, height - 9, start + wide, height + 3))
        parts += [text(at, height, names[dot.name], kind), _mark(x, y, dot.number)]
    return parts


Box = tuple[float, float, float, float]  # left, top, right, bottom


def _overlap(one: Box, other: Box) -> bool:
    return one[0] < other[2] and other[0] < one[2] and one[1] < other[3] and other[1] < one[3]


def cut_middle(name: str, most: int = 22) -> str:
    """A name that is cut in its middle: what tells it from others stands at its ends."""
    half = (most - 1) // 2
    return name if len(name) <= most else f"{name[: most - 1 - half]}…{name[-half:]}"


_NAMED = 12  # marks of a chart that all have their names beside them
_SHORT = 14  # letters of a short name


def short_names(names: Sequence[str]) -> dict[str, str]:
    """Each name's beginning, as far as its parts tell it from all others; at most 14 letters.

    >>> short_names(["aster-30b+aster-edit", "birch-omni", "birch-8b"])
    {'aster-30b+aster-edit': 'aster', 'birch-omni': 'birch-omni', 'birch-8b': 'birch-8b'}
    """
    parts = {name: _PARTS.findall(name) or [name] for name in names}
    found = {}
    for name, own in parts.items():
        rest = [other for key, other in parts.items() if key != name]
        many = next(
            (n for n in range(1, len(own)) if all(other[:n] != own[:n] for other in rest)), len(own)
        )
        found[name] = cut_middle("".join(own[:many]), _SHORT)
    return found


def _front(dots: Sequence[Dot], rises: bool) -> list[Dot]:
    """The points that nothing cheaper is as good as."""
    found: list[Dot] = []
    for dot in sorted(dots, key=lambda d: (d.x, -d.y if rises else d.y)):
        if not found or (dot.y > found[-1].y if rises else dot.y < found[-1].y):
            found.append(dot)
    return found


def group_dots(rows: Sequence[tuple[str, int, Sequence[Dot]]], axis: Axis, label: str) -> Markup:
    """A row a group: the means of some systems on one scale."""
    width, left, right, step = 420, 150, 14, 30
    height = 34 + step * len(rows) + 20

    def at(value: float) -> float:
        return left + (width - left - right) * axis.at(value) / 100

    parts = [text(left, 12, label, "start"), text(left - 14, 12, "n", "end")]
    for share, tick in axis.ticks:
        x = left + (width - left - right) * share / 100
        parts += [line("grid", (x, 20), (x, height - 20)), text(x, height - 6, tick)]
    for i, (name, count, dots) in enumerate(rows):
        y = 34 + step * i
        parts += [text(0, y + 4, cut_middle(name, 16), "start strong")]
        parts += [text(left - 14, y + 4, numbers.count(count), "end")]
        if dots:
            ends = at(min(d.x for d in dots)), at(max(d.x for d in dots))
            parts.append(line("join", (ends[0], y), (ends[1], y)))
        parts += [_mark(at(d.x), y, d.number) for d in dots]
    said = "; ".join(
        f"{name}: " + ", ".join(f"{d.name} {d.x:.3g}" for d in dots) for name, _, dots in rows
    )
    return svg(f"{label} by group. {said}", width, height, parts)


def stack(counts: Mapping[str, int], largest: int) -> list[tuple[float, float, str]]:
    """Bars side by side in percent of the largest total: from, width, status."""
    found, x = [], 0.0
    for status, count in counts.items():
        width = 100 * count / largest
        found.append((round(x, 2), round(max(0.3, width - 0.3), 2), status))
        x += width
    return found
