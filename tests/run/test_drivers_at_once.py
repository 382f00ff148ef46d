"""Drivers that are processes of their own: each priced call is made once, whatever befalls one."""

import os
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from fakes import Lines, answers
from models.loopback import Answer, Asked, Server, serve

from medgen.engine.benchmark.importing import ImportOptions, import_benchmark
from medgen.engine.store.connect import connect

ROOT = Path(__file__).resolve().parents[2]
COUNT, SHARD = 96, 4
LEASE = 2.0


REPLY = {
    "model": "vlm",
    "choices": [{"message": {"content": "reference"}, "finish_reason": "stop"}],
    "usage": {"prompt_tokens": 10, "completion_tokens": 5},
}


def reply(_: Asked) -> Answer:
    return Answer(REPLY, pause_s=0.05)


@pytest.fixture
def endpoint() -> Iterator[Server]:
    with serve(reply) as server:
        yield server


def config(folder: Path, server: Server, name: str = "shared", **more: Any) -> Path:
    """A run of a priced system over an endpoint that counts."""
    kwargs = {"model": "vlm", "endpoint": {"base_url": f"{server.url}/v1"}}
    kwargs["prices"] = {"request": 0.01}  # type: ignore[dict-item]
    body = {
        "name": name,
        "store": str(folder / "store"),
        "benchmark": {"name": "fake"},
        "systems": [{"name": "dear", "answer": answers("openai", **kwargs)}],
        "protocol": {"name": "text", "metrics": {"token_f1": {}}},
        "cluster": {"name": "here", "pool": "local", "lease_s": LEASE},
        "report": False,
        **more,
    }
    path = folder / f"{name}.yaml"
    path.write_text(yaml.safe_dump(body))
    return path


def start(path: Path, *words: str) -> subprocess.Popen[str]:
    paths = os.pathsep.join([str(ROOT), str(ROOT / "tests")])
    return subprocess.Popen(
        [sys.executable, "-m", "medgen", "run", "--config", str(path), "--json", *words],
        env={**os.environ, "PYTHONPATH": paths}, cwd=ROOT,
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip


def finish(process: subprocess.Popen[str]) -> str:
    out, error = process.communicate(timeout=200)
    assert process.returncode == 0, error[-3000:]
    return out


def calls(server: Server) -> Counter[bytes]:
    """How often each body was sent: the instructions differ from sample to sample."""
    return Counter(a.body for a in server.asked if a.method == "POST")


def until(what: Callable[[], bool], seconds: float = 60.0) -> None:
    end = time.monotonic() + seconds
    while not what():
        assert time.monotonic() < end, "it did not come to it"
        time.sleep(0.02)


@pytest.mark.slow
def test_two_processes_make_each_priced_call_once(endpoint: Server, tmp_path: Path) -> None:
    import_benchmark(Lines(COUNT), connect(str(tmp_path / "store")), ImportOptions("fake", SHARD))
    other = config(tmp_path, endpoint, "another", benchmark={"name": "fake", "limit": COUNT // 2})
    processes = [start(config(tmp_path, endpoint)), start(config(tmp_path, endpoint)), start(other)]
    for process in processes:
        finish(process)
    assert set(calls(endpoint).values()) == {1}
    assert len(calls(endpoint)) == COUNT


@pytest.mark.slow
def test_a_killed_driver_is_followed_by_the_one_beside_it(endpoint: Server, tmp_path: Path) -> None:
    import_benchmark(Lines(COUNT), connect(str(tmp_path / "store")), ImportOptions("fake", SHARD))
    path = config(tmp_path, endpoint)
    first = start(path)
    until(lambda: len(calls(endpoint)) > 8)
    second = start(path)
    until(lambda: len(calls(endpoint)) > 24)
    first.send_signal(signal.SIGKILL)
    first.communicate()
    finish(second)
    counted = calls(endpoint)
    assert len(counted) == COUNT
    assert sum(counted.values()) <= COUNT + 2 * SHARD, "no more than what it had in hand"


@pytest.mark.slow
def test_a_driver_that_was_stopped_for_longer_than_its_lease_pays_for_nothing_twice(
    endpoint: Server, tmp_path: Path
) -> None:
    import_benchmark(Lines(COUNT), connect(str(tmp_path / "store")), ImportOptions("fake", SHARD))
    path = config(tmp_path, endpoint)
    first = start(path)
    until(lambda: len(calls(endpoint)) > 8)
    first.send_signal(signal.SIGSTOP)
    second = start(path)
    finish(second)
    whole = sum(calls(endpoint).values())
    first.send_signal(signal.SIGCONT)
    finish(first)
    counted = calls(endpoint)
    assert len(counted) == COUNT
    assert whole <= COUNT + 2 * SHARD, "what it had in hand"
    assert sum(counted.values()) <= whole + 2 * SHARD, "and nothing more when it went on"
