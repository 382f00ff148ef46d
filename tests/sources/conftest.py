"""The miniature benchmark, made once, and small benchmarks that a test may spoil."""

import json
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest
from sources.outside import RECORDS, write_directory, write_hub, write_view

from medgen.adapters.mini.build import build_mini
from medgen.adapters.mini.layouts import write_layouts
from medgen.engine.data import Sample


@pytest.fixture(scope="session")
def mini_samples() -> list[Sample]:
    return [item for item in build_mini() if isinstance(item, Sample)]


@pytest.fixture(scope="session")
def mini_layouts(
    mini_samples: list[Sample], tmp_path_factory: pytest.TempPathFactory
) -> Mapping[str, Path]:
    return write_layouts(tmp_path_factory.mktemp("layouts"), mini_samples)


@pytest.fixture(params=["directory", "view"])
def lines_layout(request: pytest.FixtureRequest, tmp_path: Path) -> tuple[Path, Path]:
    """A good benchmark in a layout of JSON lines: its folder, and its file of editing items."""
    write: Callable[[Path, list[dict[str, object]]], None]
    write = {"directory": write_directory, "view": write_view}[request.param]
    write(tmp_path, json.loads(json.dumps(RECORDS)))
    file = {"directory": "ImageEditing/noise-reconstruction/data.jsonl", "view": "edit.jsonl"}
    return tmp_path, tmp_path / file[request.param]


@pytest.fixture
def hub_layout(tmp_path: Path) -> Path:
    write_hub(tmp_path)
    return tmp_path
