"""Tiny twins of architectures: a real configuration with a few layers, and random weights.

A twin proves class, arguments and path. It proves nothing of the maker's template or processor
files, nor of real weights; a marker beside it says so, and every passport repeats it.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from medgen.adapters.provenance import MARKER
from medgen.adapters.tiny.settings import SEED
from medgen.engine.beside import read_beside
from medgen.engine.errors import ConfigError


@dataclass(frozen=True, slots=True)
class _Shrinking:
    """The table of `twins.yaml`, which says what its fields mean."""

    twins: frozenset[str]
    three_ways: frozenset[str]
    dropped: frozenset[str]
    small: dict[str, int]


_TABLE = read_beside(__package__, "twins.yaml", _Shrinking)
TWINS = _TABLE.twins


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
    if isinstance(rope, dict) and ("mrope_section" in rope or architecture in _TABLE.three_ways):
        text.rope_parameters = {**rope, "mrope_section": [2, 3, 3]}  # halves of a head
    return made


def _shrunk(config: Mapping[str, Any]) -> dict[str, Any]:
    # Labels of a classifier have numbers for names.
    kept = {k: v for k, v in config.items() if isinstance(k, str) and k not in _TABLE.dropped}
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
    return min(value, _TABLE.small.get(name, value))


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
