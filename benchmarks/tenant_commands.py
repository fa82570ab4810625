"""Commands over a lake of many tenants, from the shell, beside a build before: processor time of the whole process."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path
from typing import Any

import psycopg

from benchmarks import data
from benchmarks.commands import Case, checkout, differing
from benchmarks.data import Shape, Table
from benchmarks.measure import Run, Session, median
from benchmarks.report import Section, number

BEFORE = "12edebba60f4899acbd873456f1835adcdd6ce4e"
"""The last build that made an object of each partition before anything could be asked."""
HOUR = "`extract`, one more hour"
_COUNT = "select count(*) from executions"
_HELD = (
    "select count(*), sum(hash(realm_id, day, logged_count, source_count, trace_entries, file_bytes)) from partitions"
)
_BUILDS = ("commands:before", "commands:now")

_PROGRAMS = """
insert into strategydefinition (id, created_at, updated_at, "realmId", name, type, "astJson", version, status, "publishedAt")
select md5(realm || '/' || strategy)::uuid, %(since)s, %(since)s, 'tenant-' || to_char(realm, 'FM0000'),
       'Strategy ' || strategy, 'DSL_FULL',
       jsonb_build_object('rules', (select jsonb_agg(jsonb_build_object(
           'id', 'r' || rule,
           'when', jsonb_build_object('id', 'w' || rule, 'type', 'literal', 'value', true),
           'then', jsonb_build_array(jsonb_build_object('id', 'a' || rule, 'type', 'assign_points', 'case_name', 'C',
               'value', jsonb_build_object('id', 'v' || rule, 'type', 'literal', 'value', rule)))))
         from generate_series(1, 10) as rule)),
       1, 'PUBLISHED', %(since)s
  from generate_series(0, %(realms)s - 1) as realm, generate_series(0, %(strategies)s - 1) as strategy
on conflict do nothing"""


def add_programs(table: Table, shape: Shape) -> None:
    """Every tenant has a program of ten rules for each of its strategies."""
    values = {"since": table.since - timedelta(days=30), "realms": shape.realms, "strategies": shape.strategies}
    with psycopg.connect(table.url, autocommit=True) as connection:
        connection.execute(_PROGRAMS, values)


def section(
    session: Session, table: Table, shape: Shape, lake: Path, cache: Path, repeat: int
) -> tuple[Section, list[str]]:
    """The table of this build beside the one before, and what is wrong: each must answer what the other does.

    Args:
        session: Of the benchmark.
        table, shape: What the lake was extracted from.
        lake: It.
        cache: Folder of builds.
        repeat: Interleaved runs of each.
    """
    build = checkout(cache, BEFORE)
    window = ["--since", str(table.until - timedelta(days=3)), "--until", str(table.until + timedelta(days=1))]
    again = ["extract", *window, "--database-url", table.url, "--sample-rate", "0.05"]
    cases = {
        "`status`": Case(["status", "--all-realms"]),
        "`query` of one tenant": Case(["query", "--realm", "tenant-0003", _COUNT]),
        "`query` of all": Case(["query", "--all-realms", _COUNT]),
        "`extract`, nothing to do": Case(again, tells_seconds=True),
    }
    found: dict[str, dict[str, list[Run]]] = {}
    for name, case in cases.items():
        task = _task(case, lake, build)
        found[name] = session.interleave(_BUILDS, task, tag=f"{table.name} {name}", repeat=repeat, budget=300)
    errors = differing(found)
    found[HOUR] = _hour(session, table, shape, lake, Case(again, tells_seconds=True), build)
    errors += [
        f"{name}: {run.error}" for name, runs in found.items() for of in runs.values() for run in of if run.error
    ]
    rows = [_row(name, runs) for name, runs in found.items()]
    return Section(
        f"From the shell, beside {BEFORE[:8]}",
        f"Of the lake of {shape.realms:,} tenants with three programs each: medians of n interleaved runs, from the start of "
        "Python to the end of the command; CPU is the command's without the server's. Both builds gave the same answers. "
        "The hour has "
        f"{_rows_of_an_hour(shape):,} new rows, of about as many tenants, and each build writes them into a lake of its own.",
        ["command", "n", "s before", "s", "CPU s before", "CPU s", "CPU / before"],
        rows,
    ), errors


def _hour(session: Session, table: Table, shape: Shape, lake: Path, case: Case, build: Path) -> dict[str, list[Run]]:
    """Once for each build; afterwards both lakes hold the same."""
    tag, other = f"{table.name} {HOUR}", lake.with_name(f"{lake.name}-before")
    lakes: Mapping[str, Path] = dict(zip(_BUILDS, (other, lake), strict=True))
    if any(not session.has(method, tag) for method in _BUILDS):
        shutil.rmtree(other, ignore_errors=True)
        shutil.copytree(lake, other)
        with data.more_rows(table, shape, _rows_of_an_hour(shape)):
            for method, its in lakes.items():
                session.once(method, _task(case, its, build), tag=tag, timeout=900)
    found = {method: [session.once(method, {}, tag=tag)] for method in _BUILDS}
    told = [
        session.once(
            "commands:now", _task(Case(["query", "--all-realms", _HELD]), its, build), tag=f"{tag} in {its.name}"
        )
        for its in lakes.values()
    ]
    if len({run.facts.get("answered") for run in told}) != 1:
        return {**found, "commands:now": [Run(error="the lakes of the two builds do not hold the same")]}
    return found


def _rows_of_an_hour(shape: Shape) -> int:
    return max(1, shape.rows // shape.days // 24)


def _task(case: Case, lake: Path, build: Path) -> dict[str, Any]:
    return {
        "words": [*case.words],
        "code": case.code,
        "tells_seconds": case.tells_seconds,
        "lake": str(lake.resolve()),
        "build": str(build.resolve()),
    }


def _row(name: str, runs: Mapping[str, list[Run]]) -> list[str]:
    before, now = (runs[method] for method in _BUILDS)
    old, new = median(before, "cpu_seconds"), median(now, "cpu_seconds")
    return [
        name,
        f"{len(now)}",
        *(number(median(of)) for of in (before, now)),
        *(number(value) for value in (old, new)),
        number(new / old) if new is not None and old else "–",
    ]
