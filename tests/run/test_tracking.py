"""MLflow for real on a local folder; Weights & Biases against a tracker of the same interface."""

import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pyarrow as pa
import pytest
from fakes import echo, plan

from medgen.conf.schema import TrackingConf
from medgen.engine.plan.plan import Plan, System
from medgen.engine.results.summary import SUMMARY
from medgen.engine.store.connect import connect
from medgen.launch.run.tracking import track, tracked_run


def summary(mean: float | None) -> pa.Table:
    """One value in a whole format, and the same in a task, which trackers are not told."""
    row = dict.fromkeys(SUMMARY.names)
    row |= {"system": "a b/c:1", "format": "VQA", "metric": "token f1 ↑", "group_kind": "all"}
    row |= {"n": 31, "coverage": 0.97, "mean": mean, "random_weights": True}
    return pa.Table.from_pylist([row, {**row, "group_kind": "task"}], SUMMARY)


@pytest.fixture
def work(memory_url: str) -> Plan:
    return plan(connect(memory_url), System("a b/c:1", echo()))


def test_a_tracked_run_has_numbers_only_where_there_are_some(work: Plan) -> None:
    told = tracked_run("x", work, summary(0.5))
    assert told.values == {
        "a b/c_1/VQA/token f1 _/mean": 0.5,
        "a b/c_1/VQA/token f1 _/n": 31.0,
        "a b/c_1/VQA/token f1 _/coverage": 0.97,
    }
    assert told.settings["random_weights"] == "true"
    assert "a b/c_1/VQA/token f1 _/mean" not in tracked_run("x", work, summary(None)).values


def test_mlflow_keeps_one_run_for_one_run(
    work: Plan, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import mlflow

    monkeypatch.setenv("MLFLOW_TRACKING_URI", tmp_path.as_uri())
    monkeypatch.setenv("MLFLOW_ALLOW_FILE_STORE", "true")
    conf = TrackingConf(mlflow=True, experiment="nights")
    assert track(conf, work, summary(0.5)) == []
    assert track(conf, work, summary(0.75)) == []
    client = mlflow.MlflowClient(tmp_path.as_uri())
    experiment = client.get_experiment_by_name("nights")
    assert experiment is not None
    (run,) = client.search_runs([experiment.experiment_id])
    assert run.info.status == "FINISHED"
    assert run.data.metrics["a b/c_1/VQA/token f1 _/mean"] == 0.75
    assert run.data.params["benchmark"] == work.benchmark
    assert run.data.tags["medgen.run_id"] == work.run_id


def test_a_tracker_that_is_away_costs_no_result(
    work: Plan, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("MLFLOW_TRACKING_URI", (tmp_path / "file").as_uri())
    monkeypatch.setenv("MLFLOW_ALLOW_FILE_STORE", "true")
    (problem,) = track(TrackingConf(mlflow=True), work, summary(0.5))
    assert problem.startswith("MLflow was not told")


class FakeWandB:
    """What `wandb.init` gives: a run with a summary to update and to finish."""

    def __init__(self) -> None:
        self.runs: dict[str, dict[str, Any]] = {}

    def init(self, *, project: str, id: str, name: str, config: Any, resume: str) -> Any:
        assert resume == "allow"
        kept = self.runs.setdefault(id, {"project": project, "name": name, "config": config})
        values = kept.setdefault("summary", {})
        return SimpleNamespace(summary=values, finish=lambda: kept.update(finished=True))


def test_wandb_is_told_under_the_runs_own_id(work: Plan, monkeypatch: pytest.MonkeyPatch) -> None:
    fake = FakeWandB()
    monkeypatch.setitem(sys.modules, "wandb", fake)
    for mean in (0.5, 0.75):
        assert track(TrackingConf(wandb=True, experiment="nights"), work, summary(mean)) == []
    assert list(fake.runs) == [work.run_id]
    kept = fake.runs[work.run_id]
    assert kept["summary"]["a b/c_1/VQA/token f1 _/mean"] == 0.75
    assert (kept["project"], kept["finished"]) == ("nights", True)


def test_a_tracker_that_is_not_installed_is_named(
    work: Plan, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "wandb", None)
    (problem,) = track(TrackingConf(wandb=True), work, summary(0.5))
    assert "install the extra 'wandb'" in problem
