"""HealthGPT-L14, as `llava/demo/com_infer_phi4.py` of github.com/DCDmllm/HealthGPT asks it.

The authors' chat (`model.py`) refuses to draw with L14, and cuts eight letters off every answer;
their script does not, and is followed here.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from importlib import import_module
from typing import Any

from medgen.adapters.own import shared


class HealthGPT(shared.OneByOne):
    """One picture and words, or words alone; run in the authors' folder `HealthGPT`."""

    def __init__(
        self,
        model: str,
        revision: str = "",
        base: str = "./phi-4",
        sight: str = "./clip-vit-large-patch14-336",
    ) -> None:
        """Load the H-LoRA of the folder `model` over `base`, both read as tensors alone."""
        shared.refuse_revision(revision)
        settings = import_module("config").HealthGPTConfig_L14_COM
        settings.model_name_or_path, settings.vit_path = base, sight
        settings.hlora_path = os.path.join(model, "com_hlora_weights_phi4.bin")
        with shared.plain_weights():
            built = import_module("model").HealthGPT(settings)
        self._model, self._tokenizer, self._dtype = built.model, built.tokenizer, built.model_dtype
        self._device = next(iter(built.model.parameters())).device
        templates = import_module("llava.conversation").conv_templates
        self._template = templates[settings.instruct_template]
        self._marks = import_module("llava.constants")
        self._ids = import_module("llava.mm_utils").tokenizer_image_token
        self._square = import_module("llava.demo.utils").expand2square

    def one(self, question: Mapping[str, Any]) -> str:
        """A text for one.

        Raises:
            ValueError: more than one picture.
        """
        torch = import_module("torch")
        shown = shared.pictures(question)
        if len(shown) > 1:
            raise ValueError(f"{len(shown)} pictures; it takes one")
        shared.seed(question)
        before = f"{self._marks.DEFAULT_IMAGE_TOKEN}\n" if shown else ""
        talk = self._template.copy()
        talk.append_message(talk.roles[0], before + shared.words(question))
        talk.append_message(talk.roles[1], None)
        mark = self._marks.IMAGE_TOKEN_INDEX
        ids = self._ids(talk.get_prompt(), self._tokenizer, mark, return_tensors="pt")[None]
        with torch.inference_mode():
            out = self._model.base_model.model.generate(
                ids.to(self._device),
                **self._pixels(shown),
                **shared.drawing(question),
                use_cache=True,
            )
        return str(self._tokenizer.decode(out[0], skip_special_tokens=True)).strip()

    def _pixels(self, shown: Sequence[Any]) -> dict[str, Any]:
        """The picture made square, as 1 x colours x height x width, and its size."""
        if not shown:
            return {"images": None, "image_sizes": None}
        eye = self._model.get_vision_tower().image_processor
        square = self._square(shown[0], tuple(int(share * 255) for share in eye.image_mean))
        pixels = eye.preprocess(square, return_tensors="pt")["pixel_values"]
        return {
            "images": pixels.to(dtype=self._dtype, device=self._device),
            "image_sizes": square.size,
        }
