"""Inputs that are small, or of an allowed size, and would take minutes or gigabytes."""

import io
import json
import struct
from collections.abc import Iterator

from hostile.corpus import _chunk, _png
from PIL import Image


def costly() -> Iterator[tuple[str, bytes]]:
    """(name, bytes), made one by one."""
    yield "JSON of six million objects", b'{"choices":[' + b"{}," * 6_000_000 + b"{}]}"
    # For a table each is a row, which is read and refused in some 15 microseconds.
    yield "a list of 400,000 numbers", b'{"data":[' + b"0," * 400_000 + b"0]}"
    yield "a key for each of 400,000", _keys(400_000)
    yield "lists in lists", b"[" * 1_000_000
    yield "objects in objects", b'{"a":' * 300_000 + b"1" + b"}" * 300_000
    yield "60 MiB of zeros", bytes(60 * 2**20)
    yield "60 MiB of one string", b'{"choices":[{"message":{"content":"' + b"A" * 60_000_000
    for name, text in _texts():
        yield f"text: {name}", text.encode()
        yield f"reply: {name}", _said(text)
    yield "3,000 links", _said("".join(f"![x](http://127.0.0.1:9/{i}.png)" for i in range(3000)))
    data = "![x](data:image/png;base64,AAAA)"
    yield "20,000 embedded pictures", _said(data * 20_000)
    yield from _pictures()


def _texts() -> Iterator[tuple[str, str]]:
    pieces = (" ", "\n", "<think>", "</think>", "```", "**", "A. ", "option A ", "(A) ", "[", "{")
    for piece in (*pieces, "not ", "the answer is ", '"', "\\", "1,", "-", "![", "](", "data:,"):
        yield f"200,000 of {piece!r}", (piece * 200_000)[:200_000]


def _said(text: str) -> bytes:
    choice = {"message": {"content": text}, "finish_reason": "stop"}
    return json.dumps({"model": "m", "choices": [choice]}).encode()


def _keys(count: int) -> bytes:
    return b"{" + b",".join(b'"%d":0' % number for number in range(count)) + b"}"


def _pictures() -> Iterator[tuple[str, bytes]]:
    yield "BMP of 16 million run lengths", run_lengths(16_000_000)
    yield "WebP of 8192 squared", _saved("WEBP", 8192)
    yield "PNG of 8192 squared", _saved("PNG", 8192)
    yield "GIF of 8192 squared", _saved("GIF", 8192)
    yield "TIFF of 8192 squared", _saved("TIFF", 8192)
    yield "PNG of a million chunks", _png(2, 2, extra=_chunk(b"abCd", b"") * 1_000_000)
    sink = io.BytesIO()
    Image.effect_noise((2000, 2000), 90).convert("RGB").save(sink, "JPEG", progressive=True)
    sound = sink.getvalue()
    at = sound.index(b"\xff\xda")
    yield "JPEG of 60 scans", sound[:at] + sound[at : at + 14] * 50 + sound[at:]
    yield "JPEG of 600 scans", sound[:at] + sound[at : at + 14] * 600 + sound[at:]
    fields = b"".join(struct.pack("<HHII", 65_000, 3, 1, n) for n in range(65_000))
    yield "TIFF of 65,000 tags", b"II*\0\x08\0\0\0" + struct.pack("<H", 65_000) + fields + bytes(4)
    yield "TIFF that leads to itself", b"II*\0\x08\0\0\0\0\0\x08\0\0\0"
    exif = Image.Exif()
    exif[0x010E] = "x" * 60_000
    sink = io.BytesIO()
    Image.new("RGB", (4, 4)).save(sink, "JPEG", exif=exif)
    yield "JPEG with 60 kB of EXIF", sink.getvalue()


def run_lengths(pixels: int) -> bytes:
    """A BMP whose run lengths say each pixel by itself, which Pillow reads in Python."""
    side = int(pixels**0.5)
    body = (b"\1\7" * side + b"\0\0") * side + b"\0\1"
    palette = bytes(1024)
    head = struct.pack("<IiiHHIIiiII", 40, side, side, 1, 8, 1, len(body), 0, 0, 256, 0)
    start = 14 + len(head) + len(palette)
    return struct.pack("<2sIHHI", b"BM", start + len(body), 0, 0, start) + head + palette + body


def _saved(kind: str, side: int) -> bytes:
    sink = io.BytesIO()
    Image.new("RGB", (side, side), (9, 9, 9)).save(sink, kind)
    return sink.getvalue()
