"""Every registered model, chat and judge keeps its port's law, and breaks no run that it breaks."""

import json
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any, get_args

import pytest
from fakes import SMALL, answers, benchmark, echo, recipe
from run.registered import CHATS, EVERY, GENERATORS, HEAVY, JUDGES, Made, fakes_count, made
from run.unfaithful import STRUCK

from medgen.engine import registry
from medgen.engine.benchmark.manifest import Benchmark, Manifest
from medgen.engine.benchmark.source import UsesBenchmark
from medgen.engine.chat.messages import ChatRequest, Message
from medgen.engine.data import (
    VIEWS,
    Image,
    Prediction,
    PredictionStatus,
    Request,
    Sample,
    Verdict,
    VerdictStatus,
)
from medgen.engine.plan.identity import Spec
from medgen.engine.plan.plan import Model, Plan, System, make_plan
from medgen.engine.run.board import Board
from medgen.engine.run.reader import RunReader
from medgen.engine.run.stages import Manner, make_worker
from medgen.engine.run.survey import survey
from medgen.engine.store.connect import connect
from medgen.engine.store.objects import Objects

OVER = "run.registered:Over"
AUDITS = {"predictagain", "judgeagain"}  # what says what they ask is tried in test_audit.py
HOOKS = {"predict": GENERATORS, "chat": CHATS, "judge": JUDGES}


def each(port: Mapping[str, Made]) -> list[Any]:
    """Names of components, those that are heavy in the trial."""
    marks = {name: [pytest.mark.trial] for name in HEAVY}
    marks |= {name: [pytest.mark.vllm, pytest.mark.trial] for name in ("vllm", "tiny-vlm")}
    return [pytest.param(name, marks=marks.get(name, [])) for name in port]


def test_every_registered_component_is_tried() -> None:
    systems = registry.components("systems")
    assert {n for n, c in systems.items() if set(c.stages) - AUDITS} == set(GENERATORS)
    assert {n for n, c in systems.items() if not c.stages} == set(CHATS)
    assert set(registry.components("judges")) == set(JUDGES)


@pytest.fixture
def objects(memory_url: str) -> Objects:
    return connect(memory_url)


@pytest.fixture
def manifest(objects: Objects) -> Manifest:
    """One shard, in which the struck sample is."""
    return benchmark(objects, fakes_count(), 64)


@pytest.fixture
def component(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[tuple[str, Any]]:
    name = request.param
    with made(name, {**GENERATORS, **CHATS, **JUDGES}[name], tmp_path) as found:
        yield name, found


def samples_of(objects: Objects, manifest: Manifest) -> list[Sample]:
    return Benchmark(objects, manifest.ref).samples(0)


@pytest.mark.parametrize("component", each(GENERATORS), indirect=True)
def test_a_generator_gives_one_row_a_request_in_their_order(
    objects: Objects, manifest: Manifest, component: tuple[str, Any]
) -> None:
    _, generator = component
    if isinstance(generator, UsesBenchmark):
        generator.use(Benchmark(objects, manifest.ref))
    asked = [Request(s, Prediction(s.id, text="draw")) for s in samples_of(objects, manifest)]
    asked += [Request(odd) for odd in _odd_samples(asked[0].sample)]
    whole = [_row(r) for r in generator.predict(asked)]
    assert [row.sample_id for row in whole] == [r.sample.id for r in asked]
    alone = [_row(row) for r in asked[-4:] for row in generator.predict([r])]
    assert [(r.sample_id, r.status) for r in alone] == [(r.sample_id, r.status) for r in whole[-4:]]
    assert list(generator.predict([])) == []
    assert json.dumps(generator.passport()) == json.dumps(generator.passport())


def _odd_samples(sound: Sample) -> list[Sample]:
    """What a source could let through, and a model must not fall over."""
    broken = (Image(b"\x89PNG\r\n\x1a\n and no more", "broken.png"),)
    odd = {
        "no picture": {"input_images": ()},
        "a broken picture": {"input_images": broken},
        "twelve pictures": {"input_images": sound.input_images * 12},
        "no reference": {"reference_texts": ()},
        "a choice of none": {"asks": "choice", "choices": ()},
    }
    words = "say 7 " + "\u202e\u0000\x1b[2J<|im_start|>{{ }} %s $HOME \U0001f9e0" * 9
    odd["signs"] = {"instruction": words}
    return [replace(sound, id=f"odd/{name}", **change) for name, change in odd.items()]


def _row(row: Prediction) -> Prediction:
    assert row.status in get_args(PredictionStatus)
    assert bool(row.reason) is (row.status != "ok"), row
    return row


@pytest.mark.parametrize("component", each(CHATS), indirect=True)
def test_a_chat_gives_one_reply_a_request_in_their_order(component: tuple[str, Any]) -> None:
    name, chat = component
    words = [f"say {n}" for n in range(9)]
    asked = [ChatRequest((Message("user", (text,)),)) for text in words]
    chains = [asked[:1], asked[1:4], [], asked[4:]]
    replies = chat.chat(chains)
    assert [len(replied) for replied in replies] == [len(chain) for chain in chains]
    said = [reply for replied in replies for reply in replied]
    assert all(reply.reason for reply in said if reply.status != "ok")
    if name == "openai":  # whose server says what it was asked
        assert [reply.text for reply in said] == words
    assert json.dumps(chat.passport())


@pytest.mark.parametrize("component", each(JUDGES), indirect=True)
def test_a_judge_gives_every_view_of_every_prediction_in_their_order(
    objects: Objects, manifest: Manifest, component: tuple[str, Any]
) -> None:
    _, judge = component
    samples = samples_of(objects, manifest)
    samples += _odd_samples(samples[0])
    statuses = get_args(PredictionStatus)
    given = [
        Prediction(s.id, statuses[n % len(statuses)], "why", f"say {n}")
        for n, s in enumerate(samples)
    ]
    verdicts = list(judge.judge(samples, given))
    assert [(v.sample_id, v.view) for v in verdicts] == [(s.id, v) for s in samples for v in VIEWS]
    for verdict in verdicts:
        _verdict(verdict)
    assert json.dumps(judge.passport())


def _verdict(verdict: Verdict) -> None:
    assert verdict.status in get_args(VerdictStatus)
    assert bool(verdict.scores) is (verdict.status == "ok")
    assert bool(verdict.reason) is (verdict.status != "ok")


def planned(manifest: Manifest, port: str, said: Mapping[str, str]) -> Plan:
    """One system, or one judge of a sound system, with a fault in it."""
    if port == "judge":
        judge = Model(Spec(OVER, said), SMALL)
        return make_plan(recipe(System("sound", echo()), judges={"j": judge}), manifest)
    asked = answers(OVER, **said) if port == "chat" else {"target": OVER, "kwargs": said}
    return make_plan(recipe(System("bad", Model(Spec(**asked), SMALL))), manifest)


def work(objects: Objects, plan: Plan, stage: str) -> list[dict[str, Any]]:
    """The rows that a worker commits of the first shard of a stage.

    Raises:
        Exception: what its component raised for every sample alike: then the worker's failure.
    """
    (node,) = (n for n in plan.nodes.values() if n.stage == stage)
    reader = RunReader(objects, plan)
    unit = Board(plan, survey(reader)).queues[node.group].fresh[0]
    (receipt,) = make_worker(objects.url, plan, node.group, Manner(discreet=False))(unit)
    reader.pin(node.key, receipt.edition)
    table = reader.anew().table(node, 0)
    assert table is not None
    rows: list[dict[str, Any]] = table.to_pylist()
    return rows


SOME = ("raises at one", "one twice", "others in it")
PORTS = [
    pytest.param(port, name.values[0], id=f"{port}-{name.values[0]}", marks=name.marks)
    for port, made_of in HOOKS.items()
    for name in each(made_of)
]


@pytest.mark.parametrize("faults", [SOME, pytest.param(EVERY, marks=pytest.mark.trial)], ids=len)
@pytest.mark.parametrize(("port", "component"), PORTS, indirect=["component"])
def test_a_fault_of_a_registered_component_ends_as_rows_or_as_its_own(
    objects: Objects, manifest: Manifest, port: str, component: tuple[str, Any], faults: Any
) -> None:
    name, _ = component
    due = [s.id for s in samples_of(objects, manifest)]
    stage = "judge" if port == "judge" else "answer"
    if port == "judge":
        work(objects, planned(manifest, port, {"of": name, "hook": "", "fault": ""}), "answer")
    for hook in (port, "passport"):
        for fault in faults:
            said = {"of": name, "hook": hook, "fault": fault}
            rows: list[dict[str, Any]] = []
            with suppress(Exception):  # the worker's own failure: the run goes on without it
                rows = work(objects, planned(manifest, port, said), stage)
            if rows:
                assert list(dict.fromkeys(r["sample_id"] for r in rows)) == due, said
                assert all(bool(r["reason"]) is (r["status"] != "ok") for r in rows), said
            if hook == port and fault == "raises at one":
                struck = {r["status"] for r in rows if r["sample_id"] == STRUCK}
                assert struck == {"internal_error"}, said
                others = {r["status"] for r in rows if r["sample_id"] != STRUCK}
                assert "internal_error" not in others, said
