"""The tiny pipelines as they are shipped: the same bytes in every batch and on every node."""

import json
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest
from fakes import recipe
from models.conftest import picture
from models.test_image_runs import Pictures, predictions

from medgen.actors.ray_pool import RayPool
from medgen.conf.loading import load
from medgen.engine.benchmark.importing import ImportOptions, import_benchmark
from medgen.engine.data import Image, Prediction, Request, Sample
from medgen.engine.plan.identity import Resources, Spec
from medgen.engine.plan.plan import Model, System, make_plan
from medgen.engine.run.driver import Options, carry_out
from medgen.engine.run.reader import RunReader
from medgen.engine.run.survey import survey
from medgen.engine.store.connect import connect

ROOT = Path(__file__).resolve().parents[2]
PRESETS = ("tiny-text-to-image", "tiny-image-to-image", "tiny-edit")
COUNT = 7  # no batch size below divides it, so the last batch is smaller
SIZES = (1, 2, 3, 5)


def shipped(preset: str, batch: int) -> Spec:
    """The recipe that the preset holds, drawn in batches of this many."""
    base = ("store=/s", "benchmark=mini", "cluster=local", "protocol=weight-free")
    model = load(None, [*base, f"systems=[{preset}]"]).system[preset].render
    assert model is not None
    return Spec(model.target, {**model.kwargs, "execution": {"batch_size": batch}})


def samples() -> list[Sample]:
    return [
        Sample(
            id=f"s{i}",
            asks="image",
            task="noise-reconstruction",
            modality="CT",
            instruction=f"remove noise number {i}",
            input_images=(Image(picture(i), f"in-{i}.png"),),
        )
        for i in range(COUNT)
    ]


def drawn(spec: Spec, asked: Sequence[Sample]) -> dict[str, bytes]:
    return pictures(spec.build().predict([Request(s) for s in asked]))


def pictures(rows: Sequence[Prediction]) -> dict[str, bytes]:
    assert {r.status for r in rows} == {"ok"}, [r.reason for r in rows]
    return {r.sample_id: r.images[0].data for r in rows}


@pytest.mark.slow
@pytest.mark.usefixtures("one_thread")
@pytest.mark.parametrize("preset", PRESETS)
def test_batch_order_and_company_change_no_byte(preset: str) -> None:
    every = samples()
    one = drawn(shipped(preset, 1), every)
    assert len(set(one.values())) == COUNT
    for size in SIZES[1:]:
        assert drawn(shipped(preset, size), every) == one
        # Backwards and without the first: everyone has other neighbours.
        assert drawn(shipped(preset, size), every[:0:-1]) == {s.id: one[s.id] for s in every[1:]}


_ELSEWHERE = """
import json, sys
import torch
from models.test_same_bytes import drawn, samples, shipped
threads, batch, *presets = json.loads(sys.argv[1])
torch.set_num_threads(threads)
found = [drawn(shipped(preset, batch), samples()) for preset in presets]
print(json.dumps([{k: v.hex() for k, v in one.items()} for one in found]))
"""


@pytest.mark.slow
@pytest.mark.usefixtures("one_thread")
def test_another_process_with_other_threads_changes_no_byte() -> None:
    order = json.dumps([2, 3, *PRESETS])
    done = subprocess.run(
        [
            sys.executable,
            "-c",
            f"import sys; sys.path[:0] = {[str(ROOT), str(ROOT / 'tests')]!r}\n" + _ELSEWHERE,
            order,
        ],
        capture_output=True,
        text=True,
        timeout=250,
        check=True,
    )
    there = json.loads(done.stdout.splitlines()[-1])
    for preset, found in zip(PRESETS, there, strict=True):
        here = drawn(shipped(preset, 1), samples())
        assert {k: bytes.fromhex(v) for k, v in found.items()} == here


@pytest.fixture
def two_nodes(no_ray: None) -> Iterator[None]:
    import ray
    from ray.cluster_utils import Cluster

    first = {"num_cpus": 2, "resources": {"first": 1.0}}
    cluster = Cluster(initialize_head=True, head_node_args=first)
    cluster.add_node(num_cpus=2, resources={"second": 1.0})
    ray.init(address=cluster.address, log_to_driver=False, logging_level="error")
    cluster.wait_for_nodes()
    yield
    ray.shutdown()
    cluster.shutdown()


@pytest.mark.cluster
@pytest.mark.slow
@pytest.mark.usefixtures("two_nodes")
def test_another_node_with_another_batch_size_changes_no_byte(tmp_path: Path) -> None:
    def run_on(node: str, batch: int, split: int) -> dict[str, dict[str, bytes]]:
        """Every preset's pictures, drawn by workers of one node only."""
        resources = Resources(cpus=0.5, custom={node: 0.3})
        systems = [
            System(p, None, Model(shipped(p, batch), resources, split=split), ("image",))
            for p in PRESETS
        ]
        objects = connect(str(tmp_path / node))
        stored = import_benchmark(Pictures(samples()), objects, ImportOptions("p", COUNT))
        plan = make_plan(recipe(*systems), stored)
        reader, pool = RunReader(objects, plan), RayPool()
        ending = carry_out(reader, survey(reader), pool, Options())
        pool.shutdown()
        assert ending.failed == {}
        fresh = RunReader(objects, plan)
        return {p: pictures(list(predictions(fresh, p).values())) for p in PRESETS}

    first, second = run_on("first", 1, split=2), run_on("second", 3, split=1)
    assert first == second
    assert {len(set(found.values())) for found in first.values()} == {COUNT}
