"""How many requests a sweep makes to its store, by kind and by what they are for.

    python -m benchmarks.store                     everything below, kept in results/store.json
    python -m benchmarks.store sweep [systems] [samples]
    python -m benchmarks.store real                a small run against a real S3 API
    python -m benchmarks.store unit                a scoring unit at 30 ms a request
    python -m benchmarks.store survey [shards]     what is to do of 10,000 shards x 250 nodes

`sweep`: 25 systems x 6,422 samples with nine metrics and one judge on 64 GPUs. The engine's own
driver, board and workers go through all of it in virtual time (`benchmarks/_virtual.py`), with
models that answer at once and a store in memory that counts what an S3 client would ask. Shards
are thinned out, one sample for eight: the objects are as many.
"""

import argparse
import contextlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from types import SimpleNamespace
from typing import Any
from unittest import mock

import numpy as np

from benchmarks._counted import CountedObjects, Items
from benchmarks._records import keep
from benchmarks._virtual import Host, VirtualPool, Work
from medgen.engine.benchmark.importing import ImportOptions, import_benchmark
from medgen.engine.plan.identity import Resources, Spec
from medgen.engine.plan.plan import Model, Plan, Recipe, System, make_plan
from medgen.engine.run.driver import Driver, Options
from medgen.engine.run.events import Event
from medgen.engine.run.folder import RunFolder
from medgen.engine.run.pool import Group, Outcome, Unit, Worker
from medgen.engine.run.presence import LEASE_S, RENEWALS
from medgen.engine.run.reader import RunReader
from medgen.engine.run.survey import survey
from medgen.engine.store.objects import Objects
from medgen.engine.store.packs import PackedObjects
from medgen.launch.run.finishing import Finishing
from medgen.launch.run.progress import Recorder
from medgen.launch.run.stop import Pulse, Stop

SYSTEMS, SAMPLES, SHARD, METRICS, GPUS = 25, 6422, 64, 9, 64
THIN = 8  # samples that one stands for: a shard has as many objects, whatever is in it
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
    clocks = ("medgen.launch.run.progress", "medgen.launch.run.stop", "medgen.engine.run.books")
    with contextlib.ExitStack() as patches:
        patches.enter_context(
            mock.patch("medgen.engine.run.worker.connect", return_value=PackedObjects(counted))
        )
        for module in clocks:
            patches.enter_context(mock.patch(f"{module}.time", watch))
        finished = _carry_out(objects, plan, pool)
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


def _carry_out(objects: Objects, plan: Plan, pool: WorkingPool) -> int:
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
    if ending.failed or survey(reader.anew(), terms=None).shards:
        raise SystemExit(f"rows are missing: {dict(ending.failed)}")
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


def main() -> None:
    """Measure what is asked for."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("what", nargs="?", default="all")
    parser.add_argument("numbers", nargs="*", type=int)
    given = parser.parse_args()
    measures = {"sweep": sweep}
    if given.what != "all":
        print(json.dumps(measures[given.what](*given.numbers), indent=1))
        return
    found = {name: measure() for name, measure in measures.items()}
    print(json.dumps(found, indent=1))
    print(keep("store", found))


if __name__ == "__main__":
    main()
