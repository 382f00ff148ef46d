"""M3D-LaMed, as the README of github.com/BAAI-DCAI/M3D asks it.

It was trained on volumes of 1 x 32 x 256 x 256 in 0 to 1. Pictures of one sample are taken for
slices in their order and spread over that depth; the authors say that a single picture works so in
theory, and that it was not trained on any.
"""

from __future__ import annotations

from collections.abc import Mapping
from importlib import import_module
from typing import Any

from medgen.adapters.own import shared

_PATCHES = 256
_VOLUME = (32, 256, 256)


class M3DLaMed(shared.OneByOne):
    """Volumes in, words out."""

    def __init__(self, model: str, revision: str = "") -> None:
        """Load tokenizer and weights with the code of their repository."""
        self._tokenizer, self._model = shared.load_hub_model(
            model, revision, model_max_length=512, padding_side="right", use_fast=False
        )

    def one(self, question: Mapping[str, Any]) -> str:
        """A text for one: prompts have no padding there."""
        shared.seed(question)
        text = "<im_patch>" * _PATCHES + shared.words(question)
        ids = self._tokenizer(text, return_tensors="pt")["input_ids"].to(self._model.device)
        volume = self._volume(question)
        out = self._model.generate(volume, ids, **shared.drawing(question))
        return str(self._tokenizer.batch_decode(out, skip_special_tokens=True)[0])

    def _volume(self, question: Mapping[str, Any]) -> Any:
        torch, numpy = import_module("torch"), import_module("numpy")
        grey = [
            picture.convert("L").resize(_VOLUME[:0:-1]) for picture in shared.pictures(question)
        ]
        if not grey:
            raise ValueError("it answers questions about a volume, and there is no picture")
        slices = torch.from_numpy(numpy.stack([numpy.asarray(one) for one in grey])).float()
        spread = torch.nn.functional.interpolate(slices[None, None], size=_VOLUME)
        low, high = spread.min(), spread.max()
        scaled = (spread - low) / (high - low).clamp(min=1e-6)
        return scaled.to(dtype=torch.bfloat16, device=self._model.device)
