"""Settings of the tiny models. Imports no library of theirs."""

from typing import Annotated, Any

from msgspec import Meta, field

from medgen.adapters.images.firewall import FirewallPolicy
from medgen.adapters.models.settings import (
    PipelineExecution,
    PipelineLoad,
    PipelineMode,
    PipelineSampling,
    VLLMExecution,
)
from medgen.engine.settings import How, Settings

SEED = 20251122  # of the weights


class TinyVLMSettings(Settings, frozen=True, kw_only=True):
    """Arguments of `medgen.adapters.tiny.served.TinyVLMChat`."""

    seed: int = SEED
    images: Annotated[int, Meta(ge=1)] = 8
    engine: dict[str, Any] = field(default_factory=dict)
    execution: How[VLLMExecution] = VLLMExecution()


class TinyPipelineSettings(Settings, frozen=True, kw_only=True):
    """Arguments of `medgen.adapters.tiny.diffusers.TinyPipeline`."""

    mode: PipelineMode
    seed: int = SEED
    load: PipelineLoad = PipelineLoad()
    sampling: PipelineSampling = PipelineSampling()
    firewall: FirewallPolicy = FirewallPolicy()
    execution: How[PipelineExecution] = PipelineExecution()
