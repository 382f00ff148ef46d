"""Laws of every kind of store, and of sealed tables."""

import errno
import os
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pyarrow as pa
import pytest
from fsspec.implementations.memory import MemoryFileSystem
from hypothesis import given, settings
from hypothesis import strategies as st

from medgen.engine.errors import CorruptError, StoreError
from medgen.engine.store.clouds import LARGEST_ON_AZURE, check_size
from medgen.engine.store.connect import connect
from medgen.engine.store.objects import RetryingObjects
from medgen.engine.store.sealed import seal, unseal
from medgen.engine.store.shards import Stage, concat, label, labels


def test_an_object_is_created_once_and_read_whole(store_url: str) -> None:
    objects = connect(store_url)
    assert objects.names("a") == []
    assert objects.create("a/b/one", b"first")
    assert not objects.create("a/b/one", b"second")
    assert objects.read("a/b/one") == b"first"
    assert objects.create("a/two", b"")
    assert objects.names("a") == ["b", "two"]
    assert objects.names("a/b") == ["one"]


def test_replacing_and_deleting(store_url: str) -> None:
    objects = connect(store_url)
    objects.replace("x/status", b"1")
    objects.replace("x/status", b"22")
    assert objects.read("x/status") == b"22"
    objects.create("x/parts/p1", b"p")
    objects.delete("x/parts")
    assert objects.names("x") == ["status"]
    objects.delete("x/parts")
    objects.delete("x/status")
    with pytest.raises(FileNotFoundError):
        objects.read("x/status")


def test_many_may_delete_the_same_folder_at_once(tmp_path: Path) -> None:
    objects = connect(str(tmp_path))
    for number in range(300):
        (tmp_path / f"x/{number}").mkdir(parents=True)
    with ThreadPoolExecutor(4) as threads:
        list(threads.map(objects.delete, ["x"] * 4))  # what another removed first is no failure
    assert objects.names("") == []


def test_of_many_creators_one_wins_and_its_bytes_stay(store_url: str) -> None:
    objects = connect(store_url)
    won: list[int] = []
    start = threading.Barrier(8)

    def race(number: int) -> None:
        mine = connect(store_url)
        start.wait()
        if mine.create("race/one", f"writer {number}".encode()):
            won.append(number)

    threads = [threading.Thread(target=race, args=(n,)) for n in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(won) == 1
    assert objects.read("race/one") == f"writer {won[0]}".encode()
    assert objects.names("race") == ["one"], "no temporary object is left"


def test_what_another_process_wrote_is_listed_at_once(shared_url: str) -> None:
    one, other = connect(shared_url), connect(shared_url)
    assert other.names("stages") == []
    one.create("stages/s1", b"x")
    assert other.names("stages") == ["s1"]


def test_a_store_of_no_known_kind_is_refused_by_name() -> None:
    with pytest.raises(StoreError, match="nosuch"):
        connect("nosuch://bucket/path")


def table(rows: int = 5) -> pa.Table:
    columns = {"id": [f"s{i}" for i in range(rows)], "x": [i / 3 for i in range(rows)]}
    return pa.table(columns, metadata={"medgen.schema": "score/2"})


@settings(max_examples=200, deadline=None)
@given(st.data())
def test_any_changed_byte_of_a_sealed_table_is_found(data: st.DataObject) -> None:
    sealed = seal(table())
    at = data.draw(st.integers(0, len(sealed) - 1))
    flip = data.draw(st.integers(1, 255))
    damaged = sealed[:at] + bytes([sealed[at] ^ flip]) + sealed[at + 1 :]
    with pytest.raises(CorruptError, match="shard-7"):
        unseal(damaged, "shard-7")


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 2000))
def test_a_truncated_table_is_found(length: int) -> None:
    sealed = seal(table())
    with pytest.raises(CorruptError):
        unseal(sealed[: min(length, len(sealed) - 1)], "shard")


def test_a_sealed_table_reads_back_and_any_arrow_reader_takes_it() -> None:
    sealed = seal(table())
    assert unseal(sealed, "x").equals(table())
    assert pa.ipc.open_file(sealed).read_all().equals(table())


def test_a_table_that_was_never_sealed_is_refused() -> None:
    sink = pa.BufferOutputStream()
    with pa.ipc.new_file(sink, table().schema) as writer:
        writer.write_table(table())
    with pytest.raises(CorruptError, match="no checksum"):
        unseal(sink.getvalue().to_pybytes(), "x")


def test_a_stage_reads_its_highest_revision_and_refuses_another_key(store_url: str) -> None:
    objects = connect(store_url)
    stage = Stage(objects, "score", "k1", [f"{n:x}" for n in range(200)])
    stage.write(0, label(table(2), {"key": "k1"}))
    stage.write(0, label(table(3), {"key": "k1"}), revision=2)
    stage.write(170, label(table(1), {"key": "k1"}))
    assert stage.revisions() == {0: 2, 170: 0}
    assert stage.read(0, 2).num_rows == 3
    assert labels(stage.read(0)) == {"key": "k1"}
    stage.write(1, label(table(1), {"key": "another"}))
    with pytest.raises(CorruptError, match="holds rows of key another"):
        stage.read(1)
    stage.write(2, label(table(1), {"key": "k1", "shard": "1"}))
    with pytest.raises(CorruptError, match="holds rows of shard 1"):
        stage.read(2)
    other = Stage(objects, "score", "k1", ["aa", "2", "0"])
    assert other.revisions() == {0: 0, 1: 0, 2: 2}, "the same files under the numbers of another"


def test_parts_of_a_shard_are_found_and_dropped(store_url: str) -> None:
    stage = Stage(connect(store_url), "score", "k", [*"abcde"])
    pieces = stage.parts(4, 0, {})
    pieces.write((0, 2), table(2))
    pieces.write((2, 5), table(3))
    parts = [pieces.read(span) for span in ((0, 2), (2, 5))]
    assert concat(parts).num_rows == 5
    assert stage.revisions() == {}, "a part is not a shard"
    with pytest.raises(FileNotFoundError):  # made from another input
        stage.parts(4, 0, {"input/4": 1}).read((0, 2))
    pieces.drop()
    with pytest.raises(FileNotFoundError):
        pieces.read((0, 2))


def test_a_commit_reaches_the_disk_with_the_names_above_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    synced: set[str] = set()
    fsync = os.fsync

    def noted(handle: int) -> None:
        synced.add(os.path.realpath(f"/proc/self/fd/{handle}"))
        fsync(handle)

    monkeypatch.setattr(os, "fsync", noted)
    objects = connect(str(tmp_path / "store"))
    objects.create("a/b/one", b"rows")
    folders = {str(tmp_path / f) for f in (".", "store", "store/a", "store/a/b")}
    assert {os.path.normpath(f) for f in folders} <= synced
    synced.clear()
    objects.replace("a/b/one", b"more")
    assert str(tmp_path / "store/a/b") in synced


def test_a_place_that_takes_no_folders_is_refused_in_a_sentence() -> None:
    with pytest.raises(StoreError, match=r"cannot make the folder /proc/nowhere/a; name another"):
        connect("/proc/nowhere").create("a/b", b"rows")


def test_what_azure_cannot_take_in_one_request_is_refused() -> None:
    with pytest.raises(StoreError, match="shard_size"):
        check_size("az", "az://container/a", LARGEST_ON_AZURE + 1)
    check_size("az", "az://container/a", LARGEST_ON_AZURE)
    check_size("gs", "gs://bucket/a", LARGEST_ON_AZURE + 1)


def test_a_name_that_is_left_between_refusal_and_look_is_taken(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    link, refused = os.link, [1, 2, 3]

    def late(source: Path, target: Path) -> None:
        if refused and refused.pop():
            raise FileExistsError(errno.EEXIST, "File exists", str(target))
        link(source, target)

    monkeypatch.setattr(os, "link", late)
    objects = connect(str(tmp_path))
    assert objects.create("claims/1", b"mine")
    assert objects.read("claims/1") == b"mine"
    assert objects.names("claims") == ["1"]


def test_a_name_that_is_left_and_taken_for_long_is_asked_for_again_after_a_pause(
    memory_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Seen with four writers on Azurite: ten refusals in a row, and nothing there each time."""
    pipe_file, refused = MemoryFileSystem.pipe_file, [*range(1, 26)]

    def late(fs: MemoryFileSystem, path: str, value: bytes, mode: str = "overwrite") -> None:
        if refused and refused.pop():
            raise FileExistsError(path)
        pipe_file(fs, path, value, mode=mode)

    monkeypatch.setattr(MemoryFileSystem, "pipe_file", late)
    monkeypatch.setattr(RetryingObjects, "pause_s", 0.0001)
    objects = connect(memory_url)
    assert objects.create("claims/1", b"mine")
    assert objects.read("claims/1") == b"mine"
    assert not refused


def test_a_name_that_is_a_link_to_nothing_is_told(tmp_path: Path) -> None:
    (tmp_path / "a").symlink_to(tmp_path / "nowhere")
    with pytest.raises(StoreError, match="perhaps a link to nothing"):
        connect(str(tmp_path)).create("a", b"mine")
