"""Rows of a table of JSON lines, read by a mapping."""

import json
from pathlib import Path
from typing import Any

from medgen.adapters.tables.mapping import read_mapping
from medgen.adapters.tables.source import RecordsSource
from medgen.engine.benchmark.source import Problem
from medgen.engine.data import Sample

TEXT: dict[str, Any] = {"instruction": "q", "task": "open-vqa", "answer": {"text": "a"}}


def read(root: Path, sample: dict[str, Any], **more: Any) -> list[Sample | Problem]:
    mapping = {"files": "t.jsonl", "sample": {**TEXT, **sample}, **more}
    return list(RecordsSource(str(root), read_mapping(mapping, "t")))


def write(root: Path, *made: dict[str, Any]) -> Path:
    text = "".join(json.dumps({"q": "What?", "a": "lung", **row}) + "\n" for row in made)
    (root / "t.jsonl").write_text(text)
    return root


def one(root: Path, sample: dict[str, Any], row: dict[str, Any]) -> Sample:
    (found,) = read(write(root, row), sample)
    assert isinstance(found, Sample), found
    return found


def fault(root: Path, sample: dict[str, Any], row: dict[str, Any]) -> str:
    (found,) = read(write(root, row), sample)
    assert isinstance(found, Problem), found
    assert found.file == "t.jsonl"
    assert found.row == 1
    return found.what
