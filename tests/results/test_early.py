"""A system that may be the best is not stopped early more often than was said; a bad one is."""

import numpy as np
import pytest

from medgen.engine.results.coded import Coded
from medgen.engine.results.columns import Column, Context
from medgen.engine.results.comparison import Cell, PairedColumn, cells
from medgen.engine.results.early import Race, looks
from medgen.engine.results.gate import GateRules
from medgen.engine.results.statistics import Floats, binomial_interval
from medgen.engine.results.thresholds import Threshold

SAMPLES, SHARD = 320, 10
SYSTEMS = ("best", "b", "c", "d")
LOOKS = looks(SAMPLES // SHARD)
SHARP = GateRules(margin_sd=0.0, flips=999, alpha=0.1)  # nothing is tolerated
Values = dict[str, dict[str, Floats]]  # system -> value -> of each sample


def draw(rng: np.random.Generator, losses: dict[str, float]) -> Values:
    """Two values of samples that share their difficulty; four samples of each patient."""
    patients = np.repeat(np.arange(SAMPLES // 4), 4)
    difficulty = rng.normal(size=SAMPLES) + rng.normal(size=SAMPLES // 4)[patients]
    found: Values = {}
    for system in SYSTEMS:
        luck = 0.5 * rng.normal(size=SAMPLES // 4)[patients]
        skill = luck - difficulty - losses.get(system, 0.0)
        found[system] = {v: skill + rng.normal(size=SAMPLES) for v in ("one", "two")}
    return found


def context(count: int) -> Context:
    same = np.zeros(count, dtype=np.int16)
    word = Coded(("x",), same)
    return Context(word, word, word, Coded(("ok",), same), np.arange(count, dtype=np.int32))


def column(name: str, values: Floats) -> Column:
    status = Coded(("ok",), np.zeros(len(values), dtype=np.uint8))
    return Column("", "score", name, name, name, values, status, context(len(values)))


def race(drawn: Values, rules: GateRules) -> Race:
    def pairs(shards: int, better: str, other: str) -> list[Cell]:
        n = shards * SHARD
        made = [
            PairedColumn(
                column(v, drawn[better][v][:n]),
                column(v, drawn[other][v][:n]),
                np.arange(n) // 4,
                Threshold(direction="higher"),
            )
            for v in drawn[better]
        ]
        return [c for one in made for c in cells(one) if c.group.kind == "all"]

    def means(shards: int, system: str) -> dict[tuple[str, ...], float]:
        n = shards * SHARD
        return {(v,): float(values[:n].mean()) for v, values in drawn[system].items()}

    return Race(SYSTEMS, LOOKS, rules, means, pairs)


def finish(one: Race) -> dict[str, str]:
    for shards in LOOKS:
        one.look(shards, SYSTEMS, SYSTEMS)
    return one.out


@pytest.mark.parametrize(
    "losses",
    [
        pytest.param({}, id="all alike", marks=pytest.mark.trial),
        pytest.param({"c": 0.3, "d": 3.0}, id="two worse"),
    ],
)
def test_the_best_is_stopped_no_more_often_than_was_said(losses: dict[str, float]) -> None:
    rng = np.random.default_rng(11)
    runs = 120
    stopped = sum("best" in finish(race(draw(rng, losses), SHARP)) for _ in range(runs))
    assert binomial_interval(stopped, runs)[0] <= SHARP.alpha


def test_what_is_far_behind_is_stopped_and_the_level_is_shared() -> None:
    one = race(draw(np.random.default_rng(5), {"c": 0.1, "d": 4.0}), GateRules())
    out = finish(one)
    assert set(out) == {"d"}
    assert out["d"].startswith("stopped early: after 4 shards")
    assert one.level == pytest.approx(0.05 / (3 * 3))


def test_one_value_in_which_it_may_still_lead_keeps_a_system() -> None:
    drawn = draw(np.random.default_rng(5), {"d": 4.0})
    drawn["d"]["two"] += 8.0
    assert finish(race(drawn, GateRules())) == {}


def test_a_system_that_is_there_is_not_stopped() -> None:
    one = race(draw(np.random.default_rng(5), {"d": 4.0}), GateRules())
    one.look(LOOKS[0], SYSTEMS, ("best", "b", "c"))
    assert one.out == {}
