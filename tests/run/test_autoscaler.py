"""Whether machines may be added: an autoscaler is known by the types that it has for machines."""

import time
from typing import Any

import pytest
from ray._private.ray_constants import DEBUG_AUTOSCALING_STATUS
from ray.experimental.internal_kv import _internal_kv_get

from medgen.actors.ray_pool import RayPool, is_of_autoscaler

ALONE = "0123456789abcdef" * 3 + "01234567"
OWN = f"node_{ALONE}"  # a type of one machine


def report(**more: Any) -> dict[str, Any]:
    """What a monitor of Ray 2.60 says, in the parts that name types."""
    nothing = {"active_nodes": {}, "idle_nodes": None, "pending_launches": {}}
    return {"autoscaler_report": {**nothing, "node_type_mapping": {}, **more}}


@pytest.mark.parametrize(
    ("status", "grows"),
    [
        ({}, False),
        ({"autoscaler_report": None}, False),
        (report(), False),
        (report(active_nodes={OWN: 1}, node_type_mapping={ALONE: OWN}), False),
        (report(node_type_mapping={ALONE: "ray.head.default"}), True),  # scaled to zero
        (report(active_nodes={"headgroup": 1}), True),
        (report(idle_nodes={"node_h200": 2}), True),
        (report(pending_launches={"gpus": 2}), True),
    ],
)  # fmt: skip
def test_types_of_machines_tell_an_autoscaler(status: dict[str, Any], grows: bool) -> None:
    assert is_of_autoscaler(status) is grows


@pytest.mark.cluster
def test_a_ray_without_an_autoscaler_does_not_grow(local_ray: str) -> None:
    until = time.monotonic() + 60
    said = None  # its monitor reports all the same, in its second round
    while b"autoscaler_report" not in (said or b""):
        assert time.monotonic() < until, said
        time.sleep(0.2)
        said = _internal_kv_get(DEBUG_AUTOSCALING_STATUS)
    assert not RayPool().grows()
