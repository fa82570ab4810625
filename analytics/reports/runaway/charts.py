"""The pictures of the runaway report, and the sentence that opens the section of each."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import date, datetime
from typing import TYPE_CHECKING, assert_never

from analytics.findings.failures.stops import StopKind, stop_count
from analytics.findings.runaway.finding import DailyGrowth, Finding
from analytics.findings.runaway.keys import FamilyKey, Key, keyed
from analytics.findings.runaway.ranking import Group, RankingRow
from analytics.findings.runaway.run_costs import logged, weights
from analytics.findings.runaway.runaway import Burst, Stop
from analytics.findings.runaway.trend import DayQuantile, TrendState, daily_p99
from analytics.reports import charts
from analytics.reports.page import number as write
from analytics.reports.runaway.finding_sentences import named, runs
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


_KINDS = {
    StopKind.LIMIT: "stopped by the cap",
    StopKind.CANARY: "sandbox canaries",
    StopKind.UNKNOWN: "with an unknown code",
}
"""Of bursts of one version; timeouts and stalls are told otherwise."""


def when_how(*, is_thinned: bool, is_shared: bool) -> list[str]:
    """How to read when runs were stopped."""
    how = "Each mark is one logged run that did not finish: all failures are kept, so marks count runs."
    if is_shared:
        how = "All failures are kept, so these are counts of runs. Single ones are left out."
    elif is_thinned:
        how = (
            "All failures are kept, so these are counts of runs. They are too many to mark each: where marks would lie on "
            "each other, few are drawn."
        )
    return [how, "A pause of 30 minutes ends a burst, one of ten minutes a stall."]


def when_words(stops: Sequence[Stop], bursts: Sequence[Burst], one_day: bool) -> Inline:
    """Bursts by kind; scattered timeouts for what they are."""
    clauses = []
    for kind, words in _KINDS.items():
        of_kind = [burst for burst in bursts if burst.kind == kind]
        if of_kind:
            count = sum(burst.count for burst in of_kind)
            one = words.rstrip("s") if kind is StopKind.CANARY and count == 1 else words
            noun = f"{count} {one}" if kind is StopKind.CANARY else f"{runs(count)} {one}"
            several = f" in {len(of_kind)} bursts" if len(of_kind) > 1 else ""
            last = max(
                burst.until for burst in of_kind
            )  # of several versions the last to begin need not be the last to end
            clauses.append(f"{noun}{several}, {_span(of_kind[0].since, last, one_day)}")
    stalls = [burst for burst in bursts if burst.kind == StopKind.STALL]
    if stalls:
        count = sum(burst.count for burst in stalls)
        loops = "a stalled event loop" if len(stalls) == 1 else f"an event loop that stalled {len(stalls)} times"
        times = _span(stalls[0].since, max(burst.until for burst in stalls), one_day)
        of = f" of {stalls[0].strategies} strategies together" if len(stalls) == 1 else ""
        clauses.append(f"{count} timeouts{of}, likely of {loops}, {times}")
    single = [stop for stop in stops if stop.kind == StopKind.TIMEOUT and not stop.stalled]
    if single:
        count = stop_count(single)
        families = len({stop.key.family for stop in single})
        where = f"spread over {families} strategies" if families > 1 else "of one strategy"
        clauses.append(f"{count} {'timeout' if count == 1 else 'timeouts'} {where}")
    text = "; ".join(clauses)
    return f"{text[:1].upper()}{text[1:]}."


def _span(first: datetime, last: datetime, one_day: bool) -> str:
    """From when to when; the day is left out where the window is one."""
    if one_day:
        return (
            write.clock(first)
            if write.clock(first) == write.clock(last)
            else f"{write.clock(first)} – {write.clock(last)}"
        )
    return write.when(first) if first == last else write.span(first, last)


def close_words(ranking: Sequence[RankingRow], node_cap: float) -> Inline:
    """Who comes closest among the runs that passed."""
    largest = [(float(row.nodes_max), row.key) for row in ranking if row.nodes_max is not None and row.counts.ok]
    if not largest:
        return None
    nodes, key = max(largest, key=lambda pair: pair[0])
    stopped = sum(row.counts.limit for row in ranking)
    if nodes > node_cap:
        return [
            "Of the logged runs that passed, ", named(key), f" has the largest, with {write.count(nodes)} nodes: more "
            f"than the cap of {write.count(node_cap)} that the report was given, so that is not the engine's.",
        ]  # fmt: skip
    parts: list[Inline] = [
        "Of the logged runs that passed, ", named(key),
        f" came closest, with {write.count(nodes)} of {write.count(node_cap)} nodes",
    ]  # fmt: skip
    return [
        *parts,
        f"; {runs(stopped)} {'was' if stopped == 1 else 'were'} stopped by a cap."
        if stopped
        else "; none was stopped by a cap.",
    ]


_IS = ("are", "is")


def growing_words(ranking: Sequence[RankingRow], found: Sequence[Finding], horizon_days: float) -> Inline:
    """Who grows towards the cap, who grows without danger, and for whom nobody can tell."""
    findings = [finding for finding in found if isinstance(finding, DailyGrowth)]
    growing = [row for row in ranking if row.trend.state is TrendState.GROWING]
    parts: list[Inline] = []
    for finding in findings[:3]:
        slope = finding.slope
        each = f"{write.number(slope.value, slope.low, slope.high)} nodes more each day"
        first = "Only " if len(findings) == len(growing) == 1 else ""
        parts += [", " if parts else first, named(finding.key), f": {each}"]
    more = f", and {len(findings) - 3} more" if len(findings) > 3 else ""
    parts.append(f"{more}." if findings else "Day by day no strategy is seen heading for the cap.")
    return [*parts, *_other_trends(ranking, growing, horizon_days)]


def _other_trends(ranking: Sequence[RankingRow], growing: Sequence[RankingRow], horizon_days: float) -> list[Inline]:
    """Of whom growth is no finding: how many, and why."""
    stopped = sum(row.group is Group.HIT for row in growing)
    slowly = sum(row.group not in (Group.HIT, Group.HEADING) for row in growing)
    states = Counter(row.trend.state for row in ranking)
    bounded = sum(row.trend.state is TrendState.BOUNDED and row.group is not Group.HIT for row in ranking)
    jumped, levelled = states[TrendState.STEP], states[TrendState.LEVELLED_OFF]
    unsure, unknown = states[TrendState.CANNOT_TELL], states[TrendState.TOO_FEW_DAYS]
    parts: list[Inline] = []
    if slowly:
        when = f"not likely to meet the cap within {horizon_days:g} days"
        parts.append(f" {slowly} {'grows' if slowly == 1 else 'grow'}, {when}.")
    if stopped:
        parts.append(
            f" {stopped} {'grows' if stopped == 1 else 'grow'} and {_IS[stopped == 1]} stopped by the cap already."
        )
    if jumped:
        parts.append(f" {jumped} jumped on one day and did not grow since.")
    if levelled:
        parts.append(f" {levelled} grew and {'has' if levelled == 1 else 'have'} levelled off.")
    if bounded:
        parts.append(f" {bounded} cannot reach it: no run can be longer than its program.")
    if unsure:
        parts.append(f" For {unsure} the days differ too much to tell.")
    if unknown:
        parts.append(f" {unknown} of {len(ranking)} {'has' if unknown == 1 else 'have'} too few days to tell.")
    return parts
