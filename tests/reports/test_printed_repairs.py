"""A command that is printed as a repair repairs: it is taken from where it is told, run, and what was missing is there."""

from __future__ import annotations

import re
import shlex
from datetime import date
from typing import TYPE_CHECKING

import pytest
from nbformat.v4 import new_markdown_cell

from analytics import api
from analytics.cli import main
from analytics.operations.expire import expire
from analytics.reports.render.own_page import own_page
from analytics.reports.schedule import archive, cards
from analytics.warehouse.coverage import coverage
from analytics.warehouse.warehouse import Warehouse
from analytics.window import Window
from tests.reports.test_report_run import at, card

if TYPE_CHECKING:
    from analytics.lake.lake import Lake
    from tests.conftest import Table

COMMAND = re.compile(r"strategy-analytics extract [-\w :]*\d(?: --also-expired)?")
WINDOW = Window.parse("2026-07-05", "2026-07-12")


def commands(text: str) -> list[str]:
    """Each once, without what HTML puts between its words."""
    return list(dict.fromkeys(COMMAND.findall(re.sub(r"<[^>]*>|&#8203;", "", text))))


def test_the_command_for_missing_expired_and_lost_days_is_one_and_brings_them_all(
    table: Table, fresh: Lake, monkeypatch: pytest.MonkeyPatch
) -> None:
    for day in (5, 6, 7, 8, 9, 11):
        table.insert(created_at=f"2026-07-{day:02} 12:00:00+00")
    table.extract(fresh, "2026-07-05", "2026-07-10")
    expire(fresh, date(2026, 7, 7))
    next(fresh.root.glob("executions/*/day=2026-07-08/part.parquet")).unlink()

    report = api.runaway_rules(str(fresh.root), previous="none", since="2026-07-05", until="2026-07-12")
    mortem = api.post_mortem(str(fresh.root), realm="acme", strategy_id="s1", since="2026-07-05", until="2026-07-12")
    told = [cards.of_facts(card(11), one.summary()) for one in (report, mortem)]
    held = coverage(Warehouse(fresh), WINDOW)
    _, own, _, facts = own_page([new_markdown_cell("mine")], card(11), held)
    told.append(cards.of_facts(card(11), facts))
    assert [one.expired_days for one in told] == [["2026-07-05", "2026-07-06"]] * 3
    places = [
        report.actions().html,  # of the page
        mortem.actions().html,
        archive.index_document(told, made_at=at(12)),
        "".join(own),
        *(cards.unseen(one, "new") for one in told),  # stderr of `report`, and of `report run`
    ]
    wanted = "strategy-analytics extract --since 2026-07-05 --until 2026-07-12 --also-expired"
    assert [commands(place) for place in places] == [[wanted]] * len(places)

    monkeypatch.setenv("ANALYTICS_DATABASE_URL", table.url)
    monkeypatch.setenv("ANALYTICS_LAKE", str(fresh.root))
    assert main(shlex.split(wanted)[1:]) == 0
    assert coverage(Warehouse(fresh), WINDOW).missing == []
    [(count,)] = Warehouse(fresh).sql("select count(*) from executions").fetchall()
    assert count == 6
    again = api.runaway_rules(str(fresh.root), previous="none", since="2026-07-05", until="2026-07-12")
    assert "extract" not in again.actions().text
    assert cards.unseen(cards.of_facts(card(11), again.summary()), "new") == ""
