"""MedReCo-VLM, as `inference/vqa_inferece.py` of github.com/time-seed/MedReCo asks it.

Run in the authors' repository, whose `configs` hold the processor.
"""

from __future__ import annotations

from collections.abc import Sequence
from importlib import import_module
from typing import TYPE_CHECKING, Any

from medgen.adapters.own import shared

if TYPE_CHECKING:
    from medgen.adapters.own.own_server import Question


class MedReCo(shared.Together):
    """Two pictures and a question that compares them; shorter prompts are filled up at the left."""

    def __init__(self, model: str, revision: str = "", processor: str = "configs") -> None:
        """Load the authors' classes."""
        import torch

        classes = import_module("src.model.modeling_qwen2_5_vl_ctvit")
        loaded = classes.Qwen2_5_VLForConditionalGeneration.from_pretrained(
            model, revision=revision or None, torch_dtype=torch.bfloat16, device_map={"": 0}
        )
        self._model = loaded.eval()
        kind = import_module("src.model.processing_qwen2_5_vl_ctvit").Qwen2_5_VLProcessor
        self._ask = kind.from_pretrained(processor)
        shared.fill_left(self._ask.tokenizer)
        self._look = import_module("src.dataset.vision_process_vit").process_vision_info

    def prompt(self, question: Question) -> tuple[str, Any]:
        """Words and pictures."""
        with shared.files(question["images"]) as paths:
            shown = [{"type": "image", "image": path} for path in paths]
            content = [*shown, {"type": "text", "text": shared.words(question)}]
            turns = [{"role": "user", "content": content}]
            text = self._ask.apply_chat_template(turns, tokenize=False, add_generation_prompt=True)
            images, _ = self._look(turns)
        return text, images

    def texts(self, prompts: Sequence[tuple[str, Any]], drawn: dict[str, Any]) -> list[str]:
        """The replies, without their prompts."""
        inputs = self._ask(
            text=[text for text, _ in prompts],
            images=[one for _, images in prompts for one in images or ()] or None,
            videos=None,
            padding=True,
            return_tensors="pt",
        ).to(self._model.device)
        out = self._model.generate(**inputs, **drawn)
        new = out[:, inputs["input_ids"].shape[1] :]
        return list(map(str, self._ask.batch_decode(new, skip_special_tokens=True)))
