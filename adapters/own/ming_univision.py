"""Ming-UniVision, as README.md of github.com/inclusionAI/Ming-UniVision asks it."""

from __future__ import annotations

import contextlib
import os
import tempfile
from collections.abc import Iterator, Sequence
from importlib import import_module
from typing import TYPE_CHECKING, Any

from medgen.adapters.own import shared

if TYPE_CHECKING:
    from medgen.adapters.own.own_server import Question


# Its own words for what it was trained to do, as its page gives them.
_TO_DRAW = "Please generate the corresponding image based on the description. {}"
_TO_FIND = "Given the edit instruction: {}, please identify the editing region"
_OF_TOKENS = ("input_ids", "attention_mask", "uncond_attention_mask", "text_uncond_attention_mask")
_OF_PICTURES = ("pixel_values", "image_grid_thw")


class MingUniVision(shared.Unified):
    """Words and pictures; run in the authors' repository, with MingTok-Vision in its `models`.

    Words are written together, shorter prompts filled up at the left behind their masks. Pictures
    are not: `generate_image` (`mingunivision/modeling_bailing_moe.py`) begins with `assert
    attention_mask.shape[0] == 1`, for it makes rows of its own out of the one, with and without
    words; `RectifiedFlowLoss.sample` (`diff_loss_rf_swiglu.py`) takes two or three rows for those
    of one picture, draws one noise for all, and `forward` saves one file.
    """

    def __init__(self, model: str, revision: str = "", dtype: str = "bf16") -> None:
        """Load the folder `model`; `dtype` may be int8 or int4, as the authors' page has it."""
        shared.refuse_revision(revision)
        kind = import_module("mingunivision.mingunivisioninfer").MingUniVisionInfer
        self._ask = kind(model, dtype)

    def words_for(self, questions: Sequence[Question]) -> Sequence[str | Exception]:
        """Words, drawn as the model's own generation config says: its loader takes no sampling.

        One that begins a picture within its words is asked alone: the model makes one for one row.
        """
        if len(questions) == 1:
            return super().words_for(questions)
        # Each with its own seed, for its config may draw whatever is asked.
        asked: list[Question] = [{**question, "temperature": 1.0} for question in questions]
        said = shared.replies_to(asked, self._prompt, self._words)
        return [
            shared.Unified.words_for(self, [question])[0] if text is None else text
            for question, text in zip(questions, said)
        ]

    def _prompt(self, question: Question) -> Any:
        """What `MingUniVisionInfer.generate` gives the model: rows of one."""
        processor = self._ask.processor
        with shared.files(question["images"]) as paths:
            turns = [_turn(paths, shared.words(question))]
            text = processor.apply_chat_template(
                turns, tokenize=False, add_generation_prompt=True, use_system=True
            )
            shown, _, _ = processor.process_vision_info(turns)
            return processor(
                text=[text],
                images=shown,
                return_tensors="pt",
                image_patch_size=self._ask.model.vision.patch_size,
                for_edit=False,
            )

    def _words(self, prompts: Sequence[Any], drawn: dict[str, Any]) -> list[str | None]:
        """A text for each; none where a picture was begun."""
        torch: Any = import_module("torch")
        model = self._ask.model
        given = {
            name: shared.stack_left([prompt[name][0] for prompt in prompts])[0]
            for name in _OF_TOKENS
        }
        for name in _OF_PICTURES:
            shown = [prompt[name] for prompt in prompts if name in prompt]
            given.update({name: torch.cat(shown)} if shown else {})
        given = {name: held.to(model.device) for name, held in given.items()}
        if "pixel_values" in given:
            given["pixel_values"] = given["pixel_values"].to(torch.bfloat16)
        try:
            with torch.no_grad(), tempfile.TemporaryDirectory() as folder:
                out = model.generate(
                    **given,
                    max_new_tokens=drawn["max_new_tokens"],
                    use_cache=True,
                    output_image_prefix=os.path.join(folder, "beside"),
                    pad_token_id=self._ask.tokenizer.eos_token_id,
                )
        finally:
            self._ask.reset_inner_state()
        new = out[:, given["input_ids"].shape[1] :]
        begun = (new == model.model.config.image_start_token).any(dim=1).tolist()
        said = self._ask.processor.batch_decode(
            new, skip_special_tokens=True, clean_up_tokenization_spaces=False
        )
        return [None if drawing else str(text) for drawing, text in zip(begun, said)]

    def write(self, question: Question) -> str:
        """Words of one question."""
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
        return str(
            self._ask.generate(
                [_turn(paths, words)],
                max_new_tokens=most,
                output_image_prefix=made,
                for_edit=edit,
            )
        )


def _turn(paths: list[str], words: str) -> dict[str, Any]:
    shown = [{"type": "image", "image": path} for path in paths]
    return {"role": "HUMAN", "content": [*shown, {"type": "text", "text": words}]}
