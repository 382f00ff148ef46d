"""A model that charges a dollar for every sample; importable in every worker process."""

from collections.abc import Mapping, Sequence
from dataclasses import replace

from fakes import Echo

from medgen.engine.data import Prediction, Request, Usage


class Dear(Echo):
    """Echo at a price; one batch with a sample of `faults` kills the worker, as Echo's does."""

    def __init__(
        self, prices: Mapping[str, float], faults: Mapping[str, str] | None = None
    ) -> None:
        super().__init__(faults=faults)

    def predict(self, requests: Sequence[Request]) -> list[Prediction]:
        return [replace(p, usage=Usage(cost_usd=1.0)) for p in super().predict(requests)]
