"""Connecting to Ray, or starting one on this machine, and leaving nothing behind."""

import logging
import os
import socket
from types import TracebackType
from typing import Any

import ray

from medgen.actors.ray_pool import RayPool
from medgen.engine.errors import PlanError
from medgen.engine.run.fit import logical_cpus


class RaySession:
    """A connection to Ray as a context: a cluster that it started ends with it."""

    def __init__(
        self,
        address: str | None = None,
        num_cpus: int | None = None,
        num_gpus: int | None = None,
        object_store_mib: int = 200,
        dashboard: bool = False,
    ) -> None:
        """`address` None starts Ray here. Rows stay out of its object store, so that is small.

        Ray turns its tokens on for a cluster that it starts so, unless `RAY_AUTH_MODE` forbids it.
        """
        self._options: dict[str, Any] = {
            "address": address,
            "include_dashboard": dashboard,
            "dashboard_host": "127.0.0.1",
            "log_to_driver": False,
            "logging_level": logging.ERROR,
            "configure_logging": True,
        }
        if address is None:
            self._options["address"] = "local"
            self._options["num_cpus"] = num_cpus or logical_cpus()
            self._options["num_gpus"] = num_gpus
            self._options["object_store_memory"] = object_store_mib * 1024**2
        else:
            del self._options["include_dashboard"], self._options["dashboard_host"]
        self._started = False

    def __enter__(self) -> RayPool:
        """Connect.

        Raises:
            PlanError: there is no Ray at the address, or none can be started.
        """
        # Started under `uv run`, Ray would rebuild the environment for every worker.
        os.environ.setdefault("RAY_ENABLE_UV_RUN_RUNTIME_ENV", "0")
        os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")
        os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
        if not ray.is_initialized():
            _check_reachable(str(self._options["address"]))
            try:
                ray.init(**self._options)
            except Exception as err:  # one that is late has no kind of its own
                where = self._options["address"]
                raise PlanError(_nobody(where, err)) from err
            self._started = True
        else:
            _check_same(str(self._options["address"]))
        alone = self._started and self._options["address"] == "local"
        self._pool = RayPool(growing=not alone)
        return self._pool

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """End the workers, and the cluster if it was started here."""
        self._pool.shutdown()
        if self._started:
            ray.shutdown()


def _check_reachable(address: str) -> None:
    """Ray itself would try an address that nobody answers at for minutes."""
    host, colon, port = address.removeprefix("ray://").rpartition(":")
    if not colon or not port.isdigit():
        return  # `local`, `auto`: Ray finds out at once
    try:
        socket.create_connection((host, int(port)), timeout=10).close()
    except OSError as err:
        raise PlanError(_nobody(address, err)) from err


def _check_same(address: str) -> None:
    """A process has one Ray: it must be the one that was named."""
    if address in ("local", "auto") or address.startswith("ray://"):
        return
    here = ray.get_runtime_context().gcs_address
    if here != address:
        raise PlanError(
            f"no Ray at {address!r} for this process, which is connected to the one at {here}; "
            "call ray.shutdown() first, or leave `cluster.address` out to use that one"
        )


def _nobody(address: str, err: Exception) -> str:
    why = str(err).rstrip(".")
    if address == "local":
        return (
            f"Ray did not start on this machine: {why}. Run again when it has less to do, or with "
            "`cluster=in-process`, which needs no Ray"
        )
    return (
        f"no Ray at {address!r}: {why}. Start one with `ray start --head`, or leave "
        "`cluster.address` out to start it on this machine"
    )
