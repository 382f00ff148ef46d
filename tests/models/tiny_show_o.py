"""Show-o's code in small: what was read of it, around a real Phi with random weights."""

from collections.abc import Callable, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from models.authors_code import stand_in
from PIL import Image as Pillow
from torch import Tensor
from transformers import PhiConfig, PhiForCausalLM

_WORDS, _CODES, _SIDE = 100, 16, 64
_VOCABULARY, _MASKED = 8292, 8291
_END = 94  # `<|eot|>`


class Tokens:
    """Words as numbers by their length."""

    def __len__(self) -> int:
        return _WORDS

    def __call__(self, text: str | list[str]) -> dict[str, Any]:
        if isinstance(text, list):
            return {"input_ids": [self(one)["input_ids"] for one in text]}
        return {"input_ids": [len(word) for word in text.split()]}

    def batch_decode(
        self, rows: Sequence[list[int]], skip_special_tokens: bool = False
    ) -> list[str]:
        assert skip_special_tokens
        return [f" said {row} " for row in rows]


class UniversalPrompting:
    def __init__(self, text_tokenizer: Tokens, max_text_len: int = 8000) -> None:
        self.text_tokenizer, self.max_text_len = text_tokenizer, max_text_len + 1
        names = ("pad", "soi", "eoi", "sot", "eot", "mmu", "t2i")
        self.sptids_dict = {f"<|{name}|>": torch.tensor([90 + i]) for i, name in enumerate(names)}
        self.drawn: list[str] = []

    def __call__(self, given: tuple[list[str], Tensor], task: str) -> tuple[Any, Any]:
        assert task == "t2i_gen"
        words, pictures = given
        self.drawn += words
        rows = []
        for ids, codes in zip(self.text_tokenizer(words)["input_ids"], pictures, strict=True):
            text = [90] * (self.max_text_len - len(ids)) + ids[: self.max_text_len]
            rows.append(torch.tensor([*text, 91, *codes.tolist(), 92]))
        return torch.stack(rows), None


class Showo:
    """`mmu_generate` is what our words are held against; it is made for one row."""

    config = SimpleNamespace(mask_token_id=_MASKED)

    def __init__(self) -> None:
        self.seen: dict[str, Any] = {}

    @classmethod
    def from_pretrained(cls, name: str, revision: str | None = None) -> "Showo":
        made = cls()
        made.seen = {"name": name, "revision": revision, "steps": 0}
        return made

    def to(self, device: str) -> "Showo":
        return self

    def eval(self) -> "Showo":
        config = PhiConfig(
            vocab_size=_VOCABULARY,
            hidden_size=32,
            intermediate_size=64,
            num_hidden_layers=2,
            num_attention_heads=4,
        )
        self._phi = PhiForCausalLM(config).double().eval()
        torch.manual_seed(9)
        for weight in self._phi.parameters():
            if weight.dim() > 1:
                torch.nn.init.normal_(weight, std=0.5)
        self._phi.lm_head.bias.data[_END] = 6.5  # answers end, and not all at once
        return self

    def showo(self, attention_mask: Tensor, **given: Any) -> Any:
        self.seen["steps"] += 1
        self.seen["rows"] = max(self.seen.get("rows", 0), len(given["input_ids"]))
        return self._phi(attention_mask=attention_mask.double(), **given)

    @torch.no_grad()
    def mmu_generate(
        self,
        idx: Tensor,
        attention_mask: Tensor,
        max_new_tokens: int = 100,
        temperature: float = 1.0,
        top_k: int | None = None,
        eot_token: Tensor | None = None,
    ) -> list[Tensor]:
        assert attention_mask.shape == (1, 1, idx.shape[1], idx.shape[1])
        said: list[Tensor] = []
        while len(said) < max_new_tokens:
            logits = self.showo(attention_mask, input_ids=idx).logits[:, -1] / temperature
            if top_k is not None:
                least = torch.topk(logits, top_k)[0][:, [-1]]
                logits[logits < least] = -float("Inf")
            new = torch.multinomial(torch.softmax(logits, dim=-1), num_samples=1)
            said.append(new[0][0])
            idx = torch.cat([idx, new], dim=1)
            wider = torch.nn.functional.pad(attention_mask, (0, 1), value=-1e30)
            last = torch.nn.functional.pad(attention_mask[:, :, -1:], (0, 1))
            attention_mask = torch.cat([wider, last], dim=2)
            if eot_token is not None and bool(new == eot_token):
                break
        return said

    def t2i_generate(
        self,
        input_ids: Tensor,
        uncond_input_ids: Tensor,
        attention_mask: Tensor,
        temperature: float = 1.0,
        timesteps: int = 18,
        guidance_scale: float = 0,
        noise_schedule: Any = None,
        generator: Any = None,
        uni_prompting: Any = None,
        config: Any = None,
        **further: Any,
    ) -> Tensor:
        assert attention_mask.shape[0] == 2 * len(input_ids)
        assert input_ids.shape == uncond_input_ids.shape
        assert (input_ids[:, -17:-1] == _MASKED).all(), "nothing of the picture is known"
        self.seen |= {"times": timesteps, "guidance": guidance_scale, "schedule": noise_schedule}
        self.seen["calls"] = self.seen.get("calls", 0) + 1
        count = int(config.model.showo.num_vq_tokens)
        # One of its steps: chances that hang on the words, draws of all rows, and noise.
        words = input_ids[:, : -count - 2].sum(dim=1, keepdim=True)
        chances = (torch.arange(9000) * words / 9000.0).cos()[:, None].expand(-1, count, -1)
        sampled = (4 * chances).softmax(dim=-1).reshape(-1, 9000)
        ids = torch.multinomial(sampled, 1, generator=generator)[:, 0].view(-1, count)
        noise = torch.zeros(ids.shape).uniform_(0, 1, generator=generator)
        return torch.where(noise < 0.5, 0, ids)


class MAGVITv2(Showo):
    """Codes by the brightness of the sixteen parts of a picture."""

    def eval(self) -> "MAGVITv2":
        return self

    def get_code(self, pixels: Tensor) -> Tensor:
        assert pixels.shape == (1, 3, _SIDE, _SIDE)
        parts = torch.nn.functional.adaptive_avg_pool2d(pixels.mean(dim=1), 4)
        return (parts * 1000).long().reshape(1, _CODES)

    def decode_code(self, codes: Tensor) -> Tensor:
        assert 0 <= int(codes.min()) <= int(codes.max()) < 8192
        return (codes.reshape(1, 1, 4, 4) / 4096.0 - 1.0).expand(1, 3, 4, 4)


def transform(image: Pillow.Image, resolution: int = 256) -> Tensor:
    """Colours x height x width, 0 to 1."""
    sized = np.array(image.resize((resolution, resolution)))
    return torch.from_numpy(sized).permute(2, 0, 1) / 255.0


def mask_for_mmu(sequence: Tensor, eoi_id: int = 128258) -> Tensor:
    """Rows x 1 x tokens x tokens: the picture is seen by all, words by what follows."""
    rows, size = sequence.shape
    seen = torch.ones(rows, 1, size, size).tril()
    ends = torch.where(sequence == eoi_id)[1]
    seen[:, :, :, : ends[0] + 1] = 1  # the first row's, as theirs has it
    return (1.0 - seen) * -1e18


def square(sequence: Tensor, **marks: Any) -> Tensor:
    assert set(marks) == {"eoi_id", "pad_id", "soi_id", "rm_pad_in_image"}
    side = sequence.shape[1]
    return torch.zeros(len(sequence), 1, side, side)


_CONFIG = """
model:
  vq_model: {vq_model_name: "showlab/magvitv2"}
  showo: {llm_model_path: microsoft/phi-1_5, codebook_size: 8192, num_vq_tokens: 16}
dataset: {params: {resolution: 64}, preprocessing: {max_seq_length: 8}}
"""


def make(monkeypatch: pytest.MonkeyPatch, folder: Path, revision: str = "") -> Any:
    """`ShowO`, with a configuration as its authors' are."""
    from medgen.adapters.own.show_o import ShowO

    stand_in(
        monkeypatch,
        "training.prompting_utils",
        UniversalPrompting=UniversalPrompting,
        create_attention_mask_for_mmu=mask_for_mmu,
        create_attention_mask_predict_next=square,
    )
    stand_in(monkeypatch, "training.utils", image_transform=transform)
    schedule: Callable[[str], str] = "{} schedule".format
    stand_in(monkeypatch, "models", Showo=Showo, MAGVITv2=MAGVITv2, get_mask_chedule=schedule)
    tokens = SimpleNamespace(from_pretrained=lambda name, padding_side: Tokens())
    stand_in(monkeypatch, "transformers", AutoTokenizer=tokens)
    file = folder / "showo.yaml"
    file.write_text(_CONFIG)
    return ShowO("showlab/show-o-512x512", revision, config=str(file), device="cpu")
