"""Makes the small seeded weights of tests and the demo. They are random and say so."""

import importlib
from collections.abc import Iterator, Mapping
from pathlib import Path


def make_all(folder: Path, makers: Mapping[str, str]) -> Iterator[Path]:
    """Run every maker (`module` -> folder name) that is not done; yields where each wrote."""
    for module, name in makers.items():
        where = folder / name
        where.mkdir(parents=True, exist_ok=True)
        importlib.import_module(module).make(where)
        yield where
