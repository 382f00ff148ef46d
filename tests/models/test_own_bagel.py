"""BAGEL and UniMedVL, whose authors' code answers one at a time and whose model takes several."""

from pathlib import Path
from typing import Any

import pytest
import torch
from models import tiny_bagel
from models.conftest import picture
from models.test_own_unified import BOTH, DRAWN, WRITTEN, size_of
from PIL import Image as Pillow

from medgen.adapters.own import bagel, shared

pytestmark = pytest.mark.usefixtures("one_thread")

NAMES = ("Bagel", "UniMedVL")


def loaded(monkeypatch: pytest.MonkeyPatch, folder: Path, name: str) -> Any:
    """In double precision, so that nothing hangs on how a batch is rounded."""
    model = tiny_bagel.make(monkeypatch, folder, name)(str(folder), device="cpu")
    model._ask.model.double()
    return model


def some(heat: float = 0.0) -> list[dict[str, Any]]:
    """With two pictures, one and none, of several sizes and lengths."""
    longer = "Instruction: draw a far longer thing than the others\n\nReturn both."
    two = [picture(2, (64, 32)), picture(3, (32, 32))]
    questions = [
        BOTH,
        BOTH | {"images": [], "seed": 6, "instruction": "Instruction: x\n\ny"},
        BOTH | {"images": two, "seed": 7, "instruction": longer},
        BOTH | {"images": [picture(4, (96, 40))], "seed": 8, "system": ""},
        BOTH | {"images": [], "seed": 9},
    ]
    return [one | {"temperature": heat} for one in questions]


def spoken(model: Any, question: dict[str, Any]) -> str:
    """What the authors' own code says, with the question's seed."""
    shared.seed(question)
    heat = question["temperature"]
    (said,) = model._ask.interleave_inference(
        [*shared.pictures(question), shared.words(question)],
        understanding_output=True,
        max_think_token_n=question["max_tokens"],
        do_sample=heat > 0,
        text_temperature=heat or 1.0,
    )
    return str(said)


def drawn(model: Any, question: dict[str, Any]) -> bytes:
    """What the authors' own code draws; in UniMedVL's script the model's words join an edit's."""
    shared.seed(question)
    shown, order = shared.pictures(question), shared.order(question)
    ask, size = model._ask, (1024, 1024)
    if shown and isinstance(model, bagel.UniMedVL):
        (said,) = ask.interleave_inference(
            [*shown, order], understanding_output=True, do_sample=False, max_think_token_n=800
        )
        order = f"{order}\n\n{said}"
        size = ask._calculate_target_size_with_aspect_ratio(*shown[0].size)
    how = bagel._EDITED if shown else bagel._DRAWN
    (made,) = ask.interleave_inference([*shown, order], image_shapes=size, **how)
    return shared.png(made)


@pytest.mark.parametrize("name", NAMES)
def test_they_load_as_their_authors_scripts_do(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, name: str
) -> None:
    kind = tiny_bagel.make(monkeypatch, tmp_path, name)
    with pytest.raises(ValueError, match="loads a folder"):
        kind("somebody/model", revision="c0ffee")
    ask = kind(str(tmp_path), device="cpu")._ask
    medical = name == "UniMedVL"
    assert (ask.vae_transform.sides, ask.vit_transform.sides) == (
        ((1024, 32, 16), (980, 387, 14)) if medical else ((1024, 512, 16), (980, 224, 14))
    )
    config = ask.model.config
    assert (config.words.qk_norm, config.words.layer_module) == (True, "Qwen2MoTDecoderLayer")
    assert (config.sight.num_hidden_layers, config.most) == (26, 64)
    assert {one.dtype for one in ask.model.parameters()} == {torch.bfloat16}
    assert (ask.vae_model.weight.dtype, float(ask.vae_model.weight.detach().sum())) == (
        torch.bfloat16,
        12.0,
    )
    assert ask.model.vit_model.linear is True


@pytest.mark.parametrize("heat", [0.0, 0.9])
@pytest.mark.parametrize("name", NAMES)
def test_words_in_company_are_those_of_one_talk(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, name: str, heat: float
) -> None:
    """Also where the first answer ends first, where the authors' loop ends."""
    model = loaded(monkeypatch, tmp_path, name)
    whole, questions = model._ask.model, some(heat)
    alone, steps = [], []
    for one in questions:
        whole.steps = 0
        alone.append(spoken(model, one))
        steps.append(whole.steps)
    assert min(steps) < max(steps) < BOTH["max_tokens"] - 1, "they end, and not at once"
    assert len(set(alone)) == len(alone)
    assert [model.words_for([one])[0] for one in questions] == alone
    whole.calls.clear()
    for order, wanted in ((questions, alone), (questions[::-1], alone[::-1])):
        whole.steps = 0
        assert model.words_for(order) == wanted
        assert whole.steps == max(steps), "no step is made after the last has ended"
    assert whole.calls == [("words", 5)] * 2


@pytest.mark.parametrize("name", NAMES)
def test_pictures_in_company_are_those_of_one_talk(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, name: str
) -> None:
    """Guidance "global" is scaled by a norm over all that is packed, which hangs on company."""
    model = loaded(monkeypatch, tmp_path, name)
    whole, questions = model._ask.model, some()
    alone = [drawn(model, one) for one in questions]
    assert [model.pictures_for([one])[0] for one in questions] == alone
    assert len(set(alone)) == len(alone)
    assert len({size_of(one) for one in alone}) == 4
    whole.calls.clear()
    assert model.pictures_for(questions) == alone
    words = [("words", 3)] if name == "UniMedVL" else []
    assert whole.calls == [*words, ("text_channel", 3), ("global", 2)]
    assert model.pictures_for([questions[4] | {"seed": 1}]) != alone[4:]


def test_a_picture_that_cannot_be_read_fails_alone(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    model = loaded(monkeypatch, tmp_path, "UniMedVL")
    good, bad = [BOTH, DRAWN, WRITTEN], BOTH | {"images": [b"no picture"]}
    alone = [model.reply([one])[0] for one in good]
    *replies, failed = model.reply([*good, bad])
    assert replies == alone
    assert isinstance(failed, Pillow.UnidentifiedImageError)
