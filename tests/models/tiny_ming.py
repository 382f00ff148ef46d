"""Ming-UniVision's code in small: what was read of it, around a real Llama with random weights.

It draws what it says, as its generation config does, remembers one talk, and makes a picture where
the first row of a batch begins one, of that row alone.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from models.authors_code import stand_in
from models.tiny_janus import letters
from PIL import Image as Pillow
from torch import Tensor
from transformers import LlamaConfig, LlamaForCausalLM

_MARKS = ("<imagePatch>", "<role>HUMAN</role>", "<role>ASSISTANT</role>")
_PARTS, _HIDDEN = 4, 32


class Processor:
    """Makes rows of one length alone: nothing of it fills up."""

    def __init__(self, tokenizer: Any) -> None:
        self.tokenizer = tokenizer
        self.batch_decode = tokenizer.batch_decode

    def apply_chat_template(
        self, turns: Any, tokenize: bool, add_generation_prompt: bool, use_system: bool
    ) -> str:
        (turn,) = turns
        assert (turn["role"], tokenize, add_generation_prompt, use_system) == (
            *("HUMAN", False, True),
            True,
        )
        *shown, said = turn["content"]
        return f"{_MARKS[1]}{'<IMAGE>' * len(shown)}{said['text']}{_MARKS[2]}"

    def process_vision_info(self, turns: Any) -> tuple[Any, None, None]:
        paths = [part["image"] for part in turns[0]["content"] if part["type"] == "image"]
        return [Pillow.open(path).convert("RGB") for path in paths] or None, None, None

    def __call__(
        self,
        text: list[str],
        images: Any,
        return_tensors: str,
        image_patch_size: int,
        for_edit: bool,
    ) -> dict[str, Tensor]:
        assert (return_tensors, image_patch_size, for_edit) == ("pt", 16, False)
        whole = [one.replace("<IMAGE>", _MARKS[0] * _PARTS) for one in text]
        ids = torch.tensor([self.tokenizer(one)["input_ids"] for one in whole])
        masks = {f"{name}attention_mask" for name in ("", "uncond_", "text_uncond_")}
        given = {"input_ids": ids, **{name: torch.ones_like(ids) for name in masks}}
        if images:
            sized = [np.array(one.resize((8, 8))) for one in images]
            given["pixel_values"] = torch.tensor(np.array(sized)).permute(0, 3, 1, 2) / 255.0
            given["image_grid_thw"] = torch.tensor([[1, 2, 2]] * len(images))
        return given


class Model:
    """`MingUniVisionForConditionalGeneration`."""

    device = torch.device("cpu")
    vision = SimpleNamespace(patch_size=16)

    def __init__(self, tokenizer: Any) -> None:
        self.tokenizer = tokenizer
        torch.manual_seed(3)
        config = LlamaConfig(
            vocab_size=len(tokenizer),
            hidden_size=_HIDDEN,
            intermediate_size=64,
            num_hidden_layers=2,
            num_attention_heads=2,
            bos_token_id=0,
            eos_token_id=1,
            initializer_range=0.5,
        )
        self.llama: Any = LlamaForCausalLM(config).eval()
        self.eye = torch.randn(3, _HIDDEN)
        self.model = SimpleNamespace(config=SimpleNamespace(image_start_token=-1))
        self.past = 0
        self.rows: list[int] = []

    def generate(
        self,
        input_ids: Tensor,
        attention_mask: Tensor,
        uncond_attention_mask: Tensor,
        text_uncond_attention_mask: Tensor,
        max_new_tokens: int,
        use_cache: bool,
        output_image_prefix: str,
        pixel_values: Tensor | None = None,
        image_grid_thw: Tensor | None = None,
        pad_token_id: int | None = None,
    ) -> Tensor:
        assert not self.past, "it would go on with another's talk"
        assert torch.equal(attention_mask, uncond_attention_mask)
        self.past = input_ids.shape[1]
        self.rows.append(len(input_ids))
        embedded = self.llama.get_input_embeddings()(input_ids)
        chosen = input_ids == self.tokenizer.convert_tokens_to_ids(_MARKS[0])
        if pixel_values is not None:
            assert pixel_values.dtype == torch.bfloat16
            parts = torch.nn.functional.adaptive_avg_pool2d(pixel_values.float(), 2).flatten(2)
            embedded[chosen] = (parts.transpose(1, 2) @ self.eye).flatten(0, 1)
        assert int(chosen.sum()) == _PARTS * len(() if pixel_values is None else pixel_values)
        said = self.llama.generate(
            inputs_embeds=embedded,
            attention_mask=attention_mask,
            max_new_tokens=max_new_tokens,
            do_sample=True,
            pad_token_id=1 if pad_token_id is None else pad_token_id,
        )
        begun = bool((said[0] == self.model.config.image_start_token).any())
        assert not begun or len(said) == 1, "a picture is made of one row"
        return torch.cat([input_ids, said], dim=1)

    def reset_inner_state(self) -> None:
        self.past = 0


class MingUniVisionInfer:
    """Draws when it is told to, and in the second round of an edit; else its model speaks."""

    def __init__(self, model_name_or_path: str, dtype: str = "bf16") -> None:
        self.loaded = (model_name_or_path, dtype)
        self.tokenizer = letters(_MARKS)
        self.model, self.processor = Model(self.tokenizer), Processor(self.tokenizer)
        self.said: list[str] = []
        self.rounds: list[str] = []
        self.mute = False

    def generate(
        self,
        messages: Sequence[Mapping[str, Any]],
        max_new_tokens: int = 512,
        output_image_prefix: str = "output",
        for_edit: bool = False,
    ) -> str:
        (turn,) = messages
        shown = [part["image"] for part in turn["content"] if part["type"] == "image"]
        assert all(Path(path).is_file() for path in shown)
        words = turn["content"][-1]["text"]
        self.rounds.append(words)
        self.said.append(f"{len(shown)}{'e' if for_edit else ''}: {words}")
        drawn = words.startswith("Please generate") or (for_edit and len(self.rounds) == 2)
        if drawn and not self.mute:
            shade = int(torch.randint(0, 255, (1,)).item())
            Pillow.new("RGB", (8, 8), (shade,) * 3).save(f"{output_image_prefix}.png")
        return "" if drawn or for_edit else self._words(messages, max_new_tokens)

    def _words(self, messages: Sequence[Mapping[str, Any]], most: int) -> str:
        text = self.processor.apply_chat_template(
            messages, tokenize=False, add_generation_prompt=True, use_system=True
        )
        shown, _, _ = self.processor.process_vision_info(messages)
        given = self.processor([text], shown, "pt", 16, for_edit=False)
        if "pixel_values" in given:
            given["pixel_values"] = given["pixel_values"].to(torch.bfloat16)
        out = self.model.generate(
            **given, max_new_tokens=most, use_cache=True, output_image_prefix="output"
        )
        new = out[:, given["input_ids"].shape[1] :]
        return str(self.processor.batch_decode(new, skip_special_tokens=True)[0])

    def reset_inner_state(self) -> None:
        self.rounds = []
        self.model.reset_inner_state()


def make(monkeypatch: pytest.MonkeyPatch, **given: Any) -> Any:
    """`MingUniVision`."""
    from medgen.adapters.own.ming_univision import MingUniVision

    place = "mingunivision.mingunivisioninfer"
    stand_in(monkeypatch, place, MingUniVisionInfer=MingUniVisionInfer)
    return MingUniVision("weights", **given)
