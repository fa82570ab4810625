"""A version is acquitted only where all its runs were tried and none is paid otherwise; what cannot be tried is said."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
import pytest

from analytics import api
from analytics.findings.post_mortem.groups import group_of
from analytics.findings.replay.paired import moved_cases, relative
from analytics.findings.replay.replayed import Counterfactual
from analytics.findings.replay.trials import MATERIAL, Worst, judge
from analytics.reports.post_mortem import version_story
from tests.planted.stories import story


@pytest.fixture(scope="module")
def guilty(planted: Any) -> Any:
    return api.post_mortem(planted.warehouse, **story("half_more").ask()).inquiry


@pytest.fixture(scope="module")
def innocent(planted: Any) -> Any:
    """Another program by its ids only."""
    return api.post_mortem(planted.warehouse, **story("renamed").ask()).inquiry


def test_a_version_that_pays_runs_otherwise_differs_by_what_the_same_runs_say(guilty: Any) -> None:
    [trial] = guilty.trials
    assert (trial.verdict, trial.basis) == ("differs", "its runs")
    assert trial.difference == trial.forward.difference
    assert trial.relative.low < trial.relative.value < trial.relative.high


def test_a_version_that_pays_all_tried_runs_the_same_is_acquitted_with_a_bound(innocent: Any) -> None:
    [trial] = innocent.trials
    assert (trial.verdict, trial.forward.differing_count) == ("same", 0)
    # None of n differs: at most 1 - 0.05 ** (1 / n) of the runs do (Clopper and Pearson).
    assert trial.most_differing == pytest.approx(1 - 0.05 ** (1 / trial.forward.decided_count))
    assert innocent.incident.kind == "quiet"
    assert innocent.incident.innocent == (trial,)


def test_few_runs_acquit_nobody(innocent: Any) -> None:
    [trial] = innocent.trials
    rows = trial.forward.rows.head(30)
    few = replace(trial.forward, rows=rows, decided_count=30, tried_count=30, logged_count=30)
    found = judge(trial.before, trial.after, Counterfactual(few))
    assert found.verdict == "cannot tell"
    assert "only 30 of its runs were logged" in found.reason
    assert found.most_differing > MATERIAL


def test_runs_that_cannot_be_tried_may_hide_it_all(innocent: Any) -> None:
    [trial] = innocent.trials
    paid = trial.forward.paid.value
    bounded = replace(trial.forward, undecided_low=-0.2 * paid, undecided_high=0.2 * paid)
    assert judge(trial.before, trial.after, Counterfactual(bounded)).verdict == "cannot tell"
    unbounded = replace(trial.forward, undecided_low=-np.inf, undecided_high=np.inf)
    assert judge(trial.before, trial.after, Counterfactual(unbounded)).verdict == "cannot tell"


def test_a_version_whose_survivors_are_paid_the_same_is_not_acquitted_of_those_that_fail(innocent: Any) -> None:
    [trial] = innocent.trials
    ok = trial.after.rows["status"] == "ok"
    dear = ok & (trial.after.rows["points"] > trial.after.rows["points"].quantile(0.8))
    failed = trial.after.rows.assign(
        status=trial.after.rows["status"].astype(str).where(~dear, "error"),
        sampled=trial.after.rows["sampled"] & ~dear,
        sample_weight=trial.after.rows["sample_weight"].where(~dear, 1.0),
    )
    # Each of the runs that fail now stands for itself, and there are twenty times as many as were logged of them when ok.
    many = pd.concat([failed, *[failed[dear]] * 19]).sort_values("created_at", ignore_index=True)
    found = judge(trial.before, replace(trial.after, rows=many), trial.tried)
    assert found.verdict == "cannot tell"
    assert "leave no trace" in found.reason


def test_a_run_paid_what_the_earlier_program_cannot_pay_is_otherwise_though_undecided(planted: Any) -> None:
    found = api.post_mortem(planted.warehouse, **story("new_field").ask())
    [trial] = found.inquiry.trials
    assert trial.verdict == "differs"
    assert trial.forward.differing_count == 0 < trial.forward.surely_count
    assert trial.difference is None
    assert "by how much in all cannot be told" in found.verdict.text


def test_the_later_program_on_the_earlier_runs_tells_what_its_own_runs_do_not(planted: Any) -> None:
    told = story("veto")
    [trial] = api.post_mortem(planted.warehouse, **told.ask()).inquiry.trials
    assert (trial.verdict, trial.basis) == ("differs", "earlier runs")
    truth = planted.overpaid(told)
    half = (trial.difference.high - trial.difference.low) / 2
    assert abs(trial.difference.value - truth) < 2 * half < abs(truth)


def test_the_page_of_an_unchanged_program_says_that_nothing_was_overpaid(planted: Any) -> None:
    found = api.post_mortem(planted.warehouse, **story("renamed").ask())
    assert "Nothing: on the same inputs v1 pays what v2 paid, in every one of the" in found.how_much().text


def test_a_version_that_pays_some_more_and_others_less_differs_though_they_cancel(planted: Any) -> None:
    found = api.post_mortem(planted.warehouse, **story("cancels").ask())
    [trial] = found.inquiry.trials
    assert trial.verdict == "differs"
    assert trial.pays_more is None
    assert "in all that may be nothing" in found.verdict.text


def test_a_baseline_that_is_asked_for_is_tried_too(planted: Any) -> None:
    guilty = api.post_mortem(planted.warehouse, baseline="v1", **story("half_more").ask())
    assert (guilty.inquiry.incident.kind, guilty.inquiry.incident.cause) == ("version", "program")
    assert "more for the same runs" in guilty.verdict.text
    innocent = api.post_mortem(planted.warehouse, baseline="v1", **story("renamed").ask())
    assert innocent.inquiry.incident.kind in ("quiet", "data")
    assert "it is not the version" in innocent.verdict.text


# ---- the share of the same runs --------------------------------------------------------------------------------------


def test_of_runs_that_are_all_logged_the_share_is_exact() -> None:
    found = relative([15.0, 4.0, 4.0], [10.0, 4.0, 4.0], [1.0, 1.0, 1.0])
    assert found is not None
    assert (found.value, found.low, found.high) == pytest.approx((5 / 18, 5 / 18, 5 / 18))


def test_nobody_is_paid_a_hundred_percent_less_than_nothing() -> None:
    rng = np.random.default_rng(7)
    would = rng.gamma(0.5, 20, 40)
    found = relative(np.zeros(40), would, np.full(40, 20.0))
    assert found is not None
    assert found.low == found.value == -1.0


def test_there_is_no_share_of_nothing() -> None:
    assert relative([5.0, 5.0], [0.0, 0.0], [20.0, 20.0]) is None


def test_the_share_of_the_same_runs_lies_in_its_interval_nineteen_times_in_twenty() -> None:
    rng = np.random.default_rng(11)
    inside = 0
    for _ in range(300):
        would = np.where(rng.random(6000) < 0.3, 10.0, rng.gamma(2, 3, 6000))
        paid = np.where(would == 10.0, 15.0, would)
        logged = rng.random(6000) < 0.05
        found = relative(paid[logged], would[logged], np.full(logged.sum(), 20.0))
        assert found is not None
        inside += found.low <= (paid - would).sum() / would.sum() <= found.high
    assert 0.92 * 300 <= inside <= 0.99 * 300


def test_what_became_of_the_runs_is_told_by_the_case_of_either_program() -> None:
    rows = pd.DataFrame(
        {
            "points": [15.0, 15.0, 12.0, 3.0],
            "would": [10.0, 10.0, 4.0, 0.0],
            "weight": [20.0] * 4,
            "case_name": ["Fast", "Fast", "Long", "Any"],
            "would_case": ["Fast", "Fast", "Walk", None],
            "knows_case": [True, True, True, True],
            "code": [None, None, None, "DSL_ARITH_DIV_BY_ZERO"],
        }
    )
    found = [
        (one.move, one.was, one.now, one.logged_count, one.amount_was, one.amount_now) for one in moved_cases(rows)
    ]
    assert found == [
        ("amount", "Fast", "Fast", 2, 10.0, 15.0),
        ("route", "Walk", "Long", 1, 4.0, 12.0),
        ("fails", None, "Any", 1, 0.0, 3.0),
    ]


@pytest.mark.parametrize("hits", [2, 4, 8])
def test_where_few_runs_differ_and_some_are_paid_less_the_interval_still_holds_the_truth(hits: int) -> None:
    rng = np.random.default_rng(hits)
    inside = told = 0
    for _ in range(400):
        # One run in a few hundred differs: ten points before, two per kilometre now.
        would, differs = rng.gamma(2, 5, 4000), rng.random(4000) < hits / 800
        paid = np.where(differs, would + 2 * rng.lognormal(1.6, 0.8, 4000) - 10, would)
        logged = rng.random(4000) < 0.2
        found = relative(paid[logged], would[logged], np.full(logged.sum(), 5.0))
        if (paid != would)[logged].any():
            told += 1
            assert found is not None
            inside += found.low <= (paid - would).sum() / would.sum() <= found.high
    assert inside >= 0.9 * told


def test_runs_of_the_same_hours_that_none_is_paid_otherwise_do_not_make_the_difference_nothing(planted: Any) -> None:
    [trial] = api.post_mortem(planted.warehouse, **story("veto").ask()).inquiry.trials
    backward = trial.tried.backward
    alike = replace(backward, rows=backward.rows.assign(would=backward.rows["points"]))
    found = judge(trial.before, trial.after, Counterfactual(trial.tried.forward, alike))
    assert (found.verdict, found.difference, found.relative) == ("differs", None, None)


def test_a_share_that_cannot_be_told_is_not_that_of_nothing(guilty: Any) -> None:
    found, parts = guilty.incident, guilty.split
    unknown = replace(found.total, low=np.nan, high=np.nan)
    few = replace(found, trial=replace(found.trial, relative=None, difference=unknown), total=unknown)
    said = version_story.sentence(few, [], parts, "Rides").text
    assert "otherwise than v1, by what share of all cannot be told" in said
    assert "would have paid none" not in said
    nothing = replace(found.trial.forward, would_pay=replace(found.trial.forward.would_pay, value=0.0))
    none = replace(few, trial=replace(few.trial, tried=Counterfactual(nothing)))
    assert "paid points where v1 would have paid none" in version_story.sentence(none, [], parts, "Rides").text


def test_the_worst_is_a_share_of_what_all_runs_were_paid_and_not_of_those_that_were_tried(innocent: Any) -> None:
    [trial] = innocent.trials
    whole = trial.forward.paid.value
    part = replace(trial.forward, paid=replace(trial.forward.paid, value=whole / 50))
    open_one = replace(trial, tried=Counterfactual(part), worst=Worst(-whole / 10, whole / 5), reason="it is not known")
    assert "(−10 % to +20 % of what it paid)" in version_story.undecided([open_one]).replace("\u00a0", " ")


def test_a_version_none_of_whose_runs_was_paid_is_not_said_to_have_left_all_traces(planted: Any) -> None:
    [trial] = api.post_mortem(planted.warehouse, **story("veto").ask()).inquiry.trials
    lost = trial.after.rows.assign(status="error", points=np.nan, sampled=False)
    found = judge(trial.before, group_of("v2", lost), Counterfactual(None, trial.tried.backward))
    assert found.reason == "none of its logged runs was paid, and failed runs leave no trace"
