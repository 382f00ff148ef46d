"""Fifty rehearsals of what clusters do: the rows are the undisturbed ones, or say what happened."""

import random
from pathlib import Path

import pyarrow as pa
import pytest
from faults.rehearsal import Tables, carry, configured, copy_of, recipe, tables

from medgen.adapters.controls.chaos import API_ERROR
from medgen.engine.errors import ConfigError
from medgen.engine.plan.faulty import inject_faults
from medgen.engine.plan.plan import make_plan
from medgen.engine.run.driver import Ending
from medgen.engine.store.chaos import Chaos, chaotic_url, draw, parse_chaos
from medgen.engine.store.connect import connect
from medgen.launch import compose


@pytest.fixture(scope="module")
def calm(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Tables]:
    """The store of an undisturbed run, and its rows."""
    root = tmp_path_factory.mktemp("calm")
    compose.ensure_benchmark(connect(str(root)), configured().benchmark)
    ending, plan = carry(root, Chaos())
    assert ending == Ending(False, {})
    return root, tables(root, plan)


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(50))
def test_faults_that_can_be_recovered_change_no_row(
    calm: tuple[Path, Tables], tmp_path: Path, seed: int
) -> None:
    drawn = random.Random(seed)
    chaos = Chaos(
        seed,
        worker_kill=drawn.uniform(0, 0.4),
        node_loss=drawn.uniform(0, 0.4),
        store_errors=drawn.uniform(0, 0.15),
        slow_store=drawn.uniform(0, 0.1),
    )
    ending, plan = carry(copy_of(calm[0], tmp_path / "store"), chaos)
    assert ending == Ending(False, {})
    found = tables(tmp_path / "store", plan)
    assert found.keys() == calm[1].keys()
    for name, table in found.items():
        assert table.equals(calm[1][name]), name


def test_the_faults_did_happen(calm: tuple[Path, Tables], tmp_path: Path) -> None:
    root = copy_of(calm[0], tmp_path / "store")
    carry(root, Chaos(3, worker_kill=0.3))
    deaths = connect(str(root)).names("chaos")
    assert len(deaths) > 5
    carry(root, Chaos(3, worker_kill=0.3))
    assert connect(str(root)).names("chaos") == deaths, "what is committed kills nobody again"


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(4))
def test_faults_that_cannot_be_recovered_are_rows_with_their_status(
    calm: tuple[Path, Tables], tmp_path: Path, seed: int
) -> None:
    chaos = Chaos(seed, corrupt_image=0.2, api_errors=0.1, judge_rubbish=0.2, worker_kill=0.1)
    ending, plan = carry(copy_of(calm[0], tmp_path / "store"), chaos)
    assert ending == Ending(False, {})
    found = tables(tmp_path / "store", plan)
    answers = next(t for name, t in found.items() if name.startswith("answer"))
    for row in answers.to_pylist():
        name = row["sample_id"]
        if chaos.strikes("api_errors", name):
            assert (row["status"], row["reason"]) == ("model_error", API_ERROR)
        elif chaos.strikes("corrupt_image", name) and row["images"]:
            assert row["status"] == "invalid_image"
        else:
            assert row["status"] == "ok"
    _check_verdicts(chaos, found["judge rule"], dict(zip(*_columns(answers), strict=True)))
    for name, table in found.items():
        if name.startswith("score"):
            assert table.num_rows == answers.num_rows
            assert not _numbers_of_failures(table)


def _columns(table: pa.Table) -> tuple[list[str], list[str]]:
    return table["sample_id"].to_pylist(), table["status"].to_pylist()


def _numbers_of_failures(table: pa.Table) -> list[dict[str, object]]:
    """Scores that are a number although the metric or the prediction failed."""
    outputs = [field.name for field in table.schema if pa.types.is_floating(field.type)]
    assert outputs
    return [
        row
        for row in table.to_pylist()
        if row["status"] != "ok" and any(row[name] is not None for name in outputs)
    ]


def _check_verdicts(chaos: Chaos, verdicts: pa.Table, predicted: dict[str, str]) -> None:
    seen = set()
    for row in verdicts.to_pylist():
        place = (row["sample_id"], row["view"], row["repeat"])
        seen.add(row["status"])
        if row["status"] == "skipped":
            continue
        assert predicted[row["sample_id"]] == "ok"
        if chaos.strikes("api_errors", *place):
            assert row["status"] == "transport_error"
        elif chaos.strikes("judge_rubbish", *place):
            assert row["status"] in ("parse_error", "schema_error")
        else:
            assert row["status"] == "ok"
        assert bool(row["scores"]) == (row["status"] == "ok"), "no number for a failure"
    assert {"ok", "skipped", "transport_error"} < seen


def test_chaos_that_changes_rows_has_keys_of_its_own(calm: tuple[Path, Tables]) -> None:
    from medgen.engine.benchmark.manifest import find_benchmark

    manifest = find_benchmark(connect(str(calm[0])), "mini").manifest
    sound = make_plan(recipe(), manifest)
    harmless = make_plan(
        inject_faults(recipe(), parse_chaos("worker_kill=0.5,store_errors=0.5")), manifest
    )
    assert harmless == sound, "what can be recovered is no part of any address"
    for text in ("corrupt_image=0.1", "api_errors=0.1", "judge_rubbish=0.1"):
        plans = [
            make_plan(inject_faults(recipe(), parse_chaos(f"seed={n},{text}")), manifest)
            for n in (1, 2)
        ]
        made, other = ({k for k, n in p.nodes.items() if _struck(n.recipe)} for p in plans)
        assert made
        assert not made & set(sound.nodes)
        assert not made & other, "another seed, another address"
        assert plans[0].run_id != sound.run_id


def _struck(recipe: object) -> bool:
    return "chaotic" in str(recipe)


def test_settings_travel_in_the_url_and_read_back() -> None:
    chaos = parse_chaos("seed=7,worker_kill=0.25,slow_store=1")
    assert parse_chaos(str(chaos)) == chaos == Chaos(7, worker_kill=0.25, slow_store=1.0)
    url = chaotic_url("memory://somewhere", chaos)
    assert connect(connect(url).url).url == url == f"chaos:{chaos}::memory://somewhere"


@pytest.mark.parametrize(
    "text", ["kill=1", "worker_kill", "worker_kill=x", "node_loss=1.5", "seed=a"]
)
def test_settings_that_make_no_sense_are_refused_by_name(text: str) -> None:
    with pytest.raises(ConfigError, match=text.partition("=")[0]):
        parse_chaos(text)


def test_draws_are_even_and_the_same_everywhere() -> None:
    drawn = [draw(5, "here", n) for n in range(2000)]
    assert 0.47 < sum(drawn) / 2000 < 0.53
    assert drawn[0] == draw(5, "here", 0) != draw(6, "here", 0)
