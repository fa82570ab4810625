"""What the engine's counters make of the weights of drawn rows."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import TYPE_CHECKING

from analytics.counters import realm_label

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa

_STRATUM_ROWS = 20
"""Drawn rows of an hour that give it a factor of its own; else the day gives one, else the window."""


def weights(hours: pd.DataFrame, realms: Iterable[str | None]) -> pa.Table:
    """Post-stratification: of each realm and hour the counted ok runs per estimated one (Särndal et al. 1992, section 7.6).

    Hours with few drawn rows are taken together with others like them of their day, what is left with that of the window; each row
    keeps its own weight, times the factor of its stratum, so that a change of the rate stays one.

    Args:
        hours: As ``audit.Audit.hours``, with counters.
        realms: Tenants in sight.
    """
    import pyarrow as pa

    known = hours[hours["counted_ok"].notna()].copy()
    known["day"] = known["hour"].dt.floor("D")
    known["factor"], known["instead"] = math.nan, math.nan
    for keys in (["realm_label", "hour"], ["realm_label", "day"], ["realm_label"]):
        left = known[known["factor"].isna()]
        sums = left.groupby(keys)[["drawn_count", "est_ok_runs", "counted_ok"]].transform("sum")
        # Counters that saw less than the log holds say nothing here.
        enough = (sums["drawn_count"] >= (_STRATUM_ROWS if len(keys) > 1 else 1)) & (
            sums["counted_ok"] >= sums["drawn_count"]
        )
        known.loc[left.index, "factor"] = sums["counted_ok"] / sums["est_ok_runs"].where(
            enough & (sums["est_ok_runs"] > 0)
        )
        # Rows drawn at a rate of 0 have no weight to scale.
        instead = sums["counted_ok"] / sums["drawn_count"].where(enough & (sums["est_ok_runs"] == 0))
        known.loc[left.index, "instead"] = known.loc[left.index, "instead"].fillna(instead)
    known = known[known["factor"].notna() | known["instead"].notna()]
    labels: dict[str, list[str | None]] = {}
    for realm in realms:
        labels.setdefault(realm_label(realm), []).append(realm)
    rows = [
        (realm, row.hour.to_pydatetime(), *(None if x != x else x for x in (row.factor, row.instead)))
        for row in known.itertuples()
        for realm in labels.get(row.realm_label, [])
    ]
    names, types = (
        ("realm_id", "hour", "factor", "instead"),
        (pa.string(), pa.timestamp("us", tz="UTC"), pa.float64(), pa.float64()),
    )
    columns = list(zip(*rows, strict=True)) or [()] * len(names)
    return pa.table([pa.array(column, kind) for column, kind in zip(columns, types, strict=True)], names)
