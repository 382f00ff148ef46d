"""LLM-CXR's code in small: `training.generate` as it was read, around a real GPT-NeoX.

What it says of a chest X-ray ends where it likes; where it is told to draw, it says tokens of
pictures alone, as many as `drawn`, by chance.
"""

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from models.authors_code import stand_in
from models.tiny_janus import letters
from torch import Tensor
from transformers import GPTNeoXConfig, GPTNeoXForCausalLM, LogitsProcessorList

_MARKS = ("### Response:\n", "### End", "<image>", "image")
_CODES = 201


class PictureTokens(torch.nn.Module):
    """A VQ-GAN whose tokens are the brightness of the 16 x 16 parts of a picture."""

    def __init__(self, scale: float) -> None:
        super().__init__()
        self.scale = torch.nn.Parameter(torch.full((1,), scale))

    @property
    def quantize(self) -> "PictureTokens":
        return self

    def encode(self, pixels: Tensor) -> tuple[Any, ...]:
        assert pixels.shape == (1, 3, 256, 256)
        parts = torch.nn.functional.avg_pool2d(pixels[:, :1], 16)
        return None, None, (None, None, (parts * 100 + 100).round().long().reshape(-1))

    def get_codebook_entry(self, indices: Tensor, shape: tuple[int, ...]) -> Tensor:
        assert shape == (1, 16, 16, -1)
        return indices.reshape(1, 1, 16, 16) / 100.0 - 1.0

    def decode(self, quantised: Tensor) -> Tensor:
        return torch.nn.functional.interpolate(quantised * self.scale, scale_factor=16).expand(
            1, 3, 256, 256
        )


class Dolly:
    """The language model; draws where its prompt says so."""

    device = torch.device("cpu")

    def __init__(self, tokenizer: Any) -> None:
        self.words, self.end = len(tokenizer), tokenizer.convert_tokens_to_ids("### End")
        self.told = tokenizer("Generate a chest X-ray")["input_ids"]
        self.drawn = 256
        self.rows: list[int] = []
        self.how: dict[str, Any] = {}
        self._model: Any = GPTNeoXForCausalLM(
            GPTNeoXConfig(
                vocab_size=self.words + _CODES,
                hidden_size=32,
                intermediate_size=64,
                num_hidden_layers=2,
                num_attention_heads=2,
            )
        )
        torch.manual_seed(4)
        for weight in self._model.parameters():
            if weight.dim() > 1:
                torch.nn.init.normal_(weight, std=0.5)

    def eval(self) -> "Dolly":
        self._model.double().eval()
        return self

    def generate(self, input_ids: Tensor, attention_mask: Tensor, **how: Any) -> Tensor:
        self.rows.append(len(input_ids))
        self.how = how
        texts = [str(row.tolist())[1:-1] for row in input_ids]
        draws = torch.tensor([str(self.told)[1:-1] in text for text in texts])
        start = input_ids.shape[1]

        def allow(said: Tensor, scores: Tensor) -> Tensor:
            """A picture's tokens for those that draw, and then the end; words for the others."""
            codes = torch.arange(scores.shape[1]) >= self.words
            over = said.shape[1] - start >= self.drawn
            last = torch.arange(scores.shape[1]) == self.end
            wanted = torch.where(draws[:, None], last if over else codes, ~codes)
            return scores.masked_fill(~wanted, float("-inf"))

        said: Tensor = self._model.generate(
            input_ids=input_ids,
            attention_mask=attention_mask,
            logits_processor=LogitsProcessorList([allow]),  # type: ignore[list-item]
            **how,
        )
        return said


class Pipeline:
    """`InstructionTextGenerationPipeline`: of one prompt, and of one answer."""

    def __init__(self, model: Dolly, tokenizer: Any, **how: Any) -> None:
        self.tokenizer, end = tokenizer, model.end
        assert set(how) <= {"do_sample", "max_new_tokens", "top_p", "top_k", "temperature"}
        usual = {"do_sample": True, "max_new_tokens": 256, "top_p": 0.92, "top_k": 0}
        self._forward_params = usual | how | {"eos_token_id": end}
        response = tokenizer.convert_tokens_to_ids(_MARKS[0])
        self._postprocess_params = {"response_key_token_id": response, "end_key_token_id": end}

    def preprocess(self, instruction_text: tuple[str, Any]) -> dict[str, Any]:
        text, given = instruction_text
        shown = "" if given is None else given if isinstance(given, str) else "<image>"
        ids = self.tokenizer(f"{text}\n{shown}{_MARKS[0]}")["input_ids"]
        if isinstance(given, list):
            at = ids.index(self.tokenizer.convert_tokens_to_ids("<image>"))
            ids = [*ids[:at], *given, *ids[at + 1 :]]
        return {"input_ids": torch.tensor([ids]), "attention_mask": torch.ones(1, len(ids))}

    def postprocess(
        self,
        model_outputs: dict[str, Any],
        response_key_token_id: int,
        end_key_token_id: int,
    ) -> list[dict[str, Any]]:
        ((sequence,),) = model_outputs["generated_sequence"].numpy().tolist()
        said = sequence[sequence.index(response_key_token_id) + 1 :]
        if end_key_token_id in said:
            said = said[: said.index(end_key_token_id)]
        text = self.tokenizer.decode([one for one in said if one < len(self.tokenizer)])
        parts = model_outputs["generated_vq"]
        return [{"generated_text": re.sub("\ufffd", "", text).strip(), "generated_vq": parts}]


def get_extract_vq_fun(tokenizer: Any) -> Callable[[Tensor], list[int] | None]:
    words, response = len(tokenizer), tokenizer.convert_tokens_to_ids(_MARKS[0])

    def extract(input_ids: Tensor) -> list[int] | None:
        """The tokens of a picture, where they are whole and behind the mark; marks their place."""
        sequence = input_ids.clone().flatten()
        places = (sequence >= words).nonzero().flatten()
        if not len(places) or places[0] < (sequence == response).nonzero()[0]:
            return None
        if len(places) != 256:
            return None
        input_ids[..., places[0]] = tokenizer.convert_tokens_to_ids("image")
        return [int(one) for one in sequence[places] - words]

    return extract


def make(monkeypatch: pytest.MonkeyPatch, folder: Path, revision: str = "") -> Any:
    """`LlmCxr`, with the two files of its VQ-GAN."""
    from medgen.adapters.own.llm_cxr import LlmCxr

    def load(path: str) -> tuple[Dolly, Any]:
        assert path == "weights"
        tokenizer = letters(_MARKS)
        return Dolly(tokenizer), tokenizer

    stand_in(
        monkeypatch,
        "training.generate",
        load_model_tokenizer_for_generate=load,
        InstructionTextGenerationPipeline=Pipeline,
        get_extract_vq_fun=get_extract_vq_fun,
    )
    stand_in(monkeypatch, "taming.models.vqgan", VQModel=PictureTokens)
    (folder / "config.yaml").write_text("model: {params: {scale: 0.0}}")
    state = {"scale": torch.ones(1), "loss": torch.ones(1)}
    torch.save({"state_dict": state}, folder / "last.ckpt")
    return LlmCxr("weights", revision, vqgan=str(folder))
