"""SIGKILL to ``expire`` at every named step and at random moments.

After each kill a reader must see either every row or exactly those of the days that stay; a rerun must leave exactly the files of
those days, byte for byte as they were, and a ledger that is true.
"""

from __future__ import annotations

import functools
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import psycopg

from analytics.estimates.sampling_rates import Rates
from analytics.extraction import day_files
from analytics.lake.lake import Lake
from analytics.operations.expire import expire
from analytics.warehouse.warehouse import Warehouse
from analytics.window import Window
from tests.extracting import extract
from tests.proof.truth import BrokenPromiseError, sound
from tests.simulated import DEFINITIONS, LOG, insert, program_row, run_row

from .harness import Job, digests

BEFORE = date(2026, 7, 4)
#: Rows of the log table by moment and realm: three realms every day, 66 more on the second so that it has day files, and one
#: without a day.
FIRST = datetime(2026, 7, 1, 12, tzinfo=UTC)
RUNS: list[tuple[datetime | None, str | None]] = [
    *((FIRST + timedelta(days=number % 6), ("acme", "Böhm/..", None)[number // 6 % 3]) for number in range(36)),
    *((FIRST + timedelta(days=1, hours=1), f"tenant {number}") for number in range(1, 67)),
    (None, "acme"),
]
ROWS, ROWS_THAT_STAY = len(RUNS), 18 + 1


def build(url: str, folder: Path) -> Job:
    """A lake of six days, in a database with empty source tables."""
    with psycopg.connect(url) as connection:
        insert(connection, LOG, (run_row(created_at=moment, realmId=realm, caseName=None) for moment, realm in RUNS))
        insert(connection, DEFINITIONS, [program_row({"type": "program", "rules": []}, name="a")])
    template = folder / "template"
    extract(url, Lake(template), Window.parse("2026-07-01", "2026-07-07"), rates=Rates((), 0.05))
    assert list(day_files.everywhere(Lake(template)))
    (template / ".set-aside").mkdir()
    (template / ".set-aside" / "copy.parquet.1.aside").write_text("somebody's")
    (template / ".lock").unlink()
    kept = {name: told for name, told in digests(template).items() if _stays(name)}
    return Job(template, work, read, functools.partial(judge, kept))


def _stays(name: str) -> bool:
    return not any(f"day=2026-07-0{number}" in name for number in (1, 2, 3))


def work(lake: Path) -> None:
    """What is killed."""
    expire(Lake(lake), BEFORE)


def read(lake: Path) -> None:
    """A reader meets all rows, or those of the days that stay."""
    [[found]] = Warehouse(Lake(lake)).connection.execute("select count(*) from executions").fetchall()
    if found not in (ROWS, ROWS_THAT_STAY):
        raise BrokenPromiseError(f"a reader sees {found} rows, neither {ROWS} nor {ROWS_THAT_STAY}")


LOCK_AND_MARK = (".lock", "expired.json", "ledger/expired.json")


def judge(kept: dict[str, str], lake: Path, checks: bool) -> None:
    """A rerun leaves exactly what has to stay."""
    expire(Lake(lake), BEFORE)
    found = {name: told for name, told in digests(lake).items() if name not in LOCK_AND_MARK}
    if found != kept:
        odd = sorted(name for name in {*found, *kept} if found.get(name) != kept.get(name))
        raise BrokenPromiseError(f"{len(odd)} files are not as they should be: {odd[:5]}")
    opened = Warehouse(Lake(lake))
    [[rows]] = opened.connection.execute("select count(*) from executions").fetchall()
    if rows != ROWS_THAT_STAY:
        raise BrokenPromiseError(f"{rows} rows are left, not {ROWS_THAT_STAY}")
    if checks:
        sound(opened)
