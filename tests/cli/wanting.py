"""Metrics and a model that want something of the outside; importable by name in any worker."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from medgen.adapters.controls.systems import Blank
from medgen.engine.data import VIEWS, Prediction, Request, Sample, Verdict, View
from medgen.engine.errors import AdapterError
from medgen.metrics.port import Output, PairwiseText
from medgen.metrics.weights import MissingWeightsError


class Letters(PairwiseText):
    """Letters of the answer; needs weights when a file is named, and may apply to nothing."""

    name = "letters"
    outputs = (Output("letters", high=None),)

    def __init__(self, weights: str = "", nowhere: bool = False) -> None:
        self.weights, self.nowhere = weights, nowhere

    def load(self, device: str) -> None:
        if self.weights and not Path(self.weights).exists():
            raise MissingWeightsError(f"no weights in {self.weights}; fetch them")

    def applies(self, sample: Sample) -> str:
        return "it applies to nothing here" if self.nowhere else super().applies(sample)

    def values(self, text: str, reference: str) -> Mapping[str, float]:
        return {"letters": float(len(text))}

    def passport(self) -> Mapping[str, Any]:
        return {"profile": "strict"}


class Fades:
    """A model that answers `until` samples and then cannot be used."""

    def __init__(self, until: int = 0) -> None:
        self.left = until

    def predict(self, requests: Sequence[Request]) -> list[Prediction]:
        self.left -= len(requests)
        if self.left < 0:
            raise AdapterError("the model has faded")
        return [Prediction(r.sample.id, text=r.sample.instruction) for r in requests]

    def passport(self) -> Mapping[str, Any]:
        return {"model": "fades"}


class OneView:
    """A judge that gives its verdicts in one view only."""

    def __init__(self, name: str) -> None:
        self.name = name

    def judge(self, samples: Sequence[Sample], predictions: Sequence[Prediction]) -> list[Verdict]:
        return [Verdict(s.id, "reference_free", "one", scores={"overall": 5.0}) for s in samples]

    def passport(self) -> Mapping[str, Any]:
        return {"judge": "one"}


class Repeating:
    """A judge that gives 5, 6, 7 … in its repeats; the last of some samples' are unreadable."""

    def __init__(self, name: str, repeats: int, failing: Mapping[str, int] | None = None) -> None:
        self.name, self.repeats, self.failing = name, repeats, dict(failing or {})

    def judge(self, samples: Sequence[Sample], predictions: Sequence[Prediction]) -> list[Verdict]:
        return [
            self._verdict(sample.id, view, repeat)
            for sample in samples
            for repeat in range(self.repeats)
            for view in VIEWS
        ]

    def _verdict(self, sample: str, view: View, repeat: int) -> Verdict:
        if repeat >= self.repeats - self.failing.get(sample, 0):
            return Verdict(sample, view, self.name, repeat, status="parse_error", reason="rubbish")
        return Verdict(sample, view, self.name, repeat, scores={"overall": 5.0 + repeat})

    def passport(self) -> Mapping[str, Any]:
        return {"judge": self.name}


class Absent(OneView):
    """A judge that cannot be made."""

    def __init__(self, name: str) -> None:
        raise ImportError(f"{name} is not installed")


class Silent:
    """A system of somebody's own that answers everything with nothing, and says that this is ok."""

    def predict(self, requests: Sequence[Request]) -> list[Prediction]:
        return [Prediction(r.sample.id) for r in requests]

    def passport(self) -> Mapping[str, Any]:
        return {"model": "silent"}


class Breaking(Blank):
    """The blank control, which raises on one sample."""

    def __init__(self, sample: str) -> None:
        self.sample = sample

    def answer(self, sample: Sample) -> Prediction:
        if sample.id == self.sample:
            raise ValueError("the brush is broken")
        return super().answer(sample)
