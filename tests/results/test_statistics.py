"""Golden values, laws, and agreement with SciPy."""

import json
from pathlib import Path

import numpy as np
import pytest
import scipy.stats

from medgen.engine.results import statistics as st
from medgen.engine.results.certainty import Field, pair_words

GOLDENS = json.loads((Path(__file__).parents[1] / "goldens" / "stats.json").read_text())


def floats(values):
    return np.asarray([float(v) for v in values])


@pytest.mark.parametrize("case", GOLDENS["bootstrap_ci"], ids=lambda c: c["name"])
def test_bootstrap_gives_the_golden_intervals(case):
    values = np.array([float(v) for v in case["values"]])
    found = st.bootstrap_mean(values[np.isfinite(values)])
    want = case["value"]
    if want["mean"] is None:
        assert (found.mean, found.low, found.high, found.method) == (None, None, None, "none")
    else:
        ours = (found.mean, found.low, found.high)
        assert ours == pytest.approx((want["mean"], want["ci_low"], want["ci_high"]), abs=1e-12)


@pytest.mark.parametrize("case", GOLDENS["paired_wilcoxon"], ids=lambda c: c["name"])
def test_wilcoxon_gives_the_golden_tests(case):
    left, right = floats(case["a"]), floats(case["b"])
    both = np.isfinite(left) & np.isfinite(right)
    found = st.wilcoxon((right - left)[both])
    assert found.statistic == pytest.approx(case["value"]["statistic"], abs=1e-12)
    assert found.p_value == pytest.approx(case["value"]["p_value"], abs=1e-9)


@pytest.mark.parametrize("seed", range(6))
def test_wilcoxon_with_few_tied_ranks_is_scipys(seed):
    rng = np.random.default_rng(seed)
    differences = rng.integers(-3, 5, size=int(rng.integers(2, 10))).astype(float)
    differences[0] = 2.0
    want = scipy.stats.wilcoxon(differences, zero_method="wilcox")
    found = st.wilcoxon(differences)
    assert (found.statistic, found.p_value) == pytest.approx((want.statistic, want.pvalue))


def test_an_interval_does_not_depend_on_what_is_computed_beside_it():
    rng = np.random.default_rng(0)
    columns = [rng.normal(size=n) for n in (5, 300, 5, 1, 0, 300)]
    together = st.bootstrap_means(columns)
    assert together == [st.bootstrap_mean(c) for c in columns]


def test_large_columns_get_the_normal_interval_close_to_the_bootstrap(monkeypatch):
    values = np.random.default_rng(1).exponential(size=8000)
    drawn = st.bootstrap_mean(values)
    monkeypatch.setattr(st, "BOOTSTRAP_LIMIT", 7999)
    normal = st.bootstrap_mean(values)
    assert (drawn.method, normal.method) == ("bootstrap", "normal")
    width = drawn.high - drawn.low
    assert abs(normal.low - drawn.low) < 0.1 * width
    assert abs(normal.high - drawn.high) < 0.1 * width


@pytest.mark.parametrize("size", [10, 30, 200])
def test_clusters_of_one_give_the_plain_bootstrap_as_wide_as_a_t_interval(size):
    values = np.random.default_rng(2).normal(size=size)
    plain = st.bootstrap_mean(values)
    clustered = st.clustered_mean(values, np.arange(size))
    assert clustered.mean == pytest.approx(plain.mean)
    assert clustered.low < plain.low < plain.high < clustered.high
    t = scipy.stats.t.interval(0.95, size - 1, plain.mean, scipy.stats.sem(values))
    assert clustered.high - clustered.low == pytest.approx(t[1] - t[0], rel=0.12)


def test_equal_samples_in_a_cluster_count_as_one():
    """Repeating every sample four times adds rows, not knowledge."""
    values = np.random.default_rng(3).normal(size=100)
    single = st.clustered_mean(values, np.arange(100))
    repeated = st.clustered_mean(np.repeat(values, 4), np.repeat(np.arange(100), 4))
    naive = st.bootstrap_mean(np.repeat(values, 4))
    assert (repeated.low, repeated.high) == pytest.approx((single.low, single.high), abs=1e-12)
    assert naive.high - naive.low < 0.7 * (repeated.high - repeated.low)


def test_clustered_normal_interval_is_close_to_the_clustered_bootstrap(monkeypatch):
    rng = np.random.default_rng(4)
    clusters = np.repeat(np.arange(900), 3)
    values = rng.normal(size=900)[clusters] + rng.normal(size=2700)
    drawn = st.clustered_mean(values, clusters)
    monkeypatch.setattr(st, "BOOTSTRAP_LIMIT", 800)
    normal = st.clustered_mean(values, clusters)
    assert normal.method == "clustered normal"
    width = drawn.high - drawn.low
    assert abs(normal.low - drawn.low) < 0.1 * width


def test_clusters_of_very_many_values_are_summed_whole():
    rng = np.random.default_rng(11)
    clusters = rng.integers(0, 40_000, 150_000)  # those of one stand far apart
    values = rng.normal(3, 1, 40_000)[clusters] + rng.normal(size=150_000)
    found = st.clustered_mean(values, clusters)
    sums = np.bincount(clusters, weights=values - values.mean())
    half = 1.959963984540054 * np.sqrt((sums**2).sum()) / len(values)
    assert found.method == "clustered normal"
    assert found.mean == pytest.approx(values.mean(), abs=1e-12)
    assert found.high - found.mean == pytest.approx(half, rel=1e-12)
    assert found.mean - found.low == pytest.approx(half, rel=1e-12)


def scipy_sign_flip(units, alternative):
    return scipy.stats.permutation_test(
        (units,),
        lambda x, axis: np.mean(x, axis=axis),
        permutation_type="samples",
        vectorized=True,
        n_resamples=np.inf,
        alternative=alternative,
    ).pvalue


@pytest.mark.parametrize("size", [2, 5, 11, 13])
def test_few_units_are_flipped_in_every_way_as_scipy_does(size):
    units = np.random.default_rng(size).normal(0.4, 1, size)
    found = st.sign_flip(units)
    assert found.low == pytest.approx(scipy_sign_flip(units, "less"))
    assert found.high == pytest.approx(scipy_sign_flip(units, "greater"))
    assert found.p_value == pytest.approx(scipy_sign_flip(units, "two-sided"))


def test_drawn_flips_are_close_to_all_flips():
    units = np.random.default_rng(7).normal(0.35, 1, 18)
    exact = scipy_sign_flip(units, "two-sided")
    assert st.sign_flip(units).p_value == pytest.approx(exact, abs=0.015)


def test_many_units_take_the_limiting_distribution(monkeypatch):
    units = np.random.default_rng(8).normal(0.03, 1, 3000)
    drawn = st.sign_flip(units)
    monkeypatch.setattr(st, "BOOTSTRAP_LIMIT", 2000)
    limit = st.sign_flip(units)
    assert limit.p_value == pytest.approx(drawn.p_value, abs=0.015)
    assert limit.low == pytest.approx(drawn.low, abs=0.015)


def test_clusters_are_flipped_whole():
    sums = np.random.default_rng(9).normal(0.5, 1, 9)
    parts = np.concatenate([sums / 2, sums / 2])
    clusters = np.concatenate([np.arange(9), np.arange(9)])
    assert st.sign_flip(parts, clusters) == st.sign_flip(sums)


def test_no_difference_is_no_evidence_and_one_pair_is_no_test():
    assert st.sign_flip(np.zeros(50)) == st.Flips(1.0, 1.0, 1.0)
    assert st.sign_flip(np.ones(1)) is None
    assert st.wilcoxon(np.ones(1)) is None


# Differences that people write as equal, and the same ones in whole numbers.
WRITTEN = {
    "tenths": ([0.3, 0.2, 0.7], [0.2, 0.1, 0.6], [-1, -1, -1]),
    "a tie and two more": ([0.3, 0.2, 0.9, 0.5], [0.2, 0.1, 0.4, 0.8], [-1, -1, -5, 3]),
    "opposite signs": ([0.3, 0.1, 0.4, 0.9], [0.2, 0.2, 0.1, 0.2], [-1, 1, -3, -7]),
    "a sum and its result": ([0.1 + 0.2, 1.0], [0.3, 1.5], [0, 5]),
    "sixths of a decibel": ([30.1, 30.4, 31.2], [30.2, 30.5, 31.3], [1, 1, 1]),
    "hundreds": ([100.1, 200.2, 300.3], [100.2, 200.3, 300.4], [1, 1, 1]),
    "a thousandth": ([0.875, 0.123, 0.55], [0.874, 0.122, 0.551], [-1, -1, 1]),
    "a scale of ten": ([7.1, 8.2, 9.3, 6.4], [7.2, 8.1, 9.5, 6.4], [1, -1, 2, 0]),
    "thirds": ([1 / 3, 2 / 3, 1.0], [0.0, 1 / 3, 2 / 3], [-1, -1, -1]),
    "shares of seven": ([3 / 7, 5 / 7], [1 / 7, 3 / 7], [-1, -1]),
    "means of repeats": ([(0.1 + 0.7) / 2, 0.5], [0.5, 0.6], [1, 1]),
    "nothing": ([0.7, 0.1 + 0.7], [0.7, 0.8], [0, 0]),
    "negative values": ([-0.3, -0.2, 0.5], [-0.2, -0.1, 0.4], [1, 1, -1]),
    "many": ([i / 10 for i in range(20)], [(i + 1) / 10 for i in range(20)], [1] * 20),
    "many of both": (
        [i / 10 for i in range(20)],
        [(i + (1 if i % 3 else -2)) / 10 for i in range(20)],
        [1 if i % 3 else -2 for i in range(20)],
    ),
    "large": ([1e6 + 0.1, 1e6 + 0.3], [1e6 + 0.2, 1e6 + 0.4], [1, 1]),
    "small": ([3e-5, 2e-5, 7e-5], [2e-5, 1e-5, 6e-5], [-1, -1, -1]),
    "one in six": ([0.1 * k for k in range(6)], [0.1 * k + 0.1 for k in range(6)], [1] * 6),
    "a drop and a tie": ([0.9, 0.8, 0.7], [0.6, 0.8, 0.4], [-3, 0, -3]),
    "percent": ([12.3, 45.6, 78.9], [12.2, 45.7, 79.0], [-1, 1, 1]),
    "a pair": ([0.3, 0.8], [0.2, 0.7], [-1, -1]),
}


@pytest.mark.parametrize("kind", WRITTEN)
def test_differences_that_are_written_alike_are_ties(kind):
    left, right, whole = (np.asarray(x, dtype=float) for x in WRITTEN[kind])
    found = st.paired_differences(left, right)
    unit = np.abs(found).max() / max(np.abs(whole).max(), 1)
    assert found == pytest.approx(whole * unit, abs=1e-9 * max(unit, 1e-30))
    assert len(set(np.abs(found))) == len(set(np.abs(whole)))
    assert st.wilcoxon(found) == st.wilcoxon(whole)
    assert st.rank_biserial(found) == st.rank_biserial(whole)
    assert st.sign_flip(found) == st.sign_flip(whole)
    both = st.cohen_dz(found), st.cohen_dz(whole)
    assert both == (None, None) or both[0] == pytest.approx(both[1])
    # Told the differences alone, the tests settle what is left of them.
    raw = right - left
    if kind not in ("large", "nothing", "a sum and its result"):
        assert st.wilcoxon(raw) == st.wilcoxon(whole)


# Differences of one source's samples, in tenths (or as many parts as said), that cancel.
CANCELLING = [
    ([1, 2, -3], 10), ([3, -1, -2], 10), ([7, -6, -1], 10), ([1, 1, 1, -3], 10), ([9, -4, -5], 10),
    ([2, 4, -6], 10), ([1, 5, -6], 10), ([1, 1, -2], 3), ([1, 2, -3], 7), ([3, 4, -7], 100),
    ([11, 12, -23], 100), ([1, 6, -7], 1000), ([29, 28, -57], 100), ([1, 2, 3, -6], 10),
    ([8, -7, -1], 10), ([1, 7, -8], 10), ([2, 7, -9], 10), ([4, 5, -9], 10), ([1, 3, 5, -9], 10),
    ([6, 1, -7], 10),
]  # fmt: skip


@pytest.mark.parametrize(("tenths", "parts"), CANCELLING)
@pytest.mark.parametrize("around", [0.0, 0.3, 100.1])
def test_a_source_whose_differences_cancel_shows_nothing(tenths, parts, around):
    sources = np.repeat(np.arange(20), len(tenths))
    left = np.tile(around + np.arange(len(tenths)) / 10, 20)
    found = st.paired_differences(left, left + np.tile(np.asarray(tenths) / parts, 20))
    for own in (found, -found, np.tile(np.asarray(tenths) / parts, 20)):
        assert st.sign_flip(own, sources) == st.Flips(1.0, 1.0, 1.0)
        interval = st.clustered_mean(own, sources)
        assert (interval.low, interval.high) == (0.0, 0.0)
    values = np.stack([left, left + found])
    (word,) = pair_words(Field(("a", "b"), values, sources), [(0, 1)])
    assert (word.low, word.high, word.p, word.word) == (0.0, 0.0, 1.0, "not shown")


def test_sources_are_summed_as_whole_numbers_are():
    rng = np.random.default_rng(14)
    for _ in range(300):
        size, parts = int(rng.integers(4, 40)), int(rng.choice([3, 7, 10, 100]))
        whole, sources = rng.integers(-4, 5, size), rng.integers(0, 6, size)
        left = rng.integers(0, 5, size) / parts
        found = st.paired_differences(left, left + whole / parts)
        assert st.sign_flip(found, sources) == st.sign_flip(whole.astype(float), sources)


def test_settling_keeps_what_differs_and_is_done_once():
    rng = np.random.default_rng(11)
    for _ in range(50):
        differences = rng.normal(size=int(rng.integers(1, 60)))
        noisy = differences * (1 + rng.integers(-3, 4, len(differences)) * 2.0**-52)
        settled = st.settle(noisy)
        assert settled == pytest.approx(differences, rel=1e-9, abs=1e-9)
        assert (st.settle(settled) == settled).all()
        assert (st.settle(-noisy) == -settled).all()
        again = st.settle(np.concatenate([differences, noisy]))
        assert (again[: len(noisy)] == again[len(noisy) :]).all()
        assert len(np.unique(settled)) == len(np.unique(differences))


def test_one_huge_value_does_not_swallow_the_others_differences():
    left, right = np.array([1e12, 0.3, 0.2, 0.9]), np.array([2e12, 0.2, 0.1, 0.4])
    found = st.paired_differences(left, right)
    assert found == pytest.approx([1e12, -0.1, -0.1, -0.5])
    assert found[1] == found[2]
    assert st.wilcoxon(np.array([1e12, 1.0, 2.0, -3.0])).statistic == 3.0
    assert st.wilcoxon(np.array([0.1 + 0.2 - 0.3, 0.1, 0.2, -0.3])) == st.wilcoxon(
        np.array([0.0, 1.0, 2.0, -3.0])
    )
    assert (st.paired_differences(left, left * (1 + 2**-52)) == 0).all()
    assert len(st.paired_differences(np.array([]), np.array([]))) == 0


def test_constant_differences_have_no_effect_size_and_no_difference_none():
    for values in (0.1, 1 / 3, 1e-7, -30.3):
        assert st.cohen_dz(np.full(12, values)) is None
        assert st.cohen_dz(np.array([values, np.nextafter(values, 1.0)])) is None
    assert st.cohen_dz(np.zeros(7)) == 0.0


@pytest.mark.parametrize("size", [2, 9, 14, 60, 3000, 25_000])
def test_no_p_value_is_ever_zero(size):
    differences = 5 + np.random.default_rng(size).normal(size=size)
    signed, ranked = st.sign_flip(differences), st.wilcoxon(differences)
    assert 0 < min(signed.high, signed.p_value, ranked.p_value) <= 1
    assert 0 < st.holm([signed.high, ranked.p_value])[0] <= 1


def test_one_source_has_no_interval_and_few_say_so():
    one = st.clustered_mean(np.full(4, 0.4666), np.zeros(4, int))
    assert (one.mean, one.low, one.high) == (pytest.approx(0.4666), None, None)
    assert one.note == "one source: no interval"
    assert st.clustered_mean(np.array([0.5]), np.array([3])).low is None
    assert st.clustered_mean(np.array([]), np.array([])).note == "no value"
    rng = np.random.default_rng(1)
    few = st.clustered_mean(rng.normal(size=29), np.arange(29))
    assert few.note == "29 sources: covers less than 95 %"
    assert st.clustered_mean(rng.normal(size=30), np.arange(30)).note == ""
    same = st.clustered_mean(np.full(40, 0.1), np.arange(40))
    assert (same.low, same.high, same.note) == (same.mean, same.mean, "no spread")


def _covered(sources, rounds, rng):
    """How often an interval of four correlated items a source holds the true mean."""
    clusters = np.repeat(np.arange(sources), 4)
    hits = 0
    for _ in range(rounds):
        values = rng.normal(size=sources)[clusters] + rng.normal(size=4 * sources)
        found = st.clustered_mean(values, clusters)
        hits += found.low <= 0 <= found.high
    return hits / rounds


@pytest.mark.parametrize("sources", [30, 60])
def test_intervals_of_siblings_cover_what_they_say(sources):
    """`benchmarks/intervals` does it at more sizes, and for other kinds of values."""
    assert 0.935 <= _covered(sources, 2000, np.random.default_rng(sources)) <= 0.965


def test_holm_leaves_untested_cells_out_of_the_family():
    assert st.holm([0.01, None, 0.04, 0.03]) == [pytest.approx(0.03), None, 0.06, 0.06]
    assert st.holm([None, None]) == [None, None]


def test_effect_sizes_of_known_cases():
    assert st.cohen_dz(np.array([1.0, 2.0, 3.0])) == pytest.approx(2.0)
    assert st.cohen_dz(np.zeros(4)) == 0.0
    assert st.cohen_dz(np.ones(4)) is None  # no spread: not a number, and not zero
    assert st.rank_biserial(np.array([1.0, 2.0, 3.0])) == 1.0
    assert st.rank_biserial(np.array([-1.0, 2.0, 0.0])) == pytest.approx(1 / 3)
    assert st.rank_biserial(np.zeros(3)) == 0.0


def test_bounds_hold_whatever_the_missing_values_were():
    rng = np.random.default_rng(10)
    left, right = rng.uniform(0, 1, 60), rng.uniform(0, 1, 60)
    truth = float(np.mean(right - left))
    left[rng.integers(0, 60, 12)] = np.nan
    right[rng.integers(0, 60, 12)] = np.nan
    low, high = st.difference_bounds(left, right, 0.0, 1.0)
    assert low < truth < high
    assert st.difference_bounds(np.array([0.2]), np.array([np.nan]), 0.0, 1.0) == (-0.2, 0.8)
    assert st.difference_bounds(np.array([]), np.array([]), 0.0, 1.0) is None


def test_binomial_interval_is_clopper_pearson():
    assert st.binomial_interval(0, 10) == pytest.approx((0.0, 0.3085), abs=1e-4)


@pytest.mark.parametrize(
    ("values", "sources", "note"),
    [
        ([0.1 + 0.2, 0.3, 0.3], [0, 1, 2], "no spread"),
        ([7.0] * 4, [0, 1, 2, 3], "no spread"),
        ([-1e300] * 3, [0, 1, 2], "no spread"),
        ([0.0, 1.0] * 4, [0, 0, 1, 1, 2, 2, 3, 3], "no spread between sources"),
        ([0.2, 0.4, 0.1 + 0.2, 0.3], [0, 0, 1, 1], "no spread between sources"),
        ([0.0, 1.0, 1.0, 1.0], [0, 0, 1, 1], ""),
        ([0.3, 0.30001], [0, 1], ""),
    ],
)
def test_an_interval_without_width_says_why(values, sources, note):
    found = st.clustered_mean(floats(values), np.asarray(sources))
    few = f"{len(set(sources))} sources: covers less than 95 %"
    assert found.note == "; ".join(part for part in (note, few) if part)
    assert (found.high - found.low > 1e-6) is (note == "")


@pytest.mark.parametrize("sources", [2, 5, 30, 10_000])
def test_the_outer_percentile_is_where_a_t_intervals_end_is(sources: int) -> None:
    """Hesterberg 2015, 5.3: the normal's tail at t(0.975) times the root of n / (n - 1)."""
    end = scipy.stats.t.ppf(0.975, sources - 1) * np.sqrt(sources / (sources - 1))
    assert st.outer_percentile(sources) == pytest.approx(100 * scipy.stats.norm.sf(end), rel=1e-9)


def test_many_differences_of_nothing_are_no_difference() -> None:
    found = st.sign_flip(np.zeros(st.BOOTSTRAP_LIMIT + 1))
    assert found == st.Flips(0.5, 0.5, 1.0)
