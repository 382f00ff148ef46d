"""A run whose models are asked by batches: killed and gone on with, forecast, judged."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
import yaml
from commands import medgen
from fakes import Lines, answers
from models.batch_server import Vendor, vendor

from medgen.conf.loading import load
from medgen.engine.batching import patience_s, price_share
from medgen.engine.benchmark.importing import ImportOptions, import_benchmark
from medgen.engine.run.folder import RunFolder, find_run
from medgen.engine.run.pool import Target, Unit
from medgen.engine.run.reader import RunReader
from medgen.engine.run.stages import Manner, make_worker
from medgen.engine.store.connect import connect
from medgen.launch.compose import plan_of, recipe

ROOT = Path(__file__).resolve().parents[2]
SAMPLES, SHARD = 6, 3
BATCH = {"gather_s": 0.05, "poll_s": 0.05, "settle_s": 0.1}
STYLE = {"sampling": {"max_tokens": 512}}
PRICES = {"prompt": 0.0, "completion": 100.0}  # of 10 tokens: a tenth of a cent


def model(body: dict[str, Any]) -> tuple[int, Any]:
    choice = {"message": {"content": "a reference"}, "finish_reason": "stop"}
    usage = {"prompt_tokens": 10, "completion_tokens": 10}
    return 200, {"model": "vlm", "choices": [choice], "usage": usage}


@pytest.fixture
def hosted() -> Iterator[tuple[Vendor, str]]:
    with vendor(model) as (made, server):
        yield made, f"{server.url}/v1"


def config(folder: Path, url: str, batch: dict[str, Any] | None, **more: Any) -> Path:
    store = str(folder / "store")
    import_benchmark(Lines(SAMPLES), connect(store), ImportOptions("fake", SHARD))
    chat = {
        "model": "vlm",
        "endpoint": {"base_url": url},
        "prices": PRICES,
        "execution": {"batch": batch},
    }
    body = {
        "name": "batched",
        "store": store,
        "benchmark": {"name": "fake"},
        "systems": [{"name": "hosted", "answer": answers("openai", STYLE, **chat)}],
        "protocol": {"name": "text", "metrics": {"token_f1": {}}},
        "cluster": "in-process",
        "report": False,
        **more,
    }
    path = folder / "run.yaml"
    path.write_text(yaml.safe_dump(body))
    return path


def rows(folder: Path) -> list[dict[str, Any]]:
    objects = connect(str(folder / "store"))
    reader = RunReader(objects, RunFolder(objects, find_run(objects, "batched")).plan())
    (node,) = reader.plan.predictions("hosted")
    tables = [reader.table(node, shard) for shard in range(reader.plan.shards)]
    return [row for table in tables if table is not None for row in table.to_pylist()]


def start(path: Path) -> subprocess.Popen[bytes]:
    """The command in a process of its own."""
    paths = os.pathsep.join([str(ROOT), str(ROOT / "tests")])
    return subprocess.Popen(
        [sys.executable, "-m", "medgen", "run", "--config", str(path)],
        env={**os.environ, "PYTHONPATH": paths, "RAY_AUTH_MODE": "disabled"},
        cwd=ROOT,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )


def test_a_run_that_is_killed_finds_its_batch_and_pays_for_nothing_twice(
    hosted: tuple[Vendor, str], tmp_path: Path
) -> None:
    made, url = hosted
    made.looks = 10**6
    path = config(tmp_path, url, BATCH)
    process = start(path)
    while not list(tmp_path.glob("store/batches/*/*.sent.json")):
        assert process.poll() is None
        time.sleep(0.02)
    process.send_signal(signal.SIGKILL)
    process.communicate()
    assert rows(tmp_path) == []
    made.looks = 1
    # Two drivers of one run after another: the second waits until it is sure of the first's end.
    done = medgen("run", "--config", str(path), "cluster.lease_s=1")
    assert done.returncode == 0, done.stderr
    assert len(made.batches) == SAMPLES // SHARD
    assert sorted(made.answered.values()) == [1] * SAMPLES
    table = rows(tmp_path)
    assert {row["status"] for row in table} == {"ok"}
    assert sum(row["cost_usd"] for row in table) == pytest.approx(SAMPLES * 10 * 1e-4 / 2)
    # The same model, asked in another way: nothing is left to do.
    done = medgen("run", "--config", str(config(tmp_path, url, None)))
    assert done.returncode == 0, done.stderr
    assert sum(made.answered.values()) == SAMPLES


def test_a_judge_asks_for_all_systems_in_one_file(
    hosted: tuple[Vendor, str], tmp_path: Path
) -> None:
    made, url = hosted
    chat = {"model": "vlm", "endpoint": {"base_url": url}, "execution": {"batch": BATCH}}
    inner = {"chat": {"target": "openai", "kwargs": chat}, "protocol": "table-iv/1"}
    judge = {"name": "j", "target": "chat-judge", "kwargs": inner}
    path = config(tmp_path, url, None, systems=["oracle", "copy-input"], judges=[judge])
    done = medgen("run", "--config", str(path))
    assert done.returncode == 3, done.stderr  # the model's words are no verdict
    sizes = [len(b.requests) for b in made.batches.values()]
    objects = connect(str(tmp_path / "store"))
    plan = RunFolder(objects, find_run(objects, "batched")).plan()
    judging = [n for n in plan.nodes.values() if n.stage == "judge"]
    assert len(judging) == 2
    reader = RunReader(objects, plan)
    tables = [reader.table(n, s) for n in judging for s in range(plan.shards)]
    asked = [r for t in tables if t is not None for r in t.to_pylist() if r["status"] != "skipped"]
    assert sum(sizes) == len(asked) > 0
    assert len(sizes) == plan.shards


def test_a_plan_says_what_batches_cost(hosted: tuple[Vendor, str], tmp_path: Path) -> None:
    _, url = hosted
    whole = medgen("plan", "--config", str(config(tmp_path, url, None)))
    half = medgen("plan", "--config", str(config(tmp_path, url, BATCH)))
    assert f"at most ${SAMPLES * 512 * 1e-4:,.2f} as stated" in whole.stdout
    assert f"at most ${SAMPLES * 512 * 1e-4 / 2:,.2f} as stated" in half.stdout
    assert f"{SAMPLES} of them in batches" in half.stdout
    assert "in batches" not in whole.stdout


def test_a_unit_that_waits_for_a_vendor_does_not_hang(tmp_path: Path) -> None:
    path = config(tmp_path, "http://127.0.0.1:9/v1", {"wait_h": 3, "shards": 7})
    (system,) = recipe(load(str(path))).systems
    assert system.answer is not None
    assert system.answer.resources.in_flight == 7
    assert patience_s(system.answer.spec.kwargs) == (3 + 2) * 3600
    assert price_share(system.answer.spec.kwargs) == 0.5
    bare = {"chat": {"kwargs": {"execution": {"batch": None}}}}
    assert (patience_s(bare), price_share(bare)) == (0.0, 1.0)


def test_shards_that_a_worker_holds_at_once_go_in_one_file(
    hosted: tuple[Vendor, str], tmp_path: Path
) -> None:
    made, url = hosted
    path = config(tmp_path, url, {**BATCH, "gather_s": 1})
    objects = connect(str(tmp_path / "store"))
    plan = plan_of(load(str(path)), objects)
    (node,) = plan.predictions("hosted")
    worker = make_worker(objects.url, plan, node.group, Manner(discreet=False))
    units = [Unit(node.group, shard, (Target(node.key),)) for shard in range(plan.shards)]
    with ThreadPoolExecutor(len(units)) as threads:  # as a pool has it do several
        receipts = [one for found in threads.map(worker, units) for one in found]
    assert [len(b.requests) for b in made.batches.values()] == [SAMPLES]
    assert [dict(receipt.rows) for receipt in receipts] == [{"ok": SHARD}] * len(units)
