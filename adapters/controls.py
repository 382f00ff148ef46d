"""Control systems: the ceiling, the floor and the no-op that a table of models needs.

They need no weights, read nothing but the sample (`Unrelated` reads one more shard), and give
what the sample's format is scored by: text, an image, or both.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from PIL import Image as Pillow

from engine.errors import ImageError
from engine.images import open_image, png
from engine.nouns import Image, Prediction, Request, Sample

MID_GREY = (128, 128, 128)


class Oracle:
    """Gives the reference itself: the best that any metric can show."""

    def predict(self, requests: Sequence[Request]) -> Sequence[Prediction]:
        """See `engine.ports.Generator`."""
        return [_reference(request.sample, request.sample) for request in requests]

    def passport(self) -> Mapping[str, Any]:
        """See `engine.ports.Generator`."""
        return _passport("oracle")


class CopyInput:
    """Gives the first input image unchanged, and the instruction as its text: the no-op."""

    def predict(self, requests: Sequence[Request]) -> Sequence[Prediction]:
        """See `engine.ports.Generator`."""
        return [_copy(request.sample) for request in requests]

    def passport(self) -> Mapping[str, Any]:
        """See `engine.ports.Generator`."""
        return _passport("copy-input")


class Blank:
    """Gives a mid-grey picture of the input's size, and an empty text: the floor.

    Mid-grey, for black would be right about the background of most scans. The empty text is
    an answer: metrics that can read nothing from it say so.
    """

    def predict(self, requests: Sequence[Request]) -> Sequence[Prediction]:
        """See `engine.ports.Generator`."""
        return [_blank(request.sample) for request in requests]

    def passport(self) -> Mapping[str, Any]:
        """See `engine.ports.Generator`."""
        return _passport("blank")


def gives_text(sample: Sample) -> bool:
    """Is an answer in words expected?"""
    return sample.format != "ImageEditing"


def gives_image(sample: Sample) -> bool:
    """Is a picture expected?"""
    return sample.format != "VQA"


def _reference(sample: Sample, given: Sample) -> Prediction:
    """What `given` has as its reference, answering `sample`."""
    return Prediction(
        sample.id,
        text=given.reference_text if gives_text(sample) else None,
        images=given.reference_images[:1] if gives_image(sample) else (),
    )


def _copy(sample: Sample) -> Prediction:
    return Prediction(
        sample.id,
        text=sample.instruction if gives_text(sample) else None,
        images=sample.input_images[:1] if gives_image(sample) else (),
    )


def _blank(sample: Sample) -> Prediction:
    text = "" if gives_text(sample) else None
    if not gives_image(sample):
        return Prediction(sample.id, text=text)
    try:
        size = open_image(sample.input_images[0].data).size
    except (ImageError, IndexError) as err:
        return Prediction(sample.id, "model_error", f"no readable input image: {err}", text=text)
    grey = png(Pillow.new("RGB", size, MID_GREY))
    return Prediction(sample.id, text=text, images=(Image(grey, "blank.png"),))


def _passport(name: str) -> dict[str, Any]:
    return {"system": name, "kind": "control", "version": 1}
