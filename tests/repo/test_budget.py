"""The table of budgets is read, and a folder beyond it is named."""

from types import SimpleNamespace

import budget
import tiers


def test_a_folder_over_its_budget_or_without_one_is_named() -> None:
    problems = budget.over({"run": 10.4, "new": 1.0, "plan": 2.0}, {"run": 10, "plan": 2})
    assert [p.partition(":")[0] for p in problems] == ["tests/run", "tests/new"]


def test_every_folder_of_tests_has_a_budget() -> None:
    table = budget.ROW.findall((budget.ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8"))
    files = (budget.ROOT / "tests").glob("*/test_*.py")
    assert {folder for folder, _ in table} == {file.parent.name for file in files}


def test_a_test_is_slow_for_one_case_with_what_it_set_up() -> None:
    cases = [("t.py::a[1]", 0.3), ("t.py::a[1]", 0.3), ("t.py::a[2]", 0.1), ("t.py::b", 0.4)]
    reports = [SimpleNamespace(nodeid=name, duration=spent) for name, spent in cases]
    assert budget.slow(reports) == ["t.py::a"]


def test_what_is_said_to_be_slow_is_there() -> None:
    for name in tiers.SLOW:
        file, _, test = name.partition("::")
        text = (budget.ROOT / file).read_text(encoding="utf-8")
        assert f"def {test.rpartition('::')[2]}(" in text, f"{name}: renew tests/slow.txt"
