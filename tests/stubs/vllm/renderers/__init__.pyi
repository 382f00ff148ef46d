from collections.abc import Mapping, Sequence

from vllm.renderers.params import ChatParams

Prompt = Mapping[str, object]

class BaseRenderer:
    tokenizer: object

    def render_chat(
        self, conversations: Sequence[Sequence[Mapping[str, object]]], parameters: ChatParams
    ) -> tuple[object, Sequence[Prompt]]: ...
