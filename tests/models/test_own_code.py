"""Models that only their authors' code runs: served in batches, from an environment of theirs."""

import base64
import io
import subprocess
import venv
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from models.conftest import picture
from models.toy_own_code import Mute
from PIL import Image as Pillow

from medgen.adapters.models import managed_server
from medgen.adapters.models.managed_server import ManagedServer
from medgen.adapters.own import own_server
from medgen.engine.data import Image, Request, Sample
from medgen.engine.errors import AdapterError, EngineDied

HERE = Path(__file__).parent
NAME = "./weights/toy"
QUICK = {"concurrency": 8, "backoff_s": 0.01, "backoff_max_s": 0.02, "timeout_s": 20.0}


@pytest.fixture(scope="module")
def bare(tmp_path_factory: pytest.TempPathFactory) -> str:
    """An interpreter with the standard library alone."""
    folder = tmp_path_factory.mktemp("bare")
    venv.create(folder, with_pip=False, symlinks=True)
    return str(folder / "bin" / "python")


@pytest.fixture
def serve(bare: str) -> Iterator[Callable[..., ManagedServer]]:
    opened: list[ManagedServer] = []

    def start(kind: str, inner: dict[str, Any], *options: str, most: int = 8) -> ManagedServer:
        command = [
            *("{python}", "{own}/own_server.py", f"toy_own_code:{kind}", "--model", "{model}"),
            *("--revision", "{revision}", "--port", "{port}", "--batch", "{batch_size}", *options),
        ]
        run = {"python": bare, "start_timeout_s": 60.0, "grace_s": 2.0, "cwd": str(HERE)}
        run |= {"batch_size": most}
        one = ManagedServer(command, inner, model=NAME, revision="c0ffee", execution=run)
        opened.append(one)
        return one

    yield start
    for one in opened:
        one.close()


def reads() -> dict[str, Any]:
    chat = {"model": NAME, "structured": "none", "endpoint": QUICK}
    style = {"mode": "vqa", "prompt": "answer/1", "images": 2, "constrained": False}
    inner = {"target": "openai", "kwargs": chat}
    return {"target": "answers", "kwargs": {"style": style, "chat": inner}}


def asked(*words: str) -> list[Request]:
    shown = (Image(picture(1), "in.png"),)
    return [
        Request(Sample(f"s{i}", "text", "question-answering", "CT", text, input_images=shown))
        for i, text in enumerate(words)
    ]


def test_a_class_of_authors_answers_in_batches_from_its_own_environment(
    serve: Callable[..., ManagedServer],
) -> None:
    """What one question raises is its own row; a device that failed ends the server, and no row."""
    server = serve("Reader", reads(), most=4)
    rows = server.predict(asked(*"abcdefgh"))
    assert [row.status for row in rows] == ["ok"] * 8
    assert all(row.text and row.text.startswith(f"{NAME}@c0ffee 1 pictures") for row in rows)
    assert max(int(str(row.text).split()[-1]) for row in rows) in range(2, 5)
    passport = server.passport()
    assert passport["server"]["environment"]["packages"] == []
    assert len(passport["server"]["own_code_sha256"]) == 64
    assert "{model}" in passport["server"]["command"]
    rows = server.predict(asked("a", "bad", "c"))
    assert [row.status for row in rows] == ["ok", "model_error", "ok"]
    assert "one that it cannot read" in rows[1].reason
    with pytest.raises(EngineDied, match="illegal memory access"):
        server.predict(asked("device"))


def test_a_batch_that_is_too_large_is_halved_and_stays_so(
    serve: Callable[..., ManagedServer],
) -> None:
    """The toy runs out of memory above two questions, and says how large each call was."""
    server = serve("Hungry", reads(), most=8)
    rows = server.predict(asked(*"abcdefgh"))
    assert [row.status for row in rows] == ["ok"] * 8, [row.reason for row in rows]
    sizes = [list(map(int, str(row.text).split())) for row in server.predict(asked(*"ab"))]
    tried = max(sizes, key=len)
    assert max(tried) in range(3, 9), "it was tried with more than it can hold"
    after = tried[len(tried) - tried[::-1].index(max(tried)) :]
    assert after, "what failed was asked again"
    assert max(after) <= (max(tried) + 1) // 2, "and later calls were no larger than its halves"


def test_a_class_of_one_question_at_a_time_gets_one(serve: Callable[..., ManagedServer]) -> None:
    rows = serve("Single", reads()).predict(asked("a", "bad", "c", "d"))
    assert [row.status for row in rows] == ["ok", "model_error", "ok", "ok"]
    assert {str(row.text).split()[-1] for row in rows if row.text} == {"1"}


def test_as_many_are_asked_at_once_as_are_answered_together() -> None:
    chat = {"target": "openai", "kwargs": {"endpoint": {"concurrency": 2}}}
    inner = {"target": "answers", "kwargs": {"chat": chat}}
    for least, wanted in ((16, 16), (1, 2)):
        made = managed_server._reaching(inner, "http://127.0.0.1:1/v1", least)
        assert made["kwargs"]["chat"]["kwargs"]["endpoint"]["concurrency"] == wanted


def test_words_and_pictures_come_back_in_their_order(serve: Callable[..., ManagedServer]) -> None:
    inner = {"target": "unified-chat", "kwargs": {"model": NAME, "endpoint": QUICK}}
    sample = Sample("s", "image+text", "instruction-editing", "CT", "draw")
    (row,) = serve("Painter", inner).predict([Request(sample)])
    assert (row.status, row.details["order"]) == ("ok", ["text", "image", "text"])
    assert Pillow.open(io.BytesIO(row.images[0].data)).size == (16, 16)


def test_a_class_that_cannot_be_loaded_says_why(serve: Callable[..., ManagedServer]) -> None:
    with pytest.raises(AdapterError, match="no such shard"):
        serve("Reader", reads(), "--load", '{"fail": "no such shard"}')
    with pytest.raises(TypeError, match=r"Mute offers neither reply\(questions\) nor answer"):
        own_server.respond_with(Mute(NAME))


def turn(role: str, *parts: Any) -> dict[str, Any]:
    return {"role": role, "content": list(parts)}


def link(url: str) -> dict[str, Any]:
    return {"type": "image_url", "image_url": {"url": url}}


@pytest.mark.parametrize(
    ("messages", "words"),
    [
        ([turn("user"), turn("assistant"), turn("user")], "one question"),
        ([turn("tool"), turn("user")], "one question"),
        ([turn("user", link("https://host/a.png"))], "data URL"),
        ([turn("user", link("data:image/png;base64,!!"))], "not base64"),
    ],
)
def test_what_is_no_single_question_is_refused(messages: list[Any], words: str) -> None:
    with pytest.raises(own_server.Refused, match=words):
        own_server.read_question({"messages": messages})


def test_a_question_keeps_its_words_and_pictures_in_order() -> None:
    data = base64.b64encode(b"x").decode()
    parts = (link(f"data:image/png;base64,{data}"), {"type": "text", "text": "what?"})
    body = {"messages": [{"role": "system", "content": "you"}, turn("user", *parts)], "seed": 3}
    found = own_server.read_question(body)
    assert (found["system"], found["instruction"], found["images"]) == ("you", "what?", [b"x"])
    assert (found["seed"], found["max_tokens"], found["temperature"]) == (3, 512, 0.0)


def test_the_classes_need_nothing_when_they_are_imported(bare: str) -> None:
    """Any environment can read them; what they want is asked for when a model is loaded."""
    folder = Path(own_server.__file__).parent
    names = sorted(file.stem for file in folder.glob("*.py") if file.stem != "__init__")
    code = "import sys; sys.path.insert(0, sys.argv[1]); import own_server, importlib\n"
    code += "name = own_server._stand_in()\n"
    code += "[importlib.import_module(f'{name}.{one}') for one in sys.argv[2:]]"
    subprocess.run([bare, "-c", code, str(folder), *names], check=True, timeout=60)


QUESTION = {
    "system": "you read",
    "instruction": "what is it?",
    "images": [picture(1)],
    "seed": 5,
    "max_tokens": 64,
    "temperature": 0.0,
}


def test_a_draw_is_greedy_only_where_that_was_asked() -> None:
    from medgen.adapters.own import shared

    drawn = SimpleNamespace(**shared.drawing(QUESTION | {"temperature": 0.5}))
    assert (drawn.do_sample, drawn.temperature, drawn.max_new_tokens) == (True, 0.5, 64)
    assert shared.words({"system": "", "instruction": "b"}) == "b"
