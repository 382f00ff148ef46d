"""Janus-Pro as transformers has it: it writes, and draws at 384 x 384.

It takes no picture when it draws: an edit is drawn from the words alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from importlib import import_module
from typing import TYPE_CHECKING, Any

from medgen.adapters.own import shared

if TYPE_CHECKING:
    from medgen.adapters.own.own_server import Question


class Janus(shared.Unified):
    """Words about pictures, and pictures from words; any environment with transformers 4.51.

    Shorter prompts are filled up at the left, where the model's mask leaves them out.
    """

    def __init__(self, model: str, revision: str = "", dtype: str = "bfloat16") -> None:
        """Load safetensors; no code of the repository is run."""
        import torch

        transformers = import_module("transformers")
        place = {"revision": revision} if revision else {}
        self._ask = transformers.AutoProcessor.from_pretrained(model, **place)
        shared.fill_left(self._ask.tokenizer)
        loaded = transformers.JanusForConditionalGeneration.from_pretrained(
            model, use_safetensors=True, **place
        )
        self._dtype = getattr(torch, dtype)
        self._device = "cuda" if torch.cuda.is_available() else "cpu"
        self._model = loaded.to(self._device, dtype=self._dtype).eval()

    def words_for(self, questions: Sequence[Question]) -> list[str | Exception]:
        """Words about the pictures, or about words alone."""
        return shared.replies_to(questions, self._to_write, self._words)

    def pictures_for(self, questions: Sequence[Question]) -> list[bytes]:
        """Pictures from words alone, sampled as the model was trained to."""
        import torch

        given = self._inputs([(shared.order(question), []) for question in questions], "image")
        with torch.inference_mode(), shared.seeds(questions):
            tokens = self._model.generate(**given, generation_mode="image", do_sample=True)
        with torch.inference_mode():
            return [self._picture(self._model.decode_image_tokens(row[None])) for row in tokens]

    def _picture(self, pixels: Any) -> bytes:
        # As tensors: one of its two processors of pictures gives none of Pillow's, as it says.
        made = self._ask.postprocess(list(pixels.float().cpu()), return_tensors="pt")
        grid = made["pixel_values"][0]
        array = (grid if grid.shape[-1] == 3 else grid.permute(1, 2, 0)).numpy()
        return shared.png(import_module("PIL.Image").fromarray(array.astype("uint8")))

    def _to_write(self, question: Question) -> tuple[str, list[Any]]:
        return shared.words(question), shared.pictures(question)

    def _words(self, prompts: Sequence[tuple[str, list[Any]]], drawn: dict[str, Any]) -> list[str]:
        import torch

        given = self._inputs(prompts, "text")
        with torch.inference_mode():
            out = self._model.generate(**given, generation_mode="text", **drawn)
        new = out[:, given["input_ids"].shape[1] :]
        said = self._ask.tokenizer.batch_decode(new, skip_special_tokens=True)
        return [str(text).strip() for text in said]

    def _inputs(self, prompts: Sequence[tuple[str, list[Any]]], mode: str) -> Any:
        texts, pictures = [], []
        for words, shown in prompts:
            parts = [{"type": "image", "image": picture} for picture in shown]
            turn = {"role": "user", "content": [*parts, {"type": "text", "text": words}]}
            texts.append(self._ask.apply_chat_template([turn], add_generation_prompt=True))
            pictures += shown
        given = self._ask(
            text=texts,
            generation_mode=mode,
            return_tensors="pt",
            padding=True,
            **({"images": pictures} if pictures else {}),
        )
        return given.to(self._device, self._dtype)
