"""Submitting from a separate process to a real cluster that has no code of ours."""

import json
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
import yaml
from cluster.clients import committed, exported, medgen, run_folder, start, status, wait_for
from cluster.ray_machines import ROOT, Machines, elsewhere

from medgen.actors.telemetry import METRICS
from medgen.engine.results.summary import read_summary
from medgen.engine.run.folder import RunFolder, find_run
from medgen.engine.run.reader import RunReader
from medgen.engine.store.connect import connect
from medgen.launch.cluster.jobs import job_name

pytestmark = [pytest.mark.cluster, pytest.mark.slow, pytest.mark.timeout(400)]

# Says which engine it runs with, and leaves a line for every sample asked. From the sample `waits`
# on it goes on only when the test has written `go`.
SLOW = """
import os
import time
from pathlib import Path
import medgen
from medgen.engine.data import Prediction, Usage

USAGE = Usage(prompt_tokens=100, completion_tokens=7, cached_tokens=60, cost_usd=0.001)

class Slow:
    def __init__(self, execution):
        self.how = execution

    def predict(self, requests):
        answers = []
        for request in requests:
            calls = Path(self.how["calls"])
            while not calls.with_name("go").exists() and self.asked(calls) >= self.how["waits"]:
                time.sleep(0.1)
            with calls.open("a") as log:
                log.write(request.sample.id + "\\n")
            place = {"from": medgen.__file__}
            place |= {name: os.environ.get(name) for name in ("GREETING", "ANOTHER")}
            text = request.sample.reference_text
            answers.append(Prediction(request.sample.id, text=text, usage=USAGE, details=place))
        return answers

    def asked(self, calls):
        return len(calls.read_text().split()) if calls.exists() else 0

    def passport(self):
        return {"system": "slow"}
"""


WAITS = 12  # of 48 samples in shards of about four, over two workers: some shard is whole


def describe(folder: Path, name: str, waits: int = 0) -> Path:
    """A run of a system that only the submitting folder knows; `go` lets it go on."""
    (folder / "slow_system.py").write_text(SLOW)
    answer = {
        "target": "slow_system:Slow",
        "kwargs": {"execution": {"waits": waits, "calls": str(folder / "calls")}},
        "resources": {"cpus": 1.0, "workers": 2},
    }
    body = {
        "name": name,
        "store": str(folder / "store"),
        "benchmark": "mini",
        "systems": [{"name": "slow", "gives": ["text", "choice"], "answer": answer}],
        "protocol": {"name": "words", "metrics": {"bleu": {}, "token_f1": {}}},
        "submit": {"include": ["slow_system.py"], "env": ["GREETING"]},
        "report": False,
    }
    path = folder / "run.yaml"
    path.write_text(yaml.safe_dump(body))
    return path


def answers(folder: Path, name: str) -> dict[str, dict[str, Any]]:
    """Every committed row of the answer stage, by sample id."""
    run = run_folder(folder, name)
    reader = RunReader(run.objects, run.plan())
    (node,) = reader.plan.predictions("slow")
    found = {}
    for shard in reader.revisions(node):
        for row in reader.stage(node).read(shard).to_pylist():
            found[row["sample_id"]] = row
    return found


def test_the_cluster_has_no_code_of_ours(two_machines: Machines) -> None:
    look = [two_machines.python, "-c", "import ray, medgen"]
    said = subprocess.run(look, cwd="/", env=elsewhere(), capture_output=True, text=True)
    assert "No module named 'medgen'" in said.stderr


def test_the_same_plan_is_the_same_run(two_machines: Machines, tmp_path: Path) -> None:
    config, env = describe(tmp_path, "twice", waits=WAITS), two_machines.environment()
    env |= {"GREETING": "hello", "ANOTHER": "not for the cluster"}
    first, again = (
        json.loads(
            medgen(tmp_path, env, "submit", "--config", str(config), "--json").stdout.splitlines()[
                -1
            ]
        )
        for _ in range(2)
    )
    assert (first["started"], again["started"]) == (True, False)
    assert first["run"] == again["run"]
    # While the driver lives its gauges are exported; of troubles there are none to count.
    shown = {
        f"ray_{name}{'_bucket' if METRICS[name][0] == 'histogram' else ''}" for name in METRICS
    }
    shown -= {"ray_medgen_trouble_total"}
    wait_for(lambda: shown <= exported(two_machines))
    lost = start(tmp_path, env, "submit", "--config", str(config), "--wait")
    assert lost.stderr is not None
    assert any("attached to" in line for line in lost.stderr), "it ended before it attached"
    lost.kill()
    lost.communicate()
    assert status(tmp_path, "twice").exit_code is None, "the client was lost after the run's end"
    waited = start(tmp_path, env, "submit", "--config", str(config), "--wait")
    assert waited.stderr is not None
    assert any("attached to" in line for line in waited.stderr)
    (tmp_path / "go").touch()
    _, said = waited.communicate(timeout=200)
    assert waited.returncode == 0, said
    assert status(tmp_path, "twice").code.startswith("upload ")
    # Every worker had the uploaded engine, and of variables the declared one, wherever it was.
    rows = answers(tmp_path, "twice").values()
    told = [json.loads(row["details"]) for row in rows]
    assert told
    assert all("runtime_resources" in d["from"] and "working_dir" in d["from"] for d in told)
    assert {(d["GREETING"], d["ANOTHER"]) for d in told} == {("hello", None)}
    # Each sample was asked once, although the plan was submitted four times and a client killed.
    assert set(Counter((tmp_path / "calls").read_text().split()).values()) == {1}
    over = medgen(tmp_path, env, "submit", "--config", str(config), "--wait")
    assert over.returncode == 0
    assert "over already" in over.stderr


def test_a_cancelled_run_keeps_what_it_committed(two_machines: Machines, tmp_path: Path) -> None:
    config, env = describe(tmp_path, "stopped", waits=WAITS), two_machines.environment()
    env["GREETING"] = "hello"
    store = ("--store", str(tmp_path / "store"))
    first = medgen(tmp_path, env, "submit", "--config", str(config), "--json")
    run = json.loads(first.stdout.splitlines()[-1])["run"]
    wait_for(lambda: committed(tmp_path) >= 1)

    # Nobody answers at this address: the store alone must do.
    away = {**env, "RAY_API_SERVER_ADDRESS": "http://127.0.0.1:9"}
    cancelled = medgen(tmp_path, away, "cancel", run, *store)
    assert cancelled.returncode == 0
    assert "from the store alone" in cancelled.stderr
    time.sleep(12)  # the driver looks every ten seconds, and has work left until it has heard
    (tmp_path / "go").touch()
    ended = medgen(tmp_path, away, "attach", run, *store)
    assert ended.returncode == 143, ended.stderr
    logs = medgen(tmp_path, away, "logs", run, *store)
    assert "receipt" in logs.stdout or "shard" in logs.stdout
    shown = medgen(tmp_path, away, "status", run, *store)
    assert "cancelled" in shown.stdout

    before = answers(tmp_path, "stopped")
    assert before
    assert {row["status"] for row in before.values()} == {"ok"}
    asked = len((tmp_path / "calls").read_text().split())
    resumed = medgen(tmp_path, env, "submit", "--config", str(config), "--wait")
    assert resumed.returncode == 0, resumed.stderr
    after = answers(tmp_path, "stopped")
    assert len(after) == 48
    assert {key: after[key] for key in before} == before
    anew = (tmp_path / "calls").read_text().split()[asked:]
    assert not set(anew) & set(before), "a committed sample was asked again"
    assert status(tmp_path, "stopped").job == f"{job_name(run, str(tmp_path / 'store'))}--2"


def test_a_driver_is_ended_at_once_when_that_is_asked(
    two_machines: Machines, tmp_path: Path
) -> None:
    config, env = describe(tmp_path, "ended"), two_machines.environment()
    env["GREETING"] = "hello"
    store = ("--store", str(tmp_path / "store"))
    run = json.loads(
        medgen(tmp_path, env, "submit", "--config", str(config), "--json").stdout.splitlines()[-1]
    )["run"]
    wait_for(lambda: run_folder(tmp_path, run).status() is not None)
    assert medgen(tmp_path, env, "cancel", run, "--now", *store).returncode == 0
    assert medgen(tmp_path, env, "attach", run, *store).returncode == 143
    said = medgen(tmp_path, env, "logs", run, "--driver", *store)
    assert '"event": "launch"' in said.stdout
    again = medgen(tmp_path, env, "cancel", run, *store)
    assert "is over already" in again.stderr


def test_the_absence_of_a_token_is_explained(two_machines: Machines, tmp_path: Path) -> None:
    config = describe(tmp_path, "refused")
    env = two_machines.environment(token=False) | {"GREETING": "hello"}
    refused = medgen(tmp_path, env, "submit", "--config", str(config))
    assert refused.returncode == 6
    assert "401" in refused.stderr
    assert "RAY_AUTH_TOKEN_PATH" in refused.stderr
    wrong = tmp_path / "wrong"
    wrong.write_text("0" * 64)
    env |= {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN_PATH": str(wrong)}
    refused = medgen(tmp_path, env, "submit", "--config", str(config))
    assert refused.returncode == 6
    assert "403" in refused.stderr


RUN = ("run", "benchmark=mini", "systems=[oracle]", "protocol=weight-free")
NIGHT = ("nightly", "--config", "nightly", "--date", "2026-01-31", "systems=[classical]")


@pytest.mark.parametrize("what", [RUN, NIGHT], ids=["run", "night"])
def test_rays_own_submit_works_from_a_clone(
    two_machines: Machines, tmp_path: Path, what: tuple[str, ...]
) -> None:
    store = tmp_path / "store"
    words = [sys.executable, "-m", "ray.scripts.scripts", "job", "submit", "--working-dir", "."]
    words += ["--", "python", "-m", "medgen", *what]
    words += ["cluster=ray", "report=false", "--store", str(store)]
    env = {**two_machines.environment(), "RAY_ADDRESS": two_machines.url}
    done = subprocess.run(words, cwd=ROOT, env=env, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]
    objects = connect(str(store))
    folder = RunFolder(objects, find_run(objects, None))
    found = folder.status()
    assert found is not None
    assert (found.status, found.exit_code) == ("success", 0)
    assert read_summary(objects.read(folder.place.summary)).num_rows
    # The job's id is Ray's; the run knows it.
    said = medgen(tmp_path, env, "logs", found.run_id, "--driver", "--store", str(store))
    assert "exit code 0" in said.stdout, said.stderr
    if what == NIGHT:
        latest = json.loads((store / "nightly" / "nightly" / "latest.json").read_text())
        assert (latest["outcome"], latest["run_id"]) == ("first", found.run_id)
