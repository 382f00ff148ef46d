"""Keys taken out of words that leave a process: tracebacks, errors, log records.

What a key is, is known by the name of its variable in the environment, or because whoever reads a
key says so.
"""

import base64
import html
import json
import os
import re
from collections.abc import Iterator, Mapping
from functools import cache
from typing import TypeVar
from urllib.parse import quote, quote_plus

T = TypeVar("T")

# Not TOKENIZERS_PARALLELISM, GIT_AUTHOR_NAME and their like, whose values are in many files.
SECRET_NAME = re.compile(
    r"KEY(?!BOARD)|TOKEN(?!IZER)|SECRET|PASSW|CREDENTIAL|AUTH(?!OR)", re.IGNORECASE
)
_SHORTEST = 12  # characters; shorter values would be found everywhere
_IN_URL = re.compile(r"(?<=://)[^/\s:@]+:[^/\s@]+(?=@)")  # user:password
_ESCAPE = re.compile(r"%[0-9A-F]{2}")
_READ: set[str] = set()  # keys that were read under whatever name


def secret_values() -> Mapping[str, str]:
    """The keys in the environment, by the name of their variable; a path of a file is none."""
    return {
        name: value
        for name, value in os.environ.items()
        if _may_be_secret(name) and len(value) >= _SHORTEST and not os.path.exists(value)
    }


@cache
def _may_be_secret(name: str) -> bool:
    return SECRET_NAME.search(name) is not None


def remember_secret(value: str) -> None:
    """Have a key blanked whatever its variable is called."""
    _READ.add(value)


def redact(text: str) -> str:
    """The text with `***` for every key, in every spelling that a reply or an error may give it."""
    return _blank(text, _now())


def redact_all(value: T) -> T:
    """The same for every text in a value as JSON has them, keys of mappings included."""
    return _blank_all(value, _now())


def _now() -> re.Pattern[str] | None:
    """What is looked for; the environment is read once a value, not once a text of it."""
    return _pattern(frozenset({*secret_values().values(), *_READ}))


def _blank(text: str, pattern: re.Pattern[str] | None) -> str:
    return _IN_URL.sub("***", pattern.sub("***", text) if pattern else text)


def _blank_all(value: T, pattern: re.Pattern[str] | None) -> T:
    if isinstance(value, str):
        return _blank(value, pattern)  # type: ignore[return-value]
    if isinstance(value, Mapping):
        return {_blank_all(k, pattern): _blank_all(v, pattern) for k, v in value.items()}  # type: ignore[return-value]
    if isinstance(value, list | tuple):
        return type(value)(_blank_all(v, pattern) for v in value)
    return value


@cache
def _pattern(secrets: frozenset[str]) -> re.Pattern[str] | None:
    """All spellings of all secrets as one expression, the longest first."""
    found = {words for secret in secrets for words in _spellings(secret)}
    longest = sorted((words for words in found if words), key=len, reverse=True)
    return re.compile("|".join(map(_expression, longest))) if longest else None


def _expression(words: str) -> str:
    """The words, their percent signs' digits in either case."""
    return _ESCAPE.sub(lambda m: f"(?i:{m[0]})", re.escape(words))


def _spellings(secret: str) -> Iterator[str]:
    """As it is, a line of it, and as Python, JSON, URLs, HTML and base64 write it."""
    lines = [line.strip() for line in secret.splitlines()]
    for plain in dict.fromkeys((secret, *(line for line in lines if len(line) >= _SHORTEST))):
        raw = plain.encode("utf-8", "surrogatepass")
        packed = base64.b64encode(raw).decode().rstrip("=")
        yield from (plain, repr(plain)[1:-1], html.escape(plain), packed)
        yield from (packed.replace("+", "-").replace("/", "_"), raw.hex(), raw.hex().upper())
        for ascii_only in (True, False):
            written = json.dumps(plain, ensure_ascii=ascii_only)[1:-1]
            yield from (written, written.replace("/", "\\/"), json.dumps(written)[1:-1])
        yield from (quote(raw, safe=""), quote(raw), quote_plus(raw))
