"""Who leads and how surely: ties, systems without an interval, and what is not there."""

import numpy as np
import pytest

from medgen.engine.results import certainty
from medgen.engine.results.certainty import (
    Field,
    _flip,
    _Panel,
    best_group,
    pair_words,
    standing,
)

NAN = float("nan")
TIED = 0.1 + 0.2  # 0.3, but for its last bit


def field(left: list[float], right: list[float], sources: list[int] | None = None) -> Field:
    clusters = np.arange(len(left)) if sources is None else np.array(sources)
    return Field(("left", "right"), np.array([left, right], dtype=np.float64), clusters)


def test_values_that_differ_in_their_last_bit_are_ties() -> None:
    (found,) = pair_words(field([0.3] * 40, [TIED] * 40), [(0, 1)])
    assert (found.wins, found.ties, found.losses) == (0, 40, 0)
    assert (found.difference, found.low, found.high, found.p) == (0.0, 0.0, 0.0, 1.0)
    assert found.word == "not shown"
    lead = standing(field([0.3] * 40, [TIED] * 40))
    assert lead is not None
    assert (lead.word, set(lead.leaders)) == ("not shown", {"left", "right"})


@pytest.mark.parametrize(
    ("left", "right", "sources", "best"),
    [
        ([1.0, 1.0, 1.0], [0.0, 0.0, 0.0], [0, 0, 0], {"left", "right"}),  # one source
        ([1.0], [0.0], None, {"left", "right"}),
        ([1.0, NAN], [NAN, 0.0], None, {"left", "right"}),  # no sample in common
        ([0.3] * 40, [TIED] * 40, None, {"left", "right"}),
        ([1.0, 0.9] * 20, [0.0, 0.2] * 20, None, {"left"}),
        ([1.0, 1.0], [NAN, NAN], None, {"left"}),
        ([NAN], [NAN], None, set()),
    ],
)
def test_a_system_is_no_worse_until_an_interval_shows_it(left, right, sources, best) -> None:
    assert set(best_group(field(left, right, sources))) == best


@pytest.mark.parametrize("gap", [0.0, 0.02, 0.1])
def test_many_sources_are_judged_as_a_bootstrap_of_them_is(
    gap: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of hundreds of thousands no resamples are drawn: they take gigabytes, and say the same."""
    rng = np.random.default_rng(3)
    sources = rng.integers(0, 900, 3000)
    left = rng.normal(0.5, 0.2, 3000) + rng.normal(0, 0.1, 900)[sources]
    right = left + rng.normal(gap, 0.3, 3000)
    right[::50] = NAN
    given = field(left.tolist(), right.tolist(), sources.tolist())
    (drawn,) = pair_words(given, [(0, 1)])
    best = best_group(given)
    monkeypatch.setattr(certainty, "BOOTSTRAP_LIMIT", 500)
    (normal,) = pair_words(given, [(0, 1)])
    assert None not in (drawn.low, drawn.high, normal.low, normal.high, drawn.p, normal.p)
    assert [normal.low, normal.high] == pytest.approx([drawn.low, drawn.high], abs=0.002)
    assert normal.p == pytest.approx(drawn.p, abs=0.02)
    assert normal.word == drawn.word
    assert best_group(given) == best


def test_one_system_of_many_samples_is_compared_with_nobody() -> None:
    many = np.random.default_rng(0).random((1, 300_000))
    assert best_group(Field(("alone",), many, np.arange(300_000))) == ("alone",)


@pytest.mark.parametrize(("sources", "chance"), [(3, 0.25), (5, 0.0625), (200, 1 / 1000)])
def test_the_least_chance_is_that_of_the_signs_or_of_those_that_were_drawn(
    sources: int, chance: float
) -> None:
    panel = _Panel(np.ones((sources, 1)), np.ones((sources, 1)))
    (found,) = _flip(panel, 999)
    assert found >= chance
    assert found == pytest.approx(chance, rel=1e-9 if sources == 200 else 0.15)
