"""Both trunks of LPIPS through the real loading code, and checkpoints that are none."""

import io
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image as Pillow

from medgen.engine.data import Prediction
from medgen.engine.errors import AdapterError
from medgen.metrics import tiny
from medgen.metrics.batch import Pair, ScoringBatch
from medgen.metrics.eligible import score_pairs
from medgen.metrics.image.perceptual import LPIPS
from medgen.metrics.samples import image_pair, png
from medgen.metrics.weights import MissingWeightsError


@pytest.mark.slow
def test_the_vgg_trunk_agrees_with_the_package(tmp_path: Path) -> None:
    tiny.make_vgg(tmp_path)
    metric = LPIPS(net="vgg", weights=str(tmp_path), profile="compat-newer")
    metric.load("cpu")
    metric.golden()  # raises when the package's own forward pass disagrees
    sample, prediction = image_pair()
    same = Prediction(sample.id, images=sample.reference_images)
    batch = ScoringBatch([Pair(sample, same), Pair(sample, prediction)])
    equal, other = score_pairs(metric, batch)
    assert equal.values == {"lpips_vgg": pytest.approx(0, abs=1e-7)}
    assert other.values["lpips_vgg"] > 1e-4
    assert metric.passport()["random_weights"] is True


def test_a_trunk_of_another_network_is_refused(tiny_weights: Path, tmp_path: Path) -> None:
    alex = tiny_weights / "lpips-alex-trunk" / "alexnet-owt-7be5be79.pth"
    (tmp_path / "vgg16-397923af.pth").write_bytes(alex.read_bytes())
    with pytest.raises(AdapterError, match="not a vgg trunk"):
        LPIPS(net="vgg", weights=str(tmp_path)).load("cpu")


def test_checkpoints_that_are_none(tmp_path: Path) -> None:
    metric = LPIPS(weights=str(tmp_path))
    with pytest.raises(MissingWeightsError, match="no checkpoint"):
        metric.load("cpu")
    (tmp_path / "alexnet-owt-7be5be79.pth").write_bytes(b"not a checkpoint")
    with pytest.raises(AdapterError, match="not a PyTorch checkpoint"):
        metric.load("cpu")


def test_a_checkpoint_cannot_run_code(tmp_path: Path) -> None:
    class Harmful:
        def __reduce__(self) -> tuple[object, tuple[str]]:
            return (Path.touch, (tmp_path / "touched",))  # type: ignore[return-value]

    torch.save({"features.0.weight": Harmful()}, tmp_path / "alexnet-owt-7be5be79.pth")
    with pytest.raises(AdapterError, match="not a PyTorch checkpoint"):
        LPIPS(weights=str(tmp_path)).load("cpu")
    assert not (tmp_path / "touched").exists()


def test_the_map_of_lpips_shows_where_and_its_mean_is_the_score(
    tiny_weights: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    metric = LPIPS(weights=str(tiny_weights / "lpips-alex-trunk"))
    metric.load("cpu")
    assert capsys.readouterr() == ("", ""), "lines of a run are the run's alone"
    sample, _ = image_pair(256, 256)
    (reference,) = sample.reference_images
    with Pillow.open(io.BytesIO(reference.data)) as picture:
        changed = np.array(picture)
    changed[:64, :64] = 255 - changed[:64, :64]
    other = Prediction(sample.id, images=(png(changed),))
    batch = ScoringBatch(
        [Pair(sample, Prediction(sample.id, images=(reference,))), Pair(sample, other)]
    )
    assert not metric.where(batch, 0).any()
    found, scored = metric.where(batch, 1), metric.score(batch)[1].values["lpips"]
    assert found.mean() == pytest.approx(scored, rel=0.1)
    assert found[:64, :64].mean() > 20 * found[128:, 128:].mean()
