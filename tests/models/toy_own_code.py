"""Authors' code of a kind: classes that `own_server.py` serves from the current folder."""

import os
import struct
import time
import zlib
from collections.abc import Mapping, Sequence
from typing import Any


def png(shade: int) -> bytes:
    def chunk(name: bytes, body: bytes) -> bytes:
        return (
            struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))
        )

    header = chunk(b"IHDR", struct.pack(">IIBBBBB", 16, 16, 8, 0, 0, 0, 0))
    rows = zlib.compress((b"\0" + bytes([shade]) * 16) * 16)
    return b"\x89PNG\r\n\x1a\n" + header + chunk(b"IDAT", rows) + chunk(b"IEND", b"")


class Reader:
    """Says what it was asked, and in how large a company."""

    def __init__(self, model: str, revision: str = "", fail: str = "") -> None:
        if fail:
            raise OSError(fail)
        self._name = f"{model}@{revision}"
        self._largest = 0

    def answer(self, questions: Sequence[Mapping[str, Any]]) -> list[str]:
        if any("device" in q["instruction"] for q in questions):
            raise RuntimeError("CUDA error: an illegal memory access was encountered")
        if any("bad" in q["instruction"] for q in questions):
            raise ValueError("one that it cannot read")
        self._largest = max(self._largest, len(questions))
        return [f"{self._name} {len(q['images'])} pictures {self._largest}" for q in questions]


class Single(Reader):
    """Takes one question at a time."""

    together = False


class Hungry:
    """Has memory for two questions; says how large every call was so far."""

    def __init__(self, model: str, revision: str = "") -> None:
        self._sizes: list[int] = []

    def answer(self, questions: Sequence[Mapping[str, Any]]) -> list[str]:
        self._sizes.append(len(questions))
        time.sleep(0.2)  # the others arrive meanwhile
        if len(questions) > 2:
            raise RuntimeError("CUDA out of memory. Tried to allocate 2.00 GiB")
        return [" ".join(map(str, self._sizes))] * len(questions)


class Painter:
    """Words and a picture, in a process that holds nothing of the engine."""

    def __init__(self, model: str, revision: str = "") -> None:
        self._pid = os.getpid()

    def reply(self, questions: Sequence[Mapping[str, Any]]) -> list[list[str | bytes]]:
        return [["Before it.", png(q["seed"] % 256), "After it."] for q in questions]


class Mute:
    """Offers nothing."""

    def __init__(self, model: str, revision: str = "") -> None:
        self.model = model
