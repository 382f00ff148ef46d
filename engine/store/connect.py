"""From a URL to the objects of a place."""

from medgen.engine.store.objects import Objects, PosixObjects, RemoteObjects, RetryingObjects
from medgen.engine.store.packs import PackedObjects
from medgen.engine.store.s3 import S3Objects


def connect(url: str) -> Objects:
    """The objects under a directory path or any fsspec URL (`s3://`, `memory://` …).

    A URL of the form `chaos:<settings>::<url>` is the second one with faults put in.

    Raises:
        StoreError: the protocol is unknown or its package is not installed.
        ConfigError: the settings of the faults cannot be read.
    """
    settings, chained, inner = url.partition("::")
    if chained and settings.startswith("chaos:"):
        from medgen.engine.store.chaos import ChaoticObjects, parse_chaos

        chaos = parse_chaos(settings.removeprefix("chaos:"))
        rehearsed = RetryingObjects(ChaoticObjects(_place(inner), chaos))
        rehearsed.pause_s = 0.001  # whose answers need no time to become better
        return PackedObjects(rehearsed)
    return PackedObjects(_place(url))


def _place(url: str) -> Objects:
    scheme, found, _ = url.partition("://")
    if not found or scheme == "file":
        return RetryingObjects(PosixObjects(url.removeprefix("file://")))
    if scheme in ("s3", "s3a"):
        return RetryingObjects(S3Objects(url))
    return RetryingObjects(RemoteObjects(url))
