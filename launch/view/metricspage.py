"""One value by task and modality: heat maps, distributions, a table; and how values agree."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from markupsafe import Markup
from numpy.typing import NDArray

from medgen.engine.results.certainty import best_group
from medgen.engine.results.sets import SetRow
from medgen.engine.results.statistics import Floats
from medgen.launch.view import charts, numbers
from medgen.launch.view.board import Axis, format_short, format_title, is_floor
from medgen.launch.view.certain import Certainty, Mask, field_of, format_mask, headline
from medgen.launch.view.data import StoredRun, SystemEntry, ValueEntry, value_key

Grid = NDArray[np.float32]  # systems x samples, or one of either
_LEAST = 30  # samples below which a cell says n
_STEPS = 9  # of colour from the floor to the ceiling; below it -4 to -1
_ECDF = 4
_LINKS = {"task": "task=", "modality": "mod="}


@dataclass(frozen=True, slots=True)
class HeatCell:
    """The mean of a system in a group."""

    text: str
    step: int | None  # 0 at the floor, 8 at the ceiling, below 0 under the floor; None: no colour
    best: bool
    n: int
    title: str
    href: str
    span: str = ""  # its 95 % interval, for the table; empty where none is stored

    @property
    def few(self) -> bool:
        """Whether fewer samples than 30 have a value."""
        return self.n < _LEAST


@dataclass(frozen=True, slots=True)
class HeatLine:
    """One group: a format whole, or a task or modality of it."""

    name: str
    whole: bool
    n: int
    cells: tuple[HeatCell | None, ...]
    floor: str
    ceiling: str


@dataclass(frozen=True, slots=True)
class Agreement:
    """Spearman's correlation of a value with the judge (or the headline), + is agreement."""

    title: str
    rho: float
    low: float
    high: float
    n: int


@dataclass(frozen=True, slots=True)
class MetricsPage:
    """What the page of a value shows."""

    value: ValueEntry
    systems: tuple[SystemEntry, ...]
    maps: Mapping[str, tuple[HeatLine, ...]]
    spread: tuple[tuple[str, Markup], ...]


@dataclass(frozen=True, slots=True)
class SetLine:
    """How far one system's pictures lie from the references, all together."""

    system: SystemEntry
    random: bool
    fid: str
    kid: str
    pairs: int
    left_out: int


def set_lines(data: StoredRun) -> Mapping[str, tuple[SetLine, ...]]:
    """By encoder, the nearest first; what could not be computed comes last."""
    entries = {entry.name: entry for entry in data.systems}
    found: dict[str, list[SetRow]] = {}
    for row in data.sets:
        found.setdefault(row.encoder, []).append(row)
    return {
        encoder: tuple(
            SetLine(
                entries[row.system],
                row.random_weights,
                numbers.significant((row.values or {}).get("fid")),
                numbers.significant((row.values or {}).get("kid")),
                row.pairs,
                row.left_out,
            )
            for row in sorted(rows, key=lambda r: (r.values or {}).get("fid", np.inf))
        )
        for encoder, rows in found.items()
    }


def metrics_page(
    data: StoredRun, certainty: Certainty, place: int, colors: Mapping[str, int]
) -> MetricsPage:
    """The page of one value."""
    value = data.values[place]
    order = _order(data, certainty)
    kinds = ("task", "modality", "task × modality", *data.samples.group_kinds)  # noqa: RUF001 a cross of two facets
    maps = {kind: tuple(_lines(data, value, order, kind)) for kind in kinds}
    spread = tuple(
        (format_title(f), drawn)
        for f in data.formats
        if f in value.formats and (drawn := _ecdf(data, value, f, order, colors)) is not None
    )
    return MetricsPage(value, tuple(order), maps, spread)


def _order(data: StoredRun, certainty: Certainty) -> list[SystemEntry]:
    """Systems by rank in the largest format; where none can be ranked, the controls."""
    first = next((f.standing for f in certainty.formats if f.standing), None)
    ranks = {name: i for i, name in enumerate(first.order)} if first else {}
    own = sorted(data.eligible, key=lambda s: ranks.get(s.name, len(ranks)))
    return own or list(data.controls)


def _lines(
    data: StoredRun, value: ValueEntry, order: Sequence[SystemEntry], kind: str
) -> "list[HeatLine]":
    found = []
    spans = _intervals(data, value, kind)
    for format_ in data.formats:
        if format_ not in value.formats:
            continue
        mask, place = format_mask(data, format_), f"f={data.formats.index(format_)}"
        groups = [(format_title(format_), mask, place, True)]
        for name, own, link in _groups(data, kind, mask):
            groups.append((name, mask & own, f"{place}&{link}", False))
        own_spans = {(group, system): ends for (f, group, system), ends in spans.items()
                     if f == format_}  # fmt: skip
        found += [_line(data, value, order, group, own_spans) for group in groups]
    return [line for line in found if any(c is not None for c in line.cells)]


Ends = tuple[float, float]


def _intervals(data: StoredRun, value: ValueEntry, kind: str) -> dict[tuple[str, str, str], Ends]:
    """The 95 % intervals that the summary has: (format, group or nothing, system) -> ends."""
    whole = [r for r in data.summary if value_key(r) == value.key and r["group_kind"] == "all"]
    rows = [*((r, "") for r in whole), *((r, r["group"]) for r in data.group_rows(kind, value))]
    return {
        (r["format"], group, r["system"]): (r["ci_low"], r["ci_high"])
        for r, group in rows
        if r["ci_low"] is not None and r["ci_high"] is not None
    }


def _groups(data: StoredRun, kind: str, mask: Mask) -> list[tuple[str, Mask, str]]:
    samples = data.samples
    if kind in samples.kinds:
        codes, words = samples.facet(kind).codes, samples.facet(kind).words
        own = kind in samples.group_kinds
        short = f"g={samples.group_kinds.index(kind)}." if own else _LINKS[kind]
        return [(words[c] or "(none)", codes == c, f"{short}{c}") for c in np.unique(codes[mask])]
    tasks, modalities = samples.facet("task").codes, samples.facet("modality").codes
    pairs = np.unique(np.stack([tasks[mask], modalities[mask]]), axis=1).T
    return [
        (
            f"{samples.facet('task').words[t]} · {samples.facet('modality').words[m] or '(none)'}",
            (tasks == t) & (modalities == m),
            f"task={t}&mod={m}",
        )
        for t, m in pairs
    ]


def _line(
    data: StoredRun,
    value: ValueEntry,
    order: Sequence[SystemEntry],
    group: tuple[str, Mask, str, bool],
    spans: Mapping[tuple[str, str], Ends],
) -> HeatLine:
    name, mask, link, whole = group
    grid = data.grid.get(value.key)
    rows = {
        s.name: _known(grid[s.place][mask]) if grid is not None else np.zeros(0)
        for s in data.systems
    }
    sign = -1.0 if value.direction == "lower" else 1.0
    floors = [
        float(rows[s.name].mean()) for s in data.controls if is_floor(s.name) and len(rows[s.name])
    ]
    floor = max(floors, key=lambda v: sign * v) if floors else None
    ceiling = float(rows["oracle"].mean()) if len(rows.get("oracle", ())) else None
    best = _best(data, value, order, mask)
    halves = [1.96 * float(r.std()) / np.sqrt(len(r)) for r in rows.values() if len(r) > 1]
    places = min(2, numbers.column_decimals(halves))
    cells = tuple(
        _heat_cell(
            s, rows[s.name], (floor, ceiling), s.name in best,
            (places, link, spans.get(("" if whole else name, s.name))),
        )
        for s in order
    )  # fmt: skip
    size = max((len(rows[s.name]) for s in order), default=0)
    return HeatLine(
        name, whole, size, cells, numbers.number(floor, places), numbers.number(ceiling, places)
    )


def _known(values: Grid) -> Floats:
    found: Floats = values[np.isfinite(values)].astype(np.float64)
    return found


def _best(data: StoredRun, value: ValueEntry, order: Sequence[SystemEntry], mask: Mask) -> set[str]:
    """Systems that are not shown to be worse than the best of the row."""
    if not value.direction:
        return set()
    found = best_group(field_of(data, value, [s.name for s in order], mask))
    return set(found) if len(order) > 1 else set()


def _heat_cell(
    entry: SystemEntry,
    values: Floats,
    ends: tuple[float | None, float | None],
    best: bool,
    drawn: tuple[int, str, Ends | None],
) -> HeatCell | None:
    if not len(values):
        return None
    mean, (floor, ceiling) = float(values.mean()), ends
    step = None
    if floor is not None and ceiling is not None and ceiling != floor:
        way = (mean - floor) / (ceiling - floor)
        step = min(_STEPS - 1, int(way * _STEPS)) if way >= 0 else max(-4, -1 - int(-way * 8))
    places, link, span = drawn
    title = f"{entry.name}: {mean:.6g}, n {len(values)}"
    href = f"gallery.html#{link}&sys={entry.place}&sort=worst"
    words = numbers.span(*span, places) if span else ""
    return HeatCell(numbers.number(mean, places), step, best, len(values), title, href, words)


def _ecdf(
    data: StoredRun,
    value: ValueEntry,
    format_: str,
    order: Sequence[SystemEntry],
    colors: Mapping[str, int],
) -> Markup | None:
    """Cumulative shares of up to four systems, in steps."""
    grid, mask = data.grid.get(value.key), format_mask(data, format_)
    if grid is None:
        return None
    curves = [(s, np.sort(_known(grid[s.place][mask]))) for s in order[:_ECDF]]
    curves = [(s, v) for s, v in curves if len(v)]
    if not curves:
        return None
    low, high = min(v[0] for _, v in curves), max(v[-1] for _, v in curves)
    axis, width, height, left, bottom = Axis(float(low), float(high)), 560, 240, 40, 34

    def at(x: float, share: float) -> tuple[float, float]:
        return left + (width - left - 150) * axis.at(x) / 100, 16 + (height - 16 - bottom) * (
            1 - share
        )

    parts = []
    for share in (0, 0.25, 0.5, 0.75, 1):
        y = at(low, share)[1]
        parts += [
            charts.line("grid", (left, y), (width - 150, y)),
            charts.text(left - 6, y + 4, f"{share:.0%}", "end"),
        ]
    for x, label in axis.ticks:
        parts.append(
            charts.text(left + (width - left - 150) * x / 100, height - bottom + 16, label)
        )
    parts.append(charts.text(width - 150, height - 4, f"{value.title} {value.arrow}", "end"))
    parts += _curves(curves, at, colors, width - 144)
    return charts.svg(
        f"Share of samples at or below a {value.title}: {format_short(format_)}",
        width,
        height,
        parts,
    )


def _curves(
    curves: Sequence[tuple[SystemEntry, Floats]],
    at: Callable[[float, float], tuple[float, float]],
    colors: Mapping[str, int],
    right: float,
) -> list[str]:
    """A line in steps for each system, and its name at the right."""
    parts = []
    for i, (entry, values) in enumerate(curves):
        where = np.unique(np.linspace(0, len(values) - 1, min(120, len(values))).astype(int))
        points, last = [], at(float(values[0]), 0.0)[1]
        for k in where:
            x, y = at(float(values[k]), (k + 1) / len(values))
            points += [f"{x:.1f},{last:.1f}", f"{x:.1f},{y:.1f}"]
            last = y
        number = colors[entry.name]
        parts.append(f'<polyline class="curve s{number} d{i}" points="{" ".join(points)}"/>')
        parts.append(
            charts.text(right, 30 + 18 * i, f"{_dash(i)} {entry.name[:16]}", "start strong")
        )
    return parts


def _dash(at: int) -> str:
    return ("──", "╌╌", "··", "─·")[at]


def agreements(data: StoredRun) -> "list[tuple[str, tuple[Agreement, ...]]]":
    """In each format, every value against the one that ranks it, over all systems' samples."""
    found = []
    for format_ in data.formats:
        head = headline(data, format_)
        if head is None or head.key not in data.grid:
            continue
        mask, places = format_mask(data, format_), [s.place for s in data.eligible or data.controls]
        sources = len(np.unique(data.clusters[mask]))
        lines = []
        for value in data.values:
            if (
                value == head
                or not value.overall
                or not value.direction
                or format_ not in value.formats
            ):
                continue
            grid = data.grid.get(value.key)
            if grid is None:
                continue
            line = _agree(
                data.grid[head.key][places][:, mask], grid[places][:, mask], (head, value), sources
            )
            lines += [line] if line else []
        if lines:
            title = f"{format_short(format_)}, against {head.title}"
            found.append((title, tuple(sorted(lines, key=lambda a: -a.rho))))
    return found


def _agree(
    left: Grid, right: Grid, values: tuple[ValueEntry, ValueEntry], sources: int
) -> Agreement | None:
    """The mean over systems of Spearman's rho, and Fisher's interval by the number of sources."""
    from scipy.stats import rankdata

    rhos, n = [], 0
    for a, b in zip(left, right, strict=True):
        both = np.isfinite(a) & np.isfinite(b)
        if both.sum() >= 5 and np.ptp(a[both]) and np.ptp(b[both]):
            rhos.append(float(np.corrcoef(rankdata(a[both]), rankdata(b[both]))[0, 1]))
            n += int(both.sum())
    if not rhos:
        return None
    sign = -1 if len({v.direction for v in values}) == 2 else 1
    rho = sign * float(np.mean(rhos))
    half = 1.96 / np.sqrt(max(1, sources - 3))
    z = np.arctanh(np.clip(rho, -0.999, 0.999))
    return Agreement(values[1].title, rho, float(np.tanh(z - half)), float(np.tanh(z + half)), n)
