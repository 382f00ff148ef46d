"""How fast a run went: rows a second, and what was still to be done, below its timeline."""

from collections.abc import Sequence

from markupsafe import Markup

from medgen.launch.view import charts, numbers
from medgen.launch.view.board import Axis
from medgen.launch.view.data import StoredRun
from medgen.launch.view.moments import moment

LEFT, WIDTH, RIGHT = 220, 1000, 10  # as the timeline's, so that moments stand below each other
_BINS, _HIGH, _GAP = 78, 44, 26
Done = Sequence[tuple[float, int]]  # when a shard was in the store, and how many rows it has


def flow(data: StoredRun) -> Markup | None:
    """Two steps on the timeline's axis: rows a second of all stages, and shards left."""
    receipts = [e for e in data.events() if e["event"] == "receipt" and e.get("time")]
    done = sorted((moment(e), sum(dict(e.get("rows") or {}).values())) for e in receipts)
    if len(done) < 2:
        return None
    starts = [moment(e) - float(e.get("seconds") or 0) for e in receipts]
    span = min(starts), done[-1][0]
    speeds, left = _speeds(done, span), _left(done, span)
    parts = [*_steps("rows a second", speeds, 0), *_steps("shards left", left, _HIGH + _GAP)]
    said = f"rows a second, at most {max(speeds):.3g}; shards left, {len(done)} at first"
    return charts.svg(said, WIDTH, 2 * (_HIGH + _GAP), parts)


def _speeds(done: Done, span: tuple[float, float]) -> list[float]:
    width = (span[1] - span[0]) / _BINS or 1.0
    found = [0.0] * _BINS
    for at, rows in done:
        found[min(_BINS - 1, int((at - span[0]) / width))] += rows / width
    return found


def _left(done: Done, span: tuple[float, float]) -> list[float]:
    width = (span[1] - span[0]) / _BINS or 1.0
    ends = [span[0] + width * (n + 1) for n in range(_BINS)]
    return [float(sum(at > end for at, _ in done)) for end in ends]


def _steps(title: str, values: Sequence[float], top: float) -> list[str]:
    axis, base = Axis(0.0, max(values) or 1.0), top + _GAP + _HIGH - 4
    wide = (WIDTH - LEFT - RIGHT) / _BINS
    parts = [
        charts.text(0, base - _HIGH / 2, title, "start"),
        charts.text(LEFT - 8, base - _HIGH + 8, numbers.significant(axis.high), "end"),
        charts.text(LEFT - 8, base, "0", "end"),
        charts.line("grid", (LEFT, base), (WIDTH - RIGHT, base)),
    ]
    for n, value in enumerate(values):
        high = _HIGH * axis.at(value) / 100
        if value:
            place = f'x="{LEFT + wide * n:.1f}" y="{base - high:.1f}"'
            parts.append(f'<rect class="flow" {place} width="{wide:.1f}" height="{high:.1f}"/>')
    return parts
