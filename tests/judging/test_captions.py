"""Caption strips and contact sheets have the benchmark's geometry."""

import io
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from judging.cases import picture
from PIL import Image as Pillow

from medgen.adapters.images.contact_sheet import contact_sheet
from medgen.engine.data import Image
from medgen.engine.errors import ImageError
from medgen.engine.images import png
from medgen.engine.judging.captions import Captioned, add_strip

GOLDENS = json.loads(
    (Path(__file__).parents[1] / "goldens" / "geometry.json").read_text(encoding="utf-8")
)
# The evaluator's released state (`head`); a later one makes strips of at least 28 pixels.
CAPTIONS = GOLDENS["captions"]
SHEETS = [s for s in GOLDENS["contact_sheets"] if "error" not in s]
GREEN = (0, 200, 0)


def name(case: dict[str, Any]) -> str:
    return f"{case['size']}-{case['label']}"


@pytest.mark.parametrize("case", CAPTIONS, ids=name)
def test_a_strip_is_a_tenth_of_the_height_below_the_picture(case: dict[str, Any]) -> None:
    made = add_strip(Pillow.new("RGB", tuple(case["size"]), GREEN), case["label"])
    assert made.size == tuple(case["head_out_size"])
    pixels = np.asarray(made)
    height = case["size"][1]
    assert (pixels[:height] == GREEN).all(), "the picture itself is untouched"
    ink = np.argwhere((pixels[height:] != 255).any(axis=-1))
    if case["head_ink_bbox_in_caption"] is None:
        assert len(ink) == 0
        return
    (top, left), (bottom, right) = ink.min(axis=0), ink.max(axis=0)
    strip, width = made.height - height, made.width
    assert top >= 0
    if width >= 200 and strip >= 20:  # else the label fills the strip
        assert abs((left + right) / 2 - width / 2) <= 3, "centred across"
        assert abs((top + bottom) / 2 - strip / 2) <= strip / 4, "centred along"


@pytest.mark.parametrize("case", [c for c in CAPTIONS if c["label"]], ids=name)
def test_a_floor_of_28_gives_the_later_evaluators_size(case: dict[str, Any]) -> None:
    made = add_strip(Pillow.new("RGB", tuple(case["size"]), GREEN), case["label"], floor=28)
    assert made.size == tuple(case["newer_out_size"])


@pytest.mark.parametrize("case", GOLDENS["caption_modes"], ids=lambda c: c["mode"])
def test_every_mode_becomes_rgb(case: dict[str, Any]) -> None:
    width, height = case["out_size"][0], 80
    made = add_strip(Pillow.new(case["mode"], (width, height)), "Input")
    assert (made.mode, made.size) == (case["out_mode"], tuple(case["out_size"]))


def test_a_drawing_is_a_png_and_the_same_every_time() -> None:
    drawn = Captioned(picture(), "Output").draw()
    assert drawn.data.hex().startswith(GOLDENS["caption_payload_magic"])
    assert drawn == Captioned(picture(), "Output").draw()
    assert drawn != Captioned(picture(), "Input").draw()


def test_what_is_drawn_alike_has_the_same_mark_and_nothing_else_has() -> None:
    every = [Captioned(picture(), "Output", floor) for floor in (0, 9)]
    every += [Captioned(picture(), "Input"), Captioned(picture((9, 9, 9)), "Input")]
    again = Captioned(picture(), "Output")
    assert again.mark() == every[0].mark()
    assert len({one.mark() for one in every}) == len(every)
    shown = Pillow.open(io.BytesIO(again.draw().data))
    assert again.paint().tobytes() == shown.tobytes()


def test_what_is_no_picture_cannot_be_captioned() -> None:
    with pytest.raises(ImageError):
        Captioned(Image(b"no picture"), "Input").draw()


@pytest.mark.parametrize("case", SHEETS, ids=lambda c: f"{len(c['input_sizes'])}-{c['cell']}")
def test_cells_lie_where_the_evaluator_lays_them(case: dict[str, Any]) -> None:
    images = [Image(png(Pillow.new("RGB", tuple(size), GREEN))) for size in case["input_sizes"]]
    made = Pillow.open(io.BytesIO(contact_sheet(images, case["cell"]).data))
    assert (made.format, made.size) == (case["format"], tuple(case["canvas"]))
    pixels = np.asarray(made).astype(int)
    green = (pixels[..., 1] > 150) & (pixels[..., 0] < 100)
    outside = np.ones_like(green)
    for x, y, width, height in case["paste_xywh"]:
        if min(width, height) > 8:
            inner = green[y + 2 : y + height - 2, x + 2 : x + width - 2]
            assert inner.mean() > 0.99
        outside[max(0, y - 3) : y + height + 3, max(0, x - 3) : x + width + 3] = False
    assert not (green & outside).any()


def test_every_cell_is_labelled() -> None:
    made = Pillow.open(io.BytesIO(contact_sheet([picture()] * 5, 96).data)).convert("L")
    pixels = np.asarray(made)
    strips = [
        pixels[r * 140 : r * 140 + 44, c * 96 : c * 96 + 96] for r in (0, 1) for c in range(3)
    ]
    assert [(strip < 128).any() for strip in strips] == [True] * 5 + [False]


@pytest.mark.parametrize("count", [0, 1])
def test_one_picture_needs_no_sheet(count: int) -> None:
    with pytest.raises(ValueError, match="two pictures"):
        contact_sheet([picture()] * count)
