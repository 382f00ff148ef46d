"""MedReCo-VLM, as `inference/vqa_inferece.py` of github.com/time-seed/MedReCo asks it.

Run in the authors' repository, whose `configs` hold the processor.
"""

from __future__ import annotations

from collections.abc import Mapping
from importlib import import_module
from typing import Any

from medgen.adapters.own import shared


class MedReCo(shared.OneByOne):
    """Two pictures and a question that compares them."""

    def __init__(self, model: str, revision: str = "", processor: str = "configs") -> None:
        """Load the authors' classes."""
        torch = import_module("torch")
        classes = import_module("src.model.modeling_qwen2_5_vl_ctvit")
        loaded = classes.Qwen2_5_VLForConditionalGeneration.from_pretrained(
            model, revision=revision or None, torch_dtype=torch.bfloat16, device_map={"": 0}
        )
        self._model = loaded.eval()
        kind = import_module("src.model.processing_qwen2_5_vl_ctvit").Qwen2_5_VLProcessor
        self._ask = kind.from_pretrained(processor)
        self._look = import_module("src.dataset.vision_process_vit").process_vision_info

    def one(self, question: Mapping[str, Any]) -> str:
        """A text for one."""
        shared.seed(question)
        with shared.files(question["images"]) as paths:
            shown = [{"type": "image", "image": path} for path in paths]
            content = [*shown, {"type": "text", "text": shared.words(question)}]
            turns = [{"role": "user", "content": content}]
            text = self._ask.apply_chat_template(turns, tokenize=False, add_generation_prompt=True)
            images, videos = self._look(turns)
            inputs = self._ask(
                text=[text], images=images, videos=videos, padding=True, return_tensors="pt"
            ).to(self._model.device)
        out = self._model.generate(**inputs, **shared.drawing(question))
        new = [row[len(given) :] for given, row in zip(inputs["input_ids"], out)]
        return str(self._ask.batch_decode(new, skip_special_tokens=True)[0])
