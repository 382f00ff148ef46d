"""How many requests a sweep makes to its store, by kind and by what they are for.

    python -m benchmarks.store                     everything below, kept in results/store.json
    python -m benchmarks.store sweep [systems] [samples]
    python -m benchmarks.store real                a small run against a real S3 API
    python -m benchmarks.store unit                a scoring unit at 30 ms a request
    python -m benchmarks.store import [samples]    an import at 30 ms a request
    python -m benchmarks.store survey [shards]     what is to do of 10,000 shards x 242 nodes
    python -m benchmarks.store complete [shards]   the same when all of it is there
    python -m benchmarks.store board [shards]      what can be handed out of them
    python -m benchmarks.store plan [samples]      memory of the plan of ten million samples

`sweep`: 25 systems x 6,422 samples with nine metrics and one judge on 64 GPUs. The engine's own
driver, board and workers go through all of it in virtual time (`benchmarks/_virtual.py`), with
models that answer at once and a store in memory that counts what an S3 client would ask. Shards
are thinned out, one sample for eight: the objects are as many.
"""

import argparse
import contextlib
import json
import os
import re
import resource
import socket
import subprocess
import sys
import tempfile
import time
import tracemalloc
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from unittest import mock

import fsspec
import numpy as np

from benchmarks._complete import fill
from benchmarks._counted import CountedObjects, Items
from benchmarks._records import keep
from benchmarks._virtual import Host, VirtualPool, Work
from medgen.actors.local_pool import LocalPool
from medgen.adapters.sources.synthetic import SyntheticSource
from medgen.engine.benchmark.importing import ImportOptions, import_benchmark
from medgen.engine.benchmark.manifest import Benchmark, Manifest, ShardEntry
from medgen.engine.codec import encode
from medgen.engine.plan.identity import Resources, Spec
from medgen.engine.plan.plan import Model, Plan, Recipe, System, make_plan
from medgen.engine.run.board import Board
from medgen.engine.run.driver import Driver, Options, carry_out
from medgen.engine.run.editions import Terms
from medgen.engine.run.events import Event
from medgen.engine.run.folder import RunFolder
from medgen.engine.run.known import find_known, mark
from medgen.engine.run.pool import Group, Outcome, Unit, Worker
from medgen.engine.run.presence import LEASE_S, RENEWALS
from medgen.engine.run.reader import RunReader
from medgen.engine.run.stages import ScoreWorker
from medgen.engine.run.survey import note_complete, survey
from medgen.engine.store.connect import connect
from medgen.engine.store.objects import Objects
from medgen.engine.store.packs import PackedObjects
from medgen.launch.run.evaluation import restrict
from medgen.launch.run.finishing import Finishing
from medgen.launch.run.progress import Recorder
from medgen.launch.run.stop import Pulse, Stop

SYSTEMS, SAMPLES, SHARD, METRICS, GPUS = 25, 6422, 64, 9, 64
THIN = 8  # samples that one stands for: a shard has as many objects, whatever is in it
REQUEST_S = 0.03
ANSWER_S, JUDGE_S, SCORE_S = 0.7, 0.2, 0.001  # of a worker, for a sample of a system
STAGES = ("stages", "packs")
OUTSIDE = ("samples", "benchmarks")  # read by workers, and written before the run
_ONE_GPU = Resources(cpus=1.0, gpus=1.0)


def recipe(systems: int, metrics: int = METRICS, judged: bool = True) -> Recipe:
    """A sweep of systems that are alike."""
    judges = {"content": Model(Spec("benchmarks._counted:Content"), _ONE_GPU)} if judged else {}
    return Recipe(
        "sweep",
        tuple(
            System(
                f"system-{n:02d}",
                Model(Spec("benchmarks._counted:Parrot", {"name": f"{n}"}), _ONE_GPU),
                gives=("text",),
            )
            for n in range(systems)
        ),
        {f"m{n}": Spec(f"benchmarks._counted:m{n}") for n in range(metrics)},
        judges,
        scoring=Resources(cpus=4.0),
        scorer=Spec("benchmarks._counted:Flat"),
    )


def plan_of(objects: Objects, systems: int, samples: int) -> Plan:
    """The sweep's plan, over a benchmark of short questions."""
    manifest = import_benchmark(
        Items(-(-samples // THIN)), objects, ImportOptions("items", SHARD // THIN)
    )
    return make_plan(recipe(systems), manifest)


class WorkingPool(VirtualPool):
    """Workers that do their units when their virtual time is over."""

    def __init__(self, hosts: Sequence[Host], work: Work) -> None:
        """See `VirtualPool`."""
        super().__init__(hosts, work)
        self._groups: dict[str, Group] = {}
        self._made: dict[str, Worker] = {}

    def open(self, group: Group, machine: str) -> str:
        """See `Pool.open`."""
        name = super().open(group, machine)
        self._groups[name] = group
        return name

    def seconds(self, unit: Unit) -> float:
        """How long a unit takes: all systems that it is for, one after the other."""
        return super().seconds(unit) * (1 if unit.merge else len(unit.targets))

    def _settle(self, told: Outcome, worker: Any) -> Outcome:
        settled = super()._settle(told, worker)
        if settled.kind != "finished" or settled.unit is None:
            return settled
        if told.worker not in self._made:
            self._made[told.worker] = self._groups[told.worker].make()
        return replace(settled, receipts=tuple(self._made[told.worker](settled.unit)))


def sweep(systems: int = SYSTEMS, samples: int = SAMPLES) -> dict[str, Any]:
    """Carry a sweep out, and count."""
    counted = CountedObjects()
    objects = PackedObjects(counted)
    plan = plan_of(objects, systems, samples)
    counted.seen.clear()
    each = {"answer": ANSWER_S, "judge": JUDGE_S, "score": SCORE_S}
    times = {
        g.name: np.full(-(-samples // THIN), THIN * each[g.stage]) for g in plan.groups.values()
    }
    pool = WorkingPool([Host(f"host-{n}", 8) for n in range(GPUS // 8)], Work(times, SHARD // THIN))
    watch = SimpleNamespace(monotonic=pool.clock)
    run = ("launch.run.progress", "launch.run.stop", "engine.run.books", "engine.store.packs")
    clocks = [f"medgen.{module}" for module in run]
    with contextlib.ExitStack() as patches:
        patches.enter_context(
            # Each worker is a process, and knows only of the packs that it has seen itself.
            mock.patch(
                "medgen.engine.run.worker.connect", side_effect=lambda _: PackedObjects(counted)
            )
        )
        for module in clocks:
            patches.enter_context(mock.patch(f"{module}.time", watch))
        finished = _carry_out(counted, objects, plan, pool)
    running = counted.seen.copy()
    beats = round(pool.time / (LEASE_S / RENEWALS))  # of a thread that keeps real time
    running["drivers", "PUT"], running["drivers", "GET"] = beats, beats
    return {
        "systems": systems,
        "samples": samples,
        "minutes": round(pool.time / 60, 1),
        "units": pool.units,
        "finished": finished,
        **totals(running),
        "largest": {k: max(v) for k, v in counted.sizes().items() if k in STAGES},
    }


def _carry_out(counted: CountedObjects, objects: Objects, plan: Plan, pool: WorkingPool) -> int:
    """As `medgen run` does it, from survey to the last unit; how many systems were summarized."""
    reader, folder = RunReader(objects, plan), RunFolder(objects, plan.run_id)
    todo = survey(reader)
    recorder = Recorder(folder, plan, todo, "driver")
    pulse = Pulse(Stop(), recorder, obey_present=False)
    finished: list[Event] = []

    def tell(event: Event) -> None:
        recorder(event)
        if event.kind == "system_finished":
            finished.append(event)

    finishing = Finishing(reader, tell)

    def stop() -> bool:
        finishing.deliver()
        return pulse()

    options = Options(
        stop=stop, orders=pulse.orders, watch=finishing, session="driver", clock=pool.clock
    )
    with finishing:
        driver = Driver(reader, todo, pool, options)
        driver.sharing.clock = pool.clock
        driver.books.declare()
        driver.books.note_editions()
        ending = driver.run()
    again = PackedObjects(counted)
    marked, reader = mark(again, plan, Terms()), reader.anew(objects=again)
    if ending.failed or survey(reader, terms=None).shards or marked is None:
        raise SystemExit(f"rows are missing: {dict(ending.failed)}")
    reader.noted.write()
    note_complete(again, marked, reader, Terms())
    recorder.publish(status="success")
    return len(finished)


def totals(seen: Mapping[tuple[str, str], int]) -> dict[str, Any]:
    """Requests by kind: PUTs of stages' objects, all other PUTs, and the rest; then in detail."""
    stages = sum(n for (what, kind), n in seen.items() if kind == "PUT" and what in STAGES)
    puts = sum(n for (_, kind), n in seen.items() if kind == "PUT")
    detail: dict[str, dict[str, int]] = {}
    for (what, kind), count in sorted(seen.items()):
        detail.setdefault(what, {})[kind] = count
    others = sum(n for (_, kind), n in seen.items() if kind != "PUT")
    return {"put_stages": stages, "put_else": puts - stages, "others": others, "detail": detail}


KINDS = ("PUT", "GET", "LIST", "DELETE")


def by_kind(found: Mapping[str, Any]) -> Iterator[str]:
    """What was measured, one number a line, and its requests as a table, by purpose and kind."""
    yield from (f"{name:16}{value}" for name, value in found.items() if name != "detail")
    if "detail" not in found:
        return
    detail: Mapping[str, Mapping[str, int]] = found["detail"]
    yield "".join((f"{'':16}", *(f"{kind:>8}" for kind in KINDS)))
    for what, counts in detail.items():
        yield "".join((f"{what:16}", *(f"{counts.get(kind, 0):>8,}" for kind in KINDS)))
    whole = [sum(counts.get(kind, 0) for counts in detail.values()) for kind in KINDS]
    yield "".join((f"{'all':16}", *(f"{count:>8,}" for count in whole)))


class Slow:
    """Objects of which every request takes 30 ms."""

    def __init__(self, inner: Objects) -> None:
        """`inner` has the objects."""
        self._inner, self.url = inner, inner.url

    def __getattr__(self, name: str) -> Any:
        """A method of theirs, later."""
        method = getattr(self._inner, name)

        def slowly(*given: Any) -> Any:
            time.sleep(REQUEST_S)
            return method(*given)

        return slowly


def unit() -> dict[str, Any]:
    """Score one shard of 64 samples for 25 systems by nine metrics."""
    counted = CountedObjects()
    objects = PackedObjects(counted)
    manifest = import_benchmark(Items(SHARD), objects, ImportOptions("items", SHARD))
    plan = make_plan(recipe(SYSTEMS, judged=False), manifest)
    reader = RunReader(objects, plan)
    with mock.patch("medgen.engine.run.worker.connect", return_value=objects):
        answers = restrict(survey(reader), plan, ("answer",))
        carry_out(reader, answers, LocalPool(), Options())
    reader = RunReader(objects, plan)
    todo, nodes = survey(reader), [n for n in plan.nodes.values() if n.stage == "score"]
    targets = tuple(todo.targets[node.key][0] for node in nodes)
    inputs = {name: one for node in nodes for name, one in todo.inputs(plan, node, 0).items()}
    slow = PackedObjects(Slow(counted))
    with mock.patch("medgen.engine.run.worker.connect", return_value=slow):
        worker = ScoreWorker(objects.url, plan, "score")
    counted.seen.clear()
    start, worked = time.monotonic(), time.process_time()
    worker(Unit("score", 0, targets, inputs=inputs))
    found = {"seconds": round(time.monotonic() - start, 2)}
    return {**found, "cpu_s": round(time.process_time() - worked, 2), **totals(counted.seen)}


def importing(samples: int = 20_000) -> dict[str, Any]:
    """Import synthetic samples without pictures, and the same with each request as it comes."""
    found: dict[str, Any] = {"samples": samples}
    for name, most in (("seconds", None), ("one_at_a_time_s", 1)):
        counted = CountedObjects()
        kept = mock.patch("medgen.engine.store.uploads._MOST", most) if most else nullcontext()
        start = time.monotonic()
        with kept:
            import_benchmark(SyntheticSource(samples), Slow(counted), ImportOptions("synthetic"))
        found[name] = round(time.monotonic() - start, 2)
    return {**found, **totals(counted.seen)}


def real(systems: int = 3, samples: int = 256) -> dict[str, Any]:
    """Requests of a small run, as an S3 API server has seen them and as they are counted here."""
    counted = CountedObjects()
    with _s3_server() as (url, log):
        _small_run(connect(url), url, systems, samples)
        seen = _requests(log.read_text(encoding="utf-8"))
    objects = PackedObjects(counted)
    with mock.patch("medgen.engine.run.worker.connect", return_value=objects):
        _small_run(objects, "counted://store", systems, samples)
    here: Counter[str] = Counter()
    for (_, kind), count in counted.seen.items():
        here[kind] += count
    return {"server": dict(sorted(seen.items())), "counted": dict(sorted(here.items()))}


def _small_run(objects: Objects, url: str, systems: int, samples: int) -> None:
    plan = plan_of(objects, systems, samples)
    reader = RunReader(objects, plan)
    carry_out(reader, survey(reader), LocalPool(), Options())
    if survey(RunReader(objects, plan), terms=None).shards:
        raise SystemExit(f"rows are missing in {url}")


@contextlib.contextmanager
def _s3_server() -> Iterator[tuple[str, Path]]:
    """The URL of a bucket on a server in a process of its own, and the log of its requests."""
    with socket.socket() as free, tempfile.TemporaryDirectory() as folder:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
        free.close()
        log = Path(folder, "log")
        with log.open("wb") as sink:
            command = [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)]
            server = subprocess.Popen(command, stdout=sink, stderr=sink)
        os.environ |= {
            "AWS_ENDPOINT_URL": f"http://127.0.0.1:{port}",
            "AWS_ACCESS_KEY_ID": "testing",
            "AWS_SECRET_ACCESS_KEY": "testing",
            "AWS_DEFAULT_REGION": "us-east-1",
        }
        try:
            _until_it_answers(port)
            files: Any = fsspec.filesystem("s3")
            files.mkdir("sweep")
            yield "s3://sweep/store", log
        finally:
            server.terminate()
            server.wait()


def _until_it_answers(port: int) -> None:
    for _ in range(600):
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
            return
        time.sleep(0.1)
    raise SystemExit("the S3 server does not answer")


def _requests(log: str) -> Counter[str]:
    """Requests to objects of the store by kind, from a server's log."""
    seen: Counter[str] = Counter()
    for method, path in re.findall(r'"(GET|PUT|HEAD|DELETE|POST) (\S+) HTTP', log):
        if "list-type=2" in path:
            seen["LIST"] += 1
        elif "/sweep/store" in path:
            seen[method] += 1
    return seen


def look(shards: int = 10_000) -> dict[str, Any]:
    """What is to do of so many shards x 242 nodes: CPU seconds and memory of the survey."""
    manifest = _manifest(shards)
    plan, objects = make_plan(recipe(22), manifest), PackedObjects(CountedObjects())
    reader = RunReader(objects, plan, _Known(manifest))
    start = time.process_time()
    todo = survey(reader, terms=None)
    spent = time.process_time() - start
    tracemalloc.start()
    reader = RunReader(objects, plan, reader.benchmark)
    todo = survey(reader, terms=None)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    found = {"shards": shards, "nodes": len(plan.nodes), "to_do": todo.shards}
    return {**found, "cpu_s": round(spent, 2), "mib": round(peak / 2**20, 1)}


def look_at_all(shards: int = 10_000) -> dict[str, Any]:
    """The same when all of it is there, in packs and by itself: as nobody knew it, and known."""
    manifest = _manifest(shards)
    plan, counted = make_plan(recipe(22), manifest), CountedObjects()
    fill(PackedObjects(counted), plan)

    def reader() -> RunReader:
        return RunReader(PackedObjects(counted), plan, _Known(manifest))

    def known() -> RunReader:
        given = reader()
        if (noted := find_known(given.objects, plan, Terms())) is None:
            raise SystemExit("the run is not known to be complete")
        given.rely_on(noted)
        return given

    found = {"shards": shards, "nodes": len(plan.nodes), **_looking(counted, reader)}
    objects = PackedObjects(counted)
    if (marked := mark(objects, plan, Terms())) is not None:
        note_complete(objects, marked, reader(), Terms())
    return found | {f"known_{name}": n for name, n in _looking(counted, known).items()}


def _looking(counted: CountedObjects, make: Callable[[], RunReader]) -> dict[str, Any]:
    counted.seen.clear()
    tracemalloc.start()
    todo = survey(make(), terms=None)
    asked: Counter[str] = Counter()
    for (_, kind), count in counted.seen.items():
        asked[kind] += count
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    start = time.process_time()
    survey(make(), terms=None)
    spent = time.process_time() - start
    return {
        "to_do": todo.shards, **asked, "cpu_s": round(spent, 2), "mib": round(peak / 2**20, 1)
    }  # fmt: skip


def board(shards: int = 10_000) -> dict[str, Any]:
    """The board of as much, nothing of which is there: CPU seconds and memory."""
    plan, objects = make_plan(recipe(22), manifest := _manifest(shards)), CountedObjects()
    todo = survey(RunReader(objects, plan, _Known(manifest)), terms=None)
    start = time.process_time()
    Board(plan, todo)
    spent = time.process_time() - start
    tracemalloc.start()
    kept = Board(plan, todo)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    found = {"shards": shards, "nodes": len(plan.nodes), "units": units_of(kept)}
    return {**found, "cpu_s": round(spent, 2), "mib": round(peak / 2**20, 1)}


def units_of(kept: Board) -> int:
    """How many units could be handed out."""
    return sum(len(queue.fresh) for queue in kept.queues.values())


class _Known(Benchmark):
    """A benchmark of which only the manifest is there."""

    def __init__(self, manifest: Manifest) -> None:
        """Nothing is read."""
        self.manifest = manifest


def _manifest(shards: int) -> Manifest:
    names = (f"{n * 2654435761 % 2**32:08x}{n:024x}" for n in range(shards))
    entries = tuple(ShardEntry(SHARD, {"text": {"VQA": SHARD}}, name, "") for name in names)
    return Manifest("items", "0" * 16, SHARD, 0, entries, {"text": shards * SHARD}, {}, {}, {})


def large_plan(samples: int = 10_000_000) -> dict[str, Any]:
    """The plan of ten million samples, as it is kept: peak memory of this process."""
    plan = make_plan(recipe(SYSTEMS), _manifest(samples // SHARD))
    size = len(encode(plan))
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    return {"samples": samples, "plan_mib": round(size / 2**20, 1), "mib": round(peak / 2**20)}


def main() -> None:
    """Measure what is asked for."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("what", nargs="?", default="all")
    parser.add_argument("numbers", nargs="*", type=int)
    given = parser.parse_args()
    measures: dict[str, Callable[..., dict[str, Any]]] = {
        "plan": large_plan,
        "survey": look,
        "complete": look_at_all,
        "board": board,
        "unit": unit,
        "import": importing,
        "real": real,
        "sweep": sweep,
    }
    if given.what != "all":
        print(*by_kind(measures[given.what](*given.numbers)), sep="\n")
        return
    found = {name: measure() for name, measure in measures.items()}
    print(json.dumps(found, indent=1))
    print(keep("store", found))


if __name__ == "__main__":
    main()
