"""Whatever a component does at whichever hook ends as rows or as its own failure, never the run."""

from contextlib import suppress
from typing import Any

import pytest
from fakes import Lines, answers, echo, plan
from run import unfaithful
from run.unfaithful import ALL, STRUCK

from medgen.actors.local_pool import LocalPool
from medgen.engine.benchmark.importing import ImportOptions, import_benchmark
from medgen.engine.benchmark.source import Source
from medgen.engine.chat.messages import Chat
from medgen.engine.errors import MedgenError
from medgen.engine.plan.identity import Resources, Spec
from medgen.engine.plan.plan import Model, Plan, System
from medgen.engine.ports import Generator, Judge, Scorer
from medgen.engine.run.driver import Ending, Options, carry_out
from medgen.engine.run.reader import RunReader
from medgen.engine.run.survey import survey
from medgen.engine.store.connect import connect
from medgen.engine.store.objects import Objects

SMALL = Resources(cpus=0.1)
SOUND = System("sound", echo(prefix="so"))
PORTS = {Generator: "Model", Scorer: "Scores", Judge: "Judging", Chat: "Talk", Source: "Records"}
# Hooks that are written; every other one of a port would be a hole in this test.
HOOKS = {
    Generator: ("predict", "passport"),
    Scorer: ("score", "outputs", "passport"),
    Judge: ("judge", "passport"),
    Chat: ("chat", "passport"),
    Source: ("__iter__", "expected_counts", "describe"),
}
SOME = ("raises", "raises at one", "another type")  # the others are in the trial


def tried(port: type, hook: str, fault: str) -> Any:
    marks = [] if fault in SOME else [pytest.mark.trial]
    return pytest.param(port, hook, fault, marks=marks)


RUN = [tried(p, h, f) for p in HOOKS if p is not Source for h in HOOKS[p] for f in ALL]


def test_every_hook_of_every_port_is_tried() -> None:
    for port, hooks in HOOKS.items():
        ours = {n for n, what in vars(port).items() if callable(what) and not n.startswith("_")}
        ours |= {"__iter__"} & set(vars(port))
        assert ours == set(hooks), port


def planned(objects: Objects, port: type, hook: str, fault: str) -> Plan:
    named = f"run.unfaithful:{PORTS[port]}"
    said = {"hook": hook, "fault": fault}
    if port is Generator:
        return plan(objects, System("bad", Model(Spec(named, said), SMALL)), SOUND)
    if port is Chat:
        asked = answers(named, **said)
        return plan(objects, System("bad", Model(Spec(**asked), SMALL)), SOUND)
    if port is Scorer:
        return plan(objects, SOUND, scorer=Spec(named, said))
    return plan(objects, SOUND, judges={"bad": Model(Spec(named, {**said, "name": "bad"}), SMALL)})


def go(objects: Objects, work: Plan) -> Ending:
    reader = RunReader(objects, work)
    return carry_out(reader, survey(reader), LocalPool(), Options())


@pytest.mark.parametrize(("port", "hook", "fault"), RUN, ids=lambda x: getattr(x, "__name__", x))
def test_a_component_costs_its_rows_or_itself(
    memory_url: str, port: type, hook: str, fault: str
) -> None:
    objects = connect(memory_url)
    work = planned(objects, port, hook, fault)
    ending = go(objects, work)
    assert not ending.stopped
    reader = RunReader(objects, work)
    for node in work.nodes.values():
        tables = [reader.table(node, shard) for shard in range(work.shards)]
        whole = all(table is not None and table.num_rows for table in tables)
        if "sound" in node.systems and node.stage == "answer":
            assert whole, "the neighbour's rows are there"
        if not whole:
            assert ending.failed, node.label
    if fault == "raises at one" and hook in ("predict", "score", "judge", "chat"):
        assert ending.failed == {}
        said = [
            row["status"]
            for node in work.nodes.values()
            for shard in range(work.shards)
            for row in (reader.table(node, shard) or _Nothing).to_pylist()
            if row["sample_id"] == STRUCK
        ]
        assert "internal_error" in said


class _Nothing:
    @staticmethod
    def to_pylist() -> list[dict[str, str]]:
        return []


@pytest.mark.parametrize("hook", HOOKS[Source])
@pytest.mark.parametrize("fault", ALL)
def test_a_source_is_refused_whole_or_taken_whole(memory_url: str, hook: str, fault: str) -> None:
    objects = connect(memory_url)
    source = unfaithful.Records(hook, fault)
    samples = 0
    with suppress(MedgenError):
        samples = import_benchmark(source, objects, ImportOptions("bad", 4)).samples  # type: ignore[arg-type]
    assert samples >= 22 or objects.names("benchmarks") == []
    assert import_benchmark(Lines(24), objects, ImportOptions("sound", 4)).samples == 24
