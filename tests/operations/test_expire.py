"""Days that were let go on purpose: looked at first, dropped when verified, and not brought back unasked."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pytest

from analytics.cli import main
from analytics.errors import LakeError, LakeLockedError, UsageError
from analytics.extraction import clocks
from analytics.extraction.plan import exclude_expired
from analytics.lake import expiry_mark
from analytics.lake.expiry_mark import first_day_to_keep
from analytics.lake.lake import Lake
from analytics.model import IgnoredTransaction, OpenTransaction
from analytics.operations.expire import expire
from analytics.reports.explore.lake_card import KINDS
from analytics.reports.explore.results import MARKS
from analytics.reports.post_mortem.comparison_tables import in_words
from analytics.source.source import Source
from analytics.warehouse.coverage import coverage
from analytics.warehouse.warehouse import Warehouse
from analytics.window import Window
from tests.conftest import Table
from tests.kills import expire as expire_job
from tests.kills import harness
from tests.proof import forking

NOW = datetime(2026, 7, 20, tzinfo=UTC)


def _days(lake: Lake) -> list[str]:
    return sorted({path.parent.name for path in lake.root.glob("executions/*/*/part.parquet")})


@pytest.fixture
def two_days(table: Table, fresh: Lake) -> Lake:
    for day in ("2026-07-07", "2026-07-08"):
        for realm in ("acme", None):
            table.insert(realmId=realm, created_at=f"{day} 12:00:00+00")
    table.insert(created_at=None, updated_at=None)
    table.extract(fresh)
    return fresh


def test_without_yes_expire_only_says_what_would_go(two_days: Lake, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["expire", "--before", "2026-07-08", "--lake", str(two_days.root), "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert (told["removed"], told["logged_count"], told["undated_count"]) == (False, 2, 1)
    assert _days(two_days) == ["day=2026-07-07", "day=2026-07-08", "day=__HIVE_DEFAULT_PARTITION__"]


def test_an_expired_day_is_gone_and_an_extraction_leaves_it_alone(table: Table, two_days: Lake) -> None:
    kept = {path: path.read_bytes() for path in two_days.root.glob("executions/*/day=2026-07-08/part.parquet")}
    assert main(["expire", "--before", "2026-07-08", "--yes", "--lake", str(two_days.root)]) == 0
    assert _days(two_days) == ["day=2026-07-08", "day=__HIVE_DEFAULT_PARTITION__"]
    assert {path: path.read_bytes() for path in kept} == kept
    result = table.extract(two_days)
    assert any("--also-expired" in note for note in result.notes)
    assert Warehouse(two_days).sql("select count(*) from executions").fetchall() == [(3,)]
    table.extract(two_days, also_expired=True)
    assert Warehouse(two_days).sql("select count(*) from executions").fetchall() == [(5,)]
    assert all(check.passed for check in Warehouse(two_days).check() if check.severity == "error")


def test_expired_days_stay_away_though_one_of_the_files_that_say_so_is_lost(table: Table, two_days: Lake) -> None:
    table.insert(created_at="2026-07-06 12:00:00+00")
    table.extract(two_days, "2026-07-06")
    expire(two_days, date(2026, 7, 7))
    said = two_days.root / expiry_mark.NAME
    earlier = said.read_text().replace('expired_at": "2', 'expired_at": "1')  # not of the same second
    expire(two_days, date(2026, 7, 8))
    later = said.read_text()
    for harm, was in ((said.unlink, "was lost"), (lambda: said.write_text(earlier), "was an older one")):
        harm()
        assert coverage(Warehouse(two_days), Window.parse("2026-07-06", "2026-07-09")).expired == [
            date(2026, 7, 6),
            date(2026, 7, 7),
        ]
        result = table.extract(two_days, "2026-07-06")
        assert any(
            note.startswith(f"expired.json {was}; by its copy the days before 2026-07-08") for note in result.notes
        )
        assert (said.read_text(), _days(two_days)[0]) == (later, "day=2026-07-08")
    copy = two_days.root / "ledger" / expiry_mark.NAME
    copy.unlink()  # a lake of an older version
    assert not any("expired.json was" in note for note in table.extract(two_days, "2026-07-06").notes)
    assert copy.read_text() == later


def test_a_day_that_is_not_verified_stays_until_it_is_said(two_days: Lake) -> None:
    path = next(two_days.root.glob("executions/realm=acme/day=2026-07-07/part.parquet"))
    path.write_bytes(path.read_bytes() + b"x")
    with pytest.raises(LakeError, match="not verified") as refused:
        expire(two_days, date(2026, 7, 8))
    assert "--unverified" in refused.value.hint
    assert path.is_file()
    expire(two_days, date(2026, 7, 8), unverified=True)
    assert not path.exists()


@pytest.mark.parametrize("age", ["0d", "2d", "-1d", "180", "1y", "99999999d", ""])
def test_an_age_that_is_none_or_is_seldom_meant_is_refused(age: str) -> None:
    with pytest.raises(UsageError) as refused:
        first_day_to_keep(age, None, accept_young=False)
    assert refused.value.hint


def test_a_run_that_is_killed_is_finished_by_the_next(database_url: str, table: Table, tmp_path: Path) -> None:
    forking.begin(database_url)
    job = expire_job.build(table.url, tmp_path)
    stops = harness.named_steps(job, tmp_path / "lake", tmp_path / "steps")
    harness.at(job, tmp_path / "lake", stops[len(stops) // 2], checks=False)  # make prove has every step
    harness.at(job, tmp_path / "lake", stops[-1], checks=True)


def test_the_future_is_refused_and_young_days_go_only_with_yes(
    two_days: Lake, capsys: pytest.CaptureFixture[str]
) -> None:
    at = datetime(2026, 7, 20, 23, 59, tzinfo=UTC)
    assert first_day_to_keep("180d", None, accept_young=False, now=at) == date(2026, 1, 21)
    assert first_day_to_keep("26w", None, accept_young=False, now=at) == date(2026, 1, 19)
    assert first_day_to_keep("3d", None, accept_young=False, now=at) == date(2026, 7, 17)
    assert first_day_to_keep("0d", None, accept_young=True, now=at) == date(2026, 7, 20)
    with pytest.raises(UsageError, match="in the future"):
        first_day_to_keep(None, "2026-07-21", accept_young=True, now=at)
    for both_or_none in ((None, None), ("180d", "2026-01-01")):
        with pytest.raises(UsageError, match="either"):
            first_day_to_keep(*both_or_none, accept_young=True, now=at)
    for word in ("2026-02-30", "yesterday", "2026-07-20 12:00"):
        with pytest.raises(UsageError, match="is no day"):
            first_day_to_keep(None, word, accept_young=True, now=at)
    assert main(["expire", "--older-than", "0d", "--lake", str(two_days.root)]) == 2
    assert "which every extraction still looks at; nothing was removed" in capsys.readouterr().err
    assert len(_days(two_days)) == 3


def test_a_clock_that_is_far_ahead_of_all_the_lake_has_seen_makes_nothing_old(
    two_days: Lake, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    seen = clocks.last_time(two_days)
    assert seen is not None and abs(datetime.now(UTC).date() - seen) <= timedelta(days=1), (
        "the server's, of the extraction"
    )
    clocks.ensure_plausible(two_days, seen + clocks.JUMP)
    with pytest.raises(LakeError, match="nothing was removed") as refused:
        clocks.ensure_plausible(two_days, seen.replace(year=seen.year + 10, day=1))
    assert "--accept-clock" in refused.value.hint
    monkeypatch.setattr(clocks, "JUMP", timedelta(days=-2))  # as if this clock had jumped
    words = ["expire", "--before", "2026-07-08", "--lake", str(two_days.root)]
    assert main(words) == 0 and "clock says" in capsys.readouterr().err
    assert main([*words, "--yes"]) == 3 and len(_days(two_days)) == 3
    assert main([*words, "--yes", "--accept-clock"]) == 0 and len(_days(two_days)) == 2


def test_an_extraction_says_that_a_clock_is_wrong_and_that_rows_are_of_the_future(table: Table, fresh: Lake) -> None:
    table.insert()
    assert not any("clock" in note for note in table.extract(fresh).notes)
    table.insert(created_at="2099-03-01 12:00:00+00")
    [said] = [note for note in table.extract(fresh).notes if "clock" in note]
    assert "rows of the future, up to 2099-03-01" in said and "--until 2099-03-02" in said
    with Source(table.url) as source:
        for years, word in ((-10, "10 years behind"), (10, "10 years ahead of")):
            wrong = datetime.now(UTC) + timedelta(days=365.25 * years)
            [said, *_] = clocks.sentences(source, lambda wrong=wrong: wrong)  # type: ignore[misc]
            assert f"clock is {word} the database server's" in said


def test_no_lake_is_made_to_expire_it(fresh: Lake) -> None:
    assert main(["expire", "--older-than", "180d", "--yes", "--lake", str(fresh.root)]) == 3
    assert not fresh.root.exists()


def test_a_day_of_some_realms_or_one_that_may_still_get_rows_is_not_verified(table: Table, fresh: Lake) -> None:
    table.insert()
    table.extract(fresh, realms=["acme"])
    with pytest.raises(LakeError, match="not every realm was extracted"):
        expire(fresh, date(2026, 7, 9))
    table.extract(fresh)
    fresh.ledger_path(date(2026, 7, 7)).write_text("damaged")
    with pytest.raises(LakeError, match=r"1 of 2 days .*2026-07-07: its ledger file is missing or damaged"):
        expire(fresh, date(2026, 7, 9))
    record = fresh.recorded(date(2026, 7, 8))
    assert record
    waiting = IgnoredTransaction(*[datetime(2026, 7, 8, tzinfo=UTC)] * 2, OpenTransaction("r", NOW, pid=1), NOW)
    fresh.record(replace(record, ignored_transactions=(waiting,)))
    with pytest.raises(LakeError, match=r"2026-07-08: an old transaction may still bring rows into it"):
        expire(fresh, date(2026, 7, 9))


def test_rows_that_only_the_lake_holds_are_told_and_go(
    table: Table, fresh: Lake, capsys: pytest.CaptureFixture[str]
) -> None:
    gone = table.insert()
    table.insert()
    table.extract(fresh)
    table.execute("delete from strategyexecutionlog where id = %s", [gone])
    table.extract(fresh)
    assert main(["expire", "--before", "2026-07-10", "--yes", "--lake", str(fresh.root)]) == 0
    assert "1 of these rows the source has lost already" in capsys.readouterr().err
    assert _days(fresh) == []


def test_files_of_others_are_set_aside_and_stay(two_days: Lake) -> None:
    copy = next(two_days.root.glob("executions/realm=acme/day=2026-07-07")) / "copy.parquet"
    copy.write_bytes(b"somebody's")
    found = expire(two_days, date(2026, 7, 8))
    assert "copy.parquet" in found.notes[0]
    assert [path.read_bytes() for path in two_days.root.rglob(".set-aside/**/copy*")] == [b"somebody's"]
    assert _days(two_days) == ["day=2026-07-08", "day=__HIVE_DEFAULT_PARTITION__"]


def test_an_expiry_that_lost_its_lock_stops_and_is_finished_by_the_next(
    two_days: Lake, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = two_days.remove

    def remove_and_lose(path: Path) -> None:
        real(path)
        (two_days.root / ".lock").unlink(missing_ok=True)

    monkeypatch.setattr(two_days, "remove", remove_and_lose)
    with pytest.raises(LakeLockedError, match="was broken or removed"):
        expire(two_days, date(2026, 7, 8))
    # One file is gone. Readers do not meet the day any more, an extraction does not mend it, and it cannot be had back by half.
    reader = Lake(two_days.root)
    assert Warehouse(reader).sql("select count(*) from executions").fetchall() == [(3,)]
    assert reader.recorded_days() == [date(2026, 7, 8), date(2026, 7, 9), None]
    with pytest.raises(LakeError, match="were not removed to their end"):
        exclude_expired(reader, Window.parse("2026-07-07", "2026-07-09"), also_expired=True)
    again = expire(reader, date(2026, 7, 1))  # an earlier day does not take back what was said
    assert [(going.day, going.is_leftover) for going in again.days] == [(date(2026, 7, 7), True)]
    assert _days(two_days) == ["day=2026-07-08", "day=__HIVE_DEFAULT_PARTITION__"]


def test_a_window_of_expired_days_only_is_refused_with_what_brings_them_back(table: Table, two_days: Lake) -> None:
    expire(two_days, date(2026, 7, 9))
    with pytest.raises(UsageError, match="nothing remains of the window") as refused:
        table.extract(two_days, "2026-07-07", "2026-07-09")
    assert "also_expired=True" in refused.value.hint
    table.extract(two_days, "2026-07-08", "2026-07-09", also_expired=True)
    assert _days(two_days) == ["day=2026-07-08", "day=__HIVE_DEFAULT_PARTITION__"]
    mark = expiry_mark.read(two_days.root)
    assert mark
    assert mark.before == date(2026, 7, 8)


def test_status_calls_expired_days_expired(two_days: Lake, capsys: pytest.CaptureFixture[str]) -> None:
    expire(two_days, date(2026, 7, 8))
    assert main(["status", "--all-realms", "--json", "--lake", str(two_days.root)]) == 0
    states = {
        (cell["day"], cell["state"]) for cell in json.loads(capsys.readouterr().out) if cell["realm_id"] == "acme"
    }
    assert states == {
        ("2026-07-07", "expired"),
        ("2026-07-08", "complete"),
        ("2026-07-09", "empty"),
        (None, "complete"),
    }
    assert main(["status", "--all-realms", "--lake", str(two_days.root)]) == 0
    assert "the days before 2026-07-08 are expired" in capsys.readouterr().out


def test_a_damaged_mark_is_an_error_with_its_repair(two_days: Lake) -> None:
    (two_days.root / expiry_mark.NAME).write_text("{}")
    with pytest.raises(LakeError, match=r"expired\.json is damaged") as refused:
        expire(two_days, date(2026, 7, 8))
    assert "restore it from a backup" in refused.value.hint


def test_a_report_over_expired_days_says_that_they_were_dropped(two_days: Lake) -> None:
    window = Window.parse("2026-07-06", "2026-07-09")
    before = coverage(Warehouse(two_days), Window.parse("2026-07-07", "2026-07-09"))
    assert (before.missing, before.of_them_expired) == ([], "")
    expire(two_days, date(2026, 7, 8))
    found = coverage(Warehouse(two_days), window)
    assert found.missing == found.expired == [date(2026, 7, 6), date(2026, 7, 7)]
    said = in_words(Warehouse(two_days), window.since, window.until)
    assert said == "log not extracted for 2 of the window's days (2 of them expired)"


def test_every_state_of_a_day_can_be_shown() -> None:
    assert set(MARKS) == set(KINDS)
