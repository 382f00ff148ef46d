"""Contact sheets for the report: what went in, what was expected, what each system gave."""

import textwrap
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from PIL import Image as Pillow
from PIL import ImageDraw, ImageFont, ImageOps

from medgen.engine.data import Image
from medgen.engine.decoding.pool import open_safely
from medgen.engine.errors import ImageError
from medgen.engine.images import png
from medgen.launch.report.escaping import shorten, visible

_SIDE = 224  # pixels of a panel's picture
_CAPTION = 36
_GAP = 8
_COLUMNS = 5
_INK, _PAPER, _FRAME = (20, 20, 20), (255, 255, 255), (200, 200, 200)


@dataclass(frozen=True, slots=True)
class Panel:
    """One cell: a caption, and a picture or the words that stand for it."""

    caption: str
    image: Image | None = None
    text: str = ""


def panel_sheet(panels: Sequence[Panel]) -> bytes:
    """The panels side by side, five in a row, as PNG bytes.

    A picture that cannot be read becomes the words that say why: it came from outside.
    """
    columns = min(len(panels), _COLUMNS)
    rows = -(-len(panels) // columns)
    width, height = _SIDE + _GAP, _SIDE + _CAPTION + _GAP
    sheet = Pillow.new("RGB", (columns * width + _GAP, rows * height + _GAP), _PAPER)
    for index, panel in enumerate(panels):
        corner = (_GAP + index % columns * width, _GAP + index // columns * height)
        _draw(sheet, panel, corner)
    return png(sheet)


def _draw(sheet: Pillow.Image, panel: Panel, corner: tuple[int, int]) -> None:
    left, top = corner
    pen = ImageDraw.Draw(sheet)
    font = ImageFont.load_default(12)
    caption = "\n".join(textwrap.wrap(visible(panel.caption), 34)[:2])
    pen.multiline_text((left, top), caption, fill=_INK, font=font, spacing=2)
    box = (left, top + _CAPTION, left + _SIDE - 1, top + _CAPTION + _SIDE - 1)
    pen.rectangle(box, outline=_FRAME)
    text = panel.text
    if panel.image is not None:
        try:
            picture = _fit(open_safely(panel.image.data))
        except ImageError as err:
            text = f"unreadable picture: {err}"
        else:
            dx, dy = (_SIDE - picture.width) // 2, (_SIDE - picture.height) // 2
            sheet.paste(picture, (left + dx, top + _CAPTION + dy))
            return
    lines = textwrap.wrap(visible(shorten(text, 420)), 34)[:14]
    pen.multiline_text((left + 6, top + _CAPTION + 6), "\n".join(lines), fill=_INK, font=font)


def _fit(image: Pillow.Image) -> Pillow.Image:
    """The picture inside a panel: 8-bit colour, on white where it is transparent."""
    if image.mode.startswith(("I", "F")):
        grey = np.asarray(image, dtype=np.float64)
        spread = max(float(np.ptp(grey)), 1.0)
        image = Pillow.fromarray(((grey - grey.min()) * (255 / spread)).astype(np.uint8))
    if "A" in image.getbands() or "transparency" in image.info:
        clear = image.convert("RGBA")
        image = Pillow.alpha_composite(Pillow.new("RGBA", clear.size, (*_PAPER, 255)), clear)
    return ImageOps.contain(image.convert("RGB"), (_SIDE, _SIDE), Pillow.Resampling.LANCZOS)
