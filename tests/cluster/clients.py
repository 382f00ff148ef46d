"""`medgen` as a user has it: in processes of its own, away from the cluster."""

import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import requests
from cluster.ray_machines import ROOT, Machines

from medgen.engine.run.folder import RunFolder, Status, find_run
from medgen.engine.store.connect import connect


def start(folder: Path, env: dict[str, str], *words: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "medgen", *words],
        cwd=folder,
        env={**env, "PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def medgen(
    folder: Path, env: dict[str, str], *words: str, within: float = 200
) -> subprocess.CompletedProcess[str]:
    """A command to its end, which it must reach `within` seconds."""
    process = start(folder, env, *words)
    out, error = process.communicate(timeout=within)
    return subprocess.CompletedProcess(words, process.returncode, out, error)


def run_folder(folder: Path, name: str) -> RunFolder:
    objects = connect(str(folder / "store"))
    return RunFolder(objects, find_run(objects, name))


def status(folder: Path, name: str) -> Status:
    found = run_folder(folder, name).status()
    assert found is not None
    return found


def wait_for(what: Callable[[], bool], client: subprocess.Popen[str] | None = None) -> None:
    until = time.monotonic() + 120
    while not what():
        assert time.monotonic() < until, "it did not come about in time"
        assert client is None or client.poll() is None, client.communicate()
        time.sleep(0.5)


def committed(folder: Path) -> int:
    """Answer shards in the store."""
    stages = folder / "store" / "stages" / "answer"
    return len(list(stages.glob("*/*/shard-*.arrow")))


def exported(cluster: Machines) -> set[str]:
    """Names of the series that the head's exporter shows now."""
    text = requests.get(cluster.metrics, timeout=10).text
    return {line.partition("{")[0] for line in text.splitlines() if line.startswith("ray_medgen")}
