"""The words of submit, cancel, attach and logs, with no cluster."""

from collections.abc import Sequence
from pathlib import Path

import pytest
import yaml
from fakes import benchmark, echo, plan, recipe

from medgen.engine.plan.plan import Model, System, make_plan
from medgen.engine.run.folder import RunFolder, Status, now
from medgen.engine.store.connect import connect
from medgen.launch.cli import main


def medgen(*words: str) -> int:
    with pytest.raises(SystemExit) as end:
        main(list(words))
    return int(str(end.value.code))


@pytest.mark.parametrize(
    ("kind", "files"),
    [
        ("kuberay", {"rayjob.yaml", "raycluster.yaml", "cronjob.yaml"}),
        ("ray", {"cluster.yaml"}),
        ("slurm", {"small.sbatch"}),
        ("docker-cpu", {"Dockerfile.cpu"}),
    ],
)
def test_manifests_are_written(tmp_path: Path, kind: str, files: Sequence[str]) -> None:
    site = tmp_path / "site.yaml"
    site.write_text(yaml.safe_dump({"name": "small", "store": "s3://bucket/store"}))
    to = tmp_path / "new" / "out"
    words = ("submit", "--render", kind, "--site", str(site), "--to", str(to), "hours=3")
    assert [medgen(*words), medgen(*words)] == [0, 0]  # the second over the first
    assert set(files) <= {file.name for file in to.iterdir()}


def test_nobody_at_the_job_api_is_a_failed_preflight(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["benchmark=mini", "systems=[oracle]", "protocol=weight-free"]
    where = ["--store", str(tmp_path / "store"), "--address", "http://127.0.0.1:9"]
    assert medgen("submit", *where, *words) == 6
    assert "Forward a port" in capsys.readouterr().err


def test_a_secret_is_refused_before_anything_is_sent(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-secret-value-0123")
    words = ["benchmark=mini", "systems=[oracle]", "protocol=weight-free"]
    words += ["submit.env=[OPENAI_API_KEY]"]
    assert medgen("submit", "--store", str(tmp_path / "store"), *words) == 2
    said = capsys.readouterr()
    assert "OPENAI_API_KEY is named like a secret" in said.err
    assert "sk-secret" not in said.err + said.out


def test_a_run_that_is_over_is_not_cancelled(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("RAY_API_SERVER_ADDRESS", "http://127.0.0.1:9")
    store = str(tmp_path / "store")
    work = plan(connect(store))
    folder = RunFolder(connect(store), work.run_id)
    folder.save_plan(work, "")
    folder.save_status(Status("success", work.run_id, now(), now(), exit_code=3))
    assert medgen("cancel", "--store", store) == 0
    assert "is over already" in capsys.readouterr().err
    assert folder.stop_request() == ""
    assert medgen("attach", work.run_id, "--store", store) == 3
    folder.save_status(Status("started", work.run_id, now(), now()))
    assert medgen("cancel", work.run_id[:6], "--store", store) == 0
    assert folder.stop_request() != ""


def test_a_nonce_runs_models_and_judges_again_and_nothing_else(memory_url: str) -> None:
    manifest = benchmark(connect(memory_url))
    judges = {"fixed": Model(echo().spec)}

    def keys(nonce: str) -> dict[str, str]:
        asked = recipe(System("echo", echo()), judges=judges, nonce=nonce)
        return {node.stage: key for key, node in make_plan(asked, manifest).nodes.items()}

    without, first, second = keys(""), keys("2026-01-01"), keys("2026-01-02")
    assert all(len({a[s], b[s]}) == 2 for s in without for a, b in [(without, first)])
    assert all(first[s] != second[s] for s in first)
    assert keys("2026-01-01") == first
    # Without one, recipes and so addresses are as they always were.
    nodes = make_plan(recipe(System("echo", echo()), judges=judges), manifest).nodes.values()
    assert all("nonce" not in node.recipe for node in nodes)
