"""LLM-CXR, as `generate_interactive.py` of github.com/hyn2028/llm-cxr asks it.

It reads one picture of 256 x 256, and none where it draws: an edit is drawn from the words alone.
"""

from __future__ import annotations

from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

from medgen.adapters.own import shared

if TYPE_CHECKING:
    from medgen.adapters.own.own_server import Question


_SIDE, _PARTS, _TOKENS = 256, 256, 512
_DRAW = (
    "Generate a chest X-ray image that corresponds to the entered free-text radiology reports "
    "for the chest X-ray image."
)


class LlmCxr(shared.Unified):
    """Words about a chest X-ray, and chest X-rays from words; run in the authors' repository.

    Its pipeline puts the tokens of one picture into one prompt (`assert len(...) == 1`), so
    questions wait.
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

    def write(self, question: Question) -> str:
        """Words about one picture, or about words alone.

        Raises:
            ValueError: there are several pictures.
        """
        shown, heat = shared.pictures(question), question["temperature"]
        if len(shown) > 1:
            raise ValueError(f"{len(shown)} pictures; it takes one")
        drawn = {"do_sample": True, "temperature": heat} if heat > 0 else {"do_sample": False}
        told, _ = self._response(
            shared.words(question),
            self._tokens_of(shown[0]) if shown else None,
            max_new_tokens=question["max_tokens"],
            **drawn,
        )
        return str(told or "").strip()

    def draw(self, question: Question) -> bytes:
        """A picture from words alone, sampled as the authors' page does.

        Raises:
            ValueError: too few of its parts came.
        """
        import torch

        _, parts = self._response(_DRAW, shared.order(question), max_new_tokens=_TOKENS)
        indices = torch.tensor(parts or []).reshape(-1)
        if len(indices) != _PARTS:
            raise ValueError(f"it gave {len(indices)} of the {_PARTS} parts of a picture")
        with torch.inference_mode():
            quantised = self._pixels.quantize.get_codebook_entry(indices, shape=(1, 16, 16, -1))
            grid = self._pixels.decode(quantised)[0].float().clamp(-1, 1)
        array = ((grid + 1) / 2 * 255).permute(1, 2, 0).numpy().astype("uint8")
        return shared.png(import_module("PIL.Image").fromarray(array))

    def _response(
        self, instruction: str, given: Any, **how: Any
    ) -> tuple[str | None, list[int] | None]:
        asked = (instruction, given)
        with import_module("torch").inference_mode():
            told, parts = self._code.generate_response(
                asked, model=self._model, tokenizer=self._tokenizer, **how
            )
        return told, parts

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
