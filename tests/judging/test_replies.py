"""A reply is read once and strictly; no number is ever made up."""

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from judging.cases import valid_reply

from medgen.engine.data import FORMS
from medgen.engine.judging.prompts import Rubric, reply_schema
from medgen.engine.judging.protocols import PROTOCOLS
from medgen.engine.judging.replies import read_reply

TABLE, PAPER, MANUSCRIPT = (
    Rubric(PROTOCOLS[f"{name}/1"]) for name in ("table-iv", "paper-v1", "manuscript")
)
GOLDENS = Path(__file__).parents[1] / "goldens" / "extract_json.json"


@pytest.mark.parametrize("rubric", [TABLE, PAPER, MANUSCRIPT], ids=lambda r: r.protocol.id)
@pytest.mark.parametrize("form", FORMS)
def test_a_reply_that_fits_is_taken_as_it_is(rubric: Rubric, form: Any) -> None:
    reading = read_reply(json.dumps(valid_reply(rubric, form, 3)), rubric, form)
    assert reading.status == "ok"
    assert set(reading.scores) == {d.name for d in rubric.protocol.dimensions_for(form)} | {
        "overall_score"
    }
    assert set(reading.scores.values()) == {3.0}
    assert reading.explanations["analysis"]


@pytest.mark.parametrize(
    "wrap",
    [
        "{}",
        "\n {} \n",
        "```json\n{}\n```",
        "<think>7</think>\n{}",
        "```json\r\n{}\r\n```",
        "All tens? No.\n</think>\n\n{}",
        "<think>7</think>\n```\n{}\n```",
        "~~~json\n{}\n~~~",
        "```json\r{}\r```",
        "``` json\n{}\n```",
        "````\n{}\n````",
        "<answer>{}</answer>",
    ],
)
def test_only_known_wrapping_is_taken_off(wrap: str) -> None:
    body = json.dumps(valid_reply(TABLE, "text"))
    assert read_reply(wrap.replace("{}", body), TABLE, "text").status == "ok"


@pytest.mark.parametrize(
    "wrap",
    ["Here it is: {}", "{} Hope this helps.", "{}{}", "[{}]", '"{}"', "\ufeff{}", "<think>{}"],
)
def test_words_around_the_object_are_a_parse_error(wrap: str) -> None:
    body = json.dumps(valid_reply(TABLE, "text"))
    reading = read_reply(wrap.replace("{}", body), TABLE, "text")
    assert reading.status == "parse_error"
    assert not reading.scores


@pytest.mark.parametrize(
    "text",
    ["", "7", "null", "true", "{", "{'overall_score': 5}", '{"scores": NaN}', "[" * 100_000],
)
def test_what_is_no_object_is_a_parse_error(text: str) -> None:
    assert read_reply(text, TABLE, "text").status == "parse_error"


def test_a_truncated_reply_is_a_parse_error_wherever_it_is_cut() -> None:
    body = json.dumps(valid_reply(TABLE, "text"))
    statuses = {read_reply(body[:cut], TABLE, "text").status for cut in range(len(body))}
    assert statuses == {"parse_error"}


@pytest.mark.parametrize("value", ["7", 7.0, 7.5, True, None, [7], {"score": 7}, 0, 11, -3, 10**40])
def test_what_is_no_whole_number_on_the_scale_is_a_schema_error(value: Any) -> None:
    reply = valid_reply(TABLE, "text")
    reply["scores"]["instruction_compliance"] = value
    reading = read_reply(json.dumps(reply), TABLE, "text")
    assert reading.status == "schema_error"
    assert "instruction_compliance" in reading.reason
    assert not reading.scores


@pytest.mark.parametrize("section", ["analysis", "explanations", "checklist", "scores"])
def test_a_missing_or_unknown_field_is_a_schema_error(section: str) -> None:
    reply = valid_reply(TABLE, "text")
    del reply[section]
    assert section in read_reply(json.dumps(reply), TABLE, "text").reason
    more = {**valid_reply(TABLE, "text"), "verdict": 10}
    assert read_reply(json.dumps(more), TABLE, "text").status == "schema_error"


def test_a_missing_dimension_is_an_error_and_not_a_zero() -> None:
    reply = valid_reply(TABLE, "text")
    del reply["scores"]["overall_score"]
    reading = read_reply(json.dumps(reply), TABLE, "text")
    assert (reading.status, dict(reading.scores)) == ("schema_error", {})


def test_a_key_that_stands_twice_is_no_choice_of_ours() -> None:
    body = json.dumps(valid_reply(TABLE, "text"))
    twice = body.replace('"overall_score": 4}', '"overall_score": 4, "overall_score": 10}')
    assert twice != body
    assert read_reply(twice, TABLE, "text").status == "parse_error"


def test_the_manuscripts_overall_score_is_the_mean_of_its_dimensions() -> None:
    reply = valid_reply(MANUSCRIPT, "text", 2)
    reply["scores"]["anatomical_accuracy"] = 5
    reading = read_reply(json.dumps(reply), MANUSCRIPT, "text")
    assert reading.scores["overall_score"] == pytest.approx(13 / 5)
    asked = {**reply, "scores": {**reply["scores"], "overall_score": 5}}
    assert read_reply(json.dumps(asked), MANUSCRIPT, "text").status == "schema_error"


@pytest.mark.parametrize("rubric", [TABLE, PAPER], ids=lambda r: r.protocol.id)
@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("overall", [1, 4, 10])
def test_a_judges_own_overall_score_is_kept_whatever_its_dimensions_are(
    rubric: Rubric, form: Any, overall: int
) -> None:
    reply = valid_reply(rubric, form, 6)
    given = {name: 2 + at % 7 for at, name in enumerate(reply["scores"])}
    reply["scores"] = given | {"overall_score": overall}
    assert read_reply(json.dumps(reply), rubric, form).scores == reply["scores"]


def test_words_that_no_file_can_hold_are_replaced() -> None:
    reply = valid_reply(TABLE, "text")
    reply["analysis"] = "a\ud800b\x00c\nd" + "x" * 10_000
    found = read_reply(json.dumps(reply), TABLE, "text").explanations["analysis"]
    found.encode()
    assert found.startswith("a?b c\nd")
    assert len(found) == TABLE.bounds.analysis


LEAVES = st.none() | st.booleans() | st.integers() | st.text(max_size=8)
NESTED = st.recursive(
    LEAVES,
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3)
    ),
    max_leaves=12,
)


@given(NESTED)
def test_no_json_that_does_not_fit_gives_a_score(value: Any) -> None:
    reading = read_reply(json.dumps(value), TABLE, "text")
    assert reading.status != "ok"
    assert not reading.scores


@given(st.text(max_size=200))
def test_no_text_gives_a_score_or_an_exception(text: str) -> None:
    assert not read_reply(text, TABLE, "text").scores


def test_what_lenient_readers_make_of_tricky_replies_is_an_error_here() -> None:
    """The stored cases name neither our fields nor our scale: none may read as a verdict."""
    cases = json.loads(GOLDENS.read_text(encoding="utf-8"))
    found = {case["text"]: read_reply(case["text"], TABLE, "text").status for case in cases}
    assert "ok" not in found.values()
    # Where the lenient readers found an object in prose, quotes or comments, we say parse_error.
    for text in (
        "Sure! Here is my evaluation:",
        "Scores in {1-10}.",
        "{'overall_score': 5}",
        '{"overall_score": 5 // comment',
        "prefix } then",
        '[{"a":1}',
    ):
        match = next(t for t in found if t.startswith(text))
        assert found[match] == "parse_error"


@pytest.mark.parametrize("rubric", [TABLE, PAPER, MANUSCRIPT], ids=lambda r: r.protocol.id)
@pytest.mark.parametrize("form", FORMS)
def test_the_schema_asks_for_explanations_before_scores_and_bounds_everything(
    rubric: Rubric, form: Any
) -> None:
    schema = reply_schema(rubric, form)
    order = list(schema["properties"])
    assert order.index("analysis") < order.index("explanations") < order.index("scores")
    protocol = rubric.protocol
    for name, score in schema["properties"]["scores"]["properties"].items():
        assert score == {
            "type": "integer",
            "enum": list(range(protocol.low, protocol.high + 1)),
        }, name
    strings = list(_strings(schema))
    assert strings
    assert all("maxLength" in s or "enum" in s for s in strings)
    assert all(o["additionalProperties"] is False for o in _objects(schema))


def _objects(schema: dict[str, Any]) -> list[dict[str, Any]]:
    inner = [o for p in schema.get("properties", {}).values() for o in _objects(p)]
    return [schema, *inner] if schema.get("type") == "object" else inner


def _strings(schema: dict[str, Any]) -> list[dict[str, Any]]:
    inner = [s for p in schema.get("properties", {}).values() for s in _strings(p)]
    return [schema, *inner] if schema.get("type") == "string" else inner
