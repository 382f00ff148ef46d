"""SIGKILL of the driver at random moments: the next run finishes, nothing is done twice."""

import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
import yaml
from fakes import Lines

from medgen.engine.benchmark.importing import ImportOptions, import_benchmark
from medgen.engine.benchmark.manifest import find_benchmark
from medgen.engine.results.summary import read_summary
from medgen.engine.run.folder import RunFolder, find_run
from medgen.engine.run.reader import RunReader
from medgen.engine.store.connect import connect

ROOT = Path(__file__).resolve().parents[2]
COUNT, SHARD = 48, 4


def config(folder: Path, store: str, pool: str) -> Path:
    """A run of the fake system; every sample asked leaves a line in `calls`."""
    how = {"calls": str(folder / "calls"), "pause": "0.02"}
    body = {
        "name": "killed",
        "store": store,
        "benchmark": {"name": "fake"},
        "systems": [
            {
                "name": "echo",
                "answer": {
                    "target": "fakes:Echo",
                    "kwargs": {"execution": how},
                    "resources": {"cpus": 0.5},
                },
            }
        ],
        "protocol": {"name": "text", "metrics": {"bleu": {}, "token_f1": {}}},
        "cluster": {"name": "here", "pool": pool, "num_cpus": 4},
        "report": False,
    }
    path = folder / "run.yaml"
    path.write_text(yaml.safe_dump(body))
    return path


def start(path: Path) -> subprocess.Popen[bytes]:
    """The command line in a process group of its own."""
    paths = os.pathsep.join([str(ROOT), str(ROOT / "tests")])
    environment = {**os.environ, "PYTHONPATH": paths, "RAY_AUTH_MODE": "disabled"}
    return subprocess.Popen(
        [sys.executable, "-m", "medgen", "run", "--config", str(path), "--json"],
        env=environment,
        cwd=ROOT,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
    )


def committed(store: str) -> set[str]:
    """Sample ids whose predictions are in the store."""
    objects = connect(store)
    if not objects.names("runs"):
        return set()
    reader = RunReader(objects, RunFolder(objects, find_run(objects, "killed")).plan())
    (node,) = reader.plan.predictions("echo")
    found: set[str] = set()
    for shard in range(reader.plan.shards):
        table = reader.table(node, shard)
        found |= set() if table is None else set(table["sample_id"].to_pylist())
    return found


def asked(folder: Path) -> list[str]:
    path = folder / "calls"
    return path.read_text().split() if path.exists() else []


def summary(store: str) -> pa.Table:
    objects = connect(store)
    run = find_run(objects, "killed")
    return read_summary(objects.read(f"runs/{run}/summary.parquet"))


def finish(path: Path) -> None:
    process = start(path)
    _, error = process.communicate(timeout=240)
    assert process.returncode == 0, error.decode()[-2000:]


def undisturbed(folder: Path, pool: str) -> pa.Table:
    folder.mkdir()
    store = str(folder / "store")
    import_benchmark(Lines(COUNT), connect(store), ImportOptions("fake", SHARD))
    finish(config(folder, store, pool))
    return summary(store)


def kill_and_finish(folder: Path, store: str, pool: str, moments: list[float]) -> pa.Table:
    """Kill a driver at each moment (seconds after its start), then let one finish."""
    manifest = import_benchmark(Lines(COUNT), connect(store), ImportOptions("fake", SHARD))
    path = config(folder, store, pool)
    for moment in moments:
        before, seen = committed(store), len(asked(folder))
        process = start(path)
        time.sleep(moment)
        process.send_signal(signal.SIGKILL)
        process.communicate()
        again = set(asked(folder)[seen:])
        assert not again & before, "a committed shard was computed again"
    finish(path)
    assert find_benchmark(connect(store), "fake").manifest == manifest
    assert len(committed(store)) == COUNT
    return summary(store)


def random_moments(count: int, longest: float, seed: int) -> list[float]:
    draw = random.Random(seed)
    return sorted((draw.uniform(0.2, longest) for _ in range(count)), reverse=True)


@pytest.mark.slow
@pytest.mark.timeout(400)
def test_twenty_kills_change_no_row(shared_url: str, tmp_path: Path) -> None:
    expected = undisturbed(tmp_path / "calm", "local")
    moments = random_moments(20, 6.0, seed=1)
    assert kill_and_finish(tmp_path, shared_url, "local", moments).equals(expected)


@pytest.mark.cluster
@pytest.mark.slow
@pytest.mark.timeout(400)
def test_kills_of_a_driver_of_ray_change_no_row(tmp_path: Path) -> None:
    expected = undisturbed(tmp_path / "calm", "local")
    moments = random_moments(4, 12.0, seed=2)
    found: Any = kill_and_finish(tmp_path, str(tmp_path / "store"), "ray", moments)
    assert found.equals(expected)


def name_of(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/comm").read_text().strip()
    except OSError:  # ended meanwhile
        return ""


def raylets(driver: int) -> list[int]:
    """The Ray node that a driver started."""
    lists = Path(f"/proc/{driver}/task").glob("*/children")
    children = [int(pid) for found in lists for pid in found.read_text().split()]
    return [pid for pid in children if name_of(pid) == "raylet"]


@pytest.mark.cluster
@pytest.mark.slow
@pytest.mark.timeout(400)
def test_a_ray_of_this_machine_alone_that_dies_is_not_waited_for(tmp_path: Path) -> None:
    expected = undisturbed(tmp_path / "calm", "local")
    store = str(tmp_path / "store")
    import_benchmark(Lines(COUNT), connect(store), ImportOptions("fake", SHARD))
    process = start(path := config(tmp_path, store, "ray"))
    until = time.monotonic() + 120
    while not asked(tmp_path) and time.monotonic() < until:
        time.sleep(0.05)
    (raylet,) = raylets(process.pid)
    os.kill(raylet, signal.SIGKILL)
    _, error = process.communicate(timeout=120)
    assert process.returncode == 6
    assert "Ray has died on this machine" in error.decode()
    finish(path)
    assert summary(store).equals(expected)
