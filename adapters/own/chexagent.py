"""CheXagent-2 3B, as `model_chexagent/chexagent.py` of Stanford-AIMI/CheXagent asks it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from importlib import import_module
from typing import Any

from medgen.adapters.own import shared

_SYSTEM = "You are a helpful assistant."  # of the authors' script


class CheXagent:
    """Chest X-rays; its tokenizer takes pictures as paths."""

    def __init__(self, model: str, revision: str = "") -> None:
        """Load tokenizer and weights with the code of their repository."""
        torch, transformers = import_module("torch"), import_module("transformers")
        known = {"revision": revision or None, "trust_remote_code": True}
        self._tokenizer = transformers.AutoTokenizer.from_pretrained(model, **known)
        loaded = transformers.AutoModelForCausalLM.from_pretrained(
            model, device_map="auto", torch_dtype=torch.bfloat16, **known
        )
        self._model = loaded.eval()

    def answer(self, questions: Sequence[Mapping[str, Any]]) -> list[str]:
        """A text for each, one after the other: the authors' code knows no padding."""
        return [self._one(question) for question in questions]

    def _one(self, question: Mapping[str, Any]) -> str:
        shared.seed(question)
        with shared.files(question["images"]) as paths:
            parts = [*({"image": path} for path in paths), {"text": shared.words(question)}]
            asked = self._tokenizer.from_list_format(parts)
            turns = [{"from": "system", "value": _SYSTEM}, {"from": "human", "value": asked}]
            ids = self._tokenizer.apply_chat_template(
                turns, add_generation_prompt=True, return_tensors="pt"
            )
            out = self._model.generate(ids.to(self._model.device), **shared.drawing(question))
        return str(self._tokenizer.decode(out[0][ids.shape[1] :], skip_special_tokens=True))
