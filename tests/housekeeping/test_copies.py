"""A copy of a run is the run: proven, whole, and with the same report."""

import json
import subprocess
import sys

import pytest
from results.fake_runs import FakeRun, make_samples, picture, steady

from medgen.engine.data import Prediction, Verdict
from medgen.engine.errors import CorruptError, StoreError
from medgen.engine.results.publishing import TablePublisher
from medgen.engine.results.summary import summarize
from medgen.engine.run.folder import RunFolder
from medgen.engine.run.needs import needs
from medgen.engine.run.reader import RunReader
from medgen.engine.store.connect import connect
from medgen.launch.housekeeping.copying import copy_run
from medgen.launch.housekeeping.verifying import verify_run
from medgen.launch.report.report import write_report


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
    # All but what nobody names a digest of: manifest, plan, configuration, notes.
    said = [path for path in needs(target, there.plan).all if path.endswith((".json", ".yaml"))]
    said = [path for path in said if not path.endswith("/identity.json")]
    assert proof.proven == done.objects - len(said)
    assert len(said) < done.objects / 2
    assert report(there) == report(reader)


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
    said["effective"]["parts"]["versions.torch"] = "9.9"
    reader.objects.replace(path, json.dumps(said).encode())
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
