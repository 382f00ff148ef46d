"""CheXagent-2 3B, as `model_chexagent/chexagent.py` of Stanford-AIMI/CheXagent asks it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from medgen.adapters.own import shared

if TYPE_CHECKING:
    from medgen.adapters.own.own_server import Question


_SYSTEM = "You are a helpful assistant."  # of the authors' script


class CheXagent(shared.OneByOne):
    """Chest X-rays; its tokenizer takes pictures as paths.

    The authors' script asks one question; the code beside the weights was not read.
    """

    def __init__(self, model: str, revision: str = "") -> None:
        """Load tokenizer and weights with the code of their repository."""
        self._tokenizer, self._model = shared.load_hub_model(model, revision)

    def one(self, question: Question) -> str:
        """A text for one."""
        with shared.files(question["images"]) as paths:
            parts = [*({"image": path} for path in paths), {"text": shared.words(question)}]
            asked = self._tokenizer.from_list_format(parts)
            turns = [{"from": "system", "value": _SYSTEM}, {"from": "human", "value": asked}]
            ids = self._tokenizer.apply_chat_template(
                turns, add_generation_prompt=True, return_tensors="pt"
            )
            out = self._model.generate(ids.to(self._model.device), **shared.drawing(question))
        return str(self._tokenizer.decode(out[0][ids.shape[1] :], skip_special_tokens=True))
