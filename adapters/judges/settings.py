"""Settings of the judges."""

from typing import Annotated, Any, Literal

from msgspec import Meta

from medgen.engine.chat.messages import Sampling
from medgen.engine.errors import ConfigError
from medgen.engine.judging.prompts import Bounds, Texts
from medgen.engine.judging.protocols import protocol_of
from medgen.engine.settings import How, Nested, Settings, Unusable

_Count = Annotated[int, Meta(ge=1)]
_Share = Annotated[float, Meta(ge=0, le=1)]


class JudgeSampling(Sampling, frozen=True, kw_only=True):
    """How verdicts are drawn: they are longer than answers."""

    max_tokens: _Count = 2048


class ChatJudgeSettings(Settings, frozen=True, kw_only=True):
    """Arguments of `medgen.adapters.judges.chat_judge.ChatJudge`."""

    chat: Nested
    name: How[str]  # stands in every verdict, and the plan knows it
    protocol: str | dict[str, Any]
    prompt: str = "judge/1"
    captions: Literal["literal", "shared"] = "literal"
    texts: Texts = "given"
    bounds: Bounds = Bounds()
    sampling: JudgeSampling = JudgeSampling()
    repeats: _Count = 1
    retries: Annotated[int, Meta(ge=0)] = 0
    expected: bool = False
    constrained: bool = True
    images: _Count = 10

    def __post_init__(self) -> None:
        _check_protocol(self.protocol, self.captions)


class Faults(Settings, frozen=True, kw_only=True):
    """Rubbish instead of replies, for tests of what becomes of it: which share, drawn how."""

    rubbish: _Share = 0.0
    seed: int = 0


class RuleJudgeSettings(Settings, frozen=True, kw_only=True):
    """Arguments of `medgen.adapters.judges.rule_judge.RuleJudge`."""

    name: How[str]
    protocol: str | dict[str, Any]
    repeats: _Count = 1
    execution: How[Faults] = Faults()

    def __post_init__(self) -> None:
        _check_protocol(self.protocol)


def _check_protocol(given: str | dict[str, Any], captions: str = "literal") -> None:
    try:
        protocol_of(given, captions)
    except ConfigError as err:
        raise Unusable(f"protocol: {err}") from err
