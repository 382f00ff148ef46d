"""Classes around authors' code that write and draw, tried against stand-ins of that code."""

import io
from collections.abc import Callable, Iterator
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest
import torch
from models.conftest import picture
from models.loopback import Answer, Asked, serve
from models.test_own_code import QUICK
from PIL import Image as Pillow

from medgen.adapters.models.managed_server import ManagedServer
from medgen.adapters.models.unified import UnifiedChat
from medgen.adapters.own import own_server, shared
from medgen.conf.loading import group_names, member
from medgen.engine.data import Asks, Image, Request, Sample

BOTH = {
    "system": "you read",
    "instruction": "Context: old\n\nInstruction: draw an effusion\n\nReturn both.",
    "images": [picture(1, (40, 72))],
    "seed": 5,
    "max_tokens": 64,
    "temperature": 0.0,
    "modalities": ["text", "image"],
}
DRAWN = BOTH | {"images": [], "modalities": ["image"]}
WRITTEN = BOTH | {"modalities": ["text"]}


def size_of(data: str | bytes) -> tuple[int, int]:
    assert isinstance(data, bytes)
    return Pillow.open(io.BytesIO(data)).size


def failure(model: Any, question: dict[str, Any]) -> str:
    """What a question is told in place of its reply."""
    (err,) = model.reply([question])
    assert isinstance(err, ValueError)
    return str(err)


@pytest.mark.parametrize(
    ("asks", "style", "wanted"),
    [
        ("text", {"modalities": "asked"}, ["text"]),
        ("image", {"modalities": "asked"}, ["image"]),
        ("image+text", {"modalities": "asked"}, ["text", "image"]),
        ("text", {}, ["text", "image"]),
    ],
)
def test_a_server_is_told_what_the_answer_is_made_of(
    asks: Asks, style: dict[str, str], wanted: list[str]
) -> None:
    bodies: list[Any] = []

    def answer(asked: Asked) -> Answer:
        bodies.append(asked.json())
        return Answer(own_server.completion("m", ["words"]))

    with serve(answer) as server:
        endpoint = {"base_url": f"{server.url}/v1", **QUICK}
        chat = UnifiedChat("m", endpoint=endpoint, style=style)
        chat.predict([Request(Sample("s", asks, "t", "CT", "draw"))])
        chat.close()
    assert bodies[0]["modalities"] == wanted
    assert own_server.read_question(bodies[0])["modalities"] == wanted


def test_an_order_is_taken_out_of_what_stands_around_it() -> None:
    assert shared.order(BOTH) == "draw an effusion"
    assert shared.order({"instruction": "Instruction: one\n\ntwo\n\nReturn it."}) == "one\n\ntwo"
    assert shared.order({"instruction": "Image 1:\nInstruction: one"}) == "one"
    assert shared.order({"instruction": "what is it?"}) == "what is it?"


def test_authors_code_reads_tensors_alone_from_pickles(tmp_path: Path) -> None:
    class Harm:
        def __reduce__(self) -> tuple[Callable[..., Any], tuple[Any, ...]]:
            return (Path.touch, (tmp_path / "done",))

    torch.save({"a": torch.ones(1), "b": Harm()}, tmp_path / "bad.bin")
    torch.save({"a": torch.ones(1)}, tmp_path / "good.bin")
    whole = torch.load
    with shared.plain_weights():
        assert torch.load(tmp_path / "good.bin", weights_only=False)["a"] == 1
        with pytest.raises(Exception, match=r"[Ww]eights_only|Unsupported"):
            torch.load(tmp_path / "bad.bin", weights_only=False)
    assert torch.load is whole
    assert not (tmp_path / "done").exists()


def own_presets() -> Iterator[tuple[str, type]]:
    """The presets that `own_server.py` serves, and the class of each."""
    for name in group_names("system"):
        answer = member("system", name).get("answer")
        kwargs = answer.get("kwargs", {}) if isinstance(answer, dict) else {}
        command = list(kwargs.get("command") or ())
        if "{own}/own_server.py" in command:
            module, _, kind = command[command.index("{own}/own_server.py") + 1].partition(":")
            yield name, getattr(import_module(f"medgen.adapters.own.{module}"), kind)


def test_every_preset_of_own_code_names_a_class_that_gives_what_is_asked_of_it() -> None:
    """One that is spoken to as unified must offer `reply`, any other `answer`."""
    found = dict(own_presets())
    for name, offered in found.items():
        kwargs = member("system", name)["answer"]["kwargs"]
        unified = kwargs["inner"]["target"] == "unified-chat"
        assert callable(getattr(offered, "reply" if unified else "answer")), name
        assert {"{model}", "{revision}", "{port}", "{batch_size}"} <= set(kwargs["command"]), name
    assert len(found) >= 17


def test_a_folder_is_found_by_a_server_that_runs_elsewhere(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "models" / "toy").mkdir(parents=True)
    (tmp_path / "models" / "toy" / "weights.bin").write_bytes(b"1")
    monkeypatch.chdir(tmp_path)
    here = str(Path(__file__).parent)
    command = ["{python}", "{own}/own_server.py", "toy_own_code:Reader", "--model", "{model}"]
    style = {"mode": "vqa", "prompt": "answer/1", "images": 2, "constrained": False}
    chat = {"model": "./models/toy", "structured": "none", "endpoint": QUICK}
    inner = {"style": style, "chat": {"target": "openai", "kwargs": chat}}
    server = ManagedServer(
        [*command, "--port", "{port}"],
        {"target": "answers", "kwargs": inner},
        model="./models/toy",
        execution={"cwd": here, "start_timeout_s": 60.0, "grace_s": 2.0},
    )
    try:
        shown = (Image(picture(1), "in.png"),)
        sample = Sample("s", "text", "question-answering", "CT", "what?", input_images=shown)
        (row,) = server.predict([Request(sample)])
        assert row.status == "ok", row.reason
        assert str(row.text).startswith(f"{tmp_path}/models/toy@")
        assert len(server.passport()["folder_sha256"]) == 64
    finally:
        server.close()
