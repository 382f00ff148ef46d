"""Vision-language models by transformers: the tiny one, really loaded and asked."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from medgen.adapters.models.answering import Answers
from medgen.adapters.models.transformers_chat import TransformersChat
from medgen.engine.chat.messages import ChatReply, ChatRequest, Message, Sampling
from medgen.engine.data import Image, Request, Sample
from medgen.engine.errors import AdapterError


@pytest.fixture(scope="module")
def chat(tiny_vlm: Path) -> TransformersChat:
    execution = {"batch_size": 3, "device": "cpu"}
    return TransformersChat(str(tiny_vlm), images=2, dtype="float32", execution=execution)


def asked(words: str, *pictures: bytes, **sampling: Any) -> ChatRequest:
    turns = (
        Message("system", ("You are a physician.",)),
        Message("user", (*(Image(data) for data in pictures), words)),
    )
    return ChatRequest(turns, Sampling(max_tokens=6, **sampling), sample_id=words)


def said(replies: list[list[ChatReply]]) -> list[list[str]]:
    return [[reply.text for reply in chain] for chain in replies]


def test_batches_give_what_single_requests_give_in_order(
    chat: TransformersChat, noise: Callable[..., bytes]
) -> None:
    chains = [
        [asked("What is it?", noise(1)), asked("Where?", noise(1))],
        [asked("Is there an effusion in the left chest?", noise(2), noise(3))],
        [asked("No picture here.")],
        [asked("And one more", noise(4))],
    ]
    together = chat.chat(chains)
    assert [len(replies) for replies in together] == [2, 1, 1, 1]
    alone = [[chat.chat([[request]])[0][0] for request in chain] for chain in chains]
    assert said(together) == said(alone)
    assert all(r.usage.prompt_tokens > 10 for chain in together for r in chain)
    assert {r.usage.completion_tokens for chain in together for r in chain} <= set(range(7))
    one, two = together[0][0].usage.prompt_tokens, together[1][0].usage.prompt_tokens
    assert two > one > together[2][0].usage.prompt_tokens, "pictures are tokens"


def test_what_is_drawn_by_chance_has_the_seed_of_its_request(chat: TransformersChat) -> None:
    def draw(seed: int) -> str:
        request = asked("Say something.", temperature=1.5, seed=seed)
        return chat.chat([[request], [asked("Another.")]])[0][0].text

    assert draw(1) == draw(1)
    assert len({draw(seed) for seed in range(4)}) > 1


def test_a_bad_picture_costs_its_own_request_alone(
    chat: TransformersChat, noise: Callable[..., bytes]
) -> None:
    good, bad = asked("What?", noise(1)), asked("What?", b"no picture")
    (first,), (second,) = chat.chat([[good], [bad]])
    assert first.status in ("ok", "truncated")
    assert second.status == "rejected"
    assert "picture" in second.reason


def test_a_system_answers_through_it(chat: TransformersChat, noise: Callable[..., bytes]) -> None:
    sample = Sample(
        "s", "text", "question-answering", "CT", "What?", input_images=(Image(noise(1)),)
    )
    (row,) = Answers(chat, style={"sampling": {"max_tokens": 4}}).predict([Request(sample)])
    assert row.status in ("ok", "truncated", "model_error")
    assert row.usage.prompt_tokens > 10


def test_the_passport_says_what_serves(chat: TransformersChat) -> None:
    found = chat.passport()
    assert found["class"] == "Qwen2_5_VLForConditionalGeneration"
    assert found["random_weights"] is True
    assert found["system_turn"] == "own"


def test_what_cannot_be_loaded_is_said(tmp_path: Path) -> None:
    with pytest.raises(AdapterError, match="could not load"):
        TransformersChat(str(tmp_path))
