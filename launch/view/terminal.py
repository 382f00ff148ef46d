"""Results on a terminal of 80 columns: what came out, a table a format, what failed, what next.

At most six columns: no boxes, since rules and colour do not survive a pipe and columns do. The best
group is bold; where there is no colour a star stands before its names.
"""

import os
import sys
from collections import Counter
from collections.abc import Iterator
from typing import TextIO

from rich.console import Console
from rich.text import Text

from medgen.engine.results.gaps import stopped_early
from medgen.launch.hints import resume_words, store_words, view_command
from medgen.launch.report.escaping import visible
from medgen.launch.report.tables import FEW
from medgen.launch.view import numbers, overview, sayings
from medgen.launch.view.board import SHORTEST, Board, BoardRow, boards
from medgen.launch.view.certain import Certainty
from medgen.launch.view.data import StoredRun

_NAME, _WIDE_NAME, _WIDE = 24, 40, 120
_LABEL = 7
_OWED = 5  # metrics and judges without a value that are named
_WORDS = {"sure": "green", "likely": "yellow", "alike": "default", "not shown": "dim"}
# What a terminal without UTF-8 shows instead.
_PLAIN = str.maketrans({
    "●": "[sure]", "◐": "[likely]", "○": "[-]", "≈": "[alike]", "↑": "^", "↓": "v", "…": "...",
    "·": "-", "\u2013": "-", numbers.MINUS: "-", "✓": "ok", "✕": "x", FEW: "#",
})  # fmt: skip


def print_results(data: StoredRun, certainty: Certainty) -> None:
    """Print what came of a run to standard output."""
    console = Console(highlight=False, soft_wrap=True)
    plain = not console.is_terminal or console.no_color or os.environ.get("TERM") == "dumb"
    for line in result_lines(data, certainty, console.width, plain):
        known = spelt(line.plain, sys.stdout)
        console.print(line if known == line.plain else Text(known))


def spelt(line: str, out: TextIO) -> str:
    """A line in the signs that a stream has: without UTF-8, words stand for glyphs."""
    return line if "utf" in (out.encoding or "utf-8").lower() else line.translate(_PLAIN)


def result_lines(data: StoredRun, certainty: Certainty, width: int, plain: bool) -> Iterator[Text]:
    """The lines, styled; `plain` marks the best group with a star."""
    made = boards(data, certainty)
    failed = overview.failed_of(data, certainty)
    yield _first_line(data, failed)
    yield Text()
    for saying in sayings.sayings(data, certainty, made):
        yield from _saying_lines(saying, width)
    for board in made:
        yield Text()
        yield from _board_lines(board, width, plain)
    yield Text()
    yield from _last_lines(data, failed)


def _first_line(data: StoredRun, failed: overview.Failed) -> Text:
    state = overview.state_of(data)
    line = Text(f"{overview.run_title(data)}: ", style="")
    line.append(state.word, style="bold green" if state.tone == "ok" else "bold yellow")
    if data.status is not None:
        line.append(f" in {numbers.duration(overview.seconds_taken(data.status))}")
    share = numbers.percent(failed.total, failed.owed)
    line.append(f". {numbers.count(failed.owed)} predictions, {numbers.count(failed.total)} failed")
    line.append(f" ({share})" if failed.total else "")
    return line


def _saying_lines(saying: sayings.Saying, width: int) -> Iterator[Text]:
    left = 25
    note = "" if saying.word == "sure" else saying.note  # why it is no surer
    words = f"{saying.bold}{saying.rest} {note}".replace(numbers.MINUS, "-").split()
    rows, room = [""], max(30, min(width, 100) - left)
    for word in words:
        if rows[-1] and len(rows[-1]) + 1 + len(word) > room:
            rows.append("")
        rows[-1] += f" {word}" if rows[-1] else word
    for i, row in enumerate(rows):
        line = Text()
        line.append(f"{saying.short[:SHORTEST]:<12}" if not i else " " * 12, style="bold")
        word = f"{saying.glyph} {saying.word}"
        line.append(f"{word:<13}" if not i else " " * 13, style=_WORDS.get(saying.word, "dim"))
        line.append(visible(row))
        yield line


def _board_lines(board: Board, width: int, plain: bool) -> Iterator[Text]:
    room = _WIDE_NAME if width >= _WIDE else _NAME
    unit = ", 1 to 10" if board.value.key[0] == "judge" else ""
    title = f"{board.title} · {board.value.title}{unit} {board.value.arrow}"
    yield Text(f"{title} · {numbers.count(board.samples)} samples", style="bold")
    second = board.columns[0] if board.columns else None
    head = f"{'rank':<7}{'system':<{room + 1}}{'mean':>8}  {'95 %':<15}"
    if second:
        head += f"{_cut(f'{second.title} {second.arrow}', 13):>13}"
    yield Text(f"{head}{'coverage':>10}", style="dim")
    shown = _ordered_rows(board)
    for label, row in shown:
        yield _row_line(label, row, room, plain, bool(second))
    for remark in dict.fromkeys(row.remark for _, row in shown if row.remark):
        yield Text(f"{'':<7}{FEW} interval: {remark}", style="dim")
    if board.plumbing:
        many = len(board.plumbing)
        words = (
            f"{many} system{'s' * (many > 1)} with random weights: plumbing, not results (--all)"
        )
        yield Text(f"{'':<7}{words}", style="dim")


def _ordered_rows(board: Board) -> list[tuple[str, BoardRow]]:
    """Systems by rank; floor and ceiling stand where their means do."""
    rows = [(r.rank, r) for r in board.rows]
    sign = 1 if board.value.direction == "lower" else -1
    ends = [("floor", board.floor), ("ceil", board.ceiling)]
    for label, row in ends:
        if row is not None and row.mean is not None:
            rows.append((label, row))
    if not board.rows:
        rows += [("", c) for c in board.controls if c not in (board.floor, board.ceiling)]
    known = [r for r in rows if r[1].mean is not None]
    known.sort(key=lambda r: sign * (r[1].mean or 0.0))
    return known + [r for r in rows if r[1].mean is None]


def _row_line(label: str, row: BoardRow, room: int, plain: bool, second: bool) -> Text:
    star = "*" if plain and row.best else ""
    name = _cut(star + visible(row.entry.name), room)
    style = "dim" if row.entry.control else "bold" if row.best else ""
    line = Text(_dash(f"{label:<7}"), style="dim" if row.entry.control else "")
    line.append(f"{name:<{room + 1}}{_dash(row.text):>8}  ", style=style)
    line.append(f"{_bracket(row):<15}", style="dim" if row.entry.control else "")
    if second:
        cell = row.cells[0]
        best = "bold" if cell.best else style.replace("bold", "")
        line.append(f"{_dash(cell.text):>13}", style=best)
    tone = {"warn": "yellow", "bad": "red"}.get(row.coverage_word, "")
    line.append(f"{row.coverage:>10}", style="dim" if row.entry.control else tone)
    return line


def _bracket(row: BoardRow) -> str:
    """The interval in brackets, or n; a mark where a remark must be read with it."""
    ends = row.span.replace("–", " to ").split(" to ")  # noqa: RUF001 the dash of ranges
    shown = f"[{', '.join(map(_dash, ends))}]" if row.low is not None else row.span
    return shown + FEW if row.remark else shown


def _last_lines(data: StoredRun, failed: overview.Failed) -> Iterator[Text]:
    if failed.total:
        words = ", ".join(f"{s} {numbers.count(n)}" for s, n in failed.by_status)
        yield _labelled_line("failed", words, "red", "")
    stopped = stopped_early(data.plan, data.status.failed if data.status else {})
    for system, why in stopped.items():
        yield _labelled_line("stopped", visible(f"{system}, {why}"), "yellow", "")
    yield from _owed_lines(data)
    view = view_command(data.run_id, data.objects.url)
    yield _labelled_line("look", view, "dim", "cyan")
    if failed.total:
        yield _labelled_line("why", f"{view} --page failures", "dim", "cyan")
    elif data.status and data.status.status != "success":
        yield _labelled_line("go on", resume_words(data.run_id, data.objects.url), "dim", "cyan")
    else:
        yield _labelled_line("files", f"{view} --bundle out", "dim", "cyan")


def _owed_lines(data: StoredRun) -> Iterator[Text]:
    """Each metric and judge that the run owes and of which it has not one value, and how it failed.

    No reason is quoted: it may hold words of a sample, and the report has it.
    """
    owed: dict[str, Counter[str]] = {}
    valued: set[str] = set()
    for row in data.summary:
        name = str(row["label"])
        if row["stage"] == "judge":
            name += f" {str(row['output']).partition('/')[0].replace('_', ' ')}"
        if row["n"]:
            valued.add(name)
        elif row["expected"] > row["not_applicable"]:
            counts = owed.setdefault(name, Counter())
            counts.update({k[7:]: v for k, v in row.items() if k.startswith("status_") and v})
    owed = {name: counts for name, counts in owed.items() if name not in valued}
    for name, counts in list(owed.items())[:_OWED]:
        counts.pop("not_applicable", None)
        how = ", ".join(f"{status} {numbers.count(n)}" for status, n in counts.most_common())
        yield _labelled_line("owed", visible(f"{name}: not one value ({how})"), "red", "")
    if len(owed) > _OWED:
        store = store_words(data.objects.url)
        more = f"{len(owed) - _OWED} more without a value: medgen report --all{store}"
        yield _labelled_line("owed", more, "red", "")


def _labelled_line(label: str, words: str, style: str, own: str) -> Text:
    return Text(f"{label:<{_LABEL}} ", style=style).append(words, style=own)


def _dash(text: str) -> str:
    """Signs of pages as files and terminals have them."""
    return text.replace(numbers.MINUS, "-").replace("–", "-")  # noqa: RUF001 the dash of ranges


def _cut(name: str, most: int) -> str:
    """A name cut in its middle."""
    if len(name) <= most:
        return name
    half = (most - 1) // 2
    return f"{name[: most - 1 - half]}…{name[-half:]}"
