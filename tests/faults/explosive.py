"""Components that raise what is hard to bring home: with causes, with locks, with keys."""

import os
import threading
from collections.abc import Mapping, Sequence
from typing import Any

from fakes import Echo

from medgen.engine.data import Prediction, Request
from medgen.engine.errors import AdapterError
from medgen.metrics.port import Golden, Output, PairwiseText
from medgen.metrics.samples import text_pair


class Unpicklable(AdapterError):
    """Concerns every sample; neither goes into a pickle nor would come out of it."""

    def __init__(self, words: str, more: str) -> None:
        super().__init__(words)
        self.lock, self.more = threading.Lock(), more


class Explosive(Echo):
    """Raises for one sample, with a cause; its words quote the sample and the environment."""

    def predict(self, requests: Sequence[Request]) -> list[Prediction]:
        for request in requests:
            if request.sample.id == "s0006":
                self._explode(request.sample.instruction)
        return super().predict(requests)

    def _explode(self, instruction: str) -> None:
        key = os.environ.get("EXPLOSIVE_API_KEY", "nothing")
        try:
            int(f"nine lives, {key}")
        except ValueError as err:
            raise Unpicklable(f"no idea about {instruction!r}", key) from err


class Unmade(Echo):
    """Cannot be made, with a cause."""

    def __init__(self) -> None:
        try:
            open("there-is-no-such-checkpoint").close()
        except OSError as err:
            raise AdapterError("the checkpoint cannot be read") from err


class Touchy(PairwiseText):
    """A metric that raises on two samples, and quotes them."""

    name = "touchy"
    outputs = (Output("touchy"),)

    def values(self, text: str, reference: str) -> Mapping[str, float]:
        if text in ("say 3", "say 6"):
            raise ZeroDivisionError(f"nothing to divide {text!r} by")
        return {"touchy": 1.0}

    def golden(self) -> tuple[Golden, ...]:
        return (Golden(*text_pair("one", "one"), {"touchy": 1.0}),)

    def passport(self) -> Mapping[str, Any]:
        return {"profile": "strict"}
