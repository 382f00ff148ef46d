"""A benchmark's samples as a table for other programs: one row a sample, once for all its runs.

Columns are numbers, texts, structs and lists of structs: maps and dictionaries are what one
reader or another refuses. A sample's `position` is its place in the benchmark, from 0.
"""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from medgen.engine.benchmark.manifest import Benchmark
from medgen.engine.store.layout import BenchmarkPlace
from medgen.engine.store.objects import Objects
from medgen.engine.store.parquet import PartWriter
from medgen.engine.store.sample_rows import samples
from medgen.engine.store.schemas import columns, schema
from medgen.engine.store.table_notes import tables_note

_TEXT, _COUNT = pa.string(), pa.int64()


def list_of(kind: pa.DataType) -> pa.DataType:
    """Lists as Parquet calls them."""
    return pa.list_(pa.field("element", kind))


# What every table says of a sample.
DESCRIBED = [
    ("sample", _TEXT),
    ("position", _COUNT),
    *columns("format asks task subtask modality source bundle language"),
    ("groups", list_of(pa.struct(columns("name value")))),
]
SAMPLES = schema(
    "samples/1",
    [
        ("benchmark", _TEXT),
        *DESCRIBED,
        ("instruction", _TEXT),
        ("choices", list_of(_TEXT)),
        ("reference_text", _TEXT),
        ("images", list_of(pa.struct([("role", _TEXT), ("bytes", pa.binary()), ("path", _TEXT)]))),
        ("raw", _TEXT),  # JSON
    ],
)


def publish_samples(objects: Objects, ref: str, tables: Iterable[pa.Table]) -> None:
    """Write the table of a benchmark's samples (`sample_rows`), and the note that it is whole."""
    place = BenchmarkPlace(ref)
    parts = PartWriter(objects, place.samples, SAMPLES).write(tables)
    objects.replace(place.samples_whole, tables_note({"": {"parts": parts}}))


def sample_tables(benchmark: Benchmark) -> Iterator[pa.Table]:
    """The rows of the table, a shard at a time.

    Raises:
        CorruptError: a shard or the index is damaged.
    """
    for shard in range(len(benchmark.manifest.shards)):
        told = describe(benchmark.index(range(shard, shard + 1)), benchmark.starts[shard])
        yield sample_rows(benchmark.manifest.ref, told, benchmark.table(shard))


def describe(index: pa.Table, first: int) -> pa.Table:
    """What every table says of samples of the index, of which the first has that position."""
    place = pa.array(np.arange(first, first + len(index)), _COUNT)
    told = by_name(index) | {"sample": index["sample_id"], "position": place}
    return pa.table({name: told[name].cast(kind) for name, kind in DESCRIBED}, pa.schema(DESCRIBED))


def sample_rows(ref: str, told: pa.Table, table: pa.Table) -> pa.Table:
    """Rows of the table (`SAMPLES`): samples as they are stored, and what is told of each."""
    made = {
        "benchmark": ref,
        **{name: table[name] for name in ("instruction", "choices", "raw")},
        "reference_text": _reference_texts(table),
        "images": _pictures(table),
    }
    return beside(told, made, SAMPLES)


def _reference_texts(table: pa.Table) -> pa.Array:
    """The first text of each reference, or what it is in words; null: there is none."""
    texts = table["reference_texts"].combine_chunks()
    if pc.min(pc.list_value_length(texts)).as_py():
        return first_of(texts)
    silent = pc.equal(pc.list_value_length(texts), 0)
    words = samples(table.drop_columns(["images"]).filter(silent))
    said = pa.array([sample.reference_text for sample in words], _TEXT)
    return pc.replace_with_mask(first_of(texts), silent, said)


def _pictures(table: pa.Table) -> pa.Array:
    """The pictures of each sample, in every role, without what is said of their numbers."""
    images, kind = table["images"].combine_chunks(), SAMPLES.field("images").type
    shown, sizes = images.flatten(), pc.list_value_length(images).to_numpy()
    kept = [shown.field(field.name) for field in kind.value_type]
    whole = pa.StructArray.from_arrays(kept, fields=[*kind.value_type])
    offsets = pa.array(np.concatenate(([0], np.cumsum(sizes))).astype(np.int32))
    return pa.ListArray.from_arrays(offsets, whole).cast(kind)


def first_of(lists: pa.Array) -> pa.Array:
    """The first entry of each list; null: there is none."""
    sizes = pc.fill_null(pc.list_value_length(lists), 0).to_numpy()
    return lists.flatten().take(pa.array(np.cumsum(sizes) - sizes, mask=sizes == 0))


def by_name(table: pa.Table) -> dict[str, Any]:
    """The columns of a table."""
    return dict(zip(table.column_names, table.columns, strict=True))


def beside(samples: pa.Table, made: Mapping[str, Any], schema: pa.Schema) -> pa.Table:
    """Rows of samples with further columns; a single value stands in every row."""
    size = len(samples)
    arrays: list[Any] = []
    for field in schema:
        value = samples[field.name] if field.name in samples.column_names else made[field.name]
        if not isinstance(value, pa.Array | pa.ChunkedArray):
            value = pa.repeat(pa.scalar(value, field.type), size)
        arrays.append(value)
    return pa.Table.from_arrays(arrays, schema=schema)
