"""A run's spending cap: over all systems, stopping cleanly, and gone on from by another start."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from commands import Done, medgen
from fakes import Lines, answers
from hypothesis import given
from hypothesis import strategies as st
from models.loopback import Answer, Asked, Server, serve

from medgen.engine.benchmark.importing import ImportOptions, import_benchmark
from medgen.engine.errors import ConfigError
from medgen.engine.run.budget import Budget, _has_price, _most_for_sample
from medgen.engine.store.connect import connect

REPLY = {
    "model": "vlm",
    "choices": [{"message": {"content": "reference"}, "finish_reason": "stop"}],
    "usage": {"prompt_tokens": 10, "completion_tokens": 500_000},  # half a dollar
}


def reply(_: Asked) -> Answer:
    return Answer(REPLY)


@pytest.fixture
def endpoint() -> Iterator[Server]:
    with serve(reply) as server:
        yield server


def system(name: str, server: Server, **prices: float) -> dict[str, Any]:
    kwargs = {"model": "vlm", "endpoint": {"base_url": f"{server.url}/v1"}, "prices": prices}
    style = {"prompt": "answer/1", "sampling": {"seed": len(name)}}  # another key each
    return {"name": name, "answer": answers("openai", style, **kwargs)}


def run(tmp_path: Path, systems: list[dict[str, Any]], *overrides: str) -> Done:
    """`medgen run` over twelve samples in three shards, and what it said."""
    store = str(tmp_path / "store")
    import_benchmark(Lines(12), connect(store), ImportOptions("fake", 4))
    body = {
        "name": "spending",
        "store": store,
        "benchmark": {"name": "fake"},
        "systems": systems,
        "protocol": {"name": "text", "metrics": {"token_f1": {}}},
        "cluster": "in-process",
        "report": False,
    }
    (tmp_path / "run.yaml").write_text(yaml.safe_dump(body))
    return medgen("run", "--config", str(tmp_path / "run.yaml"), *overrides)


def paid(endpoint: Server) -> int:
    """Requests for a reply; which models are served is asked beside them, for nothing."""
    return sum(asked.method == "POST" for asked in endpoint.asked)


def test_the_cap_holds_over_all_systems_and_every_start_goes_on(
    endpoint: Server, tmp_path: Path
) -> None:
    systems = [system(name, endpoint, completion=1.0) for name in ("a", "bb")]
    systems.append(system("free", endpoint))
    asked = []
    for start in range(3):
        done = run(tmp_path, systems, "spending_cap_usd=5")
        asked.append(paid(endpoint))
        assert "Traceback" not in done.stderr
        assert done.returncode == (0 if start == 2 else 3), done.stderr
        if start < 2:
            assert "spending cap of $5 is reached: $4.0000 were spent" in done.stderr
    # Two dollars a shard: two shards fit at each start, a third would not. The free one goes on.
    assert asked == [8 + 12, 16 + 12, 24 + 12]


def test_without_a_cap_the_run_goes_through(endpoint: Server, tmp_path: Path) -> None:
    done = run(tmp_path, [system("a", endpoint, completion=1.0)])
    assert done.returncode == 0, done.stderr
    assert paid(endpoint) == 12


def test_a_cap_is_a_positive_number(endpoint: Server, tmp_path: Path) -> None:
    done = run(tmp_path, [system("a", endpoint, completion=1.0)], "spending_cap_usd=-1")
    assert done.returncode == 2
    assert "spending_cap_usd is a positive number" in done.stderr
    assert not endpoint.asked
    for cap in (0.0, float("nan"), float("inf")):
        with pytest.raises(ConfigError):
            Budget(cap)


def test_open_samples_count_like_the_dearest_so_far() -> None:
    budget = Budget(10.0)
    assert budget.allows("a", 4, {}), "nothing is known yet"
    assert not budget.allows("a", 4, {"a": 4}), "one goes first, to find out"
    budget.pay("a", 3.0, 4)
    budget.pay("a", 2.0, 4)
    assert budget.allows("a", 4, {}), "5 spent, 3 more fit"
    assert not budget.allows("a", 4, {"a": 4}), "5 spent, 3 open, 3 more do not fit"
    assert budget.allows("a", 2, {"a": 4}), "half as many samples do"
    assert budget.allows("b", 4, {}), "unknown, so priced like a"
    assert not budget.allows("b", 4, {"a": 4})
    budget.pay("b", 5.0, 4)
    assert not budget.allows("c", 1, {}), "spent to the last cent"
    assert Budget(None).allows("a", 4, {"a": 99})
    assert "higher `spending_cap_usd`" in budget.reason()


def test_a_larger_shard_is_priced_by_its_samples() -> None:
    budget = Budget(1.0)
    budget.pay("a", 0.48, 4)
    assert not budget.allows("a", 5, {}), "five samples at $0.12 would be $1.08"
    assert budget.allows("a", 4, {})


def test_a_unit_that_comes_back_dearer_than_zero_never_lowers_what_was_spent() -> None:
    budget = Budget(1.0, spent_usd=0.5)
    budget.pay("a", -3.0, 4)
    assert budget.spent_usd == 0.5


def test_a_stated_price_holds_before_anything_is_known() -> None:
    budget = Budget(1.0, stated={"a": 0.25})
    assert budget.allows("a", 4, {})
    assert not budget.allows("a", 5, {})
    assert budget.allows("a", 2, {"a": 2})
    assert not budget.allows("a", 2, {"a": 4})


@pytest.mark.parametrize(
    ("kwargs", "usd"),
    [
        ({"prices": {"request": 0.25}}, 0.25),
        ({"prices": {"image": 0.04}}, 0.04),
        ({"prices": [{"image": 0.04}, {"request": 0.25}]}, 0.25),
        ({"prices": {"completion": 10}, "style": {"sampling": {"max_tokens": 1000}}}, 0.01),
        ({"prices": {"completion": 10}, "body": {"max_completion_tokens": 4000}}, 0.04),
        ({"prices": {"request": 0.1}, "protocol": "table-iv/1", "repeats": 3}, 0.6),
        ({"prices": {"request": True}}, 0.0),
        ({"prices": {"prompt": 10}}, 0.0),
        ({"prices": None}, 0.0),
        ({}, 0.0),
    ],
)  # fmt: skip
def test_a_recipe_states_what_a_sample_costs_at_most(kwargs: dict[str, Any], usd: float) -> None:
    assert _most_for_sample(kwargs) == pytest.approx(usd)


@pytest.mark.parametrize(
    ("kwargs", "charges"),
    [
        ({"prices": {"image": 0.04}}, True),
        ({"prices": [{"image": 0.0}, {"image": 0.04}]}, True),
        ({"chat": {"kwargs": {"prices": [{"prompt": 1}]}}}, True),
        ({"prices": [{"image": 0}, []]}, False),
        ({"image": 0.04}, False),
    ],
)
def test_a_price_in_a_list_charges_too(kwargs: dict[str, Any], charges: bool) -> None:
    assert _has_price(kwargs) is charges


@given(st.lists(st.tuples(st.integers(1, 9), st.floats(0.01, 0.2)), min_size=1, max_size=30))
def test_no_cap_is_passed_by_more_than_one_unit_costs_beyond_its_price(
    units: list[tuple[int, float]],
) -> None:
    budget = Budget(2.0, stated={"a": 0.05})
    for samples, each in units:
        before, price = budget.spent_usd, budget._price("a")
        if not budget.allows("a", samples, {}):
            assert before + samples * price > 2.0 - 1e-6
            continue
        budget.pay("a", samples * each, samples)
        assert budget.spent_usd <= 2.0 + samples * max(0.0, each - price) + 1e-6
