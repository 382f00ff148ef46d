"""HealthGPT-L14, as `llava/demo/com_infer_phi4.py` of github.com/DCDmllm/HealthGPT asks it.

The authors' chat (`model.py`) refuses to draw with L14, and cuts eight letters off every answer;
their script does not, and is followed here.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from importlib import import_module
from typing import TYPE_CHECKING, Any

from medgen.adapters.own import shared

if TYPE_CHECKING:
    from torch import Tensor

    from medgen.adapters.own.own_server import Question

    # Tokens, and the picture with its size where there is one.
    Prompt = tuple[Tensor, tuple[Tensor, tuple[int, int]] | None]


class HealthGPT(shared.Together):
    """One picture and words, or words alone; run in the authors' folder `HealthGPT`.

    Where its code puts pictures among words was not read, and so not how it fills up: prompts of
    one length go together.
    """

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

    def prompt(self, question: Question) -> Prompt:
        """Tokens, and the picture made square with its size.

        Raises:
            ValueError: more than one picture.
        """
        shown = shared.pictures(question)
        if len(shown) > 1:
            raise ValueError(f"{len(shown)} pictures; it takes one")
        before = f"{self._marks.DEFAULT_IMAGE_TOKEN}\n" if shown else ""
        talk = self._template.copy()
        talk.append_message(talk.roles[0], before + shared.words(question))
        talk.append_message(talk.roles[1], None)
        mark = self._marks.IMAGE_TOKEN_INDEX
        ids = self._ids(talk.get_prompt(), self._tokenizer, mark, return_tensors="pt")
        return ids, self._square_of(shown[0]) if shown else None

    def _square_of(self, shown: Any) -> tuple[Tensor, tuple[int, int]]:
        """The picture made square, as 1 x colours x height x width, and its size."""
        eye = self._model.get_vision_tower().image_processor
        square = self._square(shown, tuple(int(share * 255) for share in eye.image_mean))
        return eye.preprocess(square, return_tensors="pt")["pixel_values"], square.size

    def kind(self, prompt: Prompt) -> tuple[int, bool]:
        """Its length, and whether there is a picture."""
        return len(prompt[0]), prompt[1] is None

    def texts(self, prompts: Sequence[Prompt], drawn: dict[str, Any]) -> list[str]:
        """The replies, without their prompts."""
        import torch

        ids = torch.stack([ids for ids, _ in prompts]).to(self._device)
        shown = [picture for _, picture in prompts if picture is not None]
        pixels = torch.cat([one for one, _ in shown]) if shown else None
        with torch.inference_mode():
            out = self._model.base_model.model.generate(
                ids,
                images=None if pixels is None else pixels.to(self._device, dtype=self._dtype),
                image_sizes=[size for _, size in shown] or None,
                **drawn,
                use_cache=True,
            )
        said = self._tokenizer.batch_decode(out, skip_special_tokens=True)
        return [str(text).strip() for text in said]
