"""What eight systems' judging has in common is computed once, by a pretended engine in one run.

The same with a real one is in tests/models/test_vllm_judging.py.
"""

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from benchmarks.judging import SYSTEMS, compare, judge_in_one_run, note
from medgen.engine.chat.messages import ChatReply, ChatRequest
from medgen.engine.data import Usage
from medgen.engine.judging.captions import Captioned

BLOCK, PICTURE = 16, 64  # tokens


class Blocks:
    """Counts as an engine does whose cache holds whole blocks of what it has read."""

    def __init__(self, log: str) -> None:
        self.log, self.rest, self.known = Path(log), 0, set[str]()

    def chat(self, chains: Sequence[Sequence[ChatRequest]]) -> list[list[ChatReply]]:
        replies = [[self.reply(request) for request in chain] for chain in chains]
        note(self.log, chains, replies)
        return replies

    def reply(self, request: ChatRequest) -> ChatReply:
        tokens = list(tokens_of(request))
        told, blocks = hashlib.sha256(), []
        for n, token in enumerate(tokens, start=1):
            told.update(token.encode())
            if n % BLOCK == 0:
                blocks.append(told.hexdigest())
        there = next((n for n, b in enumerate(blocks) if b not in self.known), len(blocks))
        self.known |= set(blocks)
        return ChatReply(text="{}", usage=Usage(len(tokens), 1, there * BLOCK))

    def passport(self) -> Mapping[str, Any]:
        return {"model": "blocks"}


def tokens_of(request: ChatRequest) -> Iterator[str]:
    """A word is a token; a picture is many, as its mark says."""
    for message in request.messages:
        for part in message.parts:
            if isinstance(part, str):
                yield from part.split()
            else:
                assert isinstance(part, Captioned)
                yield from (f"{part.mark()} {n}" for n in range(PICTURE))


@pytest.mark.parametrize(("prompt", "most"), [("judge/1", 0.7), ("judge/2", 0.5)])
def test_instruction_and_input_are_read_once_for_eight_systems(
    tmp_path: Path, prompt: str, most: float
) -> None:
    chat = "judging.test_shared_prompts:Blocks"
    samples = judge_in_one_run(tmp_path, chat, 12, 16, prompt)
    found = compare(tmp_path, Blocks(str(tmp_path / "apart")), samples, side=16)
    together, apart = found["together"], found["apart"]
    assert together["requests"] == apart["requests"] == 2 * SYSTEMS * 12
    assert together["prompt_tokens"] == apart["prompt_tokens"], "in another order"
    assert together["instruction_and_input_computed_a_sample_and_view"] <= 1.2
    assert apart["instruction_and_input_computed_a_sample_and_view"] > 3
    assert found["uncached_of_apart"] < most
