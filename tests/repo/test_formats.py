"""A format is a name in tables: nothing but the readers and exporters of MedGEN-Bench knows one."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

from medgen.engine.data import FORMATS

ROOT = Path(__file__).parents[2]
PACKAGES = ("actors", "adapters", "conf", "engine", "launch", "metrics")
# Where names are given, and what reads and writes the benchmark's own files.
THEIRS = (
    "engine/data.py",
    "engine/benchmark/vocabulary.py",
    "adapters/mini/",
    "adapters/sources/",
    "launch/report/authors.py",
    "launch/view/board.py",  # titles of tables, in words
)


def names_of_formats(tree: ast.AST) -> Iterator[int]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and node.value in FORMATS:
            yield node.lineno


def test_no_other_module_names_a_format() -> None:
    files = sorted(file for package in PACKAGES for file in (ROOT / package).rglob("*.py"))
    assert len(files) > 200
    found = [
        f"{where}:{line}"
        for file in files
        if not (where := str(file.relative_to(ROOT))).startswith(THEIRS)
        for line in names_of_formats(ast.parse(file.read_text(encoding="utf-8")))
    ]
    assert found == []


@pytest.mark.parametrize("source", ['s.format == "VQA"', 'x["ImageEditing"]', 'f in ("VQA",)'])
def test_a_name_elsewhere_would_be_seen(source: str) -> None:
    assert list(names_of_formats(ast.parse(source)))
