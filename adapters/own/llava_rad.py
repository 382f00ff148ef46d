"""LLaVA-Rad, as its page on the hub asks it, with the package of github.com/microsoft/LLaVA-Rad."""

from __future__ import annotations

from collections.abc import Sequence
from importlib import import_module
from typing import TYPE_CHECKING, Any

from medgen.adapters.own import shared

if TYPE_CHECKING:
    from torch import Tensor

    from medgen.adapters.own.own_server import Question


class LlavaRad(shared.Together):
    """The findings of one frontal chest X-ray; a LoRA over Vicuna.

    Its code puts the mask of what is filled up in the wrong place, so prompts of one length go
    together, as in the authors' own script (`group_by_length`).
    """

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

    def prompt(self, question: Question) -> tuple[Tensor, Tensor]:
        """Tokens, and the picture as 1 x colours x height x width."""
        shown = shared.only_picture(question)
        pixels = self._sight.preprocess(shown, return_tensors="pt")["pixel_values"]
        talk = self._template.copy()
        talk.append_message(talk.roles[0], f"<image>\n{shared.order(question)}\n")
        talk.append_message(talk.roles[1], None)
        asked = talk.get_prompt()
        return self._ids(asked, self._tokenizer, self._mark, return_tensors="pt"), pixels

    def kind(self, prompt: tuple[Tensor, Tensor]) -> int:
        """Its length: no prompt is filled up."""
        return len(prompt[0])

    def texts(self, prompts: Sequence[tuple[Tensor, Tensor]], drawn: dict[str, Any]) -> list[str]:
        """What is new of the replies: some versions of its base give the prompt back before it."""
        import torch

        ids = torch.stack([ids for ids, _ in prompts]).to(self._model.device)
        pixels = torch.cat([pixels for _, pixels in prompts])
        with torch.inference_mode():
            out = self._model.generate(
                ids,
                images=pixels.to(self._model.device, dtype=torch.float16),
                **drawn,
                use_cache=True,
            )
        length = ids.shape[1]
        new = out[:, length:] if torch.equal(out[:, :length], ids) else out
        said = self._tokenizer.batch_decode(new, skip_special_tokens=True)
        return [str(text).strip() for text in said]
