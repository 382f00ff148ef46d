"""Values by groups, written beside a run and shown: gaps and worst groups first."""

from collections.abc import Iterator, Sequence

from medgen.engine.results.subgroups import FEWEST, GroupMean, group_means, groups_table
from medgen.engine.run.reader import RunReader
from medgen.engine.store.layout import RunPlace
from medgen.engine.store.objects import Objects
from medgen.engine.store.parquet import parquet_bytes, stored_rows
from medgen.launch.report.escaping import visible
from medgen.launch.report.tables import number

_VALUES = 1  # of each format on a terminal
_GAPS = 6


def write_subgroups(reader: RunReader) -> list[GroupMean]:
    """Compute and store; nothing for a benchmark without groups.

    Raises:
        CorruptError: stored rows are damaged.
    """
    rows = group_means(reader)
    if rows:
        place = RunPlace(reader.plan.run_id).beside("subgroups")
        reader.objects.replace(place, parquet_bytes(groups_table(rows)))
    return rows


def read_subgroups(objects: Objects, run_id: str) -> list[GroupMean]:
    """What was stored; empty where nothing was."""
    return stored_rows(objects, RunPlace(run_id).beside("subgroups"), GroupMean)


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
