"""The table of budgets is read, and a folder beyond it is named."""

import budget


def test_a_folder_over_its_budget_or_without_one_is_named() -> None:
    problems = budget.over({"run": 10.4, "new": 1.0, "plan": 2.0}, {"run": 10, "plan": 2})
    assert [p.partition(":")[0] for p in problems] == ["tests/run", "tests/new"]


def test_every_folder_of_tests_has_a_budget() -> None:
    table = budget.ROW.findall((budget.ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8"))
    files = (budget.ROOT / "tests").glob("*/test_*.py")
    assert {folder for folder, _ in table} == {file.parent.name for file in files}
