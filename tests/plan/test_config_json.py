"""`medgen doctor --config`: what a model's config.json says, whoever wrote it."""

import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from hypothesis import given, settings
from hypothesis import strategies as st

from medgen.engine.errors import ConfigError
from medgen.launch.commands.machine import doctor_command
from medgen.launch.setup.config_json import Reading, read_config

QWEN2 = {
    "model_type": "qwen2", "hidden_size": 3584, "num_hidden_layers": 28, "num_attention_heads": 28,
    "num_key_value_heads": 4, "intermediate_size": 18944, "vocab_size": 152064,
    "sliding_window": 131072, "use_sliding_window": False,
}  # fmt: skip
LLAMA = {
    "architectures": ["LlamaForCausalLM"], "model_type": "llama", "hidden_size": 8192,
    "num_hidden_layers": 80, "num_attention_heads": 64, "num_key_value_heads": 8,
    "intermediate_size": 28672, "vocab_size": 128256,
}  # fmt: skip


def read(tmp_path: Path, body: Any) -> Reading:
    file = tmp_path / "config.json"
    file.write_text(json.dumps(body))
    return read_config(file)


# (config, billions of numbers as published, GiB as vLLM loads them, layers, windowed, KiB a token)
KNOWN: dict[str, tuple[dict[str, Any], float, float, int, int, float]] = {
    "qwen2-7b": ({**QWEN2, "architectures": ["Qwen2ForCausalLM"]}, 7.616, 14.2, 28, 0, 56),
    "qwen2.5-vl-7b": (
        {
            **QWEN2, "architectures": ["Qwen2_5_VLForConditionalGeneration"],
            "model_type": "qwen2_5_vl",
            "vision_config": {"depth": 32, "hidden_size": 1280, "intermediate_size": 3420,
                              "num_heads": 16, "out_hidden_size": 3584},
        },
        8.292, 15.4, 28, 0, 56,
    ),
    "internvl by its own code": (
        {
            "architectures": ["InternVLChatModel"], "model_type": "internvl_chat",
            "llm_config": {**QWEN2, "vocab_size": 151674},
            "vision_config": {"hidden_size": 1024, "num_hidden_layers": 24,
                              "intermediate_size": 4096, "num_attention_heads": 16},
        },
        7.94, 14.8, 28, 0, 56,
    ),
    "gemma 3 4b, which leaves its defaults out": (
        {
            "architectures": ["Gemma3ForConditionalGeneration"], "model_type": "gemma3",
            "text_config": {"hidden_size": 2560, "intermediate_size": 10240,
                            "model_type": "gemma3_text", "num_hidden_layers": 34,
                            "sliding_window": 1024},
            "vision_config": {"hidden_size": 1152, "image_size": 896, "intermediate_size": 4304,
                              "model_type": "siglip_vision_model", "num_attention_heads": 16,
                              "num_hidden_layers": 27, "patch_size": 14},
        },
        4.3, 8.0, 5, 29, 136,
    ),
    "glm 4.1v": (
        {"architectures": ["Glm4vForConditionalGeneration"], "model_type": "glm4v"},
        10.29, 19.2, 40, 0, 40,
    ),
    "llama 70b": (LLAMA, 70.55, 131.4, 80, 0, 320),
    "a mixture that nobody knows": (
        {"architectures": ["NewForCausalLM"], "model_type": "new", "hidden_size": 4096,
         "num_hidden_layers": 32, "num_attention_heads": 32, "num_key_value_heads": 8,
         "intermediate_size": 14336, "vocab_size": 32000, "num_local_experts": 8},
        46.7, 87.0, 32, 0, 128,
    ),
    "the params.json of pixtral": (
        {"dim": 5120, "n_layers": 40, "head_dim": 128, "hidden_dim": 14336, "n_heads": 32,
         "n_kv_heads": 8, "vocab_size": 131072},
        12.25, 22.8, 40, 0, 160,
    ),
    "falcon with one head of keys": (
        {"architectures": ["FalconForCausalLM"], "model_type": "falcon", "multi_query": True,
         "n_head": 71, "hidden_size": 4544, "n_layer": 32, "vocab_size": 65024},
        6.92, 12.9, 32, 0, 8,
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", KNOWN)
def test_a_config_gives_the_published_size(tmp_path: Path, name: str) -> None:
    from medgen.conf.arithmetic import kv_bytes

    body, billions, gib, layers, windowed, kib = KNOWN[name]
    found = read(tmp_path, body)
    assert found.parameters == pytest.approx(billions * 1e9, rel=0.01)
    assert found.size.weights_gib == pytest.approx(gib, rel=0.01)
    assert (found.size.layers, found.size.window_layers) == (layers, windowed)
    assert kv_bytes(found.size, 1) == kib * 1024


@pytest.mark.parametrize(
    ("said", "gib"),
    [
        ({"quant_method": "awq", "bits": 4}, 40.7),
        ({"quant_method": "gptq", "bits": 8}, 71.0),
        ({"quant_method": "fp8"}, 71.0),
        ({"quant_method": "bitsandbytes", "load_in_4bit": True}, 40.7),
        (
            {
                "quant_method": "compressed-tensors",
                "config_groups": {"group_0": {"weights": {"num_bits": 4}}},
            },
            40.7,
        ),
        ({"quant_algo": "NVFP4"}, 40.7),
        ({"quant_method": "modelopt", "quantization": {"quant_algo": "FP8"}}, 71.0),
        ({"quant_method": "torchao", "quant_type": "int4wo"}, 40.7),
        ({"quant_method": "modelopt", "quant_algo": "NVFP4"}, 40.7),
        (
            {"quant_method": "hqq", "quant_config": {"weight_quant_params": {"nbits": 4}}},
            40.7,
        ),
        ({"quant_method": "new"}, 131.4),
    ],
)
def test_quantised_weights_are_smaller(tmp_path: Path, said: dict[str, Any], gib: float) -> None:
    found = read(tmp_path, {**LLAMA, "quantization_config": said})
    assert found.size.weights_gib == pytest.approx(gib, rel=0.02)
    assert any("quantised" in note for note in found.notes)


def test_the_index_beside_it_is_believed(tmp_path: Path) -> None:
    index = {"metadata": {"total_size": 3 * 2**30}}
    (tmp_path / "model.safetensors.index.json").write_text(json.dumps(index))
    assert read(tmp_path, LLAMA).size.weights_gib == 3.0


def test_latent_keys_and_layers_without_any(tmp_path: Path) -> None:
    deepseek = {
        "architectures": ["DeepseekV3ForCausalLM"], "model_type": "deepseek_v3",
        "quantization_config": {"quant_method": "fp8"},
    }  # fmt: skip
    found = read(tmp_path, deepseek)
    assert found.size.kv_kib == pytest.approx(68.6, abs=0.1)
    assert found.parameters == pytest.approx(671e9, rel=0.01)
    assert found.size.active_gib == pytest.approx(37.8, rel=0.03)
    found = read(tmp_path, {"architectures": ["Qwen3NextForCausalLM"], "model_type": "qwen3_next"})
    # Of 36 layers: 32 heads, each of 128 keys by 128 values, in four bytes.
    assert (found.size.layers, found.size.state_mib) == (12, 72.0)
    found = read(tmp_path, {"model_type": "mamba2", "num_hidden_layers": 64, "hidden_size": 4096})
    assert found.size.kv_kib == 0


def test_layers_of_a_kind_that_nobody_knows_keep_everything(tmp_path: Path) -> None:
    kinds = ["new_attention", "linear_attention", "sliding_attention", "full_attention"]
    found = read(tmp_path, LLAMA | {"layer_types": kinds, "sliding_window": 64})
    assert (found.size.layers, found.size.window_layers) == (40, 20)
    assert "layers read as ones that keep every token: new_attention" in found.notes


def test_every_card_keeps_latent_keys_whole(tmp_path: Path) -> None:
    from medgen.conf.arithmetic import Cards, fit

    size = read(tmp_path, {"model_type": "deepseek_v3"}).size
    one, eight = (fit(size, Cards(139.8, count), 32_768).request for count in (1, 8))
    assert one is not None
    assert eight == pytest.approx(8 * one)


def test_numbers_that_no_model_has_are_told_of_and_not_counted_with(tmp_path: Path) -> None:
    found = read(tmp_path, LLAMA | {"num_key_value_heads": 128})
    assert "128 heads of keys and 64 of queries: no model's numbers" in found.notes
    assert found.size.kv_heads is None
    assert read(tmp_path, LLAMA | {"num_hidden_layers": -3}).parameters is None
    few = read(tmp_path, LLAMA | {"num_attention_heads": 0}).parameters
    assert few is not None
    assert few < 80e9


@pytest.mark.parametrize("names", [None, [], [7], {"a": 1}])
def test_a_file_without_a_class_says_so(tmp_path: Path, names: Any) -> None:
    (tmp_path / "config.json").write_text(json.dumps(LLAMA | {"architectures": names}))
    told = CliRunner().invoke(
        doctor_command, ["--config", str(tmp_path / "config.json")], standalone_mode=False
    )
    assert "served  not known: the file names no class" in told.output
    assert read(tmp_path, LLAMA | {"architectures": "Own"}).architecture == "Own"


def test_state_of_a_request_is_told_apart_from_what_a_token_takes(tmp_path: Path) -> None:
    from medgen.launch.setup.preset_table import config_words

    body = {"model_type": "mamba2", "num_hidden_layers": 64, "hidden_size": 4096}
    told = list(config_words(read(tmp_path, body), ()))
    assert "cache   0.0 KiB a token over 0 layers, and 256.0 MiB of state a request" in told


def test_a_mark_of_byte_order_is_no_trouble_and_other_encodings_are_named(tmp_path: Path) -> None:
    file = tmp_path / "config.json"
    file.write_text(json.dumps(LLAMA), encoding="utf-8-sig")
    assert read_config(file).architecture == "LlamaForCausalLM"
    file.write_text(json.dumps(LLAMA), encoding="utf-16")
    with pytest.raises(ConfigError, match="no text in UTF-8"):
        read_config(file)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("[1]", "an object is expected"),
        ("{", r"no JSON, or a part of it \(Expecting"),
        ("", "it is empty"),
        ("version https://git-lfs.github.com/spec/v1\noid sha256:a\n", "a pointer of Git LFS"),
        ("<html></html>", "a page and not the file"),
        ("[" * 100_000, "nested deeper"),
        (" " * 5_000_000 + "{}", "longer than 4,000,000"),
        ("{}", "no model"),
        ('{"peft_type": "LORA", "base_model_name_or_path": "a/b"}', "its base model a/b"),
        ('{"_class_name": "UNet2DConditionModel"}', "diffusers"),
        ('{"model_type": "clip"}', None),
    ],
)
def test_a_file_that_is_no_model_s_is_refused(tmp_path: Path, text: str, words: str | None) -> None:
    (tmp_path / "config.json").write_text(text)
    if words is None:
        read_config(tmp_path)
        return
    with pytest.raises(ConfigError, match=words):
        read_config(tmp_path)
    with pytest.raises(ConfigError, match="No such file"):
        read_config(tmp_path / "nothing")


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner),
    max_leaves=6,
)
FIELDS = [
    *("num_hidden_layers", "n_layer", "num_attention_heads", "hidden_size", "vocab_size"),
    *("num_key_value_heads", "head_dim", "layer_types", "sliding_window", "text_config"),
    *("quantization_config", "architectures", "num_local_experts", "kv_lora_rank", "model_type"),
    *("hybrid_override_pattern", "vision_config", "intermediate_size", "qk_rope_head_dim"),
]


@settings(max_examples=150, deadline=None)
@given(st.dictionaries(st.sampled_from(FIELDS), VALUES))
def test_no_file_breaks_the_reader(tmp_path_factory: pytest.TempPathFactory, body: Any) -> None:
    from medgen.launch.setup.preset_check import ways
    from medgen.launch.setup.preset_table import config_words

    try:
        found = read(tmp_path_factory.mktemp("c"), body)
    except ConfigError:
        return
    assert list(config_words(found, list(ways(found.size, None))))


def test_the_command_says_what_holds_it(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text(json.dumps(KNOWN["llama 70b"][0]))
    told = CliRunner().invoke(doctor_command, ["--config", str(tmp_path)], standalone_mode=False)
    assert told.return_value == 0, told.output
    assert "70.55 billion numbers" in told.output
    assert "2 x 80 GB" in told.output
    assert "320.0 KiB a token" in told.output
    words = ["--config", str(tmp_path), "--json", "--context", "8192"]
    told = CliRunner().invoke(doctor_command, words, standalone_mode=False)
    assert json.loads(told.output)["fits"]["2 x 80 GB"]["request"] == pytest.approx(2.5)


# (config, share of its numbers that one token goes through, as published)
MIXTURES: dict[str, tuple[dict[str, Any], float]] = {
    "mixtral 8x7b": (
        {"architectures": ["MixtralForCausalLM"], "model_type": "mixtral", "hidden_size": 4096,
         "num_hidden_layers": 32, "num_attention_heads": 32, "num_key_value_heads": 8,
         "intermediate_size": 14336, "vocab_size": 32000, "num_local_experts": 8,
         "num_experts_per_tok": 2},
        12.9 / 46.7,
    ),
    "qwen3 30b a3b": (
        {"architectures": ["Qwen3MoeForCausalLM"], "model_type": "qwen3_moe", "hidden_size": 2048,
         "num_hidden_layers": 48, "num_attention_heads": 32, "num_key_value_heads": 4,
         "head_dim": 128, "intermediate_size": 6144, "moe_intermediate_size": 768,
         "vocab_size": 151936, "num_experts": 128, "num_experts_per_tok": 8,
         "decoder_sparse_step": 1},
        3.3 / 30.5,
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", MIXTURES)
def test_of_a_mixture_a_token_goes_through_the_published_share(tmp_path: Path, name: str) -> None:
    body, share = MIXTURES[name]
    size = read(tmp_path, body).size
    assert size.active_gib == pytest.approx(share * size.weights_gib, rel=0.03)


def test_a_mixture_in_every_second_layer_leaves_half_of_it_idle(tmp_path: Path) -> None:
    body, share = MIXTURES["mixtral 8x7b"]
    size = read(tmp_path, body | {"decoder_sparse_step": 2}).size
    idle = (1 - share) / 2
    assert size.active_gib == pytest.approx((1 - idle) * size.weights_gib, rel=0.03)
