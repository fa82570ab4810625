"""Chances against scipy.stats, whose answers they are."""

from __future__ import annotations

import math
import subprocess
import sys

import numpy as np
import pytest
from scipy import stats

from analytics.estimates import kolmogorov, significance

_SEED = 20261130


def _same(found: float, expected: float, tolerance: float = 1e-12) -> bool:
    found, expected = float(found), float(expected)
    return (math.isnan(found) and math.isnan(expected)) or math.isclose(
        found, expected, rel_tol=tolerance, abs_tol=1e-307
    )


def test_tails_are_those_of_scipy_down_to_nothing():
    rng = np.random.default_rng(_SEED)
    for z in [0.0, -0.0, 37.0, 38.5, -38.5, math.inf, -math.inf, math.nan, *(rng.normal(size=500) * 12)]:
        assert _same(significance.normal_tail(z), stats.norm.sf(z)), z
        for freedom in (1, 2.5, 12, 1e6, math.inf, *rng.uniform(0.1, 300, 3)):
            assert _same(significance.student_tail(z, freedom), stats.t.sf(z, freedom)), (z, freedom)
            if math.isfinite(freedom):
                assert _same(significance.chi_square_tail(z * z, freedom), stats.chi2.sf(z * z, freedom)), (z, freedom)
    for chance in [0.0, 1.0, 0.5, 1e-300, 5e-301, *10 ** -rng.uniform(0, 300, 500)]:
        assert _same(significance.normal_exceeded(chance), stats.norm.isf(chance)), chance


def test_logarithms_of_tails_are_those_of_scipy():
    rng = np.random.default_rng(_SEED)
    t, freedom = np.abs(rng.normal(size=2000)) * 30, rng.uniform(0.1, 1e5, 2000)
    t[:3], freedom[:3] = (0.0, 45.0, 1e3), (1.0, math.inf, math.inf)
    np.testing.assert_allclose(significance.student_log_tail(t, freedom), stats.t.logsf(t, freedom), rtol=1e-12)


def _trials(rng: np.random.Generator, count: int) -> list[tuple[int, int, float]]:
    found = [
        (0, 1, 0.0),
        (1, 1, 0.0),
        (0, 1, 1.0),
        (1, 1, 1.0),
        (0, 7, 0.5),
        (7, 7, 0.5),
        (50, 100, 0.5),
        (3, 29, 0.0668),
    ]
    for _ in range(count):
        n = int(10 ** rng.uniform(0, 8))
        p = float(rng.choice([rng.random(), 10 ** -rng.uniform(0, 9), 1 - 10 ** -rng.uniform(0, 9), 0.5, 0.25]))
        near = round(n * p + rng.normal() * math.sqrt(n * p * (1 - p)) * rng.choice([1, 5, 30]))
        found.append((min(max(int(rng.choice([near, 0, n, rng.integers(0, n + 1)])), 0), n), n, p))
    return found


def test_binomial_chances_are_those_of_scipy():
    for k, n, p in _trials(np.random.default_rng(_SEED), 3000):
        assert significance.binomial_more(k, n, p) == stats.binomtest(k, n, p, alternative="greater").pvalue, (k, n, p)
        assert significance.binomial_test(k, n, p) == stats.binomtest(k, n, p).pvalue, (k, n, p)


@pytest.mark.parametrize(("n", "p"), [(0, 0.5), (3, -0.1), (3, 1.1), (3, math.nan)])
def test_what_is_no_trial_is_refused(n, p):
    with pytest.raises(ValueError, match="trials"):
        significance.binomial_test(0, n, p)


def test_tables_of_two_by_two_are_those_of_scipy():
    rng = np.random.default_rng(_SEED)
    tables = [[[0, 0], [3, 4]], [[0, 3], [0, 4]], [[5, 0], [0, 5]], [[10**7, 9], [3, 10**7]], [[771, 288], [296, 115]]]
    for _ in range(3000):
        size = 10 ** rng.uniform(0, 5, 2)
        n = rng.integers(0, size.astype(int) + 1)
        if rng.random() < 0.3:
            n[1] = n[0]  # ties
        share = rng.random(2) ** rng.choice([1, 8])
        k = [int(rng.binomial(n[side], share[rng.integers(2)])) for side in (0, 1)]
        tables.append([[k[0], int(n[0]) - k[0]], [k[1], int(n[1]) - k[1]]])
    for table in tables:
        assert significance.fisher_test(table) == stats.fisher_exact(table).pvalue, table


def test_the_same_answers_come_without_the_names_that_scipy_keeps_to_itself(monkeypatch):
    public = significance._public_counts()
    quick = significance._counts()
    monkeypatch.setattr(significance, "_counts", lambda: public)
    rng = np.random.default_rng(_SEED)
    for k, n, p in _trials(rng, 100):
        assert _same(significance.binomial_test(k, n, p), stats.binomtest(k, n, p).pvalue)
        assert _same(significance.binomial_more(k, n, p), stats.binomtest(k, n, p, alternative="greater").pvalue)
    for _ in range(100):
        table = rng.integers(0, 200, (2, 2)).tolist()
        assert _same(significance.fisher_test(table), stats.fisher_exact(table).pvalue)
    assert quick is not public


def test_chances_of_shares_are_those_of_scipy():
    rng = np.random.default_rng(_SEED)
    for _ in range(2000):
        shape = (int(rng.integers(1, 9)), int(rng.integers(1, 9)))
        table = rng.integers(0, int(10 ** rng.uniform(0.5, 7)), shape)
        if rng.random() < 0.3:
            table = table * rng.random(shape)
        if not (table.sum(axis=0).all() and table.sum(axis=1).all()):
            continue
        for corrected in (True, False):
            expected = stats.chi2_contingency(table, correction=corrected).pvalue
            assert _same(significance.contingency_test(table, corrected=corrected), expected), table
    with pytest.raises(ValueError, match="nothing"):
        significance.contingency_test([[0, 0], [1, 2]])


def test_ranks_and_false_discoveries_are_those_of_scipy():
    rng = np.random.default_rng(_SEED)
    for _ in range(1000):
        values = rng.integers(0, rng.integers(1, 50), int(rng.integers(0, 60))) * float(rng.choice([1.0, 0.1, -3.3]))
        assert np.array_equal(significance.mean_ranks(values), stats.rankdata(values))
        chances = (rng.random(int(rng.integers(1, 40))) ** rng.choice([1, 9, 300])).round(int(rng.integers(1, 300)))
        expected = [float(one) for one in stats.false_discovery_control(chances.tolist())]
        assert significance.false_discovery(chances.tolist()) == expected
    assert np.isnan(significance.mean_ranks(np.array([1.0, math.nan]))).all()
    assert significance.false_discovery([]) == []
    with pytest.raises(ValueError, match="between 0 and 1"):
        significance.false_discovery([0.5, 1.5])


def test_distances_of_samples_are_as_likely_as_scipy_says_to_the_last_digit():
    rng = np.random.default_rng(_SEED)
    for _ in range(500):
        n = int(rng.integers(1, 145)) if rng.random() < 0.5 else int(10 ** rng.uniform(0, 5.2))
        near = abs(rng.normal()) * 10 ** rng.uniform(-1.5, 0.5) / math.sqrt(n)
        distance = float(
            rng.choice([min(near, 1.0), rng.random(), 0.5 / n, 1.0 / n, 0.0, 1.0], p=[0.7, 0.2, *[0.025] * 4])
        )
        assert kolmogorov.beyond(n, distance) == stats.kstwo.sf(distance, n), (n, distance)
    for digits in (*range(4), *range(4)):
        first, second = (rng.normal(size=int(10 ** rng.uniform(0.4, 3.5))).round(digits) for _ in range(2))
        assert kolmogorov.two_samples_p(first, second) == stats.ks_2samp(first, second, method="asymp").pvalue
    assert math.isnan(kolmogorov.two_samples_p(np.array([1.0]), np.array([2.0])))


def test_no_test_of_a_report_loads_all_of_scipy_stats():
    asks = (
        "from analytics.estimates import kolmogorov as k, significance as s; import sys; k.beyond(20, 0.3); k.beyond(2000, 0.02); "
        "s.binomial_test(3, 9, 0.2); s.binomial_more(3, 9, 0.2); "
        "s.fisher_test([[3, 4], [5, 6]]); s.contingency_test([[3, 4], [5, 6]]); s.normal_tail(1.0); s.student_tail(1.0, 3); "
        "s.false_discovery([0.1, 0.2]); raise SystemExit('scipy.stats' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", asks], check=False).returncode == 0  # our own words
