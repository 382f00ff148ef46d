"""Med-Flamingo, as `scripts/demo.py` of github.com/snap-stanford/med-flamingo asks it.

The demo shows six answered examples first. Here the question stands alone, behind the same words:
which pictures would be shown is a benchmark's matter, and it learns from nothing of them.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from importlib import import_module
from typing import Any

from medgen.adapters.own import shared

_START = "You are a helpful medical assistant. You are being provided with images and a question."
_END = "<|endofchunk|>"


class MedFlamingo(shared.OneByOne):
    """Short answers about pictures, by OpenFlamingo over LLaMA-7B of the first version."""

    def __init__(self, model: str, revision: str = "", base: str = "./models/llama-7b-hf") -> None:
        """Load `model.pt` of the folder `model` without running what a pickle may hold."""
        shared.refuse_revision(revision)
        torch = import_module("torch")
        loaded, self._sight, self._tokenizer = import_module(
            "open_flamingo"
        ).create_model_and_transforms(
            clip_vision_encoder_path="ViT-L-14",
            clip_vision_encoder_pretrained="openai",
            lang_encoder_path=base,
            tokenizer_path=base,
            cross_attn_every_n_layers=4,
        )
        weights = torch.load(os.path.join(model, "model.pt"), map_location="cpu", weights_only=True)
        loaded.load_state_dict(weights, strict=False)
        self._device = "cuda" if torch.cuda.is_available() else "cpu"
        self._model = loaded.to(self._device).eval()

    def one(self, question: Mapping[str, Any]) -> str:
        """A text for one.

        Raises:
            ValueError: there is no picture.
        """
        torch = import_module("torch")
        shown = shared.pictures(question)
        if not shown:
            raise ValueError("it answers about pictures, and there is none")
        shared.seed(question)
        prompt = f"{_START} {'<image>' * len(shown)}Question: {shared.order(question)} Answer:"
        self._tokenizer.padding_side = "left"
        asked = self._tokenizer([prompt], return_tensors="pt")
        # One sample of so many pictures of one frame each.
        pixels = torch.stack([self._sight(picture) for picture in shown])[None, :, None]
        ids = asked["input_ids"].to(self._device)
        with torch.inference_mode():
            out = self._model.generate(
                vision_x=pixels.to(self._device),
                lang_x=ids,
                attention_mask=asked["attention_mask"].to(self._device),
                **shared.drawing(question),
            )
        said = self._tokenizer.decode(out[0][ids.shape[1] :])
        return str(said).split(_END)[0].replace("</s>", "").strip()
