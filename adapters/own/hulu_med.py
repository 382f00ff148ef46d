"""Hulu-Med, as the README of github.com/ZJUI-AI4H/Hulu-Med asks it, with its package `hulumed`."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

from medgen.adapters.own import shared

if TYPE_CHECKING:
    from medgen.adapters.own.own_server import Question


class HuluMed(shared.OneByOne):
    """One picture and words, or words alone; the authors show no prompt of several pictures.

    Its processor makes one prompt and drops what asks for filling up, so questions wait.
    """

    def __init__(self, model: str, revision: str = "") -> None:
        """Load by the authors' loader, which knows no revision: it takes a folder of one.

        Raises:
            ValueError: a revision of a hub's model.
        """
        shared.refuse_revision(revision)
        tools = import_module("hulumed.mm_utils")
        loader = import_module("hulumed.model").load_pretrained_model
        name = tools.get_model_name_from_path(model)
        tokenizer, self._model, image_processor, _ = loader(model, None, name, device_map="cuda:0")
        kind = import_module("hulumed.model.processor").HulumedProcessor
        self._ask, self._tokenizer = kind(image_processor, tokenizer), tokenizer
        self._load = tools.load_images

    def one(self, question: Question) -> str:
        """A text for one."""
        import torch

        shown = [{"type": "image"} for _ in question["images"]]
        if len(shown) > 1:
            raise ValueError(f"{len(shown)} pictures; it takes one")
        content = [*shown, {"type": "text", "text": shared.words(question)}]
        with shared.files(question["images"]) as paths:
            inputs = self._ask(
                images=[self._load(path) for path in paths] or None,
                text=[{"role": "user", "content": content}],
                merge_size=1,
                return_tensors="pt",
            )
        device = self._model.device
        given = {k: v.to(device) if hasattr(v, "to") else v for k, v in inputs.items()}
        if "pixel_values" in given:
            given["pixel_values"] = given["pixel_values"].to(torch.bfloat16)
        with torch.inference_mode():
            out = self._model.generate(
                **given,
                **shared.drawing(question),
                modals=["image" if shown else "text"],
                pad_token_id=self._tokenizer.eos_token_id,
            )
        return str(self._tokenizer.batch_decode(out, skip_special_tokens=True)[0]).strip()
