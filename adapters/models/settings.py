"""Settings of every model that a recipe can name. Imports no library of theirs.

Each type holds exactly its constructor's arguments. What is marked by `How` enters no key.
"""

import difflib
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

from msgspec import Meta, field

from medgen.adapters.http.endpoint import Endpoint
from medgen.adapters.http.limits import Prices
from medgen.adapters.http.served import served_entry
from medgen.adapters.images.firewall import FirewallPolicy
from medgen.adapters.models.body import Fields
from medgen.adapters.models.interleaved import UnifiedStyle
from medgen.engine.batching import Batch
from medgen.engine.beside import read_beside
from medgen.engine.chat.answering import AnswerStyle
from medgen.engine.codec import plain
from medgen.engine.settings import How, Nested, Settings, Unusable

PipelineMode = Literal["text_to_image", "image_to_image", "edit"]
ImageMode = Literal["generate", "edit", "edit_inline"]
ImageFormat = Literal["b64_json", "url"]
Structured = Literal["json_schema", "json_object", "none"]

_Count = Annotated[int, Meta(ge=1)]
_Seconds = Annotated[float, Meta(gt=0)]


class AnswersSettings(Settings, frozen=True, kw_only=True):
    """Arguments of `medgen.adapters.models.answering.Answers`."""

    chat: Nested
    style: AnswerStyle = AnswerStyle()


_HUB_NAME = re.compile(r"[\w-][\w.-]*/[\w.-]+", re.ASCII)  # owner/name


def need_revision(model: str, revision: str | None, where: str) -> None:
    """See that a model of the hub has its revision; a folder needs none.

    Raises:
        Unusable: it has none, so what would be loaded changes when its repository moves.
    """
    if not revision and _HUB_NAME.fullmatch(model) and not Path(model).is_dir():
        raise Unusable(
            f"{model!r} is no folder here, and a hub model needs `{where}` (a commit); "
            "write ./ before a folder that only the workers have"
        )


# vLLM's arguments that change no answer.
HARMLESS = frozenset(read_beside(__package__, "settings.yaml", list[str]))


class VLLMExecution(Settings, frozen=True, kw_only=True):
    """How the engine is run; nothing that changes what it says.

    `engine` holds vLLM's own arguments of that kind: `tensor_parallel_size`, `max_num_seqs`,
    `gpu_memory_utilization` and so on. One that can change answers is refused: it would win over
    the model's own and stand in no key.
    """

    timeout_s: _Seconds = 600.0  # for one request, once it has been handed to the engine
    concurrency: _Count = 256  # requests handed to the engine at once
    give_up_after: _Count = 32  # time-outs in a row without one reply: the engine hangs
    cpu_kv_cache_gib: _Count | None = None  # for vLLM's CPU build
    engine: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for name in sorted(self.engine.keys() - HARMLESS):
            meant = difflib.get_close_matches(name, HARMLESS, n=1, cutoff=0.85)
            hint = f" Did you mean {meant[0]!r}?" if meant else ""
            raise Unusable(
                f"execution.engine.{name} is none of the arguments that change no answer; write "
                f"it under `engine` beside `execution`, which is part of the key.{hint}"
            )


class Lora(Settings, frozen=True, kw_only=True):
    """A LoRA adapter that every request uses. `path` is a folder."""

    name: str
    path: str


class Template(Settings, frozen=True, kw_only=True):
    """A chat template in place of the model's own: its text, which a recipe reads from a file."""

    chat_template: str | None = None
    chat_template_kwargs: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        # A path that nobody read would be the whole prompt, without a picture.
        if self.chat_template is not None and "{" not in self.chat_template:
            raise Unusable(
                f"chat_template: {self.chat_template[:100]!r} is neither a template nor a file here"
            )


class VLLMSettings(Settings, frozen=True, kw_only=True):
    """Arguments of `medgen.adapters.models.vllm_engine.VLLMChat`."""

    model: str
    revision: str | None = None
    images: _Count = 8
    engine: dict[str, Any] = field(default_factory=dict)
    lora: Lora | None = None
    template: Template = Template()
    execution: How[VLLMExecution] = VLLMExecution()

    def __post_init__(self) -> None:
        need_revision(self.model, self.revision, "revision")


class TransformersExecution(Settings, frozen=True, kw_only=True):
    """Where and in which portions a model of transformers runs; larger batches round otherwise."""

    batch_size: _Count = 8
    device: str = "auto"


class TransformersSettings(Settings, frozen=True, kw_only=True):
    """Arguments of `medgen.adapters.models.transformers_chat.TransformersChat`."""

    model: str
    revision: str | None = None
    images: _Count = 1
    dtype: Literal["float32", "float16", "bfloat16"] = "bfloat16"
    execution: How[TransformersExecution] = TransformersExecution()

    def __post_init__(self) -> None:
        need_revision(self.model, self.revision, "revision")


class ChatExecution(Settings, frozen=True, kw_only=True):
    """How a hosted model is asked; `batch` hands requests over as files, for less money."""

    batch: Batch | None = None


class OpenAISettings(Settings, frozen=True, kw_only=True):
    """Arguments of `medgen.adapters.models.openai_chat.OpenAIChat`."""

    model: str
    endpoint: How[Endpoint]
    prices: How[Prices] = Prices()
    structured: Structured = "json_schema"
    body: dict[str, Any] = field(default_factory=dict)
    served_as: tuple[str, ...] = ()
    fields: Fields = "openai"
    image_tokens: How[Annotated[int, Meta(ge=0)]] = 1200
    execution: How[ChatExecution] = ChatExecution()

    def seen(self, patient: bool) -> dict[str, str]:
        """What the endpoint says it serves; see `medgen.engine.plan.effective.Looks`."""
        return served_entry(self.endpoint, self.model, patient)


class OpenAIImagesSettings(Settings, frozen=True, kw_only=True):
    """Arguments of `medgen.adapters.models.openai_images.OpenAIImages`."""

    model: str
    mode: ImageMode
    endpoint: How[Endpoint]
    size: str | None = None
    extra: dict[str, Any] = field(default_factory=dict)
    seed: int | None = 0
    response_format: ImageFormat | None = None
    image_field: str = "image"
    images: _Count = 1
    firewall: FirewallPolicy = FirewallPolicy()
    prices: How[Prices] = Prices()
    served_as: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        need_negative_prompt(self.extra, "extra")

    def seen(self, patient: bool) -> dict[str, str]:
        """What the endpoint says it serves; see `medgen.engine.plan.effective.Looks`."""
        return served_entry(self.endpoint, self.model, patient)


class UnifiedChatSettings(Settings, frozen=True, kw_only=True):
    """Arguments of `medgen.adapters.models.unified.UnifiedChat`."""

    model: str
    endpoint: How[Endpoint]
    style: UnifiedStyle = UnifiedStyle()
    body: dict[str, Any] = field(default_factory=dict)
    prices: How[Prices] = Prices()
    firewall: FirewallPolicy = FirewallPolicy()
    served_as: tuple[str, ...] = ()

    def seen(self, patient: bool) -> dict[str, str]:
        """What the endpoint says it serves; see `medgen.engine.plan.effective.Looks`."""
        return served_entry(self.endpoint, self.model, patient)


class UnifiedInProcessSettings(Settings, frozen=True, kw_only=True):
    """Arguments of `medgen.adapters.models.unified.UnifiedInProcess`."""

    target: str
    model: str
    load: dict[str, Any] = field(default_factory=dict)
    style: UnifiedStyle = UnifiedStyle()
    firewall: FirewallPolicy = FirewallPolicy()


class ServerExecution(Settings, frozen=True, kw_only=True):
    """How the server is run; what the environment holds is in the passport."""

    python: str = ""  # interpreter of the environment; empty for the engine's own
    env: dict[str, str] = field(default_factory=dict)  # added to what is passed on
    pass_env: tuple[str, ...] = ()  # names of variables to pass on beside the usual ones
    health: str = "/health"
    start_timeout_s: _Seconds = 900.0
    grace_s: Annotated[float, Meta(ge=0)] = 10.0
    cwd: str | None = None
    batch_size: _Count = 8  # requests at a time, `{batch_size}` of a command


class Speaker(Nested, frozen=True, kw_only=True):
    """The recipe of an adapter that is told the URL of a server once that has started."""

    def arguments(self) -> dict[str, Any]:
        """With a URL in the place of the one that is not known yet."""
        return _with_a_url(self.kwargs)


def _with_a_url(kwargs: dict[str, Any]) -> dict[str, Any]:
    chat, endpoint = kwargs.get("chat"), kwargs.get("endpoint", {})
    if isinstance(chat, dict):  # the endpoint is that of the chat model inside
        return kwargs | {"chat": chat | {"kwargs": _with_a_url(chat.get("kwargs") or {})}}
    if not isinstance(endpoint, dict):
        return kwargs
    return kwargs | {"endpoint": {"base_url": "http://127.0.0.1", **endpoint}}


class ManagedServerSettings(Settings, frozen=True, kw_only=True):
    """Arguments of `medgen.adapters.models.managed_server.ManagedServer`."""

    command: tuple[str, ...]
    inner: Speaker
    model: str = ""
    revision: str = ""
    path: str = "/v1"
    execution: How[ServerExecution] = ServerExecution()

    def __post_init__(self) -> None:
        if "{port}" not in " ".join(self.command):
            raise Unusable("a managed server's command must hold {port}")


class PipelineLora(Settings, frozen=True, kw_only=True):
    """A LoRA adapter over a pipeline, at a weight. A hub name needs its `revision`."""

    path: str
    revision: str | None = None
    file: str | None = None  # of the folder or repository; needed where it holds several
    weight: float = 1.0

    def __post_init__(self) -> None:
        need_revision(self.path, self.revision, "revision")


class PipelinePart(Settings, frozen=True, kw_only=True):
    """A part in place of the pipeline's own: a class of diffusers or transformers, its weights."""

    kind: str  # the class, `QwenImageTransformer2DModel` say
    path: str
    revision: str | None = None
    subfolder: str | None = None

    def __post_init__(self) -> None:
        need_revision(self.path, self.revision, "revision")


class PipelineQuantization(Settings, frozen=True, kw_only=True):
    """Parts that are quantised while they are loaded, by a backend of diffusers.

    `backend` is its name there (`bitsandbytes_4bit`, `torchao`, `quanto` …), `options` its own.
    """

    backend: str
    parts: Annotated[tuple[str, ...], Meta(min_length=1)]
    options: dict[str, Any] = field(default_factory=dict)


class PipelineLoad(Settings, frozen=True, kw_only=True):
    """Which weights are loaded, and as what. A hub name needs its `revision`.

    `parts` replaces parts of the pipeline by their names there (`transformer`, `vae` …).
    """

    dtype: Literal["float64", "float32", "float16", "bfloat16"] = "float32"
    revision: str | None = None
    variant: str | None = None
    lora: tuple[PipelineLora, ...] = ()
    parts: dict[str, PipelinePart] = field(default_factory=dict)
    quantization: PipelineQuantization | None = None


def need_negative_prompt(call: Mapping[str, Any], where: str) -> None:
    """See that true guidance has what it needs: without a negative prompt it is silently off.

    Raises:
        Unusable: `true_cfg_scale` is above 1, and there is no `negative_prompt`.
    """
    scale = call.get("true_cfg_scale")
    guided = isinstance(scale, int | float) and scale > 1
    if guided and call.get("negative_prompt") is None and "negative_prompt_embeds" not in call:
        raise Unusable(
            f"{where}.true_cfg_scale {scale:g} does nothing without a negative_prompt: "
            'guidance is then left out. Give `negative_prompt: " "`'
        )


class PipelineSampling(Settings, frozen=True, kw_only=True):
    """How a picture is drawn. Everything here can change pixels, so it is part of the key.

    `call` goes to the pipeline as it is (`strength`, `image_guidance_scale`, `true_cfg_scale`,
    `negative_prompt`, `height`, `width` …). Of several pictures, `inputs` gives the pipeline one
    contact sheet, the first, or all as a list. `max_side` shrinks input pictures (in pixels, aspect
    kept); their sides are then cut to a multiple of `multiple_of`.
    """

    steps: _Count | None = None  # None: the pipeline's own default
    guidance: float | None = None
    seed: int = 0
    inputs: Literal["sheet", "first", "all"] = "sheet"
    max_side: _Count | None = None
    multiple_of: _Count = 8
    call: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        need_negative_prompt(self.call, "call")


class PipelineExecution(Settings, frozen=True, kw_only=True):
    """Where and in which portions a pipeline runs.

    With a batch of 1 a picture depends on nothing but its sample. Larger batches are summed in
    another order, which can turn the last bit of a float32 picture; in float64 the differences
    are too small to reach the 8 bits of a PNG.
    """

    batch_size: _Count = 1
    device: str = "auto"
    offload: Literal["none", "model", "sequential"] = "none"
    attention_slicing: bool = False


class DiffusersSettings(Settings, frozen=True, kw_only=True):
    """Arguments of `medgen.adapters.models.diffusers_pipeline.DiffusersPipeline`."""

    model: str
    mode: PipelineMode
    pipeline: str = "DiffusionPipeline"
    load: PipelineLoad = PipelineLoad()
    sampling: PipelineSampling = PipelineSampling()
    firewall: FirewallPolicy = FirewallPolicy()
    execution: How[PipelineExecution] = PipelineExecution()

    def __post_init__(self) -> None:
        need_revision(self.model, self.load.revision, "load.revision")


def present_fields(settings: Settings) -> dict[str, Any]:
    """The fields that say something, for libraries whose own defaults hold for the others."""
    return {name: value for name, value in plain(settings).items() if value not in (None, {}, [])}
