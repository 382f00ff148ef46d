"""M3D-LaMed, as the README of github.com/BAAI-DCAI/M3D asks it.

It was trained on volumes of 1 x 32 x 256 x 256 in 0 to 1. Pictures of one sample are taken for
slices in their order and spread over that depth; the authors say that a single picture works so in
theory, and that it was not trained on any.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from medgen.adapters.own import shared

if TYPE_CHECKING:
    from torch import Tensor

    from medgen.adapters.own.own_server import Question


_PATCHES = 256
_VOLUME = (32, 256, 256)


class M3DLaMed(shared.Together):
    """Volumes in, words out.

    Its `generate` drops the mask of what is filled up: prompts of one length go together.
    """

    def __init__(self, model: str, revision: str = "") -> None:
        """Load tokenizer and weights with the code of their repository."""
        self._tokenizer, self._model = shared.load_hub_model(
            model, revision, model_max_length=512, padding_side="right", use_fast=False
        )

    def prompt(self, question: Question) -> tuple[Tensor, Tensor]:
        """Tokens, and the volume."""
        text = "<im_patch>" * _PATCHES + shared.words(question)
        (ids,) = self._tokenizer(text, return_tensors="pt")["input_ids"]
        return ids, self._volume(question)

    def kind(self, prompt: tuple[Tensor, Tensor]) -> int:
        """Its length: no prompt is filled up."""
        return len(prompt[0])

    def texts(self, prompts: Sequence[tuple[Tensor, Tensor]], drawn: dict[str, Any]) -> list[str]:
        """The replies, without their prompts."""
        import torch

        ids = torch.stack([ids for ids, _ in prompts]).to(self._model.device)
        out = self._model.generate(torch.cat([volume for _, volume in prompts]), ids, **drawn)
        return list(map(str, self._tokenizer.batch_decode(out, skip_special_tokens=True)))

    def _volume(self, question: Question) -> Any:
        import numpy
        import torch

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
