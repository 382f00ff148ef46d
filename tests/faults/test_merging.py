"""A shard that is done in parts stays whole, wherever its worker dies while it merges them."""

from pathlib import Path

import pytest
from fakes import echo, plan

from medgen.actors.local_pool import LocalPool
from medgen.engine.errors import EngineDied
from medgen.engine.plan.plan import System
from medgen.engine.run.driver import Ending, Options, carry_out
from medgen.engine.run.reader import RunReader
from medgen.engine.run.survey import survey
from medgen.engine.store.connect import connect
from medgen.engine.store.shards import Parts, Stage


@pytest.mark.parametrize("dropped", [0, 1, 4])
def test_a_worker_may_die_between_the_merged_shard_and_its_parts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, dropped: int
) -> None:
    once = tmp_path / "once"
    once.mkdir()
    model = echo(faults={"s0001": "engine_died"}, execution={"once": str(once)})
    objects = connect(str(tmp_path / "store"))
    work = plan(objects, System("echo", model), count=12)
    deaths, drop = [], Parts.drop

    def die_once(parts: Parts) -> None:
        if not deaths:
            deaths.append(parts.folder)
            for name in objects.names(parts.folder)[:dropped]:
                objects.delete(f"{parts.folder}/{name}")
            raise EngineDied("while it dropped the parts")
        drop(parts)

    monkeypatch.setattr(Parts, "drop", die_once)
    reader = RunReader(objects, work)
    assert carry_out(reader, survey(reader), LocalPool(), Options()) == Ending(False, {})
    reader = reader.anew()
    found = [p for shard in range(work.shards) for p in reader.predictions("echo", shard)]
    assert sorted((p.sample_id, p.status) for p in found) == [
        (f"s{i:04d}", "ok") for i in range(12)
    ]
    assert len(deaths) == 1
    folder = deaths[0].rpartition("/")[0]
    assert not [name for name in objects.names(folder) if name.startswith("parts-")]


def test_a_listing_that_lags_hides_nothing_that_was_heard_of(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    objects = connect(str(tmp_path))
    work = plan(objects, System("echo", echo()), count=12)
    reader = RunReader(objects, work)
    todo = survey(reader)
    old = {key: reader.stage(n).listing() for key, n in work.nodes.items()}
    monkeypatch.setattr(Stage, "listing", lambda stage: old[stage.key])
    assert carry_out(reader, todo, LocalPool(), Options()) == Ending(False, {})
    assert survey(RunReader(objects, work)).shards > 0, "the listing does lag"
    assert survey(reader.anew()).shards == 0
