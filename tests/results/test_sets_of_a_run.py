"""FID and KID of a run: states merge over shards, and a second look makes none again."""

from pathlib import Path

import pytest
from fakes import plan

from actors.local_pool import LocalPool
from adapters.mini import build_mini
from engine.importing import ImportOptions, import_benchmark
from engine.objects import connect
from engine.plan import Model, Recipe, System, make_plan
from engine.reading import RunReader
from engine.run import Options, carry_out
from engine.spec import Spec
from engine.survey import survey
from launch.sets import set_rows
from metrics.sets import SetFeatures
from metrics.tiny import make_vision_encoder


@pytest.fixture(scope="module")
def reader(tmp_path_factory: pytest.TempPathFactory) -> RunReader:
    """The oracle and the no-op over the miniature benchmark."""
    objects = connect(str(tmp_path_factory.mktemp("store")))
    manifest = import_benchmark(build_mini(), objects, ImportOptions("mini", 32))
    systems = [
        System(name, Model(Spec(f"adapters.controls:{target}")), formats=("ImageEditing",))
        for name, target in (("oracle", "Oracle"), ("copy-input", "CopyInput"))
    ]
    work = make_plan(Recipe("sets", tuple(systems), {}), manifest)
    reader = RunReader(objects, work)
    carry_out(reader, survey(reader), LocalPool(), Options())
    return RunReader(objects, work)


def test_the_reference_is_nearest_to_itself(reader: RunReader, tmp_path: Path) -> None:
    make_vision_encoder(tmp_path / "encoder")
    features = SetFeatures(str(tmp_path / "encoder"))
    oracle, copied = set_rows(reader, features)
    assert oracle.values is not None
    assert copied.values is not None
    assert oracle.pairs == copied.pairs == 48
    assert oracle.values["fid"] == pytest.approx(0, abs=1e-6)
    assert copied.values["fid"] > oracle.values["fid"]
    assert oracle.random_weights
    before = sorted(reader.objects.names("stages/sets"))
    again = list(set_rows(reader, features))
    assert again == [oracle, copied]
    assert sorted(reader.objects.names("stages/sets")) == before


def test_a_run_without_pictures_gives_nothing_to_say(tmp_path: Path) -> None:
    make_vision_encoder(tmp_path / "encoder")
    objects = connect(str(tmp_path / "store"))
    unstarted = RunReader(objects, plan(objects))
    assert list(set_rows(unstarted, SetFeatures(str(tmp_path / "encoder")))) == []
