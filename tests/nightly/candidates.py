"""A system whose quality is known: it answers right but for a share of samples drawn by a hash."""

import hashlib
import os
from collections.abc import Mapping, Sequence
from typing import Any

from medgen.engine.data import Prediction, Request, Sample


class Candidate:
    """`wrong` of its answers are wrong; `broken` of them fail. Counts its calls in a file."""

    def __init__(
        self, wrong: float, broken: float = 0.0, execution: Mapping[str, str] | None = None
    ) -> None:
        self.wrong, self.broken = wrong, broken
        self.calls = dict(execution or {}).get("calls", "")

    def predict(self, requests: Sequence[Request]) -> list[Prediction]:
        if self.calls:
            with open(self.calls, "a") as log:
                log.writelines(f"{r.sample.id}\n" for r in requests)
        return [self._answer(r.sample) for r in requests]

    def _answer(self, sample: Sample) -> Prediction:
        draw = int(hashlib.sha256(sample.id.encode()).hexdigest()[:8], 16) / 16**8
        if draw < self.broken:
            return Prediction(sample.id, "model_error", "asked to fail")
        return Prediction(sample.id, text="no idea" if draw < self.wrong else sample.reference_text)

    def passport(self) -> Mapping[str, Any]:
        return {"model": "candidate", "process": os.getpid()}
