"""The lease's laws, in every kind of store, with a clock that the test moves."""

from concurrent.futures import ThreadPoolExecutor
from threading import Event

import pytest

from medgen.engine.store.connect import connect
from medgen.engine.store.lease import Lease, LeaseHeld, LeaseLost

FOLDER = "nightly/x/lease"


class Clock:
    def __init__(self) -> None:
        self.now = 1_000_000.0

    def __call__(self) -> float:
        return self.now

    def move(self, seconds: float) -> None:
        self.now += seconds


@pytest.fixture
def clock() -> Clock:
    return Clock()


def lease(url: str, clock: Clock, seconds: float = 60) -> Lease:
    return Lease(connect(url), FOLDER, seconds, clock)


def test_one_at_a_time(store_url: str, clock: Clock) -> None:
    first, second = lease(store_url, clock), lease(store_url, clock)
    first.take()
    with pytest.raises(LeaseHeld, match=first.holder):
        second.take()
    first.release()
    second.take()


def test_it_is_taken_over_after_its_end_and_not_before(store_url: str, clock: Clock) -> None:
    dead, heir = lease(store_url, clock), lease(store_url, clock)
    dead.take()
    before = clock.now
    with pytest.raises(LeaseHeld):
        heir.take()
    heir.outlive(lambda words: None, clock.move)
    assert 60 <= clock.now - before <= 63
    # The one who was thought dead learns of it, and cannot take it back nor release it.
    with pytest.raises(LeaseLost):
        dead.renew()
    dead.release()
    with pytest.raises(LeaseHeld, match=heir.holder):
        lease(store_url, clock).take()


def test_a_holder_that_died_is_outlived(store_url: str, clock: Clock) -> None:
    lease(store_url, clock).take()
    start, told = clock.now, []

    def pause(seconds: float) -> None:
        clock.now += seconds

    heir = lease(store_url, clock)
    heir.outlive(told.append, pause)
    assert 60 <= clock.now - start <= 63
    assert "waiting to see" in told[0]
    assert len(told) == 1
    with pytest.raises(LeaseHeld, match=heir.holder):
        lease(store_url, clock).take()


def test_a_holder_that_lives_is_given_way_to(store_url: str, clock: Clock) -> None:
    holder = lease(store_url, clock)
    holder.take()
    start = clock.now

    def pause(seconds: float) -> None:
        clock.now += seconds
        if clock.now - start >= 20:
            holder.renew()

    with pytest.raises(LeaseHeld, match=holder.holder):
        lease(store_url, clock).outlive(lambda words: None, pause)
    assert clock.now - start < 25


def test_one_that_is_released_meanwhile_is_taken(store_url: str, clock: Clock) -> None:
    holder = lease(store_url, clock)
    holder.take()
    told: list[str] = []
    lease(store_url, clock).outlive(told.append, lambda seconds: holder.release())
    assert len(told) == 1


def test_renewing_keeps_it(store_url: str, clock: Clock) -> None:
    holder = lease(store_url, clock)
    holder.take()
    for _ in range(5):
        clock.now += 50
        holder.renew()
    with pytest.raises(LeaseHeld):
        lease(store_url, clock).take()


def test_of_many_at_once_one_wins(shared_url: str, clock: Clock) -> None:
    def attempt(_: int) -> bool:
        try:
            lease(shared_url, clock).take()
        except LeaseHeld:
            return False
        return True

    with ThreadPoolExecutor(8) as threads:
        assert sum(threads.map(attempt, range(8))) == 1


def test_clocks_of_machines_may_say_what_they_like(store_url: str) -> None:
    ahead, behind = Clock(), Clock()
    ahead.now += 3600
    behind.now -= 3600
    holder = lease(store_url, ahead)
    holder.take()

    def pause(seconds: float) -> None:
        behind.move(seconds)
        ahead.move(seconds)
        holder.renew()

    with pytest.raises(LeaseHeld, match=holder.holder):
        lease(store_url, behind).outlive(lambda words: None, pause)


def test_a_lease_lasts_as_long_as_its_holder_says(store_url: str, clock: Clock) -> None:
    lease(store_url, clock, 600).take()
    before = clock.now
    lease(store_url, clock, 5).outlive(lambda words: None, clock.move)
    assert clock.now - before >= 600


def test_old_holdings_do_not_pile_up(memory_url: str, clock: Clock) -> None:
    objects = connect(memory_url)
    for _ in range(12):
        each = lease(memory_url, clock)
        each.take()
        each.release()
    names = objects.names(FOLDER)
    assert len(names) <= 5
    assert names[-1] == "lease-000012.json", "numbers only grow"


def test_it_is_kept_in_the_background_and_its_loss_is_told(memory_url: str, clock: Clock) -> None:
    lost = Event()
    holder = Lease(connect(memory_url), FOLDER, 0.3, clock)
    with holder.hold(lost.set, lambda words: None):
        before = connect(memory_url).read(f"{FOLDER}/lease-000001.json")
        clock.now += 0.1
        until = Event()
        while connect(memory_url).read(f"{FOLDER}/lease-000001.json") == before:
            until.wait(0.02)
        assert not lost.is_set()
        lease(memory_url, clock).outlive(lambda words: None, clock.move)
        assert lost.wait(10)
