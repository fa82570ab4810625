"""Failures made of chance: how often they are called an incident, and what the page says of a rate that is steady."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import pytest

from analytics import api
from analytics.findings.failures.scan import Habit, densest
from analytics.findings.post_mortem.family import Family
from analytics.findings.post_mortem.finding import FailuresFinding, Incident
from analytics.findings.post_mortem.groups import group_of
from analytics.findings.post_mortem.post_mortem import find_incident
from analytics.reports.page.inline import plain
from analytics.reports.post_mortem import failing, report, verdict
from analytics.warehouse.coverage import Coverage
from tests.failing import experiment, logs
from tests.failing.logs import SINCE, Cell

if TYPE_CHECKING:
    from analytics.lake.lake import Lake
    from tests.conftest import Table

FAMILY = Family("acme", "Rides", True, (("s1", 1),), frozenset())


def found(frame: pd.DataFrame, days: int = logs.WINDOW_DAYS) -> Incident:
    return find_incident(frame, SINCE, SINCE + timedelta(days=days))


def said(incident: Incident) -> str:
    """Everything the page says of it in sentences."""
    window = incident.after.rows if incident.after else pd.DataFrame()
    told = verdict.decide(incident, [], None, FAMILY, window, Coverage([], [], [], [], None, [0.05]))
    todo = [f"{plain(todo.text)} {plain(todo.note or '')}" for todo in report.actions(incident, None)]
    return spaced("\n".join([told.text, plain(told.status or ""), verdict.since_sentence(incident, []), *todo]))


def spaced(text: str) -> str:
    return text.replace("\u00a0", " ")


def rows(codes: list[str | None], *, every: float = 60.0, rate: float = 0.05, label: str = "v1") -> pd.DataFrame:
    """Logged rows, one after the other; ``None`` is an ok run."""
    failed = np.array([code is not None for code in codes])
    return pd.DataFrame(
        {
            "execution_id": [f"id-{number}" for number in range(len(codes))],
            "created_at": (pd.Timestamp(SINCE) + pd.to_timedelta(np.arange(len(codes)) * every, unit="s")).as_unit(
                "us"
            ),
            "strategy_id": "s1",
            "strategy_version": 1,
            "label": label,
            "status": np.where(failed, "error", "ok"),
            "error_code": np.array(codes, dtype=object),
            "points": np.where(failed, np.nan, 5.0),
            "case_name": "Case",
            "duration_ms": 5.0,
            "nodes_executed": np.where(failed, 0, 10),
            "sampled": ~failed,
            "sample_weight": np.where(failed, 1.0, 1 / rate),
            "external_user_id": "u",
            "window_rate": rate,
        }
    )


# ---- chance ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("history", [True, False])
def test_steady_failures_are_called_an_incident_in_hardly_a_log(history: bool) -> None:
    told = [
        experiment.tally(Cell(rate, failing_share, history), "", 2, 4_000).told
        for rate in (0.01, 0.05, 1.0)
        for failing_share in (0.01, 0.03, 0.1)
    ]
    # Of 18 logs one in a hundred is 0.2; two or more happen by chance once in 70 at that rate. make prove-failures has 1,000s.
    assert sum(told) <= 1


@pytest.mark.parametrize("planted", ["burst", "stall", "new code"])
def test_an_incident_among_steady_failures_is_still_found(planted: str) -> None:
    tallies = [experiment.tally(Cell(0.05, 0.01, history), planted, 3, 7_000) for history in (True, False)]
    assert sum(one.told for one in tallies) >= 5


def test_rows_that_are_all_alike_have_no_densest_stretch() -> None:
    alike = np.tile([True, False], 200)
    stretch = densest(alike, np.zeros(400, dtype=np.int64), 0, Habit())
    assert stretch is None or stretch.p > 0.1


def test_a_burst_is_placed_at_its_first_and_last_failure() -> None:
    is_failure = np.zeros(500, dtype=bool)
    is_failure[300:320] = True
    is_failure[::100] = True
    stretch = densest(is_failure, np.zeros(500, dtype=np.int64), 0, Habit())
    assert stretch is not None
    assert (stretch.start, stretch.stop) == (300, 320)
    assert stretch.p < 1e-6


def test_a_lower_sampling_rate_is_no_burst_of_failures() -> None:
    # The same runs: one in eleven fails. Of the ok runs first each is logged, then one in ten.
    rng = np.random.default_rng(3)
    first = np.where(rng.random(2_200) < 1 / 11, "DSL_UNEXPECTED", None)
    later = np.where(rng.random(440) < 0.5, "DSL_UNEXPECTED", None)
    frame = rows([*first, *later])
    frame.loc[2_200:, "sample_weight"] = np.where(frame["status"].iloc[2_200:] == "ok", 10.0, 1.0)
    frame.loc[:2_199, "sample_weight"] = 1.0
    incident = found(frame)
    assert incident.since is None
    assert "steadily" in said(incident)


# ---- words -----------------------------------------------------------------------------------------------------------


def test_a_steady_rate_without_history_is_told_plainly_and_no_episode_is_made_of_it() -> None:
    rng = np.random.default_rng(5)
    cell = Cell(0.05, 0.03, history=False)
    frame = logs.logged(logs.steady(cell, rng), rng)
    incident = found(frame)
    rate = failing.failing_rate(frame, logs.CODES[0])
    text = said(incident)
    assert (incident.kind, incident.since) == ("failures", None)
    assert rate.low < 0.03 * logs.SHARES[0] < rate.high
    assert f"{100 * rate.value:.2f} % [{100 * rate.low:.2f} – {100 * rate.high:.2f} %] of its runs" in text
    assert "steadily" in text
    for word in (
        "between",
        "since Thursday",
        "Still going on",
        "100 %",
        "outside the rules",
    ):
        assert word not in text


def test_a_rate_that_is_steady_is_a_finding_and_no_news(table: Table, fresh: Lake) -> None:
    table.execute(
        """insert into strategyexecutionlog (id, created_at, updated_at, "strategyId", "strategyVersion", "strategyType", "realmId",
             status, "errorCode", points, "durationMs", "nodesExecuted", trace, sampled)
           select gen_random_uuid(), at, at, 's1', 1, 'DSL_FULL', 'acme', case when bad then 'error' else 'ok' end,
                  case when bad then 'DSL_UNEXPECTED' end, case when not bad then 5 end, 3, 0, 'null'::jsonb, not bad
             from generate_series(0, 599) as number,
                  lateral (select '2026-07-08Z'::timestamptz + number * interval '2 minutes', number % 3 = 0) as one(at, bad)"""
    )
    table.extract(fresh)
    told = api.post_mortem(str(fresh.root), realm="acme", strategy_id="s1", since="2026-07-08", until="2026-07-09")
    facts = told.summary()
    assert {name: facts["counts"][name] for name in ("new", "finding", "fixed")} == {"new": 0, "finding": 1, "fixed": 0}
    assert "steadily" in told.verdict.text
    assert "Failed runs in the window" in told.strip().text
    for section in (told.head, told.since, told.changed, told.why, told.how_much, told.who, told.failures, told.sure):
        assert section().html


def test_where_no_ok_row_was_drawn_the_share_is_a_bound() -> None:
    codes = [*[None] * 200, *["DSL_UNEXPECTED"] * 40, *[None] * 200]
    text = said(found(rows(codes)))
    # 40 failures and no ok row drawn at rate 0.05: up to 58 ok runs (ln 0.05 / ln 0.95) may have happened among them.
    bound = 40 / 98
    shown = int(text.split("at least ")[1].split(" %")[0])
    assert 0.25 < shown / 100 <= bound
    assert "100 %" not in text


def test_where_every_run_is_logged_all_of_them_failing_is_known() -> None:
    codes = [*[None] * 200, *["DSL_UNEXPECTED"] * 40, *[None] * 200]
    assert "fails in every one of its runs" in said(found(rows(codes, rate=1.0)))


def test_a_second_finding_has_its_interval_too() -> None:
    codes = [*[None] * 300, *["DSL_UNEXPECTED", None] * 40, *[None] * 300]
    incident = found(rows(codes))
    text = spaced(plain(failing.also(incident)))
    rate = failing.failing_rate(incident.after.rows, "DSL_UNEXPECTED") if incident.after else None
    assert rate is not None
    assert f"[{100 * rate.low:.1f} – {100 * rate.high:.1f} %]" in text


def test_what_the_window_fails_more_than_the_time_before_without_a_moment_says_both_rates() -> None:
    rng = np.random.default_rng(1)
    before, after = (list(np.where(rng.random(1_500) < share, "DSL_UNEXPECTED", None)) for share in (0.2, 0.4))
    frame = rows([*before, *after])
    frame["created_at"] -= timedelta(minutes=1_500)
    after_side, before_side = group_of("this window", frame.iloc[1_500:]), group_of("before", frame.iloc[:1_500])
    text = said(FailuresFinding(before=before_side, after=after_side, code="DSL_UNEXPECTED"))
    assert "in this window as a whole" in text and "Before, it was 1." in text
    assert "at which moment that began cannot be told" in text


def test_the_advice_follows_the_border() -> None:
    codes: list[Any] = [*[None] * 300, *["DSL_ARITH_DIV_BY_ZERO", None] * 60]
    same = found(rows(codes))
    frame = rows(codes)
    frame.loc[300:, ["strategy_version", "label", "strategy_id"]] = [2, "v2", "s2"]
    other = found(frame)
    assert "Find what changed outside the rules" in said(same) and "begins with" not in said(same)
    assert "It begins with v2." in said(other) and "Compare the program of v2" in said(other)
    assert "outside the rules" not in said(other)


def test_a_strategy_whose_runs_have_all_failed_always_is_not_told_as_quiet() -> None:
    frame = rows(["DSL_ARITH_TYPE_MISMATCH"] * 3_000)
    late = frame["created_at"] >= SINCE + timedelta(days=1)
    told = find_incident(frame, SINCE + timedelta(days=1), SINCE + timedelta(days=3))
    sentence = verdict.decide(told, [], None, FAMILY, frame[late], Coverage([], [], [], [], None, [0.05])).text
    assert f"all {int(late.sum()):,} logged runs failed with DSL_ARITH_TYPE_MISMATCH" in spaced(sentence)
    assert "at most 58 ok runs happened beside them" in spaced(sentence)
