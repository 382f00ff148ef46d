"""Small files that take long to read are refused at once."""

import io
import time

import pytest
from hostile.corpus import _chunk
from PIL import Image

from medgen.engine.errors import ImageError
from medgen.engine.images import open_image


def test_a_jpeg_of_hundreds_of_scans_is_refused_at_once() -> None:
    sink = io.BytesIO()
    Image.new("RGB", (64, 64)).save(sink, "JPEG", progressive=True)
    sound = sink.getvalue()
    open_image(sound)
    at = sound.index(b"\xff\xda")
    with pytest.raises(ImageError, match="scans"):
        open_image(sound[:at] + sound[at : at + 14] * 500 + sound[at:])


def test_a_png_of_two_million_chunks_is_refused_at_once() -> None:
    sink = io.BytesIO()
    Image.new("RGB", (4, 4)).save(sink, "PNG")
    sound = sink.getvalue()
    started = time.process_time()
    with pytest.raises(ImageError, match="chunks"):
        open_image(sound[:33] + _chunk(b"abCd", b"") * 2_000_000 + sound[33:])
    assert time.process_time() - started < 2
