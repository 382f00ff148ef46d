"""Both trunks of LPIPS through the real loading code, and checkpoints that are none."""

from pathlib import Path

import pytest
import torch

from medgen.engine.data import Prediction
from medgen.engine.errors import AdapterError
from medgen.metrics import tiny
from medgen.metrics.batch import Pair, ScoringBatch
from medgen.metrics.eligible import score_pairs
from medgen.metrics.image.perceptual import LPIPS
from medgen.metrics.samples import image_pair
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
