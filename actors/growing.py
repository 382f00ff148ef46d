"""Whether machines are added to a cluster of Ray when they are asked for: what its autoscaler says.

Every Ray has a monitor. Where nothing can be added it calls each machine a type of its own; an
autoscaler calls machines by the types of its configuration.
"""

import json
import re
from collections.abc import Iterable
from typing import Any

import ray
from ray._private.ray_constants import DEBUG_AUTOSCALING_STATUS
from ray.autoscaler.v2.sdk import get_cluster_status
from ray.autoscaler.v2.utils import is_autoscaler_v2
from ray.experimental.internal_kv import _internal_kv_get

_ALONE = re.compile(r"node_[0-9a-f]{56}")  # the type of one machine: its identifier


def has_autoscaler() -> bool:
    """Whether one has said so: in the cluster's configuration, or by the names of its machines."""
    config = ray._private.state.state.get_cluster_config()
    if config is not None and config.node_group_configs:  # of some vendors' clusters
        return True
    if is_autoscaler_v2(fetch_from_server=True):
        said = get_cluster_status(ray.get_runtime_context().gcs_address)
        nodes = (*said.active_nodes, *said.idle_nodes)
        return _are_configured(node.ray_node_type_name for node in nodes)
    status = _internal_kv_get(DEBUG_AUTOSCALING_STATUS)
    return status is not None and is_of_autoscaler(json.loads(status))


def is_of_autoscaler(status: dict[str, Any]) -> bool:
    """Whether a monitor's report names machines by types of a configuration."""
    report = status.get("autoscaler_report") or {}
    kinds = ("active_nodes", "idle_nodes", "pending_launches")
    names = [name for kind in kinds for name in report.get(kind) or ()]
    return _are_configured([*names, *(report.get("node_type_mapping") or {}).values()])


def _are_configured(names: Iterable[str]) -> bool:
    return any(not _ALONE.fullmatch(name) for name in names)
