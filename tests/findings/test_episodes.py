"""Between which moments something began and ended that shows only now and then, against arithmetic and drawn moments."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import numpy as np
import pytest

from analytics.findings.failures.stops import burst_ends, is_gone, mark_stalls, reach_beyond
from analytics.findings.runaway.runaway import Burst, Key, Stop

NOON = datetime(2026, 7, 8, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)
KEY = Key("r", "s", 1)


def burst(count: int, since: float, until: float) -> Burst:
    """A burst between two hours after noon."""
    return Burst("limit", KEY, NOON + since * HOUR, NOON + until * HOUR, count, 1, 1, None)


@pytest.mark.parametrize(
    ("count", "hours"),
    [
        (2, 19.0),  # 1 / 0.05 - 1
        (3, 20**0.5 - 1),
        (51, 20**0.02 - 1),
    ],
)
def test_a_range_reaches_so_far_beyond_its_outermost_event(count: int, hours: float) -> None:
    found = reach_beyond(count, HOUR)
    assert found is not None and found / HOUR == pytest.approx(hours)


def test_one_moment_tells_no_rate() -> None:
    assert reach_beyond(1, timedelta()) is None and reach_beyond(7, timedelta()) is None


@pytest.mark.parametrize("count", [2, 5, 40])
def test_the_end_of_a_steady_process_lies_in_the_interval_nineteen_times_in_twenty(count: int) -> None:
    drawn = np.sort(np.random.default_rng(count).random((4000, count)), axis=1)
    held = 0
    for moments in drawn:
        reach = reach_beyond(count, timedelta(hours=float(moments[-1] - moments[0])))
        held += reach is not None and moments[-1] + reach / HOUR >= 1
    assert held / len(drawn) == pytest.approx(0.95, abs=0.012)  # three standard errors


def test_a_beginning_before_the_log_and_an_end_after_it_are_not_known() -> None:
    short, long = burst(11, 0, 1), burst(3, 0, 1)
    told = burst_ends([short], NOON - HOUR, NOON + 2 * HOUR)
    assert told.began_after is not None and (NOON - told.began_after) / HOUR == pytest.approx(20**0.1 - 1)
    assert told.ended_before == NOON + HOUR + (NOON - told.began_after)
    told = burst_ends([long], NOON - HOUR, NOON + 2 * HOUR)
    assert (told.began_after, told.ended_before) == (None, None)


def test_the_first_burst_tells_the_beginning_and_the_last_one_the_end() -> None:
    told = burst_ends([burst(11, -8, -7), burst(11, 0, 1)], NOON - 24 * HOUR, NOON + 24 * HOUR)
    assert (told.first, told.last) == (NOON - 8 * HOUR, NOON + HOUR)


@pytest.mark.parametrize(
    ("count", "before", "since", "gone"),
    [
        (1, 1_000, 18_000, False),  # 1 / 19 is 5.3 %
        (1, 1_000, 19_000, True),  # 1 / 20
        (30, 1_000, 100, False),  # (10 / 11) ** 30 is 5.7 %
        (30, 1_000, 110, True),  # (100 / 111) ** 30 is 4.4 %
        (30, 1_000, 0, False),
        (0, 1_000, 9_000, False),
    ],
)
def test_a_rate_is_gone_where_chance_would_have_brought_another(
    count: int, before: float, since: float, gone: bool
) -> None:
    assert is_gone(count, before, since) is gone


# ---- stalls ----------------------------------------------------------------------------------------------------------


def timeout(second: float, strategy: int) -> Stop:
    return Stop(Key("r", f"s{strategy}", 1), "timeout", NOON + timedelta(seconds=second), None, "DSL_TIMEOUT")


def stalled(*stops: Stop) -> list[tuple[float, str, int]]:
    """Second, strategy and stall of those that are taken for one's."""
    ordered = sorted(stops, key=lambda stop: stop.at or NOON)
    found = mark_stalls(ordered, (NOON - 12 * HOUR, NOON + 12 * HOUR))
    return [((s.at - NOON).total_seconds(), s.key.strategy, s.stall) for s in found if s.at and s.stall is not None]


def test_a_stall_holds_what_is_of_two_strategies_at_its_edges_and_in_its_pauses() -> None:
    """Dense at 0 and 420 s; two timeouts of one strategy before, one of another in between, two after."""
    dense = [timeout(begin + 5 * place, place) for begin in (0, 420) for place in range(8)]
    edges = [timeout(-150, 1), timeout(-140, 1), timeout(240, 9), timeout(600, 2), timeout(610, 3)]
    assert len(stalled(*dense, *edges)) == len(dense) + len(edges)
    assert {number for *_, number in stalled(*dense, *edges)} == {0}


def test_stalls_with_more_than_ten_minutes_between_them_are_two() -> None:
    dense = [timeout(begin + 5 * place, place) for begin in (0, 700) for place in range(8)]
    assert [number for *_, number in stalled(*dense)] == [0] * 8 + [1] * 8


def test_a_strategy_that_times_out_all_day_is_not_excused_by_a_stall() -> None:
    """One of it every minute, three of them within the stall's three minutes: no more than at any other time."""
    steady = [timeout(60.0 * minute + 7, 99) for minute in range(-300, 300)]
    dense = [timeout(9 * place, place % 16) for place in range(20)]
    found = stalled(*steady, *dense)
    assert [name for _, name, _ in found if name == "s99"] == []
    assert len(found) == len(dense)


def test_a_stranger_minutes_before_a_stall_is_not_its_beginning() -> None:
    """It times out every half hour; the two minutes that are dense begin with one of it."""
    usual = [timeout(1800.0 * place - 60, 99) for place in range(-10, 10)]
    dense = [timeout(2 * place, place % 16) for place in range(40)]
    found = stalled(*usual, *dense)
    assert found[0][0] == 0 and len(found) == len(dense)
