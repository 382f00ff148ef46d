"""What a store says in its errors becomes one sentence with the cure, and is asked again or not."""

import errno
import os
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import fsspec
import pytest
import s3fs
from faults import proxy

from medgen.engine.errors import BusyError, ConfigError, StoreError
from medgen.engine.store import s3
from medgen.engine.store.connect import connect
from medgen.engine.store.objects import PosixObjects, RetryingObjects
from medgen.engine.store.refusals import explain, refusal

Seen = list[str]  # methods


@pytest.fixture
def wire(s3_endpoint: str, s3_url: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Seen]:
    """The methods of the requests to the bucket of `s3_url`."""
    asked: Seen = []

    def note(seen: proxy.Seen) -> str:
        asked.append(seen.method)
        return "pass"

    with proxy.between(s3_endpoint, note) as traffic, monkeypatch.context() as patch:
        patch.setenv("AWS_ENDPOINT_URL", traffic.url)
        s3fs.S3FileSystem.clear_instance_cache()
        yield asked
    s3fs.S3FileSystem.clear_instance_cache()


CALLS: dict[str, Callable[[s3.S3Objects], object]] = {
    "create": lambda objects: objects.create("a/one", b"x"),
    "replace": lambda objects: objects.replace("a/one", b"x"),
    "read": lambda objects: objects.read("a/one"),
    "names": lambda objects: objects.names("a"),
    "delete": lambda objects: objects.delete("a"),
}
# status, code, words of the cure, whether asking again may help
SAID = [
    (404, "NoSuchBucket", "Make the bucket", False),
    (403, "AccessDenied", "right to list, read, write", False),
    (403, "InvalidAccessKeyId", "does not know this key", False),
    (403, "SignatureDoesNotMatch", "secret does not belong to the key", False),
    (400, "ExpiredToken", "token has run out", False),
    (400, "InvalidToken", "Get new credentials", False),
    (403, "RequestTimeTooSkewed", "clock is wrong", False),
    (403, "QuotaExceeded", "quota raised", False),
    (403, "UserQuotaExceeded", "quota raised", False),
    (507, "XMinioStorageFull", "Make room", False),
    (400, "EntityTooLarge", "make the shards smaller", False),
    (404, "NoSuchUpload", "ended this upload", False),
    (400, "KeyTooLongError", "shorter prefix", False),
    (400, "AuthorizationHeaderMalformed", "another region", False),
    (403, "InvalidObjectState", "moved to an archive", False),
    (405, "MethodNotAllowed", "read-only", False),
    (400, "InvalidRequest", "checksums", False),
    (403, "AccountProblem", "blocked or not paid", False),
    (403, "KMS.DisabledException", "encrypts the bucket", False),
    (400, "SomethingNew", "SomethingNew: said by the store", False),
    (403, "AnotherNew", "AnotherNew: said by the store", False),
    (503, "SlowDown", "fewer requests", True),
    (429, "TooManyRequests", "fewer requests", True),
    (503, "ServiceUnavailable", "says no more", True),
    (500, "InternalError", "says no more", True),
    (400, "RequestTimeout", "too slowly", True),
    (409, "OperationAborted", "changes the same", True),
    (500, "NewAndBroken", "NewAndBroken: said by the store", True),
]

# Codes of vendors that no table names: what they are made of says what is meant.
OTHERS = [
    (400, "EC2ThrottledException", "fewer requests", True),
    (400, "RequestThrottled", "fewer requests", True),
    (400, "RequestThrottledException", "fewer requests", True),
    (400, "ProvisionedThroughputExceededException", "fewer requests", True),
    (403, "RequestRateLimitExceeded", "fewer requests", True),
    (403, "QpsLimitExceeded", "fewer requests", True),
    (503, "Slow_Down", "fewer requests", True),
    (400, "slowdown", "fewer requests", True),
    (403, "StorageQuotaExceeded", "quota raised", False),
    (403, "TotalStorageQuotaExceeded", "quota raised", False),
    (403, "quotaexceeded", "quota raised", False),
    (400, "StorageLimitReached", "Make room", False),
    (500, "XMinioServerStorageFull", "Make room", False),
    (403, "BucketCapacityExceeded", "Make room", False),
    (400, "ExpiredTokenException", "Get new credentials", False),
    (403, "SecurityTokenExpired", "Get new credentials", False),
    (403, "InvalidSignatureException", "secret does not belong", False),
    (403, "IncompleteSignature", "secret does not belong", False),
    (403, "InvalidAccessKeyIdException", "does not know this key", False),
    (404, "NoSuchBucketException", "Make the bucket", False),
    (404, "BucketNotFound", "Make the bucket", False),
    (403, "AccessDeniedException", "right to list", False),
    (403, "Forbidden", "right to list", False),
    (403, "UnauthorizedAccess", "right to list", False),
    (403, "AccountSuspended", "blocked or not paid", False),
    (403, "UserDisable", "blocked or not paid", False),
    (402, "PaymentRequired", "blocked or not paid", False),
    (403, "storage_cap_exceeded", "Make room", False),
    (403, "ObjectLocked", "objects locked", False),
    (409, "FileImmutable", "objects locked", False),
    (403, "ObjectUnderHold", "objects locked", False),
    (413, "ObjectTooLarge", "make the shards smaller", False),
    (400, "IncorrectRegionRedirect", "another region", False),
    (400, "XMinioServerNotInitialized", "says no more", True),
    (400, "XMinioWriteQuorum", "says no more", True),
    (400, "ServerBusyException", "at work there", True),
    (400, "ConcurrentModification", "at work there", True),
    (400, "RequestTimeoutException", "needed too long", True),
]


@pytest.mark.parametrize(("status", "code", "words", "again"), OTHERS)
def test_a_code_of_another_vendor_is_told_by_its_words(
    status: int, code: str, words: str, again: bool
) -> None:
    from botocore.exceptions import ClientError

    said = {"Error": {"Code": code, "Message": "m"}, "ResponseMetadata": {"HTTPStatusCode": status}}
    found = refusal("write", "s3://b/x", ClientError(said, "PutObject"))
    assert words in str(found)
    assert isinstance(found, BusyError) is again


class Store:
    """A store that refuses everything in the same words."""

    def __init__(self) -> None:
        self.status, self.body, self.asked = 500, b"", Counter[str]()
        self.headers: dict[str, str] = {}
        store = self

        class Refusing(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def answer(self) -> None:
                store.asked[self.command] += 1
                self.rfile.read(int(self.headers.get("Content-Length", 0)))
                self.send_response(store.status)
                for name, value in store.headers.items():
                    self.send_header(name, value)
                self.send_header("Content-Length", str(len(store.body)))
                self.end_headers()
                if self.command != "HEAD":
                    self.wfile.write(store.body)

            do_GET = do_PUT = do_POST = do_HEAD = do_DELETE = answer

            def log_message(self, *words: object) -> None:
                """Nothing."""

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Refusing)
        self.thread = threading.Thread(target=self.server.serve_forever)
        self.thread.start()

    def say(self, status: int, code: str, message: str = "said by the store") -> None:
        self.status = status
        words = f"<Message>{message}</Message>" if message else ""
        self.body = f"<Error><Code>{code}</Code>{words}</Error>".encode()

    def close(self) -> None:
        self.server.shutdown()
        self.thread.join()
        self.server.server_close()


@pytest.fixture(scope="module")
def server() -> Iterator[Store]:
    store = Store()
    yield store
    store.close()


@pytest.fixture
def refusing(server: Store, monkeypatch: pytest.MonkeyPatch) -> Iterator[Store]:
    monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{server.server.server_port}")
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "testing")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    monkeypatch.setitem(s3._CONFIG, "retries", {"total_max_attempts": 1})
    s3fs.S3FileSystem.clear_instance_cache()
    server.asked.clear()
    server.headers.clear()
    yield server
    s3fs.S3FileSystem.clear_instance_cache()


@pytest.mark.parametrize("said", SAID, ids=lambda s: s[1])
@pytest.mark.parametrize(
    "call",
    [c if c == "create" else pytest.param(c, marks=pytest.mark.trial) for c in CALLS],
)
def test_an_error_is_said_by_its_code_with_the_cure(
    refusing: Store, call: str, said: tuple[int, str, str, bool]
) -> None:
    status, code, cure, passing = said
    refusing.say(status, code)
    with pytest.raises(StoreError) as refused:
        CALLS[call](s3.S3Objects("s3://bucket/prefix"))
    words = str(refused.value)
    assert "s3://bucket/prefix" in words
    assert code in words
    assert cure in words
    assert "reachable" not in words
    assert isinstance(refused.value, BusyError) == passing, words


_BROKEN = b"<ListBucketResult><Name>b</Name><IsTruncated>true</IsTruncated></ListBucketResult>"


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (b"<html><title>Log in</title></html>", "no object store"),
        (b"", "no object store"),
        (b"<Welcome/>", "no object store"),
        (_BROKEN, "breaks off"),
        (b"<Error><Code>SlowDown</Code><Message>m</Message></Error>", "SlowDown"),
    ],
)
def test_what_is_no_listing_is_no_empty_folder(refusing: Store, body: bytes, words: str) -> None:
    refusing.status, refusing.body = 200, body
    for call in ("names", "delete"):
        with pytest.raises(BusyError, match=words) as refused:
            CALLS[call](s3.S3Objects("s3://bucket/prefix"))
        assert "reachable" not in str(refused.value)


@pytest.mark.parametrize(
    ("start", "end", "whole", "came"),
    [(100, 149, 1000, 20), (0, 49, 1000, 50), (100, 129, 1000, 30), (100, 149, 120, 50)],
)
def test_another_range_than_was_asked_for_is_not_taken(
    refusing: Store, start: int, end: int, whole: int, came: int
) -> None:
    """A proxy's cache may answer with less, or with another part."""
    refusing.status, refusing.body = 206, b"x" * came
    refusing.headers["Content-Range"] = f"bytes {start}-{end}/{whole}"
    with pytest.raises(BusyError, match="50 from 100 of 'prefix/a'"):
        s3.S3Objects("s3://bucket/prefix").read_range("a", 100, 50)


@pytest.mark.parametrize(("whole", "size"), [(1000, 50), (120, 50), (1000, 5000)])
def test_a_range_ends_with_its_object_and_of_a_whole_it_is_cut(
    refusing: Store, whole: int, size: int
) -> None:
    data = bytes(i % 251 for i in range(whole))
    wanted = data[100 : 100 + size]
    refusing.status, refusing.body = 200, data  # a store that knows no ranges
    assert s3.S3Objects("s3://bucket").read_range("a", 100, size) == wanted
    refusing.status, refusing.body = 206, wanted
    refusing.headers["Content-Range"] = f"bytes 100-{99 + len(wanted)}/{whole}"
    assert s3.S3Objects("s3://bucket").read_range("a", 100, size) == wanted


@pytest.mark.parametrize("call", ["create", "replace"])
def test_what_a_page_took_was_not_stored(refusing: Store, call: str) -> None:
    refusing.status, refusing.body = 200, b"<html>Log in</html>"
    with pytest.raises(BusyError, match=r"cannot write .*no object store"):
        CALLS[call](s3.S3Objects("s3://bucket/prefix"))


def test_a_page_of_404_says_nothing_of_an_object(refusing: Store) -> None:
    refusing.status, refusing.body = 404, b"<html>nginx</html>"
    with pytest.raises(StoreError, match="AWS_ENDPOINT_URL"):
        s3.S3Objects("s3://bucket/prefix").read("a")


def test_an_empty_listing_is_an_empty_folder(refusing: Store) -> None:
    refusing.status, refusing.body = (
        200,
        b"<ListBucketResult><Name>bucket</Name></ListBucketResult>",
    )
    assert s3.S3Objects("s3://bucket/prefix").names("a") == []


def test_a_store_that_redirects_for_ever_is_in_another_region(refusing: Store) -> None:
    refusing.say(301, "PermanentRedirect")
    with pytest.raises(StoreError, match="another region") as refused:
        s3.S3Objects("s3://bucket/prefix").names("a")
    assert not isinstance(refused.value, BusyError)


@pytest.mark.parametrize(
    ("call", "status"),
    [("create", 307), ("replace", 308), ("read", 302), ("names", 301), ("delete", 303)],
)
def test_a_redirect_is_told_and_not_followed(refusing: Store, call: str, status: int) -> None:
    """Another host would get the body of a PUT, and keep it."""
    other = Store()
    other.status, other.headers["ETag"] = 200, '"x"'
    refusing.status, refusing.body = status, b"<html>Moved</html>"
    place = f"http://127.0.0.1:{other.server.server_port}/elsewhere"
    refusing.headers["Location"] = f"{place}?signature=abc"
    try:
        with pytest.raises(StoreError, match=f"leads to {place}. .*AWS_ENDPOINT_URL") as refused:
            CALLS[call](s3.S3Objects("s3://bucket/prefix"))
    finally:
        other.close()
    assert not isinstance(refused.value, BusyError)
    assert not other.asked


@pytest.mark.trial
@pytest.mark.parametrize("status", [400, 401, 403, 405, 413, 500, 502, 503, 504, 507])
@pytest.mark.parametrize("body", [b"", b"<html>Bad gateway</html>", b"None"])
def test_no_error_ends_in_none(refusing: Store, status: int, body: bytes) -> None:
    refusing.status, refusing.body = status, body
    for call in CALLS.values():
        with pytest.raises(StoreError) as refused:
            call(s3.S3Objects("s3://bucket/prefix"))
        assert "None" not in str(refused.value)
        assert isinstance(refused.value, BusyError) == (status in (500, 502, 503, 504))


@pytest.mark.parametrize("code", ["NoSuchBucket", "QuotaExceeded", "AccessDenied"])
def test_what_asking_again_cannot_help_is_said_at_once(refusing: Store, code: str) -> None:
    refusing.say(404 if code == "NoSuchBucket" else 403, code)
    began = time.monotonic()
    for call in (lambda o: o.create("a", b"x"), lambda o: o.names("a"), lambda o: o.delete("a")):
        with pytest.raises(StoreError, match=code):
            call(connect("s3://bucket/prefix"))
    assert time.monotonic() - began < 3
    assert sum(refusing.asked.values()) <= 5


def test_one_object_is_one_delete(s3_url: str, wire: Seen) -> None:
    """A store that wants Content-MD5 for many deletes at once is not asked for that."""
    objects = connect(s3_url)
    for name in ("a/1", "a/b/2", "a/b/3", "ab"):
        objects.create(name, b"x")
    objects.delete("a")
    assert wire.count("DELETE") == 3
    assert wire.count("POST") == 0
    assert objects.names("") == ["ab"]


def test_a_large_object_is_one_conditional_put(s3_url: str, wire: Seen) -> None:
    """Ceph's gateway holds to the condition for a single PUT only."""
    assert connect(s3_url).create("large", bytes(101 * 2**20))
    assert wire.count("PUT") == 1
    assert wire.count("POST") == 0


def test_the_users_settings_of_the_client_win(monkeypatch: pytest.MonkeyPatch) -> None:
    theirs = {"config_kwargs": {"s3": {"addressing_style": "path"}, "read_timeout": 99}}
    monkeypatch.setitem(fsspec.config.conf, "s3", theirs)
    config = s3.S3Objects("s3://bucket").fs.config_kwargs
    assert config["s3"] == {"addressing_style": "path"}
    assert config["read_timeout"] == 99
    assert config["connect_timeout"] == 10
    monkeypatch.setitem(fsspec.config.conf, "s3", {"config_kwargs": '{"read_timeout": 7}'})
    assert s3.S3Objects("s3://bucket").fs.config_kwargs["read_timeout"] == 7
    monkeypatch.setitem(fsspec.config.conf, "s3", {"config_kwargs": "path"})
    with pytest.raises(ConfigError, match="config_kwargs is no mapping"):
        s3.S3Objects("s3://bucket")


@pytest.mark.parametrize("url", ["s3://", "s3:///", "s3:///prefix"])
def test_a_store_without_a_bucket_is_refused(url: str) -> None:
    with pytest.raises(ConfigError, match="names no bucket"):
        connect(url)


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("", "no name"),
        ("  ", "no name"),
        ("s3:bucket/x", "'s3://bucket/x' meant"),
        ("s3:/bucket/x", "'s3://bucket/x' meant"),
        ("S3:bucket", "'s3://bucket' meant"),
        ("memory:", "'memory://' meant"),
        ("file:relative", "'relative' meant"),
        ("https://host/x", "cannot be written to"),
        ("gs://user:hidden@bucket", r"holds no password \(gs://\*\*\*@"),
        ("foo://x", "not known: foo"),
    ],
)
def test_a_name_that_is_no_place_is_refused(name: str, words: str) -> None:
    with pytest.raises(StoreError, match=words):
        connect(name)


@pytest.mark.parametrize("name", ["a:b", "./s3:bucket", "-rf", "100%25", "exp[1]*?", "a\nb", "ä"])
def test_a_name_with_any_sign_is_a_directory(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert connect(name).create("a", b"x")
    assert (tmp_path / name / "a").read_bytes() == b"x"


def test_a_scheme_may_be_written_in_capitals(tmp_path: Path) -> None:
    assert connect(f"FILE://{tmp_path}/x").create("a", b"x")
    assert connect(f"file://{tmp_path}/x").read("a") == b"x"


@pytest.mark.parametrize("number", [errno.EPERM, errno.ENOTSUP, errno.ENOSYS, errno.EMLINK])
def test_a_disk_without_hard_links_is_named_for_that(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    def link(source: Path, target: Path) -> None:
        raise OSError(number, os.strerror(number), str(source), None, str(target))

    monkeypatch.setattr(os, "link", link)
    with pytest.raises(StoreError, match="hard links"):
        connect(str(tmp_path)).create("a", b"x")
    assert not [*tmp_path.iterdir()]


def test_no_object_is_too_large_for_one_request(
    refusing: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(s3, "LARGEST", 10)
    with pytest.raises(StoreError, match="shard_size"):
        s3.S3Objects("s3://bucket").create("a", b"0123456789")
    assert not refusing.asked


ERRNOS = [
    (errno.ESTALE, True), (errno.EIO, True), (errno.ETIMEDOUT, True), (errno.EBUSY, True),
    (errno.ENOLCK, True), (errno.EHOSTDOWN, True), (errno.EREMOTEIO, True), (errno.EAGAIN, True),
    (errno.ENOSPC, False), (errno.EDQUOT, False), (errno.EROFS, False), (errno.EACCES, False),
    (errno.EPERM, False), (errno.ENAMETOOLONG, False), (errno.EISDIR, False), (errno.ELOOP, False),
    (errno.ENOTDIR, False), (errno.ENOTEMPTY, False), (errno.EXDEV, False), (errno.EMLINK, False),
    (errno.EFBIG, False), (errno.ENOSYS, False), (errno.EINVAL, False),
]  # fmt: skip


@pytest.mark.parametrize("case", ERRNOS, ids=lambda c: errno.errorcode[c[0]])
@pytest.mark.parametrize("words", [True, False])
def test_a_disks_errno_is_asked_again_or_not(case: tuple[int, bool], words: bool) -> None:
    number, passing = case
    err = OSError(number, os.strerror(number) if words else None)
    said = refusal("write", "/there", err)
    assert isinstance(said, BusyError) == passing
    assert os.strerror(number) in str(said)
    assert "None" not in str(said)
    assert ("reachable" in str(said)) == passing


@pytest.mark.parametrize("err", [OSError(), OSError(None), OSError("None"), OSError(errno.EIO, "")])
def test_an_error_without_words_is_named(err: OSError) -> None:
    assert str(refusal("read", "x", err)).split(": ")[1].startswith(("OSError", "Input/output"))


def test_a_disk_that_stays_stale_is_given_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tries: list[Path] = []

    def stale(path: Path) -> bytes:
        tries.append(path)
        raise OSError(errno.ESTALE, os.strerror(errno.ESTALE))

    monkeypatch.setattr(RetryingObjects, "pause_s", 0.0)
    monkeypatch.setattr(Path, "read_bytes", stale)
    with pytest.raises(BusyError, match=os.strerror(errno.ESTALE)):
        connect(str(tmp_path)).read("a")
    assert len(tries) == RetryingObjects.tries


def test_a_link_of_our_own_is_recognised_and_anothers_is_not(tmp_path: Path) -> None:
    one = PosixObjects(str(tmp_path))
    assert one.create("a", b"ours")
    assert one.create("a", b"ours"), "the same bytes may be ours, from a try that was not answered"
    assert not one.create("a", b"theirs")
    assert [p.name for p in tmp_path.iterdir()] == ["a"]


def test_credentials_that_lack_are_named_with_their_variables() -> None:
    from botocore.exceptions import NoCredentialsError, ParamValidationError

    assert "AWS_ACCESS_KEY_ID" in str(refusal("list", "s3://b/x", NoCredentialsError()))
    named = refusal("list", "s3://b/x", ParamValidationError(report="bad bucket"))
    assert not isinstance(named, BusyError)


def test_what_is_no_http_is_asked_again() -> None:
    from aiohttp.http_exceptions import BadStatusLine
    from botocore.exceptions import HTTPClientError

    assert isinstance(refusal("read", "x", HTTPClientError(error=BadStatusLine("b"))), BusyError)


def test_a_missing_object_stays_a_missing_object() -> None:
    with pytest.raises(FileNotFoundError), explain("read", "x"):
        raise FileNotFoundError(errno.ENOENT, "no such key", "x")
