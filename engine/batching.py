"""Batches of a vendor's: requests handed over as files, answered within a day, for less money.

A model that is asked by batches is the same model: how it is asked is part of no key.
"""

from collections.abc import Iterator, Mapping
from typing import Annotated, Any, Literal

from msgspec import Meta

from medgen.engine.settings import Settings, read

BatchApi = Literal["auto", "openai", "anthropic"]

_Positive = Annotated[float, Meta(gt=0)]
_Count = Annotated[int, Meta(ge=1)]
# After the wait a batch is cancelled, which takes a vendor some ten minutes; then results are read.
_AFTER_WAIT_S = 2 * 3600.0


class Batch(Settings, frozen=True, kw_only=True):
    """How a hosted model is asked by batches.

    `api` is whose interface the endpoint has; `auto` tells it from the host. `requests` and `mib`
    are the most of one file, the vendor's own limits unless fewer are wanted.
    """

    api: BatchApi = "auto"
    price_share: Annotated[float, Meta(ge=0, le=1)] = 0.5  # of `prices`
    shards: _Count = 32  # that a worker gathers, and holds in memory until they are answered
    gather_s: Annotated[float, Meta(ge=0)] = 10.0  # without a new request, then a file is sent
    poll_s: _Positive = 60.0
    wait_h: _Positive = 26.0  # then a batch is cancelled; vendors end one after 24 hours
    settle_s: Annotated[float, Meta(ge=0)] = 60.0  # in which a vendor lists what it has accepted
    at_once: _Count = 8  # files of one worker that are open at a vendor
    requests: _Count | None = None
    mib: _Positive | None = None
    results_mib: _Positive = 1024.0


def batch_of(kwargs: Mapping[str, Any]) -> Batch | None:
    """How a recipe is asked by batches; None where it is not.

    Raises:
        ConfigError: `execution.batch` holds what is none of its settings.
    """
    found = next(_batches(kwargs), None)
    return None if found is None else read(Batch, found, "execution.batch")


def price_share(kwargs: Mapping[str, Any]) -> float:
    """Which part of its prices a recipe pays."""
    batch = batch_of(kwargs)
    return 1.0 if batch is None else batch.price_share


def patience_s(kwargs: Mapping[str, Any]) -> float:
    """Seconds that a unit of a recipe may take because it waits for a vendor; else 0."""
    batch = batch_of(kwargs)
    return 0.0 if batch is None else batch.wait_h * 3600 + _AFTER_WAIT_S


def _batches(value: Any) -> Iterator[Any]:
    if not isinstance(value, Mapping):
        return
    execution = value.get("execution")
    if isinstance(execution, Mapping) and execution.get("batch") is not None:
        yield execution["batch"]
    for inner in value.values():
        yield from _batches(inner)
