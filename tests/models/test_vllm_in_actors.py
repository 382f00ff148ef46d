"""Models in Ray actors: one that is spread over processes, and two that follow each other."""

import os
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from fakes import answers, recipe
from models.edits import ENGINE, RUN, Edits
from models.vllm_processes import (
    alive,
    descendants,
    engine_cores,
    engine_workers,
    private_mib,
)

from medgen.adapters.models.answering import Answers
from medgen.adapters.models.vllm_engine import VLLMChat
from medgen.adapters.tiny.vlm import make
from medgen.engine.benchmark.importing import ImportOptions, import_benchmark
from medgen.engine.data import Prediction, Request
from medgen.engine.plan.identity import Resources, Spec
from medgen.engine.plan.plan import Model, System, make_plan
from medgen.engine.run.driver import Options, carry_out
from medgen.engine.run.events import Event
from medgen.engine.run.reader import RunReader
from medgen.engine.run.survey import survey
from medgen.engine.store.connect import connect

pytestmark = [
    pytest.mark.vllm,
    pytest.mark.cluster,
    pytest.mark.slow,
    pytest.mark.timeout(600),
]

STYLE = {"sampling": {"max_tokens": 16}}
CPUS = 8  # all that the tests' Ray has: one worker that asks for them is alone


@dataclass
class Witness:
    """Looks at the processes under this one, those left out that were there before."""

    before: set[int] = field(default_factory=lambda: descendants(os.getpid()))
    told: list[tuple[str, str]] = field(default_factory=list)  # (event, group)
    cores: dict[str, set[int]] = field(default_factory=dict)  # group -> engine cores
    workers: dict[str, set[int]] = field(default_factory=dict)  # group -> model processes
    memory: dict[str, float] = field(default_factory=dict)  # group -> MiB of all of these

    def __call__(self, event: Event) -> None:
        self.told.append((event.kind, event.group))
        if event.kind == "receipt" and event.group not in self.cores:
            self.cores[event.group] = self.new(engine_cores(os.getpid()))
            self.workers[event.group] = self.new(engine_workers(os.getpid()))
            held = self.cores[event.group] | self.workers[event.group]
            self.memory[event.group] = private_mib(held)

    def new(self, pids: list[int]) -> set[int]:
        return set(pids) - self.before


def carried_out(tmp_path: Path, systems: Mapping[str, Model], witness: Witness) -> RunReader:
    from medgen.actors.ray_pool import RayPool

    objects = connect(str(tmp_path / "store"))
    manifest = import_benchmark(Edits(16), objects, ImportOptions("edits", 8))
    named = [System(name, m, gives=("image",)) for name, m in systems.items()]
    plan = make_plan(recipe(*named, metrics=()), manifest)
    reader, pool = RunReader(objects, plan), RayPool()
    ending = carry_out(reader, survey(reader), pool, Options(watch=witness))
    pool.shutdown()
    assert ending.failed == {}
    return RunReader(objects, plan)


# In place of `enforce_eager`, with which the CPU build runs no pipeline; compiles nothing either.
EAGER = {"mode": 2, "backend": "eager"}


def model(folder: Path, resources: Resources, **engine: Any) -> Model:
    execution = {**RUN, "engine": {**RUN["engine"], **engine}}
    asked = answers("vllm", STYLE, model=str(folder), engine=ENGINE, execution=execution)
    return Model(Spec(**asked), resources)


def predictions(reader: RunReader, system: str) -> list[Prediction]:
    return [p for n in range(reader.plan.shards) for p in reader.predictions(system, n)]


def gone(pids: set[int], seconds: float) -> bool:
    until = time.monotonic() + seconds
    while any(alive(pid) for pid in pids) and time.monotonic() < until:
        time.sleep(0.1)
    return not any(alive(pid) for pid in pids)


@pytest.mark.parametrize(
    "engine",
    [
        {"tensor_parallel_size": 2},
        {"pipeline_parallel_size": 2, "enforce_eager": False, "compilation_config": EAGER},
    ],
    ids=["tensor", "pipeline"],
)
def test_a_model_spread_over_two_processes_answers_like_a_whole_one(
    engine: dict[str, Any], local_ray: str, tiny_vlm: Path, vllm_chat: VLLMChat, tmp_path: Path
) -> None:
    witness = Witness()
    spread = model(tiny_vlm, Resources(cpus=2), **engine)
    reader = carried_out(tmp_path, {"spread": spread}, witness)
    (workers,) = witness.workers.values()
    assert len(workers) == 2
    samples = [s for n in range(reader.plan.shards) for s in reader.benchmark.samples(n)]
    whole = Answers(vllm_chat, style=STYLE).predict([Request(s) for s in samples])
    found = predictions(reader, "spread")
    assert all(p.usage.completion_tokens for p in found)
    assert [(p.status, p.text) for p in found] == [(p.status, p.text) for p in whole]
    assert len({p.text for p in whole}) > 1, "the answers say something about their prompts"
    (cores,) = witness.cores.values()
    assert gone(cores | workers, 20), "a pool that is shut down leaves no process"


def held(tmp_path: Path, models: Mapping[str, Path]) -> tuple[RunReader, Witness]:
    """A run of models one after another; no process of theirs is left."""
    witness = Witness()
    alone = Resources(cpus=CPUS)
    reader = carried_out(tmp_path, {name: model(at, alone) for name, at in models.items()}, witness)
    assert all(len(cores) == 1 for cores in witness.cores.values())
    assert all(len(own) == 1 for own in witness.workers.values()), (
        "only its own at its first answer"
    )
    assert gone(set().union(*witness.cores.values(), *witness.workers.values()), 20)
    return reader, witness


def test_a_model_in_an_actor_answers_and_leaves_no_process(
    local_ray: str, tiny_vlm: Path, tmp_path: Path
) -> None:
    reader, witness = held(tmp_path, {"one": tiny_vlm})
    assert len(witness.cores) == 1
    assert all(p.usage.completion_tokens for p in predictions(reader, "one"))


def test_the_first_of_two_models_is_gone_before_the_second_answers(
    local_ray: str, tiny_vlm: Path, tmp_path: Path
) -> None:
    other = make(tmp_path / "other", seed=1)
    reader, witness = held(tmp_path, {"one": tiny_vlm, "two": other})
    first, second = (group for kind, group in witness.told if kind == "opened")
    order = [told for told in witness.told if told[0] in ("opened", "closed")]
    assert order == [(k, g) for g in (first, second) for k in ("opened", "closed")]
    assert not witness.cores[second] & witness.cores[first]
    assert witness.memory[second] < 1.3 * witness.memory[first], "the first gave its memory back"
    assert [p.text for p in predictions(reader, "one")] != [
        p.text for p in predictions(reader, "two")
    ]
