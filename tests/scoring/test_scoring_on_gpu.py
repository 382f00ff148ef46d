"""The same code on a GPU gives the values it gives on a CPU."""

from pathlib import Path

import pytest
import torch
from scoring.scoring_cases import image_cases, text_cases

from medgen.engine.codec import plain
from medgen.metrics.catalogue import metric_spec
from medgen.metrics.laws import NEURAL
from medgen.metrics.scorer import FusedScorer

WANTED = ["psnr", "ssim", "ms_ssim", "lpips", "embedding_similarity", "bleu", "bertscore"]


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_a_gpu_gives_the_values_of_a_cpu(with_weights: Path) -> None:
    pairs = [*image_cases(), *text_cases()]
    samples, predictions = [p.sample for p in pairs], {"x": [p.prediction for p in pairs]}
    recipes = {name: plain(metric_spec(name)) for name in WANTED}
    found = [
        FusedScorer(recipes, device=device).score(samples, predictions, {"x": WANTED})
        for device in ("cpu", "cuda")
    ]
    for key, rows in found[0].items():
        for ours, theirs in zip(rows, found[1][key], strict=True):
            assert ours.status == theirs.status
            assert ours.values == pytest.approx(dict(theirs.values), abs=NEURAL), key
