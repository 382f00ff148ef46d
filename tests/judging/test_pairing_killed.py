"""The authors' table of pairing by one command, whose driver is killed and started again."""

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

import medgen
from medgen.engine.store.connect import connect

ROOT = Path(__file__).resolve().parents[2]
GIVEN = (
    *("run", "--config", "demo-small", "--limit", "24", "systems=[oracle]", "judges=[rule]"),
    "conditions=[instruction-shuffle,image-shuffle,same-modality,unrelated,blank]",
    *("protocol=text-only", "cluster=in-process", "report=false"),
)


def start(store: Path) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [sys.executable, "-m", "medgen", *GIVEN, f"store={store}"],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        cwd=ROOT,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
    )


def finish(store: Path) -> None:
    process = start(store)
    _, error = process.communicate(timeout=900)
    assert process.returncode == 0, error.decode()[-2000:]


def shards(store: Path) -> int:
    return sum("/shard-" in path for path in connect(str(store)).walk("stages"))


@pytest.mark.trial
@pytest.mark.timeout(1800)
def test_the_table_of_pairing_is_the_same_after_kills(tmp_path: Path) -> None:
    finish(tmp_path / "whole")
    store, there = tmp_path / "killed", 0
    for more in (1, 4):
        process = start(store)
        while shards(store) < there + more and process.poll() is None:
            time.sleep(0.01)
        assert process.poll() is None, "it was over before it was killed"
        process.kill()
        process.communicate()
        there = shards(store)
    assert 0 < there < shards(tmp_path / "whole")
    finish(store)
    whole, killed = (medgen.open(str(s)).run().conditions() for s in (tmp_path / "whole", store))
    assert killed.equals(whole)
    assert [*dict.fromkeys(whole["condition"].to_pylist())] == [
        "instruction-shuffle", "image-shuffle", "same-modality", "unrelated", "blank",
    ]  # fmt: skip
