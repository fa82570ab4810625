"""How sure are we: what the lake holds of a window, how it was sampled, what is not known."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Any

import numpy as np

from analytics import sql
from analytics.findings.failures.silences import Silences
from analytics.findings.post_mortem.family import Family
from analytics.reports import commands, page, silent
from analytics.reports.page import number
from analytics.warehouse.coverage import coverage
from analytics.warehouse.warehouse import Warehouse
from analytics.window import Window

if TYPE_CHECKING:
    import pandas as pd


def in_words(lake: Warehouse, since: datetime, until: datetime) -> str:
    """One clause: is the log complete for the window?"""
    found = coverage(lake, Window(since, until))
    partial, complete_until = found.partial, found.complete_until
    gone = f"log lost in the lake for {len(found.lost)} of the window's days" if found.lost else ""
    if found.never:
        never = f"log not extracted for {len(found.never)} of the window's days{found.of_them_expired}"
        return f"{never}; {gone}" if gone else never
    if gone:
        return gone
    if partial:
        return f"log complete through {number.when(complete_until)}" if complete_until else "log not complete yet"
    return "log complete for the window"


def facts(
    lake: Warehouse,
    family: Family,
    rows: pd.DataFrame,
    since: datetime,
    until: datetime,
    sampling: str,
    replayed: str,
    silences: Silences,
    compared: str = "a week before it is read as baseline",
) -> list[tuple[Any, Any]]:
    """The data box: coverage, sampling, truncation, definitions, and what is not known."""
    found = coverage(lake, Window(since, until))
    ok = rows["points"][rows["status"] == "ok"]
    set_aside = int((~np.isfinite(ok.astype(float))).sum())
    weights = sorted({round(1 / w, 6) for w in rows["sample_weight"].unique() if w > 1})
    cut = int(rows["is_truncated"].sum())
    undefined = [f"v{version}" for strategy, version in family.members if (strategy, version) not in family.defined]
    gaps = silent.extent(found)
    rate = " and ".join(number.percent(w) for w in weights) or "not known, for no drawn row tells it,"
    return [
        ("Window", f"{number.span(since, until)}, {silent.gaps(gaps, silences)}; {compared}"),
        (
            "Rows used",
            f"{number.counted(len(ok), 'ok row')} and {number.counted(len(rows) - len(ok), 'failure')}, logged counts; "
            f"{number.counted(set_aside, 'ok row')} set aside (points NULL, NaN or infinite)",
        ),
        (
            "Sampling rate",
            f"{rate} of ok runs, as configured at extraction; failures are all kept. The rate is not stored in the log. {sampling}",
        ),
        ("Intervals", "95 %, for the sampling of ok runs; comparisons also count chance between runs"),
        ("Traces", f"{cut:,} cut at the storage limit; {replayed}"),
        (
            "Definitions",
            silent.programs(lake)
            + (
                "all versions readable"
                if family.defined and not undefined
                else f"missing for {', '.join(undefined)}"
                if family.defined
                else "none readable: families are by strategy id"
            ),
        ),
        (
            "Not known",
            "Rows the database refused (NaN or U+0000 in a trace), the queue dropped or a kill lost. "
            f"{silent.not_looked_for()}",
        ),
    ]


def queries(family: Family, since: datetime, until: datetime) -> str:
    """The SQL behind the page, with its parameters, ready for ``strategy-analytics query``."""
    # An author's text in a command that somebody pastes: quoted for the shell, and nothing that cannot be seen.
    parts = [
        f"-- {commands.query(name, commands.realm(family.realm), since, until)}\n{sql.text('queries', name).strip()}"
        for name in ("strategy_runs", "failures", "points_by_hour")
    ]
    # An id with a line break would end the comment: what follows would be run by whoever pastes it.
    ids = page.visible(", ".join(family.strategy_ids))
    return f"-- strategy ids of this family: {ids}\n\n" + "\n\n".join(parts)
