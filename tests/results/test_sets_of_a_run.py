"""FID and KID of a run: states merge over shards, and a second look makes none again."""

from pathlib import Path

import pyarrow as pa
import pytest
from fakes import plan

from medgen.actors.local_pool import LocalPool
from medgen.adapters.mini.build import build_mini
from medgen.engine.benchmark.importing import ImportOptions, import_benchmark
from medgen.engine.plan.identity import Spec
from medgen.engine.plan.plan import Model, Recipe, System, make_plan
from medgen.engine.results.sets import stored_set_rows
from medgen.engine.results.summary import summarize
from medgen.engine.run.driver import Options, carry_out
from medgen.engine.run.reader import RunReader
from medgen.engine.run.survey import survey
from medgen.engine.store.connect import connect
from medgen.launch.report.report import write_report
from medgen.launch.report.sets import set_rows
from medgen.launch.report.tables import PLUMBING, number
from medgen.metrics.image.sets import SetFeatures
from medgen.metrics.tiny import make_vision_encoder

pytestmark = pytest.mark.usefixtures("one_thread")


@pytest.fixture(scope="module")
def reader(tmp_path_factory: pytest.TempPathFactory) -> RunReader:
    """The oracle and the no-op over the miniature benchmark."""
    objects = connect(str(tmp_path_factory.mktemp("store")))
    manifest = import_benchmark(build_mini(), objects, ImportOptions("mini", 32))
    systems = [
        System(
            name,
            Model(Spec(f"medgen.adapters.controls.systems:{target}")),
            gives=("image",),
        )
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


def test_the_report_shows_what_is_stored(reader: RunReader, tmp_path: Path) -> None:
    summary = summarize(reader)
    reader.objects.delete(f"runs/{reader.plan.run_id}/sets")
    assert "FID" not in written(reader, summary)["index.md"]
    make_vision_encoder(tmp_path / "encoder")
    rows = list(set_rows(reader, SetFeatures(str(tmp_path / "encoder"))))
    assert list(stored_set_rows(reader)) == rows
    pages = written(reader, summary)
    for row in rows:
        assert row.values is not None
        shown = (number(row.values["fid"]), number(row.values["kid"]), "48", "0")
        assert " | ".join(shown) in pages["index.md"]
    assert f"comes from {PLUMBING}" in pages["index.md"]


def test_a_distance_is_shown_as_long_as_the_pictures_are_those_it_is_of(
    reader: RunReader, tmp_path: Path
) -> None:
    make_vision_encoder(tmp_path / "encoder", seed=5)
    features = SetFeatures(str(tmp_path / "encoder"))
    reader.objects.delete(f"runs/{reader.plan.run_id}/sets")
    whole = list(set_rows(reader, features))
    (node,) = reader.plan.predictions("copy-input")
    path = reader.stage(node).path(0)
    shard = reader.objects.read(path)
    reader.objects.remove(path)
    less = RunReader(reader.objects, reader.plan)
    assert [row.system for row in stored_set_rows(less)] == ["oracle"]
    oracle, part = set_rows(less, features)
    assert oracle == whole[0]
    assert part.pairs < whole[1].pairs
    reader.objects.create(path, shard)
    again = RunReader(reader.objects, reader.plan)
    assert [row.system for row in stored_set_rows(again)] == ["oracle"]
    assert list(set_rows(again, features)) == whole


def written(reader: RunReader, summary: pa.Table) -> dict[str, str]:
    """The pages of the report, by name."""
    paths = write_report(reader, summary)[:1]
    return {path.rsplit("/", 1)[1]: reader.objects.read(path).decode() for path in paths}


def test_a_run_without_pictures_gives_nothing_to_say(tmp_path: Path) -> None:
    make_vision_encoder(tmp_path / "encoder")
    objects = connect(str(tmp_path / "store"))
    unstarted = RunReader(objects, plan(objects))
    assert list(set_rows(unstarted, SetFeatures(str(tmp_path / "encoder")))) == []
