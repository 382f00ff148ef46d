"""Open vision-language models: the architecture that each preset relies on, and dead ends.

Architectures are what a model's `config.json` names and vLLM 0.29 looks up in its registry.
"""

import json
from collections.abc import Mapping
from pathlib import Path

# Model of a preset -> architecture.
ARCHITECTURES: Mapping[str, str] = {
    "Qwen/Qwen3-VL-8B-Instruct": "Qwen3VLForConditionalGeneration",
    "Qwen/Qwen3-VL-30B-A3B-Instruct": "Qwen3VLMoeForConditionalGeneration",
    "Qwen/Qwen2.5-VL-7B-Instruct": "Qwen2_5_VLForConditionalGeneration",
    "Qwen/Qwen2.5-VL-72B-Instruct": "Qwen2_5_VLForConditionalGeneration",
    "google/medgemma-4b-it": "Gemma3ForConditionalGeneration",
    "google/medgemma-27b-it": "Gemma3ForConditionalGeneration",
    "OpenGVLab/InternVL3-8B-hf": "InternVLForConditionalGeneration",
    "lingshu-medical-mllm/Lingshu-7B": "Qwen2_5_VLForConditionalGeneration",
    "lingshu-medical-mllm/Lingshu-32B": "Qwen2_5_VLForConditionalGeneration",
    "FreedomIntelligence/HuatuoGPT-Vision-7B-Qwen2.5VL": "Qwen2_5_VLForConditionalGeneration",
    "./models/llava-med-v1.5-mistral-7b-hf": "LlavaForConditionalGeneration",
    "llava-hf/llava-onevision-qwen2-7b-ov-hf": "LlavaOnevisionForConditionalGeneration",
    "zai-org/GLM-4.1V-9B-Thinking": "Glm4vForConditionalGeneration",
}

# Architectures that vLLM does not serve, and what to do instead.
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
    """What a folder of weights says it is; else what a preset's model is known to be."""
    config = Path(model) / "config.json"
    if config.is_file():
        found = json.loads(config.read_text(encoding="utf-8")).get("architectures") or ()
        return tuple(str(name) for name in found)
    known = ARCHITECTURES.get(model)
    return (known,) if known else ()


def advice(model: str) -> str:
    """What to do about a model that vLLM does not serve; empty when nothing is known."""
    return "; ".join(ADVICE[name] for name in architectures(model) if name in ADVICE)
