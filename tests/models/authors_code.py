"""Stand-ins of authors' code: what our classes import of it, with the signatures that were read.

A name that the authors' function does not take is a TypeError here as it is there.
"""

import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest
import torch
from PIL import Image as Pillow


def stand_in(monkeypatch: pytest.MonkeyPatch, name: str, **content: Any) -> None:
    """A module of that name for the length of a test, with packages above it."""
    for depth in range(1, name.count(".") + 1):
        parent = ".".join(name.split(".")[:depth])
        if parent not in sys.modules:
            monkeypatch.setitem(sys.modules, parent, ModuleType(parent))
    module = ModuleType(name)
    module.__dict__.update(content)
    monkeypatch.setitem(sys.modules, name, module)


class MingUniVisionInfer:
    """Draws when it is told to, and in the second round of an edit."""

    def __init__(self, model_name_or_path: str, dtype: str = "bf16") -> None:
        self.loaded = (model_name_or_path, dtype)
        self.said: list[str] = []
        self.rounds: list[str] = []
        self.mute = False

    def generate(
        self,
        messages: Sequence[Mapping[str, Any]],
        max_new_tokens: int = 512,
        output_image_prefix: str = "output",
        for_edit: bool = False,
    ) -> str:
        (turn,) = messages
        assert turn["role"] == "HUMAN"
        shown = [part["image"] for part in turn["content"] if part["type"] == "image"]
        assert all(Path(path).is_file() for path in shown)
        words = turn["content"][-1]["text"]
        self.rounds.append(words)
        self.said.append(f"{len(shown)}{'e' if for_edit else ''}: {words}")
        drawn = words.startswith("Please generate") or (for_edit and len(self.rounds) == 2)
        if drawn and not self.mute:
            Pillow.new("RGB", (8, 8), (max_new_tokens % 255,) * 3).save(
                f"{output_image_prefix}.png"
            )
        return f"answer to {words}"

    def reset_inner_state(self) -> None:
        self.rounds = []


class Tokens:
    """Words as numbers by their length."""

    def __len__(self) -> int:
        return 100

    def __call__(self, text: str | list[str]) -> dict[str, Any]:
        if isinstance(text, list):
            return {"input_ids": [self(one)["input_ids"] for one in text]}
        return {"input_ids": [len(word) for word in text.split()]}

    def batch_decode(self, rows: torch.Tensor, skip_special_tokens: bool = False) -> list[str]:
        assert skip_special_tokens
        return [f" said {row.tolist()} " for row in rows]


class UniversalPrompting:
    def __init__(self, text_tokenizer: Tokens, max_text_len: int = 8000) -> None:
        self.text_tokenizer, self.max_text_len = text_tokenizer, max_text_len + 1
        names = ("pad", "soi", "eoi", "sot", "eot", "mmu", "t2i")
        self.sptids_dict = {f"<|{name}|>": torch.tensor([90 + i]) for i, name in enumerate(names)}
        self.drawn: list[str] = []

    def __call__(self, given: tuple[list[str], torch.Tensor], task: str) -> tuple[Any, Any]:
        assert task == "t2i_gen"
        words, pictures = given
        self.drawn += words
        rows = []
        for ids, codes in zip(self.text_tokenizer(words)["input_ids"], pictures, strict=True):
            text = [90] * (self.max_text_len - len(ids)) + ids[: self.max_text_len]
            rows.append(torch.tensor([*text, 91, *codes.tolist(), 92]))
        return torch.stack(rows), None


class Showo:
    config = SimpleNamespace(mask_token_id=8291)

    def __init__(self) -> None:
        self.seen: dict[str, Any] = {}

    @classmethod
    def from_pretrained(cls, name: str, revision: str | None = None) -> "Showo":
        made = cls()
        made.seen = {"name": name, "revision": revision}
        return made

    def to(self, device: str) -> "Showo":
        return self

    def eval(self) -> "Showo":
        return self

    def mmu_generate(
        self,
        idx: torch.Tensor | None = None,
        input_embeddings: torch.Tensor | None = None,
        attention_mask: torch.Tensor | None = None,
        max_new_tokens: int = 100,
        temperature: float = 1.0,
        top_k: int | None = None,
        eot_token: torch.Tensor | None = None,
    ) -> list[torch.Tensor]:
        assert idx is not None
        assert attention_mask is not None
        assert attention_mask.shape == (1, 1, idx.shape[1], idx.shape[1])
        self.seen |= {"idx": idx, "top_k": top_k, "heat": temperature, "most": max_new_tokens}
        return [torch.tensor(7), torch.tensor(8)]

    def t2i_generate(
        self,
        input_ids: torch.Tensor,
        uncond_input_ids: torch.Tensor,
        attention_mask: torch.Tensor,
        temperature: float = 1.0,
        timesteps: int = 18,
        guidance_scale: float = 0,
        noise_schedule: Any = None,
        generator: Any = None,
        uni_prompting: Any = None,
        config: Any = None,
        **further: Any,
    ) -> torch.Tensor:
        assert attention_mask.shape[0] == 2 * len(input_ids)
        assert input_ids.shape == uncond_input_ids.shape
        assert (input_ids[:, -17:-1] == 8291).all(), "nothing of the picture is known"
        self.seen |= {"steps": timesteps, "guidance": guidance_scale, "schedule": noise_schedule}
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
    def get_code(self, pixels: torch.Tensor) -> torch.Tensor:
        assert pixels.shape == (1, 3, 64, 64)
        return torch.arange(16)[None]

    def decode_code(self, codes: torch.Tensor) -> torch.Tensor:
        assert 0 <= int(codes.min()) <= int(codes.max()) < 8192
        return (codes.reshape(1, 1, 4, 4) / 4096.0 - 1.0).expand(1, 3, 4, 4)


_SHOW_O = """
model:
  vq_model: {vq_model_name: "showlab/magvitv2"}
  showo: {llm_model_path: microsoft/phi-1_5, codebook_size: 8192, num_vq_tokens: 16}
dataset: {params: {resolution: 64}, preprocessing: {max_seq_length: 8}}
"""


def show_o(monkeypatch: pytest.MonkeyPatch, folder: Path) -> str:
    """What `show_o.py` imports; the path of a configuration as its authors' are."""

    def square(sequence: torch.Tensor, **marks: Any) -> torch.Tensor:
        assert set(marks) <= {"eoi_id", "pad_id", "soi_id", "rm_pad_in_image"}
        side = sequence.shape[1]
        return torch.zeros(len(sequence), 1, side, side)

    def image_transform(image: Pillow.Image, resolution: int = 256) -> torch.Tensor:
        return torch.zeros(3, resolution, resolution)

    stand_in(
        monkeypatch,
        "training.prompting_utils",
        UniversalPrompting=UniversalPrompting,
        create_attention_mask_for_mmu=square,
        create_attention_mask_predict_next=square,
    )
    stand_in(monkeypatch, "training.utils", image_transform=image_transform)
    schedule = {"get_mask_chedule": lambda method: f"{method} schedule"}
    stand_in(monkeypatch, "models", Showo=Showo, MAGVITv2=MAGVITv2, **schedule)
    tokens = SimpleNamespace(from_pretrained=lambda name, padding_side: Tokens())
    stand_in(monkeypatch, "transformers", AutoTokenizer=tokens)
    file = folder / "showo.yaml"
    file.write_text(_SHOW_O)
    return str(file)


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
