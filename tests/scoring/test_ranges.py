"""Values stay in the range that their metric declares, whatever the pair."""

import math
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from scoring.test_laws import ELSEWHERE, built

from medgen.engine.data import Image, Score
from medgen.metrics.batch import Pair, ScoringBatch
from medgen.metrics.catalogue import CATALOGUE
from medgen.metrics.eligible import score_pairs
from medgen.metrics.image.pixel import PSNR
from medgen.metrics.port import Metric, Output
from medgen.metrics.samples import choice_pair, image_pair, pattern, png, text_pair

KINDS = [
    (name, profile)
    for name, entry in CATALOGUE.items()
    if name not in ELSEWHERE
    for profile in entry.profiles
]
WORDS = (
    "no",
    "effusion",
    "pleural",
    "A",
    "B.",
    "3.5",
    "mm",
    "the",
    "胸腔",
    "积液",
    "ปอด",
    "é",
    "🫁",
)
TEXTS = st.one_of(st.text(max_size=40), st.lists(st.sampled_from(WORDS), max_size=30).map(" ".join))
PAIRS = st.tuples(TEXTS, TEXTS) | TEXTS.map(lambda text: (text, text))


@pytest.fixture(scope="module")
def loaded(tiny_weights: Path) -> Callable[[str, str], Metric]:
    made: dict[tuple[str, str], Metric] = {}

    def get(name: str, profile: str) -> Metric:
        if (name, profile) not in made:
            with pytest.MonkeyPatch.context() as patch:
                patch.setenv("MEDGEN_WEIGHTS", str(tiny_weights))
                metric = built(name, profile)
                metric.load("cpu")
            made[name, profile] = metric
        return made[name, profile]

    return get


def hold_range(metric: Metric, pair: Pair) -> Score:
    """The pair's score, after its values were held to the declared range."""
    [score] = score_pairs(metric, ScoringBatch([pair]))
    assert (score.status == "ok") == bool(score.values), score
    assert score.status == "ok" or score.reason
    assert "range" not in score.reason, score
    ranges = {output.name: output for output in metric.outputs}
    for name, value in score.values.items():
        low, high = ranges[name].low, ranges[name].high
        assert math.isfinite(value)
        assert low is None or value >= low
        assert high is None or value <= high
    return score


@pytest.mark.parametrize(("name", "profile"), [k for k in KINDS if CATALOGUE[k[0]].tier == "text"])
@settings(max_examples=20, deadline=None, suppress_health_check=list(HealthCheck))
@given(texts=PAIRS)
def test_texts(
    loaded: Callable[[str, str], Metric], name: str, profile: str, texts: tuple[str, str]
) -> None:
    closed = name in ("exact_match", "accuracy", "task_accuracy")
    sample, prediction = choice_pair(texts[0]) if closed else text_pair(*texts)
    hold_range(loaded(name, profile), Pair(sample, prediction))


def picture(seed: int, side: int, kind: str) -> Image:
    chance = np.random.default_rng(seed)
    levels = {
        "noise": chance.integers(0, 256, (side, side, 3)),
        "flat": np.full((side, side), chance.integers(0, 256)),
        "extreme": chance.integers(0, 2, (side, side)) * 255,
    }
    return pattern(side, side, seed % 7) if kind == "smooth" else png(levels[kind].astype(np.uint8))


KINDS_OF_PICTURES = st.sampled_from(["noise", "flat", "extreme", "smooth"])


@pytest.mark.parametrize(("name", "profile"), [k for k in KINDS if CATALOGUE[k[0]].tier == "image"])
@settings(max_examples=12, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    kinds=st.tuples(KINDS_OF_PICTURES, KINDS_OF_PICTURES),
    sides=st.tuples(st.sampled_from([1, 2, 7, 11, 40, 161]), st.sampled_from([1, 3, 40, 163])),
    equal=st.booleans(),
)
def test_pictures(
    loaded: Callable[[str, str], Metric],
    name: str,
    profile: str,
    kinds: tuple[str, str],
    sides: tuple[int, int],
    equal: bool,
) -> None:
    reference = picture(sides[0], sides[0], kinds[0])
    candidate = reference if equal else picture(sides[1] + 1, sides[1], kinds[1])
    sample, prediction = image_pair()
    sample = replace(sample, reference_images=(reference,))
    hold_range(loaded(name, profile), Pair(sample, replace(prediction, images=(candidate,))))


def test_equal_long_texts_have_bleu_one(loaded: Callable[[str, str], Metric]) -> None:
    for profile in ("compat", "strict"):
        for count in range(1, 60):
            text = " ".join(f"word{k % 17}" for k in range(count))
            score = hold_range(loaded("bleu", profile), Pair(*text_pair(text, text)))
            assert score.values["bleu"] <= 1.0
            if count > 4:
                assert score.values["bleu"] == pytest.approx(1.0)


class Off(PSNR):
    """Gives one fixed value in a range from 0 to 1."""

    outputs = (Output("psnr"),)
    value = 0.0

    def score(self, batch: ScoringBatch) -> list[Score]:
        return [Score(pair.sample.id, values={"psnr": self.value}) for pair in batch.pairs]


@pytest.mark.parametrize(
    ("value", "kept"),
    [(1.0000000000000004, 1.0), (1 + 9e-5, 1.0), (-1e-7, 0.0), (0.3, 0.3), (1.0, 1.0), (0.0, 0.0)],
)
def test_rounding_is_taken_back(value: float, kept: float) -> None:
    metric = Off()
    metric.value = value
    [score] = score_pairs(metric, ScoringBatch([Pair(*image_pair())]))
    assert (score.status, score.values) == ("ok", {"psnr": kept})


@pytest.mark.parametrize("value", [1.01, -0.2, 100.0])
def test_a_value_far_out_of_range_is_no_value(value: float) -> None:
    metric = Off()
    metric.value = value
    [score] = score_pairs(metric, ScoringBatch([Pair(*image_pair())]))
    assert (score.status, score.values) == ("error", {})
    assert score.reason == f"out of its declared range: psnr {value!r}"


@pytest.mark.parametrize("value", [1e101, -1e308])
def test_a_value_of_which_no_deviation_fits_a_float_is_no_value(value: float) -> None:
    metric = Off()
    metric.outputs = (Output("psnr", low=None, high=None),)
    metric.value = value
    [score] = score_pairs(metric, ScoringBatch([Pair(*image_pair())]))
    assert (score.status, score.values) == ("error", {})
    assert score.reason == "too large for a mean: psnr"


def test_one_level_in_a_large_picture() -> None:
    levels = np.full((600, 600), 100, np.uint8)
    first = png(levels)
    levels[0, 0] = 101
    sample, prediction = image_pair()
    sample = replace(sample, reference_images=(first,))
    pair = Pair(sample, replace(prediction, images=(png(levels),)))
    for profile, value in (("compat", 103.6938), ("strict", 58.9226)):
        metric = PSNR(profile)
        metric.load("cpu")
        assert hold_range(metric, pair).values["psnr"] == pytest.approx(value, abs=1e-3)
