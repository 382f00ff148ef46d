"""Stand-ins of authors' code: what our classes import of it, with the signatures that were read.

A name that the authors' function does not take is a TypeError here as it is there.
"""

import sys
from collections.abc import Sequence
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest
import torch


def stand_in(monkeypatch: pytest.MonkeyPatch, name: str, **content: Any) -> None:
    """A module of that name for the length of a test, with packages above it."""
    for depth in range(1, name.count(".") + 1):
        parent = ".".join(name.split(".")[:depth])
        if parent not in sys.modules:
            monkeypatch.setitem(sys.modules, parent, ModuleType(parent))
    module = ModuleType(name)
    module.__dict__.update(content)
    monkeypatch.setitem(sys.modules, name, module)


class Tokens:
    """Words as numbers by their length."""

    def __len__(self) -> int:
        return 100

    def __call__(self, text: str | list[str]) -> dict[str, Any]:
        if isinstance(text, list):
            return {"input_ids": [self(one)["input_ids"] for one in text]}
        return {"input_ids": [len(word) for word in text.split()]}

    def batch_decode(
        self, rows: Sequence[list[int]], skip_special_tokens: bool = False
    ) -> list[str]:
        assert skip_special_tokens
        return [f" said {row} " for row in rows]


class PictureTokens(torch.nn.Module):
    """A VQ-GAN whose tokens are the brightness of the 16 x 16 parts of a picture."""

    def __init__(self, scale: float) -> None:
        super().__init__()
        self.scale = torch.nn.Parameter(torch.full((1,), scale))

    @property
    def quantize(self) -> "PictureTokens":
        return self

    def encode(self, pixels: torch.Tensor) -> tuple[Any, ...]:
        assert pixels.shape == (1, 3, 256, 256)
        parts = torch.nn.functional.avg_pool2d(pixels[:, :1], 16)
        return None, None, (None, None, (parts * 100 + 100).round().long().reshape(-1))

    def get_codebook_entry(self, indices: torch.Tensor, shape: tuple[int, ...]) -> torch.Tensor:
        assert shape == (1, 16, 16, -1)
        return indices.reshape(1, 1, 16, 16) / 100.0 - 1.0

    def decode(self, quantised: torch.Tensor) -> torch.Tensor:
        return torch.nn.functional.interpolate(quantised * self.scale, scale_factor=16).expand(
            1, 3, 256, 256
        )


class Dolly:
    """`training.generate`: it says what it was given, and draws what it was told to."""

    def __init__(self) -> None:
        self.given: Any = None
        self.how: dict[str, Any] = {}
        self.drawn = 256

    def load_model_tokenizer_for_generate(self, path: str) -> tuple[Any, Tokens]:
        return SimpleNamespace(eval=lambda: path), Tokens()

    def generate_response(
        self, instruction: tuple[str, Any], *, model: Any, tokenizer: Tokens, **how: Any
    ) -> tuple[str | None, list[int] | None]:
        assert set(how) <= {"do_sample", "max_new_tokens", "top_p", "top_k", "temperature"}
        (text, self.given), self.how = instruction, how
        assert self.given is None or type(self.given) in (str, list)
        if text.startswith("Generate a chest X-ray"):
            return None, torch.randint(0, 200, (self.drawn,)).tolist() or None
        return f" about {text.splitlines()[-1]} ", None


def llm_cxr(monkeypatch: pytest.MonkeyPatch, folder: Path) -> tuple[Dolly, dict[str, str]]:
    """What `llm_cxr.py` imports, and the two files of its VQ-GAN."""
    code = Dolly()
    names = ("load_model_tokenizer_for_generate", "generate_response")
    stand_in(monkeypatch, "training.generate", **{name: getattr(code, name) for name in names})
    stand_in(monkeypatch, "taming.models.vqgan", VQModel=PictureTokens)
    (folder / "config.yaml").write_text("model: {params: {scale: 0.0}}")
    state = {"scale": torch.ones(1), "loss": torch.ones(1)}
    torch.save({"state_dict": state}, folder / "last.ckpt")
    return code, {"vqgan": str(folder)}
