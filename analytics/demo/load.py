"""Put a population into PostgreSQL: the source's tables, the definitions, the log in commit order, the odd rows."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from importlib import resources
from typing import Final

import psycopg
from psycopg import sql

from analytics.demo.catalog import Family, Version, utc
from analytics.demo.copytext import COLUMNS, line
from analytics.demo.edge_cases import edge_cases
from analytics.demo.families import FAMILIES
from analytics.demo.population import Population
from analytics.source.connection import Connection
from analytics.sql import Row

TABLES: Final = ("strategyexecutionlog", "strategydefinition")


@dataclass(frozen=True, slots=True)
class Loaded:
    """What a load left in the server.

    Attributes:
        logged: Rows of the population.
        quirks: Odd rows beside them.
        definitions: Definition rows.
    """

    logged: int
    quirks: int
    definitions: int


def load(population: Population, url: str, *, recreate: bool = False, with_quirks: bool = True) -> Loaded:
    """Load a population, in one transaction.

    The heap's order is the order of the commits, so rows do not lie in order of created_at; the odd rows follow.
    Loading again replaces the rows.

    Args:
        population: What `simulate` returned.
        url: Connection URL of the server.
        recreate: Drop the tables first, as for one that an older demo made.
        with_quirks: Add the rows of `edge_cases`.
    """
    odd = edge_cases(population.until) if with_quirks else []
    definitions = definition_rows(population.until)
    with psycopg.connect(url) as connection:
        if recreate:
            for name in TABLES:
                connection.execute(sql.SQL("drop table if exists {}").format(sql.Identifier(name)))
        connection.execute(resources.files("analytics.demo").joinpath("sql/source_tables.sql").read_bytes())
        connection.execute("truncate strategyexecutionlog, strategydefinition")
        copy_definitions(connection, definitions)
        names = sql.SQL(", ").join(map(sql.Identifier, COLUMNS))
        statement = sql.SQL("copy strategyexecutionlog ({}) from stdin").format(names)
        with connection.cursor() as cursor, cursor.copy(statement) as copy:
            for block in population.copy_blocks():
                copy.write(block)
            for quirk in odd:
                copy.write(line(quirk.values[name] for name in COLUMNS).encode())
        connection.execute("analyze strategyexecutionlog, strategydefinition")
    return Loaded(population.logged, len(odd), len(definitions))


def copy_definitions(connection: Connection, rows: list[Row]) -> None:
    """Write the rows of `definition_rows` into the table; needs at least one."""
    columns = sql.SQL(", ").join(map(sql.Identifier, rows[0]))
    statement = sql.SQL("copy strategydefinition ({}) from stdin").format(columns)
    with connection.cursor() as cursor, cursor.copy(statement) as copy:
        for row in rows:
            copy.write_row(list(row.values()))


def definition_rows(until: date, families: Iterable[Family] = FAMILIES) -> list[Row]:
    """The definition rows as the table holds them on the last day: `publishedAt` knows only the last publication.

    Args:
        until: First day after the last one.
        families: Whose; the demo's.
    """
    now = datetime(until.year, until.month, until.day, tzinfo=UTC)
    rows = []
    for family in families:
        if family.defined:
            # One id can be one row only: the other deployment's table keeps the newest version.
            versions = family.versions[-1:] if family.shared_id else family.versions
            rows += [_definition(family, version, now) for version in versions if not _in_future(version, now)]
    return rows


def _in_future(version: Version, now: datetime) -> bool:
    return version.since is not None and utc(version.since) >= now


def _definition(family: Family, version: Version, now: datetime) -> Row:
    live = [number for since, number in family.schedule() if since < now]
    published = [utc(text) for text in (version.since, version.back_at) if text and utc(text) < now]
    status = "DRAFT" if not published else "PUBLISHED" if live[-1] == version.number else "ARCHIVED"
    created = (min(published) if published else now) - timedelta(days=2, hours=3)
    return {
        "id": family.strategy_id(version.number),
        "created_at": created,
        "updated_at": max(published) if published else created,
        "apiKey_used": None,
        "oauth_user_id": "auth0|author",
        "realmId": family.realm,
        "name": family.name,
        "description": f"{family.name}, version {version.number}",
        "type": family.strategy_type,
        "parentStrategyId": family.parent_strategy_id(version.number),
        # The validator lets no program be stored without its type and its list of rules, empty as that may be.
        "astJson": json.dumps({"type": "program", "rules": [], **family.programs[version.number]}),
        "blocklyXml": "<xml/>",
        "version": version.number,
        "status": status,
        "createdBy": "author@example.org",
        "publishedAt": max(published) if published else None,
        "experimentTag": None,
    }
