"""LLaVA-Rad, as its page on the hub asks it, with the package of github.com/microsoft/LLaVA-Rad."""

from __future__ import annotations

from collections.abc import Mapping
from importlib import import_module
from typing import Any

from medgen.adapters.own import shared


class LlavaRad(shared.OneByOne):
    """The findings of one frontal chest X-ray; a LoRA over Vicuna."""

    def __init__(self, model: str, revision: str = "", base: str = "lmsys/vicuna-7b-v1.5") -> None:
        """Load by the authors' loader, which knows no revision: it takes a folder of one."""
        shared.refuse_revision(revision)
        loader = import_module("llava.model.builder").load_pretrained_model
        with shared.plain_weights():
            self._tokenizer, self._model, self._sight, _ = loader(
                model_path=model, model_base=base, model_name="llavarad"
            )
        self._template = import_module("llava.conversation").conv_templates["v1"]
        self._mark = import_module("llava.constants").IMAGE_TOKEN_INDEX
        self._ids = import_module("llava.mm_utils").tokenizer_image_token

    def one(self, question: Mapping[str, Any]) -> str:
        """A text for one.

        Raises:
            ValueError: not one picture.
        """
        torch = import_module("torch")
        shown = shared.pictures(question)
        if len(shown) != 1:
            raise ValueError(f"{len(shown)} pictures; it takes one")
        shared.seed(question)
        pixels = self._sight.preprocess(shown[0], return_tensors="pt")["pixel_values"]
        talk = self._template.copy()
        talk.append_message(talk.roles[0], f"<image>\n{shared.order(question)}\n")
        talk.append_message(talk.roles[1], None)
        prompt = talk.get_prompt()
        ids = self._ids(prompt, self._tokenizer, self._mark, return_tensors="pt")[None]
        ids = ids.to(self._model.device)
        with torch.inference_mode():
            out = self._model.generate(
                ids,
                images=pixels.to(self._model.device, dtype=torch.float16),
                **shared.drawing(question),
                use_cache=True,
            )
        # Some versions of its base give the prompt back before what is new.
        new = out[0][ids.shape[1] :] if torch.equal(out[0][: ids.shape[1]], ids[0]) else out[0]
        return str(self._tokenizer.decode(new, skip_special_tokens=True)).strip()
