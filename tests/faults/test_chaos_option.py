"""`medgen run --chaos`: faults reach every process of a run, and say that they were there."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml
from fakes import Lines

from medgen.engine.benchmark.importing import ImportOptions, import_benchmark
from medgen.engine.results.summary import read_summary
from medgen.engine.run.folder import RunFolder, find_run
from medgen.engine.store.connect import connect

ROOT = Path(__file__).resolve().parents[2]
FAULTS = "seed=5,worker_kill=0.3,node_loss=0.3,store_errors=0.1,slow_store=0.05"


def medgen(folder: Path, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    paths = os.pathsep.join([str(ROOT), str(ROOT / "tests")])
    return subprocess.run(
        [sys.executable, "-m", "medgen", "run", "--config", str(folder / "run.yaml"), "--json",
         *arguments],
        env={**os.environ, "PYTHONPATH": paths, "RAY_AUTH_MODE": "disabled", **environment},
        cwd=ROOT, capture_output=True, text=True, timeout=200, check=False,
    )  # fmt: skip


def prepared(folder: Path) -> Path:
    folder.mkdir()
    store = str(folder / "store")
    import_benchmark(Lines(24), connect(store), ImportOptions("fake", 4))
    body = {
        "name": "rehearsal",
        "store": store,
        "benchmark": {"name": "fake"},
        "systems": [{"name": "echo", "answer": {"target": "fakes:Echo"}}],
        "protocol": {"name": "text", "metrics": {"token_f1": {}}},
        "cluster": {"name": "here", "pool": "local", "num_cpus": 4},
        "report": False,
    }
    (folder / "run.yaml").write_text(yaml.safe_dump(body))
    return folder


def summary(folder: Path) -> Any:
    objects = connect(str(folder / "store"))
    return read_summary(objects.read(f"runs/{find_run(objects, None)}/summary.parquet"))


@pytest.mark.parametrize(
    "overrides", [[], pytest.param(["cluster.pool=ray"], marks=pytest.mark.cluster)]
)
def test_a_rehearsed_run_gives_the_same_summary_and_says_that_it_was_one(
    tmp_path: Path, overrides: list[str]
) -> None:
    calm, rough = prepared(tmp_path / "calm"), prepared(tmp_path / "rough")
    assert medgen(calm).returncode == 0
    done = medgen(rough, *overrides, MEDGEN_RUN_CHAOS=FAULTS)
    assert done.returncode == 0, done.stderr[-2000:]
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    assert {"event": "chaos", "settings": FAULTS}.items() <= lines[1].items()
    troubles = [line["what"] for line in lines if line["event"] == "trouble"]
    assert "crashed" in troubles
    assert "lost" in troubles
    assert summary(rough).equals(summary(calm))
    objects = connect(str(rough / "store"))
    events = RunFolder(objects, find_run(objects, None)).events()
    assert [e["event"] for e in events].count("chaos") == 1


def test_faults_that_change_rows_leave_the_sound_run_alone(tmp_path: Path) -> None:
    folder = prepared(tmp_path / "both")
    failed = medgen(folder, "--chaos", "seed=1,api_errors=0.5")
    assert failed.returncode == 3, "rows that are not ok"
    sound = medgen(folder)
    assert sound.returncode == 0, "and none of them is met again"
    assert len(connect(str(folder / "store")).names("stages/answer")) == 2


def test_settings_that_make_no_sense_are_a_usage_error(tmp_path: Path) -> None:
    done = medgen(prepared(tmp_path / "odd"), "--chaos", "meteor=1")
    assert done.returncode == 2
    assert "chaos knows no 'meteor'" in done.stderr
