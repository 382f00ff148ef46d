"""Classes around authors' code that answer several questions in one call, each as alone."""

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from models import tiny_authors
from models.conftest import picture
from models.test_own_code import QUESTION
from models.test_own_unified import own_presets
from models.tiny_chexagent import chexagent
from models.tiny_hulu import hulu_med

from medgen.adapters.own import shared
from medgen.adapters.own.bagel import Bagel

pytestmark = pytest.mark.usefixtures("one_thread")

Make = Callable[[pytest.MonkeyPatch, Path], tuple[Any, Any]]
FILLED = (*tiny_authors.FILLED, chexagent, hulu_med)
ONE = QUESTION | {"max_tokens": 12, "system": ""}


def asked(words: str, *pictures: int, seed: int = 5) -> dict[str, Any]:
    """A question whose words stand both in its context and in its order."""
    text = f"Context: {words}\n\nInstruction: {words}\n\nAnswer."
    shown = [picture(one, (40, 24)) for one in pictures]
    return ONE | {"instruction": text, "images": shown, "seed": seed}


def some(make: Make) -> list[dict[str, Any]]:
    """Of three lengths, two of them alike, with what pictures the model takes."""
    several = (tiny_authors.radfm, tiny_authors.med_flamingo, tiny_authors.maira_2)
    second = (2, 3) if make in (*several, tiny_authors.medreco, chexagent) else (2,)
    none = make in (tiny_authors.healthgpt, tiny_authors.medreco, chexagent, hulu_med)
    return [
        asked("effusion", 1),
        asked("a far longer question than all others", *second, seed=6),
        asked("fracture", 4, seed=7),
        asked("mass?", *([] if none else [5]), seed=8),
    ]


@pytest.mark.parametrize("heat", [0.0, 0.9])
@pytest.mark.parametrize("make", [*FILLED, *tiny_authors.OF_ONE_LENGTH])
def test_answers_in_company_are_those_that_are_given_alone(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, make: Make, heat: float
) -> None:
    model, spoken = make(monkeypatch, tmp_path)
    questions = [one | {"temperature": heat} for one in some(make)]
    alone = [model.answer([one])[0] for one in questions]
    assert all(isinstance(text, str) for text in alone), alone
    assert len(set(alone)) == len(alone), "what is asked must be seen in the answers"
    before = spoken.calls
    assert model.answer(questions) == alone
    calls = 3 if make in tiny_authors.OF_ONE_LENGTH else 1
    assert spoken.calls - before == calls
    assert model.answer(questions[::-1]) == alone[::-1]


def test_hulu_med_takes_one_picture_and_no_revision(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    model, _ = hulu_med(monkeypatch, tmp_path)
    (err,) = model.answer([asked("effusion", 1, 2)])
    assert str(err) == "2 pictures; it takes one"
    with pytest.raises(ValueError, match="loads a folder"):
        type(model)("weights", revision="main")


@pytest.mark.parametrize("make", [tiny_authors.medrega, tiny_authors.llava_rad])
def test_one_that_is_no_prompt_fails_alone_and_costs_the_others_nothing(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, make: Make
) -> None:
    model, spoken = make(monkeypatch, tmp_path)
    good = [asked("effusion", 1), asked("fracture", 2)]
    alone = model.answer(good)
    before = spoken.calls
    first, bad, last = model.answer([good[0], asked("effusion"), good[1]])
    assert [first, last] == alone
    assert spoken.calls - before == 1
    assert isinstance(bad, ValueError)
    assert str(bad) == "0 pictures; it takes one"


def test_memory_that_is_short_beside_others_is_the_batchs_trouble() -> None:
    """The server asks again with halves; alone it is the question's own."""

    def prompt(question: Any) -> int:
        if question["seed"] == 6:
            raise RuntimeError("CUDA out of memory. Tried to allocate 2.00 GiB")
        return int(question["seed"])

    def make(prompts: Any, drawn: dict[str, Any]) -> list[int]:
        return list(prompts)

    first, short = asked("effusion"), asked("mass", seed=6)
    with pytest.raises(RuntimeError, match="out of memory"):
        shared.replies_to([first, short], prompt, make)
    (alone,) = shared.replies_to([short], prompt, make)
    assert isinstance(alone, RuntimeError)
    assert shared.replies_to([first], prompt, make) == [5]


def test_questions_that_are_drawn_otherwise_are_asked_apart(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    model, spoken = tiny_authors.maira_2(monkeypatch, tmp_path)
    given = [asked("effusion", 1), asked("effusion", 1) | {"max_tokens": 3}]
    long, short = model.answer(given)
    assert spoken.calls == 2
    assert long.startswith(short)
    assert len(short) < len(long)


@pytest.mark.parametrize("draw", ["multinomial", "method", "uniform"])
def test_each_row_of_a_batch_is_drawn_with_its_own_seed(draw: str) -> None:
    chances = torch.ones(6, 1000)
    draws: dict[str, Callable[[torch.Tensor], torch.Tensor]] = {
        "multinomial": lambda rows: torch.multinomial(rows, num_samples=2),
        "method": lambda rows: rows.multinomial(2, generator=None),
        "uniform": lambda rows: torch.zeros_like(rows).uniform_(0, 1, generator=None),
    }
    questions = [ONE | {"seed": seed} for seed in (1, 2, 3)]
    with shared.seeds(questions):
        together = draws[draw](chances)
        after = torch.multinomial(chances, 1)
    for at, question in enumerate(questions):
        with shared.seeds([question]):
            rows = slice(2 * at, 2 * at + 2)
            assert torch.equal(draws[draw](chances[:2]), together[rows])
            assert torch.equal(torch.multinomial(chances[:2], 1), after[rows])
    assert not torch.equal(together[:2], together[2:4])


def test_what_is_filled_up_stands_at_the_left() -> None:
    rows, mask = shared.stack_left([torch.tensor([4, 5]), torch.tensor([6])], 9)
    assert rows.tolist() == [[4, 5], [9, 6]]
    assert mask.tolist() == [[1, 1], [0, 1]]
    rows, mask = shared.stack_left([torch.ones(1, 3), torch.ones(2, 3)])
    assert rows.sum(dim=-1).tolist() == [[0, 3], [3, 3]]


def test_the_page_says_of_every_class_how_it_takes_a_batch() -> None:
    """The table of docs/models.md, against what the classes are."""
    page = (Path(__file__).parents[2] / "docs" / "models.md").read_text(encoding="utf-8")
    table = page.split("| presets | questions of a batch |")[1].split("\n\n")[0]
    rows = [re.findall(r"`([\w-]+)`", line) for line in table.splitlines()[2:]]
    filled, packed, of_one_length, alone = map(set, rows)
    presets = dict(own_presets())
    assert filled | packed | of_one_length == set(presets)
    assert not filled & (packed | of_one_length)
    assert of_one_length == {name for name, kind in presets.items() if "kind" in vars(kind)}
    assert packed == {name for name, kind in presets.items() if issubclass(kind, Bagel)}
    one_by_one = {"draw", "write"}
    assert alone == {name for name, kind in presets.items() if one_by_one & vars(kind).keys()}
