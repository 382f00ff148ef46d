"""The leaderboard of a format: systems by rank, each mean with its interval, n and coverage."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from medgen.engine.data import FINE
from medgen.launch.view import numbers
from medgen.launch.view.certain import Certainty, FormatCertainty
from medgen.launch.view.data import FLOORS, StoredRun, SystemEntry, ValueEntry, value_key

_TITLES = {
    "VQA": "Visual question answering",
    "ImageEditing": "Image editing",
    "MultimodalGeneration": "Multimodal generation",
}
_SHORT = {
    "ImageEditing": "Editing",
    "MultimodalGeneration": "Generation",
    "TextToImage": "From text",
    "Segmentation": "Masks",
}
SHORTEST = 11  # letters that every place has for a format
_COLORED = 12  # as many systems have a colour and a marker of their own
_PINNED = 6
_NEAR = 5.0  # percent of an axis: marks of controls cover each other below
_MIDDLE, _HEIGHTS = 15, (8, 22)

Row = Mapping[str, Any]


def format_title(name: str) -> str:
    """A format as a heading."""
    return _TITLES.get(name, _words(name))


def format_short(name: str) -> str:
    """A format where there is little room."""
    return _SHORT.get(name, name if name in _TITLES else _words(name))


def _words(name: str) -> str:
    spread = "".join(f" {c.lower()}" if c.isupper() else c for c in name.replace("_", " "))
    text = spread.replace("-", " ").strip() if not name.isupper() else name
    return text[:1].upper() + text[1:]


@dataclass(frozen=True, slots=True)
class Axis:
    """A scale on which values are drawn, in percent of its width."""

    low: float
    high: float

    def at(self, value: float) -> float:
        """Where a value stands, 0 to 100."""
        share = 100 * (value - self.low) / ((self.high - self.low) or 1)
        return round(min(100.0, max(0.0, share)), 2)

    @property
    def ticks(self) -> list[tuple[float, str]]:
        """Place and label of each tick."""
        if (self.low, self.high) == (1.0, 10.0):  # a judge's scale
            return [(self.at(t), numbers.tick(t)) for t in (1, 3, 5, 7, 9)]
        return [(self.at(t), numbers.tick(t)) for t in numbers.ticks(self.low, self.high)]


@dataclass(frozen=True, slots=True)
class BoardCell:
    """A second value of a system: the number, and its interval on the column's own scale."""

    text: str
    mean: float | None
    best: bool
    line: tuple[float, float] | None  # from, width; in percent
    title: str


@dataclass(frozen=True, slots=True)
class BoardRow:
    """One system."""

    entry: SystemEntry
    rank: str
    mean: float | None
    text: str
    span: str
    low: float | None
    high: float | None
    best: bool
    cells: tuple[BoardCell, ...]
    n: int
    owed: int
    failed: int
    said: str  # the sentence for readers
    note: str = ""
    remark: str = ""  # what must be known beside its interval, or why there is none

    @property
    def coverage(self) -> str:
        """Share of what is owed that has a value."""
        return numbers.percent(self.n, self.owed)

    @property
    def coverage_word(self) -> str:
        """How coverage is to be read: nothing, `warn` below 99 %, `bad` below 95 %."""
        share = self.n / self.owed if self.owed else 0.0
        return "" if share >= 0.99 else "warn" if share >= 0.95 else "bad"

    @property
    def share(self) -> float:
        """Coverage in percent, as the width of a bar."""
        return round(100 * self.n / self.owed, 1) if self.owed else 0.0


@dataclass(frozen=True, slots=True)
class Board:
    """One format."""

    format: str
    title: str
    place: int  # of the format, for links
    value: ValueEntry
    samples: int
    full: Axis
    fit: Axis
    places: int  # decimals
    columns: tuple[ValueEntry, ...]
    rows: tuple[BoardRow, ...]
    controls: tuple[BoardRow, ...]
    plumbing: tuple[BoardRow, ...]
    floor: BoardRow | None
    ceiling: BoardRow | None

    @property
    def remarks(self) -> list[str]:
        """What its intervals are to be read with, each remark once."""
        rows = (*self.rows, *self.controls)
        return list(dict.fromkeys(row.remark for row in rows if row.remark))

    def stands(self, axis: Axis) -> list[tuple[BoardRow, float, int]]:
        """Each control with its place on an axis and its height in a row of 30 pixels.

        Two that would cover each other stand one above the other.
        """
        means = [c for c in self.controls if c.mean is not None]
        known = sorted(((axis.at(c.mean or 0.0), c) for c in means), key=lambda pair: pair[0])
        found: list[tuple[BoardRow, float, int]] = []
        for at, (x, row) in enumerate(known):
            beside = (known[i][0] for i in (at - 1, at + 1) if 0 <= i < len(known))
            alone = all(abs(x - other) >= _NEAR for other in beside)
            above = not found or found[-1][2] != _HEIGHTS[0]
            found.append((row, x, _MIDDLE if alone else _HEIGHTS[0 if above else 1]))
        return found


def boards(data: StoredRun, certainty: Certainty) -> list[Board]:
    """The leaderboards, largest format first."""
    by_group: dict[tuple[str, str], dict[Any, Row]] = {}
    for row in data.summary:
        if row["group_kind"] == "all":
            by_group.setdefault((row["format"], row["system"]), {})[value_key(row)] = row
    return [_board(data, found, by_group) for found in certainty.formats]


def _board(
    data: StoredRun, found: FormatCertainty, rows: Mapping[tuple[str, str], Mapping[Any, Row]]
) -> Board:
    value = next(v for v in data.values if v.key == found.headline)
    own = {s.name: rows.get((found.format, s.name), {}) for s in data.systems}
    able = _columns(data, found, value, own)
    heads = {name: cells.get(value.key) for name, cells in own.items()}
    halves = [numbers.half_width(r["ci_low"], r["ci_high"]) for r in heads.values() if r]
    places = numbers.column_decimals(halves)
    scales = {v.key: (_scale(own.values(), v), _decimals(own.values(), v)) for v in able}
    made = {
        s.name: _board_row(s, found, own[s.name], value, (places, able, scales))
        for s in data.systems
        if own[s.name] and not s.of
    }
    order = list(found.standing.order) if found.standing else []
    rest = [s.name for s in data.eligible if s.name in made and s.name not in order]
    full = _full_axis(value, [r for r in heads.values() if r], data)
    ceiling = next(
        (made[s.name] for s in data.controls if s.name == "oracle" and s.name in made), None
    )
    ranked = [made[n] for n in [*order, *rest] if n in made]
    return Board(
        format=found.format,
        title=format_title(found.format),
        place=data.formats.index(found.format),
        value=value,
        samples=data.size_of(found.format),
        full=full,
        fit=_fit_axis(ranked or list(made.values()), full),
        places=places,
        columns=tuple(able),
        rows=tuple(ranked),
        controls=tuple(made[s.name] for s in data.controls if s.name in made),
        plumbing=tuple(made[s.name] for s in data.systems if s.random and s.name in made),
        floor=made.get(found.floor),
        ceiling=ceiling if ceiling and ceiling.mean is not None else None,
    )  # fmt: skip


def _board_row(
    entry: SystemEntry,
    found: FormatCertainty,
    cells: Mapping[Any, Row],
    value: ValueEntry,
    drawn: tuple[int, Sequence[ValueEntry], Mapping[Any, tuple[Axis, int]]],
) -> BoardRow:
    places, able, scales = drawn
    head = cells.get(value.key) or {}
    any_row = head or next(iter(cells.values()))
    rank = found.standing.ranks.get(entry.name) if found.standing else None
    mean, low, high = head.get("mean"), head.get("ci_low"), head.get("ci_high")
    owed = any_row["expected"] - any_row["not_applicable"]
    failed = any_row["expected"] - sum(any_row[f"prediction_{status}"] for status in FINE)
    leaders = found.standing.leaders if found.standing else ()
    text = numbers.number(mean, places)
    remark = str(head.get("ci_note") or "") if mean is not None else ""
    said = f"{entry.name} {text}" + (
        f", 95 % interval {numbers.number(low, places)} to {numbers.number(high, places)}"
        if low is not None
        else ""
    )
    said += f" ({remark})" if remark else ""
    return BoardRow(
        entry=entry,
        rank=numbers.rank(rank) if rank else "",
        mean=mean,
        text=text,
        span=numbers.span(low, high, places) or ("" if mean is None else f"n {head.get('n', 0)}"),
        low=low,
        high=high,
        best=entry.name in leaders and mean is not None,
        cells=tuple(_cell(cells.get(v.key), v, scales[v.key], found, entry) for v in able),
        n=head.get("n", 0),
        owed=owed,
        failed=failed,
        said=said + (f", rank {numbers.rank(rank)}" if rank else ""),
        note=str(head.get("reason") or "") if mean is None else "",
        remark=remark,
    )  # fmt: skip


def _columns(
    data: StoredRun, found: FormatCertainty, first: ValueEntry, own: Mapping[str, Mapping[Any, Row]]
) -> list[ValueEntry]:
    """The other values of a format that a ranked system is owed; those that none has come last."""
    ranked = [own[s.name] for s in data.eligible] or list(own.values())
    owed = {key for cells in ranked for key in cells}
    able = [v for v in data.values if found.format in v.formats and v.overall and v != first]
    able = [v for v in able if v.key in owed]

    def is_empty(value: ValueEntry) -> bool:
        return not any((cells.get(value.key) or {}).get("n") for cells in ranked)

    return sorted(able, key=is_empty)


def _cell(
    row: Row | None,
    value: ValueEntry,
    drawn: tuple[Axis, int],
    found: FormatCertainty,
    entry: SystemEntry,
) -> BoardCell:
    if row is None or row["mean"] is None:
        why = "not judged" if value.key[0] == "judge" else str((row or {}).get("reason") or "")
        return BoardCell("-", None, False, None, why)
    low, high = row["ci_low"], row["ci_high"]
    (scale, places), line = drawn, None
    if low is not None:
        start = scale.at(low)
        line = (start, round(max(2.0, scale.at(high) - start), 2))
    best = entry.name in found.best.get("/".join(value.key), ()) and bool(entry.number)
    exact = f"{row['mean']:.17g}, n {row['n']}"
    exact += f", {row['ci_note']}" if row["ci_note"] else ""
    return BoardCell(numbers.number(row["mean"], places), row["mean"], best, line, exact)


def _scale(rows: Any, value: ValueEntry) -> Axis:
    known = [r[value.key] for r in rows if value.key in r and r[value.key]["mean"] is not None]
    ends = [x for r in known for x in (r["mean"], r["ci_low"], r["ci_high"]) if x is not None]
    return Axis(min(ends, default=0.0), max(ends, default=1.0))


def _decimals(rows: Any, value: ValueEntry) -> int:
    """Those of a column: one row of it is not more exact than the others."""
    known = [r[value.key] for r in rows if value.key in r]
    return numbers.column_decimals(numbers.half_width(r["ci_low"], r["ci_high"]) for r in known)


def _full_axis(value: ValueEntry, rows: Sequence[Row], data: StoredRun) -> Axis:
    """The whole range that the value can have, as far as it is known."""
    if value.key[0] == "judge":
        return Axis(1.0, 10.0)
    for name in (f"{value.key[1]}.{value.key[2]}", value.key[1], value.key[2]):
        said = data.plan.thresholds.get(name)
        if isinstance(said, Mapping) and said.get("range"):
            low, high = said["range"]
            seen = [r["mean"] for r in rows if r["mean"] is not None]
            if seen and (max(seen) - min(seen)) > 0.2 * (high - low):
                return Axis(float(low) if min(seen) < 0 or low >= 0 else 0.0, float(high))
    ends = [x for r in rows for x in (r["mean"], r["ci_low"], r["ci_high"]) if x is not None]
    low, high = min(ends, default=0.0), max(ends, default=1.0)
    top = 1.0 if 0.4 < high <= 1 and low >= 0 else high + 0.04 * abs(high - low)
    return Axis(0.0 if low >= 0 else low, top or 1.0)


def _fit_axis(rows: Sequence[BoardRow], full: Axis) -> Axis:
    ends = [x for r in rows for x in (r.mean, r.low, r.high) if x is not None]
    if not ends or max(ends) == min(ends):
        return full
    pad = 0.06 * (max(ends) - min(ends))
    return Axis(min(ends) - pad, max(ends) + pad)


def colors(data: StoredRun, certainty: Certainty) -> dict[str, int]:
    """Colour and marker of each system, 1 to 12; 0 is the ring of those that have none.

    Above twelve systems only six have a colour: the first of the largest format.
    """
    if len(data.eligible) <= _COLORED:
        return {s.name: s.number for s in data.systems}
    first = next((f.standing for f in certainty.formats if f.standing), None)
    pins = first.order[:_PINNED] if first else ()
    return {s.name: pins.index(s.name) + 1 if s.name in pins else 0 for s in data.systems}


def is_floor(name: str) -> bool:
    """Whether a control is part of the floor."""
    return name in FLOORS
