"""A LoRA adapter on every request: the answers are those of a model with the adapter merged in."""

import json
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from judging.cases import picture
from models.edits import ENGINE, RUN

from medgen.adapters.models.vllm_engine import VLLMChat
from medgen.engine.chat.messages import ChatReply, ChatRequest, Message, Sampling
from medgen.engine.errors import AdapterError, ConfigError
from medgen.engine.plan.identity import Spec

pytestmark = [
    pytest.mark.vllm,
    pytest.mark.slow,
    pytest.mark.timeout(600),
]

RANK, ALPHA = 4, 8
TARGETS = ("q_proj", "v_proj", "o_proj", "down_proj")


@pytest.fixture(scope="module")
def adapter(tiny_vlm: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Seeded matrices for the tiny model's language half, in the layout of peft."""
    import torch
    from safetensors import safe_open
    from safetensors.torch import save_file

    folder = tmp_path_factory.mktemp("lora")
    draw = torch.Generator().manual_seed(7)
    tensors = {}
    with safe_open(str(tiny_vlm / "model.safetensors"), "pt") as weights:
        for name in sorted(weights.keys()):
            stem = name.removesuffix(".weight")
            if "visual" in name or not stem.endswith(TARGETS):
                continue
            rows, columns = weights.get_slice(name).get_shape()
            for half, shape in (("A", (RANK, columns)), ("B", (rows, RANK))):
                matrix = torch.randn(shape, generator=draw) * 0.5
                tensors[f"base_model.model.{stem}.lora_{half}.weight"] = matrix
    assert len(tensors) == 2 * len(TARGETS) * 2, "two layers"
    save_file(tensors, str(folder / "adapter_model.safetensors"))
    config = {
        "peft_type": "LORA",
        "r": RANK,
        "lora_alpha": ALPHA,
        "target_modules": list(TARGETS),
        "bias": "none",
    }
    (folder / "adapter_config.json").write_text(json.dumps(config))
    return folder


@pytest.fixture(scope="module")
def merged(tiny_vlm: Path, adapter: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The tiny model with the adapter added to its weights: W + alpha / rank * B A."""
    from safetensors.torch import load_file, save_file

    folder = tmp_path_factory.mktemp("merged") / "model"
    shutil.copytree(tiny_vlm, folder)
    weights = load_file(str(folder / "model.safetensors"))
    halves = load_file(str(adapter / "adapter_model.safetensors"))
    for name in halves:
        if ".lora_A." in name:
            added = halves[name.replace(".lora_A.", ".lora_B.")] @ halves[name]
            stem = name.removeprefix("base_model.model.").replace(".lora_A.", ".")
            weights[stem] += ALPHA / RANK * added
    save_file(weights, str(folder / "model.safetensors"), {"format": "pt"})
    return folder


@contextmanager
def served(model: Path, **more: Any) -> Iterator[VLLMChat]:
    """A chat made from a spec, as a worker makes it."""
    kwargs = {"model": str(model), "images": 4, "engine": ENGINE, "execution": RUN, **more}
    chat = Spec("vllm", kwargs).build()
    try:
        yield chat
    finally:
        chat.close()


def ask(chat: VLLMChat) -> list[ChatReply]:
    sampling = Sampling(max_tokens=12, logprobs=3)
    asked = [
        ChatRequest((Message("user", (picture((9 * n, 0, 90)), f"Question {n}?")),), sampling)
        for n in range(8)
    ]
    return [reply for chain in chat.chat([[a] for a in asked]) for reply in chain]


def first_odds(reply: ChatReply) -> dict[str, float]:
    return dict(reply.tokens[0].alternatives)


def test_a_lora_adapter_answers_like_the_merged_weights(
    vllm_chat: VLLMChat, tiny_vlm: Path, adapter: Path, merged: Path
) -> None:
    plain = ask(vllm_chat)
    with served(tiny_vlm, lora={"name": "seeded", "path": str(adapter)}) as chat:
        adapted = ask(chat)
        passport = chat.passport()
    with served(merged) as chat:
        known = ask(chat)
    assert [r.text for r in adapted] == [r.text for r in known]
    for one, other in zip(adapted, known, strict=True):
        assert first_odds(one) == pytest.approx(first_odds(other), abs=1e-3)
    assert all(a.text != p.text for a, p in zip(adapted, plain, strict=True))
    assert all(
        first_odds(a) != pytest.approx(first_odds(p), abs=0.1)
        for a, p in zip(adapted, plain, strict=True)
    )
    assert passport["lora"]["name"] == "seeded"
    assert len(passport["lora"]["folder_sha256"]) == 64
    assert passport["engine"]["enable_lora"] is True


def test_an_adapter_that_cannot_be_loaded_ends_the_start(tiny_vlm: Path, tmp_path: Path) -> None:
    lora = {"name": "absent", "path": str(tmp_path / "absent")}
    with pytest.raises(AdapterError, match="absent"), served(tiny_vlm, lora=lora):
        pass


def test_a_misspelt_adapter_is_refused_before_anything_is_loaded(tiny_vlm: Path) -> None:
    lora = {"nmae": "seeded", "path": "x"}
    with pytest.raises(ConfigError, match="lora has no field 'nmae'"), served(tiny_vlm, lora=lora):
        pass
