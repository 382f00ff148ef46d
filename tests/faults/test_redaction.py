"""A key is taken out of words however it is spelt in them."""

import base64
import html
import json
import time
from collections.abc import Callable
from textwrap import wrap
from urllib.parse import quote, quote_plus

import pytest

from medgen.engine import redaction
from medgen.engine.data import Prediction, Verdict
from medgen.engine.redaction import redact, redact_all, remember_secret, written_key
from medgen.engine.run.stages import _verdict_without_secrets, _without_secrets

KEYS = [
    "sk-4f9d2c7ab1e8036d5577",
    'with "quotes" and \\ and /slashes/',
    "umläut-schlüssel-123456",
    "two lines of it\nand the second line",
    "a+b/c=d&e%f<g>h'i 123456",
]
NAMED = {"/": "&sol;", "+": "&plus;", "=": "&equals;", "%": "&percnt;"}
WAYS: list[Callable[[str], str]] = [
    str,
    repr,
    json.dumps,
    lambda key: json.dumps(key, ensure_ascii=False),
    lambda key: json.dumps(json.dumps(key)),
    lambda key: json.dumps(key).replace("/", "\\/"),
    lambda key: quote(key),
    lambda key: quote(key, safe=""),
    quote_plus,
    lambda key: quote(key, safe="").replace("%2F", "%2f").replace("%3D", "%3d"),
    html.escape,
    lambda key: base64.b64encode(key.encode()).decode(),
    lambda key: base64.urlsafe_b64encode(key.encode()).decode().rstrip("="),
    lambda key: key.encode().hex(),
    lambda key: f"Bearer {key}",
    str.lower,
    str.upper,
    lambda key: base64.b64encode(f"user:{key}".encode()).decode(),
    lambda key: base64.b64encode(f"me:{key}:more".encode()).decode(),
    lambda key: quote(quote(key, safe=""), safe=""),
    lambda key: "".join(f"%{byte:02X}" for byte in key.encode()),
    lambda key: "".join(f"={byte:02X}" for byte in key.encode()),
    lambda key: "".join(f"&#{ord(sign)};" for sign in key),
    lambda key: "".join(f"&#x{ord(sign):X};" for sign in key),
    lambda key: "".join(f"\\u{ord(sign):04x}" for sign in key),
    lambda key: "".join(f"\\x{byte:02x}" for byte in key.encode()),
    lambda key: str(list(key.encode())),
    lambda key: key.encode().hex(":"),
    lambda key: "".join(f"\\{byte:03o}" for byte in key.encode()),
    lambda key: "".join(NAMED.get(sign, sign) for sign in key),
    lambda key: "".join(chr(ord(c) + 0xFEE0) if "!" <= c <= "~" else c for c in key),
    lambda key: base64.b64encode(base64.b64encode(key.encode())).decode(),
    lambda key: base64.b32encode(key.encode()).decode().rstrip("="),
    lambda key: "\n".join(wrap(base64.b64encode(f"me:{key}:more".encode()).decode(), 20)),
    ".".join,
    "-".join,
    "\0".join,
    " ".join,
    "\u200b".join,
    lambda key: f"{key[:8]}\n{key[8:]}",
    lambda key: f"{key[:8]}=\r\n{key[8:]}",
    lambda key: "".join(sign if sign.isalnum() else f"\\{sign}" for sign in key),
    lambda key: key.replace("\n", "\r\n"),
    lambda key: f"{{'Authorization': {key!r}}}",
]


@pytest.fixture(autouse=True)
def forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(redaction, "_READ", set())


@pytest.mark.parametrize("way", range(len(WAYS)))
@pytest.mark.parametrize("key", KEYS)
def test_no_spelling_of_a_key_stays(key: str, way: int) -> None:
    remember_secret(key)
    words = redact(f"before {WAYS[way](key)} after")
    assert "***" in words
    assert words.startswith("before ")
    assert words.endswith(" after")
    for line in key.splitlines():
        assert WAYS[way](line).strip("\"'") not in words
        assert line not in words


def test_of_a_key_as_python_writes_it_no_letter_stays() -> None:
    key = "a\\b 'c' \"d\" \t and all the rest"
    remember_secret(key)
    assert repr(key)[1:-1] != key
    assert redact(f"<{repr(key)[1:-1]}>") == "<***>"


@pytest.mark.parametrize("length", range(20, 26))
def test_a_key_is_found_in_base64_wherever_it_begins_and_ends(length: int) -> None:
    key = "sk-4f9d2c7ab1e8036d5577-q9Zx"[:length]
    remember_secret(key)
    for before in range(6):
        for after in ("", "a", "?", "zz"):
            packed = base64.b64encode(f"{'b' * before}{key}{after}".encode()).decode()
            assert "***" in redact(packed), (before, after)


@pytest.mark.parametrize(
    ("said", "shown"),
    [
        ("GET https://me:pass@host/x", "GET https://***@host/x"),
        ("https://me:p@ss:word@host/x", "https://***@host/x"),
        ("git+https://a-token@host/x.git", "git+https://***@host/x.git"),
        ("redis://:pass@host", "redis://***@host"),
        ("https://host/x?api_key=abcdef123&n=1", "https://host/x?api_key=***&n=1"),
        ("https://host/x?v=1&sig=ab%2Fcd%3D&e=2", "https://host/x?v=1&sig=***&e=2"),
        ("http://h/?X-Amz-Signature=abcdef0123", "http://h/?X-Amz-Signature=***"),
        ("https://host/x?mail=me@host.org", "https://host/x?mail=me@host.org"),
        ("hf://squad@0a1b2c", "hf://squad@0a1b2c"),
        ("https://host and me@host.org", "https://host and me@host.org"),
        ("https://host/x?key=1&page=keys", "https://host/x?key=1&page=keys"),
        ("What is the key=value pair?", "What is the key=value pair?"),
    ],
)
def test_what_opens_a_link_is_taken_out_of_it(said: str, shown: str) -> None:
    assert redact(said) == shown


def test_rows_are_masked_wherever_a_server_may_have_put_a_key() -> None:
    key = "sk-4f9d2c7ab1e8036d5577"
    remember_secret(key)
    row = Prediction(
        "s", reason=key, text=f"B {key}", image_prompt=key, details={"a": [key], key: 1}
    )
    assert key not in repr(_without_secrets([row, row]))
    verdict = Verdict("s", "reference_free", "j", reason=key, raw=key, explanations={"a": key})
    assert key not in repr(_verdict_without_secrets(verdict))


def test_what_holds_no_key_stays_as_it_is() -> None:
    remember_secret("sk-4f9d2c7ab1e8036d5577")
    value = {"a": ["B. Fluid", 1, None, 2.5, True], "b": ("x",)}
    assert redact_all(value) == value


@pytest.mark.parametrize(
    ("settings", "place"),
    [
        ({"body": {"api_key": "anything"}}, ".body.api_key"),
        (
            {"extra": {"headers": [{"Authorization": "Bearer x"}]}},
            ".extra.headers[0].Authorization",
        ),
        ({"load": {"hf-token": "x"}}, ".load.hf-token"),
        ({"body": {"user": "sk-proj-0123456789abcdef"}}, ".body.user"),
        ({"body": ["Bearer hf_0123456789abcdef"]}, ".body[0]"),
        ({"model": "a-key-of-the-environment"}, ".model"),
        ({"endpoint": {"api_key_env": "OPENAI_API_KEY", "key_header": "x-api-key"}}, ""),
        ({"body": {"max_tokens": 5, "api_key": None}, "model": "sk-mini", "token": "<image>"}, ""),
    ],
)
def test_a_key_in_settings_is_found(
    settings: object, place: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SOME_API_KEY", "a-key-of-the-environment")
    assert written_key(settings) == place


def test_masking_takes_linear_time() -> None:
    for key in KEYS:
        remember_secret(key)
    begun = time.process_time()
    redact("sk-4f9d2c7ab1e8036d557 " * 100_000)
    redact("://a:" * 100_000)
    redact("://" + "a:" * 200_000)
    redact("?key=" * 100_000)
    assert time.process_time() - begun < 5


def test_what_only_looks_like_a_key_stays() -> None:
    """A text with the key's letters among others, with numbers, times and digests of its own."""
    remember_secret("sk-4f9d2c7ab1e8036d5577")
    for words in (
        "sk, 4 f 9 d 2 c: ten letters of it",
        "52 68 61 74, 2026-11-28 23:32:54, 4f9d2c7ab1e8036d",
        "%20 and &#160; and \\u00e9 and =3D",
        "12, 34, 115, 107, 45, 52",
    ):
        assert redact(words) == words


@pytest.mark.parametrize("key", ["right", "EMPTY", "A", "sk-1", "placeholder", "12"])
def test_a_word_that_stands_in_for_a_key_changes_no_answer(
    monkeypatch: pytest.MonkeyPatch, key: str
) -> None:
    """The reference's own words became `***` and were scored as wrong."""
    monkeypatch.setattr(redaction, "_READ", set())
    remember_secret(key)
    answer = f"A mass in the {key} lung: {key.lower()}"
    assert redact(answer) == answer
    assert redact_all({"text": [answer]}) == {"text": [answer]}


@pytest.mark.parametrize("key", ["hunter2", "sk-1234", "12345678", "correcthorse"])
def test_a_short_key_that_is_no_word_is_blanked(monkeypatch: pytest.MonkeyPatch, key: str) -> None:
    monkeypatch.setattr(redaction, "_READ", set())
    remember_secret(key)
    assert redact(f"your key {key} is wrong") == "your key *** is wrong"
