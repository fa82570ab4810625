"""The race against the source's own deletion: days are named before they go."""

from __future__ import annotations

import json
from datetime import UTC, date, datetime, timedelta

import pytest

from analytics.cli import main
from analytics.config import Settings
from analytics.errors import ConfigurationError
from analytics.estimates.sampling_rates import Rates
from analytics.lake.lake import Lake
from analytics.operations.doctor import Check, volume
from analytics.operations.doctor import doctor as doctor_retention
from analytics.operations.doctor.doctor import check_all
from analytics.operations.expire import expire
from analytics.source.source import Source
from tests.conftest import Table

NOW = datetime(2026, 7, 20, 6, tzinfo=UTC)
TEN_DAYS = timedelta(days=10)


def days(found: volume.RetentionWarning | None) -> list[str]:
    return [str(day) for day in found.days] if found else []


@pytest.mark.parametrize(("kept", "expected"), [(5, 1), (10, 1), (20, 2), (30, 3), (365, 3)])
def test_the_margin_is_a_tenth_between_one_day_and_three(kept: int, expected: int) -> None:
    assert volume.warning_margin(timedelta(days=kept)) == timedelta(days=expected)


def test_days_that_go_soon_and_are_not_complete_are_named_with_the_command(table: Table, fresh: Lake) -> None:
    # Ten days before 20 July 06:00 is 10 July 06:00: of the 10th rows are being deleted, the 11th begins to go within a day.
    assert days(volume.retention_warning(fresh, TEN_DAYS, NOW)) == ["2026-07-10", "2026-07-11"]
    table.extract(fresh, "2026-07-10", "2026-07-11")
    found = volume.retention_warning(fresh, TEN_DAYS, NOW)
    assert days(found) == ["2026-07-11"]
    assert found
    assert found.deletes_from == datetime(2026, 7, 21, tzinfo=UTC)
    assert found.command == "strategy-analytics extract --since 2026-07-11 --until 2026-07-12"
    assert "2026-07-11 is not complete in the lake" in found.sentence
    assert "from 2026-07-21 00:00 UTC on" in found.sentence
    table.extract(fresh, "2026-07-11", "2026-07-12")
    assert volume.retention_warning(fresh, TEN_DAYS, NOW) is None
    assert volume.retention_warning(fresh, None, NOW) is None


def test_a_day_of_some_realms_only_is_not_complete(table: Table, fresh: Lake) -> None:
    table.insert()  # the realm is known
    table.extract(fresh, "2026-07-10", "2026-07-12", realms=["acme"])
    assert days(volume.retention_warning(fresh, TEN_DAYS, NOW)) == ["2026-07-10", "2026-07-11"]


def test_days_that_the_lake_let_go_on_purpose_are_no_alarm(table: Table, fresh: Lake) -> None:
    table.extract(fresh, "2026-07-10", "2026-07-12")
    expire(fresh, date(2026, 7, 11))
    assert volume.retention_warning(fresh, TEN_DAYS, NOW) is None


@pytest.mark.parametrize("word", ["30", "0d", "30h", "-1d", "soon"])
def test_a_retention_that_is_none_is_refused(word: str) -> None:
    with pytest.raises(ConfigurationError, match="retention"):
        Settings.from_env({"ANALYTICS_SOURCE_RETENTION": word})


def test_a_retention_is_read_from_the_environment_and_before_it_from_the_argument() -> None:
    env = {"ANALYTICS_SOURCE_RETENTION": "26w"}
    assert Settings.from_env({}).source_retention is None
    assert Settings.from_env(env).source_retention == timedelta(days=182)
    assert Settings.from_env(env, source_retention="30d").source_retention == timedelta(days=30)


def test_extract_and_status_warn_on_stderr_and_in_json(
    table: Table, fresh: Lake, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ANALYTICS_SOURCE_RETENTION", "10d")
    monkeypatch.setenv("ANALYTICS_LAKE", str(fresh.root))
    monkeypatch.setenv("ANALYTICS_DATABASE_URL", table.url)
    today = datetime.now(UTC).date()
    table.insert(created_at=f"{today - timedelta(days=1)} 12:00+00")
    endangered = {str(today - timedelta(days=10)), str(today - timedelta(days=9))}
    assert main(["extract", "--json"]) == 0
    said = capsys.readouterr()
    assert set(json.loads(said.out)["source_deletes_soon"]["days"]) == endangered
    assert f"warning: the source deletes rows older than 10 days: {min(endangered)}" in said.err
    assert main(["status", "--json"]) == 0
    said = capsys.readouterr()
    assert {cell["day"] for cell in json.loads(said.out) if cell["source_deletes_soon"]} == endangered
    assert "warning: the source deletes rows" in said.err
    [command] = [line for line in said.err.splitlines() if line.startswith("  strategy-analytics extract")]
    assert main(command.split()[1:]) == 0
    assert "source deletes" not in capsys.readouterr().err
    assert main(["status", "--json"]) == 0
    assert "source deletes" not in capsys.readouterr().err


def test_an_extraction_that_fails_warns_all_the_same(fresh: Lake, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["--source-retention", "10d", "--lake", str(fresh.root), "--retries", "0"]
    assert main(["extract", "--database-url", "postgresql://nobody@127.0.0.1:1/none", *words]) == 3
    assert "warning: the source deletes rows older than 10 days" in capsys.readouterr().err


# ---- the doctor ------------------------------------------------------------------------------------------------------


def doctor(table: Table, lake: Lake, kept_for: timedelta | None = None) -> Check:
    settings = Settings(database_url=table.url, lake=lake.root, rates=Rates((), 0.05), source_retention=kept_for)
    [found] = [finding for finding in check_all(settings) if finding.name == "retention"]
    return found


def test_the_doctor_calls_days_that_go_soon_a_problem(table: Table, fresh: Lake) -> None:
    found = doctor(table, fresh, TEN_DAYS)
    assert found.level == "problem"
    assert found.repair.startswith("strategy-analytics extract --since ")


def test_the_doctor_infers_from_the_lake_that_the_source_deletes(table: Table, fresh: Lake) -> None:
    for number in (5, 6, 7, 8, 9):
        table.insert(created_at=f"2026-07-0{number} 12:00+00")
    table.insert(created_at="1970-01-01 00:00+00")  # a host whose clock was not set
    table.extract(fresh, "2026-07-05", "2026-07-07")
    assert (doctor(table, fresh).level, "nothing shows" in doctor(table, fresh).sentence) == ("ok", True)
    table.execute("delete from strategyexecutionlog where created_at < '2026-07-07' and created_at > '2000-01-01'")
    found = doctor(table, fresh)
    assert found.level == "advice"
    assert "its oldest are of 2026-07-07, and the lake holds 2 days before that" in found.sentence
    assert "next to go: 2026-07-07" in found.sentence
    assert "extract --since 2026-07-07" in found.repair
    assert "ANALYTICS_SOURCE_RETENTION=" in found.repair
    table.extract(fresh, "2026-07-05", "2026-07-12")  # the lost rows are kept
    assert (doctor(table, fresh).level, "complete in the lake" in doctor(table, fresh).sentence) == ("ok", True)


def test_a_large_table_without_an_index_is_asked_by_its_statistics_only(
    table: Table, fresh: Lake, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in (7, 8, 9):
        table.insert(created_at=f"2026-07-0{number} 12:00+00")
    with Source(table.url) as source:
        assert doctor_retention._oldest_day(source, date(2000, 1, 1), 1 << 30) == date(2026, 7, 7)
        assert doctor_retention._oldest_day(source, date(2026, 7, 8), 1 << 30) == date(2026, 7, 8)
        assert doctor_retention._oldest_day(source, date(2000, 1, 1), 0) is None  # never analyzed
    table.execute("analyze strategyexecutionlog")
    asked: list[str] = []
    with Source(table.url) as source:
        real = source._rows
        monkeypatch.setattr(source, "_rows", lambda name, *more: asked.append(name) or real(name, *more))
        assert doctor_retention._oldest_day(source, date(2000, 1, 1), 0) == date(2026, 7, 7)
    assert asked == ["layout", "oldest_statistics"]
