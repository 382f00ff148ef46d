"""Tables of somebody else's for the corpus: of each kind of file and archive a sound one."""

import base64
import gzip
import io
import json
import tarfile
import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.ipc as ipc
import pyarrow.parquet as pq
from sources.outside import picture

from medgen.adapters.tables.mapping import read_mapping
from medgen.adapters.tables.source import RecordsSource

ROWS = [{"q": f"What is {n}?", "a": f"lung {n}", "c": ["one", "two"], "i": n} for n in range(3)]
Mapped = dict[str, Any]
_TEXT: Mapped = {"instruction": "q", "asks": "text", "task": "open-vqa", "answer": {"text": "a"}}
_CHOICE: Mapped = {**_TEXT, "context": {"of": "x", "parse": "json", "join": ",", "default": "none"}}
_INSIDE: Mapped = {**_TEXT, "images": [{"of": "i", "as": "base64"}]}
_BYTES: Mapped = {**_TEXT, "images": [{"of": "i"}]}


def _packed(name: str) -> Mapped:
    return {**_TEXT, "images": [{"of": "i", "in": name}]}


def _lines(**more: Any) -> bytes:
    return "".join(json.dumps({**row, **more}) + "\n" for row in ROWS).encode()


def _table(cell: Any, kind: pa.DataType) -> pa.Table:
    columns = {"q": pa.string(), "a": pa.string(), "i": kind}
    return pa.Table.from_pylist([{**row, "i": cell} for row in ROWS], pa.schema(columns))


def _written(write: Callable[[io.BytesIO, pa.Table], None], table: pa.Table) -> bytes:
    sink = io.BytesIO()
    write(sink, table)
    return sink.getvalue()


def _ipc(new: Any) -> Callable[[io.BytesIO, pa.Table], None]:
    def write(sink: io.BytesIO, table: pa.Table) -> None:
        with new(sink, table.schema) as writer:
            writer.write_table(table)

    return write


def _parquet(sink: io.BytesIO, table: pa.Table) -> None:
    pq.write_table(table, sink)


def _zip() -> bytes:
    sink = io.BytesIO()
    with zipfile.ZipFile(sink, "w") as packed:
        packed.writestr("1.png", picture())
    return sink.getvalue()


def _tar() -> bytes:
    sink = io.BytesIO()
    with tarfile.open(fileobj=sink, mode="w") as packed:
        entry = tarfile.TarInfo("1.png")
        entry.size = len(picture())
        packed.addfile(entry, io.BytesIO(picture()))
    return sink.getvalue()


def _table_in_zip() -> bytes:
    sink = io.BytesIO()
    with zipfile.ZipFile(sink, "w", zipfile.ZIP_DEFLATED) as packed:
        packed.writestr("t.jsonl", _lines())
    return sink.getvalue()


def _table_in_tar() -> bytes:
    sink = io.BytesIO()
    with tarfile.open(fileobj=sink, mode="w") as packed:
        for name, data in (("1.json", json.dumps(ROWS[0]).encode()), ("1.png", picture())):
            entry = tarfile.TarInfo(name)
            entry.size = len(data)
            packed.addfile(entry, io.BytesIO(data))
    return sink.getvalue()


_STRUCT = pa.struct([("bytes", pa.binary()), ("path", pa.string())])
_CELL = {"bytes": picture(), "path": "x.png"}
_BASE64 = base64.b64encode(picture()).decode()
_COLUMNS = {name: {str(n): row[name] for n, row in enumerate(ROWS)} for name in ("q", "a")}
_TOLD: Mapped = {**_TEXT, "images": [{"of": "{_file}.png", "in": "{_archive}", "optional": True}]}
# The kind -> the mapping, which files, and every file; the first is the one that is spoilt.
TABLES: Mapping[str, tuple[Mapped, str | Mapping[str, object], Mapping[str, bytes]]] = {
    "jsonl": (_CHOICE, "t.jsonl", {"t.jsonl": _lines(x='["y", 1]')}),
    "json": (_TEXT, "t.json", {"t.json": json.dumps({"rows": ROWS}).encode()}),
    "csv": (_TEXT, "t.csv", {"t.csv": b'q,a\n"What, 1?",lung\nWhat?,"two\nlines"\n'}),
    "tsv": (_TEXT, "t.tsv", {"t.tsv": b"q\ta\nWhat?\tlung\n"}),
    "parquet": (
        _BYTES, "t.parquet", {"t.parquet": _written(_parquet, _table(_CELL, _STRUCT))}
    ),
    "arrow": (
        _BYTES, "t.arrow", {"t.arrow": _written(_ipc(ipc.new_file), _table(_CELL, _STRUCT))}
    ),
    "arrow stream": (
        _TEXT, "t.arrow", {"t.arrow": _written(_ipc(ipc.new_stream), _table(_CELL, _STRUCT))}
    ),
    "json columns": (
        _TEXT, {"glob": "t.json", "as": "columns"}, {"t.json": json.dumps(_COLUMNS).encode()}
    ),
    "json cells": (
        _TEXT, {"glob": "t.json", "rows": "data", "header": ["q", "a"]},
        {"t.json": json.dumps({"data": [["What?", "lung"], ["Which?", "liver"]]}).encode()},
    ),
    "table in zip": (_TOLD, {"glob": "*.jsonl", "in": "t.zip"}, {"t.zip": _table_in_zip()}),
    "table in tar": (_TOLD, {"glob": "*.json", "in": "t.tar"}, {"t.tar": _table_in_tar()}),
    "image pattern": (
        {**_TEXT, "images": [{"of": "{i}*.png"}]}, "t.jsonl",
        {"1.png": picture(), "t.jsonl": _lines(i="1")},
    ),
    "base64": (_INSIDE, "t.jsonl", {"t.jsonl": _lines(i=_BASE64)}),
    "image file": (_BYTES, "t.jsonl", {"1.png": picture(), "t.jsonl": _lines(i="1.png")}),
    "zip": (_packed("z.zip"), "t.jsonl", {"z.zip": _zip(), "t.jsonl": _lines(i="1.png")}),
    "tar": (_packed("z.tar"), "t.jsonl", {"z.tar": _tar(), "t.jsonl": _lines(i="1.png")}),
    "tar.gz": (
        _packed("z.tar.gz"), "t.jsonl",
        {"z.tar.gz": gzip.compress(_tar()), "t.jsonl": _lines(i="1.png")},
    ),
}  # fmt: skip


def spoilt(kind: str) -> str:
    """The file of a table that hostile bytes take the place of."""
    return next(iter(TABLES[kind][2]))


def lay(kind: str, folder: Path) -> RecordsSource:
    """The sound table in a folder, and its source."""
    sample, table, files = TABLES[kind]
    folder.mkdir(exist_ok=True)
    for name, data in files.items():
        (folder / name).write_bytes(data)
    return RecordsSource(str(folder), read_mapping({"files": table, "sample": sample}, "t"))
