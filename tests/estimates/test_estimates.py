"""Estimates against numbers worked by hand and against simulation."""

from __future__ import annotations

import math
from dataclasses import astuple
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from analytics.estimates import comparisons, estimators
from analytics.estimates.estimate import graded
from analytics.estimates.moments import of_mean, of_total
from analytics.estimates.quantiles import Part, quantiles_of_parts
from analytics.reports.page import est
from tests.fewer import examples


def test_zero_sampled_rows_bound_the_runs_at_58_at_the_default_rate():
    # 0.95 ** 58 = 0.0510, 0.95 ** 59 = 0.0485: with 59 runs a row would have been seen in 95 of 100 cases
    assert estimators.upper_bound_of_none(0.05) == 58
    assert estimators.upper_bound_of_none(1.0) == 0
    assert estimators.upper_bound_of_none(0.0) == math.inf
    assert estimators.runs(0, 0.0, 0.0).high == 58


def test_at_rate_one_the_runs_are_counted():
    found = estimators.runs(40, 40.0, 40.0, kept=2)
    assert (found.value, found.low, found.high, found.grade) == (42, 42, 42, "good")


def test_failures_have_weight_one_and_add_no_variance():
    without = estimators.runs(100, 2000.0, 40000.0)
    with_failures = estimators.runs(100, 2000.0, 40000.0, kept=300)
    assert with_failures.value == 2300
    assert with_failures.high - with_failures.low == without.high - without.low


@pytest.mark.parametrize(("runs", "rate"), [(20, 0.2), (400, 0.05), (3000, 0.05), (20_000, 0.01)])
def test_the_interval_of_runs_covers_the_truth_about_95_times_in_100(runs, rate):
    random = np.random.default_rng(7)
    drawn = random.binomial(runs, rate, size=1_500)
    covered = [(found := estimators.runs(int(n), n / rate, n / rate**2)).low <= runs <= found.high for n in drawn]
    assert 0.93 <= np.mean(covered) <= 1.0


def test_the_interval_of_a_mean_covers_the_population_mean_about_95_times_in_100():
    random = np.random.default_rng(8)
    population = random.exponential(10, size=4_000) * (random.random(4_000) < 0.7)
    truth = population.mean()
    hits = 0
    for _ in range(800):
        drawn = population[random.random(len(population)) < 0.05]
        found = estimators.mean(drawn, np.full(len(drawn), 20.0))
        hits += found.low <= truth <= found.high
    assert 0.92 <= hits / 800 <= 0.99


def test_nan_and_infinite_points_are_left_out_of_every_sum():
    found = estimators.mean([1.0, math.nan, math.inf, 3.0], [20, 20, 20, 20])
    assert (found.value, found.logged_count) == (2.0, 2)
    assert estimators.total([1.0, math.nan, -math.inf], [20, 20, 20]).value == 20


def test_a_failure_rate_counts_failures_and_estimates_only_the_runs():
    rate = estimators.failure_rate(13, estimators.runs(100, 2000.0, 40000.0, kept=13))
    assert rate.value == pytest.approx(13 / 2013)
    assert rate.low < rate.value < rate.high


def test_a_quantile_among_stopped_runs_lies_beyond_the_limit():
    values = [100.0] * 90 + [math.inf] * 20
    found = estimators.quantile(values, [1] * 110, 0.99)
    assert (found.value, found.high, found.is_at_least) == (100, math.inf, True)
    assert estimators.quantile(values, [1] * 110, 0.5).value == 100


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
        expected = estimators.quantiles(
            rows, np.repeat(weights, counts), qs, censored=np.repeat(stopped, counts), undrawn=undrawn
        )
        assert list(map(repr, quantiles_of_parts(parts, qs, undrawn=undrawn))) == list(map(repr, expected))


def test_rows_that_are_counted_say_what_listed_rows_say():
    chance = np.random.default_rng(13)
    for number in range(60):
        size = (2, 20, 200)[number % 3]
        weights = chance.choice([1.0, 20.0, math.nan], size, p=[0.2, 0.7, 0.1])
        values = chance.permutation(size) * 1.5  # of equal rows of different weight the order would be left open
        stopped = weights == 1
        values[stopped & (chance.random(size) < 0.5)] = math.inf
        values[chance.random(size) < 0.1] = math.nan
        counts, undrawn = chance.integers(1, 9, size), 58.0 * (number % 5 == 0)
        rows = [np.repeat(column, counts) for column in (values, weights, stopped)]
        expected = estimators.quantiles(rows[0], rows[1], (0.5, 0.99), censored=rows[2], undrawn=undrawn)
        found = estimators.quantiles_of_counts(values, weights, counts, (0.5, 0.99), censored=stopped, undrawn=undrawn)
        assert list(map(repr, found)) == list(map(repr, expected))


def test_equal_rows_of_different_weight_give_the_same_quantile_in_any_order():
    values = np.sort(np.random.default_rng(12).integers(0, 9, 500))
    parts = [Part(values, 20.0), Part(values[::2], 10.0)]
    rows, weights = np.concatenate([values, values[::2]]), np.repeat([20.0, 10.0], [500, 250])
    for q in (0.1, 0.5, 0.9):
        [found], [mirrored] = quantiles_of_parts(parts, (q,)), quantiles_of_parts(parts[::-1], (q,))
        assert found == mirrored
        assert found.value == estimators.quantile(rows, weights, q).value


def test_a_change_that_chance_explains_is_not_significant():
    random = np.random.default_rng(9)
    significant = 0
    for _ in range(300):
        a, b = random.normal(10, 4, 60), random.normal(10, 4, 40)
        significant += comparisons.difference((a, np.full(60, 20)), (b, np.full(40, 20))).is_significant
    assert significant <= 27  # 15 expected at 5 %; 27 is beyond three standard deviations


def test_a_real_change_is_found_with_its_size():
    found = comparisons.difference(([10.0, 10, 10, 9, 11] * 10, [20] * 50), ([15.0, 15, 14, 16, 15] * 10, [20] * 50))
    assert found.is_significant
    assert found.change.value == pytest.approx(5.0)
    assert found.relative == pytest.approx(0.5)


def test_shares_use_wilsons_interval():
    # Wilson for 0 of 10: upper 0.2775 (Wilson 1927; Newcombe 1998, table I)
    found = estimators.share(0, 10)
    assert (found.low, round(found.high, 4)) == (0.0, 0.2775)


def test_grades_say_when_not_to_use_a_number():
    assert estimators.share(1, 3).grade == "too few"
    assert estimators.mean([5.0], [20]).grade == "too few"
    assert estimators.runs(400, 8000.0, 160_000.0).grade == "good"


def test_looking_at_many_corrects_for_it():
    # Benjamini & Hochberg by hand: 0.01·3/1, 0.02·3/2, 0.5·3/3, made monotone
    assert comparisons.adjusted([0.01, 0.02, 0.5]) == pytest.approx([0.03, 0.03, 0.5])
    assert comparisons.adjusted([]) == []


# ---- runs: exact bounds ----------------------------------------------------------------------------------------------


def at_most(drawn: int, runs: int, rate: Fraction) -> Fraction:
    """Chance of at most so many drawn rows, counted out."""
    return sum(
        (math.comb(runs, k) * rate**k * (1 - rate) ** (runs - k) for k in range(min(drawn, runs) + 1)), Fraction(0)
    )


@pytest.mark.parametrize(("drawn", "one_in"), [(1, 20), (2, 5), (7, 20), (30, 5), (60, 2)])
def test_the_bounds_of_runs_are_those_of_binomial_tails_counted_out(drawn, one_in):
    found = estimators.runs(drawn, drawn * one_in, drawn * one_in**2, kept=4)
    low, high = int(found.low) - 4, int(found.high) - 4
    rate, tail = Fraction(1, one_in), Fraction(1, 40)
    # low: the fewest runs of which as many drawn rows are not too many; high: the most of which they are not too few
    assert 1 - at_most(drawn - 1, low, rate) >= tail > 1 - at_most(drawn - 1, low - 1, rate)
    assert at_most(drawn, high, rate) > tail >= at_most(drawn, high + 1, rate)


@pytest.mark.parametrize("rate", [0.001, 0.01, 0.05, 0.2, 0.5, 0.9, 0.99])
def test_no_row_drawn_bounds_the_runs_where_that_is_one_chance_in_twenty(rate):
    bound = estimators.upper_bound_of_none(rate)
    assert (1 - rate) ** bound >= 0.05 > (1 - rate) ** (bound + 1)


def test_rows_of_several_rates_have_the_variance_of_bernoulli_sampling():
    # 50 rows of weight 20 and 100 of weight 5: Σw(w−1) = 50·380 + 100·20 = 21,000, a standard error of 145
    found = estimators.runs(150, 1_500.0, 22_500.0)
    assert found.value == 1_500
    assert found.effective_count == pytest.approx(100)
    assert (found.high - found.low) / 2 == pytest.approx(1.96 * math.sqrt(21_000), rel=0.03)


def test_at_rate_0_failures_are_at_least_the_runs():
    found = estimators.runs(0, 0.0, 0.0, kept=7, rate=0.0)
    assert (found.value, found.low, found.high, found.grade, found.is_at_least) == (7, 7, math.inf, "too few", True)
    assert found.to_dict()["high"] is None
    assert est(found).striptags().startswith("≥")
    assert "≥" not in est(estimators.runs(50, 1000.0, 20_000.0)).striptags()


def test_rows_drawn_though_the_rate_is_0_say_nothing():
    assert estimators.runs(3, 0.0, 0.0, kept=2, rate=0.0) == estimators.NOTHING
    assert estimators.failure_rate(2, estimators.NOTHING) == estimators.NOTHING


def test_the_runs_are_never_fewer_than_those_that_were_seen_for_sure():
    for drawn in range(40):
        assert estimators.runs(drawn, drawn * 20.0, drawn * 400.0, kept=9).low >= drawn + 9


def test_at_a_rate_of_almost_one_the_value_is_in_its_interval():
    weight = 1 / 0.9999
    found = estimators.runs(74, 74 * weight, 74 * weight**2, kept=163)
    assert found.low <= found.value <= found.high


# ---- failure rates ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("failed", "of", "low", "high"),
    # R: binom.test(failed, of)$conf.int
    [
        (3, 100, 0.006229972, 0.08517605),
        (0, 10, 0.0, 0.3084971),
        (10, 10, 0.6915029, 1.0),
        (7, 20, 0.1539092, 0.5921885),
    ],
)
def test_where_all_runs_are_logged_the_process_fails_as_clopper_and_pearson_say(failed, of, low, high):
    ok = of - failed
    found = estimators.failure_rate(failed, estimators.runs(ok, ok, ok, kept=failed, rate=1.0), process=True)
    assert (found.low, found.high) == (pytest.approx(low, abs=1e-6), pytest.approx(high, abs=1e-6))


def test_the_process_fails_as_often_as_makes_its_part_of_the_log_likely():
    failed, drawn, rate = 8, 90, 0.05
    found = estimators.failure_rate(
        failed, estimators.runs(drawn, drawn / rate, drawn / rate**2, kept=failed), process=True
    )
    logged = [p / (p + (1 - p) * rate) for p in (found.low, found.high)]  # of the logged rows, one in how many failed
    assert stats.binom.sf(failed - 1, failed + drawn, logged[0]) == pytest.approx(0.025)
    assert stats.binom.cdf(failed, failed + drawn, logged[1]) == pytest.approx(0.025)
    assert found.low < failed / (failed + drawn / rate) < found.high


def test_where_only_failures_were_logged_the_process_may_still_have_ok_runs():
    # 0.025 ** (1/501) = 0.9927 of the logged rows, and of the runs 0.9927·p / (1 − 0.9927 + 0.9927·p) with p = 0.05
    found = estimators.failure_rate(500, estimators.runs(0, 0.0, 0.0, kept=500), process=True)
    assert found.low == pytest.approx(0.870, abs=0.002)
    assert found.high == 1.0
    every = estimators.failure_rate(500, estimators.runs(0, 0.0, 0.0, kept=500, rate=1.0), process=True)
    assert every.low == pytest.approx(0.025 ** (1 / 500), rel=1e-3)
    assert estimators.failure_rate(500, estimators.runs(0, 0.0, 0.0, kept=500, rate=0.0), process=True).low == 0.0


@pytest.mark.parametrize(("runs", "failing"), [(500, 0.95), (500, 0.98), (2_000, 0.99)])
def test_the_interval_of_a_process_that_nearly_always_fails_covers_it(runs, failing):
    random = np.random.default_rng(11)
    hits = 0
    for _ in range(400):
        failed = int(random.binomial(runs, failing))
        drawn = int(random.binomial(runs - failed, 0.05))
        logged = estimators.runs(drawn, drawn * 20.0, drawn * 400.0, kept=failed)
        found = estimators.failure_rate(failed, logged, process=True)
        hits += found.low <= failing <= found.high
    assert hits >= 0.93 * 400


def test_no_failure_among_few_runs_is_not_good_to_know():
    def none_of(drawn):
        runs = estimators.runs(drawn, drawn * 20.0, drawn * 400.0)
        return estimators.failure_rate(0, runs, process=True)

    assert [none_of(drawn).grade for drawn in (3, 40, 400)] == ["too few", "rough", "good"]
    assert none_of(400).value == 0.0
    assert none_of(400).high < 0.01


# ---- shares ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("hits", "of", "low", "high"),
    # Newcombe, Statistics in Medicine 17, 857 (1998), table I, method 3
    [(81, 263, 0.2553, 0.3662), (15, 148, 0.0624, 0.1605), (0, 20, 0.0, 0.1611), (1, 29, 0.0061, 0.1718)],
)
def test_wilsons_intervals_are_those_in_print(hits, of, low, high):
    found = estimators.share(hits, of)
    assert (round(found.low, 4), round(found.high, 4)) == (low, high)


def test_the_share_of_one_row_reaches_down_to_what_makes_it_one_chance_in_twenty():
    found, mirrored = (estimators.share(hits, 29, is_modified=True) for hits in (1, 28))
    assert math.exp(-found.low * 29) == pytest.approx(0.95)  # Brown, Cai & DasGupta (2001), section 4.1.1
    assert round(found.high, 4) == 0.1718  # Newcombe's table, as above
    assert [1 - mirrored.high, 1 - mirrored.low] == pytest.approx([found.low, found.high])


def test_a_share_of_runs_with_tiny_rate_is_wilsons_share_of_rows():
    has = np.arange(263) < 81
    found = estimators.share_of_runs(has, np.full(263, 1e6))
    assert (round(found.low, 4), round(found.high, 4)) == (0.2553, 0.3662)
    assert (
        estimators.share_of_runs(has, np.ones(263)).low == 81 / 263 == estimators.share_of_runs(has, np.ones(263)).high
    )


def test_what_no_drawn_row_has_may_be_in_as_many_runs_as_few_rows_allow_however_many_failures_there_are():
    # 10 rows of weight 20 beside 1,000 failures: of 200 ok runs a tenth (20) goes unseen in 35 of 100 logs
    found = estimators.share_of_runs(np.zeros(1_010, bool), [20] * 10 + [1] * 1_000)
    assert found.value == 0
    assert found.high * 1_200 > 40
    every = estimators.share_of_runs(np.ones(1_010, bool), [20] * 10 + [1] * 1_000)
    assert (1 - every.low) * 1_200 > 40


def test_what_only_light_rows_have_may_be_in_a_heavy_one_that_was_not_drawn():
    weights = np.array([100.0] * 20 + [5.0] * 100)
    assert estimators.share_of_runs(weights == 5, weights).high < 0.5  # every heavy row was seen, and has it not
    rare = estimators.share_of_runs(np.arange(120) == 119, weights)
    assert rare.value == 5 / 2_500
    assert rare.high > 0.05
    assert rare.grade == "too few"


def test_an_error_code_is_counted_not_drawn():
    weights = np.array([20.0] * 100 + [1.0] * 13)
    found = estimators.share_of_runs(weights == 1, weights)
    assert found.low == pytest.approx(13 / 2_013, rel=0.25)
    assert found.high == pytest.approx(13 / 2_013, rel=0.25)


@pytest.mark.parametrize(("kept", "ok", "share"), [(1_000, 200, 0.1), (1_000, 200, 0.05), (5_000, 1_000, 0.01)])
def test_the_interval_of_a_share_covers_it_where_failures_are_many(kept, ok, share):
    random = np.random.default_rng(12)
    hits = graded = 0
    for _ in range(300):
        has = random.random(ok) < share
        drawn = has[random.random(ok) < 0.05]
        weights = np.concatenate([np.full(len(drawn), 20.0), np.ones(kept)])
        found = estimators.share_of_runs(np.concatenate([drawn, np.zeros(kept, bool)]), weights)
        graded += found.grade != "too few"
        hits += found.grade != "too few" and found.low <= has.sum() / (ok + kept) <= found.high
    assert hits >= 0.93 * graded


# ---- means and totals ------------------------------------------------------------------------------------------------


def test_of_symmetric_rows_the_interval_is_students():
    values = np.linspace(-5.0, 9.0, 81)
    found = estimators.mean(values, np.full(81, 20.0), process=True)
    expected = stats.t.interval(0.95, 80, loc=values.mean(), scale=stats.sem(values))
    assert (found.low, found.high) == (pytest.approx(expected[0]), pytest.approx(expected[1]))


def test_the_interval_of_skewed_rows_solves_halls_cubic():
    values = np.concatenate([np.full(90, 1.0), np.full(25, 6.0), np.full(5, 20.0)])
    n, weight = 120, 20.0
    found = estimators.mean(values, np.full(n, weight))
    # by hand, in rows: Var = w(w − 1), third cumulant w(w − 1)(w − 2), covariance with the variance w(w − 1)²
    r = (values - values.mean()) / (n * weight)
    error = math.sqrt(weight * (weight - 1) * (r**2).sum() * n / (n - 1))
    third = weight * (weight - 1) * (weight - 2) * (r**3).sum()
    shared = weight * (weight - 1) ** 2 * (r**3).sum()
    fourth = weight * (weight - 1) ** 3 * (r**4).sum()
    a, b = (3 * shared - third) / (6 * error**3), third / (6 * error**3)
    t = stats.t.ppf(0.975, min(2 * error**4 / fourth, n - 1))
    for end, z in ((found.low, t), (found.high, -t)):
        x = (found.value - end) / error
        assert x + a * x**2 + a**2 * x**3 / 3 + b == pytest.approx(z)
    assert found.high - found.value > found.value - found.low  # to the side of the large ones


def test_satterthwaite_gives_two_thirds_of_the_rows_to_normal_ones_and_few_to_heavy_tails():
    normal = stats.norm.ppf((np.arange(3_000) + 0.5) / 3_000)
    one_large = np.concatenate([np.zeros(299), [1_000.0]])
    # kurtosis 3: 2n/(3 − 1) without, 2n/3 with the variance known to be that of squares about a known mean
    assert of_mean(normal, np.full(3_000, 1e6), process=True).freedom == pytest.approx(2_000, rel=0.01)
    assert of_mean(one_large, np.full(300, 20.0), process=True).freedom == pytest.approx(2, rel=0.02)
    two_points = np.array([-1.0, 1.0] * 50)
    assert of_mean(two_points, np.full(100, 20.0), process=True).freedom == 99


def test_the_skew_correction_is_a_third_of_the_skewness_over_the_root_of_the_rows():
    values = stats.expon.ppf((np.arange(400) + 0.5) / 400)
    found = of_mean(values, np.full(400, 1e9), process=True)
    assert found.skew == pytest.approx(stats.skew(values) / (3 * math.sqrt(400)), rel=0.01)


def test_a_total_has_the_variance_of_horvitz_and_thompson():
    # values 1 … 9, weight 5: Var = Σ w(w − 1)y² = 20·285
    found = of_total(np.arange(1.0, 10.0), np.full(9, 5.0), process=False)
    assert (found.value, found.variance) == (225.0, 5_700.0)
    # a run of the period in which all were logged adds its points and no doubt
    more = of_total(np.append(np.arange(1.0, 10.0), 1e6), [5.0] * 9 + [1.0], process=False)
    assert (more.value, more.variance) == (1_000_225.0, 5_700.0)


def test_rows_of_which_few_stand_for_most_are_too_few():
    random = np.random.default_rng(13)
    values, weights = random.exponential(10, 120), np.array([100.0] * 4 + [5.0] * 116)
    # Kish: (400 + 580)² / (40,000 + 2,900) = 22 rows
    assert estimators.mean(values, weights).grade == estimators.total(values, weights).grade == "too few"
    assert of_mean(values, weights, process=False).drawn_alike == pytest.approx(22.4, abs=0.1)


def test_the_mean_of_rates_that_changed_covers_the_truth_where_it_is_graded():
    random = np.random.default_rng(14)
    hits = graded = 0
    for _ in range(400):
        parts = [(random.exponential(10, size), rate) for size, rate in ((2_000, 0.01), (500, 0.2), (2_500, 0.05))]
        drawn = [(values[random.random(len(values)) < rate], rate) for values, rate in parts]
        found = estimators.mean(
            np.concatenate([values for values, _ in drawn]),
            np.concatenate([np.full(len(values), 1 / rate) for values, rate in drawn]),
        )
        if found.grade != "too few":
            graded += 1
            hits += found.low <= np.concatenate([values for values, _ in parts]).mean() <= found.high
    assert graded > 200
    assert hits >= 0.92 * graded


def test_rows_that_are_all_alike_allow_for_one_that_was_not_drawn_of_300_times_as_much():
    def found(rows, value=7.0, **kind):
        return estimators.mean(np.full(rows, value), np.full(rows, 20.0), **kind)

    # Seventy-one of the runs may be unlike the others with a chance of a fortieth: each is left out with 0.95.
    assert 0.95**72 < 1 / 40 < 0.95**71
    ours = found(4_000)
    assert ours.value - ours.low == pytest.approx(7 * 71.9 / 80_000, rel=0.01)  # they came to nothing
    assert ours.high - ours.value == pytest.approx(300 * 7 * 71.9 / 80_000, rel=0.01)
    grades = ["too few", "too few", "rough", "rough", "good"]
    assert [found(rows).grade for rows in (299, 1_082, 1_083, 3_607, 3_608)] == grades
    assert [math.isfinite(found(rows).low) for rows in (299, 1_082, 1_083)] == [False, False, True]
    # a comparison asks for the amount, which they give
    assert [found(rows, process=True).grade for rows in (59, 60, 99, 100)] == ["too few", "rough", "rough", "good"]
    # nothing is not known to be nothing: what a run may come to has no size
    assert [found(rows, value=0.0).grade for rows in (300, 30_000)] == ["too few", "too few"]


@pytest.mark.parametrize(("process", "unseen"), [(False, 71.918 / 4_000), (True, 1 - 0.025 ** (1 / 200))])
def test_where_the_ends_are_known_as_many_runs_as_no_row_tells_of_may_lie_there(process, unseen):
    y, w = np.full(200, 10.0), np.full(200, 20.0)
    mean = estimators.mean(y, w, ends=(4.0, 60.0), process=process)
    assert [mean.low, mean.high] == pytest.approx([10 - 6 * unseen, 10 + 50 * unseen], rel=1e-4)
    uneven = np.tile([9.0, 11.0], 100)
    plain = estimators.mean(uneven, w, process=process)
    known = estimators.mean(uneven, w, ends=(9.0, 60.0), process=process)
    assert known.high - 10 == pytest.approx(math.hypot(plain.high - 10, 50 * unseen), rel=1e-4)
    assert estimators.total(y, np.ones(200), ends=(0.0, 99.0)).high == 2_000  # every run is in the log


def test_few_rows_are_too_few_however_narrow_and_wide_intervals_however_many():
    assert estimators.mean(np.tile([9.0, 11.0], 29), np.full(58, 20.0)).grade == "too few"
    assert estimators.mean(np.tile([9.0, 11.0], 40), np.full(80, 20.0)).grade == "rough"
    assert estimators.mean(np.tile([9.0, 11.0], 60), np.full(120, 20.0)).grade == "good"
    assert estimators.mean(np.repeat([0.0, 1000.0], [197, 3]), np.full(200, 20.0)).grade == "too few"


# ---- quantiles -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("n", "q", "low", "high"),
    # ranks in print: Conover, Practical Nonparametric Statistics (1999), table A3 of the binomial
    [(10, 0.5, 2, 9), (20, 0.5, 6, 15), (100, 0.5, 40, 61)],
)
def test_a_median_lies_between_the_ranks_in_print(n, q, low, high):
    found = estimators.quantile(np.arange(1.0, n + 1), np.full(n, 20.0), q, process=True)
    assert (found.low, found.high) == (low, high)


@pytest.mark.parametrize("weight", [20.0, 1 / 0.03, 1 / 0.07])
@pytest.mark.parametrize("q", [0.05, 0.5, 0.95, 0.99])
def test_ranks_of_a_quantile_are_the_narrowest_whose_binomial_tails_are_a_fortieth(q, weight):
    for n in (120, 333, 1_000):
        found = estimators.quantile(np.arange(1.0, n + 1), np.full(n, weight), q, process=True)
        assert found.effective_count == pytest.approx(n)
        below = stats.binom(n, q)
        if math.isfinite(found.low):  # P(the row at this rank lies above the quantile)
            assert below.cdf(found.low - 1) <= 0.025 < below.cdf(found.low)
        else:
            assert below.cdf(0) > 0.025
        if math.isfinite(found.high):
            assert below.sf(found.high - 1) <= 0.025 < below.sf(found.high - 2)
        else:
            assert below.sf(n - 1) > 0.025


def test_failures_add_rows_and_no_doubt_to_a_quantile():
    # of 200 runs, 10 drawn at 0.05; with 1,000 failures known, 1,200 runs whose median is among the failures
    found = estimators.quantile([50.0] * 10 + list(range(1_000)), [20.0] * 10 + [1.0] * 1_000, 0.5)
    assert found.low <= 399 <= found.value <= found.high
    assert found.high - found.low < 300
    alone = estimators.quantile(np.arange(1_000.0), np.ones(1_000), 0.5)
    assert (alone.value, alone.low, alone.high, alone.grade) == (499, 499, 499, "good")


def test_stopped_runs_rank_above_all_others_whatever_time_they_took():
    took, stopped = np.array([1.0, 2, 3, 4, 5, 6, 7, 8, 9, 10]), np.zeros(10, bool)
    stopped[0] = True  # stopped after 1 ms: it would have gone on
    assert estimators.quantile(took, np.ones(10), 0.5, censored=stopped).value == 6
    among = estimators.quantile(took, np.ones(10), 1.0, censored=stopped)
    assert (among.value, among.high, among.is_at_least) == (10, math.inf, True)
    assert est(among).striptags().startswith("≥")
    ordinary = estimators.quantile(took, np.ones(10), 1.0)
    assert (ordinary.value, ordinary.is_at_least) == (10, False)


def test_nodes_of_failed_runs_never_enter_and_stopped_ones_are_beyond_any_number():
    status, counts = ["ok", "error", "limit", "timeout", "odd", "ok"], [5, 0, 0, 0, 0, 7]
    values, stopped = estimators.nodes(status, counts)
    np.testing.assert_array_equal(values, [5, math.nan, math.inf, math.inf, math.nan, 7])
    np.testing.assert_array_equal(stopped, [False, False, True, True, False, False])
    assert estimators.quantile(values, np.ones(6), 0.5, censored=stopped).value == 7  # the second of four
    other, _ = estimators.nodes(status, [5, 900, 900, 900, 900, 7])
    np.testing.assert_array_equal(values, other)


def test_durations_of_stopped_runs_are_at_least_and_impossible_ones_are_left_out():
    status, took = ["ok", "error", "limit", "timeout", "ok", "ok"], [1.0, 2.0, 3.0, math.inf, -1.0, math.nan]
    values, stopped = estimators.durations(status, took)
    np.testing.assert_array_equal(values, [1.0, 2.0, 3.0, math.nan, math.nan, math.nan])
    np.testing.assert_array_equal(stopped, [False, False, True, True, False, False])


def test_only_stopped_runs_of_which_nothing_is_known_say_nothing():
    found = estimators.quantile([math.inf] * 5, [1.0] * 5, 0.5)
    assert math.isnan(found.value)
    assert found.grade == "too few"


def test_where_no_ok_run_was_drawn_failures_say_nothing_of_a_quantile_of_all_runs():
    found = estimators.quantile(np.arange(100.0), np.ones(100), 0.5, undrawn=58)
    assert (found.value, found.grade) == (49, "too few")
    assert math.isnan(found.low)
    assert math.isnan(found.high)


# ---- what is always true ---------------------------------------------------------------------------------------------

POINTS = st.integers(-1_000, 1_000).map(float) | st.sampled_from([0.0, 0.0, 10.0, 100.0])
WEIGHTS = st.sampled_from([1.0, 1 / 0.99, 2.0, 5.0, 20.0, 100.0])
ROWS = st.lists(st.tuples(POINTS, WEIGHTS), min_size=1, max_size=150)
FUTURE = st.booleans()
ODD = st.sampled_from([math.nan, math.inf, -math.inf, None])
ESTIMATORS = (
    lambda y, w, process: estimators.mean(y, w, process=process),
    lambda y, w, process: estimators.total(y, w, process=process),
    lambda y, w, process: estimators.quantile(y, w, 0.5, process=process),
    lambda y, w, process: estimators.quantile(y, w, 0.99, process=process),
    lambda y, w, process: estimators.share_of_runs(np.array(y, dtype=float) > 0, w, process=process),
)
few = settings(max_examples=examples(60), deadline=None)


def is_same(found, expected):
    """Equal field by field, NaN to NaN: until Python 3.12 dataclasses were compared as tuples, in which one NaN is itself."""
    pairs = list(zip(astuple(found), astuple(expected), strict=True))
    return all(one == other or (one != one and other != other) for one, other in pairs)


def split(rows):
    return np.array([y for y, _ in rows], dtype=float), np.array([w for _, w in rows])


def ends(found):
    return [found.value, found.low, found.high]


def same(one, other, factor=1.0):
    np.testing.assert_allclose(np.array(ends(one)) * factor, ends(other), rtol=1e-6, atol=1e-6 * factor)
    assert one.logged_count == other.logged_count


@pytest.mark.more
@few
@given(ROWS, FUTURE, st.randoms(use_true_random=False))
def test_the_order_of_rows_makes_no_difference(rows, process, random):
    shuffled = random.sample(rows, len(rows))
    for estimator in ESTIMATORS:
        same(estimator(*split(rows), process), estimator(*split(shuffled), process))


def test_the_order_of_rows_of_one_value_and_several_weights_makes_no_difference():
    random = np.random.default_rng(16)
    for _ in range(200):
        n = int(random.integers(5, 200))
        y, w, other = random.integers(0, 6, n), random.choice([1.0, 5.0, 20.0], n), random.permutation(n)
        assert estimators.quantile(y, w, 0.5) == estimators.quantile(y[other], w[other], 0.5)


@pytest.mark.more
@few
@given(ROWS, FUTURE, st.sampled_from([0.001, 0.5, 3.0, 1e9]))
def test_points_in_another_unit_scale_mean_total_and_quantiles(rows, process, factor):
    y, w = split(rows)
    for estimator in ESTIMATORS[:4]:
        same(estimator(y, w, process), estimator(y * factor, w, process), factor)


@pytest.mark.more
@few
@given(ROWS, FUTURE)
def test_losses_mirror_gains(rows, process):
    y, w = split(rows)
    for estimator in ESTIMATORS[:2]:
        gains, losses = estimator(y, w, process), estimator(-y, w, process)
        np.testing.assert_allclose([-losses.value, -losses.high, -losses.low], ends(gains), rtol=1e-6, atol=1e-6)
        assert losses.grade == gains.grade


@pytest.mark.more
@few
@given(ROWS, FUTURE)
def test_the_value_lies_in_its_interval_and_what_is_graded_has_one(rows, process):
    for estimator in ESTIMATORS:
        found = estimator(*split(rows), process)
        assert not found.low > found.value
        assert not found.value > found.high
        assert found.logged_count == len(rows)
        assert found.grade == "too few" or (math.isfinite(found.low) and math.isfinite(found.high))


@pytest.mark.more
@few
@given(ROWS)
def test_where_every_run_is_logged_everything_is_counted(rows):
    y, _ = split(rows)
    ones = np.ones(len(y))
    for estimator in ESTIMATORS:
        found = estimator(y, ones, False)
        assert found.low == found.value == found.high
        assert found.effective_count == math.inf
    assert estimators.mean(y, ones).value == pytest.approx(y.mean())
    assert estimators.total(y, ones).value == pytest.approx(y.sum(), abs=1e-9)
    assert estimators.quantile(y, ones, 0.5).value == np.sort(y)[math.ceil(len(y) / 2) - 1]


@pytest.mark.more
@few
@given(ROWS, st.lists(st.tuples(ODD, WEIGHTS), max_size=20), FUTURE)
def test_points_that_are_no_numbers_change_nothing(rows, odd, process):
    mixed = [*odd[: len(odd) // 2], *rows, *odd[len(odd) // 2 :]]
    for estimator in ESTIMATORS[:2]:
        assert is_same(estimator(*split(mixed), process), estimator(*split(rows), process))
    assert estimators.mean([y for y, _ in odd], [w for _, w in odd]) == estimators.NOTHING


@pytest.mark.more
@few
@given(ROWS, st.lists(POINTS, max_size=20), FUTURE)
def test_rows_of_unknown_weight_are_dropped(rows, unknown, process):
    (y, w), extra = split(rows), np.array(unknown, dtype=float)
    for estimator in ESTIMATORS:
        found = estimator(np.append(y, extra), np.append(w, np.full(len(extra), math.nan)), process)
        assert is_same(found, estimator(y, w, process))


@pytest.mark.more
@few
@given(st.integers(0, 300), st.integers(0, 5_000), st.sampled_from([2, 5, 20, 100]))
def test_failures_widen_no_interval_of_runs(drawn, failed, weight):
    alone = estimators.runs(drawn, drawn * weight, drawn * weight**2)
    beside = estimators.runs(drawn, drawn * weight, drawn * weight**2, kept=failed)
    np.testing.assert_allclose(np.array(ends(alone)) + failed, ends(beside))
    assert estimators.GRADES.index(beside.grade) <= estimators.GRADES.index(alone.grade) or drawn == failed == 0


@pytest.mark.more
@few
@given(st.integers(0, 300), st.integers(0, 300), st.sampled_from([0.0, 0.01, 0.05, 0.5, 0.99, 1.0]), FUTURE)
def test_a_failure_rate_is_a_share_within_its_interval(drawn, failed, rate, process):
    drawn = drawn if rate else 0
    weight = 1 / rate if rate else 0.0
    found = estimators.failure_rate(
        failed, estimators.runs(drawn, drawn * weight, drawn * weight**2, failed, rate), process=process
    )
    if drawn + failed == 0:
        assert found == estimators.NOTHING
    else:
        assert 0 <= found.low <= found.value <= found.high <= 1


@pytest.mark.parametrize("size", [1e300, 1e-300, 1e153, 1e-155])
@pytest.mark.parametrize("process", [False, True])
def test_huge_and_tiny_points_are_numbers_like_others(size, process):
    y = np.array([1.0, 2, 3, -4, 5] * 30) * size
    w = np.full(150, 20.0)
    for estimator in ESTIMATORS[:4]:
        same(estimator(y / size, w, process), shrunk(estimator(y, w, process), size))
    ones = estimators.total(np.array([1.0, -1.0]) * size, [1.0, 1.0])
    assert ends(ones) == [0, 0, 0]


def shrunk(found, size):
    return estimators.Estimate(
        found.value / size, found.low / size, found.high / size, found.logged_count, found.grade, found.effective_count
    )


def test_points_of_every_size_at_once_are_no_trouble():
    y = 10.0 ** np.linspace(-300, 300, 200)
    for process in (False, True):
        for weights in (np.full(200, 20.0), np.where(np.arange(200) < 100, 20.0, 1.0)):
            for estimator in ESTIMATORS:
                found = estimator(y, weights, process)
                assert found.low <= found.value <= found.high


def test_at_a_rate_of_almost_one_the_mean_and_the_total_lie_in_their_intervals():
    y, w = np.where(np.arange(300) == 7, 1_000.0, 1.0), np.full(300, 1 / 0.999)
    for found in (estimators.mean(y, w), estimators.total(y, w)):
        assert found.low <= found.value <= found.high


def test_one_row_and_no_row_have_no_interval():
    for estimator in ESTIMATORS:
        assert estimator([], [], False) == estimators.NOTHING
        one = estimator([3.0], [20.0], False)
        assert one.grade == "too few"
        assert one.logged_count == 1
    assert math.isnan(estimators.mean([3.0], [20.0]).low)
    assert estimators.mean([3.0], [20.0]).to_dict()["low"] is None
    assert estimators.share(0, 0) == estimators.NOTHING


def test_the_worse_of_two_grades_is_the_one_to_trust():
    assert estimators.worse("good", "too few") == estimators.worse("too few", "rough") == "too few"
    assert estimators.worse("rough", "good") == "rough"
    assert [graded(half, 100.0) for half in (15, 15.1, 50, 50.1, math.nan)] == [
        "good",
        "rough",
        "rough",
        *["too few"] * 2,
    ]


# ---- differences -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("a", "b", "low", "high"),
    # Newcombe, Statistics in Medicine 17, 873 (1998), table II, method 10
    [
        ((56, 70), (48, 80), 0.0524, 0.3339),
        ((9, 10), (3, 10), 0.1705, 0.8090),
        ((6, 7), (2, 7), 0.0582, 0.8062),
        ((5, 56), (0, 29), -0.0381, 0.1926),
        ((0, 10), (0, 20), -0.1611, 0.2775),
        ((10, 10), (0, 20), 0.6791, 1.0),
    ],
)
def test_the_difference_of_shares_is_newcombes_tenth_method(a, b, low, high):
    found = comparisons.between(estimators.share(*b), estimators.share(*a)).change
    assert (round(found.low, 4), round(min(found.high, 1.0), 4)) == (low, high)


def test_a_difference_squares_the_ends_that_face_each_other():
    a = estimators.Estimate(10.0, 7.0, 14.0, 100, "good", 100.0)
    b = estimators.Estimate(30.0, 25.0, 42.0, 100, "rough", 100.0)
    found = comparisons.between(a, b)
    assert found.change.value == 20
    assert found.change.low == 20 - math.hypot(30 - 25, 14 - 10)
    assert found.change.high == 20 + math.hypot(42 - 30, 10 - 7)
    assert found.relative == 2
    low, high = 1 + found.relative_low, 1 + found.relative_high
    assert 30 - low * 10 == pytest.approx(math.hypot(30 - 25, low * (14 - 10)))
    assert high * 10 - 30 == pytest.approx(math.hypot(42 - 30, high * (10 - 7)))
    back = comparisons.between(b, a).change
    assert (back.low, back.high) == (-found.change.high, -found.change.low)


@pytest.mark.parametrize("before", [10.0, -10.0])
@pytest.mark.parametrize("after", [-40.0, -5.0, 0.0, 4.0, 11.0, 35.0])
def test_of_symmetric_intervals_a_relative_change_is_fiellers(before, after):
    a, b = (estimators.Estimate(x, x - half, x + half, 80, "good", 80.0) for x, half in ((before, 4.0), (after, 7.0)))
    found = comparisons.between(a, b)
    # Fieller, JRSS B 16 (1954): of the ratio of two independent normal means, g = (half of the divisor / divisor)²
    ratio, g = after / before, 16.0 / 100.0
    half = math.sqrt((1 - g) * 49.0 + ratio**2 * 16.0) / abs(before)
    ends = sorted((x / (1 - g) - 1) * math.copysign(1, before) for x in (ratio - half, ratio + half))
    assert (found.relative_low, found.relative_high) == (pytest.approx(ends[0]), pytest.approx(ends[1]))
    assert (found.relative_low > 0) == (found.change.low > 0)
    assert (found.relative_high < 0) == (found.change.high < 0)


def test_what_cannot_be_negative_does_not_fall_by_more_than_all_of_it():
    random = np.random.default_rng(4)
    for _ in range(40):
        much = np.where(random.random(200) < 0.5, 10.0, 0.0)
        little = np.where(random.random(25) < 0.1, 10.0, 0.0)
        found = comparisons.difference((much, np.full(200, 20)), (little, np.full(25, 20)))
        assert -1 <= found.relative_low <= found.relative <= found.relative_high
    a, b = (
        estimators.Estimate(10.0, 8.0, 12.0, 80, "good", 80.0),
        estimators.Estimate(1.0, -3.0, 5.0, 80, "rough", 80.0),
    )
    assert comparisons.between(a, b).relative_low < -1
    assert comparisons.between(a, b, is_negative_possible=False).relative_low == -1


def test_there_is_no_share_of_what_may_have_been_nothing():
    a, b = (
        estimators.Estimate(2.0, -0.5, 4.5, 80, "rough", 80.0),
        estimators.Estimate(30.0, 25.0, 35.0, 80, "good", 80.0),
    )
    found = comparisons.between(a, b)
    assert found.is_significant
    assert found.change.value == 28
    assert all(map(math.isnan, (found.relative, found.relative_low, found.relative_high)))


@pytest.mark.parametrize(
    ("low", "high", "grade"),
    [
        (100, 200, "good"),
        (-10, 200, "rough"),
        (-49, 151, "rough"),
        (-60, 140, "too few"),
        (0, 0, "good"),
        (-300, 10, "rough"),
    ],
)
def test_an_amount_whose_sign_is_not_known_is_never_good(low, high, grade):
    found = estimators.Estimate((low + high) / 2, low, high, 5_000, "good", 5_000.0)
    assert found.as_difference().grade == grade
    assert found.negated().as_difference().grade == grade


def test_a_side_that_is_open_or_unknown_has_no_difference():
    known = estimators.Estimate(10.0, 7.0, 14.0, 100, "good", 100.0)
    for other in (estimators.NOTHING, estimators.Estimate(5.0, 5.0, math.inf, 50, "good", 50.0, True)):
        found = comparisons.between(known, other)
        assert found.change.grade == "too few"
        assert math.isnan(found.change.low)
        assert not found.is_significant


def test_no_failure_on_either_side_is_no_change_and_not_graded():
    none = estimators.failure_rate(0, estimators.runs(400, 8_000.0, 160_000.0), process=True)
    found = comparisons.between(none, none)
    assert found.change.value == 0
    assert found.change.low < 0 < found.change.high
    assert found.change.grade == "too few"
    assert not found.is_significant
    assert math.isnan(found.relative)


@pytest.mark.parametrize(("few_rows", "many_rows"), [(15, 300), (75, 2_000)])
def test_rows_alike_by_chance_are_no_change_beside_many_that_are_not(few_rows, many_rows):
    random = np.random.default_rng(15)
    significant = 0
    for _ in range(300):
        few_paid, many_paid = (np.where(random.random(rows) < 0.03, 100.0, 0.0) for rows in (few_rows, many_rows))
        sides = (few_paid, np.full(few_rows, 20)), (many_paid, np.full(many_rows, 20))
        significant += comparisons.difference(*sides).is_significant
    assert significant <= 27  # as above


def test_rows_all_alike_on_both_sides_differ_when_their_values_do():
    found = comparisons.difference((np.full(20, 10.0), np.full(20, 20)), (np.full(20, 15.0), np.full(20, 20)))
    assert found.is_significant
    assert (found.change.low, found.change.high) == (5, 5)
    huge = comparisons.difference((np.full(20, 1e300), np.full(20, 20)), (np.arange(20.0), np.full(20, 20)))
    assert huge.change.value == -1e300


# ---- how likely chance alone is --------------------------------------------------------------------------------------


def counted(runs):
    return estimators.runs(runs, runs, runs, rate=1.0)


def test_few_failures_are_tested_exactly():
    # 1 of 9 failures on one half of the runs: 2·(1 + 9)/2⁹
    assert comparisons.rate_change_p((1, 8), (counted(500), counted(500))) == pytest.approx(20 / 512)
    assert comparisons.rate_change_p((0, 0), (counted(500), counted(500))) == 1.0


def test_many_failures_are_tested_by_the_ratio_of_their_rates():
    z = math.log(2) / math.sqrt((1 - 0.05) / 50 + (1 - 0.1) / 100)
    assert comparisons.rate_change_p((50, 100), (counted(1_000), counted(1_000))) == pytest.approx(2 * stats.norm.sf(z))


def test_a_share_of_failures_that_the_runs_allow_is_chance():
    none_drawn, some = estimators.runs(0, 0.0, 0.0, kept=3), estimators.runs(2, 40.0, 800.0, kept=8)
    # 3 to 61 runs against 10 to about 150: 8 of 11 failures there are what any ratio in between gives
    assert comparisons.rate_change_p((3, 8), (none_drawn, some)) == 1.0


@pytest.mark.parametrize("failed", [(3, 3), (0, 3), (3, 30), (30, 3), (30, 30), (0, 0)])
def test_runs_without_an_upper_bound_never_show_a_change(failed):
    unknown, known = estimators.runs(0, 0.0, 0.0, kept=3, rate=0.0), estimators.runs(100, 2000.0, 40000.0, kept=3)
    for sides in ((unknown, known), (known, unknown), (unknown, unknown)):
        assert 0 <= comparisons.rate_change_p(failed, sides) <= 1
    assert comparisons.rate_change_p(failed, (unknown, unknown)) == 1.0


def test_each_rate_has_an_interval_of_its_own_and_a_rate_without_rows_its_bound():
    pooled = estimators.runs(340, 40 * 20 + 300, 40 * 400 + 300, rate=0.05)
    apart = estimators.runs_of_rates({20.0: 40, 1.0: 300}, rate=0.05)
    few = estimators.runs(40, 800.0, 16_000.0)
    assert apart.value == pooled.value == 1_100
    assert (apart.low, apart.high) == (pytest.approx(300 + few.low), pytest.approx(300 + few.high))
    unseen = estimators.runs_of_rates({1.0: 300}, rate=0.05)
    assert (unseen.value, unseen.low, unseen.high) == (300, 300, 358)
    assert math.isnan(estimators.runs_of_rates({math.nan: 3}, rate=0.0).value)
    assert estimators.runs_of_rates({math.nan: 3, 20.0: 5}, rate=0.0).is_at_least


def test_runs_of_two_rates_are_covered_where_pooling_them_is_not():
    chance = np.random.default_rng(11)
    hits = pooled = 0
    for _ in range(600):
        n, m = int(chance.binomial(400, 0.05)), 300
        found = estimators.runs_of_rates({20.0: n, 1.0: m} if n else {1.0: m}, rate=0.05)
        other = estimators.runs(n + m, n * 20.0 + m, n * 400.0 + m, rate=0.05)
        hits += found.low <= 700 <= found.high
        pooled += other.low <= 700 <= other.high
    assert hits >= 0.93 * 600 and pooled < hits


def test_a_difference_says_in_words_what_it_is():
    a, b = ([10.0, 11.0, 9.0] * 40, [20] * 120), ([14.0, 15.0, 16.0] * 40, [20] * 120)
    assert [comparisons.difference(*pair).words for pair in ((a, b), (b, a), (a, a))] == [
        "more",
        "less",
        "no significant change",
    ]
    assert comparisons.difference(([1.0], [20]), b).words == "too few to compare"


def test_one_run_that_failed_otherwise_does_not_hide_that_all_the_others_fail():
    # 59 of 60 kept rows have the code and no ok row was drawn at rate 0.05: at most 58 ok runs happened (95 %).
    runs = estimators.runs(0, 0.0, 0.0, kept=60, rate=0.05)
    rate = estimators.failure_rate(59, runs, process=True)
    alone = estimators.failure_rate(60, runs, process=True)
    assert 0.4 < rate.low <= alone.low
