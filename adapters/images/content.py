"""Messages in the form that OpenAI-compatible servers, vLLM among them, take."""

import base64
import hashlib
from collections.abc import Callable, Sequence
from typing import Any

from PIL import Image as Pillow

from medgen.engine.chat.messages import Drawing, Message
from medgen.engine.data import Image
from medgen.engine.errors import ImageError
from medgen.engine.images import DEEP_GREY, as_rgb, has_its_end, open_header, open_image, png

# Formats that every server takes as they are; others are encoded anew.
_MEDIA = {"PNG": "image/png", "JPEG": "image/jpeg", "WEBP": "image/webp"}

Picture = Image | Drawing


def content(
    messages: Sequence[Message], part: Callable[[Picture], dict[str, Any]] | None = None
) -> list[dict[str, Any]]:
    """Turns as JSON, words and pictures in order.

    Args:
        messages: what to ask.
        part: how a picture is put; as a data URL, unless told otherwise.

    Raises:
        ImageError: a picture is none, or is of no sane size.
    """
    return [{"role": m.role, "content": _parts(m, part or _data_url)} for m in messages]


def _parts(
    message: Message, picture: Callable[[Picture], dict[str, Any]]
) -> str | list[dict[str, Any]]:
    if len(message.parts) == 1 and isinstance(message.parts[0], str):
        return message.parts[0]
    return [
        {"type": "text", "text": part} if isinstance(part, str) else picture(part)
        for part in message.parts
    ]


def _data_url(image: Picture) -> dict[str, Any]:
    if isinstance(image, Image):
        data, media = servable(image.data)
    else:
        data, media = image.draw().data, "image/png"
    url = f"data:{media};base64,{base64.b64encode(data).decode()}"
    return {"type": "image_url", "image_url": {"url": url}}


def pixels_of(image: Picture) -> Pillow.Image:
    """What a model in this process is shown, in the mode it is stored or painted in.

    Raises:
        ImageError: it is no picture, or is of no sane size.
    """
    return open_image(image.data) if isinstance(image, Image) else image.paint()


def mark_of(image: Picture) -> str:
    """32 hexadecimal digits that tell pictures apart without decoding or painting them."""
    if isinstance(image, Image):
        return hashlib.blake2b(image.data, digest_size=16).hexdigest()
    return image.mark()


def servable(data: bytes) -> tuple[bytes, str]:
    """A picture in a format that every server takes, and its media type.

    One that goes as it is is not decoded: whoever put it into a benchmark or admitted it as an
    answer has done so, and the server will. Only where its file looks cut is it looked at whole.

    Raises:
        ImageError: it is no picture, or is of no sane size.
    """
    picture = open_header(data)
    media = _MEDIA.get(picture.format or "")
    if media is None or picture.mode in DEEP_GREY:
        picture = open_image(data)
        # Servers clip levels above 255 to white; by its depth, a deep picture shows what it holds.
        return png(as_rgb(picture) if picture.mode in DEEP_GREY else picture), "image/png"
    if not has_its_end(data, picture):
        open_image(data)
    return data, media


def unusable(err: ImageError) -> str:
    """The reason that a row gives for an input picture that no model was shown."""
    return f"a picture in the prompt cannot be used: {err}"
