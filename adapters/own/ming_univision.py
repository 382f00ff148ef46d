"""Ming-UniVision, as README.md of github.com/inclusionAI/Ming-UniVision asks it."""

from __future__ import annotations

import contextlib
import os
import tempfile
from collections.abc import Iterator
from importlib import import_module
from typing import TYPE_CHECKING

from medgen.adapters.own import shared

if TYPE_CHECKING:
    from medgen.adapters.own.own_server import Question


# Its own words for what it was trained to do, as its page gives them.
_TO_DRAW = "Please generate the corresponding image based on the description. {}"
_TO_FIND = "Given the edit instruction: {}, please identify the editing region"


class MingUniVision(shared.Unified):
    """Words and pictures; run in the authors' repository, with MingTok-Vision in its `models`.

    It remembers one talk between its rounds (`reset_inner_state`), so questions wait.
    """

    def __init__(self, model: str, revision: str = "", dtype: str = "bf16") -> None:
        """Load the folder `model`; `dtype` may be int8 or int4, as the authors' page has it."""
        shared.refuse_revision(revision)
        kind = import_module("mingunivision.mingunivisioninfer").MingUniVisionInfer
        self._ask = kind(model, dtype)

    def write(self, question: Question) -> str:
        """Words, drawn as the model's own generation config says: its loader takes no sampling."""
        with self._talk(question) as (paths, folder):
            most = question["max_tokens"]
            return self._say(paths, shared.words(question), most, os.path.join(folder, "beside"))

    def draw(self, question: Question) -> bytes:
        """A picture, or an edit in the two rounds that it was trained with.

        Raises:
            ValueError: it answered without a picture.
        """
        order, most = shared.order(question), question["max_tokens"]
        with self._talk(question) as (paths, folder):
            made = os.path.join(folder, "made")
            if paths:
                mark = os.path.join(folder, "region")
                self._say(paths, _TO_FIND.format(order), most, mark, edit=True)
                self._say([], order, most, made, edit=True)
            else:
                self._say([], _TO_DRAW.format(order), most, made)
            if not os.path.exists(f"{made}.png"):
                raise ValueError("it gave no picture")
            with open(f"{made}.png", "rb") as source:
                return source.read()

    @contextlib.contextmanager
    def _talk(self, question: Question) -> Iterator[tuple[list[str], str]]:
        """The pictures as files and a folder for those it makes; what was said is forgotten."""
        with shared.files(question["images"]) as paths, tempfile.TemporaryDirectory() as folder:
            try:
                yield paths, folder
            finally:
                self._ask.reset_inner_state()

    def _say(self, paths: list[str], words: str, most: int, made: str, edit: bool = False) -> str:
        """One round; a picture that it makes lies at `made` with `.png` behind it."""
        shown = [{"type": "image", "image": path} for path in paths]
        turn = {"role": "HUMAN", "content": [*shown, {"type": "text", "text": words}]}
        return str(
            self._ask.generate([turn], max_new_tokens=most, output_image_prefix=made, for_edit=edit)
        )
