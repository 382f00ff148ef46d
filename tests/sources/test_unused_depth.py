"""Data of 12 bits in files of 16 are named while they can still be scaled: at the import."""

import io
import json
from pathlib import Path

import numpy as np
import pytest
from commands import medgen
from PIL import Image as Pillow
from sources.outside import (
    HUB_SCHEMA,
    RECORDS,
    hub_rows,
    picture,
    write_directory,
    write_hub,
    write_view,
)

from medgen.adapters.sources.layouts import open_source
from medgen.engine.benchmark.importing import ImportOptions, import_benchmark, validate
from medgen.engine.decoding.facts import facts
from medgen.engine.images import MAX_PIXELS
from medgen.engine.store.connect import connect


def deep(highest: int, kind: str = "PNG") -> bytes:
    sink = io.BytesIO()
    levels = np.linspace(0, highest, 256).astype(np.uint16).reshape(16, 16)
    Pillow.fromarray(levels).save(sink, kind)
    return sink.getvalue()


@pytest.mark.parametrize("kind", ["PNG", "TIFF"])
@pytest.mark.parametrize(
    ("highest", "bits"), [(1023, 10), (1024, 11), (4095, 12), (4096, 13), (32767, 15), (65535, 16)]
)
def test_the_bits_that_levels_need_are_seen(kind: str, highest: int, bits: int) -> None:
    seen = facts(deep(highest, kind), MAX_PIXELS)
    assert (seen.bits, seen.used_bits) == (16, bits)


def test_plain_pictures_use_what_they_have() -> None:
    seen = facts(picture((1, 1, 1)), MAX_PIXELS)
    assert (seen.bits, seen.used_bits) == (8, 8)


def written(layout: str, folder: Path, highest: int) -> None:
    if layout == "hub":
        rows = hub_rows()
        rows[1]["input_images"] = [{"bytes": deep(highest), "path": "images/in1.png"}]
        write_hub(folder, rows, HUB_SCHEMA)
        return
    {"view": write_view, "directory": write_directory}[layout](folder, RECORDS)
    next(folder.rglob("in1.png")).write_bytes(deep(highest))


@pytest.mark.parametrize("layout", ["view", "directory", "hub"])
def test_the_import_names_them(layout: str, tmp_path: Path) -> None:
    written(layout, tmp_path / "data", 4095)
    source = open_source(str(tmp_path / "data"))
    manifest = import_benchmark(source, connect(str(tmp_path / "store")), ImportOptions("deep"))
    (note,) = [note for note in manifest.notes if "bit data" in note]
    assert "12-bit data in a 16-bit file" in note
    assert "images/in1.png" in note
    assert note.startswith("1 picture leaves")


@pytest.mark.parametrize("highest", [65535, 32767, 0])
@pytest.mark.parametrize("layout", ["view", "directory", "hub"])
def test_what_may_fill_its_depth_is_not_named(layout: str, highest: int, tmp_path: Path) -> None:
    written(layout, tmp_path / "data", highest)
    source = open_source(str(tmp_path / "data"))
    assert validate(source) == []
    assert source.describe()["notes"] == []


def test_the_commands_say_it(tmp_path: Path) -> None:
    written("view", tmp_path / "data", 4095)
    (tmp_path / "data" / "images" / "out3.png").write_bytes(deep(1000))
    done = medgen("validate", str(tmp_path / "data"))
    assert done.returncode == 0
    assert "note: 2 pictures leave bits of the file unused" in done.stderr
    assert "and others, down to 10-bit data" in done.stderr
    done = medgen("validate", str(tmp_path / "data"), "--json")
    assert [row["event"] for row in done.lines()] == ["note", "validated"]
    done = medgen("import", str(tmp_path / "data"), "--store", str(tmp_path / "store"))
    assert done.returncode == 0
    assert "note: 2 pictures leave bits of the file unused" in done.stdout


def test_a_table_of_ones_own_says_it_too(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "a.png").write_bytes(deep(4095))
    rows = [{"image": "a.png", "question": f"What is {n}?", "answer": "edema"} for n in range(3)]
    text = "".join(f"{json.dumps(row)}\n" for row in rows)
    (tmp_path / "data" / "table.jsonl").write_text(text)
    store = str(tmp_path / "store")
    done = medgen("import", str(tmp_path / "data" / "table.jsonl"), "--store", store)
    assert done.returncode == 0, done.stderr
    assert "12-bit data in a 16-bit file" in done.stdout
