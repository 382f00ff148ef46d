"""How well a mask covers the reference: overlap, and how far the borders lie apart."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from PIL.Image import Resampling

from medgen.engine.data import Sample, Score
from medgen.metrics.batch import ScoringBatch
from medgen.metrics.pictures import COLOUR, Policy
from medgen.metrics.port import Golden, ImageMetric, Output
from medgen.metrics.profiles import Profile, choose_profile
from medgen.metrics.samples import square_pair

_INSIDE = 127  # levels of a mask above this belong to it

Mask = npt.NDArray[np.bool_]


class Masks(ImageMetric):
    """Dice and IoU of two masks, and the distances between their borders.

    Both are 0 where only one of the two masks is empty, and so is `nsd`: of the border that is
    there, nothing is near the other. Then `hd95` and `assd` have no value. A border are the pixels
    of a mask that touch what is outside it by a side, the edge of the picture included. `hd95` is
    the 95th percentile of the distances from one border to the nearest pixel of the other, the
    larger of both directions; `assd` the mean over both borders; `nsd` the share of both borders
    that lies within the tolerance of the other.

    Sources: Dice, Ecology 26(3), 1945; Jaccard, New Phytologist 11(2), 1912; Huttenlocher et al.,
    IEEE TPAMI 15(9), 1993 (Hausdorff); Heimann et al., IEEE TMI 28(8), 2009 (ASSD); Nikolov et al.,
    JMIR 23(7), 2021 (NSD). Distances are in pixels: a picture has no millimetres.
    """

    name = "masks"
    outputs = (
        Output("dice"),
        Output("iou"),
        Output("hd95", higher_is_better=False, unit="px", high=None),
        Output("assd", higher_is_better=False, unit="px", high=None),
        Output("nsd"),
    )
    policy: Policy = "strict"

    def __init__(self, profile: str = "strict", tolerance_px: float = 2.0) -> None:
        """`profile` can only be strict; `tolerance_px` is that of `nsd`."""
        self.profile: Profile = choose_profile(self.name, profile, "strict")
        self.tolerance = tolerance_px

    def applies(self, sample: Sample) -> str:
        """Where a mask is asked for, and known."""
        if sample.asks != "mask":
            return f"{self.name} does not apply to samples that ask for {sample.asks}"
        return "" if sample.reference_images else "the sample has no reference image"

    def score(self, batch: ScoringBatch) -> list[Score]:
        """See `Metric.score`."""
        return [self._one(batch, index) for index in range(len(batch))]

    def _one(self, batch: ScoringBatch, index: int) -> Score:
        reference = batch.reference(index, self.policy)
        answer = batch.as_sent(index, self.policy).resize(reference.size, Resampling.NEAREST)
        ours, theirs = _inside(answer.luma), _inside(reference.luma)
        name = batch.pairs[index].sample.id
        if not (ours.any() or theirs.any()):
            return Score(name, "not_applicable", "both masks are empty")
        both, either = int((ours & theirs).sum()), int((ours | theirs).sum())
        values = {"dice": 2 * both / (both + either), "iou": both / either, "nsd": 0.0}
        if ours.any() and theirs.any():
            values |= border_distances(ours, theirs, self.tolerance)
        return Score(name, values=values)

    def golden(self) -> tuple[Golden, ...]:
        """A square of 20 pixels that was moved by two."""
        values = {"dice": 0.9, "iou": 9 / 11, "hd95": 2.0, "assd": 1.0}
        return (Golden(*square_pair(), values, ("scipy",)),)

    def passport(self) -> Mapping[str, Any]:
        """See `Metric.passport`."""
        return {
            "profile": self.profile, "tolerance_px": self.tolerance, "colour": COLOUR[self.policy],
            "inside": f"luma above {_INSIDE}", "resize": "answer to the reference's size, nearest",
        }  # fmt: skip


def _inside(luma: torch.Tensor) -> Mask:
    found: Mask = (luma > _INSIDE).cpu().numpy()
    return found


def border_distances(ours: Mask, theirs: Mask, tolerance: float) -> dict[str, float]:
    """`hd95`, `assd` (pixels) and `nsd` (0 to 1) of two masks [height, width], neither empty."""
    first, second = _border(ours), _border(theirs)
    there, back = _to(second)[first], _to(first)[second]
    each = np.concatenate([there, back])
    return {
        "hd95": float(max(np.percentile(there, 95), np.percentile(back, 95))),
        "assd": float(each.mean()),
        "nsd": float((each <= tolerance).mean()),
    }


def _border(mask: Mask) -> Mask:
    from scipy.ndimage import binary_erosion

    return mask & ~binary_erosion(mask)


def _to(border: Mask) -> npt.NDArray[np.float64]:
    """Of every pixel, the distance to the nearest one of a border."""
    from scipy.ndimage import distance_transform_edt

    return distance_transform_edt(~border)
