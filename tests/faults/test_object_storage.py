"""A run over object storage that misbehaves: the same shards, each once, each whole."""

import random
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import s3fs
from fakes import PAIR, echo, plan
from faults.proxy import Script, Seen, Traffic, between

from medgen.actors.local_pool import LocalPool
from medgen.engine.errors import BusyError, StoreError
from medgen.engine.plan.identity import Spec
from medgen.engine.plan.plan import Model, Plan, System
from medgen.engine.run.driver import Ending, Options, carry_out
from medgen.engine.run.reader import RunReader
from medgen.engine.run.survey import survey
from medgen.engine.store import s3
from medgen.engine.store.connect import connect
from medgen.engine.store.objects import Objects, RetryingObjects
from medgen.engine.threads import AT_ONCE

Proxied = Callable[[Script], Traffic]
Rows = dict[str, list[dict[str, object]]]
Refusal = tuple[str, type[StoreError], str]
Fault = tuple[str, float, Callable[[Seen], bool]]
COUNT = 16


@pytest.fixture
def proxied(
    s3_endpoint: str, s3_url: str, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Callable[[Script], Traffic]]:
    """Puts a proxy between this process and the bucket of `s3_url`."""
    open_ = []
    monkeypatch.setattr(RetryingObjects, "pause_s", 0.02)

    def start(script: Script) -> Traffic:
        context = between(s3_endpoint, script)
        traffic = context.__enter__()
        open_.append(context)
        monkeypatch.setenv("AWS_ENDPOINT_URL", traffic.url)
        s3fs.S3FileSystem.clear_instance_cache()
        return traffic

    yield start
    monkeypatch.setenv("AWS_ENDPOINT_URL", s3_endpoint)
    s3fs.S3FileSystem.clear_instance_cache()
    for context in open_:
        context.__exit__(None, None, None)


def sometimes(action: str, share: float, where: Callable[[Seen], bool], seed: int = 0) -> Script:
    """The action for a share of the requests that `where` chooses; below 1, not for ever."""
    drawn = random.Random(seed)

    def script(seen: Seen) -> str:
        over = share < 1 and seen.number % 3 == 2
        return action if where(seen) and not over and drawn.random() < share else "pass"

    return script


def work(objects: Objects) -> Plan:
    judges = {"fixed": Model(Spec("fakes:FixedJudge", {"name": "fixed"}), PAIR)}
    return plan(objects, System("echo", echo()), count=COUNT, judges=judges)


def carry(objects: Objects, work: Plan) -> Ending:
    reader = RunReader(objects, work)
    return carry_out(reader, survey(reader), LocalPool(), Options())


def rows(reader: RunReader) -> Rows:
    found = {}
    for node in reader.plan.nodes.values():
        tables = [reader.table(node, shard) for shard in range(reader.plan.shards)]
        assert all(table is not None for table in tables)
        found[node.stage] = [row for table in tables for row in table.to_pylist()]  # type: ignore[union-attr]
    return found


@pytest.fixture(scope="module")
def calm(tmp_path_factory: pytest.TempPathFactory) -> Rows:
    """The rows of an undisturbed run on a disk."""
    objects = connect(str(tmp_path_factory.mktemp("calm")))
    plan_ = work(objects)
    assert carry(objects, plan_) == Ending(False, {})
    return rows(RunReader(objects, plan_))


def any_(seen: Seen) -> bool:
    return True


def put(seen: Seen) -> bool:
    return seen.method == "PUT"


def put_shard(seen: Seen) -> bool:
    return seen.method == "PUT" and "/shard-" in seen.path


def get_object(seen: Seen) -> bool:
    return seen.method == "GET" and not seen.listing


@pytest.mark.slow
@pytest.mark.parametrize(
    "fault",
    [
        ("drop", 0.3, any_),
        ("drop_late", 0.3, any_),
        ("delay", 0.1, any_),
        ("repeat", 0.5, put),
        ("truncate", 0.3, get_object),
        ("truncate", 0.8, lambda seen: seen.listing),
        ("500", 0.3, any_),
        ("500_late", 0.5, put),
        ("503", 0.3, any_),
        ("429", 0.3, any_),
        ("409", 0.5, put_shard),
        ("412_late", 1.0, put_shard),
        ("501", 1.0, put),
        ("unconditional", 1.0, put),
        ("lag", 1.0, lambda seen: seen.listing),
    ],
    ids=lambda fault: fault[0],
)
def test_a_store_that_misbehaves_changes_no_row(
    proxied: Proxied, s3_endpoint: str, s3_url: str, calm: Rows, fault: Fault
) -> None:
    traffic = proxied(sometimes(*fault))
    objects = connect(s3_url)
    plan_ = work(objects)
    reader = RunReader(objects, plan_)
    assert carry_out(reader, survey(reader), LocalPool(), Options()) == Ending(False, {})
    assert traffic.done[fault[0]] > 1
    reader = reader.anew()
    assert not survey(reader).shards, "what was heard of is known, whatever a listing says"
    assert rows(reader) == calm
    assert objects_below(s3_endpoint, f"{s3_url}/stages") == expected_objects(reader)


def objects_below(endpoint: str, url: str) -> set[str]:
    """Names of objects as the server itself has them."""
    direct = s3fs.S3FileSystem(endpoint_url=endpoint, use_listings_cache=False)
    root = url.removeprefix("s3://")
    return {name.removeprefix(f"{root}/") for name in direct.find(root)}


def expected_objects(reader: RunReader) -> set[str]:
    """Each shard once, whole, and in one edition; what made them, and nothing else."""
    plan_ = reader.plan
    expected = set()
    for key, node in plan_.nodes.items():
        shards = [f"shard-{plan_.shard_name(node, i)}.arrow" for i in range(plan_.shards)]
        home = f"{node.stage}/{key}/{reader.editions[key]}"
        expected |= {f"{home}/{name}" for name in ("identity.json", *shards)}
        expected.add(f"{node.stage}/{key}/stage.json")
    return expected


def test_a_store_that_hangs_is_given_up_and_asked_again(
    proxied: Proxied, s3_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(s3._CONFIG, "read_timeout", 1)
    traffic = proxied(lambda seen: "hang" if seen.number == 0 and put(seen) else "pass")
    objects = connect(s3_url)
    # Written by the attempt that was never answered: the second finds it there.
    assert objects.create("a/one", b"bytes")
    assert objects.read("a/one") == b"bytes"
    assert traffic.done["hang"] == 1


def test_a_store_that_knows_no_conditional_writing_is_asked_first(
    proxied: Proxied, s3_url: str
) -> None:
    proxied(lambda seen: "501" if put(seen) else "pass")
    objects = connect(s3_url)
    assert objects.create("a/one", b"first")
    assert not objects.create("a/one", b"second")
    assert objects.read("a/one") == b"first"


@pytest.mark.parametrize(
    "case",
    [("403", StoreError, "right to"), ("503", BusyError, "fewer requests")],
    ids=lambda c: c[0],
)
def test_a_store_that_refuses_for_good_ends_the_run_and_keeps_what_is_there(
    proxied: Proxied,
    s3_url: str,
    case: tuple[str, type[StoreError], str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    written: list[str] = []
    action, kind, said = case

    def script(seen: Seen) -> str:
        if not put_shard(seen) or "/benchmarks/" in seen.path:
            return "pass"
        written.append(seen.path)
        return "pass" if len(written) <= 5 else action

    proxied(script)
    monkeypatch.setattr(RetryingObjects, "tries", 2)
    objects = connect(s3_url)
    plan_ = work(objects)
    with pytest.raises(StoreError, match=said):
        carry(objects, plan_)
    with pytest.raises(kind):
        objects.create("stages/x/y/shard-00000.arrow", b"x")
    proxied(lambda seen: "pass")
    objects = connect(s3_url)
    committed = 3 * plan_.shards - survey(RunReader(objects, plan_)).shards
    assert committed == 5
    assert carry(objects, plan_) == Ending(False, {})


def test_as_many_reads_are_under_way_as_a_unit_asks_for(proxied: Proxied, s3_url: str) -> None:
    connect(s3_url).create("a/one", b"x")
    together = threading.Barrier(AT_ONCE, timeout=5)

    def in_step(seen: Seen) -> str:
        if seen.method == "GET" and not seen.listing:
            together.wait()
        return "pass"

    proxied(in_step)
    with ThreadPoolExecutor(AT_ONCE) as threads:
        assert {*threads.map(connect(s3_url).read, ["a/one"] * AT_ONCE)} == {b"x"}
    assert not together.broken


def test_a_store_without_credentials_is_refused_at_once(
    proxied: Proxied, s3_url: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    proxied(lambda seen: "pass")
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "none"))
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "none"))
    with pytest.raises(StoreError, match="credentials") as refused:
        connect(s3_url).create("a/one", b"x")
    assert not isinstance(refused.value, BusyError), "asking again cannot help"


def test_a_bucket_that_is_not_there_is_named(proxied: Proxied, s3_url: str) -> None:
    proxied(lambda seen: "pass")
    with pytest.raises(StoreError, match="no-such-bucket-here"):
        connect("s3://no-such-bucket-here/x").create("a/one", b"x")
