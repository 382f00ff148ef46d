"""The vLLM engine's process is killed: nothing false is committed, and the run completes."""

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest
from fakes import answers, recipe
from judging.cases import EDIT
from models.edits import ENGINE, RUN, Edits
from models.vllm_processes import alive, engine_cores

from medgen.adapters.models.answering import Answers
from medgen.adapters.models.vllm_engine import VLLMChat
from medgen.engine.benchmark.importing import ImportOptions, import_benchmark
from medgen.engine.data import Request
from medgen.engine.errors import EngineDied
from medgen.engine.plan.identity import Resources, Spec
from medgen.engine.plan.plan import Model, System, make_plan
from medgen.engine.run.driver import Options, carry_out
from medgen.engine.run.reader import RunReader
from medgen.engine.run.survey import survey
from medgen.engine.store.connect import connect

pytestmark = [
    pytest.mark.vllm,
    pytest.mark.slow,
    pytest.mark.timeout(600),
]

# Held to a schema of long strings, so that there is always something being written.
STYLE = {"mode": "compositional", "letters": [2000, 500], "sampling": {"max_tokens": 120}}


def test_a_dead_engine_raises_and_leaves_no_process(tiny_vlm: Path) -> None:
    before = set(engine_cores(os.getpid()))
    long = {**STYLE, "sampling": {"max_tokens": 900}}
    chat = VLLMChat(str(tiny_vlm), engine=ENGINE, execution=RUN)
    system = Answers(chat, style=long)
    (core,) = set(engine_cores(os.getpid())) - before
    asked = [Request(replace(EDIT, id=f"s{n}")) for n in range(64)]
    assert len(system.predict(asked[:2])) == 2
    raised: list[BaseException] = []

    def ask() -> None:
        try:
            system.predict(asked)
        except EngineDied as err:
            raised.append(err)

    threads = [threading.Thread(target=ask) for _ in range(2)]
    for thread in threads:
        thread.start()
    time.sleep(0.3)
    os.kill(core, signal.SIGKILL)
    for thread in threads:
        thread.join(30)
    assert len(raised) == 2, "everything that was in flight says so, in every thread"
    assert "died" in str(raised[0])
    with pytest.raises(EngineDied):
        system.predict(asked[:1])
    chat = system._chat
    assert isinstance(chat, VLLMChat)
    chat.close()
    assert not alive(core)
    assert set(engine_cores(os.getpid())) == before


LEAVES = """
import sys, weakref
class Early: pass
early = Early()
weakref.finalize(early, print)  # so that finalizers run after multiprocessing has waited
from models.edits import ENGINE, RUN
from medgen.adapters.models.vllm_engine import VLLMChat
chat = VLLMChat(sys.argv[1], engine=ENGINE, execution=RUN)
"""


def test_a_program_that_closes_nothing_ends(tiny_vlm: Path) -> None:
    tests = str(Path(__file__).resolve().parents[1])
    paths = os.pathsep.join((tests, os.environ.get("PYTHONPATH", "")))
    command = [sys.executable, "-c", LEAVES, str(tiny_vlm)]
    subprocess.run(command, env={**os.environ, "PYTHONPATH": paths}, timeout=200, check=True)


@contextmanager
def assassin(reader: RunReader) -> Iterator[list[int]]:
    """Kills the engines that others hold, once, when the first shard has been committed."""
    (node,) = reader.plan.nodes.values()
    own, stop, killed = set(engine_cores(os.getpid())), threading.Event(), []

    def lie_in_wait() -> None:
        while not stop.wait(0.05):
            folder = reader.anew().stage(node).place.folder
            names = reader.objects.names(folder)
            if not killed and any(n.endswith(".arrow") for n in names):
                # Ray's workers are children of its raylet, which this process started.
                killed.extend(set(engine_cores(os.getpid())) - own)
                for pid in killed:
                    os.kill(pid, signal.SIGKILL)

    thread = threading.Thread(target=lie_in_wait)
    thread.start()
    try:
        yield killed
    finally:
        stop.set()
        thread.join()


@pytest.mark.cluster
def test_a_run_whose_engine_is_killed_completes_with_the_same_rows(
    local_ray: str, tiny_vlm: Path, vllm_chat: VLLMChat, tmp_path: Path
) -> None:
    from medgen.actors.ray_pool import RayPool

    recipe_ = answers("vllm", STYLE, model=str(tiny_vlm), engine=ENGINE, execution=RUN)
    spec = Spec(**recipe_)
    model = Model(spec, Resources(cpus=1, in_flight=2))
    objects = connect(str(tmp_path / "store"))
    manifest = import_benchmark(Edits(96), objects, ImportOptions("edits", 16))
    plan = make_plan(recipe(System("vlm", model, gives=("image",)), metrics=()), manifest)
    reader = RunReader(objects, plan)
    pool = RayPool()
    with assassin(reader) as killed:
        ending = carry_out(reader, survey(reader), pool, Options())
    pool.shutdown()
    assert killed, "the engine was killed while the run was on"
    assert ending.failed == {}
    reader = RunReader(objects, plan)
    found = [p for shard in range(plan.shards) for p in reader.predictions("vlm", shard)]
    samples = [s for shard in range(plan.shards) for s in reader.benchmark.samples(shard)]
    assert [p.sample_id for p in found] == [s.id for s in samples]
    assert all(p.usage.completion_tokens for p in found), "every row was really answered"
    undisturbed = Answers(vllm_chat, style=STYLE).predict([Request(s) for s in samples])
    assert [(p.status, p.text) for p in found] == [(p.status, p.text) for p in undisturbed]
