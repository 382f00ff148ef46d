"""What stands beside the tables of systems: conditions, repeats, groups, labels, probabilities."""

from collections.abc import Iterator

from medgen.engine.run.reader import RunReader
from medgen.launch.report.conditions import condition_lines, write_conditions
from medgen.launch.report.labels import (
    calibration_lines,
    label_lines,
    write_calibration,
    write_labels,
)
from medgen.launch.report.repeats import spread_lines, write_spreads
from medgen.launch.report.subgroups import subgroup_lines, write_subgroups


def write_beside(reader: RunReader) -> Iterator[str]:
    """Compute and store all of it; gives them as lines for a terminal, which need not be taken.

    Raises:
        CorruptError: stored rows are damaged.
    """
    effects, subgroups = write_conditions(reader), write_subgroups(reader)
    repeats = write_spreads(reader)
    labels, calibration = write_labels(reader), write_calibration(reader)
    return iter(
        (
            *condition_lines(effects),
            *spread_lines(repeats),
            *subgroup_lines(subgroups),
            *label_lines(labels),
            *calibration_lines(calibration),
        )
    )
