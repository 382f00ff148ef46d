"""All tiny models, as a user submits them: the client is lost in mid-run, another takes over."""

import json
import os
import shutil
import signal
from pathlib import Path
from typing import Any

import pytest
from cluster.clients import committed, medgen, run_folder, start, status, wait_for
from cluster.ray_machines import ROOT, Machines

from medgen.conf import load
from medgen.engine.results.summary import read_summary
from medgen.metrics import tiny

pytestmark = [
    pytest.mark.cluster,
    pytest.mark.vllm,
    pytest.mark.slow,
    pytest.mark.timeout(1200),
]


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where no process looks that was not told to."""
    folder = tmp_path_factory.mktemp("weights")
    tiny.make(folder)
    return folder


def check(folder: Path, run: str, systems: list[str]) -> None:
    """What the run left in the store is whole."""
    over = status(folder, "plumbing")
    assert (over.status, over.exit_code) == ("success", 0)
    assert over.job.startswith(f"{run}-"), "a run in another store is another job"
    assert over.failed == {}
    assert over.code.startswith("upload ")
    kept = run_folder(folder, "plumbing")
    summary = read_summary(kept.objects.read(kept.place.summary)).to_pylist()
    assert {row["system"] for row in summary} == set(systems)
    # The declared variable led to the weights: such metrics have values, and say of what kind.
    encoded = [r for r in summary if r["label"] == "lpips" and r["group_kind"] == "all" and r["n"]]
    assert encoded
    assert all(row["random_weights"] for row in encoded)
    assert {row["system"] for row in summary if row["stage"] == "judge" and row["n"]}
    # What one control said, exported and replayed, is scored as when it was said.
    made, replayed = (
        [{k: v for k, v in row.items() if k != "system"} for row in summary if row["system"] == who]
        for who in ("classical", "replay")
    )
    assert made
    assert [parted(row)[0] for row in replayed] == [parted(row)[0] for row in made]
    for row, wanted in zip(replayed, made, strict=True):
        # What a network says of a text depends on the texts beside it in the seventh digit.
        assert parted(row)[1] == pytest.approx(parted(wanted)[1], rel=1e-5, abs=1e-6, nan_ok=True)


def parted(row: dict[str, Any]) -> tuple[dict[str, Any], dict[str, float]]:
    """What of a row is no float, and what is."""
    floats = {k: v for k, v in row.items() if isinstance(v, float)}
    return {k: v for k, v in row.items() if k not in floats}, floats


def test_the_demo_outlives_its_client(
    two_machines: Machines, tmp_path: Path, weights: Path
) -> None:
    cache = tmp_path / "cache"
    env = {"MEDGEN_WEIGHTS": str(weights), "MEDGEN_CACHE": str(cache), "COLUMNS": "200"}
    env = two_machines.environment() | env
    store = ("--store", str(tmp_path / "store"))
    # Data does not travel with a job: what is replayed lies on a disk that every machine has.
    said_before = tmp_path / "predictions"
    for part in ("vqa", "edit", "gen", "outputs"):
        shutil.copytree(ROOT / "var" / "predictions" / part, said_before / part)
    files = ",".join(str(said_before / part / "classical.jsonl") for part in ("vqa", "edit", "gen"))
    replayed = "system.replay.answer.kwargs"
    asked = (
        "submit.env=[MEDGEN_WEIGHTS,MEDGEN_CACHE]",
        f"{replayed}.url=[{files}]",
        f"{replayed}.images={said_before}",
    )
    words = ("submit", "--config", "plumbing", *store, *asked)
    client = start(tmp_path, env, *words, "--wait")
    wait_for(lambda: committed(tmp_path) >= 1, client)
    client.send_signal(signal.SIGKILL)
    client.communicate()
    assert status(tmp_path, "plumbing").exit_code is None, "the client was lost after the run's end"

    again = medgen(tmp_path, env, *words, "--json")
    said = json.loads(again.stdout.splitlines()[-1])
    assert (said["event"], said["started"]) == ("submitted", False)
    attached = medgen(tmp_path, env, "attach", said["run"], *store, within=1000)
    assert attached.returncode == 0, attached.stderr
    assert "exit code 0" in attached.stderr
    systems = load("plumbing").system
    assert [name for name in systems if name not in attached.stdout] == []
    assert os.listdir(cache), "the job made its tiny models where it was told to"
    check(tmp_path, said["run"], list(systems))
