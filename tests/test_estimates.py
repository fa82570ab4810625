"""Estimates against numbers worked by hand and against simulation."""

from __future__ import annotations

import math

import numpy as np
import pytest

from analytics import differences, estimates
from analytics.quantiles import Part, quantiles_of_parts


def test_zero_sampled_rows_bound_the_runs_at_58_at_the_default_rate():
    # 0.95 ** 58 = 0.0510, 0.95 ** 59 = 0.0485: with 59 runs a row would have been seen in 95 of 100 cases
    assert estimates.upper_bound_of_none(0.05) == 58
    assert estimates.upper_bound_of_none(1.0) == 0
    assert estimates.upper_bound_of_none(0.0) == math.inf
    assert estimates.runs(0, 0.0, 0.0).high == 58


def test_at_rate_one_the_runs_are_counted():
    found = estimates.runs(40, 40.0, 40.0, kept=2)
    assert (found.value, found.low, found.high, found.grade) == (42, 42, 42, "good")


def test_failures_have_weight_one_and_add_no_variance():
    without = estimates.runs(100, 2000.0, 40000.0)
    with_failures = estimates.runs(100, 2000.0, 40000.0, kept=300)
    assert with_failures.value == 2300
    assert with_failures.high - with_failures.low == without.high - without.low


@pytest.mark.parametrize(("runs", "rate"), [(20, 0.2), (400, 0.05), (3000, 0.05), (20_000, 0.01)])
def test_the_interval_of_runs_covers_the_truth_about_95_times_in_100(runs, rate):
    random = np.random.default_rng(7)
    drawn = random.binomial(runs, rate, size=1_500)
    covered = [(found := estimates.runs(int(n), n / rate, n / rate**2)).low <= runs <= found.high for n in drawn]
    assert 0.93 <= np.mean(covered) <= 1.0


def test_the_interval_of_a_mean_covers_the_population_mean_about_95_times_in_100():
    random = np.random.default_rng(8)
    population = random.exponential(10, size=4_000) * (random.random(4_000) < 0.7)
    truth = population.mean()
    hits = 0
    for _ in range(800):
        drawn = population[random.random(len(population)) < 0.05]
        found = estimates.mean(drawn, np.full(len(drawn), 20.0))
        hits += found.low <= truth <= found.high
    assert 0.92 <= hits / 800 <= 0.99


def test_nan_and_infinite_points_are_left_out_of_every_sum():
    found = estimates.mean([1.0, math.nan, math.inf, 3.0], [20, 20, 20, 20])
    assert (found.value, found.logged_count) == (2.0, 2)
    assert estimates.total([1.0, math.nan, -math.inf], [20, 20, 20]).value == 20


def test_a_failure_rate_counts_failures_and_estimates_only_the_runs():
    rate = estimates.failure_rate(13, estimates.runs(100, 2000.0, 40000.0, kept=13))
    assert rate.value == pytest.approx(13 / 2013)
    assert rate.low < rate.value < rate.high


def test_a_quantile_among_stopped_runs_lies_beyond_the_limit():
    values = [100.0] * 90 + [math.inf] * 20
    found = estimates.quantile(values, [1] * 110, 0.99)
    assert (found.value, found.high, found.is_at_least) == (100, math.inf, True)
    assert estimates.quantile(values, [1] * 110, 0.5).value == 100


@pytest.mark.parametrize(
    "weights", [(20.0, 1.0, 1.0), (20.0, 10.0, 1.0), (1.0, 1.0, 1.0), (100 / 3, 1.0, 1.0), (math.nan, 1.0, 1.0)]
)
def test_quantiles_of_sorted_parts_are_those_of_their_rows_to_the_last_bit(weights):
    chance = np.random.default_rng(11)
    qs = (0.01, 0.5, 0.95, 0.99, 1.0)
    for number in range(150):
        sizes = chance.integers(0, (3, 30, 3_000)[number % 3], 3)
        # No value in two parts, but many twice in one: which of two equal rows of different weight comes first is left open.
        values = [np.sort(chance.negative_binomial(2, 0.02, size) * 3 + place) for place, size in enumerate(sizes)]
        stopped, unknown = (False, False, bool(number % 2)), (0, 0, int(chance.integers(0, 4)) * (number % 2))
        parts = [Part(*some) for some in zip(values, weights, stopped, unknown, strict=True)]
        rows = np.concatenate([*values, np.full(unknown[2], math.inf)])
        counts = [part.count for part in parts]
        undrawn = 58.0 * (number % 5 == 0)
        expected = estimates.quantiles(
            rows, np.repeat(weights, counts), qs, censored=np.repeat(stopped, counts), undrawn=undrawn
        )
        assert list(map(repr, quantiles_of_parts(parts, qs, undrawn=undrawn))) == list(map(repr, expected))


def test_equal_rows_of_different_weight_give_the_same_quantile_in_any_order():
    values = np.sort(np.random.default_rng(12).integers(0, 9, 500))
    parts = [Part(values, 20.0), Part(values[::2], 10.0)]
    rows, weights = np.concatenate([values, values[::2]]), np.repeat([20.0, 10.0], [500, 250])
    for q in (0.1, 0.5, 0.9):
        [found], [mirrored] = quantiles_of_parts(parts, (q,)), quantiles_of_parts(parts[::-1], (q,))
        assert found == mirrored
        assert found.value == estimates.quantile(rows, weights, q).value


def test_a_change_that_chance_explains_is_not_significant():
    random = np.random.default_rng(9)
    significant = 0
    for _ in range(300):
        a, b = random.normal(10, 4, 60), random.normal(10, 4, 40)
        significant += differences.difference((a, np.full(60, 20)), (b, np.full(40, 20))).is_significant
    assert significant <= 27  # 15 expected at 5 %; 27 is beyond three standard deviations


def test_a_real_change_is_found_with_its_size():
    found = differences.difference(([10.0, 10, 10, 9, 11] * 10, [20] * 50), ([15.0, 15, 14, 16, 15] * 10, [20] * 50))
    assert found.is_significant
    assert found.change.value == pytest.approx(5.0)
    assert found.relative == pytest.approx(0.5)


def test_shares_use_wilsons_interval():
    # Wilson for 0 of 10: upper 0.2775 (Wilson 1927; Newcombe 1998, table I)
    found = estimates.share(0, 10)
    assert (found.low, round(found.high, 4)) == (0.0, 0.2775)


def test_grades_say_when_not_to_use_a_number():
    assert estimates.share(1, 3).grade == "too few"
    assert estimates.mean([5.0], [20]).grade == "too few"
    assert estimates.runs(400, 8000.0, 160_000.0).grade == "good"


def test_looking_at_many_corrects_for_it():
    # Benjamini & Hochberg by hand: 0.01·3/1, 0.02·3/2, 0.5·3/3, made monotone
    assert differences.adjusted([0.01, 0.02, 0.5]) == pytest.approx([0.03, 0.03, 0.5])
    assert differences.adjusted([]) == []
