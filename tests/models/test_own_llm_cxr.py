"""LLM-CXR: one language model for words and the tokens of pictures."""

from pathlib import Path
from typing import Any

import pytest
from models import tiny_llm_cxr
from models.conftest import picture
from models.test_own_unified import BOTH, DRAWN, WRITTEN, failure, size_of

pytestmark = pytest.mark.usefixtures("one_thread")


def test_it_reads_the_middle_of_a_picture_and_draws_all_its_parts(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    with pytest.raises(ValueError, match="loads a folder"):
        tiny_llm_cxr.make(monkeypatch, tmp_path, "c0ffee")
    model = tiny_llm_cxr.make(monkeypatch, tmp_path)
    code = model._model
    (parts,) = model.reply([BOTH | {"temperature": 0.5}])
    assert size_of(parts[1]) == (256, 256)
    usual = {"do_sample": True, "max_new_tokens": 512, "top_p": 0.92, "top_k": 0}
    assert code.how == usual | {"eos_token_id": code.end, "pad_token_id": 2}
    model.reply([WRITTEN])
    assert (code.how["max_new_tokens"], code.how["do_sample"]) == (64, False)
    words, tokens = model._to_write(BOTH)
    assert (words[:8], len(tokens)) == ("you read", 256)
    assert min(tokens) >= code.words, "tokens of pictures are behind those of words"
    assert model._to_write(WRITTEN | {"images": []})[1] is None
    assert failure(model, WRITTEN | {"images": [picture(1)] * 2}) == "2 pictures; it takes one"
    code.drawn = 255
    assert "0 of the 256 parts" in failure(model, DRAWN)


def some() -> list[dict[str, Any]]:
    longer = "Instruction: what may a far longer question be about\n\nAnswer."
    questions = [
        BOTH,
        BOTH | {"seed": 6, "images": [], "instruction": longer},
        BOTH | {"seed": 7, "images": [picture(2)], "system": ""},
        WRITTEN | {"seed": 8, "images": [picture(3)]},
    ]
    return [one | {"max_tokens": 24} for one in questions]


@pytest.mark.parametrize("heat", [0.0, 0.9])
def test_replies_in_company_are_those_that_are_given_alone(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, heat: float
) -> None:
    model = tiny_llm_cxr.make(monkeypatch, tmp_path)
    questions, rows = [one | {"temperature": heat} for one in some()], model._model.rows
    alone = [model.reply([one])[0] for one in questions]
    assert all(isinstance(parts, list) for parts in alone), alone
    assert len({parts[0] for parts in alone}) == 4
    assert len({parts[-1] for parts in alone}) == 4
    rows.clear()
    *replies, failed = model.reply([*questions, BOTH | {"images": [picture(1)] * 2}])
    assert replies == alone
    assert isinstance(failed, ValueError)
    assert model.reply(questions[::-1]) == alone[::-1]
    assert rows == [4, 3, 4, 3]
