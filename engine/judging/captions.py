"""Caption strips: a white strip with a centred label below a picture, as the judge sees it."""

import hashlib
import io
from dataclasses import dataclass

from PIL import Image as Pillow
from PIL import ImageDraw, ImageFont

from medgen.engine.data import Image
from medgen.engine.images import as_rgb, open_image

_SHARE = 0.1  # of the picture's height
_PAPER = (255, 255, 255)
_INK = (0, 0, 0)
_SMALLEST_LETTERS = 6  # pixels; smaller ones cannot be read


@dataclass(frozen=True, slots=True)
class Captioned:
    """A picture with a caption strip below it, drawn when it is sent to a judge."""

    image: Image
    label: str
    floor: int = 0

    def mark(self) -> str:
        """See `medgen.engine.chat.messages.Drawing`."""
        told = hashlib.blake2b(f"{self.floor}\x1f{self.label}\x1f".encode(), digest_size=16)
        told.update(self.image.data)
        return told.hexdigest()

    def paint(self) -> Pillow.Image:
        """The picture in RGB; see `add_strip`.

        Raises:
            ImageError: the bytes are not one picture of a sane size.
        """
        return add_strip(open_image(self.image.data), self.label, self.floor)

    def draw(self) -> Image:
        """The same as a PNG.

        Raises:
            ImageError: as `paint`.
        """
        sink = io.BytesIO()
        # Lightly packed: it is read once, by the server, and never stored.
        self.paint().save(sink, "PNG", compress_level=1)
        return Image(sink.getvalue(), self.image.path)


def add_strip(picture: Pillow.Image, label: str, floor: int = 0) -> Pillow.Image:
    """The picture in RGB with a caption strip below it.

    The strip is a tenth of the picture's height, rounded down, and at least `floor` pixels. It is
    there even when the label is empty, so that all pictures of a view are cut alike.
    """
    plain = as_rgb(picture)
    strip = max(int(plain.height * _SHARE), floor)
    sheet = Pillow.new("RGB", (plain.width, plain.height + strip), _PAPER)
    sheet.paste(plain, (0, 0))
    if label:
        write_centred(sheet, label, (0, plain.height, plain.width, plain.height + strip))
    return sheet


def write_centred(sheet: Pillow.Image, label: str, box: tuple[int, int, int, int]) -> None:
    """Write a label in black on white in the middle of a box (left, top, right, bottom in pixels).

    Letters are half as tall as the box, or less where the label would be wider than it.
    """
    left, top, right, bottom = box
    if bottom <= top:
        return  # a picture under ten pixels has a strip of none
    # On a strip of its own: letters that are too tall for it must not reach into the picture.
    strip = Pillow.new("RGB", (right - left, bottom - top), _PAPER)
    draw = ImageDraw.Draw(strip)
    size = max(_SMALLEST_LETTERS, (bottom - top) // 2)
    font = ImageFont.load_default(size)
    width = draw.textlength(label, font=font)
    if width > right - left:
        size = max(_SMALLEST_LETTERS, int(size * (right - left) / width))
        font = ImageFont.load_default(size)
    draw.text((strip.width / 2, strip.height / 2), label, fill=_INK, font=font, anchor="mm")
    sheet.paste(strip, (left, top))
