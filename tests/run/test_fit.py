"""Who fits where: what a worker asks, what a machine offers, and the books of a driver."""

import os
from types import SimpleNamespace
from typing import Any

import pytest

from medgen.engine.errors import PlanError
from medgen.engine.plan.identity import Resources
from medgen.engine.run.fit import Ledger, check_fit, demand, holds, logical_cpus
from medgen.engine.run.pool import Machine

GIB = 2**30
SMALL = Machine("small", {"CPU": 4.0, "memory": 8.0 * GIB})
CARDS = Machine("cards", {"CPU": 8.0, "GPU": 2.0, "node:10.0.0.1": 1.0})


def plan(**groups: Resources) -> Any:
    """As much of a plan as is looked at."""
    found = {n: SimpleNamespace(name=n, resources=r) for n, r in groups.items()}
    return SimpleNamespace(groups=found)


def test_what_a_worker_asks_is_said_in_rays_words() -> None:
    asked = Resources(cpus=0.5, gpus=2, memory_gib=1.5, custom={"disk": 1, "none": 0})
    assert demand(asked) == {"CPU": 0.5, "GPU": 2, "memory": 1.5 * GIB, "disk": 1}
    assert demand(Resources(cpus=0)) == {}


@pytest.mark.parametrize(("cores", "logical"), [(2, 4), (4, 4), (16, 16), (None, 4)])
def test_a_small_machine_offers_four(
    monkeypatch: pytest.MonkeyPatch, cores: int | None, logical: int
) -> None:
    monkeypatch.setattr(os, "cpu_count", lambda: cores)
    assert logical_cpus() == logical


def test_enough_is_enough_up_to_rounding() -> None:
    assert holds({"CPU": 1.0}, {"CPU": 0.1 + 0.2 + 0.7})
    assert holds({"CPU": 1.0}, {"CPU": 1.0 + 1e-7})
    assert not holds({"CPU": 1.0}, {"CPU": 1.001})
    assert not holds({"CPU": 9.0}, {"GPU": 0.5})
    assert holds({}, {})


def test_a_plan_that_no_machine_can_hold_is_refused_with_numbers() -> None:
    check_fit(plan(a=Resources(cpus=4), b=Resources(gpus=2)), [SMALL, CARDS])
    with pytest.raises(PlanError) as told:
        check_fit(plan(a=Resources(gpus=4), b=Resources(cpus=1), c=Resources(cpus=9)), [CARDS])
    said = str(told.value)
    assert "a asks for 1 CPU, 4 GPU a worker; c asks for 9 CPU a worker. " in said
    assert "b asks" not in said
    assert "offers machine 0: 8 CPU, 2 GPU. " in said
    with pytest.raises(PlanError, match="offers none"):
        check_fit(plan(a=Resources()), [])


@pytest.mark.parametrize(
    ("names", "words"),
    [
        ("ab", "a and b ask for 1 CPU, 4 GPU a worker. "),
        ("abc", "a, b and c ask for 1 CPU, 4 GPU a worker. "),
        ("abcdef", "a, b, c and 3 more ask for 1 CPU, 4 GPU a worker. "),
    ],
)
def test_those_that_ask_the_same_are_named_together(names: str, words: str) -> None:
    with pytest.raises(PlanError, match=words):
        check_fit(plan(**dict.fromkeys(names, Resources(gpus=4))), [CARDS])


def test_memory_is_said_in_gib_and_nothing_is_refused_where_machines_may_come() -> None:
    with pytest.raises(PlanError, match=r"1 CPU, 9\.0 GiB memory a worker.* 4 CPU, 8\.0 GiB"):
        check_fit(plan(a=Resources(memory_gib=9)), [SMALL])
    check_fit(plan(a=Resources(memory_gib=9)), [SMALL], grows=True)


@pytest.fixture
def ledger() -> Ledger:
    made = Ledger()
    assert made.refresh([SMALL, CARDS])
    return made


def test_what_is_taken_is_gone_until_it_is_given_back(ledger: Ledger) -> None:
    asked = {"CPU": 3.0}
    assert ledger.places(asked) == ["small", "cards"]
    ledger.take("w1", "small", asked)
    assert ledger.places(asked) == ["cards"]
    ledger.move("w1", "cards")
    assert ledger.places(asked) == ["small", "cards"]
    assert ledger.free["cards"]["CPU"] == 5.0
    ledger.move("w1", "cards")
    ledger.move("nobody", "cards")  # neither says anything new
    assert ledger.free["cards"]["CPU"] == 5.0
    ledger.give("w1")
    ledger.give("w1")  # twice is once
    assert ledger.free == {"small": dict(SMALL.offers), "cards": dict(CARDS.offers)}


def test_a_machine_that_comes_again_still_holds_what_it_held(ledger: Ledger) -> None:
    ledger.take("w1", "small", {"CPU": 3.0})
    before = ledger.version
    assert not ledger.refresh([SMALL, CARDS])
    assert ledger.version == before
    assert ledger.refresh([CARDS])
    assert ledger.version > before
    assert ledger.refresh([SMALL, CARDS])
    assert ledger.free["small"]["CPU"] == 1.0


def test_nothing_new_is_put_where_a_machine_says_that_it_goes(ledger: Ledger) -> None:
    ledger.refresh([SMALL, Machine("cards", CARDS.offers, leaving=True)])
    assert ledger.places({"CPU": 1.0}) == ledger.could_hold({"CPU": 1.0}) == ["small"]
    assert (ledger.total("CPU"), ledger.total("GPU"), ledger.total("disk")) == (4.0, 0.0, 0.0)


def test_a_full_machine_could_hold_one_if_it_were_empty(ledger: Ledger) -> None:
    ledger.take("w1", "cards", {"GPU": 2.0})
    assert ledger.places({"GPU": 1.0}) == []
    assert ledger.could_hold({"GPU": 1.0}) == ["cards"]
