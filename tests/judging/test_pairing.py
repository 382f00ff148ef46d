"""What a judge makes of answers beside samples that are not theirs."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from fakes import SMALL
from results.fake_runs import make_samples

from medgen.actors.local_pool import LocalPool
from medgen.engine.benchmark.importing import ImportOptions, import_benchmark
from medgen.engine.conditions.donors import Donors
from medgen.engine.conditions.judges import Shard, pair_of
from medgen.engine.conditions.kinds import find_condition
from medgen.engine.data import Image, Prediction, Sample
from medgen.engine.plan.identity import Spec
from medgen.engine.plan.plan import Model, Plan, Recipe, System, make_plan
from medgen.engine.results.conditions import ConditionEffect, condition_effects
from medgen.engine.run.driver import Options, carry_out
from medgen.engine.run.reader import RunReader
from medgen.engine.run.survey import survey
from medgen.engine.store import schemas
from medgen.engine.store.connect import connect
from medgen.engine.store.objects import Objects
from medgen.launch.report.conditions import condition_lines, pairing_tables, short
from medgen.launch.report.tables import number

CONTROLS = ("instruction-shuffle", "image-shuffle", "same-modality", "unrelated", "blank")


class Pictures:
    """Samples whose references differ from sample to sample."""

    def __iter__(self) -> Any:
        return iter(make_samples(48, pictures=True))

    def expected_counts(self) -> Any:
        return {}

    def describe(self) -> Any:
        return {"layout": "fake"}


def plan_of(objects: Objects, *conditions: str) -> Plan:
    manifest = import_benchmark(Pictures(), objects, ImportOptions("pictures", 16))
    rule = Spec("rule-judge", {"name": "rule", "protocol": "table-iv/1"})
    recipe = Recipe(
        name="test",
        systems=(System("oracle", Model(Spec("oracle"), SMALL)),),
        metrics={},
        judges={"rule": Model(rule, SMALL)},
        scoring=SMALL,
        conditions=conditions,
    )
    return make_plan(recipe, manifest)


def go(objects: Objects, work: Plan, **options: Any) -> int:
    pool = LocalPool()
    reader = RunReader(objects, work)
    todo = survey(reader)
    carry_out(reader, todo, pool, Options(**options))
    pool.shutdown()
    return todo.shards


def test_the_table_of_pairing_has_the_authors_rows_and_goes_on_after_a_stop(tmp_path: Path) -> None:
    objects = connect(str(tmp_path / "store"))
    work = plan_of(objects, *CONTROLS)
    seen = 0

    def watch(event: Any) -> None:
        nonlocal seen
        seen += event.kind == "receipt"

    first = go(objects, work, watch=watch, stop=lambda: seen >= 6)
    second = go(objects, work)
    assert 0 < second < first
    assert go(objects, work) == 0

    effects = condition_effects(RunReader(objects, work))
    based, free = sorted(pairing_tables(effects), key=lambda t: t.view)
    assert (based.view, free.view) == ("reference_based", "reference_free")
    assert [name for name, _ in based.rows] == [
        "blank", "unrelated", "same-modality", "image-shuffle", "instruction-shuffle",
    ]  # fmt: skip
    assert based.dimensions[0] == "cross_modal_consistency"
    rows = dict(based.rows)
    blank = rows["blank"]["cross_modal_consistency"]
    assert blank.drop is not None
    assert blank.drop > 0
    assert blank.n + blank.left_out == 48
    # Words beside a reference are judged by the reference alone.
    assert rows["instruction-shuffle"]["overall_score"].drop == 0.0
    levels = [rows[name]["overall_score"].wilcoxon_p or 1 for name in CONTROLS]
    worst = max(range(5), key=lambda at: -levels[at])
    held = rows[CONTROLS[worst]]["overall_score"].wilcoxon_holm
    assert held == pytest.approx(min(1, 5 * levels[worst]))
    lines = [*condition_lines(effects)]
    assert any(line.startswith("same-modality") for line in lines)
    assert_columns(effects, lines)


def assert_columns(effects: Sequence[ConditionEffect], lines: Sequence[str]) -> None:
    """Each number of the printed table stands below the name of its dimension."""
    table = next(iter(pairing_tables(effects)))
    at = next(n for n, line in enumerate(lines) if line.startswith("Pairing: "))
    others = table.dimensions[1:5]
    assert lines[at + 1].split()[-4:] == [short(d) for d in others]
    for (name, cells), line in zip(table.rows, lines[at + 2 :], strict=False):
        assert line.startswith(name)
        said = [number(cells[d].drop) if d in cells else "-" for d in others]
        assert line.split()[-4:] == said


def test_pairs_that_cannot_be_made_are_skipped_and_left_out(tmp_path: Path) -> None:
    objects = connect(str(tmp_path / "store"))
    work = plan_of(objects, "same-modality")
    go(objects, work)
    (node,) = (n for n in work.nodes.values() if n.condition)
    tables = (RunReader(objects, work).table(node, shard) for shard in range(work.shards))
    rows = [v for table in tables if table is not None for v in schemas.verdicts(table)]
    assert {v.status for v in rows} == {"ok"}
    alone = Sample("x", "image", "style-transfer", "PET", "do", input_images=(Image(b"", "a"),))
    given = {"x": Prediction("x", images=(Image(b"", "b"),))}
    found = pair_of(find_condition("same-modality"), Shard([alone], given, Donors()), alone)
    assert found == "no image of another sample to put there"


def test_a_part_of_a_shard_is_paired_as_the_whole_is() -> None:
    samples = make_samples(16, pictures=True)
    given = {s.id: Prediction(s.id, text="x", images=s.reference_images) for s in samples}
    whole = Shard(samples, given, Donors())
    kind = find_condition("image-shuffle")
    pairs = [pair_of(kind, whole, s) for s in samples]
    taken = [p[1].images[0].path for p in pairs if not isinstance(p, str) and p[1].images]
    assert taken
    assert len(set(taken)) > len(taken) // 2
    for sample, pair in zip(samples, pairs, strict=True):
        if not isinstance(pair, str) and sample.form != "text":
            assert pair[1].images != given[sample.id].images
            assert pair[0] == sample
