"""Real deaths on a real Ray: processes that exit or are killed, machines that go away."""

import os
import signal
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import ray
from fakes import SMALL, echo, plan

from medgen.actors.ray_pool import RayPool
from medgen.engine.plan.identity import Resources, Spec
from medgen.engine.plan.plan import Model, Plan, System
from medgen.engine.run.driver import Options, carry_out
from medgen.engine.run.events import Event
from medgen.engine.run.reader import RunReader
from medgen.engine.run.survey import survey
from medgen.engine.stages import SCORES
from medgen.engine.store.connect import connect
from medgen.engine.store.objects import Objects

pytestmark = pytest.mark.cluster


@pytest.fixture
def objects(tmp_path: Path) -> Objects:
    return connect(str(tmp_path / "store"))


def statuses(objects: Objects, plan: Plan, system: str) -> dict[str, str]:
    reader = RunReader(objects, plan)
    rows = [p for shard in range(plan.shards) for p in reader.predictions(system, shard)]
    return {p.sample_id: p.status for p in rows}


@pytest.mark.parametrize("death", ["exit", "kill"])
def test_a_sample_that_ends_processes_is_found_and_the_rest_is_done(
    objects: Objects, local_ray: str, death: str
) -> None:
    work = plan(objects, System("echo", echo(faults={"s0006": death})))
    reader = RunReader(objects, work)
    pool = RayPool()
    ending = carry_out(reader, survey(reader), pool, Options())
    pool.shutdown()
    found = statuses(objects, work, "echo")
    assert ending.failed == {}
    assert {s for s, status in found.items() if status != "ok"} == {"s0006"}
    assert found["s0006"] == "quarantined"


def test_workers_killed_from_outside_are_replaced(objects: Objects, local_ray: str) -> None:
    model = Model(Spec("fakes:Echo", {"execution": {"pause": "0.02"}}), Resources(0.1, workers=2))
    work = plan(objects, System("echo", model), count=96)
    reader, pool = RunReader(objects, work), RayPool()
    killed: dict[str, int] = {}

    def watch(event: Event) -> None:
        # Two workers are killed in mid-run, while they hold shards.
        busy = [n for n, a in pool._actors.items() if a.node and a.units and n not in killed]
        if event.receipt is not None and len(killed) < 2 and busy:
            handle: Any = pool._actors[busy[0]].handle
            killed[busy[0]] = ray.get(handle.pid.remote())
            os.kill(killed[busy[0]], signal.SIGKILL)

    ending = carry_out(reader, survey(reader), pool, Options(watch=watch))
    pool.shutdown()
    assert len(killed) == 2
    assert ending.failed == {}
    assert set(statuses(objects, work, "echo").values()) == {"ok"}


@pytest.fixture
def two_nodes(no_ray: None) -> Iterator[Any]:
    from ray.cluster_utils import Cluster

    cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 2})
    second = cluster.add_node(num_cpus=2, resources={"second": 4.0})
    ray.init(address=cluster.address, log_to_driver=False, logging_level="error")
    cluster.wait_for_nodes()
    yield cluster, second
    ray.shutdown()
    cluster.shutdown()


def test_a_machine_that_goes_away_in_mid_run_changes_no_row(
    objects: Objects, tmp_path: Path, two_nodes: Any
) -> None:
    cluster, second = two_nodes
    model = Model(
        Spec("fakes:Echo", {"execution": {"pause": "0.02"}}), Resources(cpus=1, workers=3)
    )
    work = plan(objects, System("echo", model), count=144)
    reader, pool, receipts = RunReader(objects, work), RayPool(), []
    gone = threading.Event()

    def lose() -> None:
        while len(receipts) < 6:
            time.sleep(0.02)
        cluster.remove_node(second, allow_graceful=False)
        gone.set()

    thread = threading.Thread(target=lose)
    thread.start()
    options = Options(watch=lambda e: receipts.append(e) if e.receipt else None)
    ending = carry_out(reader, survey(reader), pool, options)
    thread.join()
    pool.shutdown()
    assert gone.is_set()
    assert ending.failed == {}
    undisturbed = connect(str(tmp_path / "other"))
    same = plan(undisturbed, System("echo", Model(Spec("fakes:Echo", {}), SMALL)), count=144)
    from medgen.actors.local_pool import LocalPool

    before = RunReader(undisturbed, same)
    carry_out(before, survey(before), LocalPool(), Options())
    other = RunReader(undisturbed, same)
    assert list(same.nodes) == list(work.nodes)
    node = work.giving("echo", SCORES)[0]
    for shard in range(work.shards):
        table = RunReader(objects, work).table(node, shard)
        assert table is not None
        assert table.equals(other.table(node, shard))
