"""What is written together is one object, and every path in it is as any other."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from fakes import echo, plan

from benchmarks._counted import CountedObjects
from benchmarks.store import look_at_all, sweep, unit
from medgen.actors.local_pool import LocalPool
from medgen.engine.codec import decode, with_seal
from medgen.engine.errors import CorruptError
from medgen.engine.plan.plan import Plan, System
from medgen.engine.run.driver import Options, carry_out
from medgen.engine.run.editions import Record
from medgen.engine.run.folder import RunFolder
from medgen.engine.run.reader import RunReader
from medgen.engine.run.repair import damaged_stages, quarantine
from medgen.engine.run.survey import survey
from medgen.engine.store.connect import connect
from medgen.engine.store.gathering import create_together, delete_parts, fetch_packs
from medgen.engine.store.glance import glance, is_there, names_of_editions
from medgen.engine.store.pack_layout import PackPlace, name_of
from medgen.engine.store.packing import content_of, entries_of, pack
from medgen.engine.store.packs import PackedObjects, Together
from medgen.launch.housekeeping.verifying import verify_run

PLACE = PackPlace("score", name_of("ab"))
EIGHT = PackPlace("score", name_of("abcdefgh"))
ROWS = {f"stages/score/{key}/e/shard-0a.arrow": f"rows of {key}".encode() * 50 for key in "ab"}
A, B = ROWS
WRITES: dict[str, Callable[[PackedObjects], None]] = {
    "deleted": lambda objects: objects.delete(A),
    "replaced": lambda objects: objects.replace(A, b"new"),
    "a folder deleted": lambda objects: objects.delete("stages/score/a"),
    "moved": lambda objects: objects.delete_all((A,)),
}


def packed(url: str, rows: dict[str, bytes] = ROWS) -> PackedObjects:
    objects = connect(url)
    assert isinstance(objects, PackedObjects)
    create_together(objects, Together(PLACE, ("a", "b")), "shard-0a", rows, {A: "a note"})
    return objects


def test_what_is_written_together_is_one_object_and_is_found_by_its_paths(
    any_store_url: str,
) -> None:
    objects = packed(any_store_url)
    assert objects.names(PLACE.folder) == ["keys.json", "shard-0a-0.pack"]
    for seen in (objects, connect(any_store_url), glance(connect(any_store_url))):
        assert seen.names("stages/score/a/e") == ["shard-0a.arrow"]
        assert seen.names("stages/score/a") == ["e"]
        assert seen.walk("stages/score/b") == [B]
        assert seen.names("stages/score/c") == []
        assert {path: seen.read(path) for path in ROWS} == ROWS
        assert seen.read_end(A, 7) == ROWS[A][-7:]
        assert seen.read_range(B, 3, 9) == ROWS[B][3:12]
        with pytest.raises(FileNotFoundError):
            seen.read("stages/score/a/e/shard-0b.arrow")
    assert connect(any_store_url).names("stages") == ["score"]
    assert connect(any_store_url).names("stages/score") == ["a", "b"]


def test_a_note_is_had_without_the_rows(tmp_path: Path) -> None:
    packed(str(tmp_path))
    objects = connect(str(tmp_path))
    assert isinstance(objects, PackedObjects)
    objects.names("stages/score/a")
    assert (objects.note(A), objects.note(B)) == ("a note", "")


def test_what_lies_in_packs_is_removed_without_a_look_for_each_of_it(tmp_path: Path) -> None:
    counted = CountedObjects()
    objects = PackedObjects(counted)
    rows = {f"stages/score/{key}/e/parts-0a/0.arrow": b"rows" for key in "abcdefgh"}
    create_together(objects, Together(EIGHT, tuple("abcdefgh")), "parts-0a-0to1", rows, {})
    objects.create("stages/score/b/e/parts-0a/1.arrow", b"written by itself")
    counted.seen.clear()
    objects.delete_all([path.rpartition("/")[0] for path in rows])
    assert sum(n for (_, kind), n in counted.seen.items() if kind == "LIST") <= 5
    assert objects.walk("stages/score") == []


def test_parts_that_were_written_together_are_read_and_removed_by_name() -> None:
    counted = CountedObjects()
    rows = {f"stages/score/{key}/e/parts-0a/0.arrow": b"rows" for key in "abcdefgh"}
    together = Together(EIGHT, tuple("abcdefgh"))
    create_together(PackedObjects(counted), together, "parts-0a-0to1", rows, {})
    objects = PackedObjects(counted)
    counted.seen.clear()
    fetch_packs(objects, EIGHT, ["parts-0a-0to1", "parts-0a-1to2"])
    assert {path: objects.read(path) for path in rows} == rows
    delete_parts(objects, rows)
    assert counted.seen == {("parts", "GET"): 2, ("parts", "DELETE"): 1}, "one was not there"
    assert PackedObjects(counted).walk("stages/score") == []


def test_parts_of_others_in_the_same_pack_stay() -> None:
    counted = CountedObjects()
    rows = {f"stages/score/{key}/e/parts-0a/0.arrow": b"rows" for key in "ab"}
    create_together(PackedObjects(counted), Together(PLACE, ("a", "b")), "parts-0a-0to1", rows, {})
    alone = "stages/score/a/e/parts-0a/1.arrow"
    objects = PackedObjects(counted)
    objects.create(alone, b"written by itself")
    fetch_packs(objects, PLACE, ["parts-0a-0to1"])
    mine, others = rows
    delete_parts(objects, [mine, alone])
    assert PackedObjects(counted).walk("stages/score") == [others]
    assert PackedObjects(counted).read(others) == b"rows"


def test_editions_are_found_without_a_look_into_packs_of_rows() -> None:
    counted = CountedObjects()
    writer, together = PackedObjects(counted), Together(PLACE, ("a", "b"))
    identity = {"stages/score/a/e/identity.json": b"{}"}
    create_together(writer, together, "identities-0a", identity, {})
    for n in range(20):
        create_together(writer, together, f"shard-{n}", {f"stages/score/a/e/{n}": b"rows"}, {})
    writer.create("stages/score/b/f/identity.json", b"{}")
    counted.seen.clear()
    seen = glance(PackedObjects(counted))
    assert [names_of_editions(seen, "score", key) for key in "abc"] == [["e"], ["f"], []]
    assert counted.seen["packs", "GET"] == 2, "the keys and the one pack"


def test_a_shard_is_looked_for_in_no_pack_of_another() -> None:
    counted = CountedObjects()
    writer, together = PackedObjects(counted), Together(PLACE, ("a", "b"))
    paths = [f"stages/score/a/e/shard-{n:02d}.arrow" for n in range(20)]
    for n, path in enumerate(paths):
        create_together(writer, together, f"shard-{n:02d}", {path: b"rows"}, {})
    alone = "stages/score/b/e/shard-03.arrow"
    writer.create(alone, b"written by itself")
    counted.seen.clear()
    seen = glance(PackedObjects(counted))
    other = "stages/score/b/e/shard-04.arrow"
    assert [is_there(seen, path, "shard-03") for path in (paths[3], alone, other)] == [1, 1, 0]
    assert counted.seen["packs", "GET"] == 2, "the keys and the one pack"


def test_the_first_to_write_a_path_has_it_for_every_reader(tmp_path: Path) -> None:
    packed(str(tmp_path), {A: ROWS[A]})
    second = packed(str(tmp_path), {A: b"another", B: ROWS[B]})
    assert second.names(PLACE.folder) == ["keys.json", "shard-0a-0.pack", "shard-0a-1.pack"]
    for objects in (second, connect(str(tmp_path))):
        assert {path: objects.read(path) for path in ROWS} == ROWS
    assert not connect(str(tmp_path)).walk("stages/score/a/e/shard-0a.arrow")


@pytest.mark.parametrize("what", WRITES)
def test_what_goes_out_of_a_pack_leaves_the_others_as_they_were(tmp_path: Path, what: str) -> None:
    packed(str(tmp_path))
    other = connect(str(tmp_path))
    assert other.read(A) == ROWS[A]  # and knows where it is
    changed = packed(str(tmp_path))
    WRITES[what](changed)
    for objects in (changed, other, connect(str(tmp_path))):
        assert objects.read(B) == ROWS[B]
        if what == "replaced":  # who read it before may have it still
            assert objects is other or objects.read(A) == b"new"
        else:
            assert objects.names("stages/score/a") == []
            with pytest.raises(FileNotFoundError):
                objects.read(A)
    assert packs(tmp_path) == ["shard-0a-1.pack"]
    changed.delete_all(("stages/score/a", "stages/score/b"))
    assert connect(str(tmp_path)).names("stages/score") == []
    assert not list((tmp_path / "packs").rglob("*.pack"))


# ---- in a run


def run(store: str, *metrics: str) -> tuple[Plan, int]:
    """A run of three systems, and how many shards there were to do."""
    objects = connect(store)
    work = plan(objects, *[System(f"s{i}", echo(prefix=f"{i}")) for i in range(3)], metrics=metrics)
    RunFolder(objects, work.run_id).save_plan(work, "")
    reader = RunReader(objects, work)
    todo = survey(reader)
    count = todo.shards
    carry_out(reader, todo, LocalPool(), Options())
    assert survey(RunReader(connect(store), work)).shards == 0
    return work, count


def packs(store: Path) -> list[str]:
    names = (path.name for path in (store / "packs").rglob("*.pack"))
    return sorted(name for name in names if name.startswith("shard-"))


def test_a_scoring_unit_is_one_object_and_another_metric_repeats_none(tmp_path: Path) -> None:
    work, _ = run(str(tmp_path), "a", "b")
    assert len(packs(tmp_path)) == work.shards
    assert not list((tmp_path / "stages" / "score").rglob("*")), "all of it lies in packs"
    before = {path: connect(str(tmp_path)).read(path) for path in rows_of(tmp_path)}
    identities = [p for p in connect(str(tmp_path)).walk("stages/score") if "identity" in p]
    assert identities
    for path in identities:
        data = connect(str(tmp_path)).read(path)
        assert data == with_seal(decode(Record, data, path)), "as if each were written by itself"
    more, count = run(str(tmp_path), "a", "b", "c")
    assert count == 3 * more.shards, "the new metric's shards"
    assert len(packs(tmp_path)) == 2 * work.shards
    assert {path: connect(str(tmp_path)).read(path) for path in before} == before
    assert verify_run(connect(str(tmp_path)), more).damages == ()


def rows_of(store: Path) -> list[str]:
    return [p for p in connect(str(store)).walk("stages/score") if p.endswith(".arrow")]


def test_a_pack_that_is_damaged_stops_a_reader_and_is_repaired(tmp_path: Path) -> None:
    work, _ = run(str(tmp_path), "a", "b")
    file = next((tmp_path / "packs").rglob("shard-*.pack"))
    data = bytearray(file.read_bytes())
    data[-60] ^= 1
    file.write_bytes(data)
    with pytest.raises(CorruptError, match="not a readable pack"):
        survey(RunReader(connect(str(tmp_path)), work))
    place = f"packs/{file.relative_to(tmp_path / 'packs')}"
    assert [d.path for d in verify_run(connect(str(tmp_path)), work).damages] == [place]
    objects = connect(str(tmp_path))
    (damage,) = damaged_stages(objects, work)
    assert quarantine(objects, damage).endswith(f"/quarantine/{file.name}")
    _, again = run(str(tmp_path), "a", "b")
    assert again == 6
    assert verify_run(connect(str(tmp_path)), work).damages == ()


def test_rows_that_are_damaged_in_a_pack_cost_themselves_alone(tmp_path: Path) -> None:
    work, _ = run(str(tmp_path), "a", "b")
    file = next((tmp_path / "packs").rglob("shard-*.pack"))
    data = bytearray(file.read_bytes())
    data[300] ^= 1
    file.write_bytes(data)
    objects = connect(str(tmp_path))
    (damage,) = damaged_stages(objects, work)
    others = {path: objects.read(path) for path in rows_of(tmp_path) if path != damage.path}
    quarantine(objects, damage)
    _, again = run(str(tmp_path), "a", "b")
    assert again == 1
    now = connect(str(tmp_path))
    assert {path: now.read(path) for path in others} == others
    assert verify_run(now, work).damages == ()


@pytest.mark.trial
def test_a_whole_sweep_keeps_to_its_requests() -> None:
    found = sweep()
    assert found["finished"] == 25
    assert found["put_stages"] <= 3000  # 2,783 when this was written
    assert found["put_else"] <= 3000  # 2,811
    assert found["others"] <= 20000  # 19,824
    # Of answers, of which there are 2,525: by scoring, the judge and tables.
    assert found["detail"]["stages"]["GET"] <= 10000  # 9,615


def test_a_scoring_unit_waits_for_few_requests() -> None:
    found = unit()
    assert found["detail"] == {
        "packs": {"LIST": 1, "PUT": 3},  # the keys, the identities and the shards of 225 keys
        "samples": {"GET": 1},
        "stages": {"GET": 25, "LIST": 1},  # the answers, all at once
    }


def test_a_start_with_nothing_to_do_reads_each_shard_once() -> None:
    found = look_at_all(20)
    assert found["to_do"] == 0
    assert found["LIST"] <= 22 + 8, "one for each key of answers, some of packs"
    assert found["GET"] <= 22 * 20 + 2 * 20 + 22 + 20


def test_a_sweep_makes_few_requests() -> None:
    found = sweep(systems=2, samples=256)
    shards = 4
    made = found["detail"]["packs"]["PUT"], found["detail"]["stages"]["PUT"]
    # Of scores and of verdicts: an object a shard, one of recipes, two of identities, the keys.
    assert made[0] <= 2 * (shards + 4)
    # Of answers: an object a shard of a system, and beside them its recipe and identity.
    assert made[1] <= 2 * (shards + 2)
    assert found["others"] <= 430  # 395 when this was written
    # Of answers: by scoring, by the judge, by the tables; and workers ask whether a shard is there.
    assert found["detail"]["stages"]["GET"] <= 4 * 2 * shards
    assert found["finished"] == 2


def test_two_who_remove_from_the_same_packs_at_once_take_out_both(memory_url: str) -> None:
    writer = packed(memory_url)
    one, other = connect(memory_url), connect(memory_url)
    assert isinstance(one, PackedObjects)
    one.look("score")
    other.delete("stages/score/a")
    one.delete("stages/score/b")
    assert connect(memory_url).walk("stages") == []
    assert connect(memory_url).names(PLACE.folder) == []
    assert writer.walk("stages") == []


def test_what_another_has_taken_out_meanwhile_is_no_fault(memory_url: str) -> None:
    packed(memory_url)
    one, other = connect(memory_url), connect(memory_url)
    assert isinstance(one, PackedObjects)
    one.look("score")
    for objects in (other, one):
        objects.delete("stages/score/a")
    assert connect(memory_url).walk("stages") == [B]
    assert connect(memory_url).read(B) == ROWS[B]


@pytest.mark.parametrize("length", [-1, 1, 2**40, 2**62, 2**64])
def test_a_length_that_is_forged_costs_no_memory(length: int) -> None:
    data = pack({"a": b"rows " * 99}, {})
    (entry,) = entries_of(data, "x")
    found = content_of(data[: entry.size], replace(entry, length=length))
    assert found != b"rows " * 99
    assert len(found) < 1000


def test_where_no_packs_are_they_are_looked_for_once_in_a_while() -> None:
    counted = CountedObjects()
    seen = PackedObjects(counted)
    for n in range(5):
        for stage in ("answer", "score"):
            with pytest.raises(FileNotFoundError):
                seen.read(f"stages/{stage}/a/e/shard-{n}.arrow")
            looks = {kind: n for (of, kind), n in counted.seen.items() if of == "packs"}
            assert looks == ({} if (n, stage) == (0, "answer") else {"LIST": 1})
