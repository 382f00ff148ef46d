"""MedRegA, as `src/demo.py` of github.com/xmed-lab/MedRegA asks it: InternVL-Chat 1.2 inside."""

from __future__ import annotations

from collections.abc import Mapping
from importlib import import_module
from typing import Any

from medgen.adapters.own import shared


class MedRegA(shared.OneByOne):
    """Words about one picture, with the code of the authors' folder `src`."""

    def __init__(self, model: str, revision: str = "") -> None:
        """Load bfloat16 weights into the authors' class; the hub's code is its tokenizer's."""
        torch, place = import_module("torch"), {"revision": revision or None}
        self._tokenizer = import_module("transformers").AutoTokenizer.from_pretrained(
            model, trust_remote_code=True, use_fast=False, **place
        )
        chat = import_module("internvl.model.internvl_chat").InternVLChatModel
        with shared.plain_weights():
            loaded = chat.from_pretrained(
                model, low_cpu_mem_usage=True, torch_dtype=torch.bfloat16, **place
            ).eval()
        self._device = "cuda" if torch.cuda.is_available() else "cpu"
        self._model, config = loaded.to(self._device), loaded.config
        self._sight = import_module("internvl.train.dataset").build_transform(
            is_train=False,
            input_size=config.force_image_size or config.vision_config.image_size,
        )

    def one(self, question: Mapping[str, Any]) -> str:
        """A text for one.

        Raises:
            ValueError: not one picture.
        """
        torch = import_module("torch")
        shown = shared.pictures(question)
        if len(shown) != 1:
            raise ValueError(f"{len(shown)} pictures; it takes one")
        shared.seed(question)
        pixels = torch.stack([self._sight(shown[0])]).to(self._device, dtype=torch.bfloat16)
        with torch.inference_mode():
            said = self._model.chat(
                tokenizer=self._tokenizer,
                pixel_values=pixels,
                question=shared.words(question),
                generation_config={
                    "num_beams": 1,
                    "min_new_tokens": 1,
                    **shared.drawing(question),
                },
            )
        return str(said).strip()
