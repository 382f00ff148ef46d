"""Tiny twins of architectures: a real configuration with a few layers, and random weights.

A twin proves class, arguments and path. It proves nothing of the maker's template or processor
files, nor of real weights; a marker beside it says so, and every passport repeats it.
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from medgen.adapters.provenance import MARKER
from medgen.adapters.tiny.settings import SEED
from medgen.engine.errors import ConfigError

# Architectures that presets name, and a twin was made of: see `tests/models/test_twins.py`.
TWINS = frozenset(
    {
        *("Qwen2VLForConditionalGeneration", "Qwen2_5_VLForConditionalGeneration"),
        *("Qwen3VLForConditionalGeneration", "Qwen3VLMoeForConditionalGeneration"),
        *("Glm4vForConditionalGeneration", "Gemma3ForConditionalGeneration"),
        *("InternVLForConditionalGeneration", "LlavaOnevisionForConditionalGeneration"),
        *("LlavaForConditionalGeneration", "Qwen3_5ForConditionalGeneration"),
        *("LlamaForCausalLM", "MistralForCausalLM"),
        *("MixtralForCausalLM", "Qwen2ForCausalLM", "Qwen3ForCausalLM", "Phi3ForCausalLM"),
        "DeepseekV3ForCausalLM",
    }
)
# What a number becomes, by its name, at any depth of a configuration; only smaller ones.
_SMALL: Mapping[str, int] = {
    "num_hidden_layers": 2, "depth": 2, "num_attention_heads": 4, "num_heads": 4,
    "attention_heads": 4, "num_key_value_heads": 2, "head_dim": 16, "hidden_size": 64,
    "intermediate_size": 128, "out_hidden_size": 64, "embed_dim": 64, "vocab_size": 4096,
    "moe_intermediate_size": 32, "intermediate_size_mlp": 128, "num_experts": 4,
    "num_local_experts": 4, "n_routed_experts": 4, "num_experts_per_tok": 2, "n_group": 2,
    "topk_group": 1, "kv_lora_rank": 16, "q_lora_rank": 16, "qk_rope_head_dim": 8,
    "qk_nope_head_dim": 8, "v_head_dim": 16, "first_k_dense_replace": 1, "sliding_window": 32,
    "linear_num_key_heads": 2, "linear_num_value_heads": 2, "linear_key_head_dim": 16,
    "linear_value_head_dim": 16, "projector_input_dim": 64, "projector_output_dim": 64,
    "vision_output_dim": 64, "num_position_embeddings": 64, "image_size": 56,
}  # fmt: skip
# Positions in three directions, whose widths the class knows and no configuration has to say.
_THREE_WAYS = (
    *("Qwen2VLForConditionalGeneration", "Qwen2_5_VLForConditionalGeneration"),
    "Glm4vForConditionalGeneration",
)
# Lists whose members would point beyond what is left; the class fills them in again.
_DROPPED = ("layer_types", "no_rope_layers", "moe_layers", "mlp_layer_types", "_name_or_path")


def twin_config(architecture: str, config: Mapping[str, Any] | None = None) -> Any:
    """The configuration of a twin.

    Args:
        architecture: a class of transformers, as a `config.json` names it.
        config: of a real model; None takes the class's own defaults.

    Raises:
        ConfigError: transformers has no such class.
    """
    import transformers

    kind = getattr(transformers, architecture, None)
    if kind is None:
        raise ConfigError(f"transformers {transformers.__version__} has no {architecture}")
    whole = dict(config) if config is not None else kind.config_class().to_dict()
    made = kind.config_class.from_dict({**_shrunk(whole), "architectures": [architecture]})
    text = made.get_text_config()
    if "linear_attention" in (getattr(text, "layer_types", None) or ()):
        text.layer_types = ["linear_attention", "full_attention"]  # one of each
    rope = getattr(text, "rope_parameters", None)
    if isinstance(rope, dict) and ("mrope_section" in rope or architecture in _THREE_WAYS):
        text.rope_parameters = {**rope, "mrope_section": [2, 3, 3]}  # halves of a head
    return made


def _shrunk(config: Mapping[str, Any]) -> dict[str, Any]:
    # Labels of a classifier have numbers for names.
    kept = {k: v for k, v in config.items() if isinstance(k, str) and k not in _DROPPED}
    made = {name: _small(name, value) for name, value in kept.items()}
    if "qk_rope_head_dim" in made:
        made["head_dim"] = made["qk_rope_head_dim"]
    if "num_attention_heads" in made and "head_dim" not in made:
        made["hidden_size"] = 16 * made["num_attention_heads"]
    return made


def _small(name: str, value: Any) -> Any:
    if isinstance(value, Mapping):
        return _shrunk(value)
    if name in ("deepstack_visual_indexes", "fullatt_block_indexes"):
        return [0]
    if not isinstance(value, int) or isinstance(value, bool):
        return value
    if name.endswith(("token_id", "token_index")):
        return value % 4000
    return min(value, _SMALL.get(name, value))


def twin_model(architecture: str, config: Mapping[str, Any] | None = None, seed: int = SEED) -> Any:
    """A twin with seeded random weights, on the CPU in float32, ready to be called.

    Raises:
        ConfigError: transformers has no such class.
    """
    import torch
    import transformers

    made = twin_config(architecture, config)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model: Any = getattr(transformers, architecture)._from_config(made)
    return model.eval()


def make_twin(
    directory: Path, architecture: str, config: Mapping[str, Any] | None = None, seed: int = SEED
) -> Path:
    """Write a twin as `from_pretrained` reads it: weights, configuration and the marker.

    It has no tokenizer: those are the maker's, or any that has as many tokens.

    Raises:
        ConfigError: transformers has no such class.
    """
    model = twin_model(architecture, config, seed)
    directory.mkdir(parents=True, exist_ok=True)
    model.save_pretrained(directory)
    said = {"seed": seed, "twin_of": architecture}
    (directory / MARKER).write_text(json.dumps(said) + "\n", encoding="utf-8")
    return directory
