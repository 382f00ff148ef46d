"""Makes the small seeded weights of tests and the demo. They are random and say so."""

import importlib
from collections.abc import Iterator
from pathlib import Path

# Modules with a `make(directory)`, and the folder that each fills.
_MAKERS = {
    "medgen.metrics.tiny": "tiny-metrics",
    "medgen.adapters.tiny.vlm": "tiny-vlm",
    "medgen.adapters.tiny.diffusers": "tiny-diffusers",
}


def make_all(folder: Path) -> Iterator[Path]:
    """Run every maker; yields where each wrote."""
    for module, name in _MAKERS.items():
        where = folder / name
        where.mkdir(parents=True, exist_ok=True)
        importlib.import_module(module).make(where)
        yield where
