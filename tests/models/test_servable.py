"""What goes to a server as it came is looked at by its header, and whole where it looks cut."""

import io

import numpy as np
import pytest
from PIL import Image as Pillow

from medgen.adapters.images.content import servable
from medgen.engine.errors import ImageError

NOISE = np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8)


def encoded(kind: str) -> bytes:
    sink = io.BytesIO()
    Pillow.fromarray(NOISE).save(sink, kind)
    return sink.getvalue()


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP"])
def test_it_is_not_decoded_to_be_sent(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    data = encoded(kind)

    def load(*_: object) -> None:
        raise AssertionError("decoded")

    with monkeypatch.context() as patch:
        patch.setattr("PIL.ImageFile.ImageFile.load", load)
        patch.setattr("PIL.WebPImagePlugin.WebPImageFile.load", load)
        assert servable(data) == (data, f"image/{kind.lower()}")


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP"])
@pytest.mark.parametrize("share", [0.2, 0.6, 0.99])
def test_one_that_was_cut_is_not_sent(kind: str, share: float) -> None:
    data = encoded(kind)
    with pytest.raises(ImageError):
        servable(data[: int(len(data) * share)])


def test_what_stands_behind_a_picture_does_not_matter() -> None:
    data = encoded("JPEG") + b"\n" * 3
    assert servable(data) == (data, "image/jpeg")
