"""Settings of every metric and of the scorer. Imports no library of theirs."""

from typing import Annotated, Literal

from msgspec import Meta, field

from medgen.engine.settings import How, Nested, Settings
from medgen.metrics.profiles import Profile

_Count = Annotated[int, Meta(ge=1)]


class MetricSettings(Settings, frozen=True, kw_only=True):
    """Arguments of a metric that has several definitions, and nothing else to choose."""

    profile: Profile = "compat"


class StrictMetricSettings(Settings, frozen=True, kw_only=True):
    """Arguments of a metric that the benchmark's evaluator does not have."""

    profile: Profile = "strict"


class MasksSettings(StrictMetricSettings, frozen=True, kw_only=True):
    """Arguments of `medgen.metrics.image.masks.Masks`."""

    tolerance_px: Annotated[float, Meta(ge=0)] = 2.0


class ChoiceSettings(StrictMetricSettings, frozen=True, kw_only=True):
    """Arguments of `medgen.metrics.text.choices.ChoiceAccuracy`."""

    reading: str = "strict"


class RougeLSettings(StrictMetricSettings, frozen=True, kw_only=True):
    """Arguments of `medgen.metrics.text.ngrams.RougeL`."""

    stemmer: bool = False


class ChrFSettings(StrictMetricSettings, frozen=True, kw_only=True):
    """Arguments of `medgen.metrics.text.ngrams.ChrF`."""

    word_order: Annotated[int, Meta(ge=0)] = 0


class LPIPSSettings(MetricSettings, frozen=True, kw_only=True):
    """Arguments of `medgen.metrics.image.perceptual.LPIPS`."""

    net: Literal["alex", "vgg"] = "alex"
    weights: str | None = None
    batch_size: How[_Count] = 8


class EmbeddingSettings(MetricSettings, frozen=True, kw_only=True):
    """Arguments of `medgen.metrics.image.embedding.EmbeddingSimilarity`."""

    model: str = "rad-dino"
    encoder: Literal["transformers", "medimageinsight", "efficientnet-lite0"] = "transformers"
    batch_size: How[_Count] = 8
    trust_local_code: How[bool] = False


class BERTScoreSettings(MetricSettings, frozen=True, kw_only=True):
    """Arguments of `medgen.metrics.text.bertscore.BERTScore`."""

    model: str = "pubmedbert"
    layer: _Count = 12


class TextSimilaritySettings(StrictMetricSettings, frozen=True, kw_only=True):
    """Arguments of `medgen.metrics.text.similarity.TextSimilarity`."""

    model: str = "minilm"
    layer: _Count = 6


class RadGraphSettings(MetricSettings, frozen=True, kw_only=True):
    """Arguments of `medgen.metrics.text.report_graph.RadGraphF1`."""

    model: str = "radgraph-xl"


class Limits(Settings, frozen=True, kw_only=True):
    """The largest picture decoded, and how many pixels are decoded at a time."""

    picture_pixels: _Count | None = None
    block_pixels: How[_Count | None] = None


class ScorerSettings(Settings, frozen=True, kw_only=True):
    """Arguments of `medgen.metrics.scorer.FusedScorer`; its metrics come from the plan."""

    metrics: dict[str, Nested] = field(default_factory=dict)
    threads: How[_Count] = 1
    device: How[str] = "auto"
    strict_weights: How[bool] = False
    limits: Limits = Limits()
