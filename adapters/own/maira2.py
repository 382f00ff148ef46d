"""MAIRA-2, as its page on the hub asks it: reports of chest X-rays, and where a phrase is seen.

Its processor takes a frontal and a lateral picture and an indication, and no questions: the page
says that other prompts were not trained.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from medgen.adapters.own import shared

if TYPE_CHECKING:
    from medgen.adapters.own.own_server import Question


class Maira2(shared.Together):
    """The findings of an X-ray, whatever is asked; the first picture is frontal, a second lateral.

    What stands before the instruction as its context is given as the indication. Its processor
    makes one prompt; shorter ones of a batch are filled up at the left here.
    """

    def __init__(self, model: str, revision: str = "") -> None:
        """Load processor and weights with the code of their repository."""
        self._ask, self._model = shared.load_hub_model(model, revision, beside="AutoProcessor")

    def prompt(self, question: Question) -> Any:
        """What the processor makes of the pictures and the indication."""
        frontal, lateral, *_ = (*_some(question), None)
        context = re.match(r"Context: (.*?)\n\nInstruction: ", question["instruction"], re.DOTALL)
        return self._ask.format_and_preprocess_reporting_input(
            current_frontal=frontal,
            current_lateral=lateral,
            prior_frontal=None,
            indication=context[1] if context else None,
            technique=None,
            comparison=None,
            prior_report=None,
            return_tensors="pt",
            get_grounding=False,
        )

    def texts(self, prompts: Sequence[Any], drawn: dict[str, Any]) -> list[str]:
        """The reports."""
        return list(map(str, self._replies(prompts, drawn)))

    def _replies(self, prompts: Sequence[Any], drawn: dict[str, Any]) -> list[Any]:
        """Reports, or for each phrases with boxes of fractions of what the model saw."""
        import torch

        device = self._model.device
        ends = self._ask.tokenizer.pad_token_id or 0
        ids, mask = shared.stack_left([prompt["input_ids"][0] for prompt in prompts], ends)
        pixels = torch.cat([prompt["pixel_values"] for prompt in prompts])
        out = self._model.generate(
            input_ids=ids.to(device),
            attention_mask=mask.to(device),
            pixel_values=pixels.to(device),
            **drawn,
            use_cache=True,
        )
        new = [row[ids.shape[-1] :] for row in out]
        said = [self._ask.decode(row, skip_special_tokens=True).lstrip() for row in new]
        return [self._ask.convert_output_to_plaintext_or_grounded_sequence(text) for text in said]


class Maira2Boxes(Maira2):
    """The boxes of a phrase, in pixels of the picture that is given; none where it is not seen."""

    def prompt(self, question: Question) -> Any:
        """What the processor makes of the phrase, beside the size of the picture."""
        picture, *_ = _some(question)
        asked = self._ask.format_and_preprocess_phrase_grounding_input(
            frontal_image=picture, phrase=shared.order(question), return_tensors="pt"
        )
        return asked, picture.size

    def texts(self, prompts: Sequence[Any], drawn: dict[str, Any]) -> list[str]:
        """A box a line."""
        found = self._replies([asked for asked, _ in prompts], drawn)
        return [self._boxes(phrases, size) for phrases, (_, size) in zip(found, prompts)]

    def _boxes(self, phrases: Any, size: tuple[int, int]) -> str:
        known = phrases if isinstance(phrases, list) else []
        boxes = [self._in_pixels(box, size) for _, some in known for box in some or ()]
        return "\n".join(map(str, boxes)) or "none"

    def _in_pixels(self, box: Any, size: tuple[int, int]) -> list[int]:
        shares = self._ask.adjust_box_for_original_image_size(box, width=size[0], height=size[1])
        return [round(share * side) for share, side in zip(shares, (*size, *size))]


def _some(question: Question) -> list[Any]:
    """The pictures.

    Raises:
        ValueError: there is none, or more than it takes.
    """
    shown = shared.pictures(question)
    if len(shown) not in (1, 2):
        raise ValueError(f"{len(shown)} pictures; it takes a frontal one and a lateral one")
    return shown
