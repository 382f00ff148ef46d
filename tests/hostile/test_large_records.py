"""Small files that stand for gigabytes are refused before they become them."""

import json
import re
import resource
import subprocess
import sys
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from sources.outside import write_hub

from medgen.adapters.sources.layouts import open_source
from medgen.engine.benchmark.source import Problem

LIMIT = 3 * 2**29  # bytes of address space beside what the interpreter maps already
PROGRAM = f"""
import resource, sys
from medgen.adapters.sources.layouts import open_source
from medgen.engine.benchmark.source import Problem
import medgen.adapters.sources.hub
mapped = int(open("/proc/self/statm").read().split()[0]) * resource.getpagesize()
resource.setrlimit(resource.RLIMIT_AS, (mapped + {LIMIT}, mapped + {LIMIT}))
for found in open_source(sys.argv[1]):
    print(found.what if isinstance(found, Problem) else "sample")
"""


def read(folder: Path) -> list[str]:
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, str(folder)],
        capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-2000:]
    return done.stdout.splitlines()


def one_picture_everywhere(size: int, cells: int, rows: int) -> pa.Array:
    """Lists of structs whose bytes are one value of a dictionary."""
    indices = pa.array(np.zeros(rows * cells, np.int32))
    held = pa.DictionaryArray.from_arrays(indices, pa.array([b"\0" * size], pa.binary()))
    cell = pa.StructArray.from_arrays([held, pa.array(["a.png"] * rows * cells)], ["bytes", "path"])
    return pa.ListArray.from_arrays(pa.array(range(0, rows * cells + 1, cells), pa.int32()), cell)


@pytest.mark.parametrize(("size", "cells", "rows"), [(32 * 2**20, 60, 16), (60 * 2**20, 8, 64)])
def test_a_dictionary_is_not_repeated_before_it_is_measured(
    tmp_path: Path, size: int, cells: int, rows: int
) -> None:
    write_hub(tmp_path, name="train-00000-of-00002.parquet")
    file = write_hub(tmp_path, name="train-00001-of-00002.parquet")
    table = pq.read_table(file)
    more = pa.concat_tables([table] * rows)[:rows]
    at = more.schema.get_field_index("input_images")
    bomb = more.set_column(at, "input_images", one_picture_everywhere(size, cells, rows))
    pq.write_table(
        bomb, file, compression="zstd", dictionary_pagesize_limit=2**30, store_schema=False
    )
    assert file.stat().st_size < 100_000
    said = read(tmp_path)
    assert any("bytes, more than" in words or "a bomb?" in words for words in said)
    assert "sample" in said, "the other file is read"


def test_a_file_that_is_named_often_is_read_once(tmp_path: Path) -> None:
    folder = tmp_path / "vqa" / "question-answering"
    folder.mkdir(parents=True)
    (folder / "big.png").write_bytes(b"\0" * (60 * 2**20))
    record = {
        "task": "question-answering", "modality": "CT", "instruction": "Which?", "answer": "That.",
        "input_image": ["big.png"] * 64, "ground_truth_image": [],
    }  # fmt: skip
    (folder / "data.jsonl").write_text(json.dumps(record) + "\n")
    manifest = {"table_iv": {"vqa": ["question-answering"]}, "tasks": {}, "validation": {}}
    (tmp_path / "manifest.json").write_text(json.dumps(manifest))
    before = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss
    said = read(tmp_path)
    assert said
    assert "sample" not in said
    assert resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss - before < 2**20  # KiB


def test_a_column_that_its_part_of_the_footer_calls_otherwise_is_a_problem(tmp_path: Path) -> None:
    """pyarrow looks columns up by the names that each part of a file gives them."""
    file = write_hub(tmp_path)
    sound = file.read_bytes()
    places = [found.start() for found in re.finditer(b"element", sound)]
    told = []
    for place in places:
        file.write_bytes(sound[:place] + b"elem\x01nt" + sound[place + 7 :])
        told += [found.what for found in open_source(str(tmp_path)) if isinstance(found, Problem)]
    assert any("no column is named" in what for what in told)
