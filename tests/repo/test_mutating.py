"""The changes of `make mutants` are changes, and one at a time."""

import ast
from pathlib import Path

import pytest

from benchmarks._mutating import mutants, mutate
from benchmarks.mutants import equivalent

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("x < 2", {"x <= 2", "x < 3"}),
        ("x in y and z", {"x not in y and z", "x in y or z"}),
        ("a + b * c", {"a - b * c", "a + b / c"}),
        ("not x", {"x"}),
        ("f(True)", {"f(False)"}),
        ("a if b else c", {"a if not b else c"}),
        ("x: Final[Literal[1]] = y", set()),
        ("@dataclass(slots=True)\nclass A:\n    pass", set()),
        ("'a' + b", set()),
        ("raise E(f'{x + 1} of 2')", set()),
        ("def f():\n    return g()", {"def f():\n    return None"}),
    ],
)
def test_a_line_has_these_changes(before: str, after: set[str]) -> None:
    made = {mutate(before, mutant) for mutant in mutants("x.py", before)}
    assert {ast.unparse(ast.parse(one)) for one in made} == after


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("not (x or y) and z  # why", "(x or y) and z  # why"),
        ("a * (\n    b + c\n)", "a * (\n    (b - c)\n)"),
        ("'…' in a and 1", "('…' not in a) and 1"),
    ],
)
def test_the_rest_stays_as_it_is_written(before: str, after: str) -> None:
    assert after in {mutate(before, mutant) for mutant in mutants("x.py", before)}


def test_what_is_called_equivalent_is_in_the_code() -> None:
    for change in equivalent():
        file = change.partition(" ")[0]
        text = (ROOT / file).read_text(encoding="utf-8")
        assert change in {mutant.key for mutant in mutants(file, text)}, change


def test_each_change_of_a_module_is_another_module() -> None:
    text = (ROOT / "engine/results/statistics.py").read_text(encoding="utf-8")
    every = list(mutants("statistics.py", text))
    assert len(every) > 100
    made = [mutate(text, mutant) for mutant in every[::15]]
    assert len({ast.dump(ast.parse(one)) for one in [*made, text]}) == len(made) + 1
