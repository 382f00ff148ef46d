"""Architectures that vLLM does not serve, and what to do instead.

An architecture is what a model's `config.json` names and vLLM looks up in its registry.
"""

import json
from collections.abc import Mapping
from pathlib import Path

ADVICE: Mapping[str, str] = {
    "LlavaQwen2ForCausalLM": (
        "use the build on Qwen2.5-VL (HuatuoGPT-Vision-7B-Qwen2.5VL), or the -hf conversion"
    ),
    "LlavaMistralForCausalLM": (
        "convert the weights with convert_llava_weights_to_hf.py of transformers, then name the "
        "folder it wrote"
    ),
    "LlavaLlamaForCausalLM": (
        "convert the weights with convert_llava_weights_to_hf.py of transformers, then name the "
        "folder it wrote"
    ),
    "MllamaForConditionalGeneration": "removed from vLLM; choose a newer family",
}


def architectures(model: str) -> tuple[str, ...]:
    """What a folder of weights says it is; nothing of a hub's name."""
    config = Path(model) / "config.json"
    if config.is_file():
        found = json.loads(config.read_text(encoding="utf-8")).get("architectures") or ()
        return tuple(str(name) for name in found)
    return ()


def advice(model: str) -> str:
    """What to do about a model that vLLM does not serve; empty when nothing is known."""
    return "; ".join(ADVICE[name] for name in architectures(model) if name in ADVICE)
