"""A lake that a person can add up: two days of a version, two of the next, ten runs a day, all of them logged."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from analytics.demo.dsl import assign, compare, rule
from analytics.lake.lake import Lake
from analytics.program import evaluate
from tests.simulated import run_row

if TYPE_CHECKING:
    from tests.conftest import Table

DAYS = ("2026-07-06", "2026-07-07", "2026-07-08", "2026-07-09")
SINCE, UNTIL = "2026-07-06", "2026-07-10"
FAR, NEAR = 4, 6
"""Runs a day of five kilometres and more, and of less."""
VERSIONS = {1: "00000000-0000-4000-8000-00000000000a", 2: "00000000-0000-4000-8000-00000000000b"}
PAYS = {1: 10, 2: 12}
"""What a version pays for a far run; a near one is paid 2."""


def program(far: int) -> dict[str, Any]:
    """The family's program: ``far`` points from five kilometres on, 2 below."""
    return {
        "type": "program",
        "rules": [rule(compare("data.km", ">=", 5), assign(far, "Far"), node_id="far")],
        "default": assign(2, "Near"),
    }


def build(table: Table, folder: Path, ran_on: Sequence[int] = (1, 1, 2, 2)) -> Lake:
    """Version 1 ran on the first two days and paid 10 for a far run, version 2 on the last two and paid 12.

    Args:
        table: Where the rows are.
        folder: For the lake.
        ran_on: The version of each day, where it was otherwise.
    """
    for version, strategy in VERSIONS.items():
        status = "PUBLISHED" if version == 2 else "ARCHIVED"
        table.define(program(PAYS[version]), id=strategy, name="Rides", version=version, status=status)
    rows = []
    for number, day in enumerate(DAYS):
        version = ran_on[number]
        for run in range(FAR + NEAR):
            km = 6.5 if run < FAR else 1.0
            ran = evaluate(program(PAYS[version]), {"data.km": km})
            rows.append(
                run_row(
                    id=f"{number:08d}-0000-4000-8000-{run:012d}", created_at=f"{day} 12:{run:02}:00+00",
                    strategyId=VERSIONS[version], strategyVersion=version, externalUserId=f"u{run % 5}", points=ran.points,
                    caseName=ran.case_name, nodesExecuted=ran.nodes, trace=json.dumps(ran.trace),
                )
            )  # fmt: skip
    table.insert_all(rows)
    lake = Lake(folder / "lake")
    table.extract(lake, SINCE, UNTIL, sample_rate=1.0)
    return lake
