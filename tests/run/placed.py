"""Answers with the machine that it is on, as a file names it; importable in worker processes."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from medgen.engine.data import Prediction, Request


class Placed:
    """Every sample asked leaves a line in `calls`."""

    def __init__(self, execution: Mapping[str, str]) -> None:
        self.device = Path(execution["device"]).read_text()
        self.calls = Path(execution["calls"])

    def predict(self, requests: Sequence[Request]) -> list[Prediction]:
        with self.calls.open("a") as log:
            log.writelines(f"{r.sample.id}\n" for r in requests)
        return [Prediction(r.sample.id, text=self.device) for r in requests]

    def passport(self) -> Mapping[str, Any]:
        return {"device": self.device}
