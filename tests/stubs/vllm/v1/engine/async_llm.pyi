import asyncio
from collections.abc import AsyncIterator, Mapping
from typing import Protocol, Self

from vllm.engine.arg_utils import AsyncEngineArgs
from vllm.lora.request import LoRARequest
from vllm.outputs import RequestOutput
from vllm.renderers import BaseRenderer, Prompt
from vllm.sampling_params import SamplingParams
from vllm.usage.usage_lib import UsageContext

class _Context(Protocol):
    def destroy(self, linger: int) -> None: ...

class _Resources(Protocol):
    ctx: _Context

class _Core(Protocol):
    resources: _Resources

class _MultiModal(Protocol):
    media_io_kwargs: Mapping[str, Mapping[str, object]]

class _Model(Protocol):
    generation_config: str
    multimodal_config: _MultiModal | None
    override_generation_config: dict[str, object]

    def try_get_generation_config(self) -> dict[str, object]: ...

class AsyncLLM:
    engine_core: _Core
    errored: bool
    model_config: _Model
    output_handler: asyncio.Task[None] | None
    renderer: BaseRenderer

    @classmethod
    def from_engine_args(cls, arguments: AsyncEngineArgs, usage_context: UsageContext) -> Self: ...
    async def add_lora(self, request: LoRARequest) -> bool: ...
    def generate(
        self,
        prompt: Prompt,
        parameters: SamplingParams,
        request_id: str,
        lora_request: LoRARequest | None = ...,
    ) -> AsyncIterator[RequestOutput]: ...
    def shutdown(self) -> None: ...
