"""What classes around authors' code that answer in words ask of it, and what they refuse."""

from pathlib import Path
from typing import Any

import pytest
import torch
from models import tiny_authors
from models.conftest import picture
from models.test_own_code import QUESTION

pytestmark = pytest.mark.usefixtures("one_thread")

ASKED = QUESTION | {"max_tokens": 6}
CONTEXT = "Context: cough\n\nInstruction: Pleural effusion.\n\nMark every place."
TWO = {"images": [picture(1), picture(2)]}


def refusal(model: Any, question: dict[str, Any]) -> str:
    """Why a question is no prompt of the model's."""
    (err,) = model.answer([question])
    assert isinstance(err, ValueError)
    return str(err)


def test_maira_2_writes_findings_of_one_picture_or_two(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    model, spoken = tiny_authors.maira_2(monkeypatch, tmp_path)
    given = model.prompt(ASKED | TWO | {"instruction": CONTEXT})
    assert spoken.tokenizer.decode(given["input_ids"][0]) == "<image>" * 8 + "INDICATION: cough"
    given = model.prompt(ASKED)
    assert spoken.tokenizer.decode(given["input_ids"][0]) == "<image>" * 4 + "INDICATION: None"
    for count in (0, 3):
        said = refusal(model, ASKED | {"images": [picture(1)] * count})
        assert said.startswith(f"{count} pictures; it takes a frontal one")


def test_maira_2_marks_a_phrase_in_pixels_of_the_picture(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    model, spoken = tiny_authors.maira_2(monkeypatch, tmp_path, "Maira2Boxes")
    spoken.grounded = [("seen", [(0.25, 0.5, 0.75, 1.0)]), ("not seen", None)]
    question = ASKED | {"images": [picture(1, (40, 80))], "instruction": CONTEXT}
    assert model.answer([question, question]) == ["[10, 40, 30, 80]"] * 2
    (ids,) = model.prompt(question)[0]["input_ids"]
    assert spoken.tokenizer.decode(ids) == "<image>" * 4 + "Pleural effusion."
    spoken.grounded = [("none", None)]
    assert model.answer([question]) == ["none"]
    spoken.grounded = "words"
    assert model.answer([question]) == ["none"]


def test_llava_rad_gives_what_is_new_of_either_base(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    question, said = ASKED | {"instruction": CONTEXT}, []
    for echo in (True, False):
        model, spoken = tiny_authors.llava_rad(monkeypatch, tmp_path, echo)
        said += model.answer([question, question])
        assert spoken.given["images"].dtype == torch.float16
        assert spoken.given["do_sample"] is False
    assert len(set(said)) == 1
    ids, _ = model.prompt(question)
    ((at,),) = torch.where(ids == -200)
    parts = [spoken.tokenizer.decode(part) for part in (ids[:at], ids[at + 1 :])]
    assert parts == ["USER: ", "\nPleural effusion.\n ASSISTANT: "]
    assert refusal(model, ASKED | TWO) == "2 pictures; it takes one"
    with pytest.raises(ValueError, match="loads a folder"):
        type(model)("microsoft/llava-rad", revision="c0ffee")


def test_healthgpt_sees_a_square_or_nothing(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    model, spoken = tiny_authors.healthgpt(monkeypatch, tmp_path)
    ids, _ = model.prompt(ASKED)
    ((at,),) = torch.where(ids == -200)
    assert spoken.tokenizer.decode(ids[at + 1 :]) == "\nyou read\n\nwhat is it? ASSISTANT: "
    model.answer([ASKED])
    assert spoken.given["image_sizes"] == [(48, 48)]
    ids, shown = model.prompt(ASKED | {"images": []})
    assert spoken.tokenizer.decode(ids) == "USER: you read\n\nwhat is it? ASSISTANT: "
    assert shown is None
    model.answer([ASKED | {"images": []}])
    assert (spoken.given["images"], spoken.given["image_sizes"]) == (None, None)
    assert refusal(model, ASKED | TWO) == "2 pictures; it takes one"


def test_med_flamingo_is_asked_as_its_demo_ends(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    model, spoken = tiny_authors.med_flamingo(monkeypatch, tmp_path)
    words, shown = model.prompt(ASKED | TWO | {"instruction": CONTEXT})
    assert words.endswith("a question. <image><image>Question: Pleural effusion. Answer:")
    assert tuple(shown.shape) == (2, 3, 8, 8)
    assert spoken.tokenizer.padding_side == "left"
    monkeypatch.setattr(spoken, "say", lambda *_, **__: torch.tensor([[9, 4, 10]]))
    (said,) = model.answer([ASKED])
    assert said == spoken.tokenizer.decode([9]), "4 ends a piece"
    assert refusal(model, ASKED | {"images": []}).endswith("there is none")


def test_gmai_vl_is_asked_as_its_demo_does(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    model, spoken = tiny_authors.gmai_vl(monkeypatch, tmp_path)
    model.answer([ASKED])
    ends = [1, spoken.id_of("<|im_end|>")]
    assert spoken.given == {"eos_token_id": ends, "dtype": torch.bfloat16}
    ids, _ = model.prompt(ASKED)
    assert spoken.tokenizer.decode(ids) == "<image>\nyou read\n\nwhat is it?"
    assert refusal(model, ASKED | {"images": []}) == "0 pictures; it takes one"


def test_medrega_sees_the_picture_where_its_examples_have_it(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    model, spoken = tiny_authors.medrega(monkeypatch, tmp_path)
    words, shown = model.prompt(ASKED)
    marks = f"<img>{'<IMG_CONTEXT>' * 4}</img>"
    assert words == f"USER: you read {marks}\nwhat is it? ASSISTANT: "
    assert model.prompt(ASKED | {"system": ""})[0].startswith(f"USER: {marks}")
    assert tuple(shown.shape) == (3, 8, 8)
    model.answer([ASKED])
    assert spoken.given["dtype"] == torch.bfloat16
    assert (spoken.given["num_beams"], spoken.given["do_sample"]) == (1, False)
    assert spoken.given["eos_token_id"] == spoken.id_of("<|im_end|>")
    assert refusal(model, ASKED | {"images": []}) == "0 pictures; it takes one"


def test_radfm_takes_a_hundred_pictures_and_no_fewer_than_one(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    model, _ = tiny_authors.radfm(monkeypatch, tmp_path)
    few, more = model.prompt(ASKED), model.prompt(ASKED | TWO)
    assert len(more) - len(few) == 32 + 2, "a picture is 32 tokens between its two marks"
    assert refusal(model, ASKED | {"images": []}) == "0 pictures; it takes 1 to 100"
    assert refusal(model, ASKED | {"images": [picture(1)] * 101}).startswith("101 pictures")
