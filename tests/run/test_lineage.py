"""What was made from an object that is there no more is made again, and nothing else."""

from collections.abc import Callable
from pathlib import Path

import pytest
from fakes import plan as echo_plan
from run.held import carry, held_plan, make_folder

from medgen.engine.plan.plan import Plan
from medgen.engine.run.reader import RunReader
from medgen.engine.run.survey import survey
from medgen.engine.store.connect import connect
from medgen.engine.store.objects import Objects
from medgen.engine.store.sealed import seal, unseal


@pytest.fixture
def objects(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Objects:
    monkeypatch.setenv("MEDGEN_CACHE", str(tmp_path / "cache"))
    return connect(str(tmp_path / "store"))


def shard(objects: Objects, plan: Plan, number: int) -> str:
    """The path of an answer shard."""
    (answer,) = plan.predictions(plan.systems[0].name)
    return RunReader(objects, plan).stage(answer).path(number)


def lose(objects: Objects, path: str) -> None:
    objects.delete(path)


def overwrite(objects: Objects, path: str) -> None:
    """Other rows, sealed as they should be, under the same labels."""
    table = unseal(objects.read(path), path)
    text = table["text"].to_pylist()
    at = table.column_names.index("text")
    kept = table.schema.field("text")
    changed = table.set_column(at, kept, [[f"{words}, forged" for words in text]])
    objects.replace(path, seal(changed.replace_schema_metadata(table.schema.metadata)))


def truncate(objects: Objects, path: str) -> None:
    objects.replace(path, objects.read(path)[:-40])


@pytest.mark.parametrize("harm", [lose, overwrite])
def test_an_input_that_is_another_makes_what_was_made_from_it_stale(
    harm: Callable[[Objects, str], None], objects: Objects, tmp_path: Path
) -> None:
    plan = held_plan(objects, make_folder(tmp_path / "weights"))
    carry(objects, plan)
    before = survey(RunReader(objects, plan))
    assert before.shards == 0
    (score,) = [n for n in plan.nodes.values() if n.stage == "score"]
    lengths = _values(objects, plan, score.key)
    harm(objects, shard(objects, plan, 1))
    carry(objects, plan)
    reader = RunReader(objects, plan)
    (answer,) = plan.predictions("held")
    place = f"{answer.key}/{plan.shard_names(answer)[1]}"
    assert reader.heads(score)[1].inputs == {place: reader.heads(answer)[1].sha256}
    assert dict(reader.revisions(score)) == {0: 0, 1: 1, 2: 0}, "the others were left alone"
    now = _values(objects, plan, score.key)
    assert (now[4:8] != lengths[4:8]) == (harm is overwrite)
    assert survey(RunReader(objects, plan)).shards == 0


def _values(objects: Objects, plan: Plan, key: str) -> list[float]:
    reader = RunReader(objects, plan)
    tables = [reader.table(plan.nodes[key], n) for n in range(plan.shards)]
    return [v for t in tables if t is not None for v in t["length"].to_pylist()]


def test_an_input_that_comes_back_as_it_was_makes_nothing_stale(objects: Objects) -> None:
    plan = echo_plan(objects, count=12)
    carry(objects, plan)
    path = shard(objects, plan, 1)
    content = objects.read(path)
    objects.delete(path)
    carry(objects, plan)
    assert objects.read(path) == content, "the echo gives the same bytes"
    (score,) = [n for n in plan.nodes.values() if n.stage == "score"]
    assert dict(RunReader(objects, plan).revisions(score)) == {0: 0, 1: 0, 2: 0}
    assert survey(RunReader(objects, plan)).shards == 0


def test_a_broken_input_costs_no_finished_scores_and_is_the_source_of_none(
    objects: Objects,
) -> None:
    plan = echo_plan(objects, count=12)
    carry(objects, plan)
    truncate(objects, shard(objects, plan, 1))
    assert carry(objects, plan)[0].shards == 0
    (score,) = [n for n in plan.nodes.values() if n.stage == "score"]
    objects.delete(RunReader(objects, plan).stage(score).path(1))
    with pytest.raises(AssertionError, match="--repair"):
        carry(objects, plan)
