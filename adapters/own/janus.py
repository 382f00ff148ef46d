"""Janus-Pro as transformers has it: it writes, and draws at 384 x 384.

It takes no picture when it draws: an edit is drawn from the words alone.
"""

from __future__ import annotations

from collections.abc import Mapping
from importlib import import_module
from typing import Any

from medgen.adapters.own import shared


class Janus(shared.Unified):
    """Words about pictures, and pictures from words; any environment with transformers 4.51."""

    def __init__(self, model: str, revision: str = "", dtype: str = "bfloat16") -> None:
        """Load safetensors; no code of the repository is run."""
        self._torch, transformers = import_module("torch"), import_module("transformers")
        place = {"revision": revision} if revision else {}
        self._ask = transformers.AutoProcessor.from_pretrained(model, **place)
        loaded = transformers.JanusForConditionalGeneration.from_pretrained(
            model, use_safetensors=True, **place
        )
        self._dtype = getattr(self._torch, dtype)
        self._device = "cuda" if self._torch.cuda.is_available() else "cpu"
        self._model = loaded.to(self._device, dtype=self._dtype).eval()

    def write(self, question: Mapping[str, Any]) -> str:
        """Words about the pictures, or about words alone."""
        shown = [{"type": "image", "image": picture} for picture in shared.pictures(question)]
        given = self._inputs(shared.words(question), shown, "text")
        with self._torch.inference_mode():
            out = self._model.generate(**given, generation_mode="text", **shared.drawing(question))
        new = out[0][given["input_ids"].shape[1] :]
        return str(self._ask.tokenizer.decode(new, skip_special_tokens=True)).strip()

    def draw(self, question: Mapping[str, Any]) -> bytes:
        """A picture from words alone, sampled as the model was trained to."""
        given = self._inputs(shared.order(question), [], "image")
        with self._torch.inference_mode():
            tokens = self._model.generate(**given, generation_mode="image", do_sample=True)
            pixels = self._model.decode_image_tokens(tokens)
        # As tensors: one of its two processors of pictures gives none of Pillow's, as it says.
        made = self._ask.postprocess(list(pixels.float().cpu()), return_tensors="pt")
        grid = made["pixel_values"][0]
        array = (grid if grid.shape[-1] == 3 else grid.permute(1, 2, 0)).numpy()
        return shared.png(import_module("PIL.Image").fromarray(array.astype("uint8")))

    def _inputs(self, words: str, shown: list[dict[str, Any]], mode: str) -> Any:
        turn = {"role": "user", "content": [*shown, {"type": "text", "text": words}]}
        text = self._ask.apply_chat_template([turn], add_generation_prompt=True)
        pictures = [part["image"] for part in shown]
        further = {"images": pictures} if pictures else {}
        given = self._ask(text=[text], generation_mode=mode, return_tensors="pt", **further)
        return given.to(self._device, self._dtype)
