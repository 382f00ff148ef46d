"""Every built-in metric, in every profile, keeps the laws; and a metric that does not is caught."""

from collections.abc import Sequence
from dataclasses import replace
from itertools import product
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from scoring.families import FAMILIES
from scoring.scoring_cases import choice_cases, image_cases, text_cases

from medgen.engine.codec import plain
from medgen.engine.data import Score
from medgen.engine.errors import ConfigError
from medgen.metrics.batch import Pair, ScoringBatch
from medgen.metrics.catalogue import CATALOGUE, metric_spec, names
from medgen.metrics.eligible import score_pairs
from medgen.metrics.image.pixel import PSNR
from medgen.metrics.laws import NEURAL, SMALL, BrokenLawError, hold
from medgen.metrics.port import Metric
from medgen.metrics.scorer import FusedScorer, build_metric

# Metrics whose libraries or weights cannot be had here have tests of their own.
ELSEWHERE = {"radgraph_f1", "medimageinsight_similarity", "lpips_vgg"}
KINDS = [
    (name, profile)
    for name, entry in CATALOGUE.items()
    if name not in ELSEWHERE
    for profile in entry.profiles
]


def built(name: str, profile: str) -> Metric:
    return build_metric(name, plain(metric_spec(name, {"profile": profile})))


def cases(metric: Metric) -> list[Pair]:
    if metric.name in FAMILIES:
        return FAMILIES[metric.name]()
    if metric.tier == "image":
        return image_cases()
    return (
        choice_cases()
        if metric.name in ("exact_match", "accuracy", "task_accuracy")
        else text_cases()
    )


@pytest.mark.parametrize(("name", "profile"), KINDS)
def test_every_metric_keeps_the_laws(with_weights: Path, name: str, profile: str) -> None:
    metric = built(name, profile)
    metric.load("cpu")
    hold(metric, cases(metric), NEURAL if CATALOGUE[name].weights else SMALL)
    assert metric.name == name
    assert metric.tier == CATALOGUE[name].tier


@pytest.mark.parametrize(
    ("name", "best"),
    [("psnr", 100.0), ("ssim", 1.0), ("lpips", 0.0), ("embedding_similarity", 1.0)],
)
def test_identical_pictures_are_best(with_weights: Path, name: str, best: float) -> None:
    metric = built(name, "compat")
    metric.load("cpu")
    score = score_pairs(metric, ScoringBatch(image_cases()))[0]
    assert score.values[name] == pytest.approx(best, abs=1e-6)


NETWORKS = {"lpips": ("weights", "lpips-alex-trunk"), "bertscore": ("model", "pubmedbert")}
WANTED = ["psnr", "ssim", "bleu", *NETWORKS]
EVERYTHING = [*image_cases(), *text_cases()]


def values(
    folder: Path, order: Sequence[int], threads: int = 1, block: int = 10_000_000
) -> dict[tuple[str, str], dict[str, float]]:
    """What a scorer gives for the cases in some order, by metric and sample."""
    recipes = {}
    for name in WANTED:
        argument, known = NETWORKS.get(name, ("", ""))
        kwargs = {argument: str(folder / known)} if argument else {}
        recipes[name] = plain(metric_spec(name, kwargs))
    scorer = FusedScorer(recipes, threads, "cpu", limits={"block_pixels": block})
    pairs = [EVERYTHING[i] for i in order]
    found = scorer.score(
        [p.sample for p in pairs], {"x": [p.prediction for p in pairs]}, {"x": WANTED}
    )
    return {(k[1], s.sample_id): dict(s.values) for k, rows in found.items() for s in rows}


@pytest.fixture(scope="module")
def plain_values(tiny_weights: Path) -> dict[tuple[str, str], dict[str, float]]:
    return values(tiny_weights, range(len(EVERYTHING)))


@settings(max_examples=6, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    order=st.permutations(range(len(EVERYTHING))),
    threads=st.integers(1, 2),
    block=st.integers(1, 400_000),
)
def test_order_threads_and_blocks_do_not_change_values(
    tiny_weights: Path,
    plain_values: dict[tuple[str, str], dict[str, float]],
    order: Sequence[int],
    threads: int,
    block: int,
) -> None:
    found = values(tiny_weights, order, threads, block)
    assert found.keys() == plain_values.keys()
    for key, value in found.items():
        tolerance = NEURAL if key[0] in NETWORKS else SMALL
        assert value == pytest.approx(plain_values[key], abs=tolerance), key


class Sums(PSNR):
    """Breaks the law that other samples do not matter."""

    def score(self, batch: ScoringBatch) -> list[Score]:
        scores = super().score(batch)
        total = sum(s.values["psnr"] for s in scores)
        return [replace(s, values={"psnr": total / 9}) for s in scores]

    def golden(self) -> tuple[()]:
        return ()


class ScoresFailures(PSNR):
    """Breaks the law of declared ranges."""

    def score(self, batch: ScoringBatch) -> list[Score]:
        return [replace(s, values={"psnr": -5.0}) for s in super().score(batch)]

    def golden(self) -> tuple[()]:
        return ()


@pytest.mark.parametrize(
    ("metric", "law"),
    [(Sums(), "batch size"), (ScoresFailures(), "out of its declared range: psnr -5.0")],
)
def test_a_metric_that_breaks_a_law_is_caught(metric: Metric, law: str) -> None:
    metric.load("cpu")
    with pytest.raises(BrokenLawError, match=law):
        hold(metric, image_cases())


def test_profiles_fall_back_where_there_is_one_definition() -> None:
    assert metric_spec("ms_ssim", {"profile": "compat"}).kwargs["profile"] == "strict"
    assert metric_spec("psnr", {"profile": "compat-newer"}).kwargs["profile"] == "compat"
    assert metric_spec("lpips", {"profile": "compat-newer"}).kwargs["profile"] == "compat-newer"
    assert metric_spec("bertscore").kwargs == {
        "model": "pubmedbert",
        "layer": 12,
        "profile": "compat",
    }
    with pytest.raises(ConfigError, match="'strcit' is none of"):
        metric_spec("psnr", {"profile": "strcit"})
    with pytest.raises(ConfigError, match=r"no metric 'psrn'. Did you mean 'psnr'"):
        metric_spec("psrn")
    assert set(CATALOGUE) <= set(names())


@pytest.mark.parametrize(("name", "profile"), list(product(CATALOGUE, ["compat", "strict"])))
def test_every_name_builds_without_its_weights(name: str, profile: str) -> None:
    metric = build_metric(name, plain(metric_spec(name, {"profile": profile})))
    assert metric.outputs
    assert metric.passport()["profile"] in CATALOGUE[name].profiles
