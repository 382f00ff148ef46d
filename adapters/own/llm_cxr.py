"""LLM-CXR, as `generate_interactive.py` of github.com/hyn2028/llm-cxr asks it.

It reads one picture of 256 x 256, and none where it draws: an edit is drawn from the words alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

from medgen.adapters.own import shared

if TYPE_CHECKING:
    from torch import Tensor

    from medgen.adapters.own.own_server import Question


_Asked = tuple[str, Any]  # an instruction; words or a picture's tokens that go with it, or nothing
_SIDE, _PARTS, _TOKENS = 256, 256, 512
_DRAW = (
    "Generate a chest X-ray image that corresponds to the entered free-text radiology reports "
    "for the chest X-ray image."
)


class LlmCxr(shared.Unified):
    """Words about a chest X-ray, and chest X-rays from words; run in the authors' repository.

    Its pipeline puts the tokens of one picture into one prompt (`assert len(...) == 1`) and finds
    those of one in what is said, so it is given each question and each answer alone; the language
    model is given all, shorter prompts filled up at the left behind a mask.
    """

    def __init__(self, model: str, revision: str = "", vqgan: str = "./models/vqgan") -> None:
        """Load the language model of a folder, and the picture tokens of another, `vqgan`."""
        shared.refuse_revision(revision)
        import torch

        self._code = import_module("training.generate")
        made = import_module("omegaconf").OmegaConf.load(Path(vqgan, "config.yaml"))
        pixels = import_module("taming.models.vqgan").VQModel(**made.model.params)
        with shared.plain_weights():
            held = torch.load(Path(vqgan, "last.ckpt"), map_location="cpu", weights_only=True)
            pixels.load_state_dict(held["state_dict"], False)
            loaded, self._tokenizer = self._code.load_model_tokenizer_for_generate(model)
        self._model, self._pixels = loaded.eval(), pixels.eval()

    def words_for(self, questions: Sequence[Question]) -> list[str | Exception]:
        """Words about one picture, or about words alone."""
        return shared.replies_to(questions, self._to_write, self._words)

    def _to_write(self, question: Question) -> _Asked:
        shown = shared.pictures(question)
        if len(shown) > 1:
            raise ValueError(f"{len(shown)} pictures; it takes one")
        return shared.words(question), self._tokens_of(shown[0]) if shown else None

    def _words(self, prompts: Sequence[_Asked], drawn: dict[str, Any]) -> list[str]:
        return [str(told or "").strip() for told, _ in self._responses(prompts, **drawn)]

    def pictures_for(self, questions: Sequence[Question]) -> list[bytes | Exception]:
        """Pictures from words alone, sampled as the authors' page does."""
        # Each with its own seed, for they are drawn whatever is asked.
        asked: list[Question] = [{**question, "temperature": 1.0} for question in questions]
        return shared.replies_to(asked, lambda one: (_DRAW, shared.order(one)), self._pictures)

    def _pictures(self, prompts: Sequence[_Asked], _: dict[str, Any]) -> list[bytes | Exception]:
        found = self._responses(prompts, max_new_tokens=_TOKENS)
        return [self._picture(parts or []) for _, parts in found]

    def _picture(self, parts: list[int]) -> bytes | Exception:
        import torch

        if len(parts) != _PARTS:
            return ValueError(f"it gave {len(parts)} of the {_PARTS} parts of a picture")
        indices = torch.tensor(parts)
        with torch.inference_mode():
            quantised = self._pixels.quantize.get_codebook_entry(indices, shape=(1, 16, 16, -1))
            grid = self._pixels.decode(quantised)[0].float().clamp(-1, 1)
        array = ((grid + 1) / 2 * 255).permute(1, 2, 0).numpy().astype("uint8")
        return shared.png(import_module("PIL.Image").fromarray(array))

    def _responses(
        self, asked: Sequence[_Asked], **how: Any
    ) -> list[tuple[str | None, list[int] | None]]:
        """Words and a picture's tokens of each, as `generate_response` gives them of one."""
        torch: Any = import_module("torch")
        pipe = self._code.InstructionTextGenerationPipeline(
            model=self._model, tokenizer=self._tokenizer, **how
        )
        fill, device = self._tokenizer.pad_token_id, self._model.device
        prompts = [pipe.preprocess(one)["input_ids"][0] for one in asked]
        rows, mask = shared.stack_left(prompts, fill)
        with torch.inference_mode():
            said = self._model.generate(
                input_ids=rows.to(device),
                attention_mask=mask.to(device),
                pad_token_id=fill,
                **pipe._forward_params,
            )
        return [self._response(pipe, row) for row in said.cpu().clone()]

    def _response(self, pipe: Any, said: Tensor) -> tuple[str | None, list[int] | None]:
        one = said[None, None]
        parts = self._code.get_extract_vq_fun(self._tokenizer)(one)
        found = {"generated_sequence": one, "generated_vq": parts, "instruction_text": ""}
        (record,) = pipe.postprocess(found, **pipe._postprocess_params)
        return record["generated_text"], record["generated_vq"]

    def _tokens_of(self, picture: Any) -> list[int]:
        """The middle of the picture as tokens, behind those of words."""
        import numpy
        import torch

        share = _SIDE / min(picture.size)
        wide, high = (round(side * share) for side in picture.size)
        left, top = round((wide - _SIDE) / 2), round((high - _SIDE) / 2)
        sized = picture.resize((wide, high), import_module("PIL.Image").LANCZOS)
        cut = numpy.array(sized.crop((left, top, left + _SIDE, top + _SIDE)))
        grid = torch.from_numpy(cut).permute(2, 0, 1)[None] / 255 * 2 - 1
        with torch.inference_mode():
            _, _, (_, _, indices) = self._pixels.encode(grid)
        behind = len(self._tokenizer)
        return [int(index) + behind for index in indices.reshape(-1)]
