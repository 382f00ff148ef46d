"""Hulu-Med's code in small: pictures are parts of one row, for whichever prompts they are."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from models.authors_code import stand_in
from models.tiny_authors import PARTS, Speaker, pixels_of
from PIL import Image as Pillow
from torch import Tensor


class Processor:
    """Makes one prompt, and drops what asks for filling up."""

    def __init__(self, eye: str, tokenizer: Any) -> None:
        assert eye == "eye"
        self.tokenizer = tokenizer

    def __call__(
        self,
        images: Sequence[Sequence[Pillow.Image]] | None,
        text: Sequence[Mapping[str, Any]],
        merge_size: int,
        return_tensors: str,
    ) -> dict[str, Tensor]:
        assert (merge_size, return_tensors) == (1, "pt")
        *shown, said = text[0]["content"]
        words = "<image>" * PARTS * len(shown) + said["text"]
        given = dict(self.tokenizer(words, return_tensors="pt"))
        if images is not None:
            ((picture,),) = images
            parts = torch.nn.functional.adaptive_avg_pool2d(pixels_of(picture), 2)
            given["pixel_values"] = parts.flatten(1).T
            given["grid_sizes"] = torch.tensor([[1, 2, 2]])
            given["merge_sizes"] = torch.tensor([1])
        return given


class Hulu(Speaker):
    config = SimpleNamespace(use_token_compression=True)

    def generate(
        self,
        input_ids: Tensor,
        attention_mask: Tensor,
        modals: Sequence[str],
        pixel_values: Tensor | None = None,
        grid_sizes: Tensor | None = None,
        merge_sizes: Tensor | None = None,
        **how: Any,
    ) -> Tensor:
        embedded, chosen = self.embed(input_ids), input_ids == self.id_of("<image>")
        if pixel_values is not None and grid_sizes is not None and merge_sizes is not None:
            assert len(input_ids) == 1 or not self.config.use_token_compression
            assert list(modals) == ["image"] * len(grid_sizes)
            counts = grid_sizes.prod(dim=1) // merge_sizes**2
            assert int(counts.sum()) == len(pixel_values) == int(chosen.sum())
            embedded[chosen] = pixel_values.float() @ self.eye
        assert pixel_values is not None or list(modals) == ["text"]
        return self.say(embedded, attention_mask, **how)


def hulu_med(monkeypatch: pytest.MonkeyPatch, folder: Path) -> tuple[Any, Speaker]:
    from medgen.adapters.own.hulu_med import HuluMed

    model = Hulu()

    def load(path: str, base: None, name: str, device_map: str) -> tuple[Any, ...]:
        assert (path, base, name, device_map) == ("a/weights", None, "weights", "cuda:0")
        return model.tokenizer, model, "eye", 4096

    def look(path: str) -> list[Pillow.Image]:
        return [Pillow.open(path).convert("RGB")]

    tools = {"get_model_name_from_path": lambda path: path.split("/")[-1], "load_images": look}
    stand_in(monkeypatch, "hulumed.mm_utils", **tools)
    stand_in(monkeypatch, "hulumed.model", load_pretrained_model=load)
    stand_in(monkeypatch, "hulumed.model.processor", HulumedProcessor=Processor)
    return HuluMed("a/weights"), model
