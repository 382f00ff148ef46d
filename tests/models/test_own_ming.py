"""Ming-UniVision: words together, pictures in rounds of one talk."""

from typing import Any

import pytest
from models import tiny_ming
from models.conftest import picture
from models.test_own_unified import BOTH, DRAWN, WRITTEN, failure, size_of

pytestmark = pytest.mark.usefixtures("one_thread")

LONGER = "Instruction: what may a far longer question be about\n\nAnswer."


def test_it_talks_in_the_rounds_of_its_page(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ValueError, match="loads a folder"):
        tiny_ming.make(monkeypatch, revision="c0ffee")
    model = tiny_ming.make(monkeypatch, dtype="int8")
    spy = model._ask
    assert spy.loaded == ("weights", "int8")
    (parts,) = model.reply([BOTH])
    assert size_of(parts[1]) == (8, 8)
    assert spy.said == [
        f"1: you read\n\n{BOTH['instruction']}",
        "1e: Given the edit instruction: draw an effusion, please identify the editing region",
        "0e: draw an effusion",
    ]
    (alone,) = model.reply([DRAWN])
    assert size_of(alone[0]) == (8, 8)
    assert spy.said[-1].startswith("0: Please generate the corresponding image")
    assert spy.rounds == [], "what was said is forgotten after every question"
    spy.mute = True
    assert "gave no picture" in failure(model, DRAWN)
    assert spy.rounds == []


def some() -> list[dict[str, Any]]:
    two = {"images": [picture(2), picture(3)], "seed": 7, "instruction": LONGER}
    questions = [WRITTEN, WRITTEN | two, WRITTEN | {"images": [], "seed": 8}, BOTH | {"seed": 9}]
    return [one | {"max_tokens": 12} for one in questions]


def test_words_in_company_are_those_of_one_talk(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of several lengths, with pictures and without; drawn at temperature 0 as well."""
    model = tiny_ming.make(monkeypatch)
    questions, rows = some(), model._ask.model.rows
    alone = [model.reply([one])[0] for one in questions]
    assert all(isinstance(parts, list) for parts in alone), alone
    assert len({parts[0] for parts in alone}) == 4
    assert model.reply([questions[0] | {"seed": 1}]) != alone[:1]
    assert set(rows) == {1}
    rows.clear()
    assert model.reply(questions) == alone
    assert model.reply(questions[::-1]) == alone[::-1]
    assert rows == [4, 4]


@pytest.mark.parametrize("place", [0, 2])
def test_one_that_begins_a_picture_is_asked_alone(
    monkeypatch: pytest.MonkeyPatch, place: int
) -> None:
    """In the first row the model refuses a batch, and the server asks again with halves."""
    model = tiny_ming.make(monkeypatch)
    questions, whole = some(), model._ask.model
    alone = [model.words_for([one])[0] for one in questions]
    ids = [set(model._ask.tokenizer(text)["input_ids"]) for text in alone]
    (first, *_) = ids[place] - set().union(*ids[:place], *ids[place + 1 :])
    whole.model.config.image_start_token = first
    whole.rows.clear()
    if place == 0:
        with pytest.raises(AssertionError, match="one row"):
            model.words_for(questions)
        assert model.words_for(questions[:1]) == alone[:1]
        return
    assert model.words_for(questions) == alone
    assert whole.rows == [4, 1]
