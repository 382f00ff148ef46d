"""Masks as tables have them: labels, palettes, colours; what is marked must come out white."""

import io
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image as Pillow
from tables.fixtures import picture
from tables.reading import fault, one, read, write

from medgen.adapters.tables.mapping import read_mapping
from medgen.adapters.tables.source import RecordsSource
from medgen.engine.data import Sample

_MARKED = np.zeros((8, 10), np.uint8)
_MARKED[2:5, 3:7] = 1


def _png(image: Pillow.Image) -> bytes:
    sink = io.BytesIO()
    image.save(sink, "PNG")
    return sink.getvalue()


def _of_palette() -> bytes:
    """Labels 0 and 1, of which 1 is a dark red, as segmentation sets write them."""
    image = Pillow.fromarray(_MARKED).convert("P")
    image.putpalette([0, 0, 0, 128, 0, 0] + [0, 0, 0] * 254)
    return _png(image)


def _of_a_palette_in_part_transparent() -> bytes:
    """All of it labels, and the label of what is not marked transparent (`tRNS`)."""
    image = Pillow.fromarray(2 - _MARKED).convert("P")
    image.putpalette([0, 0, 0, 128, 0, 0, 0, 128, 0] + [0, 0, 0] * 253)
    sink = io.BytesIO()
    image.save(sink, "PNG", transparency=2)
    return sink.getvalue()


def _of_colours() -> bytes:
    pixels = np.zeros((8, 10, 4), np.uint8)
    pixels[..., :3] = (255, 0, 0)  # all of it red, and what is not marked transparent
    pixels[..., 3] = _MARKED * 255
    return _png(Pillow.fromarray(pixels))


_LABELS = _png(Pillow.fromarray(_MARKED))
_BITS = _png(Pillow.fromarray(_MARKED * 255).convert("1"))
_DEEP = _png(Pillow.fromarray(_MARKED.astype(np.uint16) * 300))


def _folder(root: Path, mask: bytes, **row: Any) -> Path:
    (root / "image.png").write_bytes(picture(1))
    (root / "mask.png").write_bytes(mask)
    return write(root, {"image": "image.png", "mask": "mask.png", **row})


def _sample(white: Any = None) -> dict[str, Any]:
    mask = {"of": "mask", "role": "reference"} | ({} if white is None else {"white": white})
    images = [{"of": "image"}, mask]
    return {"images": images, "asks": "mask", "task": "segmentation", "answer": None}


def _levels(sample: Sample) -> Any:
    return np.asarray(Pillow.open(io.BytesIO(sample.reference_images[0].data)))


@pytest.mark.parametrize(
    ("mask", "white"),
    [
        (_LABELS, "any"), (_LABELS, 1), (_LABELS, [1, 2]), (_LABELS, {"of": "level"}),
        (_BITS, "any"), (_DEEP, 300), (_of_palette(), 1), (_of_palette(), "any"),
        (_of_palette(), "#800000"), (_of_colours(), "any"), (_of_colours(), "#FF0000"),
        (_of_a_palette_in_part_transparent(), "any"),
    ],
)  # fmt: skip
def test_what_the_preset_names_is_white(tmp_path: Path, mask: bytes, white: Any) -> None:
    _folder(tmp_path, mask, level=1)
    (sample,) = read(tmp_path, _sample(white))
    assert isinstance(sample, Sample), sample
    assert (_levels(sample) == _MARKED * 255).all()


@pytest.mark.parametrize(
    ("mask", "said"),
    [
        (_LABELS, "nothing in it is white, it has levels 0, 1; `white` says"),
        (_of_palette(), "it has levels 0, 1;"),
        (_of_colours(), "it has colours;"),
    ],
)
def test_marks_that_metrics_would_take_for_nothing_are_a_fault(
    tmp_path: Path, mask: bytes, said: str
) -> None:
    """Against such a mask every answer had a Dice of 0, and the reference itself none."""
    _folder(tmp_path, mask)
    (found,) = read(tmp_path, _sample())
    assert said in str(found)


@pytest.mark.parametrize(
    ("white", "said"),
    [
        (2.5, "`white` is '2.5'; it is `any`, a level, or a colour as #ff0000"),
        ({"of": "a"}, "`white` is 'lung'"),
        ("9" * 5000, "`white` is '999"),
        (1, "the mask has colours, no levels"),
    ],
)
def test_what_names_no_level_is_a_fault(tmp_path: Path, white: Any, said: str) -> None:
    pixels = np.zeros((8, 10, 3), np.uint8)
    pixels[2, 2] = (9, 200, 30)
    _folder(tmp_path, _png(Pillow.fromarray(pixels)))
    (found,) = read(tmp_path, _sample(white))
    assert said in str(found)


def test_a_jpeg_is_no_mask_of_levels(tmp_path: Path) -> None:
    """`white: any` took the noise around each mark for marks: a tenth more than was drawn."""
    drawn = np.zeros((64, 64), np.uint8)
    drawn[20:40, 20:40] = 255
    sink = io.BytesIO()
    Pillow.fromarray(drawn).save(sink, "JPEG", quality=75)
    _folder(tmp_path, sink.getvalue())
    (found,) = read(tmp_path, _sample("any"))
    assert "is a JPEG, whose levels and colours are not exactly those that were" in str(found)
    (bright,) = read(tmp_path, _sample())
    assert isinstance(bright, Sample)
    assert ((_levels(bright) > 127) == (drawn > 127)).all()


def test_a_region_is_a_mask_as_well_and_a_picture_is_none(tmp_path: Path) -> None:
    _folder(tmp_path, _LABELS)
    images = [{"of": "image"}, {"of": "image", "role": "reference"}]
    edit = {"asks": "image", "task": "region-edit", "answer": None}
    dark = {**edit, "images": [*images, {"of": "mask", "role": "region"}]}
    assert "nothing in it is white" in fault(
        tmp_path, dark, {"image": "image.png", "mask": "mask.png"}
    )
    plain = {**edit, "images": [{"of": "image"}, {"of": "mask", "role": "reference"}]}
    sample = one(tmp_path, plain, {"image": "image.png", "mask": "mask.png"})
    assert sample.reference_images[0].data == _LABELS


def test_masks_in_which_nothing_is_marked_are_counted(tmp_path: Path) -> None:
    _folder(tmp_path, _png(Pillow.fromarray(_MARKED * 0)))
    mapping = read_mapping(
        {"files": "t.jsonl", "expect": 1, "sample": {"instruction": "q", **_sample("any")}}, "t"
    )
    source = RecordsSource(str(tmp_path), mapping)
    assert len(list(source)) == 1
    assert source.describe()["notes"] == ["nothing is marked in 1 of 1 masks"]
