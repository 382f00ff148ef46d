"""What a person reads while a run goes on: whose trouble it is, not the address of a group."""

import pytest
from fakes import Lines, recipe

from medgen.engine.benchmark.importing import ImportOptions, import_benchmark
from medgen.engine.plan.plan import Plan, make_plan
from medgen.engine.run.events import Event, EventKind
from medgen.engine.run.reader import RunReader
from medgen.engine.run.survey import survey
from medgen.engine.store.connect import connect
from medgen.launch.run.progress import Lines as Progress
from medgen.launch.run.progress import trouble_line


@pytest.fixture
def plan(memory_url: str) -> Plan:
    return make_plan(
        recipe(), import_benchmark(Lines(8), connect(memory_url), ImportOptions("f", 4))
    )


@pytest.mark.parametrize(
    ("kind", "details", "said"),
    [
        (
            "trouble",
            {"what": "crashed", "shard": 3, "error": "the worker died", "error_type": "X"},
            "answer of echo (Echo), shard 3: crashed: the worker died",
        ),
        (
            "trouble",
            {"what": "unstarted", "error": "no such model", "traceback": "Traceback"},
            "answer of echo (Echo): unstarted: no such model",
        ),
        (
            "gave_up",
            {"error": "no such model"},
            "answer of echo (Echo): gave up: no such model",
        ),
    ],
)
def test_trouble_is_told_by_names(
    plan: Plan, kind: EventKind, details: dict[str, object], said: str
) -> None:
    group = next(node.group for node in plan.nodes.values() if node.stage == "answer")
    assert trouble_line(plan, Event(kind, group, details=details)) == said


def test_what_is_nobodys_has_no_name(plan: Plan) -> None:
    said = trouble_line(plan, Event("draining", "", details={"units": 2}))
    assert said == "stopping: 2 shards are being finished (Ctrl-C again leaves them)"


def test_a_complete_system_is_told_with_each_formats_first_value_and_once_with_a_command(
    plan: Plan, memory_url: str, capsys: pytest.CaptureFixture[str]
) -> None:
    todo = survey(RunReader(connect(memory_url), plan))
    none, value = {"mean": None, "n": 0, "expected": 8}, {"mean": 0.51239, "n": 7, "expected": 8}
    means = {"VQA": {"lpips": none, "accuracy": value, "rouge": value}, "TextOnly": {"lpips": none}}
    lines = Progress(plan, todo, "medgen view r")
    for system in ("a\x1b[2J", "b"):
        lines(Event("system_finished", "", details={"system": system, "means": means}))
    said = [line.partition(" ")[2] for line in capsys.readouterr().err.splitlines()]
    assert said == [
        "system complete: a\\x1b[2J: VQA accuracy 0.5124",
        "look    medgen view r    (what is there so far)",
        "system complete: b: VQA accuracy 0.5124",
    ]
