"""What stalls add that a sample has missed, against arithmetic by hand; shares of the time, and the words for them."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pandas as pd
import pytest

from analytics.estimates import stalls
from analytics.estimates.estimate import Estimate
from analytics.findings.runaway.keys import Key
from analytics.findings.runaway.ranking import RankingRow
from analytics.findings.runaway.run_costs import LoggedRuns, cost_shares, fleet_costs
from analytics.reports.page.inline import plain
from analytics.reports.runaway.ranking import stall_words, time_words
from tests.intervals import cells
from tests.intervals.fleets import FleetCell
from tests.intervals.rare import UNKNOWN, RareCell
from tests.runaway.rows import costs, ranking_row


def rows(count: int, ms: float = 2.0, stalled: tuple[float, ...] = ()) -> stalls.Durations:
    values = np.append(np.full(count - len(stalled), ms), stalled)
    return stalls.split_stalls(values, np.full(count, 20.0))


def test_where_none_was_seen_there_may_be_as_many_of_300_times_the_mean_as_the_rule_of_three_says() -> None:
    (alone,) = stalls.excesses([rows(1_000)])
    assert alone.value == alone.low == alone.stalled == 0
    # 72 runs in a row are left out with a chance of a fortieth; a gamma distribution says 71
    assert alone.high == pytest.approx(math.log(1 / 40) / math.log(0.95) * 300 * 2, rel=0.03)


def test_a_fleet_without_a_stall_says_more_than_a_version_and_earlier_days_say_it_too() -> None:
    alone = stalls.excesses([rows(1_000)])[0].high
    among = stalls.excesses([rows(1_000) for _ in range(10)])[0].high
    before = stalls.excesses([rows(1_000)], [rows(1_000) for _ in range(9)])[0].high
    # a geometric number of them: 19,000 runs that were not drawn, 10,000 rows that show none
    assert among == before == pytest.approx(math.log(1 / 40) / math.log(19 / 29) * 600, rel=0.12)
    assert among < alone / 8
    # a handful of rows does not tell what is long, so it does not tell of stalls
    assert stalls.excesses([rows(1_000), rows(5, 2.0, (9_000.0, 9_000.0))])[0].high == pytest.approx(alone)


def test_a_stall_counts_elsewhere_with_its_milliseconds_or_its_multiple_whichever_is_more() -> None:
    seen, squares = stalls._seen_by(np.array([1.0, 10.0]), np.array([100.0, 900.0]), np.array([1.0, 10.0]))
    assert list(seen) == pytest.approx([100 + 900, 100 * 10 + 900])
    assert list(squares) == pytest.approx([100**2 + 900**2, 1_000**2 + 900**2])
    (quick,), _ = stalls._seen_by(np.array([50.0]), np.array([9_000.0]), np.array([1.0]))
    assert quick == pytest.approx(300 * 50)  # no multiple above 300


def test_what_was_drawn_was_there_however_few_others_there_may_be() -> None:
    fleet = [rows(500, 2.0, (400.0,)), rows(500)]
    with_it, without = stalls.excesses(fleet)
    assert (with_it.stalled, without.stalled) == (1, 0)
    assert with_it.value == pytest.approx(20 * 398)
    assert 398 <= with_it.low < with_it.value < with_it.high
    assert without.high > 0 == without.low
    mean = stalls.mean_of(fleet[0], with_it)
    assert mean.value == pytest.approx(2 + 398 / 500)
    assert mean.low <= 2 + 398 / 10_000


def test_equal_durations_have_no_interval_without_width_and_none_that_take_no_time_are_too_few() -> None:
    many, nothing = rows(4_000), rows(4_000, 0.0)
    found = stalls.mean_of(many, stalls.excesses([many])[0])
    assert found.low < 2 < found.high
    assert stalls.mean_of(nothing, stalls.excesses([nothing])[0]).grade == "too few"
    every = stalls.split_stalls(np.array([1.0, 2.0, 900.0] * 40), np.ones(120))
    known = stalls.mean_of(every, stalls.excesses([every])[0])  # every run is in the log
    assert known.low == known.value == known.high == 301


@pytest.mark.parametrize("kind", ["1 in 1,500 of 40 – 300 times", "1 in 1,500 of 300 – 1,500 ms, whoever runs"])
def test_what_versions_cost_is_covered_where_one_run_in_1500_stalls(kind: str) -> None:
    found = {tally.name: tally for tally in cells.tallies(FleetCell(kind, 0.05, 28), 280, 3)}
    told = {
        name: found[name] for name in ("ms per run", "ms in all", "share of time", "nodes per ok run", "nodes in all")
    }
    assert [(name, tally.coverage) for name, tally in told.items() if not tally.holds] == []
    assert min(tally.graded for tally in told.values()) >= 100
    assert found["ms per run"].naive_coverage < 0.8


def test_an_interval_that_allows_for_no_stall_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    def only_what_was_drawn(fleet: Any, before: Any = ()) -> list[stalls.Excess]:
        return [
            stalls.Excess(one.excess @ one.excess_weights, 0.0, one.excess @ one.excess_weights, 0) for one in fleet
        ]

    monkeypatch.setattr(stalls, "excesses", only_what_was_drawn)
    found = cells.tallies(FleetCell("1 in 1,500 of 40 – 300 times", 0.05, 28), 84, 3)
    assert not next(tally for tally in found if tally.name == "ms per run").holds


def test_means_of_jackpots_are_covered_where_it_is_known_what_a_run_can_be_paid() -> None:
    found = cells.tallies(RareCell(0.2, 5_000, 0.0), 120, 3)
    assert [(tally.name, tally.coverage) for tally in found if not tally.holds] == []
    assert sum(tally.is_graded for tally in found if not tally.name.endswith(UNKNOWN)) >= 10
    unknown = [tally for tally in found if tally.name.startswith("mean") and tally.name.endswith(UNKNOWN)]
    assert min(tally.coverage for tally in unknown) < 0.8  # what no sample tells, and the page says so


# ---- what versions cost ----------------------------------------------------------------------------------------------


def ran(ok: int, timeouts: int = 0, ms: float = 5.0) -> LoggedRuns:
    frame = pd.DataFrame(
        {
            "duration_ms": [ms] * ok + [500.0] * timeouts,
            "nodes_executed": [20.0] * ok + [math.nan] * timeouts,
            "status": ["ok"] * ok + ["timeout"] * timeouts,
            "sample_weight": [20.0] * ok + [1.0] * timeouts,
            "logged_count": 1,
        }
    )
    return LoggedRuns(ok + timeouts, ok, 20 * ms * ok + 500 * timeouts, frame, frame, 100.0)


def test_no_run_takes_less_than_nothing() -> None:
    (found,) = fleet_costs({Key("r", "a", 1): ran(6, 1, ms=1.5)}, 0.5).values()
    assert found.ms_mean.low >= 0


def test_a_version_of_which_only_failures_were_logged_may_have_taken_more() -> None:
    found = fleet_costs({Key("r", "a", 1): ran(0, 3), Key("r", "b", 1): ran(4_000)}, 0.05)
    failed, other = found.values()
    total = failed.total_ms
    assert (total.value, total.low, total.grade) == (1_500, 1_500, "too few")
    assert total.high == pytest.approx(1_500 + 58 * 5)  # no more than 58 runs, as long as those of the slowest version
    assert failed.ms_mean.grade == "too few"
    assert math.isnan(failed.ms_mean.low)
    (alone,) = fleet_costs({Key("r", "a", 1): ran(0, 3)}, 0.05).values()
    assert alone.total_ms.high == math.inf
    (counted,) = fleet_costs({Key("r", "a", 1): ran(0, 3)}, 1.0).values()
    assert counted.total_ms.high == 1_500
    # 4,000 rows of 20 nodes, of at most 100: 72 of the 80,000 runs may have left as many
    nodes = other.nodes_mean
    assert [nodes.low, nodes.high] == pytest.approx([20 * (1 - 71.9 / 80_000), 20 + 80 * 71.9 / 80_000], rel=1e-3)


def estimate(value: float, low: float, high: float) -> Estimate:
    return Estimate(value, low, high, 500, "good")


def test_a_share_is_as_lopsided_as_what_it_is_made_of() -> None:
    one, other = cost_shares([estimate(100, 90, 160), estimate(300, 280, 400)])
    assert one.value == 0.25
    assert one.low == pytest.approx(0.25 - math.hypot(0.25 - 90 / 390, 0.25 - 100 / 500))
    assert one.high == pytest.approx(0.25 + math.hypot(160 / 460 - 0.25, 100 / 380 - 0.25))
    assert [1 - other.high, 1 - other.low] == pytest.approx([one.low, one.high])
    (alone,) = cost_shares([estimate(100, 90, 160)])
    assert alone.low == alone.value == alone.high == 1
    beside_open, is_open = cost_shares([estimate(100, 90, 160), estimate(1, 1, math.inf)])
    assert beside_open.low == 0
    assert is_open.high == 1


# ---- who takes most time ---------------------------------------------------------------------------------------------


def row(strategy: str, value: float, low: float, high: float) -> RankingRow:
    share = costs(time_share=Estimate(value, low, high, 100, "good"))
    return ranking_row(Key("acme", strategy, 1), est_time_share=value, costs=share)


@pytest.mark.parametrize(
    ("others", "told"),
    [
        ([row("b", 0.2, 0.1, 0.25)], "The largest share of time goes to a v1 (acme): 40 % [30 – 50] of it."),
        (
            [row("b", 0.35, 0.25, 0.45)],
            "The largest share of time goes to a v1 (acme) or b v1 (acme): 40 % [30 – 50] and 35 % [25 – 45] of it.",
        ),
        (
            [row("b", 0.35, 0.25, 0.45), row("c", 0.1, 0.01, 0.6), row("d", 0.01, 0.01, 0.02)],
            "Who takes most time cannot be told: it may be a v1 (acme), with 40 % [30 – 50] of it, or any of 2 others.",
        ),
    ],
)
def test_who_takes_most_time_is_told_no_surer_than_the_intervals_are(others: list[RankingRow], told: str) -> None:
    words = plain([*time_words([row("a", 0.4, 0.3, 0.5), *others])])
    assert words.replace("\u00a0", " ") == told


def test_a_reader_is_told_what_a_stall_is_and_how_many_the_log_holds() -> None:
    words = stall_words(4, 8_000)
    assert "more than 20 times the median of its version; 4 of 8,000 logged ok runs are (one in 2,000)." in words
    assert "one of 300 times the mean that nobody saw" in words
    assert "none of 8,000 logged ok runs is one." in stall_words(0, 8_000)
