"""Show-o, whose words its authors' code writes one answer at a time."""

from pathlib import Path
from typing import Any

import pytest
import torch
from models import tiny_show_o
from models.conftest import picture
from models.test_own_unified import BOTH, DRAWN, WRITTEN, failure, size_of

from medgen.adapters.own import shared

pytestmark = pytest.mark.usefixtures("one_thread")


def spoken(model: Any, question: dict[str, Any]) -> str:
    """What `mmu_generate` says of it, as `inference_mmu.py` asks."""
    shared.seed(question)
    heat = question["temperature"]
    row = model._prompt(question)[None]
    said = model._model.mmu_generate(
        row,
        attention_mask=tiny_show_o.mask_for_mmu(row, eoi_id=92),
        max_new_tokens=question["max_tokens"],
        eot_token=torch.tensor([94]),
        **({"temperature": heat} if heat > 0 else {"top_k": 1}),
    )
    ids = [int(token) for token in said]
    return f"said {ids[: ids.index(94)] if 94 in ids else ids}"


def test_it_writes_about_a_picture_and_draws_from_words(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    model = tiny_show_o.make(monkeypatch, tmp_path, "c0ffee")
    seen = model._model.seen
    assert (seen["name"], seen["revision"]) == ("showlab/show-o-512x512", "c0ffee")
    (parts,) = model.reply([BOTH])
    assert parts[0].startswith("said [")
    row = model._prompt(BOTH).tolist()
    # mmu, soi, sixteen codes behind a hundred words, eoi, sot; then USER: … ASSISTANT:
    assert row[:2] == [95, 91]
    assert min(row[2:18]) >= 100
    assert row[18:20] == [92, 93]
    assert (row[20], row[-1]) == (len("USER:"), len("ASSISTANT:"))
    assert (seen["times"], seen["guidance"], seen["schedule"]) == (50, 5.0, "cosine schedule")
    assert size_of(parts[1]) == (4, 4)
    assert model._ask.drawn == ["draw an effusion", ""]
    said = failure(model, WRITTEN | {"images": []})
    assert said == "it answers about a picture, and there is none"


@pytest.mark.parametrize("heat", [0.0, 0.9])
def test_words_in_company_are_those_of_its_authors_loop(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, heat: float
) -> None:
    """Of several lengths, with keys kept, where its authors' code reads all again at every step."""
    model = tiny_show_o.make(monkeypatch, tmp_path)
    longer = "Instruction: what may a longer question be about\n\nAnswer."
    questions = [
        WRITTEN,
        WRITTEN | {"seed": 6, "images": [picture(2)], "instruction": longer},
        WRITTEN | {"seed": 7, "system": "", "instruction": "what?"},
        WRITTEN | {"seed": 8, "images": [picture(3)]},
    ]
    questions = [one | {"temperature": heat} for one in questions]
    seen, alone, steps = model._model.seen, [], []
    for one in questions:
        seen["steps"] = 0
        alone.append(spoken(model, one))
        steps.append(seen["steps"])
    assert min(steps) < max(steps) < 64, "they end, and not at once"
    assert len(set(alone)) == len(alone)
    assert [model.words_for([one])[0] for one in questions] == alone
    for order, wanted in ((questions, alone), (questions[::-1], alone[::-1])):
        seen |= {"steps": 0, "rows": 0}
        assert model.words_for(order) == wanted
        assert (seen["steps"], seen["rows"]) == (max(steps), 4)
    *good, failed = model.words_for([*questions, WRITTEN | {"images": []}])
    assert good == alone
    assert isinstance(failed, ValueError)


def test_it_draws_together_what_it_draws_alone(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    model = tiny_show_o.make(monkeypatch, tmp_path)
    longer = "Instruction: draw a chest with an effusion and a fracture\n\nReturn it."
    questions = [DRAWN, DRAWN | {"seed": 6}, BOTH, DRAWN | {"instruction": longer}]
    alone = [model.reply([one])[0] for one in questions]
    seen = model._model.seen
    assert alone[0] == alone[2][1:], "a picture that is given is not seen when it draws"
    assert len({parts[-1] for parts in alone}) == 3
    seen["calls"] = 0
    mute = WRITTEN | {"images": []}
    *replies, refused = model.reply([*questions, mute])
    assert replies == alone
    assert isinstance(refused, ValueError)
    assert seen["calls"] == 1
