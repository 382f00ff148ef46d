"""The one reader of chat completions, for words and for words with pictures.

Servers spell the same thing in many ways: how a reply ended, where its words, thoughts and pictures
stand, which model gave it. What is told here holds for every adapter.
"""

import fnmatch
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import msgspec

from medgen.adapters.http.endpoint import Failure, Reply
from medgen.adapters.http.errors import filtered_names
from medgen.engine.beside import read_beside
from medgen.engine.chat.messages import Token
from medgen.engine.chat.quoting import storable
from medgen.engine.errors import AdapterError

Ending = Literal["ok", "truncated", "refused", "failed"]
Draft = tuple[Literal["text", "image"], str]


class _Words(msgspec.Struct, frozen=True):
    """What `replies.yaml` holds."""

    stopped: frozenset[str]
    cut: tuple[str, ...]
    filtered: tuple[str, ...]


_WORDS = read_beside(__package__, "replies.yaml", _Words)
# "stop_sequence_reached", "eos_token_found".
_STOPPED_AT = re.compile(
    r"(?:stop|eos)(?:token|sequence|string|str|word)?(?:found|reached|hit)?s?"
    r"|endof(?:sequence|message|stream|generation|output|answer|response)"
)
# What may follow a model's name without being another model: a date, a version, a stage.
_SUFFIX = re.compile(
    r"([-@:](latest|stable|preview|exp|experimental|free|v?\d{3,8}|v\d+(\.\d+)?"
    r"|\d{4}-\d{2}-\d{2}|\d{2}-\d{2}|\d{2}-\d{4}))+",
    re.ASCII,
)
_TEXT_TYPES = frozenset({"", "text", "outputtext", "inputtext"})
_THOUGHT_TYPES = ("think", "reason", "thought")
_SAID = 300
_CERTAIN = 1e-3  # a log-probability of 0, and what rounding makes of it


@dataclass(frozen=True, slots=True)
class Completion:
    """One chat completion: words and links to pictures in their order, and how it ended.

    `reasoning` is what the server itself set apart from the answer; thoughts inside the words are
    read where answers are.
    """

    parts: tuple[Draft, ...]
    reasoning: str
    ending: Ending
    finish_reason: str  # in the server's own words
    reason: str  # why it is not ok
    tokens: tuple[Token, ...] = ()

    @property
    def text(self) -> str:
        """All words."""
        return "".join(value for kind, value in self.parts if kind == "text")


def check_completion(reply: Reply) -> Failure | None:
    """What is wrong with a reply that should be a chat completion."""
    return None if read_completion(reply) else Failure("malformed", _NO_COMPLETION)


_NO_COMPLETION = "the reply is not a chat completion"


def read_completion(reply: Reply) -> Completion | None:
    """The first choice of a reply; None when it is no chat completion."""
    try:
        body = reply.json()
        choice = body["choices"][0]
        message = choice.get("message")
        if message is None and isinstance(choice.get("text"), str):
            message = {"content": choice["text"]}
        if message is None:  # a stream's last piece that holds all
            message = choice["delta"]
        thoughts: list[str] = []
        parts = tuple(_parts(message, thoughts))
        refusal = _words_of_refusal(message.get("refusal")) or _part_refusal(message.get("content"))
    except (ValueError, KeyError, IndexError, TypeError, AttributeError):
        return None
    apart = [_plain(message.get(key)) for key in ("reasoning_content", "reasoning")]
    thoughts += [t for t in dict.fromkeys(apart) if t]
    ended = next((choice[name] for name in _ENDED if choice.get(name)), "stop")
    ended = ended.get("type", ended) if isinstance(ended, Mapping) else ended
    finish = storable(str(ended))[:_SAID]
    if not parts and (stopped := filtered_names(choice.get("content_filter_results"))):
        refusal = refusal or f"content filter: {', '.join(stopped)}"
    ending, reason = _ending(finish, refusal)
    if ending == "refused" and refusal and not parts:
        parts = (("text", refusal),)
    return Completion(
        parts, storable("\n\n".join(thoughts)), ending, finish, reason, _tokens(choice)
    )


# How servers call the end; vLLM's own `stop_reason`, a token or text, stands behind the first.
_ENDED = (
    *("finish_reason", "finishReason", "stop_reason", "stopReason"),
    *("finish_details", "native_finish_reason"),
)


def ending_of(finish: str) -> Ending:
    """What a finish reason means, in whatever words; one that nobody knows is a failure."""
    word = re.sub(r"[\W_]", "", finish.lower()).removeprefix("finishreason")
    if (word in _WORDS.stopped and (word or not finish.strip())) or _STOPPED_AT.fullmatch(word):
        return "ok"
    if not word.endswith("error") and any(known in word for known in _WORDS.filtered):
        return "refused"
    return (
        "truncated" if word == "limit" or any(known in word for known in _WORDS.cut) else "failed"
    )


def check_model(reply: Reply, asked: str, served_as: Sequence[str]) -> None:
    """See that a reply is of the model that was asked.

    Raises:
        AdapterError: it names another one. Every other reply would be of that model too.
    """
    try:
        body = reply.json()
    except ValueError:
        return
    name = body.get("model") if isinstance(body, Mapping) else None
    if not isinstance(name, str) or not name or is_same_model(name, asked, served_as):
        return
    raise AdapterError(
        f"the reply is of model {name!r:.100}, not of {asked!r}: the endpoint answers with another "
        "model. If it is the same under another name, list that name under `served_as`"
    )


def is_same_model(name: str, asked: str, served_as: Sequence[str] = ()) -> bool:
    """Whether a reply's model is the one that was asked, or one of `served_as` (patterns)."""
    if any(name == known or fnmatch.fnmatchcase(name, known) for known in served_as):
        return True
    one, other = _bare(name), _bare(asked)
    if "/" not in one or "/" not in other:
        one, other = one.rpartition("/")[2], other.rpartition("/")[2]
    short, long = sorted((one, other), key=len)
    rest = long[len(short) :]
    return long.startswith(short) and (not rest or bool(_SUFFIX.fullmatch(rest)))


def _bare(name: str) -> str:
    return name.strip().lower().rstrip("/").removeprefix("models/")


def _ending(finish: str, refusal: str) -> tuple[Ending, str]:
    ending = ending_of(finish)
    if refusal or ending == "refused":
        said = refusal or ("content filter" if finish == "content_filter" else finish)
        return "refused", storable(f"declined: {said}")[:_SAID]
    reasons = {"ok": "", "truncated": "cut at the token limit"}
    return ending, reasons.get(ending, f"ended: {finish}")


def _plain(value: Any) -> str:
    """Words where there are any; what is no text says nothing."""
    return value if isinstance(value, str) else ""


def _words_of_refusal(refusal: Any) -> str:
    """The words of a refusal, in whatever they are wrapped; empty without one."""
    if not refusal:
        return ""
    said = refusal.get("message") if isinstance(refusal, Mapping) else None
    return _words(said or refusal) or "it gives no reason"


def _part_refusal(content: Any) -> str:
    """What a part of the content declines with; empty without one."""
    for part in content if isinstance(content, list) else ():
        if isinstance(part, Mapping) and part.get("type") == "refusal":
            return _words_of_refusal(part.get("refusal") or part.get("text") or True)
        if isinstance(part, Mapping) and isinstance(part.get("refusal"), str):
            return _plain(part["refusal"])
    return ""


def _parts(message: Mapping[str, Any], thoughts: list[str]) -> Iterator[Draft]:
    """Words and links in the order of a message.

    Raises:
        TypeError: the content is of no known shape.
    """
    content = message.get("content")
    if isinstance(content, Mapping) and isinstance(content.get("parts"), list):
        content = content["parts"]
    if isinstance(content, str):
        if content:
            yield "text", storable(content)
    elif content is not None:
        for part in content if isinstance(content, list) else [content]:
            yield from _part(part, thoughts)
    images = message.get("images") or ()
    for part in images if isinstance(images, list) else [images]:
        link = link_in(part)
        if link:
            yield "image", link


def _part(part: Any, thoughts: list[str]) -> Iterator[Draft]:
    if isinstance(part, str):
        yield "text", storable(part)
        return
    if part is None:
        return
    if not isinstance(part, Mapping):
        raise TypeError("a part of the content is neither text nor an object")
    kind = re.sub(r"[\W_]", "", _plain(part.get("type")).lower())
    if part.get("thought") is True or any(known in kind for known in _THOUGHT_TYPES):
        thoughts.append(_words(next((part[k] for k in _THOUGHTS if part.get(k)), "")))
    elif kind in _TEXT_TYPES and part.get("text") is not None:
        yield "text", storable(_words(part["text"]))
    elif link := link_in(part):
        yield "image", link


_THOUGHTS = ("thinking", "text", "reasoning", "content", "summary")


def _words(value: Any, depth: int = 0) -> str:
    """Words in text, in parts, or in an object around them."""
    if isinstance(value, str):
        return value
    if isinstance(value, list) and depth < 4:
        return "".join(_words(v, depth + 1) for v in value)
    if isinstance(value, Mapping) and depth < 4:
        return _words(value.get("value", value.get("text", "")), depth + 1)
    return ""


def link_in(part: Any) -> str:
    """A link or base64 in a part, whatever it is wrapped in; empty when there is none."""
    for _ in range(4):
        if isinstance(part, str):
            return part
        if not isinstance(part, Mapping):
            return ""
        part = next((part[k] for k in _LINKS if part.get(k)), None)
    return ""


_LINKS = (
    # What the reply holds itself before what would have to be fetched.
    *("b64_json", "image_url", "url", "inline_data", "inlineData", "image_base64", "source"),
    *("image", "data", "result", "base64", "bytesBase64Encoded"),
)


def _tokens(choice: Mapping[str, Any]) -> tuple[Token, ...]:
    """Tokens with what else was probable; none of them when one cannot be read."""
    listed = choice.get("logprobs")
    listed = listed.get("content") if isinstance(listed, Mapping) else None
    try:
        return tuple(_token(t) for t in listed or ())
    except (KeyError, TypeError, ValueError, AttributeError, OverflowError):
        return ()


def _token(told: Mapping[str, Any]) -> Token:
    near = [told, *(told.get("top_logprobs") or ())]
    odds = {str(a["token"]): float(a["logprob"]) for a in near if a.get("logprob") is not None}
    # No probability is above 1; what says so says nothing.
    return Token(str(told["token"]), {text: p for text, p in odds.items() if p <= _CERTAIN})
