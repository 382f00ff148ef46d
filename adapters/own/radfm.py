"""RadFM, as `Quick_demo/test.py` of github.com/chaoyi-wu/RadFM asks it.

The demo crops pictures at random; here they are resized, so that an answer does not hang on a crop.
Its script gives the tokenizer the bare question; here the marks of the pictures stand before it, as
its own `combine_and_preprocess` puts them.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from importlib import import_module
from typing import TYPE_CHECKING, Any

from medgen.adapters.own import shared

if TYPE_CHECKING:
    from medgen.adapters.own.own_server import Question


_SIDE, _DEPTH = 512, 4
_MOST_PICTURES, _TOKENS = 100, 32
_LONGEST, _NEW_TOKENS = 2048, 200


class RadFM(shared.Together):
    """Pictures and words in one prompt; run in the authors' folder `Quick_demo`.

    Their `generate` takes no mask, so its two steps are called here: each question is embedded
    alone, and shorter ones are filled up at the left.
    """

    def __init__(
        self,
        model: str,
        revision: str = "",
        language: str = "Language_files",
        device: str = "cuda",
    ) -> None:
        """Load `pytorch_model.bin` of the folder `model` without running what a pickle may hold.

        Raises:
            ValueError: a revision: its weights are files of a folder.
        """
        shared.refuse_revision(revision)
        import torch

        self._device = device
        kind = import_module("Model.RadFM.multimodality_model").MultiLLaMAForCausalLM
        self._tokenizer = self._with_marks(language)
        loaded = kind(lang_model_path=language)
        weights = os.path.join(model, "pytorch_model.bin")
        loaded.load_state_dict(torch.load(weights, map_location="cpu", weights_only=True))
        self._model = loaded.to(device).eval()

    def _with_marks(self, language: str) -> Any:
        tokenizer = import_module("transformers").LlamaTokenizer.from_pretrained(language)
        marks = ["<image>", "</image>", *map(_mark, range(_MOST_PICTURES * _TOKENS))]
        tokenizer.add_special_tokens({"additional_special_tokens": marks})
        tokenizer.pad_token_id, tokenizer.bos_token_id, tokenizer.eos_token_id = 0, 1, 2
        return tokenizer

    def prompt(self, question: Question) -> Any:
        """Words and pictures, embedded: tokens x width.

        Raises:
            ValueError: no picture, or too many.
        """
        import torch

        count = len(question["images"])
        if not 1 <= count <= _MOST_PICTURES:
            raise ValueError(f"{count} pictures; it takes 1 to {_MOST_PICTURES}")
        text = "".join(map(_marks, range(count))) + shared.words(question)
        ids = self._tokenizer(text, max_length=_LONGEST, truncation=True, return_tensors="pt")
        self._model.embedding_layer.flag = "Text"
        with torch.no_grad():
            (row,), _ = self._model.embedding_layer(
                ids["input_ids"].to(self._device), self._vision(question)
            )
        return row

    def texts(self, prompts: Sequence[Any], drawn: dict[str, Any]) -> list[str]:
        """As their `generate` has it, whatever `drawn` says: greedily, 200 tokens at most."""
        import torch

        embedded, mask = shared.stack_left(prompts)
        with torch.no_grad():
            out = self._model.lang_model.generate(
                inputs_embeds=embedded,
                attention_mask=mask,
                max_new_tokens=_NEW_TOKENS,
                do_sample=False,
                pad_token_id=self._tokenizer.pad_token_id,
            )
        return list(map(str, self._tokenizer.batch_decode(out, skip_special_tokens=True)))

    def _vision(self, question: Question) -> Any:
        """1 x pictures x colours x height x width x depth."""
        import numpy
        import torch

        sized = [one.resize((_SIDE, _SIDE)) for one in shared.pictures(question)]
        pixels = torch.from_numpy(numpy.stack([numpy.asarray(one) for one in sized])).float() / 255
        deep = pixels.permute(0, 3, 1, 2)[..., None].expand(-1, -1, -1, -1, _DEPTH)
        return deep[None].to(self._device)


def _mark(number: int) -> str:
    return f"<image{number}>"


def _marks(picture: int) -> str:
    inside = "".join(map(_mark, range(picture * _TOKENS, (picture + 1) * _TOKENS)))
    return f"<image>{inside}</image>"
