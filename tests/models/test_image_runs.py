"""Whole runs with image models: shared answers, a server that misbehaves, statuses to the end."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import yaml
from fakes import SMALL, echo, recipe
from models.loopback import serve
from models.test_openai_images import RIGHT, huge_png, misbehave

from medgen.actors.local_pool import LocalPool
from medgen.engine.benchmark.importing import ImportOptions, import_benchmark
from medgen.engine.benchmark.source import Problem
from medgen.engine.data import Image, Prediction, Sample
from medgen.engine.plan.identity import Spec
from medgen.engine.plan.plan import Model, Plan, System, make_plan
from medgen.engine.run.driver import Options, carry_out
from medgen.engine.run.reader import RunReader
from medgen.engine.run.survey import survey
from medgen.engine.stages import SCORES
from medgen.engine.store.connect import connect
from medgen.engine.store.objects import Objects
from medgen.launch.cli import main


class Pictures:
    """A source of editing samples with one picture each."""

    def __init__(self, samples: list[Sample]) -> None:
        self.samples = samples

    def __iter__(self) -> Iterator[Sample | Problem]:
        yield from self.samples

    def expected_counts(self) -> dict[object, int]:
        return {}

    def describe(self) -> dict[str, str]:
        return {"layout": "pictures"}


def carried_out(objects: Objects, plan: Plan) -> RunReader:
    """The plan done in this process, and a fresh look at what it left."""
    reader, pool = RunReader(objects, plan), LocalPool()
    assert carry_out(reader, survey(reader), pool, Options()).failed == {}
    pool.shutdown()
    return RunReader(objects, plan)


def predictions(reader: RunReader, system: str) -> dict[str, Prediction]:
    shards = range(reader.plan.shards)
    rows = [p for shard in shards for p in reader.predictions(system, shard)]
    assert len({p.sample_id for p in rows}) == len(rows) == reader.plan.rows_due(system)
    return {p.sample_id: p for p in rows}


@pytest.fixture
def objects(tmp_path: Path) -> Objects:
    return connect(str(tmp_path / "store"))


@pytest.mark.slow
@pytest.mark.usefixtures("one_thread")
def test_one_writer_serves_three_image_models_and_an_editor_needs_none(
    objects: Objects,
    editing_samples: Callable[..., list[Sample]],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("MEDGEN_CACHE", str(tmp_path / "cache"))
    calls = tmp_path / "calls"
    writer = echo(execution={"calls": str(calls)})

    def tiny(mode: str) -> Model:
        return Model(Spec("tiny-pipeline", {"mode": mode}), SMALL, split=2)

    pairs = [
        System(f"writer+{mode}", writer, tiny(mode), ("text", "image"))
        for mode in ("text_to_image", "image_to_image", "edit")
    ]
    editor = System("editor", None, tiny("edit"), ("image",))
    # A question is answered in words: it stands in the answer stage, and not in the render stage.
    question = Sample(
        "q", "text", "question-answering", "CT", "what is it?", reference_texts=("a cyst",)
    )
    samples = [*editing_samples(4), question]
    stored = import_benchmark(Pictures(samples), objects, ImportOptions("p", 5))
    plan = make_plan(recipe(*pairs, editor), stored)
    reader = carried_out(objects, plan)
    assert sorted(calls.read_text().split()) == ["q", *(f"s{i:03d}" for i in range(4))]
    found = {s.name: predictions(reader, s.name) for s in (*pairs, editor)}
    assert {p.status for given in found.values() for p in given.values()} == {"ok"}
    assert found["writer+edit"]["q"].text == "what is it?"
    assert "q" not in found["editor"]
    assert found["writer+edit"]["s001"].image_prompt == "draw s001"
    assert found["editor"]["s001"].image_prompt == "remove noise number 1"
    assert len({given["s001"].images[0].data for given in found.values()}) == 4
    for node in plan.nodes.values():
        if node.stage == "render":
            (identity,) = reader.identities(node)
            assert identity.passport["random_weights"] is True


def command_line(objects: Objects, painter: Spec, folder: Path) -> int | str | None:
    """The exit code of `medgen run` with the painter over the stored benchmark."""
    render = {"target": painter.target, "kwargs": dict(painter.kwargs)}
    body = {
        "store": objects.url,
        "benchmark": {"name": "p"},
        "systems": [{"name": "painter", "gives": ["image"], "render": render}],
        "protocol": {"name": "pixels", "metrics": {"psnr": {}}},
        "cluster": "in-process",
        "report": False,
    }
    path = folder / "run.yaml"
    path.write_text(yaml.safe_dump(body))
    with pytest.raises(SystemExit) as ended:
        main(["run", "--config", str(path)])
    return ended.value.code


def test_a_misbehaving_server_leaves_a_whole_run_with_the_right_rows(
    objects: Objects, noise: Callable[..., bytes], tmp_path: Path
) -> None:
    good, seen, place = noise(7), dict[str, int](), [""]
    huge_png()
    samples = [
        Sample(
            f"s-{fault}",
            "image",
            "style-transfer",
            "CT",
            f"draw this: {fault}",
            input_images=(Image(noise(1)),),
        )
        for fault in RIGHT
    ]
    stored = import_benchmark(Pictures(samples), objects, ImportOptions("p", 8))
    with serve(lambda asked: misbehave(asked, good, seen, place[0])) as server:
        place[0] = server.url
        endpoint = {
            "base_url": f"{server.url}/v1",
            **{"backoff_s": 0.01, "backoff_max_s": 0.02, "timeout_s": 2.0},
            **{"attempts": 2, "timeout_attempts": 1, "retry_after_max_s": 5.0},
        }
        painter = Spec(
            "openai-images",
            {"model": "painter", "mode": "edit", "endpoint": endpoint},
        )
        system = System("painter", None, Model(painter, SMALL), ("image",))
        plan = make_plan(recipe(system), stored)
        reader = carried_out(objects, plan)
        assert command_line(objects, painter, tmp_path) == 3
    given = predictions(reader, "painter")
    assert {i.removeprefix("s-"): p.status for i, p in given.items()} == {
        fault: status for fault, (status, _) in RIGHT.items()
    }
    (node,) = plan.giving("painter", SCORES)
    scored = [reader.table(node, shard) for shard in range(plan.shards)]
    rows = [row for table in scored if table is not None for row in table.to_pylist()]
    assert {r["sample_id"] for r in rows if r["status"] == "ok"} == {
        i for i, p in given.items() if p.status == "ok"
    }
    assert all(r["length"] is None for r in rows if r["status"] != "ok")
