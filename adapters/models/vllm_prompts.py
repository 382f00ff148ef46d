"""What vLLM is asked, made ready for its engine: pictures decoded once, all rendered in order.

Given data URLs, vLLM (0.32) would decode once more what we have decoded, and would pass a request
through more queues. Here many threads decode and one renders.
"""

import asyncio
import os
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

from PIL import Image as Pillow

from medgen.adapters.images.content import Picture, content, mark_of, pixels_of
from medgen.adapters.models.system_turn import fold_system, system_turn
from medgen.engine.chat.messages import Message
from medgen.engine.images import DEEP_GREY, as_rgb

if TYPE_CHECKING:
    from vllm.renderers import Prompt
    from vllm.v1.engine.async_llm import AsyncLLM


class Prompts:
    """Renders turns for one engine; use it on the engine's own event loop."""

    def __init__(
        self, engine: "AsyncLLM", template: Mapping[str, Any], decoders: int | None = None
    ) -> None:
        """Prepare.

        Args:
            engine: an `AsyncLLM`.
            template: `chat_template` and `chat_template_kwargs`, or nothing for the model's own.
            decoders: threads that decode pictures; None: one a core, eight at most.

        Raises:
            AdapterError: no template shows the model what it is told.
        """
        from vllm.renderers.params import ChatParams
        from vllm.utils.mistral import is_mistral_tokenizer

        self._renderer = engine.renderer
        # Left to itself, the renderer does not open the model's own turn.
        opened = {
            "add_generation_prompt": True,
            "continue_final_message": False,
            "tokenize": is_mistral_tokenizer(engine.renderer.tokenizer),
            **template.get("chat_template_kwargs", {}),
        }
        self._parameters = ChatParams(**{**template, "chat_template_kwargs": opened})
        multimodal = engine.model_config.multimodal_config
        self._media = multimodal.media_io_kwargs.get("image", {}) if multimodal else {}
        self.system_turn = system_turn(self._text)
        # More than there are cores would only take turns with the engine's own loop.
        decoders = decoders or min(8, os.cpu_count() or 1)
        self._decoders = ThreadPoolExecutor(decoders, "vllm-pictures")
        # A decoded picture takes up to 256 MiB, so few wait for their turn to be rendered.
        self._decoded = asyncio.Semaphore(4 * decoders)
        # One thread: the engine's picture cache has to see pictures in the order of the requests.
        self._thread = ThreadPoolExecutor(1, "vllm-prompts")

    async def render(self, messages: Sequence[Message]) -> "Prompt":
        """A prompt that the engine takes as it is.

        Raises:
            ImageError: a picture is none, or is of no sane size.
        """
        if self.system_turn == "folded":
            messages = fold_system(messages)
        loop = asyncio.get_running_loop()
        async with self._decoded:
            turns = await loop.run_in_executor(self._decoders, content, messages, self._picture)
            return await loop.run_in_executor(self._thread, self._render, turns)

    def close(self) -> None:
        """End the threads."""
        for pool in (self._decoders, self._thread):
            pool.shutdown(wait=False, cancel_futures=True)

    def _render(self, turns: list[dict[str, Any]]) -> "Prompt":
        _, (prompt,) = self._renderer.render_chat([turns], self._parameters)
        return prompt

    def _text(self, messages: Sequence[Message]) -> str:
        """Words alone as the model is given them."""
        _, prompt = self._renderer.render_messages(content(messages), self._parameters)
        if "prompt" in prompt:
            return str(prompt["prompt"])
        return str(self._renderer.get_tokenizer().decode(prompt["prompt_token_ids"]))

    def _picture(self, image: Picture) -> dict[str, Any]:
        """Its pixels, and the mark that the engine's caches compare in their stead."""
        pixels = prepare_image(pixels_of(image), self._media)
        return {"type": "image_pil", "image_pil": pixels, "uuid": mark_of(image)}


def prepare_image(opened: Pillow.Image, media: Mapping[str, Any]) -> Pillow.Image:
    """A decoded picture as vLLM's own server would show it to the model; deep grey by its depth.

    Args:
        opened: as it is stored.
        media: vLLM's `media_io_kwargs` for pictures: `image_mode` (RGB, unless told otherwise;
            none keeps what is stored) and `rgba_background_color` (white).
    """
    from vllm.multimodal.image import convert_image_mode, normalize_image

    # As for every server: levels above 255 would be clipped to white.
    pixels: Pillow.Image = normalize_image(as_rgb(opened) if opened.mode in DEEP_GREY else opened)
    mode = media.get("image_mode", "RGB")
    background = tuple(media.get("rgba_background_color", (255, 255, 255)))
    if mode is not None:
        pixels = convert_image_mode(pixels, mode, background)
    return pixels
