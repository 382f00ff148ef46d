"""The seams: what the run needs from models, metrics, judges, benchmarks and pools.

Every port is small, synchronous and batched. A component is built from a `Spec` inside its
worker; it raises `AdapterError` (or lets its process die) when it cannot be used at all, and
gives a row with a status for anything that is wrong with one sample.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from medgen.engine.data import Prediction, Request, Sample, Score, Verdict


class Generator(Protocol):
    """A model in this process: text, an image prompt, images, or all of them.

    Law: one prediction a request, same ids, same order, whatever the batch size. `predict` may
    be called from several threads when the worker is given several shards in flight.
    """

    def predict(self, requests: Sequence[Request]) -> Sequence[Prediction]:
        """Answer every request; a request that fails gives a prediction with a status."""
        ...

    def passport(self) -> Mapping[str, Any]:
        """What really ran: model, revision, library versions, environment lock (JSON)."""
        ...


class Scorer(Protocol):
    """Scores one shard for every system of a sweep, so reference-side work is done once.

    Law: one score a sample for every (system, metric) asked for, same order as `samples`; a
    failure is a row of its own and changes no other row.
    """

    def score(
        self,
        samples: Sequence[Sample],
        predictions: Mapping[str, Sequence[Prediction]],
        wanted: Mapping[str, Sequence[str]],
    ) -> Mapping[tuple[str, str], Sequence[Score]]:
        """Scores by (system, metric). `wanted` gives the metric names for each system."""
        ...

    def outputs(self, metric: str) -> tuple[str, ...]:
        """The names of the values that a metric gives, in the order of its columns."""
        ...

    def passport(self, metric: str) -> Mapping[str, Any]:
        """Implementation, versions, weights' sha256, resize, range and colour policy (JSON)."""
        ...


class Judge(Protocol):
    """A VLM judge under one protocol.

    Law: for every sample the same number of verdicts (views x repeats x judges), in the order
    of `samples`, the views of one prediction adjacent. A sample stands there once for each system
    that is judged, one after the other, so that what they share is read once.
    """

    def judge(
        self, samples: Sequence[Sample], predictions: Sequence[Prediction]
    ) -> Sequence[Verdict]:
        """Judge every prediction; a prediction that is not ok gives `skipped` verdicts."""
        ...

    def passport(self) -> Mapping[str, Any]:
        """Model, revision, protocol, prompt hash, sampling, library versions (JSON)."""
        ...
