import base64
import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from models.loopback import Answer, Asked, serve

from medgen.adapters.models.unified import UnifiedChat, UnifiedInProcess
from medgen.engine.data import Asks, Image, Request, Sample
from medgen.engine.errors import AdapterError, ConfigError

Samples = Callable[..., list[Sample]]
QUICK = {"backoff_s": 0.01, "backoff_max_s": 0.02, "timeout_s": 2.0, "attempts": 2}
TOY = "models.toy_unified:Toy"


def link(data: bytes) -> str:
    return "data:image/png;base64," + base64.b64encode(data).decode()


def part(data: bytes) -> dict[str, Any]:
    return {"type": "image_url", "image_url": {"url": link(data)}}


def words(text: str) -> dict[str, str]:
    return {"type": "text", "text": text}


def completion(message: dict[str, Any], ended: str = "stop") -> dict[str, Any]:
    usage = {"prompt_tokens": 300, "completion_tokens": 1290}
    choice = {"index": 0, "message": {"role": "assistant", **message}, "finish_reason": ended}
    return {"object": "chat.completion", "choices": [choice], "usage": usage}


@pytest.fixture
def chat() -> Iterator[Callable[..., UnifiedChat]]:
    opened: list[UnifiedChat] = []

    def make(url: str, **changes: Any) -> UnifiedChat:
        endpoint = {"base_url": f"{url}/v1", **QUICK}
        opened.append(UnifiedChat("both", endpoint=endpoint, **changes))
        return opened[-1]

    yield make
    for one in opened:
        one.close()


def one(kind: Asks, noise: Callable[..., bytes], count: int = 1) -> Sample:
    given = tuple(Image(noise(i)) for i in range(count))
    return Sample("u1", kind, "instruction-editing", "CT", "add a lesion", input_images=given)


@pytest.mark.parametrize("shape", ["parts", "images", "markdown", "part with a bare url"])
def test_words_and_pictures_are_found_in_every_shape(
    chat: Callable[..., UnifiedChat], noise: Callable[..., bytes], shape: str
) -> None:
    first, second = noise(1), noise(2)
    messages: dict[str, dict[str, Any]] = {
        "parts": {"content": [words("One."), part(first), words("Two."), part(second)]},
        "images": {"content": "One.\n\nTwo.", "images": [part(first), part(second)]},
        "markdown": {"content": f"One.\n![a]({link(first)})\nTwo.\n![b]({link(second)})"},
        "part with a bare url": {
            "content": [
                words("One."),
                {"image_url": link(first)},
                words("Two."),
                {"type": "image_url", "image_url": link(second)},
            ]
        },
    }
    with serve(lambda _: Answer(completion(messages[shape]))) as server:
        (row,) = chat(server.url).predict([Request(one("image+text", noise))])
    assert (row.status, row.text) == ("ok", "One.\n\nTwo.")
    assert [i.data for i in row.images] == [first, second]
    assert row.details["image_count"] == 2
    together = shape == "images"
    order = ["text", "image", "image"] if together else ["text", "image"] * 2
    assert row.details["order"] == order
    assert (row.usage.prompt_tokens, row.usage.completion_tokens) == (300, 1290)


def test_the_request_asks_for_both(
    chat: Callable[..., UnifiedChat], noise: Callable[..., bytes]
) -> None:
    sample = one("image", noise, 2)
    with serve(lambda _: Answer(completion({"content": [part(noise(9))]}))) as server:
        many = chat(server.url, body={"temperature": None, "steps": 30})
        few = chat(server.url, style={"images": 1, "sampling": {"seed": 4}})
        rows = [m.predict([Request(sample)])[0] for m in (many, few)]
        first, second = (a.json() for a in server.asked)
    assert [r.status for r in rows] == ["ok", "ok"]
    assert first["modalities"] == ["text", "image"]
    assert (first["steps"], "temperature" in first) == (30, False)
    assert first["seed"] != second["seed"]
    user = first["messages"][1]["content"]
    assert [p["type"] for p in user] == ["image_url", "image_url", "text"]
    assert "add a lesion" in user[-1]["text"]
    assert "edited picture" in user[-1]["text"]
    assert [p["type"] for p in second["messages"][1]["content"]] == ["image_url", "text"]


@pytest.mark.parametrize(
    ("kind", "message", "ended", "status"),
    [
        ("text", {"content": "B. It is a cyst."}, "stop", "ok"),
        ("text", {"content": "B.", "images": [{"image_url": "junk"}]}, "stop", "ok"),
        ("text", {"content": [{"type": "image_url", "image_url": "junk"}]}, "stop", "model_error"),
        ("image", {"content": "I cannot edit medical images."}, "stop", "refused"),
        ("image", {"content": "Here is how it would look."}, "stop", "invalid_image"),
        ("image", {"content": "Done.", "refusal": "no"}, "stop", "refused"),
        ("image", {"content": None}, "content_filter", "refused"),
        ("image", {"content": "Begins and then"}, "length", "truncated"),
        (
            "image",
            {"content": [{"type": "image_url", "image_url": {"url": "junk"}}]},
            "stop",
            "invalid_image",
        ),
        ("image", {"content": [{"type": "image_url"}]}, "stop", "invalid_image"),
        ("image", {"content": [7]}, "stop", "model_error"),
    ],
)
def test_a_half_that_is_missing_decides_the_status(
    chat: Callable[..., UnifiedChat],
    noise: Callable[..., bytes],
    kind: Asks,
    message: dict[str, Any],
    ended: str,
    status: str,
) -> None:
    with serve(lambda _: Answer(completion(message, ended))) as server:
        (row,) = chat(server.url).predict([Request(one(kind, noise))])
    assert row.status == status, row.reason
    assert bool(row.reason) == (status != "ok")


def test_pictures_without_words_are_half_an_answer_to_a_generation(
    chat: Callable[..., UnifiedChat], noise: Callable[..., bytes]
) -> None:
    with serve(lambda _: Answer(completion({"content": [part(noise(3))]}))) as server:
        generation, editing = (
            chat(server.url).predict([Request(one(kind, noise))])[0]
            for kind in ("image+text", "image")
        )
    assert (generation.status, editing.status) == ("model_error", "ok")
    assert generation.images == editing.images


def test_server_failures_are_rows(
    chat: Callable[..., UnifiedChat], editing_samples: Samples, noise: Callable[..., bytes]
) -> None:
    def script(asked: Asked) -> Answer:
        text = asked.json()["messages"][1]["content"][-1]["text"]
        if "number 1" in text:
            return Answer(b"oops", 500)
        if "number 2" in text:
            return Answer({"error": {"code": "content_policy_violation"}}, 400)
        if "number 3" in text:
            return Answer(b"not json")
        return Answer(completion({"content": [part(noise(3))]}))

    with serve(script) as server:
        rows = chat(server.url).predict([Request(s) for s in editing_samples(5)])
    assert [r.status for r in rows] == ["ok", "unreachable", "refused", "model_error", "ok"]


def test_a_picture_that_cannot_be_sent_is_a_row(
    chat: Callable[..., UnifiedChat], noise: Callable[..., bytes]
) -> None:
    bad = Sample("b", "image", "t", "CT", "do", input_images=(Image(b"no picture"),))
    with serve(lambda _: Answer(completion({"content": [part(noise(3))]}))) as server:
        rows = chat(server.url).predict([Request(bad), Request(one("image", noise))])
        assert len(server.asked) == 1
    assert [r.status for r in rows] == ["model_error", "ok"]
    assert rows[0].reason.startswith("input: ")


def test_a_class_of_ones_own_is_a_system(editing_samples: Samples) -> None:
    unified = UnifiedInProcess(TOY, "somewhere", load={"size": 16})
    samples = editing_samples(1)
    (row,) = unified.predict([Request(samples[0])])
    assert (row.status, row.text) == ("ok", "Before it.\n\nAfter it.")
    assert row.details["order"] == ["text", "image", "text", "image"]
    assert row.details["image_count"] == len(row.images) == 2
    assert row.details["images"][0]["cases"] == ["wrong_size"]
    assert unified.predict([Request(samples[0])])[0].images == row.images
    json.dumps(unified.passport())


def test_what_its_model_raises_is_a_row(
    editing_samples: Samples, caplog: pytest.LogCaptureFixture
) -> None:
    samples = editing_samples(3)
    unified = UnifiedInProcess(TOY, "somewhere")
    rows = unified.predict([Request(s) for s in samples[:2]])
    assert [r.status for r in rows] == ["ok", "model_error"]
    assert "cannot take" in rows[1].reason
    assert f"sample {samples[1].id}: " in caplog.text
    assert "Traceback" in caplog.text
    with pytest.raises(AdapterError, match="gone for good"):
        unified.predict([Request(samples[2])])


@pytest.mark.parametrize(
    ("target", "model", "error"),
    [
        ("models.toy_unified:Nobody", "m", ConfigError),
        ("no_such_module:Toy", "m", ConfigError),
        ("", "m", ConfigError),
        (TOY, "missing", AdapterError),
    ],
)
def test_a_model_that_cannot_be_loaded_says_so(
    target: str, model: str, error: type[Exception]
) -> None:
    with pytest.raises(error):
        UnifiedInProcess(target, model)


@pytest.mark.parametrize(
    "style", [{"prompt": "unified/0"}, {"sampling": {"heat": 1}}, {"image": 1}]
)
def test_a_wrong_style_is_refused(style: dict[str, Any]) -> None:
    with pytest.raises(ConfigError):
        UnifiedInProcess(TOY, "m", style=style)
