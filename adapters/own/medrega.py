"""MedRegA, as `src/demo.py` of github.com/xmed-lab/MedRegA asks it: InternVL-Chat 1.2 inside."""

from __future__ import annotations

from collections.abc import Sequence
from importlib import import_module
from typing import TYPE_CHECKING, Any

from medgen.adapters.own import shared

if TYPE_CHECKING:
    from torch import Tensor

    from medgen.adapters.own.own_server import Question


_TOKEN, _ENDS = "<IMG_CONTEXT>", "<|im_end|>"


class MedRegA(shared.Together):
    """Words about one picture, with the code of the authors' folder `src`.

    Their `chat` takes one question, so its steps are called here: the picture stands where their
    examples have it, behind the system's words, and shorter prompts are filled up at the left.
    """

    def __init__(self, model: str, revision: str = "") -> None:
        """Load bfloat16 weights into the authors' class; the hub's code is its tokenizer's."""
        import torch

        place = {"revision": revision or None}
        self._tokenizer = import_module("transformers").AutoTokenizer.from_pretrained(
            model, trust_remote_code=True, use_fast=False, **place
        )
        chat = import_module("internvl.model.internvl_chat").InternVLChatModel
        with shared.plain_weights():
            loaded = chat.from_pretrained(
                model, low_cpu_mem_usage=True, torch_dtype=torch.bfloat16, **place
            ).eval()
        self._device = "cuda" if torch.cuda.is_available() else "cpu"
        self._model, config = loaded.to(self._device), loaded.config
        shared.fill_left(self._tokenizer)
        self._template = import_module("internvl.conversation").get_conv_template
        self._sight = import_module("internvl.train.dataset").build_transform(
            is_train=False,
            input_size=config.force_image_size or config.vision_config.image_size,
        )

    def prompt(self, question: Question) -> tuple[str, Tensor]:
        """The talk with the picture's tokens at its mark, and the picture."""
        shown = shared.only_picture(question)
        marks = f"<img>{_TOKEN * self._model.num_image_token}</img>"
        words = f"{question['system']} {marks}\n{question['instruction']}".lstrip()
        talk = self._template(self._model.template)
        talk.append_message(talk.roles[0], words)
        talk.append_message(talk.roles[1], None)
        return talk.get_prompt(), self._sight(shown)

    def texts(self, prompts: Sequence[tuple[str, Tensor]], drawn: dict[str, Any]) -> list[str]:
        """What stands before the end of each reply."""
        import torch

        ids_of = self._tokenizer.convert_tokens_to_ids
        asked = self._tokenizer([words for words, _ in prompts], padding=True, return_tensors="pt")
        pixels = torch.stack([shown for _, shown in prompts])
        self._model.img_context_token_id = ids_of(_TOKEN)
        with torch.inference_mode():
            out = self._model.generate(
                pixel_values=pixels.to(self._device, dtype=torch.bfloat16),
                input_ids=asked["input_ids"].to(self._device),
                attention_mask=asked["attention_mask"].to(self._device),
                num_beams=1,
                min_new_tokens=1,
                eos_token_id=ids_of(_ENDS) or self._tokenizer.eos_token_id,
                pad_token_id=self._tokenizer.pad_token_id,
                **drawn,
            )
        said = self._tokenizer.batch_decode(out, skip_special_tokens=True)
        return [str(text).split(_ENDS)[0].strip() for text in said]
