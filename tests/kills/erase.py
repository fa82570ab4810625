"""SIGKILL to ``erase`` at every named step and at random moments.

After each kill a reader must see every row of everybody else, as it was; a rerun must leave nothing of the person anywhere in the
lake, nobody else touched, a ledger that is true, a receipt of all that was erased, and an extraction must find nothing to do.
"""

from __future__ import annotations

import functools
import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import psycopg
import pyarrow.parquet as pq

from analytics.estimates.sampling_rates import Rates
from analytics.extraction import day_files
from analytics.extraction.privacy.policy import Policy
from analytics.extraction.privacy.tombstones import MARK
from analytics.lake.lake import Lake
from analytics.operations.erase import erase
from analytics.warehouse.warehouse import Warehouse
from analytics.window import Window
from tests.extracting import extract
from tests.proof.truth import BrokenPromiseError, sound
from tests.simulated import DEFINITIONS, LOG, insert, program_row, run_row

from .harness import Job

PERSON = "anna-4711"
FIRST = datetime(2026, 7, 1, 12, tzinfo=UTC)


def runs() -> Iterator[tuple[datetime | None, str | None, str, str]]:
    """Moment, realm, user and trace of each run.

    Three realms on four days; of each realm and day one row is the person's and one of three others names them. 66 realms more
    on one day, so that it has day files, in one of which there is nobody but the person. And a row of theirs without a day.
    """

    def trace(value: str) -> str:
        return json.dumps([{"nodeId": "n1", "type": "literal", "value": value}])

    for number in range(48):
        moment, realm = FIRST + timedelta(days=number % 4), ("acme", "Böhm/..", None)[number // 4 % 3]
        person = PERSON if number < 12 else f"user-{number}"
        yield moment, realm, person, trace(f"for {PERSON}" if 12 <= number < 24 else f"v{number}")
    for number in range(1, 67):
        person = PERSON if number == 7 else f"user-{number}"
        yield FIRST + timedelta(days=1, hours=1), f"tenant {number}", person, trace("v")
    yield None, "acme", PERSON, trace("v")


ROWS, THEIRS, NAMING = 48 + 66 + 1, 12 + 1 + 1, 12
OTHERS = "select * exclude (trace) from executions where external_user_id <> 'anna-4711' order by execution_id"


def build(url: str, folder: Path) -> Job:
    """A lake of four days, in a database with empty source tables, which has to stay up."""
    with psycopg.connect(url) as connection:
        rows = (
            run_row(created_at=moment, realmId=realm, externalUserId=person, caseName=None, trace=trace)
            for moment, realm, person, trace in runs()
        )
        insert(connection, LOG, rows)
        insert(connection, DEFINITIONS, [program_row({"type": "program", "rules": []}, name="a", createdBy=PERSON)])
    template = folder / "template"
    _extract(url, template)
    assert list(day_files.everywhere(Lake(template)))
    (template / ".lock").unlink()
    others = _others(template)
    return Job(template, work, functools.partial(read, others), functools.partial(judge, others, url))


def _extract(url: str, lake: Path) -> bool:
    return extract(url, Lake(lake), Window.parse("2026-07-01", "2026-07-05"), rates=Rates((), 0.05)).nothing_to_do


def _others(lake: Path) -> list[tuple[Any, ...]]:
    return Warehouse(Lake(lake)).connection.execute(OTHERS).fetchall()


def work(lake: Path) -> None:
    """What is killed."""
    erase(Lake(lake), PERSON, Policy())


def read(others: list[tuple[Any, ...]], lake: Path) -> None:
    """A reader meets everybody else's rows."""
    if _others(lake) != others:
        raise BrokenPromiseError("a reader does not see everybody else's rows as they were")


def judge(others: list[tuple[Any, ...]], url: str, lake: Path, checks: bool) -> None:
    """A rerun leaves nothing of the person, and everything of the others."""
    receipt = erase(Lake(lake), PERSON, Policy())
    if (receipt.rows_erased, receipt.rows_changed) != (THEIRS, NAMING):
        raise BrokenPromiseError(f"the receipt tells of {receipt.rows_erased} and {receipt.rows_changed} rows")
    for path in lake.rglob("*"):
        if path.is_file() and _names(path):
            raise BrokenPromiseError(f"the person is still in {path.relative_to(lake)}")
    read(others, lake)
    opened = Warehouse(Lake(lake))
    [[rows, marked]] = opened.connection.execute(
        "select (select count(*) from executions), (select count(*) from nodes where contains(value_text, $1))", [MARK]
    ).fetchall()
    if (rows, marked) != (ROWS - THEIRS, NAMING):
        raise BrokenPromiseError(f"{rows} rows are left, {marked} of them changed")
    told = opened.connection.execute(
        "select realm_id, day from partitions where logged_count <> source_count + kept_count - erased_count"
    ).fetchall()
    if told:
        raise BrokenPromiseError(f"the ledger is not true of {told[:3]}")
    if not _extract(url, lake):
        raise BrokenPromiseError("an extraction finds something to do")
    if checks:
        sound(opened)


def _names(path: Path) -> bool:
    if path.suffix == ".parquet":
        return PERSON in json.dumps(pq.ParquetFile(path).read().to_pylist(), default=str)
    return PERSON.encode() in path.read_bytes()
