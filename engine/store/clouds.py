"""Azure's and Google's clients, which read some names as others and send large objects in parts."""

import re
from typing import Any

import fsspec
from fsspec.spec import AbstractFileSystem

from medgen.engine.errors import StoreError

_AZURE = frozenset({"az", "abfs", "abfss", "wasb", "wasbs"})
_GOOGLE = frozenset({"gs", "gcs"})
_MISREAD = re.compile(r"[?#\\\x00-\x1f]")
_LINE, _CHUNK = b"--==0==", 50 * 2**20  # of gcsfs; a chunk that is not the last has k times 256 KiB
LARGEST_ON_AZURE = 5000 * 2**20  # bytes of one request


def file_system(url: str) -> tuple[AbstractFileSystem, str]:
    """The fsspec file system of a URL and the path in it; asks the place for nothing.

    Azure's client would cut what has more than 64 MiB into blocks. Before azure-storage-blob 12.31
    those of two writers of one name had the same ids, and the object that one of them committed
    was a mixture of both; so that it sends each object in one request. Google's would take a
    number after `#` in the name of a store for a version of an object.

    Raises:
        StoreError: the scheme is unknown, its package is not installed, or the name cannot be.
    """
    scheme = url.partition("://")[0]
    # A cached listing would hide what other processes have written since.
    fresh = {"use_listings_cache": False}
    try:
        if scheme in _GOOGLE:
            google = fsspec.get_filesystem_class(scheme)(version_aware=False, **fresh)
            return google, google._strip_protocol(url)
        place, root = fsspec.core.url_to_fs(url, **fresh)
    except (AttributeError, ImportError, ValueError) as err:
        raise StoreError(f"cannot use the store {url!r}: {err}") from err
    if scheme in _AZURE:
        check_signs(scheme, root)
        azure: Any = place
        azure.service_client._config.max_single_put_size = LARGEST_ON_AZURE
    return place, root


def check_signs(scheme: str, path: str) -> None:
    """Refuse a name that the client of a store reads as another one.

    Azure's takes `?` and `#` for parts of a URL, a backslash for a slash, and drops a tab: `exp?`
    would be written, and deleted, as `exp`.

    Raises:
        StoreError: the name cannot be had there.
    """
    if scheme in _AZURE and (sign := _MISREAD.search(path)):
        raise StoreError(
            f"{path!r} cannot be a name in {scheme}://: its client reads {sign[0]!r} as something "
            "else; choose a name without it"
        )


def check_size(scheme: str, where: str, size: int) -> None:
    """Refuse an object that a place cannot take in one request.

    Raises:
        StoreError: it has too many bytes.
    """
    if scheme in _AZURE and size > LARGEST_ON_AZURE:
        raise StoreError(
            f"cannot write {where}: {size / 2**30:.1f} GiB, and one object may have 4.9 GiB: make "
            "the shards smaller (`shard_size`)"
        )


def as_sent(scheme: str, data: bytes) -> dict[str, int]:
    """What a client must be told beside the bytes, so that they arrive as they are.

    Google's puts an object between two lines of its own, which it does not look for in it: what
    has such a line, or ends with the half of a line's end, would be cut. Larger ones, from
    `chunksize` bytes on, it sends without them.
    """
    if scheme in _GOOGLE and (_LINE in data or data.endswith(b"\r")):
        return {"chunksize": min(len(data), _CHUNK)}
    return {}
