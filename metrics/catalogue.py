"""Every built-in metric by name, and the metrics of other packages that are installed.

Names are what protocols, YAML files and keys refer to. Reading the table loads no library: a target
is imported only where a scorer is built.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from medgen.engine import registry
from medgen.engine.data import Asks
from medgen.engine.errors import ConfigError
from medgen.engine.plan.identity import Spec
from medgen.engine.registry import Component
from medgen.metrics.tiers import COMPARES, Tier


@dataclass(frozen=True, slots=True)
class CatalogueEntry:
    """A metric that can be asked for by name."""

    target: str
    tier: Tier
    profiles: tuple[str, ...]  # the first is the default
    kwargs: Mapping[str, Any] = field(default_factory=dict)
    weights: tuple[str, ...] = ()  # names in `medgen.metrics.weights`
    extra: str = "metrics"  # the optional dependency group that it needs
    settings: str = "MetricSettings"  # type of its arguments, in `medgen.metrics.settings`
    semantics: int = 1  # see `medgen.engine.registry.Component`
    compares: tuple[Asks, ...] = ()  # what its samples may ask; empty: all that its tier does


_CLOSED: tuple[Asks, ...] = ("text", "choice")
_ALL = ("compat", "compat-newer", "strict")
CATALOGUE: dict[str, CatalogueEntry] = {
    "psnr": CatalogueEntry(
        "medgen.metrics.image.pixel:PSNR", "image", ("compat", "strict"), semantics=2
    ),
    "ssim": CatalogueEntry(
        "medgen.metrics.image.pixel:SSIM", "image", ("compat", "strict"), semantics=2
    ),
    "ms_ssim": CatalogueEntry(
        "medgen.metrics.image.pixel:MSSSIM",
        "image",
        ("strict",),
        settings="StrictMetricSettings",
        semantics=3,
    ),
    "lpips": CatalogueEntry(
        "medgen.metrics.image.perceptual:LPIPS",
        "image",
        _ALL,
        {"net": "alex"},
        ("lpips-alex-trunk",),
        settings="LPIPSSettings",
        semantics=2,
    ),
    "lpips_vgg": CatalogueEntry(
        "medgen.metrics.image.perceptual:LPIPS",
        "image",
        _ALL,
        {"net": "vgg"},
        ("lpips-vgg-trunk",),
        settings="LPIPSSettings",
        semantics=2,
    ),
    "embedding_similarity": CatalogueEntry(
        "medgen.metrics.image.embedding:EmbeddingSimilarity",
        "image",
        ("compat", "strict"),
        {"model": "rad-dino"},
        ("rad-dino",),
        settings="EmbeddingSettings",
        semantics=2,
    ),
    "medimageinsight_similarity": CatalogueEntry(
        "medgen.metrics.image.embedding:EmbeddingSimilarity",
        "image",
        ("compat", "strict"),
        {"model": "medimageinsight", "encoder": "medimageinsight"},
        ("medimageinsight",),
        settings="EmbeddingSettings",
        semantics=2,
    ),
    "bleu": CatalogueEntry(
        "medgen.metrics.text.ngrams:BLEU", "text", ("compat", "strict"), semantics=4
    ),
    "rouge_l": CatalogueEntry(
        "medgen.metrics.text.ngrams:RougeL",
        "text",
        ("strict",),
        settings="RougeLSettings",
        semantics=3,
    ),
    "chrf": CatalogueEntry(
        "medgen.metrics.text.ngrams:ChrF", "text", ("strict",), settings="ChrFSettings", semantics=3
    ),
    "text_em": CatalogueEntry(
        "medgen.metrics.text.ngrams:TextExactMatch", "text", ("compat", "strict"), semantics=4
    ),
    "token_f1": CatalogueEntry(
        "medgen.metrics.text.ngrams:TokenF1", "text", ("compat", "strict"), semantics=4
    ),
    "bertscore": CatalogueEntry(
        "medgen.metrics.text.bertscore:BERTScore",
        "text",
        _ALL,
        {"model": "pubmedbert", "layer": 12},
        ("pubmedbert",),
        settings="BERTScoreSettings",
        semantics=4,
    ),
    "text_similarity": CatalogueEntry(
        "medgen.metrics.text.similarity:TextSimilarity",
        "text",
        ("strict",),
        {"model": "minilm", "layer": 6},
        ("minilm",),
        settings="TextSimilaritySettings",
    ),
    "exact_match": CatalogueEntry(
        "medgen.metrics.text.closed_form:ExactMatch",
        "text",
        ("compat", "strict"),
        semantics=2,
        compares=_CLOSED,
    ),
    "accuracy": CatalogueEntry(
        "medgen.metrics.text.closed_form:Accuracy",
        "text",
        ("strict",),
        settings="StrictMetricSettings",
        compares=_CLOSED,
    ),
    "task_accuracy": CatalogueEntry(
        "medgen.metrics.text.closed_form:TaskAccuracy",
        "text",
        ("compat",),
        semantics=2,
        compares=_CLOSED,
    ),
    "clinical_entities": CatalogueEntry(
        "medgen.metrics.text.clinical:ClinicalEntities", "text", ("compat", "strict"), semantics=3
    ),
    "choice_accuracy": CatalogueEntry(
        "medgen.metrics.text.choices:ChoiceAccuracy",
        "text",
        ("strict",),
        settings="ChoiceSettings",
        compares=("choice", "choices"),
    ),
    "vote": CatalogueEntry(
        "medgen.metrics.text.choices:Vote",
        "text",
        ("strict",),
        settings="ChoiceSettings",
        compares=("preference",),
    ),
    "labels": CatalogueEntry(
        "medgen.metrics.text.choices:Labels",
        "text",
        ("strict",),
        settings="StrictMetricSettings",
        compares=("choice", "choices"),
    ),
    "short_answer": CatalogueEntry(
        "medgen.metrics.text.short:ShortAnswer",
        "text",
        ("strict",),
        settings="StrictMetricSettings",
        compares=("text",),
        semantics=2,
    ),
    "number": CatalogueEntry(
        "medgen.metrics.text.measures:NumberError",
        "text",
        ("strict",),
        settings="StrictMetricSettings",
        compares=("number",),
        semantics=2,
    ),
    "boxes": CatalogueEntry(
        "medgen.metrics.text.measures:Boxes",
        "text",
        ("strict",),
        settings="StrictMetricSettings",
        compares=("boxes",),
    ),
    "region_edit": CatalogueEntry(
        "medgen.metrics.image.region:RegionEdit",
        "image",
        ("strict",),
        settings="StrictMetricSettings",
    ),
    "radgraph_f1": CatalogueEntry(
        "medgen.metrics.text.report_graph:RadGraphF1",
        "text",
        ("compat",),
        {},
        ("radgraph-xl",),
        extra="radgraph",
        settings="RadGraphSettings",
        semantics=2,
    ),
}


SCORER = "fused-scorer"
_SETTINGS = "medgen.metrics.settings"
COMPONENTS = {
    SCORER: Component(
        SCORER,
        "metrics",
        "medgen.metrics.scorer:FusedScorer",
        "metrics",
        f"{_SETTINGS}:ScorerSettings",
        ("score",),
    )
} | {
    name: Component(
        name,
        "metrics",
        entry.target,
        entry.extra,
        f"{_SETTINGS}:{entry.settings}",
        semantics=entry.semantics,
        compares=entry.compares or COMPARES[entry.tier],
    )
    for name, entry in CATALOGUE.items()
}


def names() -> tuple[str, ...]:
    """Built-in names, then those of installed packages, each A-Z."""
    others = registry.components("metrics").keys() - COMPONENTS.keys()
    return (*sorted(CATALOGUE), *sorted(others))


def metric_spec(name: str, kwargs: Mapping[str, Any] | None = None) -> Spec:
    """The recipe of a metric.

    Args:
        name: a catalogue name, the name of an entry point of an installed package, or a
            `module:Class` target.
        kwargs: plain arguments, which go over the defaults of the name. `profile` is asked
            for where a metric has it; a metric with one definition keeps that.

    Raises:
        ConfigError: nobody has the name, or the profile is none at all.
    """
    asked = dict(kwargs or {})
    if entry := CATALOGUE.get(name):
        profile = asked.get("profile", entry.profiles[0])
        if profile not in _ALL:
            raise ConfigError(f"metric {name}: profile {profile!r} is none of {', '.join(_ALL)}")
        asked["profile"] = _nearest(entry, profile)
        return Spec(name, {**entry.kwargs, **asked})
    return Spec(registry.find(name, "metrics").name, asked)


def _nearest(entry: CatalogueEntry, profile: str) -> str:
    """The profile, or what stands for it: the newer state is the first where they agree."""
    if profile not in entry.profiles and profile == "compat-newer":
        profile = "compat"
    return profile if profile in entry.profiles else entry.profiles[0]
