"""The JSON form of our values, the way back, and the content addresses made of it."""

import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from typing import Any, TypeVar

import msgspec

from medgen.engine.errors import CorruptError

T = TypeVar("T")

_BLANK = b"0" * 64
_IS_PLAIN = frozenset((str, int, float, bool, type(None)))
_SEAL = re.compile(rb'\n "seal": "([0-9a-f]{64})"\n}\Z')


def plain(value: object) -> Any:
    """The JSON form of dataclasses, settings, mappings, tuples and sets, which come sorted."""
    if type(value) in _IS_PLAIN:  # nearly everything, and of a sample's fields all but a few
        return value
    if is_dataclass(value) and not isinstance(value, type):
        return {f.name: plain(getattr(value, f.name)) for f in fields(value)}
    if isinstance(value, msgspec.Struct):
        return {name: plain(getattr(value, name)) for name in value.__struct_fields__}
    if isinstance(value, Mapping):
        return {str(k): plain(v) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [plain(v) for v in value]
    if isinstance(value, set | frozenset):
        return sorted(plain(v) for v in value)
    return value


def encode(value: object) -> bytes:
    """JSON as it is stored, to be read by people too; mappings keep their order."""
    return json.dumps(plain(value), indent=1).encode()


def with_seal(value: object) -> bytes:
    """`encode`, with the sha256 of the whole as the last field (`seal`)."""
    return seal_json(encode(value))


def seal_json(data: bytes) -> bytes:
    """A JSON object as `encode` lays it out, with its seal."""
    body = data.rstrip().removesuffix(b"}").rstrip()
    begun = body if body.endswith(b"{") else body + b","
    blank = begun + b'\n "seal": "' + _BLANK + b'"\n}'
    at = blank.rindex(_BLANK)
    return blank[:at] + hashlib.sha256(blank).hexdigest().encode() + blank[at + 64 :]


def check_seal(data: bytes, what: str) -> None:
    """Prove an object by its seal.

    Raises:
        CorruptError: it has none, or its bytes are not those that were sealed.
    """
    match = _SEAL.search(data)
    if match is None:
        raise CorruptError(f"{what} (it carries no checksum)")
    at = match.start(1)
    blank = data[:at] + _BLANK + data[at + 64 :]
    if hashlib.sha256(blank).hexdigest().encode() != match[1]:
        raise CorruptError(f"{what} (its checksum differs; it was changed or damaged)")


def decode(kind: type[T], data: bytes, what: str) -> T:
    """The value that `encode` or `with_seal` wrote; a seal is proven where there is one.

    Args:
        kind: its type, with everything in it typed.
        data: JSON.
        what: says what it should have been, for the message: "<path>: not a plan".

    Raises:
        CorruptError: no JSON, a field that is missing, one of another type, or another seal.
    """
    try:
        value = json.loads(data)
        if isinstance(value, dict) and value.pop("seal", None) is not None:
            check_seal(data, what)
        return msgspec.convert(value, kind)
    except (ValueError, RecursionError) as err:  # msgspec's and json's errors are ValueErrors
        raise CorruptError(f"{what} ({err})") from err


def fingerprint(*parts: object) -> str:
    """Content address, 16 hex digits: the same recipe always finds the same results."""
    value = same_numbers(plain(parts))
    text = json.dumps(value, sort_keys=True, ensure_ascii=False, allow_nan=False)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def same_numbers(value: Any) -> Any:
    """A JSON value with whole numbers written in one way: `1.0` is `1`, and `-0.0` is `0`."""
    if isinstance(value, float) and value.is_integer():
        return int(value)
    if isinstance(value, dict):
        return {name: same_numbers(inner) for name, inner in value.items()}
    return [same_numbers(inner) for inner in value] if isinstance(value, list) else value
