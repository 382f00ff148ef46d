"""Tables: rows with base64 pictures imported by a preset, beside the import of MedGEN-Bench's hub.

    python -m benchmarks.tables [rows]

The same pictures (64 x 64, no two alike) and questions are written as one TSV, with a picture as
base64 text in each row, and as the hub's Parquet files. Each is imported in a process of its own,
whose peak memory must stay below `MOST_MIB`. Kept in results/tables.json.
"""

import base64
import io
import json
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from PIL import Image

from benchmarks._records import keep
from benchmarks.load import measured
from medgen.adapters.sources.hub import HubSource
from medgen.adapters.tables.mapping import read_mapping
from medgen.adapters.tables.source import RecordsSource
from medgen.engine.benchmark.importing import ImportOptions, import_benchmark
from medgen.engine.store.connect import connect

MOST_MIB = 1024
_SIDE, _BLOCK = 64, 5_000  # pixels; rows of one Parquet file
_MAPPING: dict[str, object] = {
    "files": "rows.tsv",
    "sample": {
        "id": "row-{n}",
        "instruction": "question",
        "images": [{"of": "image", "as": "base64"}],
        "modality": {"is": "CT"},
        "asks": "text",
        "task": "open-vqa",
        "answer": {"text": "answer"},
    },
}


def pictures(count: int) -> Iterator[tuple[int, bytes]]:
    """Small pictures, of which no two have the same bytes."""
    ramp = np.add.outer(np.arange(_SIDE), np.arange(_SIDE)).astype(np.uint8)
    for number in range(count):
        pixels = ramp.copy()
        pixels[0, :4] = list(number.to_bytes(4, "little"))
        sink = io.BytesIO()
        Image.fromarray(pixels).save(sink, "PNG", compress_level=1)
        yield number, sink.getvalue()


def write(count: int, folder: Path) -> None:
    """The same rows in both forms."""
    place = folder / "hub" / "parquet" / "vqa"
    place.mkdir(parents=True)
    (folder / "table").mkdir()
    kind = pa.list_(pa.struct([("bytes", pa.binary()), ("path", pa.string())]))
    block: list[bytes] = []
    files = -(-count // _BLOCK)
    with (folder / "table" / "rows.tsv").open("w") as table:
        table.write("n\timage\tquestion\tanswer\n")
        for number, data in pictures(count):
            text = base64.b64encode(data).decode()
            table.write(f"{number}\t{text}\tWhat is shown in {number}?\tslice {number}\n")
            block.append(data)
            if len(block) == _BLOCK or number + 1 == count:
                first = number + 1 - len(block)
                rows: dict[str, Any] = {
                    "input_images": pa.array([[{"bytes": b, "path": None}] for b in block], kind),
                    "output_images": pa.array([[] for _ in block], kind),
                    "instruction": [f"What is shown in {first + n}?" for n in range(len(block))],
                    "answer": [f"slice {first + n}" for n in range(len(block))],
                    "task": ["question-answering"] * len(block),
                    "subtask": pa.array([None] * len(block), pa.string()),
                    "modality": ["CT"] * len(block),
                }
                name = f"train-{first // _BLOCK:05d}-of-{files:05d}.parquet"
                pq.write_table(pa.table(rows), place / name, row_group_size=500)
                block = []


def bring_in(kind: str, folder: str, store: str) -> None:
    """One import."""
    if kind == "table":
        source: Any = RecordsSource(f"{folder}/table", read_mapping(_MAPPING, "rows"))
    else:
        source = HubSource(f"{folder}/hub")
    import_benchmark(source, connect(store), ImportOptions(kind))


def main(arguments: list[str]) -> None:
    """Measure, print, keep, and fail when a limit is broken."""
    if arguments[:1] == ["import"]:
        bring_in(*arguments[1:])
        return
    count = int(arguments[0]) if arguments else 200_000
    found: dict[str, Any] = {"rows": count}
    with tempfile.TemporaryDirectory() as place:
        folder, start = Path(place), time.monotonic()
        write(count, folder)
        found["written_s"] = round(time.monotonic() - start, 1)
        for kind in ("table", "hub"):
            given = ["-m", "benchmarks.tables", "import", kind, place, f"{place}/store-{kind}"]
            seconds, mib = measured(given, folder / f"{kind}.log")
            found[kind] = {
                "import_s": round(seconds, 1),
                "rows_per_s": round(count / seconds),
                "peak_mib": round(mib),
            }
            print(json.dumps({kind: found[kind]}), flush=True)
    keep("tables", found)
    if found["table"]["peak_mib"] > MOST_MIB:
        raise SystemExit(f"a limit is broken: at most {MOST_MIB} MiB")


if __name__ == "__main__":
    main(sys.argv[1:])
