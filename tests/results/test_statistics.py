"""Golden values, laws, and agreement with SciPy."""

import json
from pathlib import Path

import numpy as np
import pytest
import scipy.stats

from medgen.engine.results import statistics as st

GOLDENS = json.loads((Path(__file__).parents[1] / "goldens" / "stats.json").read_text())


def floats(values):
    return np.asarray([float(v) for v in values])


@pytest.mark.parametrize("case", GOLDENS["bootstrap_ci"], ids=lambda c: c["name"])
def test_bootstrap_gives_the_golden_intervals(case):
    found = st.bootstrap_mean(st.finite(float(v) for v in case["values"]))
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


def test_clusters_of_one_give_the_plain_bootstrap():
    values = np.random.default_rng(2).normal(size=200)
    plain = st.bootstrap_mean(values)
    clustered = st.clustered_mean(values, np.arange(200))
    expected = (plain.mean, plain.low, plain.high)
    assert (clustered.mean, clustered.low, clustered.high) == pytest.approx(expected, abs=1e-12)


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
