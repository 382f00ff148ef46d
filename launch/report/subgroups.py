"""Values by groups, written beside a run and shown: gaps and worst groups first."""

from collections.abc import Iterator, Sequence

from medgen.engine.results.subgroups import FEWEST, GroupMean
from medgen.launch.report.escaping import visible
from medgen.launch.report.tables import number

_VALUES = 1  # of each format on a terminal
_GAPS = 6


def first_values(rows: Sequence[GroupMean], most: int) -> list[GroupMean]:
    """The rows of the first values of each format, metrics before judges."""
    names: dict[str, list[tuple[str, str]]] = {}
    for row in sorted(rows, key=lambda r: r.stage != "score"):
        known = names.setdefault(row.format, [])
        if (row.label, row.output) not in known and len(known) < most:
            known.append((row.label, row.output))
    return [row for row in rows if (row.label, row.output) in names[row.format]]


def subgroup_lines(rows: Sequence[GroupMean]) -> Iterator[str]:
    """The widest gaps in a few lines, for a terminal."""
    found = {}
    for row in first_values(rows, _VALUES):
        if row.gap is not None and row.worst:
            found[row.system, row.format, row.output, row.name] = row
    gaps = sorted(found.values(), key=lambda r: -(r.gap or 0.0))
    if gaps:
        yield f"Gaps between groups of at least {FEWEST} values (subgroups.parquet has all)"
    for row in gaps[:_GAPS]:
        where = f"{row.name}: worst {row.group} {number(row.mean)}"
        gap = f"gap {number(row.gap)} [{number(row.gap_low)}, {number(row.gap_high)}]"
        yield visible(f"{row.system:<24} {row.metric:<32} {where:<30} {gap}")
