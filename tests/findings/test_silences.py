"""A silent log is told from a quiet one: the statistic by itself, and what both reports make of it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

import analytics
from analytics.demo.traffic import RHYTHMS
from analytics.findings.failures.silences import silences
from analytics.lake.lake import Lake
from analytics.warehouse.warehouse import Warehouse
from tests.fewer import one_in
from tests.silences.arrivals import FLEETS, Fleet, arrivals, judged, robbed, tally

if TYPE_CHECKING:
    from tests.conftest import Table

SEED = 20261129


@pytest.mark.parametrize("name", one_in(2, FLEETS))  # make prove has all, and fifty times as many logs of each
def test_a_quiet_log_is_not_called_silent(name: str) -> None:
    found = tally(FLEETS[name], 10, SEED)
    # 1 % promised: two of ten by chance in one of 200
    assert found.alarms <= 1
    assert found.untold < 10


@pytest.mark.long
@pytest.mark.parametrize("name", FLEETS)
def test_one_quiet_log_in_a_hundred_at_most_is_called_silent(name: str) -> None:
    found = tally(FLEETS[name], 500, SEED)
    assert found.alarms <= 5


def test_two_lost_stretches_of_the_evening_peak_are_both_named() -> None:
    found = tally(Fleet(3_000, rhythms=("evening",), weekend=1.0), 40, SEED)
    assert found.named >= 0.95 * found.lost
    # A prediction interval of 95 %; 80 stretches leave two standard deviations of 2.4 %
    assert found.inside >= 0.88 * found.named


def test_one_day_of_history_cannot_tell() -> None:
    fleet = Fleet(3_000, days=1)
    minutes = arrivals(fleet, np.random.default_rng(SEED), 2)
    assert judged(fleet, minutes) is None
    assert judged(fleet, robbed(fleet, minutes)[0]) is None


def test_a_saturday_is_not_judged_by_weekdays() -> None:
    fleet = Fleet(3_000, days=6, weekend=0.0, bursts=False)
    assert not judged(fleet, arrivals(fleet, np.random.default_rng(SEED), 0))


def test_a_log_that_ends_in_the_evening_is_silent_to_its_end() -> None:
    fleet = Fleet(3_000, rhythms=("evening",), weekend=1.0)
    minutes = arrivals(fleet, np.random.default_rng(SEED), 0)
    minutes.counts[-300:] = 0
    found = judged(fleet, minutes)
    assert found is not None
    assert [(pause.is_open, pause.stop) for pause in found] == [(True, len(minutes.counts))]


def test_minutes_that_the_lake_does_not_hold_are_no_silence() -> None:
    fleet = Fleet(3_000, rhythms=("evening",), weekend=1.0)
    minutes = arrivals(fleet, np.random.default_rng(SEED), 0)
    minutes.counts[-400:-200] = 0
    minutes.held[-400:-200] = False
    assert judged(fleet, minutes) == []


# ---- both reports ----------------------------------------------------------------------------------------------------

FIRST = datetime(2026, 7, 6, tzinfo=UTC)  # a Monday
GONE = [(timedelta(days=4, hours=19, minutes=2), 29), (timedelta(days=4, hours=19, minutes=58), 39)]
"""From when, and for how many minutes no row was logged: on Friday 10 July."""
ASKED: dict[str, Any] = {"since": "2026-07-10", "until": "2026-07-11"}


INSERT = """
insert into strategyexecutionlog (id, created_at, updated_at, "strategyId", "strategyVersion", "strategyType", "realmId",
  "externalUserId", status, points, "caseName", "durationMs", "nodesExecuted", trace, sampled)
select gen_random_uuid(), at, at, id, 1, 'DSL_FULL', realm, 'u1', 'ok', 1, 'Case', 1.5, 1,
       '[{"nodeId": "n1", "type": "literal", "value": 1}]'::jsonb, true
  from unnest(%s::timestamptz[], %s::text[], %s::text[]) as one (at, id, realm)
"""


@pytest.fixture(scope="module")
def lost(module_table: Table, tmp_path_factory: pytest.TempPathFactory) -> tuple[Lake, int]:
    """Five weekdays of one tenant's six strategies and of another's only one, and how many rows were lost."""
    random = np.random.default_rng(SEED)
    rows, count = [], 0
    for day in range(5):
        for hour, weight in enumerate(RHYTHMS["evening"]):
            for minute in random.uniform(0, 60, random.poisson(18 * weight)):
                at = timedelta(days=day, hours=hour, minutes=float(minute))
                strategy = int(random.integers(1, 8))
                if any(start < at < start + timedelta(minutes=length) for start, length in GONE):
                    count += 1
                else:
                    rows.append((FIRST + at, f"s{strategy}", "other" if strategy == 7 else "acme"))
    module_table.execute(INSERT, [list(column) for column in zip(*rows, strict=True)])
    lake = Lake(tmp_path_factory.mktemp("lost") / "lake")
    module_table.extract(lake, "2026-07-06", "2026-07-11")
    return lake, count


def test_both_reports_name_the_silences_and_what_they_cost(lost: tuple[Lake, int]) -> None:
    lake, count = lost
    quiet = analytics.post_mortem(
        str(lake.root), realm="acme", strategy_id="s1", since="2026-07-09", until="2026-07-10"
    )
    assert "misses_lost_rows" not in quiet.summary()["est_runs"]
    runaway = analytics.runaway_rules(str(lake.root), previous="none", **ASKED)
    mortem = analytics.post_mortem(str(lake.root), realm="acme", strategy_id="s1", **ASKED)
    for report in (runaway, mortem):
        told = report.summary()["silences"]
        spans = [(datetime.fromisoformat(one["since"]), datetime.fromisoformat(one["until"])) for one in told]
        for (start, length), (since, until) in zip(GONE, spans, strict=True):
            assert timedelta(0) <= FIRST + start - since < timedelta(minutes=3)
            assert timedelta(0) <= until - (FIRST + start + timedelta(minutes=length)) < timedelta(minutes=3)
        seen = count if report is runaway else count * 6 / 7
        assert sum(one["low"] for one in told) <= seen <= sum(one["high"] for one in told)
        assert [one["strategies"] for one in told] == [7 if report is runaway else 6] * 2
        assert report.summary()["totals_are_at_least"]
        summary = report.summary()
        totals = summary["est_runs"] if report is mortem else summary["league"][0]["est_runs"]
        assert totals["misses_lost_rows"]
        head = report.head().text
        assert "log complete" not in head
        assert "between 19:01 and 19:31 and between 19:57 and 20:37 on Fri 10 July" in head
        assert "rows were lost or nothing ran" in head
        assert "miss what was lost: they are at least" in head
        assert "gaps: no row of any strategy" in report.sure().text
        assert "no gaps" not in report.sure().text


def test_a_day_without_a_silence_says_so(lost: tuple[Lake, int]) -> None:
    day = {"since": "2026-07-09", "until": "2026-07-10"}
    report = analytics.runaway_rules(str(lost[0].root), previous="none", **day)
    assert report.summary()["silences"] == []
    assert "log complete for the window" in report.head().text


def test_whoever_sees_one_strategy_is_not_told_of_the_log(lost: tuple[Lake, int]) -> None:
    found = silences(Warehouse(lost[0], realms=["other"]), FIRST + timedelta(days=4), FIRST + timedelta(days=5))
    assert (found.found, found.scope) == ((), "of this realm")
    assert found.reason


def test_the_first_day_of_a_lake_cannot_tell(lost: tuple[Lake, int]) -> None:
    found = silences(Warehouse(lost[0]), FIRST, FIRST + timedelta(days=1))
    assert found.found == ()
    assert "too few" in found.reason
    report = analytics.runaway_rules(str(lost[0].root), previous="none", since="2026-07-06", until="2026-07-07")
    assert "every day of the window extracted" in report.head().text
    assert "log complete" not in report.head().text
    assert "no gaps" not in report.sure().text
    assert "whether the log fell silent within cannot be told" in report.sure().text
