"""What a rehearsal the day before would have said, against the simulation that knows what each version pays for every run."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

import numpy as np
import pytest

from analytics.estimates.estimate import NOTHING, Estimate
from analytics.findings.post_mortem.family import find_family
from analytics.findings.rehearsal import look_back as room
from analytics.findings.rehearsal.look_back import Held, LookBack, look_back
from analytics.reports.rehearsal.look_back import looked_back
from tests.planted.stories import story
from tests.planted.world import Planted
from tests.rehearsals import tiny

if TYPE_CHECKING:
    from pathlib import Path

    from tests.conftest import Table

WEEK = timedelta(days=7)


def backward(planted: Planted, key: str, most: int = room.MOST_INPUTS) -> list[LookBack]:
    told = story(key).family
    lake = planted.warehouse.scoped([told.realm])
    return look_back(lake, find_family(lake, realm=told.realm, family=told.name), WEEK, most=most)


@pytest.mark.parametrize("key", ["half_more", "pays_less"])
def test_what_a_rehearsal_says_before_a_change_is_what_the_version_pays_for_those_runs(
    planted: Planted, key: str
) -> None:
    [one] = backward(planted, key)
    rows = [row for row in planted.runs(story(key)).to_pylist() if row["status"] == "ok"]
    early = [row for row in rows if one.since <= row["created_at"] < one.came_at]
    would = float(np.mean([dict(row["paid_by"])[2] for row in early]))
    paid = float(np.mean([row["points"] for row in early]))
    assert one.label == "v2" and len(early) > 1000
    for estimate, true in ((one.said, would), (one.before, paid)):
        # Twice the 95 % interval: one seed must not decide whether the test passes.
        assert abs(estimate.value - true) <= estimate.high - estimate.low
    assert abs(would - paid) > one.said.high - one.said.low, "a change that no change would fail"
    assert one.held in (Held.INSIDE, Held.NEAR) and not one.reason


def test_no_more_runs_are_read_than_the_report_tries_and_the_interval_is_wider(planted: Planted) -> None:
    [whole] = backward(planted, "half_more")
    [part] = backward(planted, "half_more", most=100)
    assert part.said.logged_count <= 100 and part.came.logged_count < 200
    assert part.said.high - part.said.low > 1.5 * (whole.said.high - whole.said.low)


def test_a_family_of_one_version_has_no_change_and_the_page_says_so(planted: Planted) -> None:
    assert backward(planted, "weekend") == []
    assert "no runs of a second version" in looked_back([])[1].text


def test_of_a_lake_that_is_all_logged_it_says_what_a_person_adds_up(
    table: Table, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from analytics.warehouse.warehouse import Warehouse

    lake = Warehouse(tiny.build(table, tmp_path))
    [one] = look_back(lake, find_family(lake, realm="acme", family="Rides"), WEEK)
    # Four far runs of ten at 10 points, then at 12; six near ones at 2.
    assert (one.before.value, one.said.value, one.came.value) == pytest.approx((5.2, 6.0, 6.0))
    assert one.held is Held.INSIDE and f"{one.came_at:%Y-%m-%d %H:%M}" == "2026-07-08 12:00"
    said = "\n".join(block.text for block in looked_back([one]))
    assert "The one change of version came as said." in said
    assert "who played and what was sent may differ" in said
    monkeypatch.setattr(room, "LEAST_BEFORE", timedelta(days=3))  # version 1 ran for two days
    assert look_back(lake, find_family(lake, realm="acme", family="Rides"), WEEK) == []


@pytest.mark.parametrize(
    ("said", "came", "held"),
    [
        ((10, 9, 11), (10.5, 8, 12), Held.INSIDE),
        ((10, 9, 11), (11.5, 10.8, 12), Held.NEAR),
        ((10, 9, 11), (12, 11.5, 12.5), Held.OUTSIDE),
        ((10, 9, np.inf), (12, 11.5, 12.5), Held.OPEN),
        ((10, 9, np.inf), (7, 6, 8), Held.OUTSIDE),
        ((np.nan, np.nan, np.nan), (7, 6, 8), Held.OPEN),
        ((10, 9, 11), (np.nan, np.nan, np.nan), Held.OPEN),
    ],
)
def test_what_came_lies_within_what_was_said_or_meets_it_or_does_not(
    said: tuple[float, ...], came: tuple[float, ...], held: Held
) -> None:
    of = lambda ends: Estimate(*ends, 100, "good")  # noqa: E731
    assert room._held(of(said), of(came)) is held
    assert room._held(NOTHING, of(came)) is Held.OPEN
