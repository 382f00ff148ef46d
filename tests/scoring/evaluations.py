"""Whole evaluations through the commands, in this process: import, replay, run, export."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml

from medgen.launch.cli import main

FOLDERS = {"VQA": "vqa", "ImageEdit": "edit", "MMGeneration": "gen"}


def medgen(*words: str) -> None:
    with pytest.raises(SystemExit) as end:
        main(list(words))
    assert end.value.code in (0, None), words


@dataclass(frozen=True)
class Exported:
    """What `medgen export --format jsonl` wrote for the one system."""

    records: Mapping[str, dict[str, Any]]  # by sample id, in the order of the files
    aggregates: Mapping[str, dict[str, Any]]  # by category
    folder: Path


def evaluate(folder: Path, records: Sequence[Mapping[str, Any]], protocol: Any) -> Exported:
    """Score records in the authors' format, whose pictures lie below `folder`."""
    files = []
    for category, name in FOLDERS.items():
        lines = [json.dumps(r) for r in records if r["category"] == category]
        if lines:
            files.append(str(folder / f"{name}.jsonl"))
            Path(files[-1]).write_text("\n".join(lines) + "\n")
    store, config = str(folder / "store"), folder / "run.yaml"
    system = {"name": "theirs", "answer": {"target": "replay", "kwargs": {"url": files}}}
    body = {"name": "records", "benchmark": {"name": "view"}, "systems": [system]}
    config.write_text(yaml.safe_dump(body | {"protocol": protocol, "cluster": "in-process"}))
    medgen("import", str(folder), "--name", "view", "--store", store, "--shard-size", "16")
    medgen("run", "--config", str(config), "--store", store, "--json")
    medgen("export", "--format", "jsonl", "--to", str(folder / "out"), "--store", store)
    found: dict[str, dict[str, Any]] = {}
    aggregates = {}
    for category, name in FOLDERS.items():
        if (file := folder / "out" / name / "theirs.jsonl").exists():
            made = map(json.loads, file.read_text().splitlines())
            found |= {record["sample_id"]: record for record in made}
            results = (folder / "out" / name / "theirs_results.json").read_text()
            aggregates[category] = json.loads(results)
    assert set(found) == {r["sample_id"] for r in records}
    return Exported(found, aggregates, folder / "out")
