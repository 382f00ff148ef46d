"""Several pictures as one, for models that take one: a labelled contact sheet."""

import io
import math
from collections.abc import Sequence
from dataclasses import replace

from PIL import Image as Pillow

from medgen.engine.data import Image, Sample
from medgen.engine.errors import ImageError
from medgen.engine.images import as_rgb, open_image
from medgen.engine.judging.captions import write_centred

_COLUMNS = 3  # at most
_CELL = 768  # pixels, at most, on either side
_LABEL = 44  # pixels of strip above each cell
_QUALITY = 95
_PAPER = (255, 255, 255)


def fit_images(sample: Sample, most: int) -> Sample:
    """The sample with no more images to show than `most`.

    Where it has more, those of each turn and those of the question become one contact sheet each.

    Raises:
        ImageError: one of them is no picture of a sane size, or there are more even so.
    """
    if sample.images_shown <= most:
        return sample
    turns = tuple(replace(turn, images=_one(turn.images)) for turn in sample.turns)
    shown = _one(sample.shown_images)
    fitted = replace(sample, turns=turns, context_images=(), input_images=shown)
    if (count := fitted.images_shown) > most:
        raise ImageError(f"{count} sheets of {count} turns, {most} are the most", "too_many")
    return fitted


def _one(images: tuple[Image, ...]) -> tuple[Image, ...]:
    return (contact_sheet(images),) if len(images) > 1 else images


def contact_sheet(images: Sequence[Image], cell: int = _CELL) -> Image:
    """Lay two or more pictures out in rows, each under a strip "Image k", as one JPEG.

    Pictures larger than a cell are reduced to fit, smaller ones keep their size; both stand in the
    middle of their cell.

    Args:
        images: at least two, in the order of their numbers.
        cell: width and height of a cell in pixels.

    Raises:
        ImageError: one of them is not a picture of a sane size.
        ValueError: fewer than two pictures.
    """
    if len(images) < 2:
        raise ValueError("a contact sheet is for two pictures or more")
    columns = min(_COLUMNS, math.ceil(math.sqrt(len(images))))
    rows = math.ceil(len(images) / columns)
    sheet = Pillow.new("RGB", (columns * cell, rows * (cell + _LABEL)), _PAPER)
    for place, image in enumerate(images):
        left, top = place % columns * cell, place // columns * (cell + _LABEL)
        write_centred(sheet, f"Image {place + 1}", (left, top, left + cell, top + _LABEL))
        picture = as_rgb(open_image(image.data))
        picture.thumbnail((cell, cell))
        corner = (
            left + (cell - picture.width) // 2,
            top + _LABEL + (cell - picture.height) // 2,
        )
        sheet.paste(picture, corner)
    sink = io.BytesIO()
    sheet.save(sink, "JPEG", quality=_QUALITY)
    labels = [f"Image {n}: {image.label}" for n, image in enumerate(images, 1) if image.label]
    return Image(sink.getvalue(), "contact-sheet.jpg", label="\n".join(labels))
