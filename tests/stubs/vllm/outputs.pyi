from collections.abc import Mapping, Sequence

class Logprob:
    decoded_token: str | None
    logprob: float

class CompletionOutput:
    finish_reason: str | None
    logprobs: Sequence[Mapping[int, Logprob]] | None
    text: str
    token_ids: Sequence[int]

class RequestOutput:
    num_cached_tokens: int | None
    outputs: list[CompletionOutput]
    prompt_token_ids: Sequence[int] | None
