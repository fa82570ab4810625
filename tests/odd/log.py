"""A log table without a server: rows of Python, read by the real extraction."""

from __future__ import annotations

import contextlib
import json
import uuid
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, date, datetime, timedelta
from typing import Any
from unittest import mock

from analytics.errors import SourceError
from analytics.estimates.sampling_rates import Rates
from analytics.extraction import job, transfer
from analytics.extraction.encode.coded_rows import padded
from analytics.lake import schema
from analytics.lake.lake import Lake
from analytics.model import ExtractResult, Fingerprint, Partition, RealmFilter, Span, Watermark
from analytics.source.table_check import Changes, UnreadColumns
from analytics.window import Window
from tests.extracting import extract

Rows = Sequence[Mapping[str, Any]]
_NOTHING = dict.fromkeys((*schema.TEXT_COLUMNS, "updated_at", "points", "trace"))
_NO_PROGRAM = {column.lake: None for column in schema.DEFINITION_COLUMNS}


class Log:
    """Stands for ``analytics.source.source.Source``: answers what an extraction asks.

    Args:
        rows: By the lake's column names; a ``trace`` is JSON text or ``None``.
        definitions: By the lake's column names, or why they cannot be read.
    """

    role = "reader"
    unread_columns: Sequence[str] = ()

    def __init__(self, rows: Rows, definitions: Rows | str) -> None:
        self.changes = Changes()
        self.unread_of_programs = UnreadColumns()
        self._rows = [{**_NOTHING, **row} for row in rows]
        self._definitions = definitions
        self.watermark = Watermark(datetime(2026, 9, 1, tzinfo=UTC), "of the test")

    def __enter__(self) -> Log:
        return self

    def __exit__(self, *exc: object) -> None:
        """Nothing to close."""

    def identity(self) -> dict[str, str]:
        return {"database": "odd", "database_oid": "1", "system_identifier": "1"}

    def transaction_ids(self) -> None:
        """They are not told."""

    def timeline(self) -> None:
        """Nor is it."""

    def ask(self, name: str, parameters: object = None) -> list[dict[str, Any]]:
        raise SourceError(f"there is no server to be asked for {name}")

    def without_runs(self, realms: Sequence[str]) -> list[str]:
        """Every tenant is known."""
        return []

    def refuse_ids_twice(self, *_: object) -> None:
        """Each id is a uuid of its own."""

    def users(self, window: Window, realms: RealmFilter, look_back: timedelta) -> set[tuple[str | None, str]]:
        return set()

    def existing(self, ids: Sequence[str]) -> set[str]:
        return {row["execution_id"] for row in self._rows} & set(ids)

    def definitions(self) -> list[dict[str, Any]] | str:
        if isinstance(self._definitions, str):
            return self._definitions
        return [{**_NO_PROGRAM, **row} for row in self._definitions]

    def fingerprints(self, window: Window, realms: RealmFilter) -> dict[Partition, Fingerprint]:
        found: dict[Partition, list[dict[str, Any]]] = {}
        for row in self._rows:
            day = _day(row)
            if day is None or window.since.date() <= day < window.until.date():
                found.setdefault(Partition(row["realm_id"], day), []).append(row)
        return {
            partition: Fingerprint(
                row_count=len(rows),
                id_hash=sum(uuid.UUID(row["execution_id"]).int >> 68 for row in rows),
                change_hash=0,
                max_created_at=max((row["created_at"] for row in rows if row["created_at"]), default=None),
            )
            for partition, rows in found.items()
        }

    @contextlib.contextmanager
    def executions(self, wanted: Span) -> Iterator[Iterator[Any]]:
        first, last = wanted.first or date.max, wanted.last or date.min
        chosen = [
            row
            for row in self._rows
            if ((day := _day(row)) is None and wanted.undated) or (day and first <= day <= last)
        ]
        # the trace as the server sends it: nothing of it was taken apart yet
        sent = [{**row, "trace": None, "trace_irregular": row["trace"]} for row in chosen]
        yield iter([padded(b"".join(map(transfer._tuple, sent)))])


def fill(
    lake: Lake, rows: Rows, definitions: Rows | str, since: date, until: date, rates: Rates, **options: Any
) -> ExtractResult:
    """Extract such a log into a lake."""
    with mock.patch.object(job, "Source", return_value=Log(rows, definitions)):
        return extract("", lake, Window.parse(since, until), rates=rates, **options)


def jsonb(value: Any) -> str:
    """As the server spells it: keys of an object in the order of their length."""
    return json.dumps(_ordered(value), ensure_ascii=False, allow_nan=False)


def _ordered(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _ordered(value[key]) for key in sorted(value, key=lambda key: (len(key), key))}
    return [_ordered(one) for one in value] if isinstance(value, list) else value


def _day(row: Mapping[str, Any]) -> date | None:
    return row["created_at"].date() if row["created_at"] else None
