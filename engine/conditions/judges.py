"""What a judge is shown under a condition: a sample beside an answer that is not its own.

The image that is exchanged is the answer's own where an image is asked for, else those that the
question is about. Shuffling is done within a shard, which is an unbiased sample of the benchmark:
each sample takes the image, or the instruction, of the next one in an order by its hash.
"""

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

from medgen.engine.conditions.donors import Donors, Role
from medgen.engine.conditions.kinds import Condition
from medgen.engine.conditions.models import blank_image
from medgen.engine.data import Image, Prediction, Sample
from medgen.engine.errors import ImageError

Pair = tuple[Sample, Prediction]


@dataclass(frozen=True)
class Shard:
    """A shard's samples, what was answered to them, and images of other samples."""

    samples: Sequence[Sample]
    given: Mapping[str, Prediction]
    donors: Donors


def pair_of(condition: Condition, shard: Shard, sample: Sample) -> Pair | str:
    """The pair that a judge is shown for a sample, or why there is none.

    An answer that failed stays as it is: there is nothing to show.
    """
    prediction = shard.given[sample.id]
    if prediction.status != "ok":
        return sample, prediction
    try:
        return _PAIRS[condition.name](shard, sample)
    except ImageError as err:
        return f"no image to exchange: {err}"


def _blank(shard: Shard, sample: Sample) -> Pair | str:
    return _exchange(shard, sample, [blank_image(image) for image in _images(shard, sample)])


def _other_modality(shard: Shard, sample: Sample) -> Pair | str:
    others = shard.donors.images(sample, _role(sample), same_modality=False)
    return _exchange(shard, sample, others)


def _same_modality(shard: Shard, sample: Sample) -> Pair | str:
    others = shard.donors.images(sample, _role(sample), same_modality=True)
    return _exchange(shard, sample, others)


def _image_shuffle(shard: Shard, sample: Sample) -> Pair | str:
    def able(other: Sample) -> bool:
        return _role(other) == _role(sample) and bool(_images(shard, other))

    other = _next(shard, sample, able)
    return _exchange(shard, sample, _images(shard, other) if other else [])


def _instruction_shuffle(shard: Shard, sample: Sample) -> Pair | str:
    def able(other: Sample) -> bool:
        return other.form == sample.form and other.instruction != sample.instruction

    other = _next(shard, sample, able)
    if other is None:
        return "no other instruction in its shard"
    return replace(sample, instruction=other.instruction), shard.given[sample.id]


_PAIRS: Mapping[str, Callable[[Shard, Sample], Pair | str]] = {
    "blank": _blank,
    "unrelated": _other_modality,
    "same-modality": _same_modality,
    "image-shuffle": _image_shuffle,
    "instruction-shuffle": _instruction_shuffle,
}


def _role(sample: Sample) -> Role:
    return "input" if sample.form == "text" else "reference"


def _images(shard: Shard, sample: Sample) -> Sequence[Image]:
    """What stands on the image's side of the pair."""
    return sample.input_images if sample.form == "text" else shard.given[sample.id].images


def _exchange(shard: Shard, sample: Sample, others: Sequence[Image]) -> Pair | str:
    own, prediction = _images(shard, sample), shard.given[sample.id]
    if not own:
        return "it has no image"
    if not others:
        return "no image of another sample to put there"
    images = tuple(
        replace(others[at % len(others)], label=image.label, place=image.place)
        for at, image in enumerate(own)
    )
    if sample.form == "text":
        return replace(sample, input_images=images), prediction
    return sample, replace(prediction, images=images)


def _next(shard: Shard, sample: Sample, able: Callable[[Sample], bool]) -> Sample | None:
    """The next sample of another source, in an order that nothing but ids decides."""

    def draw(other: Sample) -> bytes:
        return hashlib.sha256(f"medgen/pairing/1/{other.id}".encode()).digest()

    source = sample.source or sample.id
    order = sorted(shard.samples, key=draw)
    at = next(place for place, other in enumerate(order) if other.id == sample.id)
    after = [*order[at + 1 :], *order[:at]]
    return next((o for o in after if (o.source or o.id) != source and able(o)), None)
