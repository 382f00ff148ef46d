"""More bad inputs by kind: pictures of every format, archives, tables, lines and configurations."""

import gzip
import io
import json
import struct
import tarfile
import warnings
import zipfile
import zlib
from collections.abc import Iterator
from typing import Any

import pyarrow as pa
import pyarrow.ipc as ipc
import pyarrow.parquet as pq
from hostile.corpus import Entry, _chunk, _frames, _picture, _png
from hostile.packed_tables import cells, columns, members
from PIL import Image
from PIL.PngImagePlugin import PngInfo


def _saved(kind: str, image: Image.Image, **options: Any) -> bytes:
    sink = io.BytesIO()
    image.save(sink, kind, **options)
    return sink.getvalue()


_PLAIN = Image.new("RGB", (6, 5), (9, 9, 9))
_WHOLE = {kind: _picture(kind) for kind in ("PNG", "JPEG", "WEBP", "BMP", "GIF", "TIFF")}


def pictures() -> Iterator[Entry]:
    yield from _with_words()
    yield from _wounded()
    yield from _promising()
    yield from _of_odd_pixels()


def _with_words() -> Iterator[Entry]:
    words = PngInfo()
    words.add_text("Comment", "x" * 5000, zip=True)
    words.add_itxt("Title", "ein Bild \u202e", "de", "Titel")
    yield Entry("PNG with words", _saved("PNG", _PLAIN, pnginfo=words), None)
    yield Entry("PNG with a profile", _saved("PNG", _PLAIN, icc_profile=b"x" * 3000), None)
    yield Entry(
        "JPEG with a profile that is none", _saved("JPEG", _PLAIN, icc_profile=b"y" * 90_000), None
    )
    for turn in (2, 3, 5, 8, 9, 0):
        exif = Image.Exif()
        exif[0x0112] = turn
        yield Entry(f"JPEG turned by {turn}", _saved("JPEG", _PLAIN, exif=exif), None)


def _wounded() -> Iterator[Entry]:
    for kind, data in _WHOLE.items():
        yield Entry(f"{kind} with a page behind it", data + b"<html>" * 200, None)
        yield Entry(f"{kind} without its first byte", data[1:], "not a|damaged")
        yield Entry(f"{kind} behind blanks", b"   " + data, "not a|damaged")
    for kind in ("BMP", "GIF", "TIFF"):
        yield Entry(
            f"{kind} cut in half", _WHOLE[kind][: len(_WHOLE[kind]) // 2], "truncated|not a|damaged"
        )
    yield Entry("two PNGs, one behind the other", _WHOLE["PNG"] * 2, None)
    yield Entry("PNG with its data twice", _png(2, 2, b"\0" * 14 + b"\0" * 9000), None)
    yield Entry(
        "PNG of 17 bits",
        _WHOLE["PNG"].replace(b"\x08\x02\0\0\0", b"\x11\x02\0\0\0", 1),
        "not a|damaged",
    )
    yield Entry(
        "PNG whose profile is a bomb",
        _png(2, 2, extra=_chunk(b"iCCP", b"p\0\0" + zlib.compress(b"0" * 90_000_000))),
        "not a|damaged",
    )
    yield Entry(
        "PNG whose words are a bomb",
        _png(2, 2, extra=_chunk(b"iTXt", b"k\0\1\0\0\0" + zlib.compress(b"0" * 90_000_000))),
        "not a|damaged",
    )


def _promising() -> Iterator[Entry]:
    yield Entry("animated PNG of one frame", _animated(1), "animated")
    yield Entry(
        "animated PNG that promises 2^31 frames", _animated(2**31 - 1), "animated|not a|damaged"
    )
    yield Entry("GIF of one frame that loops", _saved("GIF", _PLAIN, loop=0), None)
    yield Entry("WebP that says 16383 squared", _webp_says(16383), "pixels|not a|damaged|truncated")
    yield Entry(
        "BMP that says 2^31 rows",
        _WHOLE["BMP"][:22] + struct.pack("<i", 2**31 - 1) + _WHOLE["BMP"][26:],
        "pixels|not a|damaged|truncated",
    )
    yield Entry(
        "BMP that is upside down",
        _WHOLE["BMP"][:22] + struct.pack("<i", -18) + _WHOLE["BMP"][26:],
        None,
    )
    yield Entry(
        "GIF that says 65535 squared",
        _WHOLE["GIF"][:6] + b"\xff" * 4 + _WHOLE["GIF"][10:],
        "pixels|not a|damaged",
    )
    yield Entry("JPEG that says 65500 squared", _jpeg_says(65500), "pixels|not a|damaged")


def _of_odd_pixels() -> Iterator[Entry]:
    yield Entry(
        "floating-point TIFF", _saved("TIFF", Image.new("F", (4, 4), 0.5)), "range|float|no telling"
    )
    yield Entry(
        "TIFF of 32 bits", _saved("TIFF", Image.new("I", (4, 4), 70_000)), "range|32|no telling"
    )
    yield Entry("TIFF of many pages", _frames("TIFF"), "animated or paged")
    yield Entry("PNG of one bit", _saved("PNG", Image.new("1", (9, 9))), None)
    yield Entry("PNG with a hole", _saved("PNG", Image.new("LA", (9, 9), (3, 0))), None)
    yield Entry("JPEG in YCCK", _saved("JPEG", Image.new("CMYK", (9, 9))), None)
    yield Entry(
        "JPEG of no colour table",
        _WHOLE["JPEG"].replace(b"\xff\xdb", b"\xff\xfe"),
        "not a|damaged|truncated",
    )
    yield Entry("AVIF by name", b"\0\0\0\x1cftypavif" + b"\0" * 60, "not a|damaged")
    yield Entry("HEIC by name", b"\0\0\0\x18ftypheic" + b"\0" * 60, "not a|damaged")
    yield Entry("JPEG 2000 by name", b"\0\0\0\x0cjP  \r\n\x87\n" + b"\0" * 60, "not a|damaged")
    yield Entry("a text of base64", b"iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJ", "not a")
    yield Entry("a data URL", b"data:image/png;base64,iVBORw0KGgo=", "not a")
    yield Entry("PPM of a page", b"P6 99999 99999 255\n" + b"\0" * 99, "not a|pixels|damaged")


def _animated(frames: int) -> bytes:
    return _png(2, 2, b"\0" * 14, extra=_chunk(b"acTL", struct.pack(">II", frames, 0)))


def _webp_says(side: int) -> bytes:
    data = bytearray(_picture("WEBP"))
    at = data.index(b"\x9d\x01\x2a") + 3
    data[at : at + 4] = struct.pack("<HH", side, side)
    return bytes(data)


def _jpeg_says(side: int) -> bytes:
    data = bytearray(_picture("JPEG"))
    at = data.index(b"\xff\xc0") + 5
    data[at : at + 4] = struct.pack(">HH", side, side)
    return bytes(data)


def lines() -> Iterator[Entry]:
    bad = {
        "a lone surrogate as a key": (b'{"\\udc00": 1}', "UTF-8"),
        "CESU-8": (b'{"a": "\xed\xa0\x80\xed\xb0\x80"}', "UTF-8"),
        "UTF-8 cut": (b'{"a": "\xe2\x82', "UTF-8|not JSON"),
        "minus zero minus": (b'{"a": --0}', "not JSON"),
        "-1e999": (b'{"a": -1e999}', "too large"),
        "True": (b'{"a": True}', "not JSON"),
        "undefined": (b'{"a": undefined}', "not JSON"),
        "a plus": (b'{"a": +1}', "not JSON"),
        "an octal": (b'{"a": 0o7}', "not JSON"),
        "a dot": (b'{"a": .5}', "not JSON"),
        "a tab in a text": (b'{"a": "x\ty"}', "not JSON"),
        "a bad escape": (b'{"a": "\\x41"}', "not JSON"),
        "half an escape": (b'{"a": "\\u00"}', "not JSON"),
        "a key that is none": (b"{1: 2}", "not JSON"),
        "a key twice by an escape": (b'{"a": 1, "\\u0061": 2}', "twice"),
        "a form feed": (b"{}\x0c", "not JSON"),
        "objects 60 deep": (b'{"a":' * 60 + b"1" + b"}" * 60, "deep"),
    }
    for name, (line, said) in bad.items():
        yield Entry(f"line: {name}", line, said)
    yield Entry("line: a long number", b'{"a": 123456789012345678901234567890}', None)
    yield Entry("line: the very small", b'{"a": 1e-999}', None)
    yield Entry("line: names of prototypes", b'{"__proto__": {"x": 1}, "constructor": 2}', None)


def configurations() -> Iterator[Entry]:
    bad = {
        "blocks without end": ("a:\n" + "- " * 50_000, "deep|depth"),
        "keys without end": ("? " * 50_000, "deep|depth"),
        "maps without end": ("a: " + "{a: " * 50_000, "deep|depth"),
        "a name of Python": ("name: !!python/name:os.system\n", "tag|python|could not"),
        "an object of Python": (
            "name: !!python/object/new:os.system [x]\n",
            "tag|python|could not",
        ),
        "binary": ("name: !!binary aGVsbG8=\n", "name|str|bytes|tag"),
        "a date for a name": ("name: 2026-01-01\n", "name|str|date|system"),
        "an infinite number": ("cluster: {num_cpus: .inf}\n", "num_cpus"),
        "two documents": ("store: x\n---\nstore: y\n", "document"),
    }
    for name, (text, said) in bad.items():
        yield Entry(f"configuration: {name}", text, said)


def _lines(count: int, **row: Any) -> bytes:
    return "".join(
        json.dumps({"q": f"q {n}", "a": "a", **row}) + "\n" for n in range(count)
    ).encode()


def _zip(write: Any) -> bytes:
    sink = io.BytesIO()
    with warnings.catch_warnings(), zipfile.ZipFile(sink, "w", zipfile.ZIP_DEFLATED) as packed:
        warnings.simplefilter("ignore")  # that a name stands twice
        write(packed)
    return sink.getvalue()


def _tar(*members: tuple[tarfile.TarInfo, bytes], **options: Any) -> bytes:
    sink = io.BytesIO()
    with tarfile.open(fileobj=sink, mode="w", **options) as packed:
        for info, data in members:
            info.size = info.size or len(data)
            packed.addfile(info, io.BytesIO(data))
    return sink.getvalue()


def _info(name: str, **fields: Any) -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    for field, value in fields.items():
        setattr(info, field, value)
    return info


# A map of one piece of eight bytes, and the piece.
_HELD = b"1\n0\n8\n".ljust(512, b"\0") + b"12345678"


def _sparse(name: str) -> tarfile.TarInfo:
    fields = {"major": "1", "minor": "0", "name": name, "realsize": str(100 * 2**40)}
    headers = {f"GNU.sparse.{field}": value for field, value in fields.items()}
    return _info(name, pax_headers=headers)


def outside_tables() -> Iterator[tuple[str, Entry]]:
    """The kind of `outside_tables.TABLES` whose file this takes the place of, and what it is."""
    yield from _texts()
    yield from _zips()
    yield from _tars()
    yield from _columnar()
    yield from _of_packed_tables()


def _of_packed_tables() -> Iterator[tuple[str, Entry]]:
    for kind, made in (("json columns", columns()), ("json cells", cells())):
        for name, data, said in made:
            yield kind, Entry(f"{kind}: {name}", data, said)
    for name, files, said in members():
        packed = _zip(lambda z, files=files: [z.writestr(n, d) for n, d in files.items()])
        yield "table in zip", Entry(f"table in zip: {name}", packed, said)
    twice = _tar(*[(_info("1.json"), b'{"q": "q", "a": "a"}')] * 2)
    yield "table in tar", Entry("table in tar: a table twice", twice, "twice")
    for name, data in {"a page": b"<html>", "cut": twice[:700], "zeros": b"\0" * 20_480}.items():
        said = "damaged|no file fits|twice|a web page"
        yield "table in tar", Entry(f"table in tar: {name}", data, said)
    held = _tar((_sparse("1.json"), _HELD))
    yield "table in tar", Entry("table in tar: a sparse table of 100 TiB", held, "is sparse")
    yield "image pattern", Entry("image pattern: a page", b"<html>", "not an image|picture")


def _texts() -> Iterator[tuple[str, Entry]]:
    row = b'{"q": "q", "a": "a"}\n'
    for name, (data, said) in {
        "a key twice": (b'{"q": "q", "q": "r", "a": "a"}\n', "twice"),
        "NaN": (b'{"q": NaN, "a": "a"}\n', "instruction|empty|no text"),
        "a list for a line": (b"[1]\n", "in no row"),
        "a number for the question": (b'{"q": 7, "a": 1e999}\n', "too large|a"),
        "an object for the question": (b'{"q": {"x": 1}, "a": "a"}\n', "an object"),
        "deep": (b'{"q": ' + b"[" * 5000 + b"]" * 5000 + b"}\n", "deep|not JSON"),
        "half a character": (b'{"q": "\\ud800", "a": "a"}\n', "half a character|UTF-8"),
        "UTF-16": (row.decode().encode("utf-16"), "UTF-8"),
        "a line of 300 MB is told, not read": (
            b'{"q": "' + b"x" * 5_000_000 + b'", "a": "a"}\n',
            "characters|more than|bytes",
        ),
        "two million blank lines": (b"\n" * 2_000_000, "have nothing in them"),
        "a NUL in the question": (b'{"q": "a\\u0000b", "a": "a"}\n', None),
    }.items():
        yield "jsonl", Entry(f"jsonl: {name}", data, said)
    for name, (data, said) in {
        "a quote that never closes": (
            b'q,a\n"x,y\n' + b"z,w\n" * 2000,
            "quote|never|ends|cells|unexpected|closed",
        ),
        "a NUL": (b"q,a\nx\0,y\n", None),
        "100,000 columns": (b",".join(b"c%d" % n for n in range(100_000)) + b"\n1\n", "columns"),
        "CR alone": (b"q,a\rx,y\r", "in no row|line|cells|column"),
        "UTF-16": ("q,a\nx,y\n".encode("utf-16"), "UTF-8"),
        "formulas": (b'q,a\n"=HYPERLINK(""http://x"")",@SUM(1)\n', None),
        "a cell of 6 MB": (b"q,a\n" + b"x" * 6_000_000 + b",y\n", "more than|characters|bytes"),
    }.items():
        yield "csv", Entry(f"csv: {name}", data, said)


def _zips() -> Iterator[tuple[str, Entry]]:
    picture = _picture()
    twice = _zip(lambda z: (z.writestr("1.png", b"no picture"), z.writestr("1.png", picture)))
    for name, (data, said) in {
        "a member twice": (twice, "twice|2 members|more than once"),
        "an absolute member": (_zip(lambda z: z.writestr("/1.png", picture)), None),
        "a member above its folder": (_zip(lambda z: z.writestr("../1.png", picture)), "no member"),
        "a member by backslashes": (
            _zip(lambda z: z.writestr("a\\..\\1.png", picture)),
            "no member",
        ),
        "a bomb": (_zip(lambda z: z.writestr("1.png", b"\0" * 200_000_000)), "more than|not a"),
        "a directory of that name": (_zip(lambda z: z.writestr("1.png/", b"")), "no member"),
        "a page": (b"PK\x03\x04<html>", "damaged"),
        "a zip in a zip": (_zip(lambda z: z.writestr("1.png", twice)), "not a"),
        "cut in half": (twice[: len(twice) // 2], "damaged"),
        "a lie about the size": (_lying(picture), "damaged|not a|truncated|more than"),
    }.items():
        yield "zip", Entry(f"zip: {name}", data, said)


def _tars() -> Iterator[tuple[str, Entry]]:
    picture = _picture()
    one = (_info("1.png"), picture)
    link = _info("1.png", type=tarfile.LNKTYPE, linkname="/etc/passwd")
    soft = _info("1.png", type=tarfile.SYMTYPE, linkname="../../etc/passwd")
    sparse = _info("1.png", type=tarfile.GNUTYPE_SPARSE)
    long = {"comment": "x" * 2_000_000}
    for name, (data, said) in {
        "a hard link": (_tar((link, b"")), "no member"),
        "a symbolic link": (_tar((soft, b"")), "no member"),
        "a device": (_tar((_info("1.png", type=tarfile.CHRTYPE, devmajor=1), b"")), "no member"),
        "a pipe": (_tar((_info("1.png", type=tarfile.FIFOTYPE), b"")), "no member"),
        "a sparse file": (_tar((sparse, picture)), "damaged|no member|not a|sparse"),
        "a sparse file of 100 TiB": (_tar((_sparse("1.png"), _HELD)), "is sparse"),
        "fields of 2 MB": (_tar((_info("1.png", pax_headers=long), picture)), "a header of 2,0"),
        "a name of 2 MB": (
            _tar((_info("1" * 2_000_000), picture), format=tarfile.GNU_FORMAT),
            "a header of 2,0",
        ),
        "an absolute member": (_tar((_info("/1.png"), picture)), None),
        "a member above its folder": (_tar((_info("../1.png"), picture)), "no member"),
        "a member twice": (
            _tar((_info("1.png"), b"no picture"), (_info("1.png"), picture)),
            "twice|more than once",
        ),
        "a link behind the file": (_tar(one, (soft, b"")), None),
        "a size of 8 TB": (
            _tar(one)[:124] + b"\x80\0\0\0\x08\0\0\0\0\0\0\0" + _tar(one)[136:],
            "damaged|more than|no member",
        ),
        "zeros": (b"\0" * 20_480, "damaged|no member"),
    }.items():
        yield "tar", Entry(f"tar: {name}", data, said)
    for name, (data, said) in {
        "gzip of zeros": (gzip.compress(b"\0" * 3_000_000), "damaged|no member"),
        "gzip in gzip": (gzip.compress(gzip.compress(_tar(one))), "damaged"),
        "gzip with words behind": (gzip.compress(_tar(one)) + b"<html>", "damaged"),
        "gzip cut": (gzip.compress(_tar(one))[:-30], "damaged"),
    }.items():
        yield "tar.gz", Entry(f"tar.gz: {name}", data, said)


def _lying(picture: bytes) -> bytes:
    data = bytearray(_zip(lambda z: z.writestr("1.png", picture)))
    at = data.rindex(b"PK\x01\x02") + 24
    data[at : at + 4] = struct.pack("<I", 5)
    return bytes(data)


def _parquet(table: pa.Table) -> bytes:
    sink = io.BytesIO()
    pq.write_table(table, sink)
    return sink.getvalue()


def _backwards() -> pa.Table:
    places = pa.py_buffer(b"".join(n.to_bytes(4, "little") for n in (0, 6, 2)))
    texts = pa.Array.from_buffers(pa.string(), 2, [None, places, pa.py_buffer(b"What is")])
    return pa.table({"q": texts, "a": ["lung", "liver"], "i": pa.nulls(2)})


def _arrow(table: pa.Table) -> bytes:
    sink = io.BytesIO()
    with ipc.new_file(sink, table.schema) as writer:
        writer.write_table(table)
    return sink.getvalue()


def _columns() -> dict[str, tuple[pa.Table, str]]:
    """Tables that are whole and wrong, and what is to be said of each."""
    rows, picture = {"q": ["q"], "a": ["a"]}, _picture()
    bomb = pa.array(["x" * 8_000_000]).dictionary_encode()
    many = pa.DictionaryArray.from_arrays(pa.array([0] * 400, pa.int8()), bomb.dictionary)
    twice = [pa.array(["q"]), pa.array(["q"]), pa.array(["a"])]
    nothing = pa.array([None], pa.string())
    return {
        "a path for a picture": (pa.table({**rows, "i": ["/etc/passwd"]}), "absolute"),
        "numbers for pictures": (pa.table({**rows, "i": [7]}), "no picture"),
        "a column twice": (pa.Table.from_arrays(twice, ["q", "q", "a"]), "twice"),
        "bytes for the question": (
            pa.table({"q": [b"\xff\xfe"], "a": ["a"], "i": [picture]}),
            "bytes|UTF-8",
        ),
        "a null row": (
            pa.table({"q": nothing, "a": ["a"], "i": [picture]}),
            "empty|no text|instruction",
        ),
        "a dictionary bomb": (
            pa.table({"q": many, "a": ["a"] * 400, "i": [picture] * 400}),
            "1,000,000|characters|more than|bomb|unfold",
        ),
        "lists in lists": (pa.table({"q": [[["q"]]], "a": ["a"], "i": [picture]}), "a list"),
    }


def _columnar() -> Iterator[tuple[str, Entry]]:
    for name, (table, said) in _columns().items():
        yield "parquet", Entry(f"parquet: {name}", _parquet(table), said)
        if "bomb" not in name:
            yield "arrow", Entry(f"arrow: {name}", _arrow(table), said)
    rows = {"q": ["q"], "a": ["a"]}
    named = _parquet(pa.table({**rows, "i": [_picture()], "zzname": ["x"]}))
    renamed = named.replace(b"zzname", b"\xff\xfename")
    yield "parquet", Entry("parquet: a column whose name is no text", renamed, "damaged")
    backwards = Entry("arrow: a text that ends before it begins", _arrow(_backwards()), "read")
    yield "arrow", backwards
    whole = _arrow(pa.table({**rows, "i": [None]}))
    for name, data in {
        "arrow: cut": whole[: len(whole) // 2],
        "arrow: a footer that lies": whole[:-10] + b"\xff\xff\xff\x7f" + b"ARROW1",
        "arrow: its first bytes only": b"ARROW1\0\0",
        "arrow: a message of 2 GiB": b"\xff\xff\xff\xff\xff\xff\xff\x7f" + b"\0" * 64,
    }.items():
        yield "arrow", Entry(name, data, "damaged")
