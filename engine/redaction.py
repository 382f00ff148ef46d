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
from dataclasses import dataclass
from functools import cache
from typing import TypeVar
from urllib.parse import quote, quote_plus

from medgen.engine.escapes import broken_expression, condense, has_escapes, loose_expression

T = TypeVar("T")

# Not TOKENIZERS_PARALLELISM, GIT_AUTHOR_NAME and their like, whose values are in many files.
SECRET_NAME = re.compile(
    r"KEY(?!BOARD)|TOKEN(?!IZER)|SECRET|PASSW|CREDENTIAL|AUTH(?!OR)", re.IGNORECASE
)
_SHORTEST = 12  # characters; shorter values would be found everywhere
# Of a key that somebody read as one: of letters alone, of digits alone, of both and signs.
_LETTERS, _DIGITS, _MIXED = 12, 8, 6
# user:password, or a token alone; behind `hf://` stands a name with its commit.
_IN_URL = re.compile(r"(?<=://)(?<!hf://)[^/\s?#<>\"']+(?=@)")
_IN_QUERY = re.compile(  # signed links, and keys as parameters
    r"(?<=[?&])((?:api[-_]?key|key|token|access_token|sig|signature|password|x-(?:amz|goog)-(?:signature"
    r"|security-token|credential))=)[\w.~%+/=-]{6,2000}",
    re.IGNORECASE,
)
_ESCAPE = re.compile(r"%[0-9A-F]{2}")
_READ: set[str] = set()  # keys that were read under whatever name


def secret_values() -> Mapping[str, str]:
    """The keys in the environment, by the name of their variable; a path of a file is none."""
    named = ((name, os.environ.get(name, "")) for name in os.environ if _may_be_secret(name))
    return {
        name: value
        for name, value in named
        if len(value) >= _SHORTEST and not os.path.exists(value)
    }


@cache
def _may_be_secret(name: str) -> bool:
    return SECRET_NAME.search(name) is not None


def remember_secret(value: str) -> None:
    """Have a key blanked whatever its variable is called.

    A short one or a mere word (`EMPTY`, `test`: servers at home take anything) is let stand: it
    guards nothing, and answers that hold the word would be blanked and scored as wrong.
    """
    fewest = _LETTERS if value.isalpha() else _DIGITS if value.isdigit() else _MIXED
    if len(value) >= fewest:
        _READ.add(value)


def redact(text: str) -> str:
    """The text with `***` for every key, in every spelling that a reply or an error may give it."""
    return _blank(text, _now())


def redact_all(value: T) -> T:
    """The same for every text in a value as JSON has them, keys of mappings included."""
    return _blank_all(value, _now())


# Fields whose value is a key, in lower case without signs, and how keys of vendors begin.
_FIELDS = frozenset(
    {
        *("apikey", "apitoken", "password", "passwd", "secret", "secretkey", "clientsecret"),
        *("accesstoken", "authtoken", "bearertoken", "hftoken", "authorization", "xapikey"),
        *("accesskey", "accesskeyid", "awssecretaccesskey", "awsaccesskeyid", "privatekey"),
    }
)
_BEGINS = re.compile(r"(?:Bearer |Basic )?(?:sk-|hf_|gsk_|xai-|AKIA|AIza|ghp_|glpat-)[\w-]{12,400}")


def written_key(value: object, place: str = "") -> str:
    """Where a key is written out in settings; empty where none is.

    Args:
        value: settings as JSON has them.
        place: where they stand.

    Returns:
        The place of the first value that is a key of the environment, that begins as vendors' keys
        do, or whose field is named for one.
    """
    if isinstance(value, Mapping):
        places = (_written(name, inner, f"{place}.{name}") for name, inner in value.items())
        return next(filter(None, places), "")
    if isinstance(value, list | tuple):
        places = (written_key(inner, f"{place}[{i}]") for i, inner in enumerate(value))
        return next(filter(None, places), "")
    known = isinstance(value, str) and (_BEGINS.fullmatch(value) or redact(value) == "***")
    return place if known else ""


def _written(name: object, value: object, place: str) -> str:
    field = re.sub(r"[\W_]", "", str(name).lower())
    if field in _FIELDS and isinstance(value, str) and value.strip():
        return place
    return written_key(value, place)


@dataclass(frozen=True, slots=True)
class _Wanted:
    """What is looked for: usual spellings, and where a text gives cause, sign by sign."""

    exact: re.Pattern[str]
    loose: re.Pattern[str] | None
    condensed: tuple[str, ...]  # their letters and digits, folded

    def blank(self, text: str) -> str:
        text = self.exact.sub("***", text)
        return self.loose.sub("***", text) if self.loose and self._may_hold(text) else text

    def _may_hold(self, text: str) -> bool:
        folded = condense(text)
        return any(words in folded for words in self.condensed) or has_escapes(text)


def _now() -> _Wanted | None:
    """What is looked for; the environment is read once a value, not once a text of it."""
    return _pattern(frozenset({*secret_values().values(), *_READ}))


def _blank(text: str, wanted: _Wanted | None) -> str:
    text = wanted.blank(text) if wanted else text
    text = _IN_URL.sub("***", text) if "://" in text else text
    return _IN_QUERY.sub(r"\1***", text) if "=" in text else text


def _blank_all(value: T, pattern: _Wanted | None) -> T:
    if isinstance(value, str):
        return _blank(value, pattern)  # type: ignore[return-value]
    if value is None:
        return value
    if isinstance(value, Mapping):
        return {_blank_all(k, pattern): _blank_all(v, pattern) for k, v in value.items()}  # type: ignore[return-value]
    if isinstance(value, list | tuple):
        return type(value)([_blank_all(v, pattern) for v in value])
    return value


@cache
def _pattern(secrets: frozenset[str]) -> _Wanted | None:
    """All spellings of all secrets, the longest first."""
    found = {words for secret in secrets for words in _spellings(secret)}
    longest = sorted((words for words in found if words), key=len, reverse=True)
    if not longest:
        return None
    # One of signs alone, or a short one, would be found everywhere.
    parts = {part for one in secrets for part in (one, *one.splitlines())}
    spread = sorted((one for one in parts if len(condense(one)) >= _SHORTEST), key=len)[::-1]
    packed = {
        form for one in parts for form in _packed_forms(one.strip().encode("utf-8", "replace"))
    }
    wrapped = sorted((one for one in packed if len(condense(one)) >= _SHORTEST), key=len)[::-1]
    loose = [*map(loose_expression, spread), *map(broken_expression, wrapped)]
    return _Wanted(
        re.compile("|".join(map(_expression, longest))),
        re.compile("|".join(loose)) if loose else None,
        tuple(map(condense, (*spread, *wrapped))),
    )


def _expression(words: str) -> str:
    """The words, their percent signs' digits in either case."""
    return _ESCAPE.sub(lambda m: f"(?i:{m[0]})", re.escape(words))


def _base64_forms(raw: bytes) -> Iterator[str]:
    """As base64 writes it, also behind something else: "user:key" begins anywhere in a triple."""
    yield base64.b64encode(raw).decode().rstrip("=")
    for before in range(3):
        whole = base64.b64encode(bytes(before) + raw).decode().rstrip("=")
        # What hangs on its neighbours alone is not looked for.
        first, cut = (before * 8 + 5) // 6, (before + len(raw)) % 3 != 0
        core = whole[first:-1] if cut else whole[first:]
        if len(core) >= _SHORTEST:
            yield core


def _packed_forms(raw: bytes) -> Iterator[str]:
    """In base64 of either alphabet, packed twice, and in base32."""
    whole = base64.b64encode(raw)
    forms = [*_base64_forms(raw), *_base64_forms(whole), *_base64_forms(whole.rstrip(b"="))]
    for form in forms:
        yield from (form, form.replace("+", "-").replace("/", "_"))
    yield base64.b32encode(raw).decode().rstrip("=")


def _spellings(secret: str) -> Iterator[str]:
    """As it is, a line of it, and as Python, JSON, URLs, HTML and base64 write it."""
    lines = [line.strip() for line in secret.splitlines()]
    for plain in dict.fromkeys((secret, *(line for line in lines if len(line) >= _SHORTEST))):
        raw = plain.encode("utf-8", "surrogatepass")
        yield from (plain, repr(plain)[1:-1], html.escape(plain), raw.hex(), raw.hex().upper())
        yield from _packed_forms(raw)
        for ascii_only in (True, False):
            written = json.dumps(plain, ensure_ascii=ascii_only)[1:-1]
            yield from (written, written.replace("/", "\\/"), json.dumps(written)[1:-1])
        yield from (quote(raw, safe=""), quote(raw), quote_plus(raw))
