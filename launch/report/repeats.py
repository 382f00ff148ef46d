"""Systems that were asked several times, written beside a run and shown."""

from collections.abc import Iterator, Sequence

from medgen.engine.results.repeats import Spread
from medgen.launch.report.escaping import visible

_VALUES = 2  # of each format on a terminal


def spread_lines(rows: Sequence[Spread]) -> Iterator[str]:
    """The first values of each system and format for a terminal of 80 columns."""
    shown: dict[tuple[str, str], int] = {}
    if rows:
        yield "Asked again with other seeds (repeats.parquet has all)"
        head = f"{'system':<16}{'value':<24}{'times':>6} {'mean [95 %]':<18}"
        yield f"{head}{'sd seeds':>9}{'se n':>7}"
    for row in rows:
        place = (row.system, row.format)
        shown[place] = shown.get(place, 0) + 1
        if shown[place] <= _VALUES:
            yield from map(visible, _lines(row))


def _lines(row: Spread) -> Iterator[str]:
    value = f"{row.metric[:12]}, {row.format}"
    interval = f"{short(row.mean)} [{short(row.ci_low)}, {short(row.ci_high)}]"
    start = f"{row.system[:15]:<16}{value[:23]:<24}{row.repeats:>6} {interval:<18}"
    yield f"{start}{short(row.sd_seeds):>9}{short(row.se_samples):>7}"
    if row.pass_at:
        yield f"{'':<16}pass@1 {short(row.pass_at[0])}, {last_pass(row)}"


def last_pass(row: Spread) -> str:
    """The chance that one of all times is right, with its interval; empty where it has none."""
    if not row.pass_at:
        return ""
    low, high = row.pass_low[-1], row.pass_high[-1]
    ends = f" [{short(low)}, {short(high)}]" if low is not None else ""
    return f"pass@{row.repeats} {short(row.pass_at[-1])}{ends}"


def short(value: float | None) -> str:
    """Three significant digits, or a dash."""
    return "-" if value is None else f"{value:.3g}"
