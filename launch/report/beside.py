"""What stands beside the tables of systems: conditions, repeats, groups, labels, probabilities."""

from collections.abc import Iterator

from medgen.engine.results.calibration import CALIBRATION
from medgen.engine.results.conditions import CONDITIONS
from medgen.engine.results.labels import LABELS
from medgen.engine.results.repeats import REPEATS
from medgen.engine.results.subgroups import SUBGROUPS
from medgen.engine.run.reader import RunReader
from medgen.launch.report.conditions import condition_lines
from medgen.launch.report.labels import calibration_lines, label_lines
from medgen.launch.report.repeats import spread_lines
from medgen.launch.report.subgroups import subgroup_lines


def write_beside(reader: RunReader) -> Iterator[str]:
    """Compute and store all of it; gives them as lines for a terminal, which need not be taken.

    Raises:
        CorruptError: stored rows are damaged.
    """
    return iter(
        (
            *condition_lines(CONDITIONS.write(reader)),
            *spread_lines(REPEATS.write(reader)),
            *subgroup_lines(SUBGROUPS.write(reader)),
            *label_lines(LABELS.write(reader)),
            *calibration_lines(CALIBRATION.write(reader)),
        )
    )
