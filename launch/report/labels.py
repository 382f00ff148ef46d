"""Labels and probabilities of a whole run, written beside it and shown."""

from collections.abc import Iterator, Sequence

from medgen.engine.results.calibration import (
    CalibrationRow,
)
from medgen.engine.results.labels import OVER_ALL, LabelRow
from medgen.launch.report.escaping import visible
from medgen.launch.report.tables import number

_LINES = 8  # of each kind on a terminal


def over_all(rows: Sequence[LabelRow]) -> tuple[LabelRow, ...]:
    """The means over labels, the best of each task first."""
    means = [row for row in rows if row.label == OVER_ALL]
    return tuple(sorted(means, key=lambda row: (row.task, -(row.f1 or 0.0))))


def label_lines(rows: Sequence[LabelRow]) -> Iterator[str]:
    """The means over labels in a few lines, for a terminal."""
    means = over_all(rows)
    if means:
        yield "Labels of a fixed list: macro F1 [95 %] (labels.parquet has each label)"
    for row in means[:_LINES]:
        value = f"{number(row.f1)} [{number(row.f1_low)}, {number(row.f1_high)}]"
        rest = f"kappa {number(row.kappa)}  AUROC {number(row.auroc)}  n {row.n}"
        yield visible(f"{row.system:<24} {row.task:<32} {value:<30} {rest}")


def calibration_lines(rows: Sequence[CalibrationRow]) -> Iterator[str]:
    """How probabilities fit, in a few lines, for a terminal."""
    if rows:
        yield "Probabilities of options: expected calibration error [95 %] (calibration.parquet)"
    for row in rows[:_LINES]:
        value = f"{number(row.ece)} [{number(row.ece_low)}, {number(row.ece_high)}]"
        rest = f"Brier {number(row.brier)}  n {row.n} ({row.without} without)"
        yield visible(f"{row.system:<24} {row.task:<32} {value:<30} {rest}")
