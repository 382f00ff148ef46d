"""What a metric is: the port that built-in and outside metrics implement alike.

A metric is built from plain keyword arguments, loads its weights in `load`, and scores batches
of (sample, prediction) pairs that are known to be scorable: predictions that failed, formats
that a metric does not apply to and pictures that cannot be decoded never reach it. Its tier
says what it reads, so a text metric never causes a picture to be decoded.
"""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from medgen.engine.data import Prediction, Sample, Score
from medgen.metrics.batch import ScoringBatch
from medgen.metrics.pictures import Policy
from medgen.metrics.profiles import Profile
from medgen.metrics.tiers import COMPARES, Tier


@dataclass(frozen=True, slots=True)
class Output:
    """One value of a metric: its column, its direction, its unit and its range.

    `authors` is its name in the result records of the benchmark authors' evaluator; empty: they
    have no such value.
    """

    name: str
    higher_is_better: bool = True
    unit: str = ""
    low: float | None = 0.0  # None: unbounded
    high: float | None = 1.0
    authors: str = ""


@dataclass(frozen=True, slots=True)
class Golden:
    """A pair with a known answer, checked before a worker scores anything.

    `libraries` are named when the numbers differ: one of them most probably moved.
    """

    sample: Sample
    prediction: Prediction
    values: Mapping[str, float] = field(default_factory=dict)
    libraries: tuple[str, ...] = ()
    tolerance: float = 1e-6


class Metric(Protocol):
    """A metric over pairs of a sample and a prediction.

    Laws (`medgen.metrics.laws`): one score a pair in the order of the batch; a value does not
    depend on order, batch size or the other pairs; every value given is finite and named in
    `outputs`.
    """

    name: str
    tier: Tier
    policy: Policy  # how the pictures it reads are decoded; text metrics never look
    outputs: tuple[Output, ...]

    def load(self, device: str) -> None:
        """Load weights onto `cpu` or `cuda`; called once, before the first score.

        Raises:
            MissingWeightsError: they are not on this machine; says how to fetch them.
        """
        ...

    def applies(self, sample: Sample) -> str:
        """Empty when the metric can be computed for the sample, else the reason it cannot."""
        ...

    def score(self, batch: ScoringBatch) -> Sequence[Score]:
        """One score a pair. An exception makes the scorer find the pair that caused it."""
        ...

    def golden(self) -> Sequence[Golden]:
        """Pairs with known values for the start-up check; may be empty."""
        ...

    def passport(self) -> Mapping[str, Any]:
        """What ran: implementation, profile, versions, weights, resize, range, colour (JSON)."""
        ...


class _Plain(ABC):
    """What metrics share unless they say otherwise: nothing to load, no golden pairs."""

    name: str
    outputs: tuple[Output, ...]
    policy: Policy = "compat"

    def load(self, device: str) -> None:
        """Remember the device; a subclass with a library or weights loads them here."""
        self.device = device

    @abstractmethod
    def score(self, batch: ScoringBatch) -> list[Score]:
        """See `Metric.score`."""

    def golden(self) -> Sequence[Golden]:
        """No golden pairs unless a subclass says so."""
        return ()

    @abstractmethod
    def passport(self) -> Mapping[str, Any]:
        """See `Metric.passport`."""


class TextMetric(_Plain):
    """A metric of two texts: reports and answers."""

    tier: Tier = "text"

    def applies(self, sample: Sample) -> str:
        """Where there is a reference text."""
        return text_gap(sample)


class AnswerMetric(TextMetric):
    """A metric of an answer beside its sample, one at a time: a subclass gives `one`."""

    def score(self, batch: ScoringBatch) -> list[Score]:
        """See `Metric.score`."""
        return [self.one(pair.sample, pair.prediction.text or "") for pair in batch.pairs]

    @abstractmethod
    def one(self, sample: Sample, text: str) -> Score:
        """The score of one answer; without words it is empty."""


class ImageMetric(_Plain):
    """A metric of two pictures: editing and generation."""

    tier: Tier = "image"

    def applies(self, sample: Sample) -> str:
        """Where there is a reference picture."""
        return image_gap(sample)


class PairwiseText(TextMetric):
    """A metric of two texts that looks at one pair at a time: a subclass gives `values`.

    Under a compat profile it is given the authors' canonical texts, under strict the raw ones.
    """

    profile: Profile = "strict"

    def score(self, batch: ScoringBatch) -> list[Score]:
        """See `Metric.score`. Equal pairs of texts are computed once."""
        known: dict[tuple[str, str], Mapping[str, float]] = {}
        scores = []
        for index, pair in enumerate(batch.pairs):
            texts = batch.texts(index, self.profile)
            if self.profile == "strict" and not texts[1].strip():
                reason = "the reference text is empty"
                scores.append(Score(pair.sample.id, "not_applicable", reason))
                continue
            if texts not in known:
                known[texts] = self.values(*texts)
            scores.append(Score(pair.sample.id, values=known[texts]))
        return scores

    @abstractmethod
    def values(self, text: str, reference: str) -> Mapping[str, float]:
        """The values of one pair of texts, by output name."""


def text_gap(sample: Sample) -> str:
    """Why text metrics do not apply to a sample; empty when they do."""
    if sample.asks not in COMPARES["text"]:
        return f"text metrics do not apply to {sample.format}"
    return "" if sample.reference_text is not None else "the sample has no reference text"


def image_gap(sample: Sample) -> str:
    """Why image metrics do not apply to a sample; empty when they do."""
    if sample.asks not in COMPARES["image"]:
        return f"image metrics do not apply to {sample.format}"
    return "" if sample.reference_images else "the sample has no reference image"
