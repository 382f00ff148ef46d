"""MAIRA-2, as its page on the hub asks it: reports of chest X-rays, and where a phrase is seen.

Its processor takes a frontal and a lateral picture and an indication, and no questions: the page
says that other prompts were not trained.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from medgen.adapters.own import shared


class Maira2(shared.OneByOne):
    """The findings of an X-ray, whatever is asked; the first picture is frontal, a second lateral.

    What stands before the instruction as its context is given as the indication.
    """

    def __init__(self, model: str, revision: str = "") -> None:
        """Load processor and weights with the code of their repository."""
        self._ask, self._model = shared.load_hub_model(model, revision, beside="AutoProcessor")

    def one(self, question: Mapping[str, Any]) -> str:
        """A text for one."""
        frontal, lateral, *_ = (*_some(question), None)
        context = re.match(r"Context: (.*?)\n\nInstruction: ", question["instruction"], re.DOTALL)
        asked = self._ask.format_and_preprocess_reporting_input(
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
        return str(self._reply(question, asked))

    def _reply(self, question: Mapping[str, Any], asked: Any) -> Any:
        """A report, or phrases with boxes of fractions of what the model saw."""
        shared.seed(question)
        given = asked.to(self._model.device)
        out = self._model.generate(**given, **shared.drawing(question), use_cache=True)
        new = out[0][given["input_ids"].shape[-1] :]
        text = self._ask.decode(new, skip_special_tokens=True).lstrip()
        return self._ask.convert_output_to_plaintext_or_grounded_sequence(text)


class Maira2Boxes(Maira2):
    """The boxes of a phrase, in pixels of the picture that is given; none where it is not seen."""

    def one(self, question: Mapping[str, Any]) -> str:
        """A box a line."""
        picture, *_ = _some(question)
        asked = self._ask.format_and_preprocess_phrase_grounding_input(
            frontal_image=picture, phrase=shared.order(question), return_tensors="pt"
        )
        found = self._reply(question, asked)
        boxes = [box for _, some in found for box in some or ()] if isinstance(found, list) else []
        return "\n".join(map(str, (self._in_pixels(box, picture.size) for box in boxes))) or "none"

    def _in_pixels(self, box: Any, size: tuple[int, int]) -> list[int]:
        shares = self._ask.adjust_box_for_original_image_size(box, width=size[0], height=size[1])
        return [round(share * side) for share, side in zip(shares, (*size, *size))]


def _some(question: Mapping[str, Any]) -> list[Any]:
    """The pictures.

    Raises:
        ValueError: there is none, or more than it takes.
    """
    shown = shared.pictures(question)
    if len(shown) not in (1, 2):
        raise ValueError(f"{len(shown)} pictures; it takes a frontal one and a lateral one")
    return shown
