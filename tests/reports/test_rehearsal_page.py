"""What the page of a rehearsal says, against what was planted: no sentence claims more than was tried."""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from dataclasses import replace
from functools import cache
from typing import Any

import pytest

from analytics import api
from analytics.demo.dsl import all_of, arith, assign, compare, lit, note, rule
from analytics.errors import UnknownNameError, UsageError
from analytics.findings.rehearsal.drafts import find_draft
from analytics.findings.rehearsal.gate import conditions
from analytics.findings.rehearsal.rehearsal import Rehearsal
from analytics.program import compile_program, outline
from analytics.reports.rehearsal import wording
from analytics.reports.rehearsal.report import RehearsalReport
from analytics.reports.small_cells import SmallCells
from tests.planted.stories import FIRST, UNTIL, story
from tests.planted.world import Planted

SECTIONS = (
    "head", "strip", "key", "much", "changed", "program", "runs_explained", "who", "failures", "unknown", "actions", "sure",
)  # fmt: skip
Make = Callable[[str, int], RehearsalReport]


def rehearsed(planted: Planted) -> Make:
    """A version of a story's family on trial over all of its runs; made once."""

    def make(key: str, version: int) -> RehearsalReport:
        family = story(key).family
        return api.rehearsal(
            planted.warehouse, realm=family.realm, family=family.name, version=version, since=FIRST.isoformat(),
            until=UNTIL.isoformat(),
        )  # fmt: skip

    return cache(make)


@pytest.fixture(scope="module")
def rehearse(planted: Planted) -> Make:
    return rehearsed(planted)


def text(report: RehearsalReport) -> str:
    return "\n".join(getattr(report, name)().text for name in SECTIONS)


def drafted(
    report: RehearsalReport, change: Callable[[dict[str, Any]], dict[str, Any]], **options: Any
) -> RehearsalReport:
    """The same runs with another program."""
    found = report.inquiry
    ast = change(dict(found.program.ast))
    program = replace(found.program, ast=ast, program=compile_program(ast), outline=outline(ast))
    inquiry = Rehearsal(found.lake, found.family, program, found.since, found.until)
    return RehearsalReport(inquiry, "next.json", **options)


def otherwise(report: RehearsalReport) -> RehearsalReport:
    """The same runs with a program that says something else and pays them all the same."""
    never = rule(compare(lit(1), "==", 2), assign(5, "Never"))
    return drafted(report, lambda ast: {**ast, "rules": [never, *ast["rules"]]})


def test_a_version_that_pays_more_is_said_with_its_interval_and_what_it_rests_on(
    planted: Planted, rehearse: Make
) -> None:
    report = rehearse("half_more", 2)
    said = report.head().text
    tried = len(report.inquiry.tried.rows)
    match = re.search(
        r"On the 1[\d,]+ runs of these 14 days this draft pays ([\d.]+)\s% more \[\+([\d.]+) – [^\]]+\] for the same events: "
        r"\+([\d,]+) points a day \[", said,
    )  # fmt: skip
    assert match, said
    runs = [row for row in planted.runs(story("half_more")).to_pylist() if row["status"] == "ok"]
    true = 100 * (sum(dict(row["paid_by"])[2] for row in runs) / sum(row["points"] for row in runs) - 1)
    relative = report.inquiry.relative
    assert relative is not None
    assert 100 * relative.low - 5 < true < 100 * relative.high + 5
    assert float(match[3].replace(",", "")) == pytest.approx(report.inquiry.difference.value / 14, rel=0.05)
    assert f"{tried:,} logged runs were tried." in said
    assert "The log decides every tried run." in said and "No tried run fails. It visits at most" in said
    assert "Nothing to publish: it is the version that is published." in report.actions().text


def test_a_program_that_pays_no_run_otherwise_is_not_said_to_change_nothing(rehearse: Make) -> None:
    base = otherwise(rehearse("weekend", 1))
    said = base.head().text
    assert re.search(r"no run is paid otherwise; of all runs up to 0\.\d+\s% may be", said)
    assert "None of the tried runs is paid otherwise." in base.changed().text


def test_the_program_that_ran_is_said_to_change_nothing(rehearse: Make) -> None:
    report = rehearse("weekend", 1)
    said = report.head().text
    assert "no run is paid otherwise: it says the same as v1, which paid them." in said and "may be" not in said
    assert said.count("the same as") == 1, "and no second time, as the version that ran last"
    assert report.summary()["may_fail"] == report.inquiry.may_fail.to_dict()


def test_what_is_held_against_a_version_is_not_said_to_be_held_against_what_was_paid(rehearse: Make) -> None:
    found = rehearse("half_more", 2).inquiry
    other = rehearse("half_more", 1).inquiry.program
    beside = Rehearsal(found.lake, found.family, found.program, found.since, found.until, beside=("v1", other))
    said = text(RehearsalReport(beside, "version 2"))
    told = said.partition("Would a rehearsal")[0].replace("and not against what they were paid", "")
    assert not re.search(r"was paid|were paid", told, re.IGNORECASE), told
    assert "By the case that v1 pays" in said and "beyond what v1 pays" in said


def test_runs_that_cannot_be_decided_are_said_with_the_worst_that_they_may_add(rehearse: Make) -> None:
    bonus = rule(compare("data.nobody_sent_this", ">=", 3), assign(1000, "Bonus"))
    far = all_of(compare("data.distance", ">=", 5), compare("data.nobody_sent_this", ">=", 3))
    sometimes = rule(far, assign(1000, "Bonus"))
    always = drafted(rehearse("half_more", 2), lambda ast: {**ast, "rules": [bonus, *ast["rules"]]})
    assert always.head().text.splitlines()[1].startswith("Cannot tell: for none of the tried runs does the log hold")
    assert "data.nobody_sent_this" in always.unknown().text
    assert "No run is decided, so there is nothing to add up." in always.much().text
    rarely = drafted(
        rehearse("half_more", 2), lambda ast: {**ast, "rules": [*ast["rules"][:1], sometimes, *ast["rules"][1:]]}
    )
    assert 0 < rarely.inquiry.undecided.value < 1
    assert re.search(r"of the runs cannot be decided \(at worst .* to .* in all\)", rarely.head().text)
    assert "rehearse again in a few days" in rarely.actions().text
    assert re.search(
        r"On the [\d.]+\s% that the log decides of the 1[\d,]+ runs of these 14 days this draft pays",
        rarely.head().text,
    )
    assert "No run that the log decides fails." in rarely.head().text
    for one in (always, rarely):
        assert "No tried run fails." not in text(one) and "None of the tried runs" not in text(one)


def test_that_every_run_is_paid_the_same_is_not_said_to_be_all_that_is_known(rehearse: Make) -> None:
    unread, nothing = "data.nobody_sent_this", [assign(0, "Nothing")]
    near = rule(compare("data.distance", "<", 5), *nothing)
    either = rule(compare(unread, ">", 0), *nothing, otherwise=nothing)
    noted = rule(compare(unread, "==", 3), note("seen", 1))
    some, all_ = (
        drafted(rehearse("half_more", 2), lambda ast, rules=rules: {**ast, "rules": rules})
        for rules in ([near, either], [either])
    )
    for report, said in (
        (some, r"is paid; of [\d.]+\s% of them it does not tell whether they fail\."),
        (all_, r"is paid, failing or not\."),
    ):
        assert report.inquiry.undecided.value == 0 and re.search(
            f"The log decides what every tried run {said}", report.head().text
        )
        assert unread in report.unknown().text and "rehearse again in a few days" in report.actions().text
        assert "No tried run fails." not in text(report) and "Publish it." not in text(report)
    assert "No run that the log decides fails." in some.failures().text
    harmless = drafted(rehearse("half_more", 2), lambda ast: {**ast, "rules": [noted, *ast["rules"]]})
    assert (
        "The log decides what every tried run is paid, and not each one's way there. No tried run fails."
        in harmless.head().text
    )
    assert "Branches not seen" not in harmless.program().text and unread in harmless.unknown().text
    assert "Publish it." in harmless.actions().text


def test_what_no_undecided_run_shows_is_said_of_decided_ones_only(rehearse: Make) -> None:
    """The draft is the program that ran, behind a rule that only some runs reach and that reads what was not recorded."""
    base = otherwise(rehearse("weekend", 1))
    rows = base.inquiry.tried.rows
    tried = replace(base.inquiry.tried, rows=rows.assign(is_decided=[number % 3 > 0 for number in range(len(rows))]))
    found = Rehearsal(base.inquiry.lake, base.inquiry.family, base.inquiry.program, FIRST, UNTIL)
    vars(found)["tried"] = tried
    report = RehearsalReport(found, "next.json")
    assert "none that the log decides is paid otherwise; of all such runs up to" in report.head().text
    assert report.verdict.role == "finding", "not the colour of what is settled"
    assert "None of the runs that the log decides is paid otherwise." in report.changed().text
    assert "None of the runs that the log decides is paid otherwise." in report.who().text


def test_runs_of_a_version_that_could_not_be_tried_are_said_on_top(rehearse: Make) -> None:
    base = rehearse("half_more", 2)
    [*others, last] = base.inquiry.tried.versions
    left = replace(last, tried_count=0, own_count=0, reason="its definition is not in the lake")
    found = Rehearsal(base.inquiry.lake, base.inquiry.family, base.inquiry.program, FIRST, UNTIL)
    vars(found)["tried"] = replace(base.inquiry.tried, versions=(*others, left))
    said = RehearsalReport(found, "next.json").head().text
    assert f"{last.logged_count:,} logged ok runs could not be tried and add to no number." in said
    assert "could not be tried" not in base.head().text


def test_no_change_in_some_versions_is_not_said_of_all_runs(rehearse: Make) -> None:
    base = otherwise(rehearse("weekend", 1))
    [*others, last] = base.inquiry.tried.versions
    left = replace(last, tried_count=0, own_count=0, reason="its definition is not in the lake")
    found = Rehearsal(base.inquiry.lake, base.inquiry.family, base.inquiry.program, FIRST, UNTIL)
    vars(found)["tried"] = replace(base.inquiry.tried, versions=(*others, left))
    report = RehearsalReport(found, "next.json")
    assert "no run is paid otherwise; of all runs of the versions that were tried up to" in report.head().text
    assert report.verdict.role == "finding"


def test_of_two_strategies_with_one_version_number_the_tried_one_is_named(planted: Planted, rehearse: Make) -> None:
    found = rehearse("half_more", 2).inquiry
    [(strategy, _)] = [one for one in found.family.members if one[1] == 2]
    twice = replace(found.family, members=(*found.family.members, ("another", 2)))
    assert find_draft(found.lake, twice, version=2)[0] == f"version 2 ({strategy[:8]})"
    assert find_draft(found.lake, found.family, version=2)[0] == "version 2"


def test_a_program_that_did_not_pay_its_runs_is_said_on_top(planted: Planted, rehearse: Make) -> None:
    base = rehearse("half_more", 2)
    assert base.inquiry.contradicted_count == 0 and "may be another" not in base.head().text
    tried = replace(base.inquiry.tried, rows=base.inquiry.tried.rows.assign(is_contradicted=True))
    found = Rehearsal(base.inquiry.lake, base.inquiry.family, base.inquiry.program, FIRST, UNTIL)
    vars(found)["tried"] = tried
    said = RehearsalReport(found, "next.json").head().text
    assert (
        f"{len(tried.rows):,} tried runs were paid otherwise than their version's program pays: it may be another."
        in said
    )


def test_what_was_paid_names_the_versions_that_paid_it(rehearse: Make) -> None:
    labels = [version.label for version in rehearse("half_more", 2).inquiry.tried.versions]
    assert len(labels) > 1
    assert f"What was paid is by {', '.join(labels[:-1])} and {labels[-1]}." in rehearse("half_more", 2).head().text


def test_runs_paid_the_same_in_another_case_and_failures_are_said_on_top(rehearse: Make) -> None:
    base = otherwise(rehearse("weekend", 1))
    rows = base.inquiry.tried.rows
    assert base.inquiry.recased_count == 0 and "another case" not in base.head().text
    found = Rehearsal(base.inquiry.lake, base.inquiry.family, base.inquiry.program, FIRST, UNTIL)
    [first, *others] = base.inquiry.tried.versions
    versions = (replace(first, failed_count=7, unpaid_count=1), *(replace(one, failed_count=0) for one in others))
    renamed = rows.assign(would_case=[f"X{name}" if isinstance(name, str) else "X" for name in rows["case_name"]])
    vars(found)["tried"] = replace(base.inquiry.tried, rows=renamed, versions=versions)
    report = RehearsalReport(found, "next.json")
    said = report.head().text
    assert report.verdict.role == "finding"
    assert f"{len(rows):,} tried runs are paid the same in another case." in said
    failed = int((found.logged["status"] != "ok").sum())
    assert f"{failed} logged failures left no input to try and add to no number." in said
    assert "1 logged ok run has no finite points and adds to no number." in said


def test_amounts_near_the_largest_number_have_a_typical_run(rehearse: Make) -> None:
    huge = drafted(rehearse("half_more", 2), lambda ast: {**ast, "rules": [], "default": assign(1e300, "Huge")})
    assert "Typical change: " in huge.runs_explained().text and text(huge)


@pytest.mark.parametrize(
    ("low", "high", "said"),
    [
        (-120.0, 1320.0, "add between −120 and +1,320 points, by estimate"),
        (-math.inf, math.inf, "Nothing bounds what"),
        (-120.0, math.inf, "add at least −120 points, by estimate; nothing bounds how much more"),
        (-math.inf, 40.0, "add at most +40 points, by estimate; nothing bounds how much less"),
    ],
)
def test_bounds_are_said_as_far_as_there_are_any(low: float, high: float, said: str) -> None:
    assert said in wording.bounds(low, high) and "∞" not in wording.bounds(low, high)


def test_a_failing_draft_is_said_first_in_what_to_do_and_shown_with_a_run(rehearse: Make) -> None:
    report = drafted(
        rehearse("half_more", 2), lambda ast: {**ast, "rules": [], "default": assign(arith(lit(1), "/", 0), "Never")}
    )
    tried = len(report.inquiry.tried.rows)
    assert f"{tried:,} tried runs would fail (DSL_ARITH_DIV_BY_ZERO)" in report.head().text
    assert report.actions().text.startswith("## What to do?\n- Change the draft: it fails on recorded inputs")
    assert re.search(r"Typical change: [\d.]+ → fails", report.runs_explained().text)
    assert report.summary()["state"] == "new"


def test_no_user_is_named_and_a_report_to_be_passed_on_shows_no_single_one(rehearse: Make) -> None:
    report = rehearse("half_more_rolled_back", 2)
    users = set(report.inquiry.tried.rows["external_user_id"].dropna())
    said = text(report)
    assert not [user for user in users if user in said]
    assert "••••" in report.who().text
    small = RehearsalReport(report.inquiry, report.called, small=SmallCells(5))
    assert "Single runs are left out" in small.runs_explained().text and "Single users are left out" in small.who().text
    said = text(small)
    assert not [name for name in report.inquiry.tried.rows["execution_id"] if name in said]
    assert "Then each" in report.changed().text and "Then each" not in small.changed().text
    assert "are paid otherwise" in small.changed().text


def test_an_authors_text_is_text_and_every_section_has_its_link(rehearse: Make) -> None:
    report = rehearse("half_more", 2)
    report = RehearsalReport(report.inquiry, "<script>alert(1)</script>.json")
    html = "".join(getattr(report, name)().in_page for name in SECTIONS)
    assert "<script>" not in html and "&lt;script&gt;" in html
    assert [href for href, _ in report.nav if f'id="{href[1:]}"' not in html] == []


def test_conditions_refuse_a_draft_on_top_of_the_page_and_for_programs(rehearse: Make) -> None:
    found = rehearse("half_more", 2).inquiry
    report = RehearsalReport(found, "v2", conditions=conditions(["points>1%", "failures"]))
    assert "Refused (points>1%: points beyond what was paid" in report.head().text
    facts = report.summary()
    assert (facts["state"], facts["counts"]) == ("new", {"new": 1})
    assert "Do not publish it as it is." in report.actions().text and "Publish it, or" not in report.actions().text
    assert RehearsalReport(found, "v2", conditions=conditions(["failures"])).summary()["refused"] == []


@pytest.mark.parametrize(
    ("given", "error", "said"),
    [
        ({"version": 9}, UnknownNameError, "holds no program of version 9"),
        ({}, UnknownNameError, "holds no draft of"),
        ({"version": 2, "draft": "x.json"}, UsageError, "which one is to be tried"),
        ({"version": 2, "fail_on": "point>5%"}, UsageError, "is no condition"),
        ({"version": 2, "most": 0}, UsageError, "at least one run"),
        ({"version": 2, "family": "Far ride"}, UnknownNameError, "no strategy 'Far ride'"),
    ],
)
def test_what_cannot_be_rehearsed_is_refused(planted: Planted, given: Any, error: type[Exception], said: str) -> None:
    family = story("half_more").family
    with pytest.raises(error, match=said):
        api.rehearsal(planted.warehouse, **{"realm": family.realm, "family": family.name, "since": FIRST.isoformat(),
                                            "until": UNTIL.isoformat(), **given})  # fmt: skip


def test_a_window_without_runs_says_so(planted: Planted) -> None:
    family = story("half_more").family
    report = api.rehearsal(
        planted.warehouse, realm=family.realm, family=family.name, version=2, since="2020-01-01", until="2020-01-02"
    )
    assert "Cannot tell: no run of this strategy is logged in what the lake holds of the window" in report.head().text
    assert "nothing to add up" in report.much().text and text(report)
    assert "Publish" not in report.actions().text and "Rehearse it on another window." in report.actions().text
    assert "No tried run fails." not in text(report) and "The log decides" not in text(report)
