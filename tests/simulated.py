"""Rows of the engine's two tables as tests write them: what a test does not say of one is ordinary."""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterable, Mapping
from typing import Any

import psycopg
from psycopg import sql

LOG, DEFINITIONS = "strategyexecutionlog", "strategydefinition"
Row = Mapping[str, Any]
"""By the source's column names."""


def run_row(**columns: Any) -> dict[str, Any]:
    """A row of the log: an ok run at noon of 2026-07-08 where nothing else is said; ``trace`` is JSON text."""
    row = {
        "id": str(uuid.uuid4()),
        "created_at": "2026-07-08 12:00:00+00",
        "strategyId": "s1",
        "strategyVersion": 1,
        "strategyType": "DSL_FULL",
        "realmId": "acme",
        "externalUserId": "u1",
        "status": "ok",
        "points": 1,
        "caseName": "Case",
        "durationMs": 1.5,
        "nodesExecuted": 1,
        "trace": '[{"nodeId": "n1", "type": "literal", "value": 1}]',
        "sampled": True,
        **columns,
    }
    row.setdefault("updated_at", row["created_at"])
    return row


def program_row(ast: Any, **columns: Any) -> dict[str, Any]:
    """A row of the definition table: a published version 1 where nothing else is said; ``ast`` is what the JSON says."""
    return {
        "id": str(uuid.uuid4()),
        "realmId": "acme",
        "name": "Bonus",
        "type": "DSL_FULL",
        "astJson": json.dumps(ast),
        "version": 1,
        "status": "PUBLISHED",
        **columns,
    }


def insert(connection: psycopg.Connection[Any], table: str, rows: Iterable[Row]) -> None:
    """Write rows that have the same columns."""
    values = list(rows)
    names = sql.SQL(", ").join(map(sql.Identifier, values[0]))
    places = sql.SQL(", ").join(sql.Placeholder() * len(values[0]))
    statement = sql.SQL("insert into {} ({}) values ({})").format(sql.Identifier(table), names, places)
    with connection.cursor() as cursor:
        cursor.executemany(statement, [list(row.values()) for row in values])
