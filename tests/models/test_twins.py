"""Tiny twins of the architectures that presets name: class, registry and a first step."""

import json
from pathlib import Path

import pytest
import torch

from medgen.adapters.provenance import weights
from medgen.adapters.tiny.twins import TWINS, make_twin, twin_config, twin_model
from medgen.conf.loading import facts_of, group_names
from medgen.engine.errors import ConfigError
from medgen.launch.setup import libraries
from medgen.launch.setup.config_json import read_config

# Named by presets, and without a twin: own code, a layout of its maker's, or a class that cannot
# be called with words alone.
WITHOUT = {
    "InternVLChatModel",
    "PixtralForConditionalGeneration",
    "Llama4ForConditionalGeneration",
    "InternLM2ForCausalLM",
}


@pytest.mark.parametrize("architecture", sorted(TWINS))
def test_a_twin_takes_a_step_and_vllm_serves_its_class(architecture: str) -> None:
    model = twin_model(architecture)
    assert sum(p.numel() for p in model.parameters()) < 2_000_000
    with torch.inference_mode():
        logits = model(input_ids=torch.tensor([[5, 6, 7, 8, 9]])).logits
    assert logits.shape[:2] == (1, 5)
    assert torch.isfinite(logits).all()
    assert architecture in libraries.vllm_architectures()


def test_every_architecture_of_a_preset_has_a_twin_or_is_named() -> None:
    named = set()
    for name in group_names("system"):
        found = facts_of("system", name)
        if found and "vllm" in found[1].requires and found[0].size:
            named.add(found[1].sizes[found[0].size].architecture)
    assert named == TWINS | WITHOUT, named ^ (TWINS | WITHOUT)


def test_a_twin_is_made_of_a_real_configuration_and_marked(tmp_path: Path) -> None:
    real = {
        "architectures": ["Qwen2ForCausalLM"], "model_type": "qwen2", "hidden_size": 3584,
        "num_hidden_layers": 28, "num_attention_heads": 28, "num_key_value_heads": 4,
        "intermediate_size": 18944, "vocab_size": 152064, "rms_norm_eps": 1e-06,
    }  # fmt: skip
    place = make_twin(tmp_path / "twin", "Qwen2ForCausalLM", real)
    made = json.loads((place / "config.json").read_text())
    assert (made["num_hidden_layers"], made["rms_norm_eps"]) == (2, 1e-06)
    assert weights(str(place))["random_weights"] is True
    assert read_config(place).size.layers == 2
    again = make_twin(tmp_path / "again", "Qwen2ForCausalLM", real)
    files = [p / "model.safetensors" for p in (place, again)]
    assert files[0].read_bytes() == files[1].read_bytes(), "the same seed, the same weights"


def test_a_class_that_transformers_has_not_is_refused() -> None:
    with pytest.raises(ConfigError, match="has no LlavaMistralForCausalLM"):
        twin_config("LlavaMistralForCausalLM")
