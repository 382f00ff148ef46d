"""The changes of `make mutants` are changes, and one at a time."""

import ast
from pathlib import Path

import pytest

from benchmarks._mutating import mutants, mutate

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
    assert {mutate(before, mutant) for mutant in mutants("x.py", before)} == after


def test_each_change_of_a_module_is_another_module() -> None:
    text = (ROOT / "engine/results/statistics.py").read_text(encoding="utf-8")
    every = list(mutants("statistics.py", text))
    assert len(every) > 100
    made = [mutate(text, mutant) for mutant in every[::15]]
    assert len({ast.dump(ast.parse(one)) for one in [*made, text]}) == len(made) + 1
