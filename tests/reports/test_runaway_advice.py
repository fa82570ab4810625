"""What the runaway report tells to do: every command that it prints runs, whatever authors wrote, and links lead somewhere."""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import psycopg
import pytest

import analytics
from analytics import api
from analytics.cli import main
from analytics.demo.families.elsewhere import HOSTILE_FAMILY, HOSTILE_REALM
from analytics.lake import shell
from analytics.lake.lake import Lake
from analytics.reports.post_mortem import comparison_tables
from analytics.reports.render import builders, rendering
from analytics.reports.runaway import data_box
from analytics.reports.runaway.report import RunawayRules
from tests.conftest import Table
from tests.runaway import world
from tests.runaway.world import ALL

ODD = "-x'\"$(touch /tmp/no)`\\\n;\u202e\u0301é🎈"
SINCE, UNTIL = "2026-07-08", "2026-07-09"


def words_of(command: str) -> list[str]:
    """What a shell makes of a command: its words."""
    done = subprocess.run(["bash", "-c", f"printf '%s\\0' {command}"], capture_output=True, check=True)
    return done.stdout.decode().split("\0")[:-1]


@pytest.mark.parametrize(
    "text", ["plain", "two words", "", "-x", "it's", "$HOME `id` $(id)", ODD, HOSTILE_FAMILY, "a\u200bb\\n"]
)
def test_a_shell_reads_an_authors_text_as_it_is_and_nothing_hidden_is_pasted(text: str) -> None:
    written = shell.word(text)
    assert words_of(written) == [text]
    assert analytics.reports.page.visible(written) == written


def printed(report: RunawayRules) -> list[str]:
    """Every command on the page and in the summary, which are the same; calls of the engine's interface aside."""
    steps = [step["command"] for one in report.summary()["actions"] for step in one["steps"] if step["command"]]
    shown = report.actions().html
    assert [step for step in steps if str(analytics.reports.page.Markup("{}").format(step)) not in shown] == []
    return list(dict.fromkeys(step for step in steps if not step.startswith("POST ")))


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[Lake, str], int]:
    """Runs a command as a person would who has the lake in $ANALYTICS_LAKE; its exit code."""

    def run(lake: Lake, command: str) -> int:
        monkeypatch.setenv("ANALYTICS_LAKE", str(lake.root))
        monkeypatch.setenv("ANALYTICS_REPORTS", str(tmp_path / "out"))
        program, *words = words_of(command)
        assert program == "strategy-analytics"
        return main(words)

    return run


def in_box(box: str) -> list[str]:
    """The commands above the queries of a page."""
    return [line.removeprefix("-- ") for line in box.split("\n") if line.startswith("-- strategy-analytics ")]


@pytest.mark.parametrize("whose", [{}, {"realm": HOSTILE_REALM}, {"realm": "sunny-gym"}, {"no_realm": True}])
def test_the_commands_above_a_pages_queries_run(
    whose: dict[str, Any], lake: Lake, run: Callable[[Lake, str], int]
) -> None:
    found = api.runaway_rules(str(lake.root), since="2026-07-10", until="2026-07-11", previous="none", **whose)
    commands = in_box(data_box.queries(found.lake, found.since, found.until))
    assert commands and [command for command in commands if run(lake, command) != 0] == []


def test_the_commands_above_a_post_mortems_queries_tell_of_its_strategy_alone(
    lake: Lake, run: Callable[[Lake, str], int], capsys: pytest.CaptureFixture[str]
) -> None:
    given = {"realm": "acme-cycling", "family": "Speed bonus", "since": "2026-07-07", "until": "2026-07-11"}
    found = api.post_mortem(str(lake.root), **given).inquiry
    for command in in_box(comparison_tables.queries(found.family, found.since, found.until)):
        capsys.readouterr()
        assert run(lake, f"{command} --format csv") == 0, command
        head, *rows = capsys.readouterr().out.splitlines()
        assert rows or "failures" in command, command
        if "family_name" in head:
            assert all("Speed bonus" in row for row in rows), command


@pytest.fixture
def planned(monkeypatch: pytest.MonkeyPatch) -> None:
    """Reports are built and read, without the kernel that renders them."""

    def render(plan: Any) -> SimpleNamespace:
        report: Any = getattr(builders, plan.builder.removeprefix("analytics."))(**plan.values)
        facts = report.summary()
        return SimpleNamespace(html="page", facts=facts, card=SimpleNamespace(state="quiet"))

    monkeypatch.setattr(rendering, "render", render)
    for asked in ("alarm", "unseen"):
        monkeypatch.setattr(f"analytics.reports.schedule.cards.{asked}", lambda card, fail_on: "")


PROGRAM = {
    "rules": [
        {
            "id": "r",
            "when": {"type": "literal", "value": True},
            "then": [{"type": "assign_points", "value": {"type": "literal", "value": 1}, "case_name": "Case"}],
        }
    ]
}


RUNS = """
  insert into strategyexecutionlog (id, created_at, updated_at, "strategyId", "strategyVersion", "strategyType", "realmId",
    "externalUserId", status, "errorCode", points, "durationMs", "nodesExecuted", trace, sampled)
  select gen_random_uuid(), at, at, %(strategy)s::varchar, 1, 'DSL_FULL', %(realm)s::varchar, 'user-' || n %% %(users)s,
         %(status)s::varchar, %(code)s::varchar, case when %(code)s::varchar is null then 1 end, 3,
         case when %(code)s::varchar is null then 950 + n %% 7 else 0 end, %(trace)s::jsonb, %(code)s::varchar is null
    from generate_series(0, %(count)s - 1) as n,
         lateral (select %(begin)s::timestamptz + n * %(every)s::interval) as moment(at)
"""
MATCHED = '[{"nodeId": "r", "type": "rule", "branch": "match", "value": true}]'


def runs(table: Table, strategy: str, realm: str | None, begin: str, every: str, count: int, **more: Any) -> None:
    values = {"status": "ok", "code": None, "trace": "null" if "code" in more else MATCHED, "users": 30} | more
    at = f"2026-07-08 {begin}+00"
    table.execute(RUNS, values | {"strategy": strategy, "realm": realm, "begin": at, "every": every, "count": count})  # type: ignore[arg-type]


def every_kind(table: Table, tenants: dict[str | None, str]) -> None:
    """Of each tenant one strategy: all are close to the cap and stall together; all but the last are stopped by it and probed;
    the first times out by itself."""
    for number, (realm, name) in enumerate(tenants.items()):
        strategy = f"{number:08}-0000-4000-8000-000000000000"
        if name:
            author = {"createdBy": "author@example.org", "publishedAt": "2026-07-01 08:00+00"}
            table.define(PROGRAM, id=strategy, realmId=realm, name=name, **author)
        runs(table, strategy, realm, "06:00", "10 minutes", 60)
        runs(table, strategy, realm, f"08:00:0{number}", "9 seconds", 4, status="timeout", code="DSL_TIMEOUT")
        if number < len(tenants) - 1:
            runs(table, strategy, realm, "09:00", "1 minute", 4, status="limit", code="DSL_LIMIT_EXCEEDED")
            probe = "DSL_FIELD_NOT_PRECOMPUTED"
            runs(table, strategy, realm, "10:00", "1 minute", 3, status="error", code=probe, users=1)
        if number == 0:
            runs(table, strategy, realm, "13:00", "7 minutes", 12, status="timeout", code="DSL_TIMEOUT")


@pytest.fixture(scope="module")
def odd(module_table: Table, tmp_path_factory: pytest.TempPathFactory) -> tuple[Lake, RunawayRules]:
    """A lake of tenants whose names attack a shell, are empty, missing or long, and the report on it."""
    lake = Lake(tmp_path_factory.mktemp("odd") / "lake")
    every_kind(
        module_table, {ODD: ODD, HOSTILE_REALM: HOSTILE_FAMILY, "": "Nobody's", None: "x" * 5_000, "nameless": ""}
    )
    module_table.extract(lake)
    return lake, api.runaway_rules(str(lake.root), since=SINCE, until=UNTIL, previous="none")


def test_every_command_of_every_kind_of_finding_runs(
    odd: tuple[Lake, RunawayRules], run: Callable[[Lake, str], int], planned: None, capsys: pytest.CaptureFixture[str]
) -> None:
    lake, report = odd
    found = printed(report)
    assert {finding.type for finding in report.found} >= {"limit", "canary", "stall", "close", "timeout"}
    assert {words_of(command)[1] for command in found} == {"report", "explain", "query"}
    assert [command for command in found if run(lake, command) != 0] == []
    capsys.readouterr()


def test_links_lead_to_what_is_on_the_page(odd: tuple[Lake, RunawayRules]) -> None:
    report = odd[1]
    sections = ("head", "findings", "league", "when", "close", "growing", "nodes", "fields", "actions", "sure")
    html = "".join(getattr(report, name)().html for name in sections)
    there = re.findall(r' id="([^"]+)"', html)
    wanted = [*re.findall(r'href="#([^"]+)"', html), *(address.lstrip("#") for address, _ in report.nav)]
    assert {"do-1", "do-2", "queries", "when"} <= set(wanted)
    assert [name for name in wanted if there.count(name) != 1] == []


def test_whoever_created_a_version_is_masked_and_a_page_to_be_passed_on_names_no_run(
    odd: tuple[Lake, RunawayRules],
) -> None:
    lake, report = odd
    assert "created by ••••rg" in report.actions().html and "author@" not in report.actions().html
    passed_on = api.runaway_rules(str(lake.root), since=SINCE, until=UNTIL, previous="none", min_users=2)
    said = passed_on.actions().html + json.dumps(passed_on.summary()["actions"])
    assert passed_on.found
    assert [words for words in ("explain", "limit_runs", "created by") if words in said] == []
    assert "--min-users 2" in said


def test_a_quiet_day_has_nothing_to_do(table: Table, fresh: Lake) -> None:
    table.insert()
    table.extract(fresh)
    report = api.runaway_rules(str(fresh.root), since=SINCE, until=UNTIL, previous="none")
    assert "Nothing: there is no finding." in report.actions().text
    assert report.summary()["actions"] == []


# ---- rendered, in full -----------------------------------------------------------------------------------------------


@pytest.mark.long
def test_every_command_of_the_demo_runs(lake: Lake, run: Callable[[Lake, str], int]) -> None:
    found = printed(api.runaway_rules(str(lake.root), since="2026-07-10", until="2026-07-11", previous="none"))
    assert len(found) > 10
    assert [command for command in found if run(lake, command) != 0] == []


@pytest.mark.long
def test_every_command_of_planted_fleets_runs(
    database_url: str, tmp_path: Path, run: Callable[[Lake, str], int], planned: None
) -> None:
    with psycopg.connect(database_url, autocommit=True) as connection:
        connection.execute("create database advice")
    url = database_url.replace("/postgres?", "/advice?", 1)
    world.create(url)
    for story in ALL:
        told = world.tell(url, tmp_path / story.key, story)
        lake = Lake(tmp_path / story.key)
        assert [command for command in printed(told.report) if run(lake, command) != 0] == [], story.key
