from collections.abc import Mapping, Sequence
from typing import Protocol

from vllm.renderers.params import ChatParams

Prompt = Mapping[str, object]

class _Tokenizer(Protocol):
    def decode(self, ids: object) -> str: ...

class BaseRenderer:
    tokenizer: object

    def get_tokenizer(self) -> _Tokenizer: ...
    def render_messages(
        self, messages: Sequence[Mapping[str, object]], parameters: ChatParams
    ) -> tuple[object, Mapping[str, object]]: ...
    def render_chat(
        self, conversations: Sequence[Sequence[Mapping[str, object]]], parameters: ChatParams
    ) -> tuple[object, Sequence[Prompt]]: ...
