"""What a sample is and what a shard of samples is, as content addresses.

A field that is empty takes no part, so that a field which later versions add leaves the digests of
samples without it as they are.
"""

import hashlib
from collections.abc import Iterable, Sequence
from typing import Any

from medgen.engine.codec import plain
from medgen.engine.data import Image, Sample, Turn
from medgen.engine.store.schemas import dumps

_HEX = 32  # digits of a shard's name: 128 bits


def sample_digest(sample: Sample) -> bytes:
    """sha256 over every field that is not empty, and every image."""
    told = {name: value for name in Sample.__slots__ if (value := getattr(sample, name))}
    said = {n: v if isinstance(v, str) else _content(v) for n, v in told.items()}  # most are texts
    filled = {n: v for n, v in said.items() if isinstance(v, str) or v not in ([], {})}
    return hashlib.sha256(dumps(filled).encode()).digest()


def shard_digest(samples: Iterable[bytes]) -> str:
    """The name of a shard: 32 hex digits over the digests of its samples, in order."""
    return hashlib.sha256(b"".join(samples)).hexdigest()[:_HEX]


def part_digest(shard: str, asks: Sequence[str]) -> str:
    """The name of those samples of a shard that ask for one of these."""
    return hashlib.sha256("/".join((shard, *sorted(asks))).encode()).hexdigest()[:_HEX]


def _content(value: object) -> Any:
    if isinstance(value, Image):
        told = {"path": value.path, "label": value.label, "place": value.place}
        told["values"] = plain(value.values)
        told["sha256"] = hashlib.sha256(value.data).hexdigest()
        return {name: text for name, text in told.items() if text}
    if isinstance(value, tuple):
        return [_content(item) for item in value]
    if isinstance(value, Turn):
        return {"role": value.role, "text": value.text, "images": _content(value.images)}
    return plain(value)
