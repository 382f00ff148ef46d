"""What stands beside the tables of systems: what conditions changed, and gaps between groups."""

from collections.abc import Iterator

from medgen.engine.run.reader import RunReader
from medgen.launch.report.conditions import condition_lines, write_conditions
from medgen.launch.report.subgroups import subgroup_lines, write_subgroups


def write_beside(reader: RunReader) -> Iterator[str]:
    """Compute and store both; gives them as lines for a terminal, which need not be taken.

    Raises:
        CorruptError: stored rows are damaged.
    """
    effects, subgroups = write_conditions(reader), write_subgroups(reader)
    return iter((*condition_lines(effects), *subgroup_lines(subgroups)))
