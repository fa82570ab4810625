"""Which run is meant, and which other version."""

from __future__ import annotations

from datetime import timedelta
from typing import Final

from analytics.errors import UnknownNameError, UsageError
from analytics.findings.replay.run_evidence import Definition, Evidence, definition, evidence
from analytics.lake import losses
from analytics.warehouse.warehouse import Warehouse
from analytics.window import Window

LEAST: Final = 4
"""Letters of an id that are enough, where only one run has them."""
_MOST_LISTED: Final = 10


def find_run(lake: Warehouse, prefix: str, window: Window | None = None) -> str:
    """The id of the run whose id begins so.

    Ids are random, so every day in sight is looked through, one column of it; a window spares the other days.

    Args:
        lake: Where to look.
        prefix: The id, or its first letters: at least four.
        window: Only runs of this time.

    Raises:
        UsageError: Too few letters, or several runs begin with them.
        UnknownNameError: No run does.
    """
    wanted = prefix.strip().lower()
    if len(wanted) < LEAST:
        raise UsageError(
            f"{prefix!r} is too short for the id of a run", hint=f"give at least the first {LEAST} letters of it"
        )
    ends = {"since": window.since if window else None, "until": window.until if window else None}
    rows = lake.named("find_runs", {"prefix": wanted, **ends}).fetchall()
    if not rows:
        where = "in this window of the lake" if window else "in this lake"
        raise UnknownNameError(
            f"no run {prefix!r} {where}",
            hint=f"{losses.perhaps(lake.lost())}only a sample of the ok runs is logged; if this one was, extract its day first",
            name=prefix,
        )
    ids = list(dict.fromkeys(str(row[0]) for row in rows))
    if len(ids) > 1 and wanted not in ids:
        many = "at least " if len(rows) >= 20 else ""
        listed = [
            f"{row[0]}  {row[1]:%Y-%m-%d %H:%M:%S}  {row[5]}" if row[1] else f"{row[0]}  {row[5]}"
            for row in rows[:_MOST_LISTED]
        ]
        more = [f"and {len(ids) - _MOST_LISTED} more"] if len(ids) > _MOST_LISTED else []
        raise UsageError(
            f"{many}{len(ids)} runs have an id that begins with {prefix!r}",
            hint="\n  ".join([*listed, *more]),
            candidates=ids,
        )
    return wanted if wanted in ids else ids[0]


def other_version(lake: Warehouse, found: Evidence, version: int) -> Definition:
    """Another version of the strategy of a run.

    Raises:
        UnknownNameError: The lake holds no program of that version.
    """
    own = {"strategy": found.run["strategy_id"], "version": int(found.run["strategy_version"])}
    rows = lake.named("sister_versions", own).fetchall()
    for strategy_id, number, _ in rows:
        if number == version and (other := definition(lake, strategy_id, number)) is not None:
            return other
    known = ", ".join(dict.fromkeys(str(row[1]) for row in rows))
    raise UnknownNameError(
        f"the lake holds no program of version {version} of this strategy",
        hint=f"versions it holds: {known}" if known else "not that of this run either",
        version=version,
    )


def days_around(lake: Warehouse, execution_id: str) -> dict[str, str]:
    """The window of a report that is asked for by a run: its day, with the days before and after; empty if it has none.

    Raises:
        UsageError, UnknownNameError: As ``find_run``.
    """
    at = evidence(lake, find_run(lake, execution_id)).run["created_at"]
    if at is None:
        return {}
    return {"since": f"{at - timedelta(days=1):%Y-%m-%d}", "until": f"{at + timedelta(days=2):%Y-%m-%d}"}
