"""Med-Flamingo, as `scripts/demo.py` of github.com/snap-stanford/med-flamingo asks it.

The demo shows six answered examples first. Here the question stands alone, behind the same words:
which pictures would be shown is a benchmark's matter, and it learns from nothing of them.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from importlib import import_module
from typing import TYPE_CHECKING, Any

from medgen.adapters.own import shared

if TYPE_CHECKING:
    from torch import Tensor

    from medgen.adapters.own.own_server import Question


_START = "You are a helpful medical assistant. You are being provided with images and a question."
_END = "<|endofchunk|>"


class MedFlamingo(shared.Together):
    """Short answers about pictures, by OpenFlamingo over LLaMA-7B of the first version.

    Shorter prompts are filled up at the left, as OpenFlamingo's own evaluation does.
    """

    def __init__(self, model: str, revision: str = "", base: str = "./models/llama-7b-hf") -> None:
        """Load `model.pt` of the folder `model` without running what a pickle may hold."""
        shared.refuse_revision(revision)
        import torch

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
        shared.fill_left(self._tokenizer)
        self._device = "cuda" if torch.cuda.is_available() else "cpu"
        self._model = loaded.to(self._device).eval()

    def prompt(self, question: Question) -> tuple[str, Tensor]:
        """Words, and the pictures: pictures x colours x height x width.

        Raises:
            ValueError: there is no picture.
        """
        shown = shared.pictures(question)
        if not shown:
            raise ValueError("it answers about pictures, and there is none")
        words = f"{_START} {'<image>' * len(shown)}Question: {shared.order(question)} Answer:"
        return words, import_module("torch").stack([self._sight(picture) for picture in shown])

    def texts(self, prompts: Sequence[tuple[str, Tensor]], drawn: dict[str, Any]) -> list[str]:
        """What stands before the end of the first piece of each."""
        import torch

        asked = self._tokenizer([words for words, _ in prompts], padding=True, return_tensors="pt")
        # Each a sample of as many pictures of one frame; words see none that stands behind them.
        pixels = torch.nn.utils.rnn.pad_sequence([shown for _, shown in prompts], batch_first=True)
        ids = asked["input_ids"].to(self._device)
        with torch.inference_mode():
            out = self._model.generate(
                vision_x=pixels[:, :, None].to(self._device),
                lang_x=ids,
                attention_mask=asked["attention_mask"].to(self._device),
                **drawn,
            )
        said = self._tokenizer.batch_decode(out[:, ids.shape[1] :])
        return [str(text).split(_END)[0].replace("</s>", "").strip() for text in said]
