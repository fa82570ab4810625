"""Frames for the pictures of the runaway report, and the pictures."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date, datetime
from typing import TYPE_CHECKING, assert_never

from analytics.findings.failures.stops import stop_count
from analytics.findings.runaway.keys import FamilyKey, Key, keyed
from analytics.findings.runaway.ranking import Group, RankingRow
from analytics.findings.runaway.run_costs import logged, weights
from analytics.findings.runaway.runaway import Stop
from analytics.findings.runaway.trend import DayQuantile, TrendState, daily_p99
from analytics.reports import charts
from analytics.reports.runaway.wording import labels

if TYPE_CHECKING:
    import pandas as pd

    from analytics.reports.page.inline import Inline, Markup

PANELS = 12
"""Strategies in the picture of growth; more would not be read."""
ROWS = 10
"""Logged ok runs below which a strategy gets no curve."""


def roles(ranking: Sequence[RankingRow]) -> dict[Key, str]:
    """The colour of each version, in the ranking's order."""
    return {row.key: _role(row.group) for row in ranking}


def _role(group: Group) -> str:
    match group:
        case Group.HIT:
            return "finding"
        case Group.HEADING | Group.CLOSE:
            return "worse"
        case Group.PROGRAM_CLOSE | Group.NOT_GROWING:
            return ""
        case _:
            assert_never(group)


def stops_picture(stops: Sequence[Stop], since: datetime, until: datetime) -> Markup:
    """Every stopped run in time."""
    import pandas as pd

    names = _family_labels(stops)
    frame = pd.DataFrame(
        [(stop.at, stop.kind, names[stop.key.family], stop.logged_count) for stop in stops if stop.at is not None],
        columns=["created_at", "lane", "label", "logged_count"],
    )
    alt = f"{logged(frame)} stopped runs in time, one lane per kind"
    return charts.responsive(lambda width: charts.failure_strip(frame, since, until, width=width), "when", alt)


def _family_labels(stops: Sequence[Stop]) -> dict[FamilyKey, str]:
    """Strategies by name, as the sentences count them; with the version where only one of a strategy was stopped."""
    versions: dict[FamilyKey, set[int]] = {}
    for stop in stops:
        versions.setdefault(stop.key.family, set()).add(stop.key.version)
    names = labels((Key(*family, 0) for family in versions), versions=False)
    return {
        family: f"{names[Key(*family, 0)]} v{min(own)}" if len(own) == 1 else names[Key(*family, 0)]
        for family, own in versions.items()
    }


def are_thinned(stops: Sequence[Stop]) -> bool:
    """Whether the picture of these stops has fewer marks than there are runs."""
    return stop_count(stops) > min(len(stops), charts.MOST_MARKS)


def exceedance_picture(costs: pd.DataFrame, roles_of: Mapping[Key, str], node_cap: float) -> Markup | None:
    """The share of runs that need more than so many nodes; None when no strategy has enough runs."""
    import numpy as np
    import pandas as pd

    names = labels(roles_of)
    curves, capped = [], []
    for key, rows in keyed(costs):
        stopped = rows[rows["status"] == "limit"]
        ok = rows[(rows["status"] == "ok") & rows["nodes_executed"].notna()]
        if len(stopped):
            capped.append({"label": names.get(key, key.strategy), "count": logged(stopped)})
        if logged(ok) < ROWS:
            continue
        per_node = weights(ok).groupby(ok["nodes_executed"].astype(float)).sum().sort_index()
        # Stopped runs needed more than any of these, so they belong to the whole and to the end of the curve.
        everything = float(per_node.sum() + weights(stopped).sum())
        if not everything > 0:
            continue  # drawn at a rate of 0: nobody knows how many runs a row stands for
        left = 1 - np.cumsum(per_node.to_numpy()) / everything
        curves += [
            {"label": names.get(key, key.strategy), "role": roles_of.get(key, ""), "nodes": nodes, "share": share}
            for nodes, share in zip(per_node.index, left, strict=True)
        ]
    if not curves:
        return None
    curve_frame = pd.DataFrame(curves, columns=["label", "role", "nodes", "share"])
    capped_frame = pd.DataFrame(capped, columns=["label", "count"])
    alt = f"Share of runs above x nodes for {curve_frame['label'].nunique()} strategies, with the cap at {node_cap:g}"
    return charts.responsive(
        lambda width: charts.exceedance(curve_frame, capped_frame, cap=int(node_cap), width=width), "above", alt
    )


def density_picture(costs: pd.DataFrame, node_cap: float, time_limit_ms: float, caption: Inline) -> Markup | None:
    """Nodes against milliseconds; None when no run has nodes."""
    ok = costs[(costs["status"] == "ok") & costs["nodes_executed"].notna()]
    if not (ok["nodes_executed"] > 0).any():
        return None
    stopped = costs[costs["status"] != "ok"]
    alt = f"Density of {logged(ok)} logged ok runs by nodes and milliseconds, {logged(stopped)} stopped runs beyond the limits"
    return charts.responsive(
        lambda width: charts.density(ok, stopped, cap=int(node_cap), limit_ms=time_limit_ms, width=width),
        "density",
        alt,
        caption,
    )


def growth_picture(counts: pd.DataFrame, ranking: Sequence[RankingRow], node_cap: float) -> Markup | None:
    """Two weeks of p99 per strategy, its versions one after the other; None when no day has runs."""
    import pandas as pd

    order = roles(ranking)
    # Versions of one family share a panel: that is where a jump between them shows.
    families = {key.family: rows for key, rows in keyed(counts.assign(strategy_version=0))}
    wanted = [family for family in dict.fromkeys(key.family for key in order) if family in families]
    daily: dict[FamilyKey, list[DayQuantile]] = {}
    for family in wanted:
        if len(daily) < PANELS:
            daily |= {key.family: days for key, days in daily_p99(families[family]).items()}
    names = {key.family: name for key, name in labels((Key(*family, 0) for family in daily), versions=False).items()}
    frame = pd.DataFrame(
        [
            {
                "label": names[family],
                "role": next(role for key, role in order.items() if key.family == family),
                "day": day.day,
                "est_nodes_p99": day.p99.value,
                "est_nodes_p99_low": day.p99.low,
                "est_nodes_p99_high": day.p99.high,
            }
            for family, days in daily.items()
            for day in days
        ],
        columns=["label", "role", "day", "est_nodes_p99", "est_nodes_p99_low", "est_nodes_p99_high"],
    )
    if frame.empty:
        return None
    fits, changes = _fits(ranking, names), _changes(counts, names)
    alt = f"p99 of nodes per day for {len(daily)} strategies, with the cap at {node_cap:g}"
    return charts.responsive(
        lambda width: charts.growth(frame, fits, changes, cap=int(node_cap), width=width), "growth", alt
    )


def _fits(ranking: Sequence[RankingRow], names: Mapping[FamilyKey, str]) -> pd.DataFrame:
    """The lines of the versions that grow."""
    import pandas as pd

    rows = [
        (names[row.key.family], trend.last_day, trend.span, trend.level.value, trend.slope.value)
        for row in ranking
        if row.key.family in names and (trend := row.trend).state is TrendState.GROWING
    ]
    return pd.DataFrame(rows, columns=["label", "day", "days", "est_level", "est_slope"])


def _changes(counts: pd.DataFrame, names: Mapping[FamilyKey, str]) -> pd.DataFrame:
    """The first day of every version but the first of its family."""
    import pandas as pd

    firsts: dict[FamilyKey, list[tuple[date, int]]] = {}
    for key, rows in keyed(counts):
        if key.family in names:
            firsts.setdefault(key.family, []).append((rows["day"].min(), key.version))
    rows = [(names[family], *first) for family, own in firsts.items() for first in sorted(own)[1:]]
    return pd.DataFrame(rows, columns=["label", "day", "version"])
