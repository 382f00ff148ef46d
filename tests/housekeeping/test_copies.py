"""A copy of a run is the run: proven, whole, and with the same report."""

import hashlib
import json
import subprocess
import sys
from dataclasses import replace

import pytest
from fakes import echo, plan
from results.fake_runs import FakeRun, make_samples, picture, steady

from medgen.actors.local_pool import LocalPool
from medgen.engine.benchmark.manifest import manifest_from_json
from medgen.engine.codec import with_seal
from medgen.engine.data import Prediction, Verdict
from medgen.engine.errors import CorruptError, StoreError
from medgen.engine.plan.plan import System
from medgen.engine.results.publishing import TablePublisher
from medgen.engine.results.summary import summarize
from medgen.engine.run.driver import Options, carry_out
from medgen.engine.run.folder import RunFolder, run_ids
from medgen.engine.run.reader import RunReader
from medgen.engine.run.survey import survey
from medgen.engine.store.connect import connect
from medgen.engine.store.layout import BenchmarkPlace, RunPlace, sample_shard, table_part
from medgen.engine.store.sealed import seal, unseal
from medgen.engine.store.table_notes import read_note, tables_note
from medgen.launch.housekeeping.copying import copy_run
from medgen.launch.housekeeping.verifying import verify_run
from medgen.launch.report.report import write_report
from medgen.launch.run.repair import mend_run
from medgen.launch.view.bundle import write_bundle
from medgen.launch.view.data import StoredRun
from medgen.launch.view.site import Site


def run(**changes):
    asked = {
        "judges": ("judge",),
        "predict": lambda system, s: Prediction(
            s.id, text=f"{system} {s.id}", images=(picture(9),)
        ),
        "score": steady(lambda system, s: 20.0 + int(s.id[1:])),
        "judge": lambda system, label, s, view, repeat: Verdict(
            s.id, view, label, scores={"overall_score": 7.0}
        ),
    }
    return FakeRun(make_samples(16, pictures=True), **(asked | changes))


def made(url, **changes):
    reader = run(**changes).write(url)
    RunFolder(reader.objects, reader.plan.run_id).save_plan(reader.plan, "name: fake\n")
    TablePublisher(reader).publish_all(reader)
    return reader


def report(reader):
    """The pages and pictures of a report that is written now, and its tables."""
    written = write_report(reader, summarize(reader))
    TablePublisher(reader).publish_all(reader)
    folder = RunFolder(reader.objects, reader.plan.run_id).place
    paths = [*written, *reader.objects.walk(folder.tables)]
    return {path: reader.objects.read(path) for path in paths}


def test_a_report_of_the_copy_is_the_same_to_the_byte(store_url, tmp_path):
    reader = made(str(tmp_path / "from"))
    done = copy_run(reader.objects, connect(store_url), reader.plan)
    target = connect(store_url)
    there = RunReader(target, RunFolder(target, reader.plan.run_id).plan())
    proof = verify_run(target, there.plan)
    assert (proof.objects, proof.damages) == (done.objects, ())
    # Nobody names a digest of the configuration before the run is over.
    assert proof.proven == done.objects - 1
    assert report(there) == report(reader)


def test_the_pages_of_the_copy_are_the_same_to_the_byte(tmp_path):
    reader, target = made(str(tmp_path / "from")), connect(str(tmp_path / "to"))
    copy_run(reader.objects, target, reader.plan)
    pages = []
    for objects in (reader.objects, target):
        into = connect(str(tmp_path / f"pages-{len(pages)}"))
        write_bundle(StoredRun(objects, reader.plan.run_id), into)
        names = [name for name in into.names("") if "." in name and name != "runs.html"]
        pages.append({name: into.read(name) for name in names})
    assert pages[0] == pages[1]
    assert len(pages[0]) > 5
    nonces = {Site(StoredRun(target, reader.plan.run_id)).nonce for _ in range(2)}
    assert len(nonces) == 2, "a server's are drawn anew"


def test_a_copy_that_was_interrupted_goes_on(tmp_path):
    reader = made(str(tmp_path / "from"))
    whole = copy_run(reader.objects, connect(str(tmp_path / "whole")), reader.plan)
    target = connect(str(tmp_path / "to"))
    for path in reader.objects.walk("stages")[:5]:
        target.create(path, reader.objects.read(path))
    done = copy_run(reader.objects, target, reader.plan)
    assert done == whole
    assert copy_run(reader.objects, target, reader.plan) == whole


def test_what_is_damaged_is_not_copied(tmp_path):
    reader = made(str(tmp_path / "from"))
    path = reader.objects.walk("stages/answer")[0]
    reader.objects.replace(path, reader.objects.read(path)[:-9] + b"123456789")
    target = connect(str(tmp_path / "to"))
    with pytest.raises(CorruptError, match=path):
        copy_run(reader.objects, target, reader.plan)
    assert target.names("runs") == []


def test_rows_of_another_making_are_never_replaced(tmp_path):
    reader = made(str(tmp_path / "from"))
    other = made(str(tmp_path / "to"), predict=lambda system, s: Prediction(s.id, text="other"))
    assert other.plan == reader.plan
    path = other.objects.walk("stages/answer")[0]
    before = other.objects.read(path)
    with pytest.raises(StoreError, match="rows of another making"):
        copy_run(reader.objects, other.objects, reader.plan)
    assert other.objects.read(path) == before
    with pytest.raises(StoreError, match="is the store that the run is in"):
        copy_run(reader.objects, reader.objects, reader.plan)


KINDS = ["stages/answer", "stages/score", "stages/judge", "samples", "benchmarks", "runs/{}/tables"]


@pytest.mark.parametrize("kind", KINDS)
def test_one_bit_is_found_wherever_it_is(tmp_path, kind):
    reader = made(str(tmp_path))
    paths = reader.objects.walk(kind.format(reader.plan.run_id))
    path = next(p for p in paths if p.endswith((".arrow", ".parquet")))
    data = bytearray(reader.objects.read(path))
    data[len(data) // 3] ^= 1
    reader.objects.replace(path, bytes(data))
    (damage,) = verify_run(reader.objects, reader.plan).damages
    assert damage.path == path
    assert path in damage.why


def test_an_identity_that_was_exchanged_is_found(tmp_path):
    reader = made(str(tmp_path))
    path = next(p for p in reader.objects.walk("stages/answer") if p.endswith("/identity.json"))
    said = json.loads(reader.objects.read(path))
    del said["seal"]
    said["effective"]["parts"]["versions.torch"] = "9.9"
    reader.objects.replace(path, with_seal(said))
    (damage,) = verify_run(reader.objects, reader.plan).damages
    assert damage.path == path
    assert "not the identity that its name stands for" in damage.why


def test_a_sample_shard_that_is_missing_is_found(tmp_path):
    reader = made(str(tmp_path))
    path = reader.objects.walk("samples")[1]
    reader.objects.delete(path)
    assert [d.path for d in verify_run(reader.objects, reader.plan).damages] == [path]


def test_the_commands_say_what_they_found(tmp_path):
    reader = made(str(tmp_path / "from"))
    folder = RunFolder(reader.objects, reader.plan.run_id)

    def medgen(*words):
        call = [sys.executable, "-m", "medgen", *words]
        return subprocess.run(call, capture_output=True, text=True, check=False)

    store = str(tmp_path / "from")
    done = medgen("copy", folder.run_id[:6], str(tmp_path / "to"), "--store", store)
    assert done.returncode == 0, done.stderr
    assert f"run {folder.run_id} is in" in done.stderr
    told = medgen("verify", folder.run_id, "--store", str(tmp_path / "to"))
    assert (told.returncode, "0 damaged" in told.stdout) == (0, True)
    objects = connect(str(tmp_path / "to"))
    objects.replace(objects.walk("stages/score")[0], b"rubbish")
    told = medgen("verify", folder.run_id, "--store", str(tmp_path / "to"))
    assert (told.returncode, "1 damaged" in told.stdout) == (3, True)


@pytest.mark.parametrize("kind", ["tables/values", "tables/predictions"])
def test_a_damaged_table_is_not_copied(tmp_path, kind):
    reader = made(str(tmp_path / "from"))
    path = reader.objects.walk(f"runs/{reader.plan.run_id}/{kind}")[0]
    reader.objects.replace(path, reader.objects.read(path) + b"x")
    target = connect(str(tmp_path / "to"))
    with pytest.raises(CorruptError, match=path):
        copy_run(reader.objects, target, reader.plan)
    assert run_ids(target) == [reader.plan.run_id], "its folder has begun"
    with pytest.raises(StoreError, match="no run"):
        RunFolder(target, reader.plan.run_id).plan()


@pytest.mark.parametrize("name", ["link", "from/../from", "from/"])
def test_a_store_by_another_name_is_no_other(tmp_path, name, monkeypatch):
    reader = made(str(tmp_path / "from"))
    (tmp_path / "link").symlink_to(tmp_path / "from")
    before = reader.objects.walk("stages")
    monkeypatch.chdir(tmp_path)
    for url in (f"{tmp_path}/{name}", name):
        with pytest.raises(StoreError, match="is the store that the run is in"):
            copy_run(reader.objects, connect(url), reader.plan)
    assert reader.objects.walk("stages") == before


def test_a_benchmark_that_was_imported_there_from_elsewhere_is_as_good(tmp_path):
    reader, target = made(str(tmp_path / "from")), connect(str(tmp_path / "to"))
    place = BenchmarkPlace(reader.plan.benchmark)
    manifest = manifest_from_json(reader.objects.read(place.manifest), "it")
    elsewhere = replace(manifest, source={"url": "/elsewhere"}).to_json()
    target.create(place.manifest, elsewhere)
    for path in (sample_shard(manifest.shards[0].digest), place.order, place.digests):
        again = unseal(reader.objects.read(path), "it")
        told = {**(again.schema.metadata or {}), b"packed": b"again"}
        target.create(path, seal(again.replace_schema_metadata(told)))
    copy_run(reader.objects, target, reader.plan)
    assert target.read(place.manifest) == elsewhere
    assert verify_run(target, reader.plan).damages == ()
    other = replace(manifest, shards=manifest.shards[1:]).to_json()
    target.replace(place.manifest, other)
    with pytest.raises(StoreError, match="holds something else"):
        copy_run(reader.objects, target, reader.plan)


def test_a_run_that_goes_on_is_copied_as_it_is_by_then(tmp_path, monkeypatch):
    """Parts are put together and tables are written anew while the copy is under way."""
    reader, target = made(str(tmp_path / "from")), connect(str(tmp_path / "to"))
    objects, run_place = reader.objects, RunFolder(reader.objects, reader.plan.run_id).place
    shard = next(p for p in objects.walk("stages/answer") if p.endswith(".arrow"))
    folder, _, file = shard.rpartition("/")
    part = f"{folder}/{file.removesuffix('.arrow').replace('shard-', 'parts-')}/00000-00004.arrow"
    objects.create(part, objects.read(shard))
    tables = objects.walk(run_place.table("values", "good"))
    really, written = objects.read, seal(unseal(objects.read(shard), "it").slice(0, 1))

    def read(path):
        if path == part:
            objects.delete(part)
        if path == tables[0] and really(path) != written:
            whole = dict(read_note(objects, run_place.tables_whole))
            whole["good"] = {"made_from": "others", "parts": {path: sha256(written)}}
            objects.replace(path, written)
            objects.replace(run_place.tables_whole, tables_note(whole))
        return really(path)

    monkeypatch.setattr(objects, "read", read)
    copy_run(objects, target, reader.plan)
    assert part not in target.walk("stages")
    assert target.read(tables[0]) == written
    assert verify_run(target, reader.plan).damages == ()


def test_a_copy_is_not_read_with_tables_of_an_earlier_one(tmp_path):
    reader, target = made(str(tmp_path / "from")), connect(str(tmp_path / "to"))
    folder = RunFolder(reader.objects, reader.plan.run_id).place.table("values", "good")
    target.create(table_part(folder, 7), b"of a run that went on otherwise")
    copy_run(reader.objects, target, reader.plan)
    assert target.walk(folder) == reader.objects.walk(folder)


def test_the_tables_of_a_run_that_writes_them_anew_are_no_damage(tmp_path, monkeypatch):
    reader = made(str(tmp_path))
    place = RunFolder(reader.objects, reader.plan.run_id).place
    (path,) = reader.objects.walk(place.table("values", "good"))
    whole = dict(read_note(reader.objects, place.tables_whole))
    really = reader.objects.read

    def read(asked):
        if asked == path:
            reader.objects.replace(path, b"PAR1")
            reader.objects.replace(place.tables_whole, tables_note({"bad": whole["bad"]}))
        return really(asked)

    monkeypatch.setattr(reader.objects, "read", read)
    assert verify_run(reader.objects, reader.plan).damages == ()


def sha256(data):
    return hashlib.sha256(data).hexdigest()


def packed_run(url):
    """A run of which scores of two systems by two metrics lie in packs."""
    objects = connect(url)
    systems = [System(name, echo(prefix=name)) for name in "ab"]
    work = plan(objects, *systems, metrics=("length", "twice"), count=12)
    reader = RunReader(objects, work)
    carry_out(reader, survey(reader), LocalPool(), Options())
    RunFolder(objects, work.run_id).save_plan(work, "name: fake\n")
    return objects, work


def test_what_lies_in_one_object_is_one_object_in_the_copy(tmp_path, store_url):
    source, work = packed_run(str(tmp_path / "from"))
    whole = copy_run(source, connect(store_url), work)
    target = connect(store_url)
    there = {path: target.inner.read(path) for path in target.inner.walk("packs")}
    assert {p for p in there if p.endswith(".pack")} == {
        p for p in source.inner.walk("packs") if p.endswith(".pack")
    }
    assert target.inner.walk("stages/score") == []
    assert (proof := verify_run(target, work)).damages == ()
    assert proof.objects == whole.objects
    assert survey(RunReader(target, work)).shards == 0
    assert copy_run(source, target, work) == whole
    assert {path: target.inner.read(path) for path in target.inner.walk("packs")} == there


def test_rows_of_another_making_are_no_part_of_a_copied_pack(tmp_path):
    source, work = packed_run(str(tmp_path / "from"))
    target = connect(str(tmp_path / "to"))
    path = next(p for p in source.walk("stages/score") if "/shard-" in p)
    target.create(path, b"other rows")
    with pytest.raises(StoreError, match="rows of another making"):
        copy_run(source, target, work)
    assert target.read(path) == b"other rows"
    assert target.names("runs") == []


def test_what_another_copy_left_by_itself_is_not_written_again(tmp_path):
    source, work = packed_run(str(tmp_path / "from"))
    target = connect(str(tmp_path / "to"))
    alone = [p for p in source.walk("stages/score") if "/shard-" in p][:3]
    for path in alone:
        target.create(path, source.read(path))
    copy_run(source, target, work)
    target = connect(str(tmp_path / "to"))
    assert target.inner.walk("stages/score") == sorted(alone)
    assert verify_run(target, work).damages == ()


@pytest.mark.parametrize("kind", ["answer", "score", "heads"])
def test_a_run_that_was_repaired_is_copied_without_what_was_put_aside(tmp_path, kind):
    objects = connect(str(tmp_path / "from"))
    work = plan(objects, System("echo", echo()), count=12)
    place = RunPlace(work.run_id)

    def carry():
        reader = RunReader(objects, work)
        carry_out(reader, survey(reader), LocalPool(), Options())

    carry()
    RunFolder(objects, work.run_id).save_plan(work, "name: fake\n")
    shards = [p for p in objects.walk(f"stages/{kind}") if "/shard-" in p]
    objects.replace(shards[0] if shards else place.heads, b"rubbish")
    mend_run(objects, work, lambda event: None)
    carry()
    assert any("/quarantine/" in p for f in ("stages", "runs") for p in objects.walk(f))
    target = connect(str(tmp_path / "to"))
    copy_run(objects, target, work)
    assert verify_run(target, work).damages == ()
    assert survey(RunReader(target, work)).shards == 0
    assert not [p for f in ("stages", "runs") for p in target.walk(f) if "/quarantine/" in p]
