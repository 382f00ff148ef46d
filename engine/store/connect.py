"""From a URL to the objects of a place."""

import re

import fsspec

from medgen.engine.errors import StoreError
from medgen.engine.store.objects import Objects, PosixObjects, RemoteObjects, RetryingObjects
from medgen.engine.store.packs import PackedObjects
from medgen.engine.store.s3 import S3Objects

_PASSWORD = re.compile(r"[^/@]*:[^/@]+@")


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
    scheme, found, rest = url.partition("://")
    scheme = scheme.lower()
    if _PASSWORD.match(rest):  # it would stand in every plan
        raise StoreError(
            f"the URL of a store holds no password ({scheme}://***@…): the environment does, as "
            "AWS_SECRET_ACCESS_KEY or FSSPEC_…"
        )
    if not found:
        _check_folder(url)
        return RetryingObjects(PosixObjects(url))
    if scheme == "file":
        return RetryingObjects(PosixObjects(rest))
    if scheme in ("http", "https"):
        raise StoreError(
            f"{scheme}:// cannot be written to; a store is a directory, s3://… or gs://…"
        )
    if scheme in ("s3", "s3a"):
        return RetryingObjects(S3Objects(f"{scheme}://{rest}"))
    return RetryingObjects(RemoteObjects(f"{scheme}://{rest}"))


def _check_folder(name: str) -> None:
    """Refuse what is no directory's name, or a URL that lacks its slashes.

    Raises:
        StoreError: `s3:bucket` would become a directory of that name.
    """
    if not name.strip():
        raise StoreError(
            "the store has no name; it is a directory, s3://BUCKET/PREFIX or another URL"
        )
    scheme, found, rest = name.partition(":")
    if found and scheme.lower() in {"file", "s3a", *fsspec.available_protocols()}:
        instead = rest if scheme.lower() == "file" else f"{scheme.lower()}://{rest.lstrip('/')}"
        raise StoreError(
            f"the store {name!r} is no URL: is {instead!r} meant? A directory of that very name is "
            f"'./{name}'"
        )
