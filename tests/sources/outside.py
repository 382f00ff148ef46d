"""Small benchmarks written by hand, independent of the writers under test."""

import io
import json
import struct
import zlib
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
from PIL import Image

IMAGE = pa.struct([("bytes", pa.binary()), ("path", pa.string())])
HUB_SCHEMA = pa.schema(
    [
        ("input_images", pa.list_(IMAGE)),
        ("output_images", pa.list_(IMAGE)),
        ("instruction", pa.string()),
        ("task", pa.string()),
        ("subtask", pa.string()),
        ("modality", pa.string()),
    ]
)
# Editing items; the pictures are made by `picture`.
RECORDS: list[dict[str, Any]] = [
    {
        "sample_id": f"e{number}",
        "category": "ImageEdit",
        "paper_task": "noise-reconstruction",
        "modality": "CT",
        "instruction": f"Take the noise out of slice {number}.",
        "input_image": [f"images/in{number}.png"],
        "ground_truth_image": [f"images/out{number}.png"],
    }
    for number in range(4)
]


def picture(colour: tuple[int, int, int] = (10, 20, 30), kind: str = "PNG") -> bytes:
    sink = io.BytesIO()
    Image.new("RGB", (16, 12), colour).save(sink, kind)
    return sink.getvalue()


def bomb(width: int = 60_000, height: int = 60_000) -> bytes:
    """A tiny PNG whose header claims gigapixels."""

    def chunk(name: bytes, body: bytes) -> bytes:
        whole = name + body
        return struct.pack(">I", len(body)) + whole + struct.pack(">I", zlib.crc32(whole))

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    pixels = chunk(b"IDAT", zlib.compress(b"\0" * 1000))
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + pixels + chunk(b"IEND", b"")


def write_images(folder: Path) -> None:
    (folder / "images").mkdir(parents=True)
    for number in range(4):
        (folder / f"images/in{number}.png").write_bytes(picture((number, 0, 0)))
        (folder / f"images/out{number}.png").write_bytes(picture((0, number, 0)))


def write_lines(file: Path, records: list[dict[str, Any]]) -> None:
    file.write_text("".join(json.dumps(record) + "\n" for record in records))


def write_view(folder: Path, records: list[dict[str, Any]]) -> None:
    write_images(folder)
    write_lines(folder / "edit.jsonl", records)


def write_directory(folder: Path, records: list[dict[str, Any]]) -> None:
    place = folder / "ImageEditing/noise-reconstruction"
    write_images(place)
    write_lines(place / "data.jsonl", records)
    manifest = {
        "table_iv": {"ImageEditing": ["noise-reconstruction"]},
        "tasks": {"ImageEditing/noise-reconstruction": {"record_count": len(records)}},
        "validation": {"actual_record_count": len(records)},
    }
    (folder / "manifest.json").write_text(json.dumps(manifest))


def hub_rows() -> list[dict[str, Any]]:
    return [
        {
            "input_images": [{"bytes": picture((number, 0, 0)), "path": f"in{number}.png"}],
            "output_images": [{"bytes": picture((0, number, 0)), "path": None}],
            "instruction": "Take the noise out of this slice.",
            "task": "noise-reconstruction",
            "subtask": None,
            "modality": "CT",
        }
        for number in range(4)
    ]


def write_hub(
    folder: Path,
    rows: list[dict[str, Any]] | None = None,
    schema: pa.Schema = HUB_SCHEMA,
    name: str = "train-00000-of-00001.parquet",
) -> Path:
    file = folder / "parquet/image_editing" / name
    file.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(pa.Table.from_pylist(hub_rows() if rows is None else rows, schema), file)
    return file
