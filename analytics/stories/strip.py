"""The post-mortem's four numbers."""

from __future__ import annotations

from typing import TYPE_CHECKING

from analytics import page
from analytics.findings.cases import Split
from analytics.findings.incident import Incident, run_estimate
from analytics.page import number
from analytics.stories import verdict, version_story
from analytics.stories.small_cells import SmallCells

if TYPE_CHECKING:
    import pandas as pd

    from analytics.page import Block


def strip(found: Incident, window: pd.DataFrame, parts: Split | None, small: SmallCells) -> Block:
    """Points beyond, runs, users, failures."""
    after = found.after
    rows = after.rows if after else window
    sides = [step.trial.after.rows for step in (*found.steps, *found.again)]
    if sides:
        import pandas as pd

        rows = pd.concat(sides if found.steps else [rows, *sides])
    users = int(rows["external_user_id"].nunique())
    failed = int((rows["status"] != "ok").sum())
    where = "in the window"
    if after and found.kind == "version":
        where = f"under {after.label}" + (f" to {found.steps[-1].span.label}" if found.steps else "")
    elif found.kind in ("failures", "data", "duration") and found.since is not None:
        where = "in that time" if found.is_over else "since then"
    return page.strip(
        [
            _points(found, rows, parts),
            page.Cell(f"Runs {where}", run_estimate(rows), f"estimated from {number.counted(len(rows), 'logged row')}"),
            page.Cell(
                f"Users {where}",
                small.count(users) if users else "–",
                "distinct users in the log, at least" if users else "no user is named in the log",
                "logged",
            ),
            page.Cell(f"Failed runs {where}", number.count(failed), "every failure is meant to be kept", "logged"),
        ]
    )


def _points(found: Incident, rows: pd.DataFrame, parts: Split | None) -> page.Cell:
    beyond = version_story.overpaid(found, parts)
    if beyond is None or found.before is None:
        return page.Cell("Points per run", verdict.mean_points(rows), "ok runs, estimated")
    how = (
        f"beyond what {found.before.label} pays on the same inputs"
        if version_story.is_tried(found)
        else "beyond the earlier amounts, case by case"
    )
    if beyond.high < 0:
        return page.Cell("Points underpaid", beyond.negated(), how.replace("beyond", "short of"), role="finding")
    return page.Cell("Points overpaid", beyond, how, role="finding")
