"""The fused scorer: every pair ends as one row, and no row depends on another."""

from collections.abc import Sequence

import pytest

from medgen.engine.data import Image, Prediction, Sample, Score
from medgen.engine.errors import AdapterError, ConfigError
from medgen.metrics.batch import ScoringBatch
from medgen.metrics.image.pixel import PSNR
from medgen.metrics.samples import image_pair, pattern, text_pair
from medgen.metrics.scorer import FusedScorer

RECIPES = {
    "psnr": {"target": "psnr"},
    "ssim": {"target": "ssim", "kwargs": {"profile": "strict"}},
    "bleu": {"target": "bleu"},
}
ALL = list(RECIPES)


@pytest.fixture(scope="module")
def scorer() -> FusedScorer:
    return FusedScorer(RECIPES, threads=1, device="cpu")


def editing(name: str, side: int = 40) -> Sample:
    return Sample(
        name, "image", "style-transfer", "CT", "-", reference_images=(pattern(side, side),)
    )


def test_the_port_is_kept(scorer: FusedScorer) -> None:
    samples = [editing("a"), text_pair()[0], editing("b", 56)]
    predictions = {
        "copy": [
            Prediction("a", images=samples[0].reference_images),
            Prediction("report", text="The lungs are clear."),
            Prediction("b", images=samples[2].reference_images),
        ],
        "ill": [
            Prediction("a", status="timeout", reason="60 s"),
            Prediction("report", status="refused"),
            Prediction("b", images=(Image(b"not a picture"),)),
        ],
    }
    found = scorer.score(samples, predictions, {"copy": ALL, "ill": ["psnr", "bleu"]})
    assert set(found) == {("copy", m) for m in ALL} | {("ill", "psnr"), ("ill", "bleu")}
    assert [s.sample_id for s in found["copy", "psnr"]] == ["a", "report", "b"]
    assert [s.status for s in found["copy", "psnr"]] == ["ok", "not_applicable", "ok"]
    assert [s.values.get("psnr") for s in found["copy", "psnr"]] == [100.0, None, 100.0]
    assert [s.status for s in found["copy", "bleu"]] == ["not_applicable", "ok", "not_applicable"]
    assert [(s.status, s.reason) for s in found["ill", "psnr"]] == [
        ("error", "prediction: timeout"),
        ("not_applicable", "image metrics do not apply to TextOnly"),
        (
            "error",
            "prediction: image not a picture in PNG, JPEG, WEBP, BMP, GIF, TIFF (13 bytes, "
            "beginning b'not a pictur')",
        ),
    ]
    assert found["ill", "bleu"][1].reason == "prediction: refused"
    assert not any(s.values for s in found["ill", "psnr"])


def test_an_ok_prediction_without_the_needed_part_is_an_error(scorer: FusedScorer) -> None:
    samples = [editing("a"), text_pair()[0]]
    bare = {"bare": [Prediction("a", text="only words"), Prediction("report")]}
    found = scorer.score(samples, bare, {"bare": ALL})
    assert found["bare", "psnr"][0] == Score("a", "error", "prediction: no image")
    assert found["bare", "bleu"][1] == Score("report", "error", "prediction: no text")


def test_blocks_do_not_change_values() -> None:
    samples = [editing(f"s{i}", 30 + 9 * i) for i in range(6)]
    predictions = {
        name: [
            Prediction(s.id, images=(pattern(33 + 5 * i, 47, seed),)) for i, s in enumerate(samples)
        ]
        for seed, name in enumerate(["one", "two", "three"])
    }
    wanted = {name: ["psnr", "ssim"] for name in predictions}
    whole = FusedScorer(RECIPES, device="cpu").score(samples, predictions, wanted)
    for block in (1, 5_000, 12_000):
        cut = FusedScorer(RECIPES, device="cpu", limits={"block_pixels": block})
        assert cut.score(samples, predictions, wanted) == whole


class FailsOnOne(PSNR):
    """Raises for one sample, as a library might."""

    name = "fails_on_one"

    def score(self, batch: ScoringBatch) -> list[Score]:
        if any(pair.sample.id == "s3" for pair in batch.pairs):
            raise FloatingPointError("underflow")
        return super().score(batch)


class LosesRows(PSNR):
    name = "loses_rows"

    def score(self, batch: ScoringBatch) -> list[Score]:
        return super().score(batch)[1:]


class GivesInfinity(PSNR):
    name = "gives_infinity"

    def score(self, batch: ScoringBatch) -> list[Score]:
        return [Score(p.sample.id, values={"psnr": float("inf")}) for p in batch.pairs]

    def golden(self) -> Sequence[object]:  # type: ignore[override]
        return ()


def test_a_failing_metric_harms_only_the_sample_it_fails_on() -> None:
    samples = [editing(f"s{i}") for i in range(7)]
    predictions = {"one": [Prediction(s.id, images=(pattern(40, 40, 1),)) for s in samples]}
    recipes = RECIPES | {"odd": {"target": f"{FailsOnOne.__module__}:FailsOnOne"}}
    found = FusedScorer(recipes).score(samples, predictions, {"one": ["psnr", "odd"]})
    odd = found["one", "odd"]
    assert (odd[3].status, odd[3].values) == ("internal_error", {})
    assert odd[3].reason.startswith("FloatingPointError: underflow [test_fused.py:")
    assert odd[:3] + odd[4:] == found["one", "psnr"][:3] + found["one", "psnr"][4:]
    assert all(s.status == "ok" for s in found["one", "psnr"])


def test_a_value_that_cannot_be_stored_is_an_error() -> None:
    sample, prediction = image_pair()
    recipes = {"odd": {"target": f"{GivesInfinity.__module__}:GivesInfinity"}}
    found = FusedScorer(recipes).score([sample], {"x": [prediction]}, {"x": ["odd"]})
    assert found["x", "odd"][0] == Score(sample.id, "error", "not a finite number: psnr")


class Moved(PSNR):
    """A metric whose library gives other numbers than it used to."""

    def score(self, batch: ScoringBatch) -> list[Score]:
        return [
            Score(s.sample_id, values={"psnr": s.values["psnr"] + 0.01})
            for s in super().score(batch)
        ]


def test_a_worker_whose_numbers_moved_refuses_to_score() -> None:
    with pytest.raises(AdapterError, match=r"metric psnr fails its self-test: .* pillow \d+"):
        FusedScorer({"psnr": {"target": f"{Moved.__module__}:Moved"}})


def test_a_metric_that_loses_rows_is_found_out_at_the_start() -> None:
    with pytest.raises(AdapterError, match="not those of the pairs"):
        FusedScorer({"odd": {"target": f"{LosesRows.__module__}:LosesRows"}})


@pytest.mark.parametrize(
    ("recipes", "threads", "message"),
    [
        (
            {"x": {"target": "psnr", "kwargs": {"profil": "compat"}}},
            1,
            "profil",
        ),
        (
            {"x": {"target": "psnr", "kwargs": {"profile": "lax"}}},
            1,
            "no profile",
        ),
        ({"x": {"target": "medgen.metrics.image.pixel:Nope"}}, 1, "has no 'Nope'"),
        ({"x": {"kwargs": {}}}, 1, "no target"),
        ({"x": {"target": "psnr", "args": 1}}, 1, "unknown keys args"),
        ({}, 0, "threads"),
    ],
)
def test_wrong_recipes_are_refused(
    recipes: dict[str, dict[str, object]], threads: int, message: str
) -> None:
    with pytest.raises(ConfigError, match=message):
        FusedScorer(recipes, threads=threads)


def test_misaligned_predictions_are_refused(scorer: FusedScorer) -> None:
    with pytest.raises(ConfigError, match="not those of the samples"):
        scorer.score([editing("a")], {"x": [Prediction("b")]}, {"x": ["psnr"]})
    with pytest.raises(ConfigError, match="no metric 'nope'"):
        scorer.score([editing("a")], {"x": [Prediction("a")]}, {"x": ["nope"]})


def test_passports_say_what_ran(scorer: FusedScorer) -> None:
    passport = scorer.passport("ssim")
    assert passport["implementation"] == "medgen.metrics.image.pixel:SSIM"
    assert passport["profile"] == "strict"
    assert {"resize", "range", "colour", "versions", "window", "device"} <= set(passport)
    assert scorer.outputs("bleu") == ("bleu",)
