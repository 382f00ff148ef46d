"""CheXagent-2 3B, as `model_chexagent/chexagent.py` of Stanford-AIMI/CheXagent asks it."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from medgen.adapters.own import shared

if TYPE_CHECKING:
    from torch import Tensor

    from medgen.adapters.own.own_server import Question


_SYSTEM = "You are a helpful assistant."  # of the authors' script


class CheXagent(shared.Together):
    """Chest X-rays; its tokenizer takes pictures as paths, which the model opens.

    The code beside the weights was read in a copy (`modeling_chexagent.py` of 4-thkind/VERA): it
    finds the pictures of each row, and keeps a mask, behind which shorter prompts are filled up.
    """

    def __init__(self, model: str, revision: str = "") -> None:
        """Load tokenizer and weights with the code of their repository."""
        self._tokenizer, self._model = shared.load_hub_model(model, revision)
        self._shown = contextlib.ExitStack()

    def answer(self, questions: Sequence[Question]) -> list[str | Exception]:
        """A text for each; their pictures are files until all are written."""
        with contextlib.ExitStack() as self._shown:
            return super().answer(questions)

    def prompt(self, question: Question) -> Any:
        """Tokens, among them those of the pictures' paths."""
        paths = self._shown.enter_context(shared.files(question["images"]))
        parts = [*({"image": path} for path in paths), {"text": shared.words(question)}]
        asked = self._tokenizer.from_list_format(parts)
        turns = [{"from": "system", "value": _SYSTEM}, {"from": "human", "value": asked}]
        return self._tokenizer.apply_chat_template(
            turns, add_generation_prompt=True, return_tensors="pt"
        )[0]

    def texts(self, prompts: Sequence[Tensor], drawn: dict[str, Any]) -> list[str]:
        """A text for each."""
        rows, mask = shared.stack_left(prompts)
        device = self._model.device
        out = self._model.generate(rows.to(device), attention_mask=mask.to(device), **drawn)
        new = out[:, rows.shape[1] :]
        return [str(self._tokenizer.decode(row, skip_special_tokens=True)) for row in new]
