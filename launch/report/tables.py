"""Results on a terminal: one table a format, systems by metrics, never a mean without its n."""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
from rich.table import Table
from rich.text import Text

from medgen.engine.data import FINE, FORMATS
from medgen.engine.results.columns import PREDICTION_STATUSES, STATUSES
from medgen.engine.results.making import unlike_notes
from medgen.launch.report.escaping import visible

PLUMBING = "random weights: plumbing, not results"
FEW = "‡"  # beside a mean whose interval is to be read with a remark
_VIEW_NAMES = {"reference_based": "with reference", "reference_free": "without reference"}
_ARROWS = {"higher": " ↑", "lower": " ↓"}

_REASON_SHOWN = 160  # letters of a reason in a cell without any value

Row = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Line:
    """One system in one format: its cells by metric, and its predictions by status."""

    system: str
    cells: Mapping[str, Row]
    failures: Mapping[str, int]
    expected: int

    @property
    def random_weights(self) -> bool:
        """Whether nothing in this line is a result."""
        return all(row["random_weights"] for row in self.cells.values())


@dataclass(frozen=True, slots=True)
class FormatTable:
    """The manuscript's table for one format: metrics across, systems down."""

    title: str
    titles: Mapping[str, str]  # heading by column
    lines: tuple[Line, ...]
    notes: tuple[str, ...] = ()  # where like does not stand beside like

    @property
    def metrics(self) -> tuple[str, ...]:
        """The columns, in the plan's order."""
        return tuple(self.titles)

    @property
    def interval_notes(self) -> list[str]:
        """What its intervals are to be read with."""
        return interval_notes(row for line in self.lines for row in line.cells.values())

    @property
    def random_weights(self) -> bool:
        """Whether anything in the table is not a result."""
        return any(r["random_weights"] for line in self.lines for r in line.cells.values())


def format_tables(summary: pa.Table) -> list[FormatTable]:
    """The whole-format rows of a summary as tables, formats in their usual order.

    A format has one table of its metrics and the judge's overall scores, and one of the judge's
    other dimensions when there are any.
    """
    rows = summary.filter(pc.equal(summary["group_kind"], "all")).to_pylist()
    found = {row["format"] for row in rows}
    tables = []
    for name in (*(f for f in FORMATS if f in found), *sorted(found - set(FORMATS))):
        own = [r for r in rows if r["format"] == name]
        details = [r for r in own if _is_detail(r)]
        main = [r for r in own if not _is_detail(r)]
        tables += [_format_table(name, main)] if main else []
        tables += [_format_table(f"{name}: judge's dimensions", details)] if details else []
    return tables


def _is_detail(row: Row) -> bool:
    return row["stage"] == "judge" and not str(row["output"]).startswith("overall")


def _format_table(title: str, rows: Sequence[Row]) -> FormatTable:
    titles = {column_key(r): metric_title(r) for r in rows}
    systems = dict.fromkeys(r["system"] for r in rows)
    lines = tuple(_line(s, [r for r in rows if r["system"] == s]) for s in systems)
    makings = [(str(r["metric"]), str(r["system"]), json.loads(r["making"])) for r in rows]
    return FormatTable(title, titles, lines, tuple(unlike_notes(makings)))


def _line(system: str, rows: Sequence[Row]) -> Line:
    return Line(
        system=system,
        cells={column_key(r): r for r in rows},
        failures=prediction_failures(rows[0]),
        expected=rows[0]["expected"],
    )


def column_key(row: Row) -> str:
    """What makes a column: two metrics may show the same name."""
    return f"{row['stage']}/{row['label']}/{row['output']}"


def metric_title(row: Row) -> str:
    """A metric's heading: name, view, direction and pass mark."""
    # An output's own name is enough under its metric; a judge's says the view as well.
    full = str(row["metric"]) if row["stage"] == "judge" else str(row["output"])
    name, _, view = full.rpartition("/")
    shown = f"{name} {_VIEW_NAMES[view]}" if view in _VIEW_NAMES else full
    mark = "" if row["threshold"] is None else f"\npass {row['pass_when']} {row['threshold']:g}"
    return shown.replace("_", " ") + _ARROWS.get(row["direction"], "") + mark


def prediction_failures(row: Row) -> dict[str, int]:
    """Predictions that failed, by status."""
    counts = {s: row[f"prediction_{s}"] for s in PREDICTION_STATUSES if s not in FINE}
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


def cell_lines(line: Line, column: str) -> list[str]:
    """A cell: mean, interval, pass rate, n of N, and why values are absent.

    A dagger marks a cell that is not a result, in a line of which others are.
    """
    row = line.cells.get(column)
    if row is None:
        return ["-"]
    lines = [number(row["mean"])]
    if row["random_weights"] and not line.random_weights:
        lines[0] += " †"
    if row["n"]:
        lines[0] += f" {FEW}" if _is_remarked(row) else ""
        lines += interval_lines(row)
    if row["pass_rate"] is not None:
        lines.append(f"pass {share(row['pass_rate'])}")
    lines.append(f"n {row['n']}/{row['expected'] - row['not_applicable']}")
    lines += [f"{count} {status}" for status, count in score_failures(row).items()]
    if not row["n"] and row.get("reason"):
        lines.append(visible(str(row["reason"]))[:_REASON_SHOWN])
    return lines


def interval_lines(row: Row) -> list[str]:
    """A 95 % interval, or why there is none; `interval_notes` say what must be known beside it."""
    if row["ci_low"] is None:
        return [row["ci_note"]] if row["ci_note"] else []
    return [f"[{number(row['ci_low'])}, {number(row['ci_high'])}]"]


def _is_remarked(row: Row) -> bool:
    return bool(row["ci_note"]) and row["ci_low"] is not None


def interval_notes(rows: Iterable[Row]) -> list[str]:
    """What the intervals of a table are to be read with, each remark once."""
    found = dict.fromkeys(str(row["ci_note"]) for row in rows if _is_remarked(row))
    return [f"{FEW} interval: {remark}" for remark in found]


def terminal_tables(summary: pa.Table, width: int) -> list[Table]:
    """The tables to print: the headline values of each format, cut into tables that fit.

    A metric's headline values are its first output and those with a pass mark; of a judge, its
    overall scores. The report shows all of them.
    """
    tables = []
    for shape in (t for t in format_tables(summary) if t.title in FORMATS):
        columns = _headlines(shape)
        fitting = max(1, (width - _SYSTEM_WIDTH - _CELL_WIDTH) // _CELL_WIDTH)
        cuts = [columns[at : at + fitting] for at in range(0, len(columns), fitting)]
        tables += [_terminal_table(shape, cut, last=cut is cuts[-1]) for cut in cuts]
    return tables


# Characters with padding and border: "[0.1234, 0.5678]" is the widest usual line of a cell.
_CELL_WIDTH = 19
_SYSTEM_WIDTH = 24


def _headlines(shape: FormatTable) -> list[str]:
    first: dict[str, str] = {}
    for column in shape.titles:
        first.setdefault(column.rpartition("/")[0], column)
    rows = [row for line in shape.lines for row in line.cells.values()]
    marked = {column_key(row) for row in rows if row["threshold"] is not None}
    details = {column_key(row) for row in rows if row["stage"] == "judge"}
    return [c for c in shape.titles if c in first.values() or c in marked or c in details]


def _terminal_table(shape: FormatTable, columns: Sequence[str], last: bool) -> Table:
    note = "mean, 95 % interval, pass rate, n of applicable samples, failures by status"
    if shape.random_weights:
        note += f"\n† {PLUMBING}"
    note += "".join(f"\n{visible(n)}" for n in (*shape.interval_notes, *shape.notes))
    table = Table(
        title=Text(visible(shape.title)),
        caption=Text(note) if last else None,
        show_lines=True,
        title_justify="left",
        caption_justify="left",
    )
    table.add_column("system", width=_SYSTEM_WIDTH - 3, overflow="fold")
    for column in columns:
        table.add_column(
            Text(visible(shape.titles[column], lines=True)), max_width=_CELL_WIDTH, overflow="fold"
        )
    if last:
        table.add_column("predictions")
    for line in shape.lines:
        cells = [Text("\n".join(cell_lines(line, key))) for key in columns]
        ending = [Text("\n".join(prediction_lines(line)))] if last else []
        table.add_row(_system_cell(line), *cells, *ending)
    return table


def _system_cell(line: Line) -> Text:
    text = Text(visible(line.system), style="bold")
    if line.random_weights:
        text.append(f"\n† {PLUMBING}", style="yellow not bold")
    return text


def prediction_lines(line: Line) -> list[str]:
    """How many predictions are ok, of how many, and what became of the others."""
    fine = line.expected - sum(line.failures.values())
    return [f"ok {fine}/{line.expected}", *(f"{n} {s}" for s, n in line.failures.items())]
