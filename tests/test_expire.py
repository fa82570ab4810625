"""Days that were let go on purpose: looked at first, dropped when verified, and not brought back unasked."""

from __future__ import annotations

import json
from datetime import date
from pathlib import Path

import pytest

from analytics.cli import main
from analytics.errors import LakeError, UsageError
from analytics.expire import expire
from analytics.expired import first_day_to_keep
from analytics.lake import Lake
from analytics.warehouse import Warehouse
from tests import expire_kills
from tests.conftest import Table


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


def test_a_run_that_is_killed_is_finished_by_the_next(table: Table, tmp_path: Path) -> None:
    kept = expire_kills.build(table.url, tmp_path)
    stops = expire_kills.named_steps(kept, tmp_path / "lake", tmp_path / "steps")
    for stop in stops[:: len(stops) // 8]:
        expire_kills.at(kept, tmp_path / "lake", stop, checks=False)
    expire_kills.at(kept, tmp_path / "lake", stops[-1], checks=True)
