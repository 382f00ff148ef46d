"""PSNR, SSIM and MS-SSIM: what the pixels of two pictures say, without a network."""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import torch

from medgen.engine.data import Score
from medgen.metrics.batch import ScoringBatch
from medgen.metrics.image import ssim
from medgen.metrics.pictures import COLOUR, Policy
from medgen.metrics.port import Golden, ImageMetric, Output
from medgen.metrics.profiles import FOLLOWS, Profile, choose_profile, policy_of
from medgen.metrics.samples import image_pair
from medgen.metrics.versions import versions_of

_RESIZE = "candidate to the reference's size, Lanczos"
# The mean square error that rounding to whole grey levels alone causes (uniform, one level wide).
_ROUNDING_ERROR = 1 / 12
_HIGHEST_STRICT_DB = 10 * math.log10(255.0**2 / _ROUNDING_ERROR)
_IDENTICAL_DB = 100.0
_EXACT = 256  # squares below 2^16 whose sum a float32 holds without rounding
_AT_ONCE = 1024 * _EXACT  # values squared at a time: bounds the copies of a large picture


class PSNR(ImageMetric):
    """Peak signal-to-noise ratio of RGB, in dB, peak 255.

    compat: 100 dB for identical pictures, although a large picture with one level changed has
    more. strict: the error never counts as less than that of
    rounding to whole levels (58.92 dB), so identical pictures do not outweigh all others in a
    mean; pictures are decoded with orientation, alpha and depth honoured.
    """

    name = "psnr"
    outputs = (Output("psnr", unit="dB", high=None, authors="PSNR"),)

    def __init__(self, profile: str = "compat") -> None:
        """`profile` is compat or strict."""
        self.profile: Profile = choose_profile(self.name, profile, "compat", "strict")
        self.policy = policy_of(self.profile)
        if self.profile == "strict":
            self.outputs = (replace(self.outputs[0], high=_HIGHEST_STRICT_DB),)

    def score(self, batch: ScoringBatch) -> list[Score]:
        """See `Metric.score`."""
        scores = []
        for index, pair in enumerate(batch.pairs):
            candidate, reference = (
                picture.fine_rgb.to(self.device)
                for picture in (
                    batch.candidate(index, self.policy),
                    batch.reference(index, self.policy),
                )
            )
            value = decibels(mean_square_error(candidate, reference), self.profile)
            scores.append(Score(pair.sample.id, values={"psnr": value}))
        return scores

    def golden(self) -> Sequence[Golden]:
        """See `Metric.golden`."""
        sample, prediction = image_pair()
        return (Golden(sample, prediction, {"psnr": 15.652017432345978}, ("pillow", "torch")),)

    def passport(self) -> Mapping[str, Any]:
        """See `Metric.passport`."""
        return {
            **_passport(self.profile, self.policy),
            "range": "0 to 255",
            "identical": "100 dB" if self.profile == "compat" else "58.92 dB, the rounding floor",
        }


def mean_square_error(first: torch.Tensor, second: torch.Tensor) -> float:
    """Mean of squared differences, exact before the division.

    Args:
        first: levels 0 to 255 [height, width, channels], uint8 or, of deeper files, float32.
        second: the same shape.
    """
    if first.is_floating_point() or second.is_floating_point():
        return _deep_square_error(first, second)
    total = 0.0
    parts = (torch.split(picture.flatten(), _AT_ONCE) for picture in (first, second))
    for ours, theirs in zip(*parts, strict=True):
        difference = torch.maximum(ours, theirs).sub_(torch.minimum(ours, theirs)).float()
        squares = difference.mul_(difference)
        whole = len(squares) - len(squares) % _EXACT
        for sums in (squares[:whole].view(-1, _EXACT).sum(1), squares[whole:].sum()):
            total += float(sums.sum(dtype=torch.float64))
    return total / first.numel()


def _deep_square_error(first: torch.Tensor, second: torch.Tensor) -> float:
    rows = max(1, _AT_ONCE // first[0].numel())
    strips = zip(torch.split(first, rows), torch.split(second, rows), strict=True)
    return sum(float((x.double() - y).square_().sum()) for x, y in strips) / first.numel()


def decibels(error: float, profile: Profile) -> float:
    """PSNR in dB of a mean square error in squared grey levels."""
    if profile == "strict":
        error = max(error, _ROUNDING_ERROR)
    return _IDENTICAL_DB if error == 0 else 10 * math.log10(255.0**2 / error)


class _Structural(ImageMetric):
    """What SSIM and MS-SSIM share: luma in, a window that must fit, one value out."""

    profile: Profile
    side: int
    compare: Callable[[torch.Tensor, torch.Tensor], float]
    window: str
    expected: float  # for the golden pair

    def score(self, batch: ScoringBatch) -> list[Score]:
        """See `Metric.score`."""
        return [self._one(batch, index) for index in range(len(batch))]

    def _one(self, batch: ScoringBatch, index: int) -> Score:
        name = batch.pairs[index].sample.id
        reference = batch.reference(index, self.policy)
        if min(reference.size) < self.side:
            width, height = reference.size
            reason = f"the reference is {width} x {height}, less than {self.side} pixels a side"
            return Score(name, "not_applicable", reason)
        luma = batch.candidate(index, self.policy).fine_luma.to(self.device)
        value = self.compare(luma, reference.fine_luma.to(self.device))
        return Score(name, values={self.name: value})

    def golden(self) -> Sequence[Golden]:
        """See `Metric.golden`."""
        sample, prediction = image_pair(side=max(48, self.side))
        return (Golden(sample, prediction, {self.name: self.expected}, ("pillow", "torch")),)

    def passport(self) -> Mapping[str, Any]:
        """See `Metric.passport`."""
        shared = _passport(self.profile, self.policy)
        return {**shared, "channel": "luma, ITU-R 601-2", "range": 255, "window": self.window}


class SSIM(_Structural):
    """Structural similarity of 8-bit luma, data range 255.

    compat: scikit-image's default, a 7 x 7 box window with sample covariance. strict: the
    Gaussian window of 11 x 11 and sigma 1.5 of the method's paper.
    """

    name = "ssim"
    outputs = (Output("ssim", low=-1.0, authors="SSIM"),)

    def __init__(self, profile: str = "compat") -> None:
        """`profile` is compat or strict."""
        self.profile = choose_profile(self.name, profile, "compat", "strict")
        self.policy = policy_of(self.profile)
        if self.profile == "compat":
            self.side, self.compare = ssim.BOX, ssim.box_ssim
            self.expected = 0.6212177373064453
            self.window = "7 x 7 box, sample covariance"
        else:
            self.side, self.compare = ssim.GAUSSIAN, ssim.gaussian_ssim
            self.expected = 0.643060525126523
            self.window = "11 x 11 Gaussian, sigma 1.5, population covariance"


class MSSSIM(_Structural):
    """Multi-scale SSIM of 8-bit luma: five scales, Gaussian window, weights of the 2003 paper.

    The benchmark authors' evaluator has no such metric, so there is one profile, strict.
    """

    name = "ms_ssim"
    outputs = (Output("ms_ssim"),)
    side = ssim.MULTI_SCALE_SIDE
    window = (
        "11 x 11 Gaussian, sigma 1.5, five scales halved by 2 x 2 means, odd sides padded by a line"
    )
    expected = 0.13098618498952544

    def __init__(self, profile: str = "strict") -> None:
        """`profile` can only be strict."""
        self.profile = choose_profile(self.name, profile, "strict")
        self.policy = policy_of(self.profile)
        self.compare = ssim.multi_scale_ssim


def _passport(profile: Profile, policy: Policy) -> dict[str, Any]:
    return {
        "profile": profile,
        "follows": FOLLOWS[profile],
        "versions": versions_of("torch", "pillow"),
        "resize": _RESIZE,
        "colour": COLOUR[policy],
    }
