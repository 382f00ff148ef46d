"""A unit of many systems keeps many requests under way, so that a slow store costs it little."""

import threading
from pathlib import Path

from fakes import echo, plan

from medgen.actors.local_pool import LocalPool
from medgen.engine.plan.plan import System
from medgen.engine.run.driver import Options, carry_out
from medgen.engine.run.pool import Unit
from medgen.engine.run.reader import RunReader
from medgen.engine.run.stages import ScoreWorker
from medgen.engine.run.survey import survey
from medgen.engine.store.connect import connect
from medgen.engine.store.objects import Objects

TOGETHER = 8


class InStep:
    """Objects that answer eight readers of answers, or eight writers of scores, at once only."""

    def __init__(self, inner: Objects) -> None:
        self.inner, self.url = inner, inner.url
        self.readers, self.writers = (threading.Barrier(TOGETHER, timeout=20) for _ in range(2))

    def read(self, path: str) -> bytes:
        if path.startswith("stages/answer/"):
            self.readers.wait()
        return self.inner.read(path)

    def create(self, path: str, data: bytes) -> bool:
        if path.startswith("stages/score/") and "/shard-" in path:
            self.writers.wait()
        return self.inner.create(path, data)

    def replace(self, path: str, data: bytes) -> None:
        self.inner.replace(path, data)

    def names(self, folder: str) -> list[str]:
        return self.inner.names(folder)

    def walk(self, folder: str) -> list[str]:
        return self.inner.walk(folder)

    def delete(self, path: str) -> None:
        self.inner.delete(path)

    def remove(self, path: str) -> None:
        self.inner.remove(path)


def test_a_scoring_unit_reads_and_commits_for_many_systems_at_once(tmp_path: Path) -> None:
    objects = connect(str(tmp_path / "store"))
    systems = [System(f"s{i:02d}", echo(prefix=f"{i}")) for i in range(3 * TOGETHER)]
    work = plan(objects, *systems, count=4)
    reader = RunReader(objects, work)
    carry_out(reader, survey(reader), LocalPool(), Options())
    for node in work.nodes.values():
        if node.stage == "score":
            objects.delete(reader.stage(node).place.folder)
    todo = survey(RunReader(objects, work))
    targets = tuple(t for shards in todo.targets.values() for t in shards.values())
    assert len(targets) == 3 * TOGETHER
    worker = ScoreWorker(objects.url, work, "score")
    worker.objects = InStep(objects)
    scoring = [node for node in work.nodes.values() if node.group == "score"]
    inputs = {k: v for node in scoring for k, v in todo.inputs(work, node, 0).items()}
    receipts = worker(Unit("score", 0, targets, inputs=inputs))
    assert [receipt.rows for receipt in receipts] == [{"ok": 4}] * len(targets)
    assert survey(RunReader(objects, work)).shards == 0
