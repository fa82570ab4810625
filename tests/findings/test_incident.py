"""What a post-mortem finds, against series whose truth is known; and how often it cries wolf.

``python tests/findings/test_incident.py 1000`` measures the false alarms on as many quiet strategies.
"""

from __future__ import annotations

import sys
from collections import Counter
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import get_args

import numpy as np
import pandas as pd
import pytest

from analytics.errors import UsageError
from analytics.estimates import comparisons
from analytics.findings.post_mortem.baseline import Baseline, parse
from analytics.findings.post_mortem.change_points import change_point
from analytics.findings.post_mortem.family import Family
from analytics.findings.post_mortem.finding import DataFinding, Incident, Kind, VersionFinding
from analytics.findings.post_mortem.groups import RunColumns, group_of
from analytics.findings.post_mortem.node_changes import activations
from analytics.findings.post_mortem.post_mortem import find_incident
from analytics.findings.post_mortem.search import IncidentSearch
from analytics.findings.replay.replayed import Counterfactual
from analytics.findings.replay.trials import Basis, TrialVerdict, VersionTrial
from analytics.reports.post_mortem import phrases, report, verdict

MONDAY = datetime(2026, 6, 29, tzinfo=UTC)
FAMILY = Family("acme", "Rides", True, (("s2", 2), ("s3", 3)), frozenset())
HOUR, DAY = 3600, 86_400


def log(seconds, versions, points, *, cases="Case", durations=5.0, codes=None):
    """Logged runs as ``family_runs`` gives them, sampled at 5 %; a run with a code failed and is kept."""
    n = len(seconds)
    codes = np.full(n, None, dtype=object) if codes is None else np.asarray(codes, dtype=object)
    failed = np.array([code is not None for code in codes], dtype=bool)
    versions = np.broadcast_to(versions, n).astype(int)
    return pd.DataFrame(
        {
            "execution_id": [f"id-{i}" for i in range(n)],
            "created_at": (pd.Timestamp(MONDAY) + pd.to_timedelta(np.asarray(seconds), unit="s")).as_unit("us"),
            "strategy_id": [f"s{v}" for v in versions],
            "strategy_version": versions,
            "label": [f"v{v}" for v in versions],
            "status": np.where(failed, "error", "ok"),
            "error_code": codes,
            "points": np.where(failed, np.nan, np.broadcast_to(points, n)),
            "case_name": np.broadcast_to(np.asarray(cases, dtype=object), n),
            "duration_ms": np.broadcast_to(durations, n),
            "nodes_executed": 10,
            "sampled": ~failed,
            "sample_weight": np.where(failed, 1.0, 20.0),
            "external_user_id": "u",
            "window_rate": 0.05,
        }
    )


def times(rng, a_day, days=14):
    """Seconds since Monday, few at night."""
    found = rng.uniform(0, days * DAY, 3 * a_day * days)
    busy = 0.25 + 0.75 * np.exp(-(((found / HOUR % 24) - 17) ** 2) / 50)
    found = found[rng.random(len(found)) < busy]
    return np.sort(rng.choice(found, min(a_day * days, len(found)), replace=False))


def is_weekend(seconds):
    return seconds // DAY % 7 >= 5  # the first day is a Monday


def cases_of(rng, n):
    """Case and amount: half of the runs are paid 10, others 5, 1 or nothing."""
    number = rng.choice(4, n, p=[0.5, 0.2, 0.1, 0.2])
    return np.array(["Fast", "Far", "First", None], dtype=object)[number], np.array([10.0, 5.0, 1.0, 0.0])[number]


def ask(rows, first, last, **rest):
    return find_incident(rows, MONDAY + timedelta(days=first), MONDAY + timedelta(days=last), **rest)


def labels(text):
    """Activations of a log of one run a second, each version a digit: ``v2×5`` and so on."""
    found = activations(log(np.arange(len(text)), [int(c) for c in text], 1.0))
    return [f"{span.label}×{span.logged_count}" for span in found]


# ---- when was which version live -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "spans"),
    [
        ("2" * 60 + "3" * 30 + "2" * 10, ["v2×60", "v3×30", "v2×10"]),
        ("2" * 60 + "3" * 5 + "2" * 60, ["v2×60", "v3×5", "v2×60"]),
        # one of two processes has not reloaded: both for a while, and no version twice
        ("2" * 80 + "3322323233" * 4 + "3" * 80, ["v2×96", "v3×104"]),
        # a straggler long after
        ("2" * 80 + "3" * 60 + "2" + "3" * 60, ["v2×80", "v3×120"]),
        # three versions and back to the first
        ("1" * 40 + "2" * 40 + "3" * 40 + "1" * 40, ["v1×40", "v2×40", "v3×40", "v1×40"]),
        # seen twice in all is still seen
        ("2" * 40 + "3" * 2 + "2" * 40, ["v2×40", "v3×2", "v2×40"]),
        ("", []),
    ],
)
def test_activations_are_read_from_the_order_of_the_rows(text, spans):
    found = labels(text)
    if text.count("3") == 2:  # too few rows to say that v2 was away meanwhile
        assert found in (spans, ["v2×80", "v3×2"])
    else:
        assert found == spans


@pytest.mark.parametrize(("later", "back"), [(200, True), (3, False)])
def test_a_version_seen_twice_is_over_once_enough_runs_of_the_earlier_one_followed(later, back):
    versions = [2] * 200 + [3, 3] + [2] * later
    rows = log(np.arange(len(versions)) * 600.0, versions, np.where(np.array(versions) == 3, 30.0, 10.0))
    search = IncidentSearch(RunColumns.of(rows), MONDAY, MONDAY + timedelta(seconds=len(versions) * 600.0))
    [change] = search.changes
    found = search.with_version(change)
    assert (found.rollback is not None) is back is found.is_over
    if found.rollback:
        assert (found.rollback.label, found.rollback.first) == ("v2", MONDAY + timedelta(seconds=202 * 600))


@pytest.mark.parametrize("share", [0.5, 0.1, 0.02])
def test_an_experiment_has_one_span_for_each_version(share):
    rng = np.random.default_rng(7)
    text = "".join(np.where(rng.random(20_000) < share, "3", "2"))
    assert sorted(span.split("×")[0] for span in labels(text)) == ["v2", "v3"]


def test_a_slow_roll_out_with_hundreds_of_borders_is_one_change():
    rng = np.random.default_rng(8)
    share = np.clip((np.arange(6000) - 2000) / 2000, 0, 1)
    text = "".join(np.where(rng.random(6000) < share, "3", "2"))
    big = [span for span in labels(text) if int(span.split("×")[1]) > 5]
    assert [span.split("×")[0] for span in big] == ["v2", "v3"]


# ---- points --------------------------------------------------------------------------------------------------------


def test_a_version_that_pays_more_is_named_from_twenty_rows_a_day():
    rng = np.random.default_rng(1)
    t = times(rng, 20)
    case, points = cases_of(rng, len(t))
    at = 9.4 * DAY
    points = np.where((t >= at) & (case == "Fast"), 15.0, points)
    found = ask(log(t, np.where(t >= at, 3, 2), points, cases=case), 8, 14)
    assert (found.kind, found.before.label, found.after.label) == ("version", "v2", "v3")
    assert found.since_low <= MONDAY + timedelta(seconds=at) <= found.since
    # half of the runs get 5 more than a mean of 6.1 (10 × 0.5 + 5 × 0.2 + 0.1)
    assert found.points.relative_low < 2.5 / 6.1 < found.points.relative_high


def test_a_change_without_a_version_is_dated_within_hours():
    rng = np.random.default_rng(2)
    t = times(rng, 20)
    case, points = cases_of(rng, len(t))
    at = 10.4 * DAY
    points = np.where((t >= at) & (case == "Fast"), 15.0, points)
    found = ask(log(t, 2, points, cases=case), 8, 14)
    true = MONDAY + timedelta(seconds=at)
    assert (found.kind, found.border) == ("data", None)
    assert abs(found.since - true) < timedelta(hours=8)
    assert found.since_low <= true <= found.since_high
    said = verdict_of(found)
    assert "more points per run" in said and "though no version changed then" in said


def test_a_change_that_is_over_has_an_end():
    rng = np.random.default_rng(3)
    t = times(rng, 100)
    case, points = cases_of(rng, len(t))
    wrong = (t >= 9.5 * DAY) & (t < 11.5 * DAY)
    found = ask(log(t, 2, np.where(wrong, points * 1000, points), cases=case), 8, 14)
    assert found.kind == "data"
    assert abs(found.since - (MONDAY + timedelta(days=9.5))) < timedelta(hours=3)
    assert abs(found.until - (MONDAY + timedelta(days=11.5))) < timedelta(hours=3)


def test_an_innocent_version_is_not_blamed_for_what_clients_send_a_day_later():
    rng = np.random.default_rng(4)
    t = times(rng, 100)
    case, points = cases_of(rng, len(t))
    found = ask(
        log(t, np.where(t >= 9.4 * DAY, 3, 2), np.where(t >= 10.9 * DAY, points * 3, points), cases=case), 8, 14
    )
    assert found.kind == "data"
    assert abs(found.since - (MONDAY + timedelta(days=10.9))) < timedelta(hours=3)
    assert found.border is None


def test_a_slow_roll_out_is_one_version_change_and_no_change_of_data_besides():
    rng = np.random.default_rng(5)
    t = times(rng, 200)
    case, points = cases_of(rng, len(t))
    version = np.where(rng.random(len(t)) < np.clip((t / DAY - 9) / 2, 0, 1), 3, 2)
    found = ask(log(t, version, np.where((version == 3) & (case == "Fast"), 15.0, points), cases=case), 8, 14)
    assert (found.kind, found.after.label) == ("version", "v3")
    assert [other.kind for other in found.also] == []


# ---- the rhythm of the week ----------------------------------------------------------------------------------------


def weekends(seed, days, factor=2.0):
    """Runs that are paid otherwise at weekends, every weekend alike."""
    rng = np.random.default_rng(seed)
    t = times(rng, 150, days)
    _, points = cases_of(rng, len(t))
    return t, np.where(is_weekend(t), points * factor, points)


def test_a_weekend_like_the_one_before_is_no_incident():
    t, points = weekends(11, 14)
    for first, last in ((12, 14), (11, 14), (8, 14)):
        assert ask(log(t, 2, points), first, last).kind == "quiet", (first, last)


def test_without_an_earlier_weekend_it_cannot_be_told_from_a_change():
    t, points = weekends(12, 7)
    found = ask(log(t, 2, points), 5, 7)
    assert found.kind == "quiet"
    assert "a weekend or a night cannot be told from a change" in phrases.reason_sentence(found)
    assert "cannot be told" in verdict_of(found)


def test_a_weekend_unlike_the_one_before_is_found():
    t, points = weekends(13, 14)
    found = ask(log(t, 2, np.where(t >= 12 * DAY, points * 3, points)), 11, 14)
    assert found.kind == "data"
    assert abs(found.since - (MONDAY + timedelta(days=12))) < timedelta(hours=12)
    assert found.since_low <= MONDAY + timedelta(days=12) <= found.since_high


def test_a_version_that_came_on_a_saturday_is_not_blamed_for_the_weekend():
    t, points = weekends(14, 14)
    assert ask(log(t, np.where(t >= 12 * DAY, 3, 2), points), 11, 14).kind == "quiet"


# ---- duration, failures, several at once ---------------------------------------------------------------------------


@pytest.mark.parametrize("with_version", [True, False])
def test_runs_that_become_slow_are_dated_and_a_version_named_if_one_came(with_version):
    rng = np.random.default_rng(21)
    t = times(rng, 40)
    slow = t >= 9.6 * DAY
    duration = rng.lognormal(1, 0.7, len(t)) + np.where(slow, 60.0, 0.0)
    version = np.where(slow, 3, 2) if with_version else 2
    found = ask(log(t, version, rng.choice([1.0, 5.0], len(t)), durations=duration), 8, 14)
    assert found.kind == "duration"
    assert abs(found.since - (MONDAY + timedelta(days=9.6))) < timedelta(hours=4)
    assert (found.border.label if found.border else None) == ("v3" if with_version else None)
    assert found.median.change.low <= 60 <= found.median.change.high
    assert ("first run of v3" in verdict_of(found)) == with_version


def test_a_version_that_is_slow_is_named_where_the_log_begins_not_long_before_the_window():
    rng = np.random.default_rng(27)
    t = times(rng, 80, days=9)
    slow = t >= 6.3 * DAY
    rows = log(t, np.where(slow, 3, 2), 5.0, durations=rng.lognormal(1.6, 0.4, len(t)) + np.where(slow, 60.0, 0.0))
    found = ask(rows, 4, 9)
    assert (found.kind, found.border.label if found.border else None) == ("duration", "v3")
    assert abs(found.since - (MONDAY + timedelta(days=6.3))) < timedelta(hours=4)


def test_one_run_in_eight_that_becomes_slow_moves_the_tail():
    rng = np.random.default_rng(22)
    t = times(rng, 100)
    slow = (t >= 9.6 * DAY) & (rng.random(len(t)) < 0.125)
    found = ask(log(t, 2, 1.0, durations=rng.lognormal(1, 0.7, len(t)) + np.where(slow, 200.0, 0.0)), 8, 14)
    assert found.kind == "duration"
    # The median is the 57 % point of the other runs: 13 % more; the 95 % point is one of the slow ones.
    assert found.median.relative_low < 0.13 < found.median.relative_high
    assert found.tail.is_significant
    assert "slowest twentieth" in verdict_of(found)


def test_half_a_millisecond_more_is_not_worth_a_word():
    rng = np.random.default_rng(26)
    t = times(rng, 100)
    duration = rng.lognormal(-0.7, 0.2, len(t)) + np.where(t >= 9.6 * DAY, 0.6, 0.0)
    assert ask(log(t, np.where(t >= 9.6 * DAY, 3, 2), 1.0, durations=duration), 8, 14).kind == "quiet"


def with_failures(rng, t, since, until, count, code="DSL_ARITH_DIV_BY_ZERO"):
    """Times and codes with failures added."""
    added = rng.uniform(since * DAY, until * DAY, count)
    seconds = np.concatenate([t, added])
    codes = np.array([None] * len(t) + [code] * count, dtype=object)
    order = np.argsort(seconds)
    return seconds[order], codes[order]


def test_a_version_that_fails_is_named_with_its_code_and_not_called_innocent():
    rng = np.random.default_rng(23)
    t, codes = with_failures(rng, times(rng, 60), 9.5, 14, 300)
    found = ask(log(t, np.where(t >= 9.5 * DAY, 3, 2), 5.0 + t % 3, codes=codes), 8, 14)
    assert (found.kind, found.code) == ("failures", "DSL_ARITH_DIV_BY_ZERO")
    assert found.border.label == "v3"
    assert "It begins with v3." in verdict_of(found) and "No version" not in verdict_of(found)


def test_failures_that_were_always_there_are_no_finding():
    rng = np.random.default_rng(24)
    t, codes = with_failures(rng, times(rng, 60), 0, 14, 800)
    assert ask(log(t, 2, 5.0 + t % 3, codes=codes), 8, 14).kind == "quiet"


def test_a_second_finding_is_told_in_a_sentence_of_its_own():
    rng = np.random.default_rng(25)
    t, codes = with_failures(rng, times(rng, 60), 11, 14, 200)
    case, points = cases_of(rng, len(t))
    points = np.where((t >= 9.5 * DAY) & (case == "Fast"), 15.0, points)
    found = ask(log(t, np.where(t >= 9.5 * DAY, 3, 2), points, cases=case, codes=codes), 8, 14)
    assert (found.kind, found.after.label) == ("version", "v3")
    assert [(other.kind, other.code) for other in found.also] == [("failures", "DSL_ARITH_DIV_BY_ZERO")]
    said = "".join(str(part) for part in verdict.also_sentence(found))
    assert "of runs fail with" in said and "DSL_ARITH_DIV_BY_ZERO" in said


# ---- a baseline that was asked for ---------------------------------------------------------------------------------


def test_a_baseline_is_a_version_or_a_window():
    assert parse("", FAMILY) is None
    assert parse("v2", FAMILY).members == (("s2", 2),)
    window = parse("2026-07-01 09:00..2026-07-02", FAMILY).window
    assert (window.since, window.until) == (datetime(2026, 7, 1, 9, tzinfo=UTC), datetime(2026, 7, 2, tzinfo=UTC))


def test_one_number_of_two_strategies_needs_the_start_of_an_id():
    twins = Family("acme", "Rides", True, (("aaaa-1", 2), ("bbbb-2", 2)), frozenset())
    with pytest.raises(UsageError, match="v2@aaaa-1, v2@bbbb-2"):
        parse("v2", twins)
    assert parse("v2@bb", twins).members == (("bbbb-2", 2),)
    assert parse("v2@bb", twins).label == "v2 (bbbb-2)"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("v9", "known: v2, v3"),
        ("v2@zz", "known"),
        ("soon", "v2, v3"),
        ("..", "two ends"),
        ("2026-07-05..2026-07-01", ""),
    ],
)
def test_a_baseline_that_cannot_be_is_refused_with_what_there_is(text, said):
    with pytest.raises(UsageError) as caught:
        parse(text, FAMILY)
    assert said in str(caught.value)


def test_a_version_is_compared_with_the_baseline_that_was_asked_for():
    rng = np.random.default_rng(31)
    t = times(rng, 60)
    case, points = cases_of(rng, len(t))
    version = np.select([t < 5 * DAY, t < 9 * DAY], [1, 2], 3)
    rows = log(t, version, np.where((version >= 2) & (case == "Fast"), 15.0, points), cases=case)
    asked = Baseline("v1", members=(("s1", 1),), rows=rows[rows["label"] == "v1"])
    found = ask(rows, 9, 14, baseline=asked)
    assert (found.kind, found.before.label, found.after.label, found.baseline) == ("version", "v1", "v3", "v1")


def test_a_baseline_without_runs_says_so():
    rows = log(np.arange(100) * HOUR, 2, 5.0)
    found = ask(rows, 2, 4, baseline=Baseline("v9", members=(("s9", 9),), rows=rows[:0]))
    assert found.kind == "single"
    assert "v9 has no logged run" in verdict_of(found)


def test_the_end_of_a_version_is_told_also_where_the_baseline_was_asked_for():
    rng = np.random.default_rng(32)
    t = times(rng, 80)
    case, points = cases_of(rng, len(t))
    version = np.select([t < 8 * DAY, t < 11 * DAY], [2, 3], 2)
    rows = log(t, version, np.where((version == 3) & (case == "Fast"), 15.0, points), cases=case)
    asked = Baseline("v2", members=(("s2", 2),), rows=rows[rows["label"] == "v2"])
    found = ask(rows, 7, 14, baseline=asked)
    assert (found.kind, found.after.label, found.rollback.label) == ("version", "v3", "v2")
    assert abs(found.rollback.first - (MONDAY + timedelta(days=11))) < timedelta(hours=4)
    assert "still live" not in verdict.since_sentence(found, [])


def test_a_version_that_a_newer_one_has_replaced_is_not_called_live():
    rng = np.random.default_rng(33)
    t = times(rng, 80)
    case, points = cases_of(rng, len(t))
    version = np.select([t < 8 * DAY, t < 11 * DAY], [2, 3], 4)
    rows = log(t, version, np.where((version == 3) & (case == "Fast"), 15.0, points), cases=case)
    found = ask(rows, 7, 14)
    assert (found.kind, found.after.label, found.rollback, found.successor.label) == ("version", "v3", None, "v4")
    assert "until v4 came" in verdict.since_sentence(found, [])
    assert str(report.actions(found, None)[0].text).startswith("Check what v4 pays")


def test_two_versions_that_run_side_by_side_are_both_live():
    rng = np.random.default_rng(34)
    t = times(rng, 80)
    case, points = cases_of(rng, len(t))
    version = np.where((t > 8 * DAY) & (rng.random(len(t)) < 0.5), 3, 2)
    found = ask(log(t, version, np.where((version == 3) & (case == "Fast"), 15.0, points), cases=case), 7, 14)
    assert (found.after.label, found.successor) == ("v3", None)
    assert "still live" in verdict.since_sentence(found, [])


def test_a_window_with_several_versions_is_not_blamed_on_clients():
    rng = np.random.default_rng(35)
    t = times(rng, 80)
    version = np.where(t < 11 * DAY, 2, 3)
    rows = log(t, version, np.where(version == 3, 15.0, 10.0) + rng.random(len(t)))
    asked = Baseline("2026-06-01 to 2026-06-05", rows=rows[rows["created_at"] < MONDAY + timedelta(days=5)])
    found = ask(rows, 10, 14, baseline=asked)
    assert found.kind == "window"
    assert "Several versions ran (v2, v3)" in verdict_of(found)
    assert "clients" not in verdict_of(found)
    assert "do not move" not in verdict.since_sentence(found, activations(rows))


def test_an_interval_without_zero_is_not_called_chance_in_the_same_breath():
    seen = 0
    for seed in range(60):
        rng = np.random.default_rng(seed)
        t = times(rng, 12)
        points = rng.lognormal(1, 0.6, len(t)) * np.where(is_weekend(t), 1.3, 1.0) * np.where(t > 12 * DAY, 1.15, 1.0)
        found = ask(log(t, 2, points), 12, 14)
        if found.kind == "quiet" and found.points.is_significant:
            seen += 1
            assert "The change, " not in verdict_of(found)
    assert seen >= 2


# ---- little data, and none -----------------------------------------------------------------------------------------


def test_ten_rows_one_version_only_failures_and_nothing_each_have_their_sentence():
    ten = ask(log(np.arange(10) * HOUR, 2, 5.0 + np.arange(10)), 0, 14)
    nothing = ask(log(np.arange(10) * HOUR, 2, 5.0), 3, 4)
    empty = find_incident(log([], 2, 1.0), MONDAY, MONDAY + timedelta(days=1))
    failing = ask(log(np.arange(60) * 60, 2, 5.0, codes=["DSL_TIMEOUT"] * 60), 0, 1)
    assert [found.kind for found in (ten, nothing, empty, failing)] == ["single", "nothing", "nothing", "failures"]
    assert "nothing to compare it with" in verdict_of(ten)
    assert "stalled event loop" in verdict_of(failing)


def verdict_of(found: Incident) -> str:
    """The verdict's text, where it needs no split of the points; the advice must stand too."""
    from analytics.warehouse.coverage import Coverage

    window = found.after.rows if found.after else log([], 2, 1.0)
    assert report.actions(found, None)
    assert verdict.since_sentence(found, activations(window))
    return verdict.decide(found, [], None, FAMILY, window, Coverage([], [], [], [], None, [0.05])).text


# ---- wolves --------------------------------------------------------------------------------------------------------


def quiet_strategy(rng):
    """A fortnight of 50 to 3,000 rows, with 0 to 2 innocent versions, heavy tails, zeros, nights, weekends and failures."""
    t = times(rng, max(int(np.exp(rng.uniform(np.log(50), np.log(3000))) / 14), 4))
    t = t[rng.random(len(t)) < np.where(is_weekend(t), 0.5, 1.0)]
    n, hour = len(t), t / HOUR % 24
    weekend = np.where(is_weekend(t), rng.uniform(0.6, 1.5), 1.0)
    case = rng.choice(np.array(["A", "B", "C"], dtype=object), n)
    points = (
        rng.lognormal(1 + rng.uniform(-0.3, 0.3) * np.sin(hour / 24 * 2 * np.pi), rng.uniform(0.3, 1.5), n) * weekend
    )
    points = np.where(rng.random(n) < rng.uniform(0.1, 0.6), 0.0, points)
    duration = rng.lognormal(1 + 0.2 * np.sin(hour / 24 * 2 * np.pi), 0.7, n)
    failing = rng.random(n) < 1 / 3 * rng.integers(0, 2)
    version = 2 + sum((t > day * DAY).astype(int) for day in rng.uniform(7, 13, rng.integers(0, 3)))
    codes = np.where(failing, "DSL_ARITH_DIV_BY_ZERO", None)
    return log(t, version, points, cases=case, durations=duration, codes=codes)


def alarms(count, seed):
    """Kinds that were found on quiet strategies, each asked about one window."""
    found: Counter[str] = Counter()
    for number in range(count):
        rng = np.random.default_rng(seed + number)
        rows = quiet_strategy(rng)
        first = int(rng.integers(7, 12))
        found[ask(rows, first, int(rng.integers(first + 1, 15))).kind.value] += 1
    return found


def test_quiet_strategies_raise_hardly_an_alarm():
    found = alarms(30, 1000)
    assert found["quiet"] + found["single"] + found["nothing"] >= 29, found


def test_a_series_without_change_is_called_changed_no_more_often_than_said():
    hits = 0
    for seed in range(200):
        rng = np.random.default_rng(seed)
        scores, kinds = rng.random(80), np.repeat([0, 1, 0, 1], 20)
        hits += change_point(scores, kinds, np.repeat(np.arange(8), 10), 0, 0, alpha=0.05) is not None
    assert hits <= 20  # 10 are expected; 20 or more happen by chance once in 400


if __name__ == "__main__":
    counted = alarms(int(sys.argv[1]) if len(sys.argv) > 1 else 1000, 100_000)
    wolves = sum(counted.values()) - sum(counted[kind] for kind in ("quiet", "single", "nothing"))
    sys.stdout.write(f"{wolves} alarms on {sum(counted.values())} quiet strategies: {dict(counted)}\n")


def test_every_kind_of_finding_is_one_class():
    assert Counter(finding.kind for finding in get_args(Incident)) == Counter(Kind)


def test_what_one_program_pays_is_not_said_to_be_paid_where_a_version_pays_otherwise():
    rng = np.random.default_rng(3)
    change = comparisons.difference(
        (rng.gamma(2, 5, 300), np.full(300, 20.0)), (rng.gamma(2, 8, 300), np.full(300, 20.0))
    )
    group, tried = group_of("v1", log(np.arange(2.0), 1, 1.0)), Counterfactual(reason="a part of it was not tried")
    trial = VersionTrial(group, group, tried, TrialVerdict.DIFFERS, "", None, None, Basis.NONE, None, 1.0, 0)
    guilty = VersionFinding(before=group, after=group, points=change, trial=trial)
    alone = DataFinding(before=group, after=group, points=change, since=MONDAY, is_one_program=True)
    beside = replace(alone, also=(guilty,))
    assert verdict.data_sentence(alone, "Rides").text.startswith("Rides pays ")
    assert verdict.data_sentence(beside, "Rides").text.startswith(
        "By one and the same program, the runs of Rides are worth "
    )
