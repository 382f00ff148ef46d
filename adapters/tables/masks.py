"""Masks as tables have them: labels, palettes, colours, made black and white."""

import re

import numpy as np
import numpy.typing as npt
from PIL import Image as Pillow

from medgen.adapters.sources.folder import FaultyContent
from medgen.adapters.tables.paths import as_text
from medgen.adapters.tables.settings import Cell, Picture
from medgen.adapters.tables.values import Row, evaluate, is_empty
from medgen.engine.data import Image
from medgen.engine.errors import ImageError
from medgen.engine.images import as_rgb, open_image, png

ANY = "any"
_INSIDE = 127  # what metrics take for white: luma above this (docs/metrics.md)
_COLOUR = re.compile(r"#[0-9a-fA-F]{6}")
_LEVEL = re.compile(r"[0-9]{1,9}")
_LISTED = 6  # levels that a message names

Levels = npt.NDArray[np.int64]
Inside = npt.NDArray[np.bool_]


def whiten(image: Image, picture: Picture, row: Row, most_pixels: int) -> Image:
    """A mask in black and white: white is what `white` of the preset names.

    Args:
        image: a picture of labels (levels, a palette's places) or colours.
        picture: its settings; `white` is `any`, levels, or colours such as `#ff0000`.
        row: where `white` is a column.
        most_pixels: what may be decoded.

    Raises:
        FaultyContent: `white` names nothing, or levels of a picture that has colours; or the mask
            is a JPEG, which has other levels around each mark.
    """
    wanted = _names_of(picture, row)
    if image.data.startswith(_JPEG):
        raise FaultyContent(f"mask {image.path!r} {_ROUGH}")
    try:
        inside = _inside(open_image(image.data, most_pixels), wanted)
    except ImageError as err:
        raise FaultyContent(f"mask {image.path!r}: {err}") from err
    return Image(png(Pillow.fromarray(inside.astype(np.uint8) * 255)), image.path)


def what_is_marked(image: Image, most_pixels: int) -> tuple[bool, str]:
    """Whether anything is marked in a mask, and what is wrong when none of that is white."""
    opened = open_image(image.data, most_pixels)
    if np.asarray(as_rgb(opened).convert("L")).max() > _INSIDE:
        return True, ""
    levels = _levels(opened)
    if levels is None:
        return True, _DARK.format("colours")
    found = [int(level) for level in np.unique(levels)]
    if found == [0]:
        return False, ""
    some = ", ".join(map(str, found[:_LISTED])) + (" …" if len(found) > _LISTED else "")
    return True, _DARK.format(f"levels {some}")


_JPEG = b"\xff\xd8"
_ROUGH = (
    "is a JPEG, whose levels and colours are not exactly those that were drawn: write it as PNG, "
    "or leave `white` out where marks are bright: white is then what is brighter than half"
)
_DARK = (
    "nothing in it is white, it has {}; `white` says what belongs to the mask: `white: any` all "
    'that is not 0, `white: 1` a level, `white: "#ff0000"` a colour'
)


def _names_of(picture: Picture, row: Row) -> list[int | str]:
    given = picture.white
    value: object = evaluate(given, row) if isinstance(given, Cell) else given
    values = value if isinstance(value, list) else [value]
    words = [as_text(one, "`white`").strip() for one in values if not is_empty(one)]
    if not words:
        raise FaultyContent("`white` is empty; it names levels or colours of the mask, or `any`")
    return [_one(word) for word in words]


def _one(word: str) -> int | str:
    if word == ANY or _COLOUR.fullmatch(word):
        return word.lower()
    if _LEVEL.fullmatch(word):
        return int(word)
    raise FaultyContent(f"`white` is {word[:40]!r}; it is `any`, a level, or a colour as #ff0000")


def _inside(image: Pillow.Image, wanted: list[int | str]) -> Inside:
    shown = _opaque(image)
    levels = _levels(image)
    found = np.zeros((image.height, image.width), dtype=bool)
    for one in wanted:
        if isinstance(one, str):
            found |= _of_colour(image, levels, one)
        elif levels is None:
            raise FaultyContent('the mask has colours, no levels; `white: "#ff0000"` names one')
        else:
            found |= levels == one
    return found & shown


def _of_colour(image: Pillow.Image, levels: Levels | None, colour: str) -> Inside:
    if colour == ANY and levels is not None:
        found: Inside = np.not_equal(levels, 0)
        return found
    pixels = np.asarray(image.convert("RGB"))
    wanted = np.frombuffer(bytes.fromhex(colour[1:]), np.uint8) if colour != ANY else None
    marked = pixels if wanted is None else pixels == wanted
    return np.asarray(marked.any(axis=2) if wanted is None else marked.all(axis=2), dtype=bool)


def _levels(image: Pillow.Image) -> Levels | None:
    """Levels of grey, places of a palette; None of a picture that has colours."""
    if image.mode in ("1", "L", "P") or image.mode.startswith("I"):
        return np.asarray(image).astype(np.int64)
    pixels = np.asarray(image.convert("RGB")).astype(np.int64)
    grey = (pixels == pixels[..., :1]).all()
    return pixels[..., 0] if grey else None


def _opaque(image: Pillow.Image) -> Inside:
    """False where a picture is transparent: what stands there is no mark."""
    if not image.has_transparency_data or image.mode.startswith("I"):
        return np.ones((image.height, image.width), dtype=bool)
    alpha: Inside = np.asarray(image.convert("RGBA").getchannel("A")) > 0
    return alpha
