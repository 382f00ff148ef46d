"""Pace and spending cap of an endpoint hold over all workers, and over deaths of who counts."""

import asyncio
import os
import shutil
import threading
import time
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from fakes import answers, echo, plan
from models.loopback import Answer, Asked, serve

from medgen.actors.local_pool import LocalPool
from medgen.adapters.http.client import HttpClient
from medgen.adapters.http.endpoint import Call, Endpoint, Reply
from medgen.engine.errors import AdapterError, ConfigError, SpendingError
from medgen.engine.limiting import (
    Journal,
    Ledger,
    Limits,
    OwnLimiters,
    Ticket,
    is_limited,
    with_limiters,
)
from medgen.engine.plan.identity import Resources, Spec
from medgen.engine.plan.plan import Model, System
from medgen.engine.run.desk import Out
from medgen.engine.run.driver import Driver, Options, carry_out
from medgen.engine.run.faults import slot_of
from medgen.engine.run.reader import RunReader
from medgen.engine.run.survey import survey
from medgen.engine.store.connect import connect

ONE = {"choices": [{"message": {"content": "reference"}, "finish_reason": "stop"}], "model": "m"}
DIME = {**ONE, "usage": {"prompt_tokens": 1, "completion_tokens": 100_000}}
WORKERS = 4


def test_open_requests_count_against_the_cap() -> None:
    ledger = Ledger(Limits(spending_cap_usd=1.0))
    ledger.admit(Ticket("a", usd=0.6), 0.0)
    with pytest.raises(SpendingError, match=r"\$0\.6000 in open requests"):
        ledger.admit(Ticket("b", usd=0.6), 0.0)
    ledger.admit(Ticket("c", usd=0.4), 0.0)
    ledger.settle(Ticket("c", usd=0.4), 0, 0.1)
    assert ledger.committed_usd == pytest.approx(0.7)
    ledger.settle(Ticket("a", usd=0.6), 0, -3.0)
    assert ledger.committed_usd == ledger.spent_usd == pytest.approx(0.1)


@pytest.mark.parametrize("cap", [0.0, -1.0, float("nan"), float("inf")])
def test_a_cap_must_be_money(cap: float) -> None:
    with pytest.raises(ConfigError):
        Limits(spending_cap_usd=cap)


def test_a_recipe_says_whether_its_workers_share_limits() -> None:
    kwargs: dict[str, Any] = {"chat": {"kwargs": {"endpoint": {"requests_per_minute": 60}}}}
    assert is_limited(kwargs)
    kwargs["chat"]["kwargs"]["endpoint"] = {"requests_per_minute": None, "concurrency": 3}
    assert not is_limited(kwargs)


@pytest.mark.parametrize(
    ("limits", "seconds"),
    [
        ({"requests_per_minute": 10}, 6.0),
        ({"tokens_per_minute": 8192.0, "requests_per_minute": 10}, 60.0),
        ({"spending_cap_usd": 1.0, "requests_per_minute": None}, 0.0),
    ],
)
def test_what_waits_for_its_turn_at_a_paced_endpoint_does_not_hang(
    tmp_path: Path, limits: dict[str, Any], seconds: float
) -> None:
    chat = answers("openai", model="m", endpoint={"base_url": "http://there", **limits})
    objects = connect(str(tmp_path / "store"))
    work = plan(objects, System("paced", Model(Spec(**chat), Resources(0.1))), System("e", echo()))
    reader = RunReader(objects, work)
    driver = Driver(reader, survey(reader), LocalPool(), Options(deadline_s=1800.0))
    paced, free = (n.group for s in ("paced", "e") for n in work.predictions(s))
    outs = []
    for group, shard in ((paced, 0), (paced, 1), (free, 0)):
        unit = driver.board.queues[group].fresh[shard]
        outs.append(Out(unit, slot_of(unit), "w", "m", 0.0, 100))
        driver.desk.hand_out(outs[-1])
    late, hung = (
        [of(out) for out in outs] for of in (driver.staff.late_after, driver.staff.deadline)
    )
    assert late == [1800.0 + 200 * seconds, 1800.0 + 200 * seconds, 1800.0]
    assert hung == [1800.0 + 600 * seconds, 1800.0 + 600 * seconds, 1800.0]


def test_who_counts_goes_on_where_it_died_and_counts_nothing_twice(tmp_path: Path) -> None:
    limits, path = Limits(60.0, spending_cap_usd=1.0), tmp_path / "journal"
    tickets = [Ticket(f"t{number}", usd=0.3) for number in range(4)]
    told: list[float] = []
    for number in range(3):  # each request finds another life of the ledger
        told.append(Ledger(limits, Journal(path)).admit(tickets[number], 100.0))
        again = Ledger(limits, Journal(path))
        assert again.admit(tickets[number], 100.0) == told[-1], "a call that was made again"
    assert told == [0.0, 1.0, 2.0]
    for _ in range(2):
        Ledger(limits, Journal(path)).settle(tickets[0], 0, 0.2)
    with path.open("ab") as torn:
        torn.write(b'["t9", 0, 5')
    last = Ledger(limits, Journal(path))
    assert (last.spent_usd, last.committed_usd) == pytest.approx((0.2, 0.8))
    with pytest.raises(SpendingError):
        last.admit(tickets[3], 100.0)
    last.settle(tickets[1], 0, 0.0)
    assert Ledger(limits, Journal(path)).admit(tickets[3], 100.0) == 3.0


def test_limits_hold_over_all_clients_of_a_run() -> None:
    """Four workers in one process; a fifth client, of another model, has its own."""

    def worker(client: HttpClient, replies: list[object]) -> None:
        call = Call(json={}, at_most_usd=0.1, price=lambda _: (None, 0.1))
        replies += client.map(lambda _: client.post("do", call), range(5))

    with serve(lambda _: Answer({})) as server:
        limits = {"requests_per_minute": 1200.0, "spending_cap_usd": 1.55}  # one every 50 ms
        endpoint = Endpoint(base_url=server.url, **limits)  # type: ignore[arg-type]
        limiters = OwnLimiters(time.monotonic)
        clients = [make(limiters, endpoint, "m") for _ in range(WORKERS)]
        replies: list[list[object]] = [[] for _ in clients]
        threads = [
            threading.Thread(target=_quietly(worker), args=given)
            for given in zip(clients, replies, strict=True)
        ]
        begun = time.monotonic()  # not the first arrival: a busy machine may delay that one
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        asked = sorted(a.at for a in server.asked)
        same = make(limiters, Endpoint(base_url=f"{server.url}/", **limits), "m")  # type: ignore[arg-type]
        with pytest.raises(SpendingError):
            same.map(lambda _: same.post("do", Call(json={}, at_most_usd=0.1)), [0])
        other = make(limiters, endpoint, "another")
        assert isinstance(other.map(lambda _: other.post("do", Call(json={})), [0])[0], Reply)
    for client in (*clients, same, other):
        client.close()
    assert len(asked) == 15
    assert asked[-1] - begun >= 14 * 0.05


def make(limiters: OwnLimiters, endpoint: Endpoint, model: str) -> HttpClient:
    return with_limiters(limiters, lambda: HttpClient(endpoint, model=model))


def _quietly(work: Callable[..., None]) -> Callable[..., None]:
    """A worker that gets nothing at all from the cap is told so by an exception."""

    def run(*given: Any) -> None:
        try:
            work(*given)
        except SpendingError:
            return

    return run


@pytest.mark.cluster
def test_limits_hold_over_four_actors_and_a_death_of_who_counts(
    tmp_path: Path, local_ray: str
) -> None:
    import ray

    from medgen.actors.ray_pool import RayPool

    pool, killed = RayPool(), threading.Event()

    def reply(asked: Asked) -> Answer:
        if asked.method == "GET":
            return Answer({"data": [{"id": "m"}]})
        if not killed.is_set() and sum(a.method == "POST" for a in server.asked) >= 5:
            killed.set()
            assert pool.limiters is not None
            ray.kill(pool.limiters.keeper, no_restart=False)  # type: ignore[arg-type]
        return Answer(DIME)

    with serve(reply) as server:
        endpoint = {
            "base_url": f"{server.url}/v1",
            "requests_per_minute": 600,  # one every 100 ms
            "spending_cap_usd": 1.55,
        }
        prices = {"completion": 1.0, "request": 0.1}
        given = answers("openai", model="m", endpoint=endpoint, prices=prices)
        objects = connect(str(tmp_path / "store"))
        served = System("served", Model(Spec(**given), Resources(0.1, workers=WORKERS)))
        work = plan(objects, served, count=48, shard_size=2)
        reader = RunReader(objects, work)
        carry_out(reader, survey(reader), pool, Options())
        pool.shutdown()
        times = sorted(a.at for a in server.asked if a.method == "POST")
    assert killed.is_set()
    assert len(times) == 15
    assert all(later - sooner >= 0.7 for sooner, later in zip(times, times[9:], strict=False))


def test_who_counts_and_cannot_be_asked_any_more_is_said() -> None:
    from ray.exceptions import RayActorError

    from medgen.actors.limiter import RayLimiter

    class Gone:
        async def remote(self, *_: object) -> None:
            raise RayActorError

    class Keeper:
        admit = settle = forget = Gone()

    limiter = RayLimiter(Keeper(), "http://there m", Limits(60.0))
    with pytest.raises(AdapterError, match="not known any more: start again"):
        asyncio.run(limiter.admit(Ticket("a")))
    asyncio.run(limiter.settle(Ticket("a"), 0, 0.0))  # the reply that was paid for stays


def test_who_counts_takes_up_its_journal_and_knows_when_it_is_gone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from medgen.actors import limiter

    lives = SimpleNamespace(was_current_actor_reconstructed=False)
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    monkeypatch.setattr(limiter.ray, "get_runtime_context", lambda: lives)
    limits, first, second = Limits(spending_cap_usd=1.0), Ticket("a", usd=0.7), Ticket("b", usd=0.7)
    left = [tmp_path / f"medgen-limits-{name}" for name in ("killed-long-ago", "another-run")]
    for folder in left:
        folder.mkdir()
        (folder / "a.jsonl").touch()
    for path in (left[0] / "a.jsonl", left[0], left[1]):
        os.utime(path, (0, 0))
    assert limiter.Keeper("run").admit("http://there m", limits, first) == 0.0
    assert [folder.exists() for folder in left] == [False, True]
    shutil.rmtree(left[1])
    lives.was_current_actor_reconstructed = True
    again = limiter.Keeper("run")
    assert "cap of $1 reached" in str(again.admit("http://there m", limits, second))
    assert again.admit("http://elsewhere m", limits, second) == 0.0
    again.settle("http://there m", limits, first, 0, 0.2)
    again.forget()
    assert list(tmp_path.iterdir()) == []
    with pytest.raises(FileNotFoundError, match="start again"):
        limiter.Keeper("run").admit("http://there m", limits, second)
