"""Results on a terminal: one table a format, systems by metrics, never a mean without its n."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
from rich.table import Table
from rich.text import Text

from engine.columns import PREDICTION_STATUSES, STATUSES
from engine.nouns import FORMATS

PLUMBING = "random weights: plumbing, not results"
_VIEW_NAMES = {"reference_based": "with reference", "reference_free": "without reference"}
_ARROWS = {"higher": " ↑", "lower": " ↓"}

Row = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Line:
    """One system in one format: its cells by metric, failures, and whether it is plumbing."""

    system: str
    cells: Mapping[str, Row]
    failures: Mapping[str, int]
    expected: int
    random_weights: bool


@dataclass(frozen=True, slots=True)
class FormatTable:
    """The manuscript's table for one format: metrics across, systems down."""

    format: str
    metrics: tuple[str, ...]
    titles: Mapping[str, str]
    lines: tuple[Line, ...]


def format_tables(summary: pa.Table) -> list[FormatTable]:
    """The whole-format rows of a summary as tables, formats in their usual order."""
    rows = summary.filter(pc.equal(summary["group_kind"], "all")).to_pylist()
    found = {row["format"] for row in rows}
    order = [*(f for f in FORMATS if f in found), *sorted(found - set(FORMATS))]
    return [_format_table(f, [r for r in rows if r["format"] == f]) for f in order]


def _format_table(name: str, rows: Sequence[Row]) -> FormatTable:
    titles = {column_key(r): metric_title(r) for r in rows}
    systems = dict.fromkeys(r["system"] for r in rows)
    lines = tuple(_line(s, [r for r in rows if r["system"] == s]) for s in systems)
    return FormatTable(name, tuple(titles), titles, lines)


def column_key(row: Row) -> str:
    """What makes a column: two metrics may show the same name."""
    return f"{row['stage']}/{row['label']}/{row['output']}"


def metric_title(row: Row) -> str:
    """A metric's heading: name, view, direction and pass mark."""
    name, _, view = str(row["metric"]).rpartition("/")
    shown = f"{name} {_VIEW_NAMES[view]}" if view in _VIEW_NAMES else str(row["metric"])
    mark = "" if row["threshold"] is None else f"\npass {row['pass_when']} {row['threshold']:g}"
    return shown.replace("_", " ") + _ARROWS.get(row["direction"], "") + mark


def _line(system: str, rows: Sequence[Row]) -> Line:
    return Line(
        system=system,
        cells={column_key(r): r for r in rows},
        failures=prediction_failures(rows[0]),
        expected=rows[0]["expected"],
        random_weights=any(r["random_weights"] for r in rows),
    )


def prediction_failures(row: Row) -> dict[str, int]:
    """Predictions that are not ok, by status."""
    counts = {s: row[f"prediction_{s}"] for s in PREDICTION_STATUSES if s != "ok"}
    return {s: n for s, n in counts.items() if n}


def score_failures(row: Row) -> dict[str, int]:
    """Scores that are neither ok nor beside the point, by status."""
    quiet = ("ok", "not_applicable")
    counts = {s: row[f"status_{s}"] for s in STATUSES if s not in quiet}
    return {s: n for s, n in counts.items() if n}


def number(value: float | None) -> str:
    """Four significant digits, or a dash."""
    return "-" if value is None else f"{value:.4g}"


def share(value: float | None) -> str:
    """A proportion in percent, or a dash."""
    return "-" if value is None else f"{100 * value:.1f} %"


def cell_lines(row: Row | None) -> list[str]:
    """A cell: mean, interval, pass rate, n of N, and why values are absent."""
    if row is None:
        return ["-"]
    applicable = row["expected"] - row["not_applicable"]
    lines = [number(row["mean"])]
    if row["n"]:
        lines[0] += f" [{number(row['ci_low'])}, {number(row['ci_high'])}]"
    if row["pass_rate"] is not None:
        lines.append(f"pass {share(row['pass_rate'])}")
    lines.append(f"n {row['n']}/{applicable}")
    lines += [f"{count} {status}" for status, count in score_failures(row).items()]
    return lines


def terminal_tables(summary: pa.Table) -> list[Table]:
    """The tables to print, one a format."""
    return [_terminal_table(t) for t in format_tables(summary)]


def _terminal_table(shape: FormatTable) -> Table:
    note = "mean [95 % CI], pass rate, n of applicable samples, failures by status"
    table = Table(title=shape.format, caption=note, show_lines=True, title_justify="left")
    table.add_column("system")
    for key in shape.metrics:
        table.add_column(Text(shape.titles[key]))
    table.add_column("predictions")
    for line in shape.lines:
        cells = [Text("\n".join(cell_lines(line.cells.get(key)))) for key in shape.metrics]
        table.add_row(_system_cell(line), *cells, Text("\n".join(prediction_lines(line))))
    return table


def _system_cell(line: Line) -> Text:
    text = Text(line.system, style="bold")
    if line.random_weights:
        text.append(f"\n{PLUMBING}", style="yellow not bold")
    return text


def prediction_lines(line: Line) -> list[str]:
    """How many predictions are ok, of how many, and what became of the others."""
    fine = line.expected - sum(line.failures.values())
    return [f"ok {fine}/{line.expected}", *(f"{n} {s}" for s, n in line.failures.items())]
