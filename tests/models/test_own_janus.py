"""Both halves of Janus, by transformers' own classes with tiny random weights."""

import io
from pathlib import Path

import numpy as np
import pytest
from models.conftest import picture
from models.test_own_unified import BOTH, DRAWN, WRITTEN, size_of
from models.test_transformers_chat import asked, said
from models.tiny_janus import make_janus
from PIL import Image as Pillow

from medgen.adapters.models.transformers_chat import TransformersChat
from medgen.adapters.own import own_server
from medgen.adapters.own.janus import Janus


@pytest.fixture(scope="module")
def janus(tmp_path_factory: pytest.TempPathFactory) -> Janus:
    return Janus(str(make_janus(tmp_path_factory.mktemp("janus"))), dtype="float32")


@pytest.mark.filterwarnings("ignore::UserWarning", "ignore::FutureWarning")
def test_words_and_pictures_of_a_batch_are_those_of_each_alone(
    janus: Janus, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Prompts of several lengths, with pictures and without, greedy and drawn."""
    short = BOTH | {"max_tokens": 8}
    two = {"images": [picture(1), picture(2)], "seed": 7}
    questions = [
        short,
        short | two | {"instruction": "a longer instruction than the others"},
        short | {"images": [], "instruction": "Instruction: x\n\ny", "seed": 6},
        short | {"temperature": 0.9, "seed": 8},
        short | {"temperature": 0.9, "seed": 9, "images": []},
    ]
    alone = [janus.reply([one])[0] for one in questions]
    assert all(isinstance(parts, list) for parts in alone), alone
    assert len({str(parts) for parts in alone}) == len(alone)
    generate, calls = janus._model.generate, []

    def counted(**given: object) -> object:
        calls.append(given["generation_mode"])
        return generate(**given)

    monkeypatch.setattr(janus._model, "generate", counted)
    assert janus.reply(questions) == alone
    assert calls == ["text", "text", "image"], "greedy and drawn words, and all pictures"


@pytest.mark.filterwarnings("ignore::UserWarning", "ignore::FutureWarning")
def test_it_writes_and_draws_and_each_question_has_its_own_seed(janus: Janus) -> None:
    respond = own_server.respond_with(janus)
    (parts,) = respond([BOTH | {"max_tokens": 6}])
    assert isinstance(parts[0], str)
    assert size_of(parts[1]) == (32, 32)
    (drawn,), (other,) = respond([DRAWN, DRAWN | {"seed": 6}])
    assert drawn != other
    assert respond([DRAWN | {"seed": 6}, DRAWN]) == [[other], [drawn]], "whatever its company"
    assert drawn == parts[1], "a picture that is given is not seen when it draws"
    (again,) = respond([WRITTEN | {"max_tokens": 6}])
    assert again == parts[:1]


def test_a_picture_is_what_its_tokens_decode_to(
    janus: Janus, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole, seen = janus._model.decode_image_tokens, []

    def decode(tokens: object) -> object:
        seen.append(whole(tokens))
        return seen[-1]

    monkeypatch.setattr(janus._model, "decode_image_tokens", decode)
    (data,) = janus.pictures_for([DRAWN])
    eye = janus._ask.image_processor
    shares = seen[0][0].float().numpy() * np.array(eye.image_std) + np.array(eye.image_mean)
    wanted = np.clip(shares * 255, 0, 255)
    found = np.asarray(Pillow.open(io.BytesIO(data)).convert("RGB"), dtype=float)
    assert found.std() > 0
    assert np.abs(found - wanted).max() <= 1.0


def test_pictures_are_tokens_of_what_it_reads(janus: Janus) -> None:
    from medgen.adapters.own import shared

    def tokens(count: int) -> int:
        shown = shared.pictures(WRITTEN | {"images": [picture(at) for at in range(count)]})
        return int(janus._inputs([("what?", shown)], "text")["input_ids"].shape[1])

    assert tokens(2) - tokens(1) == tokens(1) - tokens(0) == 16 + 2  # between its two marks


def test_the_chat_adapter_asks_its_reading_half_in_batches(tmp_path: Path) -> None:
    execution = {"device": "cpu", "batch_size": 3}
    folder = str(make_janus(tmp_path))
    chat = TransformersChat(folder, images=2, dtype="float32", execution=execution)
    chains = [
        [asked("What is it?", picture(1))],
        [asked("Where is the thing?", picture(1), picture(2))],
        [asked("No picture.")],
    ]
    together = chat.chat(chains)
    assert said(together) == [said(chat.chat([chain]))[0] for chain in chains]
    counts = [reply.usage.prompt_tokens for (reply,) in together]
    assert counts[1] > counts[0] > counts[2]
    assert chat.passport()["class"] == "JanusForConditionalGeneration"


def test_what_is_no_model_says_so(tmp_path: Path) -> None:
    with pytest.raises((OSError, ValueError), match=tmp_path.name):
        Janus(str(tmp_path))
