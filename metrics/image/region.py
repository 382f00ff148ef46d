"""An edit judged by where it happened: kept outside the region, changed inside."""

from collections.abc import Mapping
from typing import Any

import torch
import torch.nn.functional as nn
from PIL.Image import Resampling

from medgen.engine.data import Sample, Score
from medgen.metrics.batch import ScoringBatch
from medgen.metrics.image.ssim import BOX, box_map
from medgen.metrics.pictures import COLOUR, Picture, Policy
from medgen.metrics.port import ImageMetric, Output
from medgen.metrics.profiles import Profile, choose_profile

_INSIDE = 127  # levels of a region above this belong to it
_LEAST = 1e-6  # mean change, in levels, below which nothing was changed


class RegionEdit(ImageMetric):
    """SSIM outside the region, the share of change that lies inside, SSIM inside.

    `ssim_outside` compares the answer with the input where nothing should change, `ssim_inside`
    with the reference, where there is one, where something should. `change_inside` is the sum of
    absolute differences of luma between answer and input inside the region over the whole sum;
    an answer that changes nothing has none. Windows are 7 x 7 (Wang et al., IEEE TIP
    13(4), 2004); one is inside where its centre is, and outside where it does not touch the region.
    """

    name = "region_edit"
    outputs = (
        Output("ssim_outside", low=-1.0), Output("change_inside"), Output("ssim_inside", low=-1.0),
    )  # fmt: skip
    policy: Policy = "strict"

    def __init__(self, profile: str = "strict") -> None:
        """`profile` can only be strict."""
        self.profile: Profile = choose_profile(self.name, profile, "strict")

    def applies(self, sample: Sample) -> str:
        """Where an image is asked for, made from one that is given, with a region."""
        if sample.asks not in ("image", "image+text"):
            return f"{self.name} does not apply to samples that ask for {sample.asks}"
        if not sample.input_images:
            return "the sample has no input image"
        return "" if sample.region_images else "the sample has no region"

    def score(self, batch: ScoringBatch) -> list[Score]:
        """See `Metric.score`."""
        return [self._one(batch, index) for index in range(len(batch))]

    def _one(self, batch: ScoringBatch, index: int) -> Score:
        sample = batch.pairs[index].sample
        given = batch.album.picture(sample.input_images[0], self.policy)
        if min(given.size) < BOX:
            return Score(sample.id, "not_applicable", f"the picture is smaller than {BOX} pixels")
        answer = batch.as_sent(index, self.policy).resize(given.size, Resampling.LANCZOS)
        region = self._region(batch, sample, given)
        if not bool(region.any()) or bool(region.all()):
            return Score(
                sample.id, "not_applicable", "the region is empty, or is the whole picture"
            )
        centre = _centres(region)
        values: dict[str, float] = {}
        _add(values, "ssim_outside", box_map(answer.luma, given.luma), ~_touching(region))
        change = (answer.luma.double() - given.luma.double()).abs()
        if float(change.mean()) > _LEAST:
            values["change_inside"] = float(change[region].sum() / change.sum())
        if sample.reference_images:
            wanted = batch.album.picture(sample.reference_images[0], self.policy)
            wanted = wanted.resize(given.size, Resampling.LANCZOS)
            _add(values, "ssim_inside", box_map(answer.luma, wanted.luma), centre)
        return Score(sample.id, values=values)

    def _region(self, batch: ScoringBatch, sample: Sample, given: Picture) -> torch.Tensor:
        """Where the change belongs, bool [height, width] of the input."""
        region = batch.album.picture(sample.region_images[0], self.policy)
        return region.resize(given.size, Resampling.NEAREST).luma > _INSIDE

    def passport(self) -> Mapping[str, Any]:
        """See `Metric.passport`."""
        return {
            "profile": self.profile, "window": BOX, "colour": COLOUR[self.policy],
            "resize": "answer and reference to the input's size, Lanczos; region nearest",
        }  # fmt: skip


def _centres(region: torch.Tensor) -> torch.Tensor:
    margin = BOX // 2
    return region[margin : region.shape[0] - margin, margin : region.shape[1] - margin]


def _touching(region: torch.Tensor) -> torch.Tensor:
    """Which windows have a pixel of the region, bool [height - 6, width - 6]."""
    return nn.max_pool2d(region[None, None].float(), BOX, stride=1)[0, 0] > 0


def _add(values: dict[str, float], name: str, found: torch.Tensor, where: torch.Tensor) -> None:
    if bool(where.any()):
        values[name] = float(found[where].double().mean().clamp(-1, 1))
