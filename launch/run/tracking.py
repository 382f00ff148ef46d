"""Telling experiment trackers of a finished run: MLflow, Weights & Biases.

Where they are and who may write there is said by their own environment variables. A run that is
told again, because it was resumed or retried, is the same run there.
"""

import math
import os
import re
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

import pyarrow as pa

from medgen.conf.schema import TrackingConf
from medgen.engine.errors import AdapterError
from medgen.engine.plan.plan import Plan

if TYPE_CHECKING:
    from mlflow import MlflowClient

_FOREIGN = re.compile(r"[^A-Za-z0-9_./ -]")  # what MLflow refuses in a metric's name
_BATCH = 1000  # metrics that MLflow takes at once
_TAG = "medgen.run_id"


@dataclass(frozen=True, slots=True)
class TrackedRun:
    """What a tracker is told of a run."""

    run_id: str
    experiment: str
    settings: Mapping[str, str]
    values: Mapping[str, float]  # `system/format/metric/mean`, `…/n`, `…/coverage`


class Tracker(Protocol):
    """A place where runs are kept side by side."""

    def record(self, tracked: TrackedRun) -> None:
        """Keep a run, in place of what was kept of it before.

        Raises:
            AdapterError: the tracker cannot be used.
        """
        ...


def track(conf: TrackingConf, plan: Plan, summary: pa.Table) -> list[str]:
    """Tell every tracker that is asked for; returns what went wrong, which costs no result."""
    wanted: list[tuple[bool, str, type[Tracker]]] = [
        (conf.mlflow, "MLflow", MLflow),
        (conf.wandb, "Weights & Biases", WandB),
    ]
    problems = []
    for asked, name, kind in wanted:
        if asked:
            try:
                kind().record(tracked_run(conf.experiment, plan, summary))
            except AdapterError as err:
                problems.append(f"{name} was not told of the run: {err}")
    return problems


def tracked_run(experiment: str, plan: Plan, summary: pa.Table) -> TrackedRun:
    """A run's summary over whole formats as flat names and numbers."""
    settings = {
        "benchmark": plan.benchmark,
        "protocol": plan.protocol,
        "systems": ", ".join(s.name for s in plan.systems),
        "samples": str(sum(plan.samples.values())),
        "random_weights": str(any(summary["random_weights"].to_pylist())).lower(),
    }
    return TrackedRun(plan.run_id, experiment, settings, dict(_values(summary)))


def _values(summary: pa.Table) -> Iterator[tuple[str, float]]:
    for row in summary.to_pylist():
        if row["group_kind"] == "all":
            name = _FOREIGN.sub("_", f"{row['system']}/{row['format']}/{row['metric']}")
            # A value that nobody has is left out: a tracker would draw it as a number.
            if row["mean"] is not None and math.isfinite(row["mean"]):
                yield f"{name}/mean", row["mean"]
            yield f"{name}/n", float(row["n"])
            yield f"{name}/coverage", float(row["coverage"])


class MLflow:
    """MLflow's tracking server or file store, at MLFLOW_TRACKING_URI."""

    def __init__(self) -> None:
        """Load the client.

        Raises:
            AdapterError: it is not installed.
        """
        os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
        try:
            import mlflow
        except ImportError as err:
            raise AdapterError("install the extra 'mlflow'") from err
        self._mlflow = mlflow

    def record(self, tracked: TrackedRun) -> None:
        """See `Tracker.record`."""
        try:
            self._record(self._mlflow.MlflowClient(), tracked)
        except Exception as err:  # whatever its many back ends raise
            raise AdapterError(f"{type(err).__name__}: {_line(err)}") from err

    def _record(self, client: "MlflowClient", tracked: TrackedRun) -> None:
        from mlflow.entities import Metric

        found = client.get_experiment_by_name(tracked.experiment)
        experiment = found.experiment_id if found else client.create_experiment(tracked.experiment)
        known = client.search_runs([experiment], f"tags.`{_TAG}` = '{tracked.run_id}'")
        if known:
            run = known[0].info.run_id
        else:
            tags = {_TAG: tracked.run_id}
            run = client.create_run(experiment, tags=tags, run_name=tracked.run_id).info.run_id
            for name, value in tracked.settings.items():
                client.log_param(run, name, value)
        at = int(time.time() * 1000)
        metrics = [Metric(name, value, at, 0) for name, value in tracked.values.items()]
        for start in range(0, len(metrics), _BATCH):
            client.log_batch(run, metrics=metrics[start : start + _BATCH])
        client.set_terminated(run)


class WandB:
    """Weights & Biases, as WANDB_MODE, WANDB_BASE_URL and its key say."""

    def __init__(self) -> None:
        """Load the client.

        Raises:
            AdapterError: it is not installed.
        """
        try:
            import wandb
        except ImportError as err:
            raise AdapterError("install the extra 'wandb'") from err
        self._wandb = wandb

    def record(self, tracked: TrackedRun) -> None:
        """See `Tracker.record`."""
        try:
            run = self._wandb.init(
                project=tracked.experiment,
                id=tracked.run_id,
                name=tracked.run_id,
                config=dict(tracked.settings),
                resume="allow",
            )
            run.summary.update(dict(tracked.values))
            run.finish()
        except Exception as err:  # whatever the service raises
            raise AdapterError(f"{type(err).__name__}: {_line(err)}") from err


def _line(err: Exception) -> str:
    lines = str(err).strip().splitlines()
    return lines[0][:300] if lines else ""
