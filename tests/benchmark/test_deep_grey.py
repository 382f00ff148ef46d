"""A deep grey picture shows models, judges and people what it holds."""

import io

import numpy as np
import pytest
from PIL import Image as Pillow

from medgen.adapters.images.contact_sheet import contact_sheet
from medgen.adapters.images.content import servable
from medgen.engine.data import Image
from medgen.engine.images import as_rgb, open_image
from medgen.engine.judging.captions import add_strip

RAMP = np.linspace(0, 65535, 64 * 64).astype(np.uint16).reshape(64, 64)


def encoded(levels: np.ndarray, kind: str, **more: object) -> bytes:
    sink = io.BytesIO()
    Pillow.fromarray(levels).save(sink, kind, **more)
    return sink.getvalue()


def test_a_ramp_stays_a_ramp() -> None:
    seen = np.asarray(as_rgb(open_image(encoded(RAMP, "PNG"))))
    assert seen.shape == (64, 64, 3)
    assert np.abs(seen[..., 0].astype(int) - (RAMP / 257).round().astype(int)).max() <= 1


def test_the_ends_are_black_and_white() -> None:
    ends = np.array([[0, 65535]], np.uint16)
    assert np.asarray(as_rgb(open_image(encoded(ends, "TIFF"))))[0, :, 0].tolist() == [0, 255]


@pytest.mark.parametrize("kind", ["PNG", "TIFF"])
def test_everything_that_shows_a_picture_shows_the_ramp(kind: str) -> None:
    data = encoded(RAMP, kind)
    sent, media = servable(data)
    assert media == "image/png"
    served = np.asarray(Pillow.open(io.BytesIO(sent)).convert("L"))
    captioned = np.asarray(add_strip(open_image(data), "Input").convert("L"))[:64]
    pair = contact_sheet([Image(data), Image(data)]).data
    sheet = np.asarray(Pillow.open(io.BytesIO(pair)).convert("L"))
    for shown in (served, captioned, sheet):
        assert len(np.unique(shown)) > 200
    for shown in (served, captioned):
        assert (shown == 255).mean() < 0.1


def test_plain_pictures_are_sent_as_they_came() -> None:
    data = encoded((RAMP // 257).astype(np.uint8), "PNG")
    assert servable(data) == (data, "image/png")
