"""The figures of the gate's simulation that docs/compare.md shows are those that were measured."""

import json
from pathlib import Path

from benchmarks.gate import SCENARIOS, table

ROOT = Path(__file__).parents[2]
KEPT = json.loads((ROOT / "benchmarks" / "results" / "gate.json").read_text(encoding="utf-8"))


def test_every_scenario_was_measured_and_is_shown() -> None:
    measured = [(row["name"], row["samples"], row["loss"]) for row in KEPT["scenarios"]]
    assert measured == [(s.name, s.samples, s.loss) for s in SCENARIOS]
    page = (ROOT / "docs" / "compare.md").read_text(encoding="utf-8")
    assert table(KEPT["scenarios"]) in page


def test_alarms_stay_at_their_level_where_patients_are_named_and_nowhere_else() -> None:
    null = [row for row in KEPT["scenarios"] if row["null"]]
    assert all(row["within_level"] for row in null if row["named"])
    assert not any(row["within_level"] for row in null if not row["named"])
