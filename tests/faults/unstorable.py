"""A generator and a judge that give values that no table can hold, for one sample each."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from fakes import Echo, FixedJudge

from medgen.engine.data import Prediction, Request, Sample, Usage, Verdict

KINDS: Mapping[str, Mapping[str, Any]] = {
    "half a surrogate pair": {"text": "\ud800", "reason": "\udfff"},
    "NaN in details": {"details": {"x": float("nan")}, "explanations": {"x": 7}},
    "what is no JSON": {"details": {"x": object()}, "raw": object()},
    "too many tokens": {"usage": Usage(prompt_tokens=2**70)},
    "a number for words": {"text": 7, "raw": 7},
}


class Careless(Echo):
    def __init__(self, kind: str) -> None:
        super().__init__()
        self.values = {k: v for k, v in KINDS[kind].items() if k in Prediction.__slots__}

    def predict(self, requests: Sequence[Request]) -> list[Prediction]:
        rows = super().predict(requests)
        return [replace(r, **self.values) if r.sample_id == "s0003" else r for r in rows]


class CarelessJudge(FixedJudge):
    def __init__(self, name: str, kind: str) -> None:
        super().__init__(name)
        self.values = {k: v for k, v in KINDS[kind].items() if k in Verdict.__slots__}

    def judge(self, samples: Sequence[Sample], predictions: Sequence[Prediction]) -> list[Verdict]:
        rows = super().judge(samples, predictions)
        return [replace(r, **self.values) if r.sample_id == "s0004" else r for r in rows]
