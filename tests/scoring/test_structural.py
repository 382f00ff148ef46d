"""SSIM and MS-SSIM against scikit-image, on random pictures of odd sizes."""

import numpy as np
import pytest
import torch
from skimage.metrics import structural_similarity

from medgen.metrics.image import ssim
from medgen.metrics.image.pixel import PSNR, decibels, mean_square_error

SIZES = [(7, 7), (11, 300), (255, 256), (256, 257), (519, 33), (262, 262)]


def pictures(height: int, width: int) -> tuple[torch.Tensor, torch.Tensor]:
    chance = np.random.default_rng(height * width)
    first = chance.integers(0, 256, (height, width), dtype=np.uint8)
    noise = chance.normal(0, 30, (height, width))
    second = (first + noise).clip(0, 255).astype(np.uint8)
    return torch.from_numpy(first), torch.from_numpy(second)


@pytest.mark.parametrize("size", SIZES, ids=str)
def test_box_window(size: tuple[int, int]) -> None:
    first, second = pictures(*size)
    want = structural_similarity(first.numpy(), second.numpy(), data_range=255)
    assert ssim.box_ssim(first, second) == pytest.approx(want, abs=1e-6)
    assert ssim.box_ssim(first, first) == 1.0


def gaussian(first: torch.Tensor, second: torch.Tensor) -> float:
    value = structural_similarity(
        first.numpy(),
        second.numpy(),
        data_range=255,
        gaussian_weights=True,
        use_sample_covariance=False,
    )
    return float(value)


@pytest.mark.parametrize("size", [s for s in SIZES if min(s) >= 11], ids=str)
def test_gaussian_window(size: tuple[int, int]) -> None:
    first, second = pictures(*size)
    assert ssim.gaussian_ssim(first, second) == pytest.approx(gaussian(first, second), abs=1e-9)


def test_multi_scale_of_one_scale_is_the_gaussian_one(monkeypatch: pytest.MonkeyPatch) -> None:
    first, second = pictures(262, 262)
    assert ssim.multi_scale_ssim(first, first) == pytest.approx(1.0, abs=1e-12)
    assert sum(ssim.SCALE_WEIGHTS) == pytest.approx(1.0, abs=1e-3)
    monkeypatch.setattr(ssim, "SCALE_WEIGHTS", (1.0,))
    assert ssim.multi_scale_ssim(first, second) == pytest.approx(gaussian(first, second), abs=1e-9)


# What pytorch-msssim 1.0.0 gives for `pictures` of these sizes, in double precision.
MULTI_SCALE = [
    ((161, 161), 0.9441729303757108),
    ((161, 400), 0.938472681839938),
    ((176, 176), 0.9388822136077231),
    ((177, 177), 0.9399685136727294),
    ((177, 178), 0.9429883916680569),
    ((178, 177), 0.945166837767479),
    ((183, 191), 0.9426627383899057),
    ((191, 223), 0.9400821615595962),
    ((199, 301), 0.9401001239042065),
    ((207, 162), 0.9391104941645525),
    ((255, 255), 0.9388499831834441),
    ((255, 256), 0.9396106430225141),
    ((256, 257), 0.9410013781822252),
    ((301, 199), 0.9380422907230994),
    ((319, 320), 0.9398812652659587),
    ((321, 161), 0.9424146997075351),
    ((333, 333), 0.939172144663832),
    ((447, 163), 0.9399753197372561),
    ((511, 513), 0.9400246836343604),
    ((165, 169), 0.9385935522011222),
]


@pytest.mark.parametrize(("size", "value"), MULTI_SCALE, ids=str)
def test_multi_scale_is_that_of_its_library(size: tuple[int, int], value: float) -> None:
    first, second = pictures(*size)
    # The library keeps its window and weights in single precision.
    assert ssim.multi_scale_ssim(first, second) == pytest.approx(value, abs=1e-6)
    assert ssim.multi_scale_ssim(first, first) == pytest.approx(1.0)


def test_extreme_pictures_do_not_overflow() -> None:
    white = torch.full((300, 40_000), 255, dtype=torch.uint8)
    black = torch.zeros_like(white)
    assert ssim.box_ssim(white, white) == 1.0
    assert ssim.box_ssim(white, black) == pytest.approx(1e-4, rel=1e-3)
    assert mean_square_error(white[..., None], black[..., None]) == 255**2


def test_psnr_of_known_errors() -> None:
    assert decibels(0.0, "compat") == 100.0
    assert decibels(255.0**2, "compat") == 0.0
    assert decibels(1.0, "compat") == decibels(1.0, "strict") == pytest.approx(48.1308, abs=1e-4)
    assert decibels(0.0, "strict") == decibels(0.01, "strict") == pytest.approx(58.9226, abs=1e-4)
    assert PSNR("strict").passport()["identical"].startswith("58.92 dB")
