"""Whatever becomes of a pack, its rows are made anew and nobody takes others for them."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest
from fakes import echo, plan

from medgen.actors.local_pool import LocalPool
from medgen.engine.plan.plan import Plan, System
from medgen.engine.run.driver import Options, carry_out
from medgen.engine.run.folder import RunFolder
from medgen.engine.run.reader import RunReader
from medgen.engine.run.repair import damaged_stages, quarantine, renew_lists
from medgen.engine.run.survey import survey
from medgen.engine.store.connect import connect
from medgen.engine.store.gathering import create_together
from medgen.engine.store.objects import Objects
from medgen.engine.store.pack_layout import PackPlace, name_of
from medgen.engine.store.packs import Together
from medgen.engine.store.sealed import unseal
from medgen.launch.housekeeping.verifying import verify_run

Harm = Callable[[Path, Path], None]
HARMS: dict[str, Harm] = {
    "lost": lambda pack, other: pack.unlink(),
    "empty": lambda pack, other: void(pack.write_bytes(b"")),
    "cut short": lambda pack, other: void(pack.write_bytes(pack.read_bytes()[:-100])),
    "begun late": lambda pack, other: void(pack.write_bytes(pack.read_bytes()[100:])),
    "list lost": lambda pack, other: pack.with_name("keys.json").unlink(),
    "list damaged": lambda pack, other: void(pack.with_name("keys.json").write_bytes(b"7")),
    "another's": lambda pack, other: void(pack.write_bytes(other.read_bytes())),
}


def void(_: object) -> None:
    """For its effect."""


def run(objects: Objects, metrics: tuple[str, ...], count: int = 8, first: int = 0) -> Plan:
    """A run of two systems over so many samples, or the first shards of them."""
    work = plan(objects, *(System(s, echo(prefix=s)) for s in "ab"), metrics=metrics, count=count)
    work = replace(work, content=work.content[:first] or work.content)
    RunFolder(objects, work.run_id).save_plan(work, "")
    carry_out(reader := RunReader(objects, work), survey(reader), LocalPool(), Options())
    assert survey(RunReader(objects, work)).shards == 0
    return work


def rows(store: Path) -> dict[str, list[dict[str, object]]]:
    """By path, without the number of the revision, which one that takes another's place has."""
    objects = connect(str(store))
    paths = [p for p in objects.walk("stages/score") if p.endswith(".arrow")]
    sound = [path for path in paths if "quarantine" not in path]
    return {p.replace("-r1", ""): unseal(objects.read(p), p).to_pylist() for p in sound}


def packs(store: Path) -> list[Path]:
    return sorted((store / "packs").rglob("shard-*-0.pack"))


@pytest.mark.parametrize("harm", HARMS)
def test_what_a_pack_had_is_made_anew_and_is_the_same(tmp_path: Path, harm: str) -> None:
    work = run(connect(str(tmp_path)), ("a", "b"))
    before, (pack, other, *_) = rows(tmp_path), packs(tmp_path)
    HARMS[harm](pack, other)
    objects = connect(str(tmp_path))
    for damage in list(damaged_stages(objects, work)):
        quarantine(objects, damage)
    renew_lists(objects, work)
    run(connect(str(tmp_path)), ("a", "b"))
    assert rows(tmp_path) == before
    assert verify_run(connect(str(tmp_path)), work).damages == ()


def test_the_first_shards_of_a_benchmark_are_found_in_packs_by_the_whole(tmp_path: Path) -> None:
    objects = connect(str(tmp_path))
    run(objects, ("a", "b"), first=1)
    (first,), before = packs(tmp_path), rows(tmp_path)
    work = run(connect(str(tmp_path)), ("a", "b"))
    assert len(packs(tmp_path)) == work.shards > 1
    assert first in packs(tmp_path)
    after = rows(tmp_path)
    assert {path: after[path] for path in before} == before


def test_of_many_who_write_the_same_at_once_every_reader_takes_one(tmp_path: Path) -> None:
    place = Together(PackPlace("score", name_of("ab")), ("a", "b"))
    paths = [f"stages/score/{key}/e/shard-0a.arrow" for key in "ab"]

    def write(number: int) -> set[str]:
        mine = {path: f"{number} of {path}".encode() for path in paths[number % 2 :]}
        return create_together(connect(str(tmp_path)), place, "shard-0a", mine, {})

    with ThreadPoolExecutor(8) as threads:
        stood = list(threads.map(write, range(8)))
    found = {path: connect(str(tmp_path)).read(path) for path in paths}
    for path in paths:
        tried = [n for n in range(8) if path in paths[n % 2 :]]
        winners = [n for n in tried if path not in stood[n]]
        assert found[path] == f"{winners[0]} of {path}".encode()
        assert len(winners) == 1
