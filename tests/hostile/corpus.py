"""Bad inputs, made and never stored: what each is, and what must become of it.

Every entry is bytes (or a path, a configuration …) and a piece of the sentence with which it must
be refused; `None` means that it must be taken. `entries(kind)` gives those of one kind.
"""

import io
import json
import struct
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from PIL import Image


@dataclass(frozen=True)
class Entry:
    """One input. `said` is a part of the refusal; None when it must be accepted."""

    name: str
    content: Any
    said: str | None


@cache
def entries(kind: str) -> tuple[Entry, ...]:
    """The corpus of one kind; names are unique."""
    from hostile import more_corpus  # which is made with what stands here

    more = getattr(more_corpus, kind.replace(" ", "_"), tuple)
    found = (*_KINDS[kind](), *more())
    assert len({e.name for e in found}) == len(found)
    return found


# ---- pictures ------------------------------------------------------------------------------


def _picture(kind: str = "PNG", mode: str = "RGB", size: tuple[int, int] = (24, 18)) -> bytes:
    noise = np.random.default_rng(1).integers(0, 255, (size[1], size[0], 3), np.uint8)
    sink = io.BytesIO()
    Image.fromarray(noise).convert(mode).save(sink, kind)
    return sink.getvalue()


def _frames(kind: str) -> bytes:
    sink = io.BytesIO()
    frames = [Image.new("RGB", (8, 8), (level, 0, 0)) for level in (0, 99, 200)]
    frames[0].save(sink, kind, save_all=True, append_images=frames[1:])
    return sink.getvalue()


def _chunk(name: bytes, body: bytes) -> bytes:
    whole = name + body
    return struct.pack(">I", len(body)) + whole + struct.pack(">I", zlib.crc32(whole))


def _png(width: int, height: int, body: bytes = b"\0" * 64, extra: bytes = b"") -> bytes:
    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    parts = [_chunk(b"IHDR", header), extra, _chunk(b"IDAT", zlib.compress(body))]
    return b"\x89PNG\r\n\x1a\n" + b"".join(parts) + _chunk(b"IEND", b"")


def _rotated() -> bytes:
    exif = Image.Exif()
    exif[0x0112] = 6
    sink = io.BytesIO()
    Image.new("RGB", (8, 4), (9, 9, 9)).save(sink, "JPEG", exif=exif)
    return sink.getvalue()


def _sixteen_bits() -> bytes:
    sink = io.BytesIO()
    Image.fromarray(np.arange(0, 60_000, 1000, np.uint16).reshape(6, 10)).save(sink, "PNG")
    return sink.getvalue()


def _pictures() -> Iterator[Entry]:
    whole = {kind: _picture(kind) for kind in ("PNG", "JPEG", "WEBP", "BMP", "GIF", "TIFF")}
    yield from (Entry(f"a sound {kind}", data, None) for kind, data in whole.items())
    for kind in ("PNG", "JPEG", "WEBP"):
        for share in (0.2, 0.5, 0.8, 0.97):
            cut = whole[kind][: int(len(whole[kind]) * share)]
            yield Entry(f"{kind} cut at {share:.0%}", cut, "truncated|not a")
    yield Entry("PNG without its end", whole["PNG"][:-12], "truncated")
    flipped = bytearray(whole["PNG"])
    flipped[len(flipped) // 2] ^= 255
    yield Entry("PNG with a flipped byte", bytes(flipped), "damaged")
    yield from (Entry(f"animated {k}", _frames(k), "animated") for k in ("GIF", "WEBP", "PNG"))
    yield Entry("paged TIFF", _frames("TIFF"), "animated or paged")
    for side in (60_000, 30_000, 9000):
        yield Entry(f"bomb of {side} squared", _png(side, side), "pixels")
    yield Entry("a picture as wide as can be", _png(2**31 - 1, 1), "pixels|not a readable")
    yield Entry("a picture without height", _png(5, 0), "pixels|not a")
    text = _chunk(b"zTXt", b"k\0\0" + zlib.compress(b"0" * 70_000_000))
    yield Entry("bomb in a text chunk", _png(2, 2, extra=text), "not a readable|damaged")
    yield Entry("pixels promised and not there", _png(64, 64, b"\0" * 10), "truncated|damaged")
    yield Entry("CMYK", _picture("JPEG", "CMYK"), None)
    yield Entry("16 bits", _sixteen_bits(), None)
    yield Entry("one pixel", _picture(size=(1, 1)), None)
    yield Entry("turned by EXIF", _rotated(), None)
    yield Entry("palette", _picture("GIF", "P"), None)
    yield Entry("JPEG called PNG", whole["JPEG"], None)
    svg = b"<?xml version='1.0'?><svg xmlns='http://www.w3.org/2000/svg'><script/></svg>"
    others = {
        "0 bytes": b"",
        "SVG": svg,
        "HTML": b"<!doctype html><script>fetch('http://x')</script>",
        "PDF": b"%PDF-1.7\n1 0 obj",
        "PostScript": b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n(/etc) run",
        "zip": b"PK\x03\x04" + b"\0" * 40,
        "gzip": b"\x1f\x8b\x08" + b"\0" * 40,
        "pickle": b"\x80\x04\x95\x1b\0\0\0\0\0\0\0\x8c\x02os\x94\x8c\x06system\x94\x93\x94.",
        "zeros": b"\0" * 4096,
        "PNG's first bytes only": b"\x89PNG\r\n\x1a\n",
        "SVG behind PNG's first bytes": b"\x89PNG\r\n\x1a\n" + svg,
        "JPEG's first bytes only": b"\xff\xd8\xff\xe0",
        "DICOM": b"\0" * 128 + b"DICM" + b"\0" * 64,
        "text": b"there is no picture here",
        "a Windows program": b"MZ" + b"\0" * 200,
        "icon": b"\0\0\1\0\1\0\x10\x10\0\0\1\0\x20\0\x68\4\0\0\x16\0\0\0",
        "Photoshop": b"8BPS\0\1" + b"\0" * 40,
        "FITS": b"SIMPLE  =                    T" + b" " * 60,
    }
    yield from (Entry(f"no picture: {n}", data, "not a|damaged") for n, data in others.items())


# ---- paths ---------------------------------------------------------------------------------


def _paths() -> Iterator[Entry]:
    outside = {
        "/etc/passwd": "absolute",
        "//host/share": "absolute",
        "~/x.png": "absolute",
        "~root/x": "absolute",
        "C:\\x.png": "absolute",
        "c:/x.png": "absolute",
        "file:///etc/passwd": "absolute",
        "http://127.0.0.1/x.png": "absolute",
        "s3://bucket/x.png": "absolute",
        "data:image/png;base64,AA==": "absolute",
        "memory:x": "absolute",
        "../x.png": "'..'",
        "a/../../x.png": "'..'",
        "a/..": "'..'",
        "..": "'..'",
        "./..//..": "'..'",
        "a\\..\\x.png": "backslash",
        "\\\\host\\x": "backslash",
        "zip::a.png": "absolute",
        "a::b": "absolute",
        "a\x00.png": "control",
        "a\n.png": "control",
        "a\x7f": "control",
        "\x1b[2J": "control",
        "/dev/zero": "absolute",
        "/proc/self/environ": "absolute",
        "": "not a file name",
        "   ": "not a file name",
        ".": "'..'",
        "./": "'..'",
        "a" * 2000: "not a file name",
    }
    for path, said in outside.items():
        yield Entry(f"path {path[:40]!r}", path, said)
    for value in (None, 7, 1.5, True, [], {"path": "x"}, b"x.png"):
        yield Entry(f"path {value!r}", value, "not a file name")
    # Look-alikes of dots and slashes are letters: they stay inside, where there is no such file.
    for name in ("\u2025/x", "\uff0e\uff0e/x", "a\u2215..\u2215x", "\u202egnp.x", "e\u0301.png"):
        yield Entry(f"look-alike {name!r}", name, None)


# ---- lines of JSON -------------------------------------------------------------------------


def _lines() -> Iterator[Entry]:
    bad = {
        "byte-order mark": (b"\xef\xbb\xbf{}", "byte-order"),
        "UTF-16": ('{"a": 1}'.encode("utf-16"), "UTF-8"),
        "Latin-1": (b'{"a": "\xe9"}', "UTF-8"),
        "overlong UTF-8": (b'{"a": "\xc0\xae"}', "UTF-8"),
        "NaN": (b'{"a": NaN}', "NaN"),
        "Infinity": (b'{"a": Infinity}', "Infinity"),
        "minus Infinity": (b'{"a": -Infinity}', "Infinity"),
        "1e999": (b'{"a": 1e999}', "too large"),
        "a number of 5,000 digits": (b'{"a": ' + b"9" * 5000 + b"}", "not JSON"),
        "a key twice": (b'{"a": 1, "a": 2}', "twice"),
        "a key twice inside": (b'{"a": {"b": 1, "b": 1}}', "twice"),
        "half a surrogate pair": (b'{"a": "\\ud800"}', "UTF-8"),
        "a list": (b"[]", "list"),
        "a string": (b'"a"', "str"),
        "a number": (b"7", "int"),
        "null": (b"null", "NoneType"),
        "nothing": (b"", "not JSON"),
        "blanks": (b"   ", "not JSON"),
        "cut off": (b'{"a": [1,', "not JSON"),
        "two objects": (b"{}{}", "not JSON"),
        "single quotes": (b"{'a': 1}", "not JSON"),
        "a comment": (b'{} // "a"', "not JSON"),
        "a trailing comma": (b'{"a": 1,}', "not JSON"),
        "a NUL": (b'{"a": "\x00"}', "not JSON"),
        "a raw newline": (b'{"a": "x\ny"}', "not JSON"),
        "hexadecimal": (b'{"a": 0x10}', "not JSON"),
        "a leading zero": (b'{"a": 01}', "not JSON"),
        "deep lists": (b'{"a": ' + b"[" * 100 + b"]" * 100 + b"}", "deep"),
        "very deep lists": (b'{"a": ' + b"[" * 100_000, "not JSON"),
        "very deep objects": (b'{"a":' * 50_000, "not JSON"),
        "a pickle": (b"\x80\x04N.", "UTF-8|not JSON"),
        "YAML": (b"a: !!python/object/apply:os.system [x]", "not JSON"),
        "too long": (None, "more than"),
    }
    for name, (line, said) in bad.items():
        yield Entry(f"line: {name}", line, said)
    yield Entry("line: plain", b'{"a": "\\u00e9", "b": [1, -0.5e3, null]}', None)
    yield Entry("line: CRLF", b'{"a": 1}\r', None)


# ---- records -------------------------------------------------------------------------------


def _records() -> Iterator[Entry]:
    """Changes to one sound record: `None` removes a field."""
    # An id is never a file name and is escaped wherever it is shown, so it may look like either.
    changes: dict[str, tuple[dict[str, Any], str | None]] = {
        "no instruction": ({"instruction": None}, "instruction"),
        "empty instruction": ({"instruction": " "}, "instruction is empty"),
        "instruction is a number": ({"instruction": 7}, "instruction is int"),
        "instruction is a list": ({"instruction": ["x"]}, "instruction is list"),
        "instruction of 2 MB": ({"instruction": "x" * 2_000_000}, "instruction"),
        "no modality": ({"modality": None}, "modality"),
        "modality is a number": ({"modality": 3}, "modality is int"),
        "no picture": ({"input_image": []}, "no input image"),
        "a picture that is not there": ({"input_image": ["images/none.png"]}, "missing"),
        "a folder for a picture": ({"input_image": ["images"]}, "not an ordinary file"),
        "a number for a picture": ({"input_image": [7]}, "not a file name"),
        "129 pictures": ({"input_image": ["images/in1.png"] * 129}, "at most 128"),
        "no reference": ({"ground_truth_image": None}, "no ground-truth image"),
        "an absolute reference": ({"ground_truth_image": ["/etc/hosts"]}, "absolute"),
        "answer is a number": ({"answer": 7}, "answer is int"),
        "choices are a string": ({"choice": "A or B"}, "not a list"),
        "choices hold a number": ({"choice": ["A", 2]}, "not a list"),
        "id is a number": ({"sample_id": 7}, "sample_id"),
        "id is a path": ({"sample_id": "../../x"}, None),
        "id is a page": ({"sample_id": "<script>"}, None),
        "id of 500 letters": ({"sample_id": "x" * 500}, "sample_id"),
        "id with a newline": ({"sample_id": "a\nb"}, "sample_id"),
    }
    yield from (Entry(f"record: {n}", change, said) for n, (change, said) in changes.items())


# ---- tables --------------------------------------------------------------------------------

_IMAGE = pa.list_(pa.struct([("bytes", pa.binary()), ("path", pa.string())]))
_COLUMNS: dict[str, pa.DataType] = {
    "input_images": _IMAGE,
    "output_images": _IMAGE,
    "instruction": pa.string(),
    "answer": pa.string(),
    "task": pa.string(),
    "subtask": pa.string(),
    "modality": pa.string(),
}


def _table(columns: dict[str, pa.DataType] | None = None, **cells: Any) -> pa.Table:
    picture = [{"bytes": _picture(), "path": "x.png"}]
    row = {
        "input_images": picture,
        "output_images": picture,
        "instruction": "Remove the noise.",
        "answer": None,
        "task": "noise-reconstruction",
        "subtask": None,
        "modality": "CT",
    } | cells
    schema = pa.schema(list((columns or _COLUMNS).items()))
    return pa.Table.from_pylist([{n: row.get(n) for n in schema.names}], schema)


def _parquet(table: pa.Table, **options: Any) -> bytes:
    sink = pa.BufferOutputStream()
    pq.write_table(table, sink, **options)
    return sink.getvalue().to_pybytes()


def _tables() -> Iterator[Entry]:
    whole = _parquet(_table())
    yield Entry("table: sound", whole, None)
    for share in (0.1, 0.5, 0.95):
        yield Entry(f"table cut at {share:.0%}", whole[: int(len(whole) * share)], "damaged")
    yield Entry("table: empty file", b"", "damaged")
    yield Entry("table: text", b"instruction,task\n", "damaged")
    yield Entry("table: a footer that lies", whole[:-8] + b"\xff\xff\xff\x7fPAR1", "damaged")
    yield Entry("table: encrypted", whole[:-4] + b"PARE", "damaged")
    yield Entry("table: another format", b"ARROW1\0\0" + whole, "damaged")
    for name in ("instruction", "task", "modality", "input_images"):
        columns = {n: t for n, t in _COLUMNS.items() if n != name}
        yield Entry(f"table without {name}", _parquet(_table(columns)), "missing")
    for name in ("instruction", "task", "modality"):
        wrong = _table({**_COLUMNS, name: pa.int64()}, **{name: 7})
        yield Entry(f"table with numbers for {name}", _parquet(wrong), name)
    paths = _table({**_COLUMNS, "input_images": pa.list_(pa.string())}, input_images=["/etc/hosts"])
    yield Entry("table of paths", _parquet(paths), "input_images")
    linked = _table(input_images=[{"bytes": None, "path": "/etc/hosts"}])
    yield Entry("table that points to a file", _parquet(linked), "holds no bytes")
    yield Entry(
        "table with a bomb",
        _parquet(_table(input_images=[{"bytes": _png(60_000, 60_000), "path": "b.png"}])),
        "pixels",
    )
    large = _table(input_images=[{"bytes": bytes(70 * 2**20), "path": "z.png"}])
    yield Entry("table that unfolds", _parquet(large, compression="zstd"), "more than|a bomb")
    yield Entry("table with an empty row", _parquet(_table(instruction=None)), "instruction")


# ---- configurations ------------------------------------------------------------------------


def _configurations() -> Iterator[Entry]:
    yield from (
        Entry(f"configuration: {n}", text, said)
        for n, (text, said) in {
            "a typo": ("stor: x\n", "stor"),
            "a typo inside": ("cluster: {adress: x}\n", "adress"),
            "a string for a number": ("cluster: {num_cpus: many}\n", "num_cpus"),
            "a mapping for a list": ("systems: {a: b}\n", "list of names"),
            "an unknown system": ("systems: [orakle]\n", "oracle"),
            "an unknown protocol": ("protocol: nothing-of-the-kind\n", "protocol"),
            "a system by a path": ("systems: [../../etc/passwd]\n", "no system"),
            "a secret from the environment": ("name: ${oc.env:HOME}\n", "interpolation"),
            "an interpolation": ("name: ${store}\n", "interpolation"),
            "an interpolation inside": ("benchmark: {source: '${oc.env:PATH}'}\n", "interpolation"),
            "a resolver": ("name: ${oc.decode:x}\n", "interpolation"),
            "a Python object": ("name: !!python/object/apply:os.system [ls]\n", "python"),
            "a Python name": ("name: !!python/name:os.system\n", "python"),
            "an anchor to itself": ("system: &a {x: *a}\n", "too deep|itself|expected"),
            "a laughing billion": (_laughs(), "too large|expected"),
            "deep": ("system: " + "{a: " * 60 + "1" + "}" * 60 + "\n", "too deep"),
            "very deep": ("a: " + "[" * 3000 + "\n", "deep|depth|expected"),
            "a list": ("[1, 2]\n", "mapping"),
            "a word": ("word\n", "mapping"),
            "no YAML": ("a: [\n", "expected"),
            "a tab": ("a:\n\t- b\n", "token"),
            "a NUL": ("a: \x00\n", "special characters|unacceptable"),
            "a number without end": ("name: " + "9" * 5000, "digits"),
            "not UTF-8": (b"name: \xff\xfe\n", "decode|codec"),
        }.items()
    )


def _laughs() -> str:
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]" for n in range(1, 9)]
    return "\n".join(lines)


# ---- replies -------------------------------------------------------------------------------


def _judge_replies() -> Iterator[Entry]:
    """Instead of a judge's reply; every one is a row without a number."""
    texts = {
        "nothing": "",
        "blanks": " \n",
        "words": "I think 8 out of 10.",
        "a number": "8",
        "a string": '"8"',
        "a list": "[8]",
        "null": "null",
        "cut off": '{"scores": {"overall',
        "an empty object": "{}",
        "NaN": '{"scores": {"overall": NaN}}',
        "Infinity": '{"scores": {"overall": Infinity}}',
        "single quotes": "{'scores': {}}",
        "two objects": "{}{}",
        "an object and praise": "{} Well done!",
        "scores are a list": '{"analysis": "", "explanations": {}, "scores": [8]}',
        "scores are words": '{"analysis": "", "explanations": {}, "scores": {"overall": "eight"}}',
        "scores as text": '{"analysis": "", "explanations": {}, "scores": {"overall": "8"}}',
        "a score of 1e308": '{"analysis": "", "explanations": {}, "scores": {"overall": 1e308}}',
        "true": '{"analysis": "", "explanations": {}, "scores": {"overall": true}}',
        "a key twice": '{"scores": {}, "scores": {}}',
        "reasoning without end": "<think>" + "x" * 99,
        "too long": "{" + " " * 300_000 + "}",
        "deep": "[" * 100_000,
        "markup": "<scores>8</scores>",
    }
    yield from (Entry(f"judge: {n}", text, "parse_error|schema_error") for n, text in texts.items())


def _api_replies() -> Iterator[Entry]:
    """Bodies of 200 replies; a row that is not ok, unless only its log-probabilities are bad."""

    def reply(message: Any = None, **more: Any) -> bytes:
        return json.dumps({"choices": [{"message": message, **more}], "model": "m"}).encode()

    bodies: dict[str, bytes] = {
        "nothing": b"",
        "HTML": b"<html>502</html>",
        "null": b"null",
        "a list": b"[]",
        "no choices": b"{}",
        "empty choices": b'{"choices": []}',
        "choices are null": b'{"choices": null}',
        "a choice is a string": b'{"choices": ["x"]}',
        "no message": b'{"choices": [{}]}',
        "message is null": reply(None),
        "message is a string": reply("hello"),
        "content is null": reply({"content": None}),
        "content is a number": reply({"content": 7}),
        "content is empty": reply({"content": ""}),
        "content is a list": reply({"content": [1]}),
        "another model": reply({"content": "x"}).replace(b'"m"', b'"cheaper"'),
        "refusal": reply({"content": None, "refusal": "no"}),
        "filtered": reply({"content": "x"}, finish_reason="content_filter"),
        "cut": reply({"content": "x"}, finish_reason="length"),
        "ended oddly": reply({"content": "x"}, finish_reason="\ud800"),
        "deep": b"[" * 100_000,
        "not UTF-8": b"\xff\xfe\x00",
        "logprobs are words": reply({"content": "x"}, logprobs={"content": "words"}),
        "a logprob beyond all numbers": reply(
            {"content": "x"}, logprobs={"content": [{"token": "a", "logprob": 10**400}]}
        ),
    }
    said = {"another model": "another model", "logprobs are words": "ok"}
    said |= {"a logprob beyond all numbers": "ok"}
    yield from (Entry(f"endpoint: {n}", body, said.get(n, "")) for n, body in bodies.items())


_KINDS: dict[str, Callable[[], Iterator[Entry]]] = {
    "pictures": _pictures,
    "paths": _paths,
    "lines": _lines,
    "records": _records,
    "tables": _tables,
    "configurations": _configurations,
    "judge replies": _judge_replies,
    "endpoint replies": _api_replies,
}
