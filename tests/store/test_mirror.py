"""Weights in the store: one fetch a machine, under the hub's names, the bytes that were staged."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from commands import medgen
from fakes import plan

from medgen.actors.local_pool import LocalPool
from medgen.adapters.provenance import weights
from medgen.conf.reading import ConfError
from medgen.engine.errors import CorruptError
from medgen.engine.plan.identity import Resources, Spec
from medgen.engine.plan.plan import Model, System
from medgen.engine.run.driver import Options, carry_out
from medgen.engine.run.reader import RunReader
from medgen.engine.run.survey import survey
from medgen.engine.store import mirror
from medgen.engine.store.connect import connect
from medgen.engine.store.layout import WeightsPlace
from medgen.engine.store.mirror import Staged
from medgen.engine.store.objects import Objects
from medgen.launch.setup import staging

MODEL, COMMIT = "owner/name", "0123456789" * 4
FILES = {"config.json": b"{}", "model.safetensors": bytes(range(256)) * 64, "deep/er.txt": b"x"}
FETCH = """
import sys
from pathlib import Path
from medgen.engine.store import mirror
from medgen.engine.store.connect import connect
objects = connect(sys.argv[1])
whole = mirror.find_staged(objects, "owner/name", sys.argv[3])
print(mirror.fetch(objects, whole, Path(sys.argv[2])))
"""


@pytest.fixture
def objects(tmp_path: Path) -> Objects:
    return connect(str(tmp_path / "store"))


@pytest.fixture
def whole(tmp_path: Path, objects: Objects) -> Staged:
    folder = tmp_path / "snapshot"
    for name, data in FILES.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(data)
    return mirror.stage(objects, MODEL, COMMIT, folder, part_bytes=4096)


def test_of_six_processes_one_fetches(tmp_path: Path, objects: Objects, whole: Staged) -> None:
    arguments = [sys.executable, "-c", FETCH, objects.url, str(tmp_path / "hub"), COMMIT]
    children = [
        subprocess.Popen(arguments, stdout=subprocess.PIPE, text=True, env=dict(os.environ))
        for _ in range(6)
    ]
    fetched = sorted(int(child.communicate(timeout=120)[0]) for child in children)
    assert fetched == [0, 0, 0, 0, 0, len(FILES)]


def test_the_hubs_own_library_finds_it_without_the_hub(
    tmp_path: Path, objects: Objects, whole: Staged, monkeypatch: pytest.MonkeyPatch
) -> None:
    from huggingface_hub import constants, hf_hub_download

    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path / "hub"))
    recipe = {"chat": {"kwargs": {"model": MODEL, "revision": COMMIT}}}
    mirror.fetch_all(objects, recipe)
    for name, data in FILES.items():
        # No `local_files_only`: a file of a commit that lies there is not asked about.
        place = hf_hub_download(MODEL, name, revision=COMMIT, cache_dir=tmp_path / "hub")
        assert Path(place).read_bytes() == data
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "hub"))
    assert weights(MODEL, COMMIT) == {"commit": COMMIT}, "the identity is that of a download"


def test_a_fetch_that_was_cut_short_is_ended_by_the_next(
    tmp_path: Path, objects: Objects, whole: Staged
) -> None:
    hub = tmp_path / "hub"
    assert mirror.fetch(objects, whole, hub) == len(FILES)
    (large,) = hub.rglob("model.safetensors")
    large.rename(large.with_name(".model.safetensors.half"))
    large.with_name(".model.safetensors.half").write_bytes(b"half")
    assert mirror.fetch(objects, whole, hub) == 1
    assert large.read_bytes() == FILES["model.safetensors"]
    assert mirror.fetch(objects, whole, hub) == 0


def test_other_bytes_than_were_staged_are_no_weights(
    tmp_path: Path, objects: Objects, whole: Staged
) -> None:
    place, large = WeightsPlace(MODEL, COMMIT), whole.files[-1]
    objects.replace(place.part(large.parts[0]), b"another")
    with pytest.raises(CorruptError, match="other bytes"):
        mirror.fetch(objects, whole, tmp_path / "hub")
    assert not list((tmp_path / "hub").rglob("model.safetensors"))
    manifest = json.loads(objects.read(place.manifest))
    manifest["files"][0]["name"] = "../../out"
    objects.replace(place.manifest, json.dumps(manifest).encode())
    with pytest.raises(CorruptError):
        mirror.find_staged(objects, MODEL, COMMIT)


def test_a_worker_finds_what_was_staged(
    tmp_path: Path, objects: Objects, whole: Staged, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path / "hub"))
    spec = Spec("store.hub_reader:HubReader", {"model": MODEL, "revision": COMMIT})
    work = plan(objects, System("reader", Model(spec, Resources(0.1))), count=2)
    reader = RunReader(objects, work)
    assert carry_out(reader, survey(reader), LocalPool(), Options()).failed == {}
    rows = RunReader(objects, work).predictions("reader", 0)
    assert {(row.status, row.reason, row.text) for row in rows} == {("ok", "", "{}")}


@pytest.mark.parametrize(
    ("recipe", "found"),
    [
        ({"model": MODEL, "revision": COMMIT}, [(MODEL, COMMIT)]),
        ({"model": MODEL, "load": {"revision": COMMIT}}, [(MODEL, COMMIT)]),
        ({"load": {"lora": [{"path": MODEL, "revision": COMMIT}]}}, [(MODEL, COMMIT)]),
        ({"model": MODEL, "revision": "main"}, []),
        ({"model": "/folder/name", "revision": COMMIT}, []),
    ],
)
def test_a_recipe_names_what_could_be_staged(
    recipe: dict[str, object], found: list[tuple[str, str]]
) -> None:
    assert list(mirror.models_of(recipe)) == found


def test_a_model_is_staged_once_and_only_at_a_commit(tmp_path: Path, whole: Staged) -> None:
    given = ("--store", str(tmp_path / "other"), "--from", str(tmp_path / "snapshot"))
    for says in ("staged, 0.0 GiB", "was staged before"):
        done = medgen("models", "stage", f"{MODEL}@{COMMIT}", *given)
        assert done.returncode == 0, done.stderr
        assert says in done.stdout
    done = medgen("models", "stage", f"{MODEL}@main", *given)
    assert done.returncode != 0
    assert f"{MODEL} is at no commit" in done.stderr


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("qwen-image-edit-omni", "Qwen/Qwen-Image-Edit is at no commit"),
        ("radfm", "./models/RadFM is a folder"),
        ("gpt-4o", "gpt-4o loads no weights"),
    ],
)
def test_a_preset_that_cannot_be_staged_says_why(name: str, words: str) -> None:
    with pytest.raises(ConfError, match=words):
        staging.models([name])
