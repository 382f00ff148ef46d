"""Objects in a bucket of S3 or its kin, by exact keys.

A key is what it is: `*`, `[`, `?versionId=` or `%2F` in it have no meaning. s3fs brings the
session (credentials, endpoint, profile, `FSSPEC_S3`); the requests are made here, one for each
object: a PUT of the whole, which is the only conditional write that every store holds to, and a
DELETE, which wants no checksum.
"""

import asyncio
import itertools
import json
import os
import re
from collections.abc import Coroutine, Iterable, Iterator, Mapping
from functools import cache
from typing import Any, TypeVar

import fsspec

from medgen.engine.errors import BusyError, ConfigError, StoreError
from medgen.engine.store.objects import inside
from medgen.engine.store.refusals import explain, refusal, vendor_code

T = TypeVar("T")
LARGEST = 5 * 2**30  # bytes of one PUT
_AT_ONCE = 16  # deletes
# What every listing says of itself, be it empty.
_OF_A_LISTING = frozenset(
    ("Name", "KeyCount", "MaxKeys", "IsTruncated", "Contents", "CommonPrefixes")
)
_RANGE = re.compile(r"bytes (\d{1,19})-(\d{1,19})/(\d{1,19}|\*)", re.ASCII | re.IGNORECASE)
_MD5 = re.compile(r"[0-9a-f]{32}")
_PAGE = 1000  # keys that one listing tells
_CHECKSUMS = ("request_checksum_calculation", "response_checksum_validation")
# The client would try up to 25 times on its own, for minutes: `RetryingObjects` decides.
_CONFIG: dict[str, Any] = {
    "connect_timeout": 10,
    "read_timeout": 30,
    "max_pool_connections": 32,  # a unit has as many requests under way; the client would have 10
    "retries": {"mode": "standard", "total_max_attempts": 2},
}


class S3Objects:
    """Objects in a bucket. Every call is one attempt; `RetryingObjects` makes more of it."""

    tells_md5 = True

    def __init__(self, url: str) -> None:
        """Connect with the usual environment variables or fsspec profiles; reads nothing yet."""
        try:
            self.fs = fsspec.filesystem("s3", use_listings_cache=False, config_kwargs=_config())
        except (ImportError, ValueError) as err:
            raise StoreError(f"cannot use the store {url!r}: {err}") from err
        self.fs.retries = 1
        self.url = url.rstrip("/")
        self.root = self.url.partition("://")[2]
        self.bucket, self.prefix = self.fs._find_bucket_key(f"{self.root}/")
        self._conditional = True
        if not self.bucket:
            raise ConfigError(f"store {url!r} names no bucket; it is s3://BUCKET/PREFIX")

    def create(self, path: str, data: bytes) -> bool:
        """See `Objects.create`.

        After any error the object is read back: a PUT that was answered too late may have won,
        and stores differ in how they refuse a second one. A store that does not know conditional
        PUTs (501) is asked whether the object is there instead; two writers at the same moment
        then both write, each a whole object of the same rows.
        """
        key, where = self._key(path), f"{self.url}/{path}"
        if not self._conditional:
            return self._create_unless_there(key, data, where)
        try:
            self._put(key, data, where, IfNoneMatch="*")
        except StoreError:
            raise
        except Exception as err:
            if vendor_code(err)[0] in ("NotImplemented", "501"):
                self._conditional = False
                return self._create_unless_there(key, data, where)
            if vendor_code(err)[0] == "NoSuchBucket":
                raise refusal("write", where, err) from err
            stored = self._standing(key, where)
            if stored is None:
                raise refusal("write", where, err) from err
            # Ours or another driver's: the address is the identity, either will do.
            return stored == data
        return True

    def _create_unless_there(self, key: str, data: bytes, where: str) -> bool:
        with explain("write", where):
            if self._first_from(key) == key:
                return False
            self._put(key, data, where)
        return True

    def _standing(self, key: str, where: str) -> bytes | None:
        try:
            with explain("read back", where):
                return self._wait(self._get(key))
        except FileNotFoundError:
            return None

    def replace(self, path: str, data: bytes) -> None:
        """See `Objects.replace`."""
        where = f"{self.url}/{path}"
        with explain("write", where):
            self._put(self._key(path), data, where)

    def read(self, path: str) -> bytes:
        """See `Objects.read`."""
        with explain("read", f"{self.url}/{path}"):
            return self._wait(self._get(self._key(path)))

    def read_end(self, path: str, most: int) -> bytes:
        """See `Objects.read_end`; a store that knows no ranges gives the whole."""
        with explain("read", f"{self.url}/{path}"):
            return self._wait(_what_is_there(self._get(self._key(path), Range=f"bytes=-{most}")))

    def read_range(self, path: str, start: int, size: int) -> bytes:
        """See `Objects.read_range`; of a store that knows no ranges the whole is cut."""
        with explain("read", f"{self.url}/{path}"):
            return self._wait(_what_is_there(self._get_range(self._key(path), start, size)))

    def names(self, folder: str) -> list[str]:
        """See `Objects.names`."""
        with explain("list", f"{self.url}/{folder}"):
            begin = self._begin(folder)
            found = {key[len(begin) :].rstrip("/") for key in self._list(begin, "/")}
        return sorted(found - {""})

    def walk(self, folder: str) -> list[str]:
        """See `Objects.walk`: a request for each thousand objects."""
        with explain("list", f"{self.url}/{folder}"):
            begin = self._begin(folder)
            found = [key[len(begin) :] for key in self._list(begin)]
        return sorted(f"{folder}/{name}" for name in found if name and not name.endswith("/"))

    def md5s(self, folder: str) -> dict[str, str]:
        """See `Objects.md5s`: what a listing calls an ETag, unless the object is encrypted."""
        with explain("list", f"{self.url}/{folder}"):
            begin = self._begin(folder)
            listed = [
                (str(e["Key"])[len(begin) :], str(e.get("ETag")).strip('"'))
                for e in self._entries(begin)
            ]
        told = ((name, tag) for name, tag in listed if name and not name.endswith("/"))
        return {name: tag if _MD5.fullmatch(tag) else "" for name, tag in told}

    def delete(self, path: str) -> None:
        """See `Objects.delete`: the object of this very key, and those below `key/`."""
        with explain("delete", f"{self.url}/{path}"):
            keys = self._this_and_below(self._key(path))
            for start in range(0, len(keys), _AT_ONCE):
                self._wait(self._delete(keys[start : start + _AT_ONCE]))

    def remove(self, path: str) -> None:
        """See `Objects.remove`."""
        with explain("delete", f"{self.url}/{path}"):
            self._wait(self._delete((self._key(path),)))

    def _this_and_below(self, key: str) -> list[str]:
        """The very key, if there is such an object, and those below: mostly in one listing."""
        near = [*itertools.islice(self._list(key), _PAGE + 1)]
        if len(near) <= _PAGE:
            return [found for found in near if found == key or found.startswith(f"{key}/")]
        own = [key] if near[0] == key else []
        return [*own, *self._list(f"{key}/")]

    def _key(self, path: str) -> str:
        return f"{self.prefix}{inside(path)}"

    def _begin(self, folder: str) -> str:
        return f"{self._key(folder)}/" if folder else str(self.prefix)

    def _put(self, key: str, data: bytes, where: str, **named: Any) -> None:
        if len(data) >= LARGEST:
            raise StoreError(
                f"cannot write {where}: {len(data) / 2**30:.1f} GiB, and one object may have 5 "
                "GiB: make the shards smaller (`shard_size`)"
            )
        reply = self.fs.call_s3("put_object", Bucket=self.bucket, Key=key, Body=data, **named)
        # Every store names what it has taken; a proxy's page, which is a 200 too, does not.
        if not reply.get("ETag") and self._standing(key, where) != data:
            raise BusyError(
                f"cannot write {where}: what answers is no object store, a proxy's page maybe"
            )

    async def _get(self, key: str, **named: str) -> bytes:
        reply = await self.fs._call_s3("get_object", Bucket=self.bucket, Key=key, **named)
        async with reply["Body"] as body:
            return bytes(await body.read())

    async def _get_range(self, key: str, start: int, size: int) -> bytes:
        wanted = f"bytes={start}-{start + size - 1}"
        reply = await self.fs._call_s3("get_object", Bucket=self.bucket, Key=key, Range=wanted)
        async with reply["Body"] as body:
            data = bytes(await body.read())
        given = reply.get("ContentRange")
        if not given:
            return data[start : start + size]
        if not _is_range(str(given), start, size, len(data)):
            raise BusyError(
                f"cannot read {self.url}: {len(data)} bytes ({given}) came for {size} from {start} "
                f"of {key!r}; a proxy's cache may stand between"
            )
        return data

    async def _delete(self, keys: Iterable[str]) -> None:
        ask = (self.fs._call_s3("delete_object", Bucket=self.bucket, Key=key) for key in keys)
        await asyncio.gather(*ask)

    def _first_from(self, key: str) -> str:
        """The first key that begins with this one: the very key, if there is such an object."""
        return next(self._list(key, most=1), "")

    def _list(self, begin: str, delimiter: str = "", most: int = _PAGE) -> Iterator[str]:
        """Keys that begin so, and the beginnings that end with the delimiter."""
        for entry in self._entries(begin, delimiter, most):
            yield str(entry.get("Key") or entry["Prefix"])

    def _entries(
        self, begin: str, delimiter: str = "", most: int = _PAGE
    ) -> Iterator[Mapping[str, Any]]:
        """What is listed of them."""
        token: dict[str, str] = {}
        while True:
            page = self.fs.call_s3(
                "list_objects_v2",
                Bucket=self.bucket, Prefix=begin, Delimiter=delimiter, MaxKeys=most, **token,
            )  # fmt: skip
            _check_listing(page, f"{self.url}/{begin}")
            yield from page.get("Contents", ())
            yield from page.get("CommonPrefixes", ())
            if most == 1 or not page.get("IsTruncated"):
                return
            token = {"ContinuationToken": page["NextContinuationToken"]}

    def _wait(self, asked: Coroutine[Any, Any, T]) -> T:
        return fsspec.asyn.sync(self.fs.loop, lambda: asked)


async def _what_is_there(asked: Coroutine[Any, Any, bytes]) -> bytes:
    """The bytes of a range; of an object that is empty, or ends before it, none."""
    try:
        return await asked
    except Exception as err:
        if vendor_code(err)[0] != "InvalidRange":
            raise
        return b""


def _is_range(given: str, start: int, size: int, came: int) -> bool:
    """Whether a `Content-Range` and the bytes that came are those that were asked for."""
    said = _RANGE.fullmatch(given.strip())
    if not said:
        return False
    first, last = int(said[1]), int(said[2])
    end = start + size if said[3] == "*" else min(start + size, int(said[3]))
    return first == start and last + 1 == end and came == last + 1 - first


def _check_listing(page: Mapping[str, Any], where: str) -> None:
    """See that a reply is a listing: a web page, or nothing, is read as one without a key.

    Raises:
        BusyError: it is none, or breaks off.
    """
    if not page.keys() & _OF_A_LISTING:
        raise BusyError(
            f"cannot list {where}: what answers is no object store, a proxy's page maybe"
        )
    if page.get("IsTruncated") and not page.get("NextContinuationToken"):
        raise BusyError(f"cannot list {where}: the listing breaks off without a way to go on")


def _config() -> dict[str, Any]:
    """Settings of the client: ours, over them those of `FSSPEC_S3`, which the user wrote.

    Checksums are sent where S3 demands them: many stores do not know them everywhere.

    Raises:
        ConfigError: what the user wrote is no mapping.
    """
    asked = {name: "when_required" for name in _CHECKSUMS if name.upper() not in _set()}
    theirs: Any = fsspec.config.conf.get("s3", {}).get("config_kwargs", {})
    if isinstance(theirs, str):  # FSSPEC_S3_CONFIG_KWARGS
        try:
            theirs = json.loads(theirs)
        except ValueError:
            theirs = None
    if not isinstance(theirs, dict):
        raise ConfigError("FSSPEC_S3: config_kwargs is no mapping")
    return {**_CONFIG, "http_session_cls": session_class(), **asked, **theirs}


def _set() -> set[str]:
    return {name.removeprefix("AWS_") for name in os.environ if name.startswith("AWS_")}


class RedirectError(Exception):
    """What answers is not the store, and sends elsewhere."""

    def __init__(self, status: int, place: str) -> None:
        """`place` is where it leads to, as it said it."""
        self.code = "Redirect"
        self.message = f"HTTP {status} leads to {place.partition('?')[0][:300]}"
        super().__init__(self.message)


@cache
def session_class() -> type[Any]:
    """The client's own class of sessions, but for redirects.

    aiohttp would follow a `Location` to any host, with the body of a PUT, and store it there.
    One that a store itself sends (it names its requests) is left to the client, which finds the
    bucket's region and signs for it.
    """
    from aiobotocore.httpsession import AIOHTTPSession

    class StayingSession(AIOHTTPSession):  # type: ignore[misc]
        async def _get_session(self, proxy_url: str | None) -> Any:
            return _Staying(await super()._get_session(proxy_url))

    return StayingSession


class _Staying:
    def __init__(self, session: Any) -> None:
        self._session = session

    async def request(self, *given: Any, **named: Any) -> Any:
        response = await self._session.request(*given, **named, allow_redirects=False)
        place = response.headers.get("Location", "")
        if 300 <= response.status < 400 and place and "x-amz-request-id" not in response.headers:
            response.release()
            raise RedirectError(response.status, place)
        return response
