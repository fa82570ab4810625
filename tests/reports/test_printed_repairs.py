"""A command that is printed as a repair repairs: it is taken from where it is told, run, and what was missing is there."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from datetime import UTC, date, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from nbformat.v4 import new_markdown_cell

from analytics import api
from analytics.cli import main
from analytics.lake import repair
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

# What stands in a name must reach the program and nobody else.
HOSTILE = "-x'\"$(touch /tmp/no)`\\\n;\u202e\u0301é"
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


def told_in(fresh: Lake, since: str, until: str) -> dict[str, str]:
    """What each place says of a window of the tenant's, the index of the newest of its days only."""
    window = Window.parse(since, until)
    report = api.runaway_rules(str(fresh.root), previous="none", since=since, until=until)
    mortem = api.post_mortem(str(fresh.root), realm="acme", strategy_id="s1", since=since, until=until)
    _, own, _, facts = own_page([new_markdown_cell("mine")], card(11), coverage(Warehouse(fresh), window))
    told = [cards.of_facts(card(11), one) for one in (report.summary(), mortem.summary(), facts)]
    texts = {
        "page of runaway rules": report.head().html + report.actions().html,
        "page of a post-mortem": mortem.head().html + mortem.actions().html + mortem.sure().html,
        "own page": "".join(own),
        "index": archive.index_document(told, made_at=at(8, 12)),
    }
    names = ("runaway rules", "post-mortem", "own report")
    texts |= {f"stderr of {name}": cards.unseen(one, "new", at(8, 12)) for name, one in zip(names, told, strict=True)}
    return {name: re.sub(r"<[^>]*>|&#8203;", "", text) for name, text in texts.items()}


@pytest.fixture
def eighth(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is noon of 8 July 2026."""

    class Clock(datetime):
        @classmethod
        def now(cls, tz: object = None) -> datetime:  # type: ignore[override]
            return datetime(2026, 7, 8, 12, tzinfo=UTC)

    monkeypatch.setattr(repair, "datetime", Clock)


@pytest.mark.usefixtures("eighth")
def test_no_extraction_is_told_of_days_that_have_not_begun(table: Table, fresh: Lake) -> None:
    for day in (5, 6, 7):
        table.insert(created_at=f"2026-07-{day:02} 12:00:00+00")
    table.extract(fresh, "2026-07-05", "2026-07-08")

    said = told_in(fresh, "2026-07-06", "2026-07-12")
    today = "strategy-analytics extract --since 2026-07-08 --until 2026-07-09"
    assert {name: commands(text) for name, text in said.items()} == {name: [today] for name in said}
    assert [name for name, text in said.items() if "to come" not in text] == []
    assert (
        "not extracted is Wed 8 July 2026; still to come is Thu 9 – Sat 11 July 2026" in said["stderr of post-mortem"]
    )

    ahead = told_in(fresh, "2026-07-10", "2026-07-12")
    assert {name: commands(text) for name, text in ahead.items()} == {name: [] for name in ahead}
    assert [name for name, text in ahead.items() if "to come" not in text or "not extracted" in text] == []
    assert "nothing can be told. 2 reports are about days still to come." in ahead["index"]
    assert "nothing new" not in ahead["index"]
    assert ahead["stderr of runaway rules"] == "cannot tell: still to come is Fri 10 – Sat 11 July 2026"


@pytest.mark.usefixtures("eighth")
def test_what_is_still_to_come_is_no_fault_until_it_has_begun(table: Table, fresh: Lake) -> None:
    for day in (6, 7, 8):
        table.insert(created_at=f"2026-07-{day:02} 12:00:00+00")
    table.extract(fresh, "2026-07-05", "2026-07-09")

    report = api.runaway_rules(str(fresh.root), previous="none", since="2026-07-06", until="2026-07-11")
    facts = report.summary()
    assert (facts["state"], facts["missing_days"], facts["days_to_come"]) == ("quiet", [], ["2026-07-09", "2026-07-10"])
    made = cards.of_facts(card(10), facts)
    assert cards.from_json(cards.to_json(made), made.folder) == made
    assert cards.unseen(made, "new", at(8, 12)) == ""
    assert "extract" not in report.actions().text and "2 of 5 days still to come" in report.head().text
    # The same page a day later, which nobody has extracted.
    assert commands(cards.unseen(made, "new", at(9, 1))) == [
        "strategy-analytics extract --since 2026-07-09 --until 2026-07-10"
    ]


def shell(command: str, environment: dict[str, str]) -> subprocess.CompletedProcess[str]:
    """As somebody would paste it, with this very command in reach."""
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    return subprocess.run(
        ["bash", "-c", command],
        env={**os.environ, **environment, "PATH": path},
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.parametrize("realm", ["acme", None, HOSTILE])
def test_a_shell_brings_what_a_report_on_one_tenant_lacks(table: Table, fresh: Lake, realm: str | None) -> None:
    for day in (6, 7, 8):
        for tenant in ("acme", None, HOSTILE):
            table.insert(created_at=f"2026-07-{day:02} 12:00:00+00", realmId=tenant, strategyId="s1")
    table.extract(fresh, "2026-07-06", "2026-07-08", realms=[realm])
    next(fresh.root.glob("executions/*/day=2026-07-06/part.parquet")).unlink()

    whose = {"no_realm": True} if realm is None else {"realm": realm}
    window = {"since": "2026-07-06", "until": "2026-07-10"}
    report = api.runaway_rules(str(fresh.root), previous="none", **window, **whose)  # type: ignore[arg-type]
    mortem = api.post_mortem(str(fresh.root), strategy_id="s1", **window, **whose)  # type: ignore[arg-type]
    places = [report.actions().html, mortem.actions().html]
    places += [cards.unseen(cards.of_facts(card(9), one.summary()), "new") for one in (report, mortem)]
    [command] = {command for place in places for command in commands(place)}
    assert all(commands(place) for place in places)

    done = shell(command, {"ANALYTICS_DATABASE_URL": table.url, "ANALYTICS_LAKE": str(fresh.root)})
    assert done.returncode == 0, done.stderr
    again = api.runaway_rules(str(fresh.root), previous="none", **window, **whose)  # type: ignore[arg-type]
    assert again.held.missing == [] and "extract" not in again.actions().text
    assert len(again.lake.sql("from executions").fetchall()) == 3
