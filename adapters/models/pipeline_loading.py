"""A diffusers pipeline with its replaced parts, quantised parts and LoRA adapters.

No code of a repository is run and no pickle is read: weights are safetensors.
"""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from medgen.adapters.models.settings import PipelineLoad, PipelineLora, PipelinePart
from medgen.adapters.provenance import weights
from medgen.engine.errors import AdapterError, ConfigError

if TYPE_CHECKING:
    import torch
    from diffusers import DiffusionPipeline

_UNLOADABLE = (OSError, ValueError, RuntimeError, KeyError, ImportError, TypeError)


def load_pipeline(name: str, model: str, load: PipelineLoad) -> "DiffusionPipeline":
    """The pipeline on the CPU.

    Args:
        name: its class in diffusers.
        model: a folder, or the name of a repository on the model hub.
        load: what is loaded, and as what.

    Raises:
        ConfigError: diffusers has no such class, or the pipeline no such part.
        AdapterError: diffusers is missing, or something cannot be loaded.
    """
    try:
        import diffusers
        import torch
    except ImportError as err:
        raise AdapterError(f"{err}; install the extra 'images'") from err
    kind: type[DiffusionPipeline] | None = getattr(diffusers, name, None)
    if kind is None:
        raise ConfigError(f"diffusers {diffusers.__version__} has no pipeline {name!r}")
    dtype: torch.dtype = getattr(torch, load.dtype)
    named = {"revision": load.revision, "variant": load.variant}
    options: dict[str, Any] = {k: v for k, v in named.items() if v is not None}
    options |= {part: _part(part, given, dtype) for part, given in load.parts.items()}
    if load.quantization is not None:
        options["quantization_config"] = _quantization(load)
    try:
        pipe = kind.from_pretrained(model, dtype=dtype, use_safetensors=True, **options)
    except _UNLOADABLE as err:
        raise AdapterError(
            f"diffusers could not load {model!r} as {name}: {err}. Are its weights (safetensors; "
            "pickled ones are not read) and revision in the image, and its licence accepted?"
        ) from err
    if unknown := sorted({*load.parts, *_parts_to_quantise(load)} - set(pipe.components)):
        known = ", ".join(pipe.components)
        raise ConfigError(f"{name} has no part {', '.join(unknown)}; it has {known}")
    _adapt(pipe, load)
    return pipe


def loaded_weights(model: str, load: PipelineLoad) -> dict[str, Any]:
    """Where all weights of a loaded pipeline come from, as JSON."""
    found = weights(model, load.revision)
    extra: dict[str, Any] = {
        "lora": [
            {"path": one.path, "weight": one.weight, **weights(one.path, one.revision)}
            for one in load.lora
        ],
        "parts": {
            name: {"path": part.path, **weights(part.path, part.revision)}
            for name, part in load.parts.items()
        },
    }
    return found | {name: value for name, value in extra.items() if value}


def _part(name: str, given: PipelinePart, dtype: "torch.dtype") -> Any:
    import diffusers
    import transformers

    kind = getattr(diffusers, given.kind, None) or getattr(transformers, given.kind, None)
    if kind is None or not hasattr(kind, "from_pretrained"):
        raise ConfigError(f"part {name}: neither diffusers nor transformers has {given.kind!r}")
    named = {"revision": given.revision, "subfolder": given.subfolder}
    options = {key: value for key, value in named.items() if value is not None}
    try:
        return kind.from_pretrained(given.path, dtype=dtype, use_safetensors=True, **options)
    except _UNLOADABLE as err:
        raise AdapterError(f"part {name}: {given.path!r} cannot be loaded: {err}") from err


def _parts_to_quantise(load: PipelineLoad) -> tuple[str, ...]:
    return load.quantization.parts if load.quantization else ()


def _quantization(load: PipelineLoad) -> Any:
    from diffusers import PipelineQuantizationConfig

    wanted = load.quantization
    assert wanted is not None
    try:
        return PipelineQuantizationConfig(
            quant_backend=wanted.backend,
            quant_kwargs=wanted.options,
            components_to_quantize=list(wanted.parts),
        )
    except _UNLOADABLE as err:
        raise ConfigError(f"load.quantization: {err}") from err


def _adapt(pipe: "DiffusionPipeline", load: PipelineLoad) -> None:
    """Load the LoRA adapters now: one that is none would otherwise be the pipeline without it."""
    weighted: dict[str, float] = {}
    for at, lora in enumerate(load.lora):
        weighted[f"lora{at}"] = lora.weight
        _load_lora(pipe, lora, f"lora{at}")
    if weighted:
        pipe.set_adapters(list(weighted), adapter_weights=list(weighted.values()))


def _load_lora(pipe: "DiffusionPipeline", lora: PipelineLora, name: str) -> None:
    if not hasattr(pipe, "load_lora_weights"):
        raise ConfigError(f"{type(pipe).__name__} takes no LoRA adapter")
    named: Mapping[str, str | None] = {"revision": lora.revision, "weight_name": lora.file}
    options = {key: value for key, value in named.items() if value is not None}
    try:
        pipe.load_lora_weights(lora.path, adapter_name=name, use_safetensors=True, **options)
    except _UNLOADABLE as err:
        raise AdapterError(f"the LoRA adapter {lora.path!r} cannot be loaded: {err}") from err
    # Keys of another model are left out without a word, and change nothing.
    taken = {one for names in pipe.get_list_adapters().values() for one in names}
    if name not in taken:
        raise AdapterError(
            f"the LoRA adapter {lora.path!r} has no layer of this {type(pipe).__name__}"
        )
