"""What every place must hold to: a directory, one as NFS has it, memory, S3, and any URL of yours.

`make store-contract URL=s3://BUCKET/PREFIX` runs this module alone, against that place.
"""

import threading
import unicodedata
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, nullcontext
from uuid import uuid4

import pytest

from medgen.engine.errors import StoreError
from medgen.engine.store.connect import connect
from medgen.engine.store.shards import md5_of

# Of aiohttp, which the clients of Azure and Google give an object as the bytes that it is.
pytestmark = pytest.mark.filterwarnings("ignore:Sending a large body:ResourceWarning")

UMLAUTS = "Prüfung-äöüß"
# Names of objects, of folders and of whole stores; each is a name and no pattern, query or escape.
NAMES = [
    "exp[1]", "exp[!1]", "[", "]", "[]", "[a-z]", "*", "**", "exp*", "?", "exp?", "{1,2}", "{", "}",
    "a%20b", "%", "%2F", "%2e%2e", "a+b", "a b", " a", "a ", "a#b", "#", "a&b", "a=b", "a;b", "a:b",
    "a@b", "a,b", "a$b", "$HOME", "~", "~a", "!a", "a'b", 'a"b', "a`b", "a|b", "a<b>", "a^b", "(a)",
    "a\\b", "\\", ".a", "..a", "a.", "...", "-a", "--help", "a?versionId=1", "a?x=y", "a::b", "s3:",
    "^a$", "a.b", "file:a", UMLAUTS, unicodedata.normalize("NFD", UMLAUTS), "日本語", "🩻",
    "a\u00a0b", "\u202ea", "A", "null", "None", "0", "a\tb", "x" * 200,
]  # fmt: skip
# What Azure's client reads as something else than a sign of a name.
UNKNOWN_TO_AZURE = "?#\\\t"


def is_a_name(url: str, name: str) -> bool:
    """Whether an object, a folder or a store can have this name in a place."""
    on_azure = url.startswith(("az://", "abfs://", "abfss://"))
    return not on_azure or not any(sign in name for sign in UNKNOWN_TO_AZURE)


def names_for(url: str) -> list[str]:
    """Those of `NAMES` that a place has."""
    return [name for name in NAMES if is_a_name(url, name)]


def taken_or_refused(url: str, name: str) -> AbstractContextManager[object]:
    """A block that uses a name, which must fail in a place that does not have it."""
    if is_a_name(url, name):
        return nullcontext()
    return pytest.raises(StoreError, match="cannot be a name in a")


@pytest.fixture
def contract_url(any_store_url: str) -> str:
    """An empty place of each kind, or below the URL that was given."""
    return any_store_url


def test_a_name_with_any_sign_in_it_is_a_name(contract_url: str) -> None:
    objects, names = connect(contract_url), names_for(contract_url)
    for number, name in enumerate(names):
        assert objects.create(f"d/{name}", str(number).encode()), name
    assert objects.names("d") == sorted(names)
    for number, name in enumerate(names):
        assert objects.read(f"d/{name}") == str(number).encode(), name
        assert not objects.create(f"d/{name}", b"another"), name
    for name in names:
        objects.replace(f"d/{name}", name.encode())
    assert [objects.read(f"d/{name}").decode() for name in names] == names


def test_a_walk_finds_every_object_below_a_folder_and_none_beside(contract_url: str) -> None:
    objects, names = connect(contract_url), names_for(contract_url)
    below = sorted([f"d/{name}/x" for name in names] + [f"d/{name}/e/f/{name}" for name in names])
    for path in [*below, "d2/x", "e/d/x"]:
        objects.create(path, b"")
    assert objects.walk("d") == below
    assert objects.walk("d/exp*") == ["d/exp*/e/f/exp*", "d/exp*/x"]
    assert objects.walk("nowhere") == []
    assert objects.walk("d/exp*/x") == []


def test_what_a_listing_says_of_bytes_is_true(contract_url: str) -> None:
    objects, names = connect(contract_url), names_for(contract_url)
    said = {name: f"what is in {name}".encode() for name in names}
    for name, data in said.items():
        objects.create(f"d/{name}", data)
        objects.create(f"d/below/{name}", b"x")
    objects.create("d2", b"beside")
    told = objects.md5s("d")
    said |= {f"below/{name}": b"x" for name in names}
    assert told == ({n: md5_of(data) for n, data in said.items()} if objects.tells_md5 else {})
    objects.replace(f"d/{names[0]}", b"another")
    assert objects.md5s("d").get(names[0], md5_of(b"another")) == md5_of(b"another")
    assert objects.md5s("nowhere") == {}


@pytest.mark.parametrize("kind", ["object", "folder"])
def test_a_delete_touches_what_it_names_and_nothing_else(contract_url: str, kind: str) -> None:
    objects, names = connect(contract_url), names_for(contract_url)
    below = {"object": "", "folder": "/deep/er"}[kind]
    present = set(names)
    for name in names:
        objects.create(f"d/{name}{below}", b"x")
    for name in ("exp1", "exp2", "1", "2", "b", "xa", "a1b"):
        objects.create(f"d/{name}/near", b"x")
        present.add(name)
    for name in names:
        objects.delete(f"d/{name}")
        present.discard(name)
        assert objects.names("d") == sorted(present), name
        with pytest.raises(FileNotFoundError):
            objects.read(f"d/{name}{below}")
    for name in present:
        assert objects.read(f"d/{name}/near") == b"x"


def test_an_object_is_removed_alone_and_twice_is_once(contract_url: str) -> None:
    objects, names = connect(contract_url), names_for(contract_url)
    for name in names:
        objects.create(f"d/{name}", b"x")
    for name in names[::2]:
        objects.remove(f"d/{name}")
        objects.remove(f"d/{name}")
    objects.remove("nowhere/d")
    assert objects.names("d") == sorted(names[1::2])


@pytest.mark.parametrize("name", NAMES[::3])
def test_a_delete_of_what_is_not_there_takes_no_namesake(contract_url: str, name: str) -> None:
    objects = connect(contract_url)
    others = [n for n in ("exp1", "exp", "1", "a", "a1b", "xa", "b", "z") if n != name]
    for other in others:
        objects.create(f"d/{other}", b"x")
    with taken_or_refused(contract_url, name):
        objects.delete(f"d/{name}")
    assert objects.names("d") == sorted(others)


@pytest.mark.parametrize(
    "any_store_url", [pytest.param("azure", marks=pytest.mark.trial)], indirect=True
)
def test_a_name_that_a_client_reads_as_another_is_refused_before_anything_is_done(
    contract_url: str,
) -> None:
    """Seen without the refusal: `exp?` is written, and deleted, as `exp`."""
    objects = connect(contract_url)
    for name in ("exp", "a", "z"):
        objects.create(f"d/{name}", b"x")
        objects.create(f"d/{name}/below", b"x")
    before = objects.walk("d")
    refused = [name for name in NAMES if not is_a_name(contract_url, name)]
    assert len(refused) == 9
    for path in [f"d/{name}" for name in refused] + [f"d/{name}/below" for name in refused]:
        calls: list[Callable[[], object]] = [
            lambda path=path: objects.create(path, b"y"),
            lambda path=path: objects.replace(path, b"y"),
            lambda path=path: objects.read(path),
            lambda path=path: objects.names(path),
            lambda path=path: objects.walk(path),
            lambda path=path: objects.delete(path),
            lambda path=path: objects.remove(path),
        ]
        for call in calls:
            with pytest.raises(StoreError, match="cannot be a name in a"):
                call()
    assert objects.walk("d") == before
    assert {objects.read(path) for path in before} == {b"x"}


@pytest.mark.parametrize(
    "name", ["exp[1]", "exp*", "a?versionId=1", "a#1", "%2e%2e", "a b+c#d", UMLAUTS]
)
def test_a_store_with_signs_in_its_name_stays_within_itself(contract_url: str, name: str) -> None:
    """A retention in `exp[1]` leaves `exp1` alone."""
    with taken_or_refused(contract_url, name):
        ours = connect(f"{contract_url}/{name}")
    if not is_a_name(contract_url, name):
        return
    others = [connect(f"{contract_url}/{n}") for n in ("exp1", "exp[1", "exp", "a", "a b", "..b")]
    for objects in (ours, *others):
        assert objects.create("runs/night/plan.json", objects.url.encode())
        assert objects.create("stages/answer/k/shard-00000.arrow", b"rows")
    assert ours.create("own", b"")
    assert ours.names("") == ["own", "runs", "stages"]
    assert ours.names("runs") == ["night"]
    assert ours.read("runs/night/plan.json") == ours.url.encode()
    ours.delete("stages/answer/k")
    ours.delete("runs/night")
    assert ours.names("runs") == ours.names("stages/answer") == []
    for objects in others:
        assert objects.read("runs/night/plan.json") == objects.url.encode()
        assert objects.names("stages/answer/k") == ["shard-00000.arrow"]


@pytest.mark.parametrize(
    "path",
    [
        *("", "/", "a/", "/a", "/etc/passwd", "..", "../a", "a/..", "a/../b", "a//b", ".", "./a"),
        *("a/.", "a\0b"),
    ],
)
def test_what_is_no_path_is_refused(contract_url: str, path: str) -> None:
    objects = connect(contract_url)
    calls: list[Callable[[], object]] = [
        lambda: objects.create(path, b""),
        lambda: objects.replace(path, b""),
        lambda: objects.read(path),
        lambda: objects.delete(path),
    ]
    for call in calls:
        with pytest.raises(StoreError, match="no path in a store"):
            call()


# What a client or server could take for its own: ends of lines and parts, encodings, markup.
BYTES = [
    b"\r", b"\n", b"\r\n", b"\n\n", b"a\r", b"a\n", b"a\r\n", b"\r\na", b"\na", b"\0", b" ", b"",
    bytes(range(256)), bytes(range(256))[::-1], b"\xff\xfe\0", b"\xef\xbb\xbfa", b"\x1f\x8b\x08\0",
    b"--", b"a\n--==0==\nb", b"a\n--==0==--", b"a\r\n--==0==--\r\nb", b"--==0==", b"0\r\n\r\n",
    b"<?xml version='1.0'?><Error/>", b'{"error": 1}', b"%0A", b"=0A=\r\n", "ä\u2028".encode(),
]  # fmt: skip


def test_bytes_are_kept_as_they_are(contract_url: str) -> None:
    objects = connect(contract_url)
    for number, data in enumerate(BYTES):
        assert objects.create(f"created/{number}", data), data
        objects.replace(f"replaced/{number}", data)
    for folder in ("created", "replaced"):
        stored = [objects.read(f"{folder}/{number}") for number in range(len(BYTES))]
        assert stored == BYTES
    for number, data in enumerate(BYTES):
        assert objects.read_end(f"created/{number}", 2) == data[-2:], data
        assert len(data) < 2 or objects.read_range(f"created/{number}", 1, 1) == data[1:2], data
        assert objects.read_range(f"created/{number}", len(data) + 1, 2) == b"", data


def test_an_object_is_created_once_whatever_its_size(contract_url: str) -> None:
    objects = connect(contract_url)
    for size in (0, 1, 5 * 2**20, 9 * 2**20):  # as large as stores cut into parts
        path = f"sizes/{size}"
        assert objects.create(path, b"1" * size)
        assert not objects.create(path, b"2" * (size + 1))
        assert objects.read(path) == b"1" * size


@pytest.mark.parametrize(
    "mib", [0, pytest.param(120, marks=pytest.mark.trial)], ids=["small", "above_100_MiB"]
)
def test_of_many_writers_one_creates(contract_url: str, mib: int) -> None:
    writers, rounds = (8, 12) if not mib else (3, 1)
    for turn in range(rounds):
        won: list[int] = []
        start = threading.Barrier(writers)

        def race(number: int, turn: int, won: list[int], start: threading.Barrier) -> None:
            mine = connect(contract_url)
            body = f"{number}".encode() * (1 + mib * 2**20)
            start.wait()
            if mine.create(f"race/{turn}", body):
                won.append(number)

        threads = [
            threading.Thread(target=race, args=(n, turn, won, start)) for n in range(writers)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert len(won) == 1
        stored = connect(contract_url).read(f"race/{turn}")
        assert stored == f"{won[0]}".encode() * (1 + mib * 2**20)  # nothing of another


def test_a_name_that_others_leave_and_take_again_is_had_or_is_not(contract_url: str) -> None:
    start = threading.Barrier(4)

    def come_and_go(number: int) -> int:
        mine, had = connect(contract_url), 0
        start.wait()
        for _ in range(40):
            if mine.create("claims/1", f"{number}".encode()):
                had += 1
                mine.remove("claims/1")
        return had

    with ThreadPoolExecutor(4) as writers:
        assert sum(writers.map(come_and_go, range(4))) >= 40


def test_below_an_object_is_nothing(contract_url: str) -> None:
    objects = connect(contract_url)
    objects.create("folder/object", b"x")
    assert objects.names("folder/object") == objects.names("folder/object/below") == []
    assert objects.walk("folder/object/below") == []


def test_what_is_not_there(contract_url: str) -> None:
    objects = connect(f"{contract_url}/nowhere")
    assert objects.names("a/b") == objects.names("") == []
    objects.delete("a/b")
    with pytest.raises(FileNotFoundError):
        objects.read("a/b")


def test_a_listing_is_complete_and_up_to_date(contract_url: str) -> None:
    objects, other = connect(contract_url), connect(contract_url)
    names = sorted(f"{n:04d}-{uuid4().hex}" for n in range(60))
    for name in names:
        objects.create(f"many/{name}", b"x")
        objects.create(f"folders/{name}/deep/one", b"x")
    assert other.names("many") == names
    assert other.names("folders") == names
    objects.delete(f"many/{names[7]}")
    assert other.names("many") == names[:7] + names[8:]
    objects.delete("folders")
    assert other.names("") == ["many"]
