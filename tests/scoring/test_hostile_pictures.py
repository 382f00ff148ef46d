"""Pictures of odd sizes and modes have a right value from every metric, or a reason."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image as Pillow
from scoring.test_depth import grey16, saved
from scoring.test_laws import ELSEWHERE, built

from medgen.engine.data import Image, Score
from medgen.metrics.batch import Pair, ScoringBatch
from medgen.metrics.catalogue import CATALOGUE
from medgen.metrics.eligible import score_pairs
from medgen.metrics.image.encoders import TransformersEncoder
from medgen.metrics.image.sets import SetFeatures
from medgen.metrics.port import Metric
from medgen.metrics.samples import image_pair

BEST = {"psnr": (100.0, 58.9226), "lpips": (0.0, 0.0)}  # of equal pictures, compat and strict


def noise(width: int, height: int, mode: str = "RGB") -> Pillow.Image:
    chance = np.random.default_rng(width * height)
    return Pillow.fromarray(chance.integers(0, 256, (height, width, 3), np.uint8)).convert(mode)


PLAIN = saved(noise(64, 64))
PICTURES = {
    "1 x 1": saved(noise(1, 1)),
    "2 x 2": saved(noise(2, 2)),
    "one column": saved(noise(1, 3000)),
    "one row": saved(noise(9000, 1)),
    "below every window": saved(noise(6, 6)),
    "below one window": saved(noise(10, 300)),
    "flat": saved(Pillow.new("RGB", (64, 64), (7, 7, 7))),
    "black": saved(Pillow.new("L", (64, 64), 0)),
    "grey": saved(noise(64, 64, "L")),
    "alpha": saved(noise(64, 64, "RGBA")),
    "grey and alpha": saved(noise(64, 64, "LA")),
    "cmyk": saved(noise(64, 64, "CMYK"), "JPEG"),
    "1 bit": saved(noise(64, 64, "1")),
    "palette": saved(noise(64, 64).quantize(8)),
    "16 bits": grey16(np.arange(4096).reshape(64, 64) * 15),
    "large": saved(noise(1200, 900)),
}
KINDS = [
    (name, profile)
    for name, entry in CATALOGUE.items()
    # These give values of other names than their own, and have tests of their own.
    if entry.tier == "image" and name not in (*ELSEWHERE, "masks", "region_edit")
    for profile in entry.profiles
]


def pair(reference: Image, candidate: Image) -> Pair:
    sample, prediction = image_pair()
    return Pair(
        replace(sample, reference_images=(reference,)), replace(prediction, images=(candidate,))
    )


@pytest.mark.parametrize(("name", "profile"), KINDS)
def test_every_pair_has_a_value_or_a_reason(with_weights: Path, name: str, profile: str) -> None:
    metric = built(name, profile)
    metric.load("cpu")
    for image in PICTURES.values():
        pairs = [pair(image, image), pair(image, PLAIN), pair(PLAIN, image)]
        same, *others = score_pairs(metric, ScoringBatch(pairs))
        check(metric, same)
        for row in others:
            check(metric, row)
        if same.status == "ok":
            best = BEST.get(name, (1.0, 1.0))[profile == "strict"]
            assert same.values[name] == pytest.approx(best, abs=1e-4)


def check(metric: Metric, row: Score) -> None:
    assert row.status in ("ok", "not_applicable"), row
    assert row.status == "ok" or "pixels a side" in row.reason
    assert (metric.name in row.values) == (row.status == "ok")


def test_a_narrow_picture_is_not_enlarged_without_end(
    with_weights: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    metric = built("embedding_similarity", "compat")
    metric.load("cpu")
    enlarged = TransformersEncoder.__init__

    def as_published(self: TransformersEncoder, here: Path, device: str) -> None:
        enlarged(self, here, device)
        self._shortest = 518

    monkeypatch.setattr(TransformersEncoder, "__init__", as_published)
    metric.load("cpu")
    narrow = saved(noise(2, 3000))
    rows = score_pairs(metric, ScoringBatch([pair(PLAIN, PLAIN), pair(PLAIN, narrow)]))
    assert [row.status for row in rows] == ["ok", "error"]
    assert "the encoder would enlarge 2 x 3000 to 518 x 777000" in rows[1].reason
    features = SetFeatures()
    sample, prediction = pair(PLAIN, narrow).sample, pair(PLAIN, narrow).prediction
    assert features.state([sample], [prediction]).left_out == 1
