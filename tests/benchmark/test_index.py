"""What every sample is, read some thousands at a time, and the table that an import writes."""

import gc
from concurrent.futures import ThreadPoolExecutor
from functools import partial

import pyarrow as pa
import pytest
from benchmark.given import Given
from results.fake_runs import make_samples

from medgen.engine.benchmark import index as module
from medgen.engine.benchmark.importing import ImportOptions, import_benchmark
from medgen.engine.benchmark.index import ROWS, Index, index_object
from medgen.engine.benchmark.manifest import Benchmark
from medgen.engine.benchmark.spool import SpoolEntry
from medgen.engine.errors import CorruptError
from medgen.engine.store.connect import connect
from medgen.engine.store.layout import BenchmarkPlace
from medgen.engine.store.parquet import parquet_table
from medgen.engine.store.sealed import seal

COUNT = 2 * ROWS + 5


def entry(number: int) -> SpoolEntry:
    asks = "image" if number % 3 else "text"
    told = ("VQA", f"task {number % 7}", None, "CT", "", "", "")
    return SpoolEntry(f"s{number}", asks, *told, groups={"age": str(number % 90)}, digest=b"")


@pytest.fixture(scope="module")
def data() -> bytes:
    return index_object([entry(n) for n in range(COUNT)], {f"s{n}": -n for n in range(COUNT)})


@pytest.mark.parametrize(
    ("start", "stop"),
    [(0, 0), (0, 1), (3, ROWS), (ROWS - 2, ROWS + 2), (ROWS, 2 * ROWS), (5, COUNT), (COUNT, COUNT)],
)
def test_any_rows_are_those_of_the_whole(data, start, stop):
    rows = Index(data, "index", COUNT).rows(start, stop)
    assert rows["sample_id"].to_pylist() == [f"s{n}" for n in range(start, stop)]
    assert rows["place"].to_pylist() == [-n for n in range(start, stop)]


def test_parts_are_all_rows_and_columns_those_that_were_asked_for(data):
    index = Index(data, "index", COUNT)
    parts = list(index.parts(ROWS + 9))
    assert [len(part) for part in parts] == [ROWS, 9]
    assert pa.concat_tables(parts).equals(index.rows(0, ROWS + 9))
    named = list(index.columns(["place", "sample_id"]))
    assert [len(part) for part in named] == [ROWS, ROWS, 5]
    assert pa.concat_tables(named).equals(index.rows(0, COUNT).select(["place", "sample_id"]))


def test_a_large_one_is_read_from_a_file_by_several_threads_at_once(data, monkeypatch, tmp_path):
    monkeypatch.setattr(module, "LARGE", 1000)
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    index = Index(data, "index", COUNT)
    whole = index.rows(0, COUNT)
    assert whole.equals(pa.concat_tables(index.parts(COUNT)))

    def read(start: int, index: Index) -> bool:
        some = list(index.columns(["place", "sample_id"])) if start % 2 else []
        mine = index.rows(start, start + 700)
        return mine.equals(whole.slice(start, 700)) and all(len(part) for part in some)

    with ThreadPoolExecutor(8) as threads:
        assert all(threads.map(partial(read, index=index), range(0, COUNT - 700, 177)))
    assert not list(tmp_path.iterdir())  # it has no name that anybody could open
    held = index._file
    assert held is not None
    assert not held.closed
    del index
    gc.collect()
    assert held.closed


def test_a_large_one_stays_in_memory_where_the_disk_has_no_room(data, monkeypatch):
    monkeypatch.setattr(module, "LARGE", 1000)
    monkeypatch.setattr("tempfile.TemporaryFile", partial(open, "/dev/full", "r+b"))
    index = Index(data, "index", COUNT)
    assert index._file is None
    assert index.rows(0, COUNT)["sample_id"].to_pylist() == [f"s{n}" for n in range(COUNT)]


@pytest.mark.parametrize("count", [COUNT - 1, COUNT + 1, ROWS, 0])
def test_an_index_of_other_samples_is_refused(data, count):
    with pytest.raises(CorruptError, match="odd is no index of it; import it again"):
        Index(data, "odd", count).rows(max(0, count - 1), count)


def test_what_is_no_index_is_refused(data):
    with pytest.raises(CorruptError, match="import it again"):
        Index(seal(pa.table({"sample_id": ["s0"]})), "odd", 1)
    with pytest.raises(CorruptError, match="checksum differs"):
        Index(data[:400] + bytes([data[400] ^ 1]) + data[401:], "odd", COUNT)


def test_damage_is_found_when_the_benchmark_is_read_and_mended_by_its_import(tmp_path):
    objects, source = connect(str(tmp_path)), Given(make_samples(20))
    manifest = import_benchmark(source, objects, ImportOptions("listed", shard_size=8))
    place = BenchmarkPlace(manifest.ref)
    whole = {path: objects.read(path) for path in (place.order, place.digests)}
    for path, content in whole.items():
        objects.replace(path, content[:-3])
    broken = Benchmark(objects, manifest.ref)
    with pytest.raises(CorruptError, match=r"order\.arrow"):
        broken.index(range(0, 1))
    with pytest.raises(CorruptError, match=r"digests\.arrow"):
        broken.digests(0)
    import_benchmark(source, objects, ImportOptions("listed", shard_size=8))
    assert {path: objects.read(path) for path in whole} == whole


def test_an_import_writes_the_table_of_its_samples_and_mends_it(tmp_path):
    objects, source = connect(str(tmp_path)), Given(make_samples(20, pictures=True))
    manifest = import_benchmark(source, objects, ImportOptions("listed", shard_size=8))
    place = BenchmarkPlace(manifest.ref)
    (part,) = objects.walk(place.samples)
    table = parquet_table(objects.read(part), part)
    stored = [s for n in range(3) for s in Benchmark(objects, manifest.ref).samples(n)]
    assert table["position"].to_pylist() == list(range(20))
    assert table["sample"].to_pylist() == [sample.id for sample in stored]
    assert table["instruction"].to_pylist() == [sample.instruction for sample in stored]
    shown = [[i["bytes"] for i in images] for images in table["images"].to_pylist()]
    assert shown == [[i.data for i in (*s.input_images, *s.reference_images)] for s in stored]
    before = objects.read(part)
    objects.delete(part)
    import_benchmark(source, objects, ImportOptions("listed", shard_size=8))
    assert objects.read(part) == before
    objects.delete(place.samples_whole)  # as an import that was cut off leaves it
    import_benchmark(source, objects, ImportOptions("listed", shard_size=8))
    assert place.samples_whole in objects.walk(place.folder)
