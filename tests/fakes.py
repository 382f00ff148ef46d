"""Components with known answers, and faults on demand; importable in every worker process."""

import os
import signal
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, cast, get_args

import yaml
from PIL import Image as Pillow

from medgen.engine.benchmark.importing import ImportOptions, import_benchmark
from medgen.engine.benchmark.manifest import Manifest
from medgen.engine.benchmark.source import Problem
from medgen.engine.data import (
    Asks,
    Image,
    Prediction,
    PredictionStatus,
    Request,
    Sample,
    Score,
    ScoreStatus,
    Usage,
    Verdict,
    VerdictStatus,
)
from medgen.engine.errors import AdapterError, EngineDied
from medgen.engine.images import png
from medgen.engine.plan.identity import Resources, Spec
from medgen.engine.plan.plan import Model, Plan, Recipe, System, make_plan
from medgen.engine.store.objects import Objects

GIVEN = Image(png(Pillow.new("L", (1, 1))), "given.png")
SMALL = Resources(cpus=0.1)
PAIR = Resources(cpus=0.1, workers=2)  # not as many as it has shards: on Ray each is a process
TASKS: dict[Asks, str] = {
    "text": "question-answering",
    "image": "style-transfer",
    "image+text": "organic-removal",
}
ASKED = tuple(TASKS)


class Lines:
    """A source of `count` samples; what they ask takes turns."""

    def __init__(self, count: int) -> None:
        self.count = count

    def __iter__(self) -> Iterator[Sample | Problem]:
        for i in range(self.count):
            asks = ASKED[i % 3]
            yield Sample(
                id=f"s{i:04d}",
                asks=asks,
                task=TASKS[asks],
                modality=("CT", "MRI")[i % 2],
                instruction=f"say {i}",
                input_images=(GIVEN,),
                reference_texts=(f"reference {i}",),
                source=f"patient-{i // 4}",
            )

    def expected_counts(self) -> Mapping[Any, int]:
        return {}

    def describe(self) -> Mapping[str, Any]:
        return {"layout": "fake", "count": self.count}


def benchmark(objects: Objects, count: int = 24, shard_size: int = 4) -> Manifest:
    """A stored benchmark of fake samples."""
    return import_benchmark(Lines(count), objects, ImportOptions("fake", shard_size))


class Echo:
    """Answers with the instruction. Named samples get what is asked for them instead.

    `faults` maps a sample id to one of: raise, exit, kill, engine_died, error, slow, hang, or to
    the status that its row shall have. `once` is a
    folder in which a fault leaves a mark, and does not happen again. `calls` is a file that gets
    a line for every sample asked.
    """

    def __init__(
        self,
        prefix: str = "",
        faults: Mapping[str, str] | None = None,
        execution: Mapping[str, str] | None = None,
    ) -> None:
        self.prefix, self.faults = prefix, dict(faults or {})
        how = dict(execution or {})
        self.once, self.calls = how.get("once", ""), how.get("calls", "")
        self.pause = float(how.get("pause", 0))
        if self.faults.get("start"):
            raise AdapterError("no such model; is its revision right?")

    def predict(self, requests: Sequence[Request]) -> list[Prediction]:
        return [self._one(request) for request in requests]

    def _one(self, request: Request) -> Prediction:
        sample = request.sample
        if self.calls:
            with Path(self.calls).open("a") as log:
                log.write(f"{sample.id}\n")
        time.sleep(self.pause)
        fault = self.faults.get(sample.id)
        row = self._fault(fault, sample) if fault and self._strikes(sample.id) else None
        if row is not None:
            return row
        words = request.answer.text if request.answer else sample.instruction
        return Prediction(
            sample.id,
            text=f"{self.prefix}{words}",
            image_prompt=f"draw {sample.id}",
            images=(Image(sample.id.encode(), f"{sample.id}.png"),),
            usage=Usage(prompt_tokens=10, completion_tokens=3),
        )

    def _strikes(self, sample_id: str) -> bool:
        if not self.once:
            return True
        try:
            Path(self.once, sample_id).touch(exist_ok=False)
        except FileExistsError:
            return False
        return True

    def _fault(self, fault: str, sample: Sample) -> Prediction | None:
        if fault == "raise":
            raise ValueError(f"cannot do {sample.id}")
        if fault == "unusable":
            raise AdapterError(f"no model for {sample.id}")
        if fault == "exit":
            os._exit(3)
        if fault == "kill":
            os.kill(os.getpid(), signal.SIGKILL)
        if fault == "engine_died":
            raise EngineDied("the fake engine died")
        if fault == "error":
            return Prediction(sample.id, "model_error", "asked to fail")
        if fault in get_args(PredictionStatus):
            return Prediction(sample.id, cast(PredictionStatus, fault), f"asked to be {fault}")
        time.sleep(3600.0 if fault == "hang" else 1.0)
        return None

    def passport(self) -> Mapping[str, Any]:
        return {"model": "echo", "prefix": self.prefix}


class Lengths:
    """A scorer whose metrics are the length of the text.

    `faults` maps a sample id, or the name of a metric, to the status that its rows shall have.
    """

    def __init__(
        self,
        metrics: Mapping[str, Any],
        faults: Mapping[str, str] | None = None,
        execution: Mapping[str, str] | None = None,
    ) -> None:
        self.metrics = metrics
        how = dict(execution or {})
        self.calls, self.faults = how.get("calls", ""), dict(faults or {})
        self.once = how.get("once", "")
        if self.faults.get("start"):
            raise ImportError("No module named 'nowhere'")

    def score(
        self,
        samples: Sequence[Sample],
        predictions: Mapping[str, Sequence[Prediction]],
        wanted: Mapping[str, Sequence[str]],
    ) -> dict[tuple[str, str], list[Score]]:
        if self.calls:
            with Path(self.calls).open("a") as log:
                log.write(f"{sorted(wanted)} {sorted(next(iter(wanted.values())))}\n")
        return {
            (system, metric): [self._score(p, metric) for p in predictions[system]]
            for system, metrics in wanted.items()
            for metric in metrics
        }

    def _score(self, prediction: Prediction, metric: str) -> Score:
        if prediction.status != "ok":
            return Score(prediction.sample_id, "error", f"prediction: {prediction.status}")
        status = self.faults.get(metric) or self.faults.get(prediction.sample_id)
        if status and not (self.once and Path(self.once, "healed").exists()):
            words = f"{metric} was asked to be {status}"
            return Score(prediction.sample_id, cast(ScoreStatus, status), words)
        return Score(prediction.sample_id, values={metric: float(len(prediction.text or ""))})

    def outputs(self, metric: str) -> tuple[str, ...]:
        return (metric,)

    def passport(self, metric: str) -> Mapping[str, Any]:
        return {"metric": metric}


class FixedJudge:
    """Gives 8 with a reference and 9 without; fails on samples that it is told to."""

    def __init__(
        self,
        name: str,
        faults: Mapping[str, str] | None = None,
        execution: Mapping[str, str] | None = None,
    ) -> None:
        self.name, self.faults = name, dict(faults or {})
        self.once = dict(execution or {}).get("once", "")

    def judge(self, samples: Sequence[Sample], predictions: Sequence[Prediction]) -> list[Verdict]:
        rows = []
        for sample, prediction in zip(samples, predictions, strict=True):
            for view, mark in (("reference_free", 9.0), ("reference_based", 8.0)):
                row = Verdict(sample.id, view, self.name, scores={"overall": mark})  # type: ignore[arg-type]
                if prediction.status != "ok":
                    row = replace(row, status="skipped", scores={}, reason=prediction.status)
                elif sample.id in self.faults and self._strikes(f"{sample.id}-{view}"):
                    status = self.faults[sample.id]
                    status = status if status in get_args(VerdictStatus) else "parse_error"
                    row = replace(
                        row, status=cast(VerdictStatus, status), scores={}, reason="rubbish"
                    )
                rows.append(row)
        return rows

    def _strikes(self, mark: str) -> bool:
        if not self.once:
            return True
        first = not Path(self.once, mark).exists()
        Path(self.once, mark).touch()
        return first

    def passport(self) -> Mapping[str, Any]:
        return {"judge": self.name}


def echo(**kwargs: Any) -> Model:
    return Model(Spec("fakes:Echo", kwargs), SMALL)


def recipe(*systems: System, metrics: Sequence[str] = ("length",), **more: Any) -> Recipe:
    return Recipe(
        name="test",
        systems=systems or (System("echo", echo()),),
        metrics={m: Spec(f"fakes:{m}") for m in metrics},
        scoring=PAIR,
        scorer=more.pop("scorer", Spec("fakes:Lengths")),
        **more,
    )


def plan(
    objects: Objects, *systems: System, count: int = 24, shard_size: int = 4, **more: Any
) -> Plan:
    return make_plan(recipe(*systems, **more), benchmark(objects, count, shard_size))


def answers(chat: str, style: dict[str, Any] | None = None, **kwargs: Any) -> dict[str, Any]:
    """The recipe of a system that answers through a chat model, by the chat's logical name."""
    inner = {"target": chat, "kwargs": kwargs}
    return {"target": "answers", "kwargs": {"style": style or {}, "chat": inner}}


def run_file(folder: Path, store: str, name: str, **more: Any) -> Path:
    """What a run of an echo reads from its file: a dozen samples of the benchmark `fake`."""
    body = {
        "name": name,
        "store": store,
        "benchmark": {"name": "fake"},
        "systems": [{"name": "echo", "answer": {"target": "fakes:Echo"}}],
        "protocol": {"name": "text", "metrics": {"bleu": {}}},
        "cluster": {"name": "here", "pool": "local"},
        "report": False,
        **more,
    }
    path = folder / "run.yaml"
    path.write_text(yaml.safe_dump(body))
    return path
