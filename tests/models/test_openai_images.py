import base64
import functools
import io
import json
from collections.abc import Callable, Iterator
from email.message import Message
from email.parser import BytesParser
from email.policy import HTTP
from typing import Any

import pytest
from models.loopback import Answer, Asked, serve
from PIL import Image as Pillow

from medgen.adapters.models.openai_images import OpenAIImages
from medgen.engine.data import Image, Prediction, Request, Sample
from medgen.engine.errors import ConfigError, SpendingError

Samples = Callable[..., list[Sample]]
QUICK: dict[str, Any] = {
    "backoff_s": 0.01,
    "backoff_max_s": 0.02,
    "timeout_s": 2.0,
    "timeout_attempts": 1,
    "attempts": 2,
    "retry_after_max_s": 5.0,
}


def as_json(data: bytes) -> dict[str, Any]:
    return {"created": 1, "data": [{"b64_json": base64.b64encode(data).decode()}]}


@functools.cache
def huge_png() -> bytes:
    """40,000 x 40,000 black pixels, for real: a few hundred KiB of zlib."""
    import struct
    import zlib

    def chunk(name: bytes, body: bytes) -> bytes:
        check = struct.pack(">I", zlib.crc32(name + body))
        return struct.pack(">I", len(body)) + name + body + check

    side, packer = 40_000, zlib.compressobj(1)
    row = b"\0" * (side // 8 + 1)  # one bit a pixel keeps the test quick
    body = b"".join([*(packer.compress(row) for _ in range(side)), packer.flush()])
    header = struct.pack(">IIBBBBB", side, side, 1, 0, 0, 0, 0)
    parts = [chunk(b"IHDR", header), chunk(b"IDAT", body), chunk(b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(parts)


@pytest.fixture
def images() -> Iterator[Callable[..., OpenAIImages]]:
    opened: list[OpenAIImages] = []

    def make(url: str, mode: str = "edit", **changes: Any) -> OpenAIImages:
        endpoint = {"base_url": f"{url}/v1", **QUICK, **changes.pop("endpoint", {})}
        opened.append(OpenAIImages("painter", mode, endpoint=endpoint, **changes))  # type: ignore[arg-type]
        return opened[-1]

    yield make
    for one in opened:
        one.close()


def form(asked: Asked) -> dict[str, list[Message]]:
    """The parts of a multipart body by name."""
    head = f"Content-Type: {asked.headers['Content-Type']}\r\n\r\n".encode()
    parts: dict[str, list[Message]] = {}
    for part in BytesParser(policy=HTTP).parsebytes(head + asked.body).iter_parts():  # type: ignore[attr-defined]
        parts.setdefault(part.get_param("name", header="content-disposition"), []).append(part)
    return parts


def text_of(part: Message) -> str:
    return bytes(part.get_payload(decode=True)).decode()  # type: ignore[arg-type]


def prompt_of(asked: Asked) -> str:
    if asked.path.endswith("generations"):
        return str(asked.json()["prompt"])
    return text_of(form(asked)["prompt"][0])


def test_a_generation_sends_the_prompt_and_a_seed(
    images: Callable[..., OpenAIImages], editing_samples: Samples, noise: Callable[..., bytes]
) -> None:
    samples = editing_samples(3)
    with serve(lambda _: Answer(as_json(noise(7)))) as server:
        painter = images(server.url, "generate", size="32x32", extra={"steps": 4})
        rows = painter.predict([Request(s) for s in samples])
        bodies = {a.json()["prompt"]: a.json() for a in server.asked}
        assert {a.path for a in server.asked} == {"/v1/images/generations"}
    assert [r.status for r in rows] == ["ok"] * 3
    assert rows[0].images == (Image(noise(7), "s000-0"),)
    assert set(bodies) == {s.instruction for s in samples}
    body = bodies[samples[1].instruction]
    assert (body["model"], body["n"], body["size"], body["steps"]) == ("painter", 1, "32x32", 4)
    assert body["seed"] == rows[1].details["seed"]
    assert len({b["seed"] for b in bodies.values()}) == 3
    assert "response_format" not in body


def test_an_edit_uploads_the_picture(
    images: Callable[..., OpenAIImages], editing_samples: Samples, noise: Callable[..., bytes]
) -> None:
    (sample,) = editing_samples(1)
    answer = Prediction(sample.id, image_prompt="mark the lesion in red")
    with serve(lambda _: Answer(as_json(noise(7)))) as server:
        painter = images(server.url, seed=None, extra={"quality": "high", "strength": 0.5})
        (row,) = painter.predict([Request(sample, answer)])
        sent = form(server.asked[0])
    assert row.status == "ok"
    assert row.image_prompt == text_of(sent["prompt"][0]) == "mark the lesion in red"
    assert sent["image"][0].get_payload(decode=True) == sample.input_images[0].data
    assert sent["image"][0].get_content_type() == "image/png"
    assert (text_of(sent["quality"][0]), text_of(sent["strength"][0])) == ("high", "0.5")
    assert "seed" not in sent


def test_several_pictures_go_up_as_they_are_or_as_one_sheet(
    images: Callable[..., OpenAIImages], noise: Callable[..., bytes]
) -> None:
    given = tuple(Image(noise(i)) for i in range(3))
    sample = Sample("m", "image", "style-transfer", "CT", "merge", input_images=given)
    with serve(lambda _: Answer(as_json(noise(7)))) as server:
        images(server.url, image_field="image[]", images=4).predict([Request(sample)])
        images(server.url).predict([Request(sample)])
        several, sheet = (form(a) for a in server.asked)
    assert [p.get_payload(decode=True) for p in several["image[]"]] == [i.data for i in given]
    (one,) = sheet["image"]
    assert Pillow.open(io.BytesIO(one.get_payload(decode=True))).width > 32  # type: ignore[arg-type]


def test_an_edit_may_carry_its_pictures_inside(
    images: Callable[..., OpenAIImages], noise: Callable[..., bytes]
) -> None:
    given = tuple(Image(noise(i)) for i in range(2))
    two = Sample("m", "image", "style-transfer", "CT", "merge", input_images=given)
    one = Sample("n", "image", "style-transfer", "CT", "mend", input_images=given[:1])
    with serve(lambda _: Answer(as_json(noise(7)))) as server:
        painter = images(server.url, "edit_inline", images=2)
        assert [r.status for r in painter.predict([Request(two), Request(one)])] == ["ok", "ok"]
        assert {a.path for a in server.asked} == {"/v1/images/generations"}
        sent = {a.json()["prompt"]: a.json()["image"] for a in server.asked}
    links = ["data:image/png;base64," + base64.b64encode(i.data).decode() for i in given]
    assert sent == {"merge": links, "mend": links[0]}


def misbehave(asked: Asked, good: bytes, seen: dict[str, int], url: str) -> Answer:
    """One fault for each sample, chosen by the last word of its instruction."""
    if asked.method == "GET":
        return Answer(good, headers={"Content-Type": "image/png"})
    fault = prompt_of(asked).rpartition(" ")[2]
    seen[fault] = seen.get(fault, 0) + 1
    if fault == "busy-once" and seen[fault] == 2:
        return Answer(as_json(good))
    answers = {
        "good": Answer(as_json(good)),
        "busy-once": Answer(b"slow down", 429, {"Retry-After": "0.05"}),
        "busy": Answer(b"slow down", 429),
        "broken": Answer(b"Internal Server Error", 500),
        "hangs": Answer(as_json(good), pause_s=6.0),
        "hangs-up": Answer(as_json(good), hang_up_after=40),
        "truncated": Answer(as_json(good[:-500])),
        "text": Answer(
            b"I am afraid I can only describe it.", headers={"Content-Type": "text/plain"}
        ),
        "text-in-json": Answer({"data": [{"b64_json": "a description of the picture"}]}),
        "text-as-base64": Answer(as_json(b"a description of the picture")),
        "bomb": Answer(as_json(huge_png())),
        "nothing": Answer({"data": []}),
        "refused": Answer({"error": {"code": "moderation_blocked", "message": "no"}}, 400),
        "refused-in-data": Answer(
            {"data": [{"error": {"code": "OutputImageSensitiveContentDetected"}}]}
        ),
        "bad-request": Answer({"error": {"message": "size"}}, 400),
        "elsewhere": Answer({"data": [{"url": "http://192.0.2.1/picture.png"}]}),
        "link": Answer({"data": [{"url": f"{url}/picture.png"}]}),
        "raw": Answer(good, headers={"Content-Type": "image/png"}),
        "data-url": Answer(
            {"data": [{"url": "data:image/png;base64," + base64.b64encode(good).decode()}]}
        ),
    }
    return answers[fault]


RIGHT = {
    "good": ("ok", ""),
    "busy-once": ("ok", ""),
    "busy": ("unreachable", "HTTP 429"),
    "broken": ("unreachable", "HTTP 500"),
    "hangs": ("timeout", "no whole reply within 2 s"),
    "hangs-up": ("unreachable", "peer closed connection"),
    "truncated": ("invalid_image", "damaged"),
    "text": ("invalid_image", "reply is not the JSON"),
    "text-in-json": ("invalid_image", "not_an_image"),
    "text-as-base64": ("invalid_image", "not_an_image"),
    "bomb": ("invalid_image", "oversized"),
    "nothing": ("invalid_image", "no picture"),
    "refused": ("refused", "HTTP 400"),
    "refused-in-data": ("refused", "safety filter"),
    "bad-request": ("model_error", "HTTP 400"),
    "elsewhere": ("model_error", "not allowed"),
    "link": ("ok", ""),
    "raw": ("ok", ""),
    "data-url": ("ok", ""),
}


@pytest.mark.parametrize("mode", ["edit", "generate", "edit_inline"])
def test_a_misbehaving_server_gives_every_sample_its_row(
    images: Callable[..., OpenAIImages], noise: Callable[..., bytes], mode: str
) -> None:
    good, seen = noise(7), dict[str, int]()
    samples = [
        Sample(
            f"s-{fault}",
            "image",
            "style-transfer",
            "CT",
            f"draw this: {fault}",
            input_images=(Image(noise(1)),),
        )
        for fault in RIGHT
    ]
    huge_png()  # made before the clock of any request runs
    place: list[str] = [""]
    with serve(lambda asked: misbehave(asked, good, seen, place[0])) as server:
        place[0] = server.url
        rows = images(server.url, mode).predict([Request(s) for s in samples])
    assert [r.sample_id for r in rows] == [s.id for s in samples]
    found = {r.sample_id.removeprefix("s-"): (r.status, r.reason) for r in rows}
    assert {f: status for f, (status, _) in found.items()} == {f: s for f, (s, _) in RIGHT.items()}
    for fault, (_, words) in RIGHT.items():
        assert words in found[fault][1], found[fault]
    for row in rows:
        assert (row.status == "ok") == (not row.reason)
        if row.status == "ok":
            assert [i.data for i in row.images] == [good]
    evidence = next(r for r in rows if r.sample_id == "s-text-as-base64")
    assert evidence.images[0].data == b"a description of the picture"


def test_no_model_is_asked_when_the_answer_failed(
    images: Callable[..., OpenAIImages], editing_samples: Samples
) -> None:
    (sample,) = editing_samples(1)
    failed = Prediction(sample.id, "refused", "declined")
    with serve(lambda _: Answer(b"", 500)) as server:
        (row,) = images(server.url).predict([Request(sample, failed)])
        assert server.asked == []
    assert (row.status, row.reason) == ("refused", "answer: declined")


def test_pictures_are_paid_for(
    images: Callable[..., OpenAIImages], editing_samples: Samples, noise: Callable[..., bytes]
) -> None:
    usage = {"input_tokens": 1000, "output_tokens": 4000, "total_tokens": 5000}
    with serve(lambda _: Answer(as_json(noise(7)) | {"usage": usage})) as server:
        flat = images(server.url, prices={"image": 0.04})
        counted = images(server.url, prices={"prompt": 10.0, "completion": 40.0})
        requests = [Request(s) for s in editing_samples(2)]
        by_image, by_token = flat.predict(requests), counted.predict(requests)
    assert [r.usage.cost_usd for r in by_image] == [0.04, 0.04]
    assert [r.usage.cost_usd for r in by_token] == [pytest.approx(0.17)] * 2
    assert (by_token[0].usage.prompt_tokens, by_token[0].usage.completion_tokens) == (1000, 4000)


def test_the_spending_cap_ends_the_work_but_loses_no_row(
    images: Callable[..., OpenAIImages], editing_samples: Samples, noise: Callable[..., bytes]
) -> None:
    with serve(lambda _: Answer(as_json(noise(7)))) as server:
        capped = images(server.url, prices={"image": 0.4}, endpoint={"spending_cap_usd": 1.0})
        rows = capped.predict([Request(s) for s in editing_samples(5)])
        assert sorted(r.status for r in rows) == ["missing"] * 3 + ["ok"] * 2
        assert len(server.asked) == 2
        with pytest.raises(SpendingError):
            capped.predict([Request(s) for s in editing_samples(1)])


@pytest.mark.parametrize(
    "changes",
    [
        {"mode": "paint"},
        {"extra": {"prompt": "mine"}},
        {"images": 0},
        {"prices": {"completion": 4.0}, "endpoint": {"spending_cap_usd": 1.0}},
        {"firewall": {"blank": "maybe"}},
    ],
)
def test_a_wrong_setting_is_refused(
    images: Callable[..., OpenAIImages], changes: dict[str, Any]
) -> None:
    with pytest.raises(ConfigError):
        images("http://127.0.0.1:1", **changes)


def test_the_passport_names_no_secret(
    images: Callable[..., OpenAIImages], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PAINTER_KEY", "sk-secret")
    painter = images("http://127.0.0.1:1", endpoint={"api_key_env": "PAINTER_KEY"})
    assert "sk-secret" not in json.dumps(painter.passport())
