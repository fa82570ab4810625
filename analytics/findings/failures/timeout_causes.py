"""What a strategy's timeouts come from, as far as the log shows it: one judgement for every report that tells of them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import TYPE_CHECKING, Any

from analytics.estimates import estimators, significance
from analytics.estimates.estimators import Estimate
from analytics.estimates.sampling_rates import DEFAULT_SAMPLE_RATE
from analytics.findings.failures.stops import GAP, Stop, StopKind, bursts, stop_count
from analytics.findings.runaway.keys import FamilyKey, key_of
from analytics.findings.runaway.thresholds import STANDARD, Thresholds
from analytics.warehouse.coverage import coverage
from analytics.warehouse.warehouse import records
from analytics.window import Window

if TYPE_CHECKING:
    from analytics.warehouse.warehouse import Warehouse


class CauseKind(StrEnum):
    """What timeouts come from."""

    STALL = "stall"
    """Strategies timed out together, so the event loop stood still."""
    RULES = "rules"
    """This one alone did though others ran, or nobody else ran and its runs are long ones."""
    UNCLEAR = "unclear"
    """Neither can be told from the other."""


_MOST = 0.5
"""Share of the timeouts that a stalled event loop must account for, to be called the cause of them."""
_CHANCE = 0.01
"""Largest chance that others who ran as much are spared, where their runs time out as often."""
_NEAR = 0.5
"""Part of the cap of nodes from which on a run that went well was a long one."""
_MOST_BURSTS = 20
_AROUND = timedelta(minutes=1)


@dataclass(frozen=True, slots=True)
class TimeoutCause:
    """The judgement.

    Attributes:
        kind: What they come from.
        count: Timeouts judged, logged runs.
        stalled_count: Those of them within a stall.
        strategies: How many strategies timed out in the same stalls, else in the minutes of these bursts, this one among them.
        others: Estimated runs of others in the same bursts, failed ones too.
        is_alone: Others ran, and were spared more than chance spares them.
        is_long: Some of its ok runs come near the cap of nodes.
    """

    kind: CauseKind
    count: int
    stalled_count: int
    strategies: int
    others: Estimate
    is_alone: bool
    is_long: bool


def timeout_cause(
    lake: Warehouse,
    family: FamilyKey,
    of_strategy: Sequence[Stop],
    stops: Sequence[Stop],
    *,
    nodes_max: float,
    limits: Thresholds = STANDARD,
) -> TimeoutCause:
    """Judge some timeouts of one strategy.

    A stalled event loop stops whoever runs. So a strategy that times out with others is a victim (`mark_stalls`), and one that
    does while others run and finish is none (binomial test on the runs of these bursts, the upper end of its own). Where
    nobody else ran there is nothing to compare with: then only a program whose runs are long can be suspected.

    Args:
        lake: Who else ran then, of all that is in sight.
        family: Realm and name of the strategy.
        of_strategy: Its timeouts, marked by ``mark_stalls`` among those of all.
        stops: Those of all, so that every page counts the same ones.
        nodes_max: Most nodes of an ok run of it in the window; NaN when none is logged.
        limits: Of the engine.
    """
    count, stalled = stop_count(of_strategy), stop_count(stop for stop in of_strategy if stop.stalled)
    spans = _spans(of_strategy)
    others_runs, own_runs = _beside(lake, family, spans)
    # Those of a stall say nothing of the timeouts beside it.
    beside = [stop for stop in stops if stop.kind == StopKind.TIMEOUT and not stop.stalled and _lies_in(stop, spans)]
    others_late = stop_count(stop for stop in beside if stop.key.family != family)
    # Durations hold the queries of fields, so they say nothing of the walk.
    is_long = nodes_max >= _NEAR * limits.node_cap
    everybody = own_runs.high + others_runs.low
    part = min(own_runs.high / everybody, 1.0) if 0 < everybody < math.inf else 1.0
    single = count - stalled
    spared = significance.binomial_more(single, single + others_late, part) if single else 1.0
    is_alone = bool(spared < _CHANCE)
    # A second strategy that timed out then speaks against both.
    kind = CauseKind.RULES if is_alone or (is_long and not others_late) else CauseKind.UNCLEAR
    if count and stalled >= _MOST * count:
        kind = CauseKind.STALL
        stalls_met = {stop.stall for stop in of_strategy if stop.stalled}
        # All that these stalls reached, as a report on runaway rules counts them.
        beside = [stop for stop in stops if stop.stalled and stop.stall in stalls_met]
    strategies = len({stop.key.family for stop in (*of_strategy, *beside)})
    return TimeoutCause(kind, count, stalled, strategies, others_runs, is_alone, is_long)


def _beside(
    lake: Warehouse, family: FamilyKey, spans: Sequence[tuple[datetime, datetime]]
) -> tuple[Estimate, Estimate]:
    """Runs of others and of its own in some spans of time."""
    rows: dict[bool, list[dict[str, Any]]] = {True: [], False: []}
    for since, until in spans:
        for row in records(lake.run("cost_by_strategy", since=since, until=until)):
            rows[key_of(row["realm_id"], row["strategy"], row["strategy_version"]).family == family].append(row)
    rate = coverage(lake, Window(spans[0][0], spans[-1][1])).smallest_rate if spans else DEFAULT_SAMPLE_RATE
    runs = {
        is_own: estimators.runs(
            sum(int(row["sampled_count"]) for row in found),
            sum(float(row["weight_sum"]) for row in found),
            sum(float(row["weight_square_sum"]) for row in found),
            sum(int(row["kept_count"]) for row in found),
            rate,
        )
        for is_own, found in rows.items()
    }
    return runs[False], runs[True]


def _lies_in(stop: Stop, spans: Sequence[tuple[datetime, datetime]]) -> bool:
    return stop.at is not None and any(since <= stop.at < until for since, until in spans)


def _spans(own: Sequence[Stop]) -> list[tuple[datetime, datetime]]:
    """The bursts, with a minute before the first timeout: it had begun by then."""
    found = [(burst.since, burst.until) for burst in bursts(own)]
    if not found:
        return []
    spans: list[tuple[datetime, datetime]] = []
    for since, until in sorted(found):
        if spans and since - spans[-1][1] <= GAP:
            spans[-1] = spans[-1][0], max(spans[-1][1], until)
        else:
            spans.append((since, until))
    if len(spans) > _MOST_BURSTS:
        spans = [(spans[0][0], spans[-1][1])]
    return [(since - _AROUND, until + _AROUND) for since, until in spans]
