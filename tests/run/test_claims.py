"""Who may do a range of shards: one driver at a time, and a dead one no longer than its lease."""

import json
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from benchmarks._counted import CountedObjects
from medgen.engine.run.claims import Claims, Range, remove_void
from medgen.engine.run.presence import LONGEST_S, Presence, Watch, Who
from medgen.engine.store.connect import connect
from medgen.engine.store.layout import RunPlace, claim
from medgen.engine.store.objects import Objects

LEASE = 60.0
PLACE = Range("key", "a")


class Hands:
    """A clock that a test moves."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def objects(tmp_path: Path) -> Objects:
    return connect(str(tmp_path / "store"))


def driver(
    objects: Objects, clock: Hands, seconds: float = LEASE, elsewhere: bool = True
) -> Claims:
    """A driver that renews when the test says so; `elsewhere` on a machine of its own."""
    presence = Presence(objects, "run", seconds, clock)
    presence.renew()
    if elsewhere:
        path = RunPlace("run").presence(presence.who.driver)
        said = {**json.loads(objects.read(path)), "machine": "another"}
        objects.replace(path, json.dumps(said).encode())
    return Claims(objects, presence, Watch(objects, LEASE, clock))


def look_until(claims: Claims, clock: Hands, seconds: float, act: Callable[[], None]) -> bool:
    """Look every 10 s whether the range is free; whether it became so in so many seconds."""
    for _ in range(int(seconds / 10)):
        if claims.is_free(PLACE):
            return True
        clock.now += 10
        act()
    return claims.is_free(PLACE)


def test_one_of_two_has_a_range_until_it_is_given_back(objects: Objects) -> None:
    clock = Hands()
    one, two = driver(objects, clock), driver(objects, clock)
    assert one.take(PLACE)
    assert one.holds(PLACE)
    assert not two.take(PLACE)
    assert two.take(Range("key", "b")), "another range is free"
    one.drop(PLACE)
    assert two.take(PLACE)
    assert not one.take(PLACE)


def test_a_free_range_is_had_for_one_write_and_one_listing_however_many_others_one_has() -> None:
    counted = CountedObjects()
    claims = driver(counted, Hands())
    for span in "abcd":
        counted.seen.clear()
        assert claims.take(Range("key", span))
        assert counted.seen == {("claims", "PUT"): 1, ("claims", "LIST"): 1}


def test_ranges_of_several_keys_are_had_for_a_write_each_and_one_listing() -> None:
    counted = CountedObjects()
    one, two = driver(counted, Hands()), driver(counted, Hands())
    assert two.take(Range("key-3", "a"))
    places = [Range(f"key-{n}", "a") for n in range(9)]
    counted.seen.clear()
    assert one.take_all(places) == [place for place in places if place.scope != "key-3"]
    assert counted.seen["claims", "LIST"] == 1
    assert counted.seen["claims", "PUT"] == 9
    assert all(one.holds(place) == (place.scope != "key-3") for place in places)


def test_who_renews_is_never_taken_for_dead_whatever_the_clocks_say(objects: Objects) -> None:
    clock = Hands()
    one, two = driver(objects, clock), driver(objects, clock)
    one.presence.clock = lambda: clock.now * 1.0 + 3600.0  # an hour ahead
    one.presence.renew()
    assert one.take(PLACE)
    assert not look_until(two, clock, 1200, one.presence.renew)


def test_who_falls_silent_is_followed_after_the_lease_and_not_before(objects: Objects) -> None:
    clock = Hands()
    one, two = driver(objects, clock), driver(objects, clock)
    assert one.take(PLACE)
    assert not look_until(two, clock, LEASE - 10, lambda: None)
    assert look_until(two, clock, 20, lambda: None)
    assert two.take(PLACE)


def test_the_lease_is_as_long_as_its_holder_says(objects: Objects) -> None:
    clock = Hands()
    one, two = driver(objects, clock, 300.0), driver(objects, clock, 5.0)
    assert one.take(PLACE)
    assert not look_until(two, clock, 290, lambda: None)
    assert look_until(two, clock, 30, lambda: None)


def test_who_was_stopped_hands_nothing_out_when_it_goes_on(objects: Objects) -> None:
    clock = Hands()
    one, two = driver(objects, clock), driver(objects, clock)
    assert one.take(PLACE)
    assert look_until(two, clock, 2 * LEASE, lambda: None)
    assert not one.holds(PLACE), "its last look at its tombstone is too long ago"
    assert two.take(PLACE)
    one.presence.renew()
    assert one.presence.is_lost
    assert not one.holds(PLACE)
    one.end()
    two.presence.renew()
    assert two.holds(PLACE)
    third = driver(objects, clock)
    assert not third.take(PLACE), "what the first gave back was not its own any more"


def test_who_renews_in_the_very_moment_of_its_burial_is_not_followed_at_once(
    objects: Objects,
) -> None:
    clock = Hands()
    one, two = driver(objects, clock), driver(objects, clock)
    assert one.take(PLACE)
    assert not look_until(two, clock, LEASE - 10, lambda: None)
    clock.now += 10
    create = objects.create

    def late(path: str, data: bytes) -> bool:
        if path.endswith(".gone"):
            one.presence.renew()  # before the tombstone stands: it sees none
        return create(path, data)

    objects.create = late  # type: ignore[method-assign]
    assert not two.is_free(PLACE)
    assert one.holds(PLACE)
    for _ in range(3):
        clock.now += 10
        assert not (one.holds(PLACE) and two.is_free(PLACE))
    clock.now += 10
    assert not one.holds(PLACE)
    assert two.is_free(PLACE)


def test_a_watcher_that_was_stopped_itself_begins_to_watch_anew(objects: Objects) -> None:
    clock = Hands()
    one, two = driver(objects, clock), driver(objects, clock)
    assert one.take(PLACE)
    assert not two.is_free(PLACE)
    clock.now += 1000  # both were stopped, and the watcher wakes first
    assert not two.is_free(PLACE)
    one.presence.renew()
    assert not look_until(two, clock, 600, one.presence.renew)


def test_a_process_of_this_machine_that_is_gone_is_not_waited_for(
    objects: Objects, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = Hands()
    one, two = driver(objects, clock, elsewhere=False), driver(objects, clock)
    assert one.take(PLACE)
    assert not two.is_free(PLACE), "this very process lives"
    monkeypatch.setattr("medgen.engine.run.presence._began", lambda pid: "")
    assert two.is_free(PLACE)
    assert two.take(PLACE)


@pytest.mark.parametrize(
    "words",
    [
        b"",
        b"\x00\xff",
        b"[]",
        b"{}",
        b'{"run": "../..", "driver": "x"}',
        b'{"run": 1, "driver": {}}',
    ],
)
def test_a_claim_that_cannot_be_read_is_waited_for_as_long_as_a_lease(
    objects: Objects, words: bytes
) -> None:
    clock = Hands()
    objects.create(claim("key", "a", 1), words)
    claims = driver(objects, clock)
    assert not claims.take(PLACE)
    assert not look_until(claims, clock, LEASE - 10, lambda: None)
    assert look_until(claims, clock, 20, lambda: None)
    assert claims.take(PLACE)


@pytest.mark.parametrize(
    ("words", "seconds"),
    [
        (b"", LEASE),
        (b"\xff", LEASE),
        (b'{"seconds": "long", "pid": "x"}', LEASE),
        (b'{"seconds": -1}', LEASE),
        (b'{"seconds": 1e300, "version": 99}', LONGEST_S),
        (b'{"seconds": 90, "version": 99, "more": []}', 90.0),
    ],
)
def test_a_sign_of_life_in_any_form_holds_while_it_changes(
    objects: Objects, words: bytes, seconds: float
) -> None:
    clock = Hands()
    path = RunPlace("run").presence("other")
    objects.create(claim("key", "a", 1), b'{"run": "run", "driver": "other", "new": 1}')
    objects.create(path, words)
    claims = driver(objects, clock)
    changes = iter(range(10**6))
    step = lambda: objects.replace(path, words + b" " * (next(changes) % 7))  # noqa: E731
    assert not look_until(claims, clock, 2 * seconds, step)
    assert not look_until(claims, clock, seconds - 20, lambda: None)
    assert look_until(claims, clock, 40, lambda: None)


def test_the_next_of_a_dead_one_is_one_driver_of_many(objects: Objects) -> None:
    clock = Hands()
    dead = driver(objects, clock)
    assert dead.take(PLACE)
    dead.presence.end()
    many = [driver(objects, clock) for _ in range(8)]
    barrier, got = threading.Barrier(len(many)), list[Claims]()

    def race(claims: Claims) -> None:
        barrier.wait()
        if claims.take(PLACE):
            got.append(claims)

    threads = [threading.Thread(target=race, args=(claims,)) for claims in many]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(got) == 1


def test_what_is_cut_otherwise_is_not_claimed_beside(objects: Objects) -> None:
    clock = Hands()
    one, two = driver(objects, clock), driver(objects, clock)
    assert one.take(Range("key", "a", "cut"))
    other = Range("key", "b", "another cut")
    assert not two.take(other)
    assert not two.is_free(other)
    assert two.take(Range("key", "b", "cut"))
    two.drop(Range("key", "b", "cut"))
    one.drop(Range("key", "a", "cut"))
    assert two.take(other)
    assert objects.names("claims/key") == ["b-1.json"], "what is given back leaves nothing"


def test_a_listing_that_lags_lets_nobody_have_what_another_has(objects: Objects) -> None:
    clock = Hands()
    one, two = driver(objects, clock), driver(objects, clock)
    assert one.take(PLACE)
    two.objects.names = lambda folder: []  # type: ignore[method-assign]
    assert not two.take(PLACE)


def test_nobody_named_is_gone_without_a_sign_of_life(objects: Objects) -> None:
    assert Watch(objects).is_gone(Who("run", "never"))


def test_claims_of_who_is_gone_are_removed_and_no_others(objects: Objects) -> None:
    clock = Hands()
    dead, alive = driver(objects, clock), driver(objects, clock)
    assert dead.take(PLACE)
    assert alive.take(Range("key", "b"))
    objects.create(claim("key", "c", 1), b"rubbish")
    objects.delete(RunPlace("run").presence(dead.presence.who.driver))  # its run was removed
    assert remove_void(objects) == 1
    assert objects.names("claims/key") == ["b-1.json", "c-1.json"]


def test_a_claim_of_its_own_is_free_to_a_driver_and_to_no_other(objects: Objects) -> None:
    clock = Hands()
    one, two = driver(objects, clock), driver(objects, clock)
    assert one.take(PLACE)
    assert one.is_free(PLACE), "it stands there by its own hand"
    assert not two.is_free(PLACE)
