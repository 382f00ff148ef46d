"""A real `vllm serve` on loopback, reached over HTTP: the same model, the same answers."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from judging.cases import EDIT, PREDICTIONS, SAMPLES, VQA, picture
from models.vllm_server import served

from medgen.adapters.judges.chat_judge import ChatJudge
from medgen.adapters.models.answering import Answers
from medgen.adapters.models.openai_chat import OpenAIChat
from medgen.adapters.models.vllm_engine import VLLMChat
from medgen.engine.chat.messages import Sampling
from medgen.engine.data import Request
from medgen.engine.errors import AdapterError

pytestmark = [
    pytest.mark.vllm,
    pytest.mark.slow,
    pytest.mark.timeout(900),
]


@pytest.fixture(scope="module")
def server(tiny_vlm: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The base URL of a server that serves the tiny model as `tiny`."""
    options = ("--max-num-seqs", "16", "--limit-mm-per-prompt", '{"image": 4, "video": 0}')
    with served(tiny_vlm, "tiny", tmp_path_factory.mktemp("serve"), *options) as url:
        yield url


LEFT = dict.fromkeys(Sampling().values())  # all that can be left to the model


# The tiny model's own `generation_config.json` has a repetition penalty, which the server puts in
# the place of one that a request does not have.
@pytest.mark.parametrize(
    "draw",
    [
        {},
        {**LEFT, "temperature": 0.0},
        {"temperature": 0.7, "top_p": 0.8, "top_k": 20, "presence_penalty": 1.5},
        {"stop": ["e"]},
    ],
    ids=["neutral", "the model's own", "as a vendor says", "stop"],
)
def test_a_server_answers_as_the_engine_does(
    server: str, vllm_chat: VLLMChat, draw: dict[str, Any]
) -> None:
    style = {"sampling": {"max_tokens": 24, **draw}}
    requests = [Request(s) for s in (VQA, replace(EDIT, id="e2"))]
    chat = OpenAIChat("tiny", endpoint={"base_url": server}, fields="vllm")
    over_http = Answers(chat, style=style).predict(requests)
    in_process = Answers(vllm_chat, style=style).predict(requests)
    for http, here in zip(over_http, in_process, strict=True):
        assert http.usage.prompt_tokens == here.usage.prompt_tokens
        assert http.usage.finish_reason == here.usage.finish_reason
    assert [(p.status, p.text) for p in over_http] == [(p.status, p.text) for p in in_process]


def test_the_models_own_draw_is_another_one(vllm_chat: VLLMChat) -> None:
    assert vllm_chat.passport()["generation_config"] == {"repetition_penalty": 1.3}
    said = [
        Answers(vllm_chat, style={"sampling": {"max_tokens": 24, **draw}}).predict([Request(VQA)])
        for draw in ({}, {"repetition_penalty": None}, {"repetition_penalty": 1.3})
    ]
    neutral, own, spelt = [rows[0].text for rows in said]
    assert own == spelt != neutral


def test_structured_verdicts_over_http(server: str) -> None:
    chat = OpenAIChat("tiny", endpoint={"base_url": server})
    words = {"analysis": 24, "explanation": 12}
    judge = ChatJudge(
        chat, name="tiny", protocol="manuscript", captions="shared", bounds=words, expected=True
    )
    verdicts = judge.judge(SAMPLES, PREDICTIONS)
    assert {v.status for v in verdicts} == {"ok"}
    assert all(v.expected.keys() == v.scores.keys() for v in verdicts)
    second = [v.usage for v in verdicts if v.view == "reference_based"]
    assert sum(u.cached_tokens for u in second) / sum(u.prompt_tokens for u in second) > 0.7


def test_what_the_server_refuses_is_one_row(server: str) -> None:
    long = replace(VQA, id="long", instruction="word " * 20_000)
    crowded = replace(VQA, id="crowded", input_images=(picture(),) * 7)
    style = {"sampling": {"max_tokens": 8}}
    system = Answers(OpenAIChat("tiny", endpoint={"base_url": server}), style=style)
    made = system.predict([Request(s) for s in (VQA, long, crowded)])
    assert [p.status for p in made][1:] == ["model_error"] * 2
    assert made[0].status in ("ok", "truncated")
    assert "HTTP 400" in made[1].reason


def test_a_model_that_is_not_served_ends_the_stage(server: str) -> None:
    system = Answers(OpenAIChat("other", endpoint={"base_url": server}))
    with pytest.raises(AdapterError, match="no such path or model"):
        system.predict([Request(VQA)])
