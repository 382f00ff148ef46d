"""What a model's `config.json` says that arithmetic needs: layers, heads, numbers, weights.

Files leave out what is their class's default, so transformers is asked first, where it knows the
`model_type`; no code of a repository is ever run. What it does not know is read as it stands.
"""

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from medgen.conf.arithmetic import GIB, SizeConf
from medgen.engine.beside import read_beside
from medgen.engine.errors import ConfigError

_LONGEST = 4_000_000  # characters of a file
_MOST_LAYERS, _MOST_EXPERTS = 2_000, 4_096  # beyond these a file is no model's
_NAMES = read_beside(__package__, "config_json.yaml", dict[str, tuple[str, ...]])
_TEXT_PARTS = (
    *("text_config", "llm_config", "language_config", "thinker_config", "talker_config"),
    *("lm_config", "text_model_config", "decoder", "language_model", "llm", "decoder_config"),
)
_VISION_PARTS = ("vision_config", "visual", "vit_config", "vision_tower_config", "vision_encoder")
_LISTS, _PATTERN = ("layer_types", "layers_block_type", "block_types"), "hybrid_override_pattern"
_FULL = frozenset({"full_attention", "attention", "global", "hybrid", "full", "*", "global_attn"})
_WINDOWS = frozenset({"sliding_attention", "chunked_attention", "local", "sliding", "local_attn"})
_BARE = re.compile(r"linear|mamba|recurrent|conv|moe|mlp|ffn|rwkv|ssm|delta")
# Of these layers only every so-manieth has experts.
_MIXED_EVERY = ("expert_layer_period", "decoder_sparse_step", "interleave_moe_layer_step")
_INTEGERS = re.compile(r"int_?([2348])(?!\d)")
_BITS = {"fp8": 8, "fbgemm_fp8": 8, "finegrained_fp8": 8, "mxfp4": 4, "nvfp4": 4, "eetq": 8}


@dataclass(frozen=True, slots=True)
class Reading:
    """What was found. Numbers that no one wrote down are None in `size`."""

    architecture: str
    model_type: str
    size: SizeConf
    parameters: int | None  # numbers that the model holds
    bits: float  # of a quantised number; 16 when none is
    counted: str  # how the numbers were counted
    notes: list[str] = field(default_factory=list)


def read_config(path: Path) -> Reading:
    """Read a `config.json`, or the folder that holds one.

    Raises:
        ConfigError: there is no such file, or it describes no model.
    """
    file = path / "config.json" if path.is_dir() else path
    body = _body(file)
    if "_class_name" in body:
        raise ConfigError(f"{file}: part of a diffusers pipeline; ask for a preset of it")
    given = _normal(body)
    text = _text_part(given)
    if not _has_layers(text) and (base := body.get("base_model_name_or_path")):
        raise ConfigError(f"{file}: an adapter; ask for the config.json of its base model {base}")
    if not _has_layers(text):
        raise ConfigError(f"{file}: no model: nothing in it says how many layers there are")
    names = body.get("architectures") or text.get("architectures") or []
    named = names[0] if isinstance(names, list) and names else names
    architecture = named if isinstance(named, str) else ""
    notes: list[str] = []
    bits = _bits(body, text, notes)
    parameters, counted = _count(body, given, text, architecture)
    size = _attention(text, notes)
    size.architecture = architecture
    size.source = str(file)
    size.weights_gib = _weights(file, parameters, bits, notes)
    if parameters and size.weights_gib and (share := _active_share(text, parameters)) < 1:
        size.active_gib = size.weights_gib * share
    kind = str(body.get("model_type") or "")
    return Reading(architecture, kind, size, parameters, bits, counted, notes)


def _body(file: Path) -> dict[str, Any]:
    try:
        with file.open(encoding="utf-8-sig") as source:
            text = source.read(_LONGEST)
        body = json.loads(text)
    except OSError as err:
        raise ConfigError(f"{file}: {err}") from err
    except UnicodeDecodeError as err:
        raise ConfigError(f"{file}: no text in UTF-8 ({err})") from err
    except RecursionError as err:
        raise ConfigError(f"{file}: nested deeper than any model's") from err
    except ValueError as err:
        raise ConfigError(f"{file}: {_not_json(text)} ({err})") from err
    if not isinstance(body, dict):
        raise ConfigError(f"{file}: an object is expected at the top, not {type(body).__name__}")
    return body


def _not_json(text: str) -> str:
    """What a file is that should have been JSON."""
    start = text.lstrip()[:40]
    if start.startswith("version https://git-lfs"):
        return "a pointer of Git LFS and not the file; `hf download` or `git lfs pull` fetches it"
    if start.startswith("<"):
        return "a page and not the file; `hf download` fetches it"
    if len(text) == _LONGEST:
        return f"longer than {_LONGEST:,} characters, which no config.json is"
    return "no JSON, or a part of it" if start else "it is empty"


def _normal(body: Mapping[str, Any]) -> dict[str, Any]:
    """The same with what transformers knows of the class; as it is where that knows nothing."""
    with suppress(Exception):  # a file may hold anything, and its class may refuse it in any way
        _refuse_giants(body)
        from transformers import CONFIG_MAPPING

        known = {k: v for k, v in body.items() if k not in ("auto_map", "quantization_config")}
        made = CONFIG_MAPPING[str(body["model_type"])].from_dict(known)
        return {**body, **_plain(made)}
    return dict(body)


def _refuse_giants(value: object, name: str = "") -> None:
    """No class is made of numbers that no model has: it would count to them.

    Raises:
        ValueError: there is one.
    """
    if isinstance(value, Mapping):
        for key, inner in value.items():
            _refuse_giants(inner, str(key))
    elif isinstance(value, list):
        for inner in value:
            _refuse_giants(inner, name)
    elif isinstance(value, int):
        many = name in _NAMES["layers"] or "expert" in name or name.endswith(("layers", "depth"))
        if many and value < 0:
            raise ValueError(name)
        if value > (max(_MOST_LAYERS, _MOST_EXPERTS) if many else 10**8):
            raise ValueError(name)


def _plain(config: Any) -> dict[str, Any]:
    found: dict[str, Any] = config.to_dict()
    for name in (*_TEXT_PARTS, *_VISION_PARTS):
        inner = getattr(config, name, None)
        if hasattr(inner, "to_dict"):
            found[name] = _plain(inner)
    # Names that a class has under another one, and lists that it fills in.
    for names in _NAMES.values():
        if not any(name in found for name in names):
            value = getattr(config, names[0], None)
            if value is not None:
                found[names[0]] = value
    return found


def _text_part(config: Mapping[str, Any]) -> dict[str, Any]:
    """The language model inside, at any depth; the whole where there is none."""
    for name in _TEXT_PARTS:
        inner = config.get(name)
        if isinstance(inner, Mapping):
            found = _text_part(inner)
            if _has_layers(found):
                return {**{k: v for k, v in config.items() if k == "architectures"}, **found}
    return dict(config)


def _has_layers(config: Mapping[str, Any]) -> bool:
    return any(name in config for name in (*_NAMES["layers"], *_LISTS, _PATTERN))


def _layers(text: Mapping[str, Any]) -> int | None:
    """How many layers there are; of some models each is listed instead."""
    if found := _number(text, "layers"):
        return found
    listed = next((v for name in _LISTS if isinstance(v := text.get(name), list)), None)
    pattern = text.get(_PATTERN)
    return len(listed or (pattern if isinstance(pattern, str) else "")) or None


def _number(config: Mapping[str, Any], what: str) -> int | None:
    for name in _NAMES[what]:
        value = config.get(name)
        if isinstance(value, int) and not isinstance(value, bool) and 0 < value < 10**8:
            return value
    return None


def _attention(text: Mapping[str, Any], notes: list[str]) -> SizeConf:
    """Heads, and the layers that keep keys and values."""
    layers, heads, hidden = _layers(text), _number(text, "heads"), _number(text, "hidden")
    head = _number(text, "head_size") or (hidden // heads if hidden and heads else None)
    positions = _number(text, "positions")
    size = SizeConf(heads=heads, kv_heads=_kv_heads(text, heads), head_size=head)
    if heads and size.kv_heads and size.kv_heads > heads:
        notes.append(f"{size.kv_heads} heads of keys and {heads} of queries: no model's numbers")
        size.kv_heads = None
    size.positions = positions
    if layers is None or layers > _MOST_LAYERS:
        notes.append("how many layers there are is not said, or is no model's number")
        return size
    full, window = _kinds(text, layers, notes)
    size.layers, size.window_layers = full, window
    size.window = _window(text) if window else 0
    if window and not size.window:
        size.layers, size.window_layers = full + window, 0
    rank, rope = text.get("kv_lora_rank"), text.get("qk_rope_head_dim")
    if isinstance(rank, int) and isinstance(rope, int):
        size.kv_kib = full * (rank + rope) * 2 / 1024
        size.kv_heads = 1  # every card of a model keeps it whole
        notes.append("keys and values are kept as one latent vector a layer (MLA)")
    if plain := layers - full - window:
        notes.append(f"{plain} of {layers} layers keep no keys and values (state or none)")
        size.state_mib = _state_mib(text, plain)
    if full == window == 0:
        size.kv_kib, size.kv_heads = 0.0, None
    return size


def _kv_heads(text: Mapping[str, Any], heads: int | None) -> int | None:
    if text.get("multi_query") is True and not text.get("new_decoder_architecture"):
        return 1
    inside = text.get("attn_config")
    if isinstance(inside, Mapping) and isinstance(inside.get("kv_n_heads"), int):
        return int(inside["kv_n_heads"])
    if text.get("multi_query_attention") is False:
        return heads
    return _number(text, "kv_heads") or heads


def _kinds(text: Mapping[str, Any], layers: int, notes: list[str]) -> tuple[int, int]:
    """How many layers keep every token, and how many a window; the others keep nothing."""
    for name in _LISTS:
        kinds = text.get(name)
        if isinstance(kinds, list) and kinds:
            return _kinds_of_list((kinds * (layers // len(kinds) + 1))[:layers], notes)
    pattern = text.get(_PATTERN)
    if isinstance(pattern, str):
        return pattern.count("*"), 0
    indices = text.get("attn_layer_indices")
    if isinstance(indices, list):
        return len(indices), 0
    for name in ("full_attention_interval", "attn_layer_period"):
        every = text.get(name)
        if isinstance(every, int) and every > 0:
            return layers // every, 0
    kind = str(text.get("model_type") or "")
    if "mamba" in kind or "rwkv" in kind:
        return 0, 0
    return _windows(text, layers)


def _kinds_of_list(kinds: Sequence[object], notes: list[str]) -> tuple[int, int]:
    """The same of a list with the kind of every layer; what nobody knows keeps every token."""
    names = [str(kind)[:40] for kind in kinds]
    known = [name for name in names if name in _FULL | _WINDOWS or _BARE.search(name)]
    if strange := sorted({*names} - {*known}):
        notes.append(f"layers read as ones that keep every token: {', '.join(strange)}")
    full = sum(name in _FULL for name in known) + len(names) - len(known)
    return full, sum(name in _WINDOWS for name in known)


def _windows(text: Mapping[str, Any], layers: int) -> tuple[int, int]:
    if not _window(text) or text.get("use_sliding_window") is False:
        return layers, 0
    every = text.get("sliding_window_pattern") or text.get("global_attn_every_n_layers")
    if isinstance(every, int) and every > 1:
        return layers // every, layers - layers // every
    if text.get("model_type") == "gemma2":
        return layers - layers // 2, layers // 2
    return 0, layers


def _window(text: Mapping[str, Any]) -> int:
    for name in ("sliding_window", "attention_chunk_size", "sliding_window_size"):
        value = text.get(name)
        if isinstance(value, int) and not isinstance(value, bool) and value > 0:
            return value
    return 0


def _state_mib(text: Mapping[str, Any], layers: int) -> float:
    """State of the layers without keys and values, as far as a file says how large it is."""
    keys, values = text.get("linear_key_head_dim"), text.get("linear_value_head_dim")
    heads = text.get("linear_num_value_heads")
    if isinstance(keys, int) and isinstance(values, int) and isinstance(heads, int):
        return layers * keys * values * heads * 4 / 2**20
    state = text.get("ssm_state_size") or text.get("mamba_d_state") or text.get("state_size")
    hidden = _number(text, "hidden")
    if isinstance(state, int) and hidden:
        return layers * state * 2 * hidden * 4 / 2**20
    return 0.0


def _bits(body: Mapping[str, Any], text: Mapping[str, Any], notes: list[str]) -> float:
    """Bits of a quantised number; 16 when weights are as they are."""
    said = body.get("quantization_config") or text.get("quantization_config")
    said = said or body.get("compression_config")
    if not isinstance(said, Mapping):
        return 16.0
    inner = said.get("quantization")  # of ModelOpt
    said = {**inner, **said} if isinstance(inner, Mapping) else said
    method = str(said.get("quant_method") or said.get("quant_algo") or "").lower()
    found = next(_widths(said), None) or _BITS.get(method)
    if not found and (algo := str(said.get("quant_algo") or said.get("quant_type") or "")):
        width = _INTEGERS.search(algo.lower())
        found = int(width[1]) if width else 4 if "4" in algo else 8
    if not found and method == "bitsandbytes":
        found = 4 if said.get("load_in_4bit") else 8
    if not found:
        notes.append(f"quantised by {method or 'something'}, which says no width: read as 16 bits")
        return 16.0
    notes.append(f"quantised by {method or 'its own method'} to {found} bits")
    return float(found)


def _widths(said: Mapping[str, Any]) -> Iterator[int]:
    for name in ("bits", "num_bits", "w_bit", "weight_bits", "nbits"):
        if isinstance(value := said.get(name), int) and 0 < value <= 16:
            yield value
    for name in ("quant_config", "weight_quant_params"):  # of HQQ
        if isinstance(inner := said.get(name), Mapping):
            yield from _widths(inner)
    groups = said.get("config_groups")
    for group in groups.values() if isinstance(groups, Mapping) else ():
        weights = group.get("weights") if isinstance(group, Mapping) else None
        if isinstance(weights, Mapping) and isinstance(value := weights.get("num_bits"), int):
            yield value


def _weights(file: Path, parameters: int | None, bits: float, notes: list[str]) -> float | None:
    """GiB of weights: those of the files beside it, else by the count."""
    index = file.parent / "model.safetensors.index.json"
    with suppress(OSError, ValueError, TypeError, KeyError):
        total = json.loads(index.read_text(encoding="utf-8"))["metadata"]["total_size"]
        notes.append(f"weights as {index.name} says")
        return float(total) / GIB
    if parameters is None:
        return None
    # Of a quantised model some tenth stays as it was: embeddings, heads, norms, eyes, scales.
    width = 16.0 if bits >= 16 else 0.92 * bits + 0.08 * 16
    return parameters * width / 8 / GIB


def _active_share(text: Mapping[str, Any], parameters: int) -> float:
    """The share of a mixture's numbers that one token goes through."""
    experts, chosen = _number(text, "experts"), _number(text, "chosen")
    inner = _number(text, "expert_inner") or _number(text, "inner")
    hidden, layers = _number(text, "hidden"), _layers(text)
    if not (experts and chosen and inner and hidden and layers) or experts <= chosen:
        return 1.0
    dense = text.get("first_k_dense_replace")
    mixed = layers - (dense if isinstance(dense, int) and 0 < dense < layers else 0)
    steps = (text.get(name) for name in _MIXED_EVERY)
    mixed //= next((step for step in steps if isinstance(step, int) and step > 1), 1)
    idle = mixed * (experts - chosen) * 3 * hidden * inner
    return max(0.02, 1 - idle / parameters)


def _count(
    body: Mapping[str, Any], given: Mapping[str, Any], text: Mapping[str, Any], architecture: str
) -> tuple[int | None, str]:
    """How many numbers the model holds, and how that is known."""
    layers, experts = _layers(text) or 0, _number(text, "experts") or 0
    if layers <= _MOST_LAYERS and experts <= _MOST_EXPERTS:
        if architecture and (found := _built(body, architecture)):
            return found, "counted on the class of transformers, without weights"
        inner = {k: v for k, v in text.items() if k != "architectures"}
        if text.get("model_type") != body.get("model_type") and (found := _built(inner)):
            counted = "language model counted on its class, the rest by formula"
            return found + _vision(given), counted
    return _by_formula(given, text), "by formula"


def _built(config: Mapping[str, Any], architecture: str = "") -> int | None:
    """The numbers of a class that is made without memory; None where that cannot be done.

    Without an `architecture` it is the language model that transformers has for the type.
    """
    with suppress(Exception):  # as for `_normal`
        _refuse_giants(config)
        import torch
        import transformers
        from transformers.models.auto.modeling_auto import MODEL_FOR_CAUSAL_LM_MAPPING_NAMES

        model_type = str(config["model_type"])
        known = {k: v for k, v in config.items() if k not in ("auto_map", "quantization_config")}
        made = transformers.CONFIG_MAPPING[model_type].from_dict(known)
        named = architecture or MODEL_FOR_CAUSAL_LM_MAPPING_NAMES[model_type]
        kind = getattr(transformers, named)
        with torch.device("meta"):
            model = kind._from_config(made)
        return int(sum(p.numel() for p in model.parameters()))
    return None


def _vision(config: Mapping[str, Any]) -> int:
    for name in _VISION_PARTS:
        part = config.get(name)
        if isinstance(part, Mapping):
            layers, hidden = _number(part, "layers") or part.get("depth"), _number(part, "hidden")
            if isinstance(layers, int) and hidden and layers <= _MOST_LAYERS:
                inner = _number(part, "inner") or 4 * hidden
                return layers * (4 * hidden * hidden + 2 * hidden * inner)
    return 0


def _by_formula(config: Mapping[str, Any], text: Mapping[str, Any]) -> int | None:
    """Embeddings, attention and the layers behind it, as most decoders have them."""
    layers, hidden, vocabulary = _layers(text), _number(text, "hidden"), _number(text, "vocabulary")
    heads = _number(text, "heads")
    if not (layers and hidden and vocabulary) or layers > _MOST_LAYERS:
        return None
    head = _number(text, "head_size") or (hidden // heads if heads else hidden)
    kv = (_kv_heads(text, heads) or 1) if heads else 1
    attention = hidden * head * 2 * ((heads or 1) + kv)
    inner, experts = _number(text, "inner") or 4 * hidden, _number(text, "experts")
    behind = 3 * hidden * inner
    if experts:
        each = _number(text, "expert_inner") or inner
        behind = min(experts, _MOST_EXPERTS) * 3 * hidden * each
    tied = 1 if text.get("tie_word_embeddings") or config.get("tie_word_embeddings") else 2
    return layers * (attention + behind) + tied * hidden * vocabulary + _vision(config)
