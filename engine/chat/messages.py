"""Chats with a vision-language model: the seam between prompts and whatever serves the model."""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Annotated, Any, Literal, Protocol

from msgspec import Meta

from medgen.engine.data import Image, Usage
from medgen.engine.settings import Settings

if TYPE_CHECKING:
    from PIL.Image import Image as Pixels

# ok: a whole reply. truncated: it ended at the token limit. refused: the model or its filter
# declined. timeout: no whole reply in time. rejected: the model cannot take this request (context
# overflow, unreadable picture), or answers in no agreed form. unreachable: no reply after every
# attempt. unsent: the spending cap does not allow it.
# unforeseen: our own code raised on this request or its reply.
ReplyStatus = Literal[
    "ok", "truncated", "refused", "timeout", "rejected", "unreachable", "unsent", "unforeseen"
]


class Drawing(Protocol):
    """A picture that is drawn only when it is sent, so that a shard of them never lies around."""

    def draw(self) -> Image:
        """The picture; equal drawings give equal bytes.

        Raises:
            ImageError: what it is drawn from is no picture of a sane size.
        """
        ...

    def paint(self) -> "Pixels":
        """Its pixels, for a model in this process: what `draw` packs.

        Raises:
            ImageError: as `draw`.
        """
        ...

    def mark(self) -> str:
        """Told from all other drawings by this, without painting it: 32 hexadecimal digits."""
        ...


@dataclass(frozen=True, slots=True)
class Message:
    """One turn: texts and pictures in the order in which the model sees them."""

    role: Literal["system", "user", "assistant"]
    parts: tuple[str | Image | Drawing, ...]


class Sampling(Settings, frozen=True, kw_only=True):
    """How replies are drawn. The defaults are greedy and favour no token over another.

    A value of null is left to the model: its own `generation_config.json`, in this process as
    under `vllm serve`, and whatever a vendor thinks right behind an API. `top_k` 0 is no limit.
    `logprobs` is the number of alternatives given for every token of the reply, 0 for none.
    """

    max_tokens: Annotated[int, Meta(ge=1)] = 512
    temperature: Annotated[float, Meta(ge=0)] | None = 0.0
    top_p: Annotated[float, Meta(gt=0, le=1)] | None = 1.0
    top_k: Annotated[int, Meta(ge=0)] | None = 0
    min_p: Annotated[float, Meta(ge=0, le=1)] | None = 0.0
    presence_penalty: Annotated[float, Meta(ge=-2, le=2)] | None = 0.0
    frequency_penalty: Annotated[float, Meta(ge=-2, le=2)] | None = 0.0
    repetition_penalty: Annotated[float, Meta(gt=0, le=2)] | None = 1.0
    stop: tuple[Annotated[str, Meta(min_length=1)], ...] = ()  # texts that end a reply
    seed: int = 0
    logprobs: Annotated[int, Meta(ge=0)] = 0

    def values(self) -> dict[str, float]:
        """The values that are not left to the model, by the name that vLLM has for each."""
        given = {name: getattr(self, name) for name in _DRAWN}
        return {name: value for name, value in given.items() if value is not None}

    def unusual(self) -> dict[str, float]:
        """Those of them that are not the default."""
        return {name: value for name, value in self.values().items() if value != _DRAWN[name]}


_DRAWN: dict[str, float] = {
    "temperature": 0.0,
    "top_p": 1.0,
    "top_k": 0,
    "min_p": 0.0,
    "presence_penalty": 0.0,
    "frequency_penalty": 0.0,
    "repetition_penalty": 1.0,
}


@dataclass(frozen=True, slots=True)
class ChatRequest:
    """What is asked of a model once. `schema` (JSON schema) constrains the reply.

    `sample_id` says for whom, for the log; no model sees it.
    """

    messages: tuple[Message, ...]
    sampling: Sampling = field(default_factory=Sampling)
    schema: Mapping[str, Any] | None = None
    sample_id: str = ""


@dataclass(frozen=True, slots=True)
class Token:
    """One token of a reply, with the log-probability (natural) of it and its alternatives."""

    text: str
    alternatives: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class ChatReply:
    """What came back. `text` is what there is of the reply, also when it was truncated.

    `reasoning` holds the thoughts that the server gave apart from the text; it is never an answer.
    """

    status: ReplyStatus = "ok"
    reason: str = ""
    text: str = ""
    usage: Usage = field(default_factory=Usage)
    tokens: tuple[Token, ...] = ()
    reasoning: str = ""


class Chat(Protocol):
    """A served vision-language model. Safe to use from several threads.

    Law: one reply a request, same order, whatever else is asked at the same time.
    """

    def chat(self, chains: Sequence[Sequence[ChatRequest]]) -> list[list[ChatReply]]:
        """Ask all requests: chains side by side, the requests of a chain one after the other.

        So a later request of a chain finds what it shares with an earlier one in the cache.

        Raises:
            AdapterError: the model cannot be used at all.
            EngineDied: the engine in this process is dead.
            SpendingError: the spending cap let nothing through.
        """
        ...

    def passport(self) -> Mapping[str, Any]:
        """What serves: model, revision, library versions, whether weights are random (JSON)."""
        ...


def seed_for(seed: int, *parts: str) -> int:
    """A seed of its own for each sample and purpose, in 0..2^31-1; the same in every run."""
    text = "\x1f".join((str(seed), *parts))
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:4], "big") >> 1
