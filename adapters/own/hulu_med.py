"""Hulu-Med, as the README of github.com/ZJUI-AI4H/Hulu-Med asks it, with its package `hulumed`."""

from __future__ import annotations

from collections.abc import Sequence
from importlib import import_module
from typing import TYPE_CHECKING, Any

from medgen.adapters.own import shared

if TYPE_CHECKING:
    from medgen.adapters.own.own_server import Question


_OF_PICTURES = ("pixel_values", "grid_sizes", "merge_sizes")


class HuluMed(shared.Together):
    """One picture and words, or words alone; the authors show no prompt of several pictures.

    Its processor makes one prompt and drops what asks for filling up, so it is given each question
    alone, and shorter prompts are filled up at the left behind a mask. What its model refuses a
    batch for, `use_token_compression`, leaves frames of a video out, of which there are none here.
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
        self._model.config.use_token_compression = False

    def prompt(self, question: Question) -> Any:
        """Rows of one, and the parts of a picture.

        Raises:
            ValueError: several pictures.
        """
        shown = [{"type": "image"} for _ in question["images"]]
        if len(shown) > 1:
            raise ValueError(f"{len(shown)} pictures; it takes one")
        content = [*shown, {"type": "text", "text": shared.words(question)}]
        with shared.files(question["images"]) as paths:
            return self._ask(
                images=[self._load(path) for path in paths] or None,
                text=[{"role": "user", "content": content}],
                merge_size=1,
                return_tensors="pt",
            )

    def texts(self, prompts: Sequence[Any], drawn: dict[str, Any]) -> list[str]:
        """A text for each."""
        torch: Any = import_module("torch")
        rows, mask = shared.stack_left([prompt["input_ids"][0] for prompt in prompts])
        given = {"input_ids": rows, "attention_mask": mask}
        shown = [prompt for prompt in prompts if prompt.get("pixel_values") is not None]
        for name in _OF_PICTURES if shown else ():
            given[name] = torch.cat([prompt[name] for prompt in shown])
        if shown:
            given["pixel_values"] = given["pixel_values"].to(torch.bfloat16)
        with torch.inference_mode():
            out = self._model.generate(
                **{name: held.to(self._model.device) for name, held in given.items()},
                **drawn,
                modals=["image"] * len(shown) or ["text"],
                pad_token_id=self._tokenizer.eos_token_id,
            )
        said = self._tokenizer.batch_decode(out, skip_special_tokens=True)
        return [str(text).strip() for text in said]
