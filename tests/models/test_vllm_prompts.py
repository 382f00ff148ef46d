"""A picture that the engine decodes is the picture that vLLM's own server would decode."""

import asyncio
import io
import threading
from typing import Any

import numpy as np
import pytest
from PIL import Image as Pillow

from medgen.adapters.images.content import Picture, mark_of, pixels_of, servable
from medgen.adapters.models.vllm_prompts import Prompts, prepare_image
from medgen.engine.chat.messages import Message
from medgen.engine.data import Image
from medgen.engine.errors import ImageError
from medgen.engine.images import open_image
from medgen.engine.judging.captions import Captioned

pytestmark = [
    pytest.mark.slow,  # vLLM is imported
    pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning"),
    pytest.mark.filterwarnings("ignore::UserWarning"),
]

_ORIENTATION = 0x0112


def noise(mode: str, side: int = 9) -> Pillow.Image:
    draw = np.random.default_rng(0)
    channels = draw.integers(0, 256, (side, side, 4), dtype=np.uint8)
    whole = Pillow.fromarray(channels, "RGBA")
    return whole if mode == "RGBA" else whole.convert("RGB").convert(mode)


def encoded(image: Pillow.Image, kind: str = "PNG", **options: Any) -> bytes:
    sink = io.BytesIO()
    image.save(sink, kind, **options)
    return sink.getvalue()


def turned() -> bytes:
    exif = Pillow.Exif()
    exif[_ORIENTATION] = 6
    return encoded(noise("RGB").resize((12, 9)), "JPEG", exif=exif)


CASES = {
    **{mode: encoded(noise(mode)) for mode in ("RGB", "RGBA", "L", "P", "1")},
    "P with a transparent colour": encoded(noise("P"), transparency=3),
    "sixteen bits": encoded(Pillow.fromarray(np.arange(81, dtype=np.uint16).reshape(9, 9) * 700)),
    "turned": turned(),
}


@pytest.mark.parametrize("name", CASES)
@pytest.mark.parametrize(
    "media", [{}, {"image_mode": None}, {"rgba_background_color": [0, 9, 0]}], ids=str
)
def test_the_pixels_are_those_of_the_server(name: str, media: dict[str, Any]) -> None:
    from vllm.multimodal.media.image import ImageMediaIO

    # A server is sent what `servable` makes: deep grey by its depth, all else as it came.
    theirs = ImageMediaIO(**media).load_bytes(servable(CASES[name])[0]).media
    ours = prepare_image(open_image(CASES[name]), media)
    assert (ours.mode, ours.size) == (theirs.mode, theirs.size)
    assert ours.tobytes() == theirs.tobytes()


class Counted:
    """A picture that counts how often it was asked for, and may not be packed."""

    def __init__(self) -> None:
        self.painted = 0

    def draw(self) -> Image:
        raise AssertionError("packed, to be unpacked in the same process")

    def paint(self) -> Pillow.Image:
        self.painted += 1
        return noise("RGB")

    def mark(self) -> str:
        return "counted"


class Met(Counted):
    """Pictures that are only painted while another one is."""

    def __init__(self, together: threading.Barrier) -> None:
        super().__init__()
        self.together = together

    def paint(self) -> Pillow.Image:
        self.together.wait(60)
        return super().paint()


class Held:
    """In the place of vLLM's engine and renderer: it renders once it is let go."""

    def __init__(self) -> None:
        self.renderer, self.tokenizer = self, None
        self.model_config, self.multimodal_config = self, None
        self.going = threading.Event()

    def render_messages(self, turns: Any, parameters: Any) -> Any:
        return turns, {"prompt": " ".join(str(turn["content"]) for turn in turns)}

    def render_chat(self, turns: Any, parameters: Any) -> Any:
        assert self.going.wait(60)
        return turns, [turns]


def test_few_pictures_are_decoded_before_their_turn_whatever_is_in_flight() -> None:
    async def ask(picture: Counted, engine: Held) -> tuple[int, list[Any]]:
        prompts = Prompts(engine, {})
        message = Message("user", ("What is it?", picture))
        asked = [asyncio.create_task(prompts.render([message])) for _ in range(200)]
        await asyncio.sleep(1)
        early = picture.painted
        engine.going.set()
        rendered = await asyncio.gather(*asked)
        prompts.close()
        return early, rendered

    picture = Counted()
    early, rendered = asyncio.run(ask(picture, Held()))
    assert 0 < early <= 32
    assert picture.painted == len(rendered) == 200


def render(pictures: list[Picture], decoders: int | None = None) -> list[dict[str, Any]]:
    """What vLLM is given of each, asked all at once."""

    async def ask(engine: Held) -> list[Any]:
        prompts = Prompts(engine, {}, decoders)
        messages = [[Message("user", ("What is it?", picture))] for picture in pictures]
        try:
            return await asyncio.gather(*(prompts.render(turns) for turns in messages))
        finally:
            prompts.close()

    engine = Held()
    engine.going.set()
    return [turns[0]["content"][1] for (turns,) in asyncio.run(ask(engine))]


def test_a_captioned_picture_is_painted_and_told_apart_without_being_packed() -> None:
    plain = Image(encoded(noise("L", side=40)))
    captioned = [Captioned(plain, "Input"), Captioned(plain, "Output"), Captioned(plain, "Input")]
    given = render([Counted(), plain, *captioned])
    assert [part["uuid"] for part in given] == ["counted", *map(mark_of, [plain, *captioned])]
    assert len({part["uuid"] for part in given}) == 4
    # To the model they are what a server would make of the packed ones.
    for part, picture in zip(given[2:], captioned, strict=True):
        packed = pixels_of(picture.draw())
        assert part["image_pil"].tobytes() == packed.tobytes() != given[1]["image_pil"].tobytes()


def test_pictures_of_different_requests_are_decoded_side_by_side() -> None:
    together = threading.Barrier(4)
    given = render([Met(together) for _ in range(8)], decoders=4)
    assert len(given) == 8


def test_what_is_no_picture_is_refused_before_vllm_sees_it() -> None:
    with pytest.raises(ImageError, match="not a picture"):
        render([Image(b"<svg/>")])
