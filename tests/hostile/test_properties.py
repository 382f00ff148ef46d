"""Whatever comes from outside ends as a row, a problem or a named refusal, never as a crash."""

import json
from typing import Any

import pytest
from hostile.sound import INPUTS
from hostile.targets import TARGETS
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

# Words that parsers look for, so that what is drawn gets beyond their first line.
WORDS = (
    *("sample_id", "task", "modality", "instruction", "input_image", "ground_truth_image"),
    *("style-transfer", "CT", "choices", "message", "content", "finish_reason", "usage", "stop"),
    *("prompt_tokens", "completion_tokens", "model", "m", "refusal", "logprobs", "token"),
    *(
        "top_logprobs",
        "logprob",
        "analysis",
        "explanations",
        "scores",
        "checklist",
        "overall_score",
    ),
    *("output_text", "edit_prompt", "generate_prompt", "answer", "version", "shards", "notes"),
    *("\ud800", "\x00", "../x", "A", "(B)", "```json\n", "<think>", "${oc.env:HOME}", "&a", "*a"),
)
SCALARS = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.sampled_from(WORDS)
    | st.text(max_size=20)
    | st.sampled_from([1e999, -1e999, float("nan"), 2**63, -(2**63) - 1, 10**400, 0, 5, 8.5])
)
JSON = st.recursive(
    SCALARS,
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(st.sampled_from(WORDS) | st.text(max_size=8), inner, max_size=8)
    ),
    max_leaves=25,
)


def written(value: Any) -> bytes:
    return json.dumps(value, ensure_ascii=True).encode()


def completion(message: Any, rest: dict[str, Any]) -> bytes:
    choice = {"message": message, **rest}
    return written({"choices": [choice], **rest})


BYTES = (
    st.binary(max_size=300)
    | JSON.map(written)
    | st.builds(completion, JSON, st.dictionaries(st.sampled_from(WORDS), JSON, max_size=6))
    | st.text(max_size=200).map(lambda text: text.encode("utf-8", "surrogatepass"))
    | st.sampled_from([b"[" * 2000, b'{"a":' * 2000, b"\xef\xbb\xbf{}", b"", b"\xff\xfe"])
)


@pytest.mark.parametrize("name", TARGETS)
@settings(max_examples=120, deadline=None, suppress_health_check=list(HealthCheck))
@given(data=BYTES)
def test_any_bytes_end_well(name: str, data: bytes) -> None:
    TARGETS[name](data)


@pytest.mark.parametrize("name", TARGETS)
@settings(max_examples=120, deadline=None, suppress_health_check=list(HealthCheck))
@given(data=st.data())
def test_sound_bytes_with_a_wound_end_well(name: str, data: st.DataObject) -> None:
    whole = data.draw(st.sampled_from(INPUTS[name]))
    TARGETS[name](whole)
    low, high = sorted(data.draw(st.tuples(*[st.integers(0, len(whole))] * 2)))
    TARGETS[name](whole[:low] + data.draw(st.binary(max_size=12)) + whole[high:])
