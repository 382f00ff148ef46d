"""What every judge keeps to, with a model and without one."""

import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from judging.cases import PREDICTIONS, SAMPLES, VQA, ScriptedChat, picture, said, valid_reply, words

from medgen.adapters.judges.chat_judge import ChatJudge
from medgen.adapters.judges.rule_judge import RuleJudge
from medgen.engine.chat.messages import ChatReply, ChatRequest
from medgen.engine.data import VIEWS, Prediction
from medgen.engine.errors import ConfigError
from medgen.engine.judging.prompts import Rubric
from medgen.engine.judging.protocols import PROTOCOLS
from medgen.engine.store import schemas

RUBRIC = Rubric(PROTOCOLS["table-iv/1"])


def scores_in(request: ChatRequest) -> list[str]:
    assert request.schema is not None
    return list(request.schema["properties"]["scores"]["properties"])


def good(request: ChatRequest) -> ChatReply:
    """A reply that fits the request's own schema."""
    assert request.schema is not None
    made: dict[str, Any] = {}
    for name, field in request.schema["properties"].items():
        if field["type"] == "string":
            made[name] = "seen"
        else:
            made[name] = {
                inner: rule["enum"][0] if "enum" in rule else "because"
                for inner, rule in field["properties"].items()
            }
    return said(made, prompt_tokens=100, cached_tokens=40, completion_tokens=9)


def chat_judge(answer: Callable[[ChatRequest], ChatReply] = good, **given: Any) -> ChatJudge:
    return ChatJudge(ScriptedChat(answer), **{"name": "j", "protocol": "table-iv/1", **given})


def rule_judge(**given: Any) -> RuleJudge:
    return RuleJudge(**{"name": "j", "protocol": "table-iv/1", **given})


JUDGES = [chat_judge, rule_judge]


@pytest.mark.parametrize("make", JUDGES)
@pytest.mark.parametrize("repeats", [1, 3])
@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_verdicts_come_in_order_with_the_views_adjacent(
    make: Callable[..., Any], repeats: int, protocol: str
) -> None:
    verdicts = make(repeats=repeats, protocol=protocol).judge(SAMPLES, PREDICTIONS)
    want = [(s.id, r, v) for s in SAMPLES for r in range(repeats) for v in VIEWS]
    assert [(v.sample_id, v.repeat, v.view) for v in verdicts] == want
    assert {v.status for v in verdicts} == {"ok"}
    assert {v.judge for v in verdicts} == {"j"}
    low, high = PROTOCOLS[protocol].low, PROTOCOLS[protocol].high
    assert all(low <= s <= high for v in verdicts for s in v.scores.values())
    assert all("overall_score" in v.scores for v in verdicts)


@pytest.mark.parametrize("make", JUDGES)
def test_one_by_one_gives_what_all_at_once_gives(make: Callable[..., Any]) -> None:
    judge = make()
    whole = judge.judge(SAMPLES, PREDICTIONS)
    parts = [judge.judge([s], [p]) for s, p in zip(SAMPLES, PREDICTIONS, strict=True)]
    assert list(whole) == [verdict for part in parts for verdict in part]
    assert list(judge.judge([], [])) == []


@pytest.mark.parametrize("make", JUDGES)
def test_a_failed_prediction_is_skipped_and_not_scored(make: Callable[..., Any]) -> None:
    failed = [Prediction(s.id, "timeout", "slow") for s in SAMPLES]
    verdicts = make().judge(SAMPLES, failed)
    assert {v.status for v in verdicts} == {"skipped"}
    assert all("timeout" in v.reason and not v.scores for v in verdicts)


@pytest.mark.parametrize("make", JUDGES)
def test_a_sample_without_a_reference_is_judged_in_the_other_view(
    make: Callable[..., Any],
) -> None:
    bare = replace(VQA, reference_texts=())
    free, based = make().judge([bare], [PREDICTIONS[0]])
    assert (free.view, free.status) == ("reference_free", "ok")
    assert (based.view, based.status) == ("reference_based", "skipped")


@pytest.mark.parametrize("make", JUDGES)
def test_verdicts_fit_the_stores_schema(make: Callable[..., Any]) -> None:
    verdicts = list(make(repeats=2).judge(SAMPLES, PREDICTIONS))
    context = schemas.context(SAMPLES, PREDICTIONS)
    assert schemas.verdicts(schemas.verdict_table(verdicts, context)) == verdicts


@pytest.mark.parametrize("make", JUDGES)
def test_what_is_unknown_is_refused(make: Callable[..., Any]) -> None:
    with pytest.raises(ConfigError, match="table-v"):
        make(protocol="table-v/1")


def test_the_views_of_one_prediction_are_one_chain() -> None:
    judge = chat_judge(repeats=2)
    judge.judge(SAMPLES, PREDICTIONS)
    chains = judge._chat.chains  # type: ignore[attr-defined]
    assert [len(chain) for chain in chains] == [4, 4, 4]
    for chain in chains:
        assert ["VIEW: without" in words(request) for request in chain] == [True, False] * 2
        assert len({request.sampling.seed for request in chain}) == 4


@pytest.mark.parametrize(
    ("reply", "status"),
    [
        (said("no JSON"), "parse_error"),
        (ChatReply("truncated", "cut", json.dumps(valid_reply(RUBRIC, "text"))), "parse_error"),
        (said({"scores": {}}), "schema_error"),
        (ChatReply("refused", "I will not"), "refused"),
        (ChatReply("timeout", "slow"), "transport_error"),
        (ChatReply("unreachable", "gone"), "transport_error"),
        (ChatReply("rejected", "too long"), "rejected"),
        (ChatReply("unsent", "cap"), "transport_error"),
    ],
)
def test_every_way_to_fail_has_its_status_and_no_score(reply: ChatReply, status: str) -> None:
    for verdict in chat_judge(lambda _: reply).judge([VQA], [PREDICTIONS[0]]):
        assert verdict.status == status
        assert verdict.reason
        assert not verdict.scores
        assert verdict.raw == reply.text


def test_the_reply_and_its_cost_are_kept() -> None:
    for verdict in chat_judge().judge([VQA], [PREDICTIONS[0]]):
        assert json.loads(verdict.raw)["analysis"] == "seen"
        assert (verdict.usage.prompt_tokens, verdict.usage.cached_tokens) == (100, 40)
        assert verdict.explanations["checklist.answers_the_question"] == "yes"


def test_only_what_cannot_be_read_is_asked_again() -> None:
    asked: list[int] = []

    def flaky(request: ChatRequest) -> ChatReply:
        asked.append(request.sampling.seed)
        based = "VIEW: with a" in words(request)
        return said("rubbish") if based and len(asked) <= 6 else good(request)

    verdicts = chat_judge(flaky, retries=2).judge(SAMPLES, PREDICTIONS)
    assert {v.status for v in verdicts} == {"ok"}
    assert len(asked) == 6 + 3, "three unreadable replies, asked again"
    assert len(set(asked)) == len(asked), "each time with another seed"


def test_a_retry_has_an_end() -> None:
    judge = chat_judge(lambda _: said("rubbish"), retries=2)
    verdicts = judge.judge([VQA], [PREDICTIONS[0]])
    assert [v.status for v in verdicts] == ["parse_error"] * 2
    assert len(judge._chat.chains) == 3  # type: ignore[attr-defined]


def test_many_inputs_become_one_sheet_beside_candidate_and_reference() -> None:
    crowd = replace(SAMPLES[2], input_images=tuple(picture((i, 0, 0)) for i in range(9)))
    judge = chat_judge(images=8)
    judge.judge([crowd], [PREDICTIONS[2]])
    (chain,) = judge._chat.chains  # type: ignore[attr-defined]
    for request in chain:
        pictures = [p for m in request.messages for p in m.parts if not isinstance(p, str)]
        assert len(pictures) <= 3
        assert "INPUT picture 1 of 1" in words(request)


def test_a_judge_says_what_it_is() -> None:
    passport = chat_judge().passport()
    assert passport["protocol"] == "table-iv/1"
    assert passport["protocol_hash"] == PROTOCOLS["table-iv/1"].fingerprint()
    assert passport["prompt_hash"] == RUBRIC.fingerprint()
    assert passport["model"] == "scripted"
    assert rule_judge().passport()["model"] is None


@pytest.mark.parametrize(
    "wrong",
    [{"sampling": {"heat": 1}}, {"bounds": {"poem": 3}}, {"prompt": "judge/0"}, {"captions": "x"}],
)
def test_a_misspelt_setting_is_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ConfigError):
        chat_judge(**wrong)


def test_the_rule_is_a_known_function() -> None:
    oracle = [Prediction(s.id, text=s.reference_text, images=s.reference_images) for s in SAMPLES]
    blank = [Prediction(s.id, text="", images=(picture((0, 0, 0)),)) for s in SAMPLES]
    judge = rule_judge()
    best = [v for v in judge.judge(SAMPLES, oracle) if v.view == "reference_based"]
    worst = [v for v in judge.judge(SAMPLES, blank) if v.view == "reference_based"]
    assert [v.scores["overall_score"] for v in best] == [10.0] * 3
    assert all(w.scores["overall_score"] < 10.0 for w in worst)
    assert worst[0].scores["overall_score"] == 1.0


@pytest.mark.parametrize("share", [0.0, 0.3, 1.0])
def test_rubbish_becomes_exactly_as_many_failed_rows(share: float) -> None:
    samples = [replace(VQA, id=f"s{n}") for n in range(400)]
    given = [replace(PREDICTIONS[0], sample_id=s.id) for s in samples]
    verdicts = rule_judge(execution={"rubbish": share, "seed": 3}).judge(samples, given)
    failed = [v for v in verdicts if v.status != "ok"]
    assert {v.status for v in failed} <= {"parse_error", "schema_error"}
    assert not any(v.scores for v in failed)
    assert len(failed) / len(verdicts) == pytest.approx(share, abs=0.05)
    if share == 0.3:
        assert {v.status for v in failed} == {"parse_error", "schema_error"}
        # The rest is untouched, and without the fault the struck rows are what they would be.
        clean = rule_judge().judge(samples, given)
        assert [v for v in verdicts if v.status == "ok"] == [
            c for c, v in zip(clean, verdicts, strict=True) if v.status == "ok"
        ]
        assert {c.status for c in clean} == {"ok"}
