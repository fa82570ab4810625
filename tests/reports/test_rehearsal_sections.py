"""Sections of a rehearsal's page: what each says is what was planted, and nothing of few users."""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import date
from typing import Any

import numpy as np
import pytest

from analytics.demo.dsl import arith, assign, compare, lit, rule
from analytics.estimates.estimate import Estimate
from analytics.findings.rehearsal.drift import DayDifference, Drift
from analytics.findings.rehearsal.parts import Standing
from analytics.findings.rehearsal.rehearsal import Rehearsal
from analytics.findings.rehearsal.user_groups import UserGroup
from analytics.reports.rehearsal import day_by_day
from analytics.reports.rehearsal.report import RehearsalReport
from analytics.reports.small_cells import SmallCells
from tests.planted.stories import FIRST, UNTIL
from tests.planted.world import Planted
from tests.reports.test_rehearsal_page import Make, drafted, rehearsed, text

EVIL = "</svg><script>alert(1)</script>"


@pytest.fixture(scope="module")
def rehearse(planted: Planted) -> Make:
    return rehearsed(planted)


def with_rows(report: RehearsalReport, small: int = 1, **columns: Any) -> RehearsalReport:
    """The same with other columns of the tried runs."""
    base = report.inquiry
    found = Rehearsal(base.lake, base.family, base.program, base.since, base.until)
    vars(found)["tried"] = replace(base.tried, rows=base.tried.rows.assign(**columns))
    return RehearsalReport(found, "next.json", small=SmallCells(small))


def test_cases_are_a_picture_in_which_an_authors_name_is_text(rehearse: Make) -> None:
    report = drafted(rehearse("half_more", 2), lambda ast: {**ast, "rules": [], "default": assign(7, EVIL)})
    html = report.changed().in_page
    assert html.count("<svg") == 2 and "<script>" not in html
    assert "Draft pays in" in html and "&lt;/svg&gt;&lt;scr" in html
    many = with_rows(report, would_case=[f"C{number}" for number in range(len(report.inquiry.tried.rows))])
    assert "other cases" in many.changed().in_page


def test_branches_that_none_took_have_a_limit_and_proven_ones_a_reason(rehearse: Make) -> None:
    base = rehearse("half_more", 2)
    [first, *_] = base.inquiry.program.ast["rules"]
    far = rule(compare("data.distance", ">=", 10**9), assign(3, "Far"))
    never = rule(compare("data.distance", ">=", 2 * 10**9), assign(4, "Farther"))
    report = drafted(base, lambda ast: {**ast, "rules": [first, far, never, *ast["rules"][1:]]})
    said = report.program().text
    rows = report.inquiry.tried.rows
    tried = int((rows["is_decided"] & rows["code"].isna()).sum())
    assert f"Branches not seen among {tried:,} tried logged runs" in said
    assert re.search(r"rule 2: of all runs up to 0\.\d+\s% may take it", said)
    proven = said.partition("Branches that no run can take")[2].partition("Branches not seen")[0]
    assert "rule 3" in proven and "rule 2:" not in proven


def test_parts_that_the_type_never_runs_are_said_and_are_not_new(rehearse: Make) -> None:
    base = rehearse("half_more", 2)
    post = [rule(compare("parent.points", ">", 1), {"type": "set_points", "value": lit(1)})]
    said = drafted(base, lambda ast: {**ast, "post_rules": post}).program().text
    assert "post_rules is in it and never run" in said and "after the built-in" not in said
    assert "never run" not in base.program().text


def test_a_field_read_anew_is_a_query_whose_time_is_said_not_to_be_known(rehearse: Make) -> None:
    base = rehearse("half_more", 2)
    asks = rule(compare("user.last_window_diff", "<", -(10**9)), assign(1, "Late"))
    said = drafted(base, lambda ast: {**ast, "rules": [*ast["rules"], asks]}).program().text
    assert (
        "user.last_window_diff is read anew, a database query for every run: what it takes, the log does not tell."
        in said
    )
    assert re.search(r"A run visits [\d.]+ nodes on average, where its own program visited [\d.]+:", said)


def test_few_users_are_in_no_table_no_count_and_no_summary(rehearse: Make) -> None:
    """Two runs are one user's: what they alone show is not on a page to be passed on."""
    base = rehearse("half_more", 2)
    rows = base.inquiry.tried.rows
    [one, other] = rows.index[:2]
    is_few = rows.index.isin([one, other])
    few = {
        "external_user_id": np.where(is_few, "lonely", rows["external_user_id"]),
        "code": np.where(is_few, "CODE_OF_FEW", None),
        "missing": np.where(is_few, "REASON_OF_FEW", None),
        "is_decided": ~is_few,
        "is_contradicted": is_few,
    }
    shown, hidden = with_rows(base, **few), with_rows(base, small=5, **few)
    for word in ("CODE_OF_FEW", "REASON_OF_FEW"):
        assert word in text(shown) and word not in text(hidden) and word not in str(hidden.summary())
    assert "2 tried runs would fail" in shown.head().text and "some tried runs would fail" in hidden.head().text
    assert (
        "2 tried runs were paid otherwise than" in shown.head().text
        and "some tried runs were paid" in hidden.head().text
    )
    days = rows["created_at"].dt.date
    lonely = with_rows(base, small=5, external_user_id=np.where(days == days.min(), "lonely", rows["external_user_id"]))
    first = base.inquiry.days[0]
    assert isinstance(first.name, date)
    assert f"{first.name:%a} {first.name.day}" in base.much().text
    assert f"{first.name:%a} {first.name.day} " not in lonely.much().text and "Day by day" not in lonely.sure().text
    groups = [UserGroup(1, 1, 3, 3, first.difference, None), UserGroup(2, 2, 90, 180, first.difference, None)]
    grouped = with_rows(base, small=5)
    vars(grouped.inquiry)["user_groups"] = groups
    assert "By how often they play" in base.who().text and "By how often they play" not in grouped.who().text


def test_users_are_named_with_sums_of_the_log_and_no_estimate_as_the_logs_chance_chose_them(rehearse: Make) -> None:
    base = rehearse("half_more", 2)
    rows = base.inquiry.tried.rows
    gain = rows["low"] - rows["points"]
    by_hand = {user: gain[rows["external_user_id"] == user].sum() for user in set(rows["external_user_id"])}
    found = base.inquiry.users
    assert [user.difference for user in found] == pytest.approx(sorted(by_hand.values(), reverse=True)[:5])
    for user in found:
        assert user.difference == pytest.approx(by_hand[user.name])
        assert user.logged_count == (rows["external_user_id"] == user.name).sum()
    said = base.who().text.partition("Who wins and loses most in the tried logged rows")[2]
    assert "Sums of these rows, and no estimates" in said and "[" not in said


def test_the_share_that_a_cut_trace_leaves_open_is_no_other_result(rehearse: Make) -> None:
    base = rehearse("half_more", 2)
    [first, *others] = base.inquiry.tried.versions
    found = Rehearsal(base.inquiry.lake, base.inquiry.family, base.inquiry.program, FIRST, UNTIL)
    first = replace(first, tried_count=100, own_count=40, contradicted_count=10, unpaid_count=3)
    vars(found)["tried"] = replace(base.inquiry.tried, versions=(first, *others))
    said = RehearsalReport(found, "next.json").sure().text
    assert re.search(r"40\s%.*10\s%.*50\s%", said) and first.open_count == 50
    assert "Its own program pays the same" in said and "cannot tell: cut trace" in said


def day(number: int, value: float, half: float) -> DayDifference:
    return DayDifference(date(2026, 7, number), 50, Estimate(value, value - half, value + half, 50, "good"))


def test_days_are_said_to_hold_or_to_differ(rehearse: Make) -> None:
    found = rehearse("half_more", 2).inquiry
    assert found.per_run.value > 0
    alike = Drift((day(6, 2, 1), day(7, 2.5, 1)), 2, 0.5, ())
    assert day_by_day.sentence(found, alike).startswith(
        "It pays more on each of 2 days; days differ by no more than chance"
    )
    apart = Drift((day(6, 0.5, 1), day(7, 90, 1)), 2, 1e-9, (day(7, 90, 1),))
    said = day_by_day.sentence(found, apart)
    assert said.startswith("It surely pays more on 1 of 2 days; days differ beyond chance (Cochran's Q, p < 0.001)")
    assert "larger on Tue 7 July (+90 a run)" in said


@pytest.mark.parametrize(
    ("status", "first", "calls"),
    [
        (
            None,
            "Publish it.",
            [r"PUT …/v1/strategies/custom/\S+ ", r"POST …/v1/strategies/custom/<id of the draft>/publish", "/usage"],
        ),
        ("DRAFT", "Publish it.", [r"POST …/v1/strategies/custom/draft-id/publish", "/usage"]),
        ("ARCHIVED", "Go back to version 4", [r"POST …/v1/strategies/custom/draft-id/rollback/4"]),
        ("PUBLISHED", "Nothing to publish", []),
    ],
)
def test_what_to_do_ends_with_the_calls_that_do_it(
    rehearse: Make, status: str | None, first: str, calls: list[str]
) -> None:
    base = rehearse("half_more", 2)
    found = Rehearsal(base.inquiry.lake, base.inquiry.family, base.inquiry.program, FIRST, UNTIL)
    vars(found)["tried"] = base.inquiry.tried
    vars(found)["standing"] = Standing("draft-id", 4, status) if status else None
    block = RehearsalReport(found, "next.json").actions()
    assert first in block.text
    shown = re.sub("<[^>]+>", "", block.in_page).replace("&lt;", "<").replace("&gt;", ">")
    assert [call for call in calls if not re.search(call, shown)] == []
    assert ("rollback" in shown) == (status == "ARCHIVED"), "the engine refuses to publish an archived version"


def test_a_failing_draft_of_many_users_is_named_in_what_to_do(rehearse: Make) -> None:
    division = assign(arith(lit(1), "/", 0), "Never")
    report = drafted(
        rehearse("half_more", 2), lambda ast: {**ast, "rules": [], "default": division}, small=SmallCells(5)
    )
    assert "it fails on recorded inputs (DSL_ARITH_DIV_BY_ZERO)" in report.actions().text
    assert f"report rehearsal --realm {report.inquiry.family.realm} " in report.actions().in_page
