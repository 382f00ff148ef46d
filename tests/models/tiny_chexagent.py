"""CheXagent's code in small: pictures are paths among the tokens, which the model opens."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
import torch
from models.authors_code import stand_in
from models.tiny_authors import PARTS, Speaker, found, pixels_of
from PIL import Image as Pillow
from torch import Tensor

_SPAN = 32 * PARTS  # tokens between the marks of a picture, whatever its path


class Words:
    """Its tokenizer: a path is spelled and filled up."""

    def __init__(self, letters: Any) -> None:
        self._letters, self.decode = letters, letters.decode

    def from_list_format(self, parts: Sequence[Mapping[str, str]]) -> str:
        shown = [f"<img>{part['image']}</img>" for part in parts if "image" in part]
        return "".join([*shown, parts[-1]["text"]])

    def apply_chat_template(
        self, turns: Sequence[Mapping[str, str]], add_generation_prompt: bool, return_tensors: str
    ) -> Tensor:
        assert (add_generation_prompt, return_tensors) == (True, "pt")
        begin, end, fill = map(
            self._letters.convert_tokens_to_ids, ("<img>", "</img>", "<im_patch>")
        )
        ids: list[int] = []
        for token in self._letters("\n".join(turn["value"] for turn in turns))["input_ids"]:
            if token == end:
                ids += [fill] * (_SPAN - (len(ids) - 1 - ids[::-1].index(begin)))
            ids.append(token)
        return torch.tensor([ids])


class Agent(Speaker):
    def generate(self, ids: Tensor, attention_mask: Tensor, **how: Any) -> Tensor:
        embedded = self.embed(ids)
        marks = [torch.where(ids == self.id_of(mark)) for mark in ("<img>", "</img>")]
        for row, first, last in zip(*marks[0], marks[1][1], strict=True):
            inside = ids[row, first + 1 : last]
            path = self.tokenizer.decode(inside[inside != self.id_of("<im_patch>")])
            seen = self.see(pixels_of(Pillow.open(path))[None])[0]
            embedded[row, first + 1 : last] = seen.repeat(len(inside) // PARTS + 1, 1)[
                : len(inside)
            ]
        return torch.cat([ids, self.say(embedded, attention_mask, **how)], dim=1)


def chexagent(monkeypatch: pytest.MonkeyPatch, folder: Path) -> tuple[Any, Speaker]:
    from medgen.adapters.own.chexagent import CheXagent

    model = Agent()
    kinds = {"AutoTokenizer": Words(model.tokenizer), "AutoModelForCausalLM": model}
    stand_in(monkeypatch, "transformers", **{name: found(one) for name, one in kinds.items()})
    return CheXagent("weights"), model
