"""What the lake knows of the causes of failures that an incident tells of: timeouts, and programs above a cap."""

from __future__ import annotations

import math
from dataclasses import replace
from datetime import datetime
from typing import TYPE_CHECKING

import numpy as np

from analytics.findings.failures.stops import stopped
from analytics.findings.failures.timeout_causes import timeout_cause
from analytics.findings.post_mortem.finding import FailuresFinding, Incident
from analytics.findings.runaway.keys import key_of
from analytics.findings.runaway.program_sizes import program_sizes
from analytics.findings.runaway.thresholds import STANDARD
from analytics.warehouse.warehouse import records

if TYPE_CHECKING:
    from analytics.findings.post_mortem.family import Family
    from analytics.warehouse.warehouse import Warehouse

TIMEOUT, LIMIT = "DSL_TIMEOUT", "DSL_LIMIT_EXCEEDED"


def with_causes(finding: Incident, lake: Warehouse, family: Family, since: datetime, until: datetime) -> Incident:
    """The incident, and those told beside it, with what the lake holds of their causes.

    Args:
        finding: Of one strategy.
        lake: All that is in sight: who else timed out then, and the programs.
        family: The strategy.
        since, until: The window that was asked for.
    """
    also = tuple(_with_cause(other, lake, family, since, until) for other in finding.also)
    return replace(_with_cause(finding, lake, family, since, until), also=also)


def _with_cause(finding: Incident, lake: Warehouse, family: Family, since: datetime, until: datetime) -> Incident:
    if not isinstance(finding, FailuresFinding):
        return finding
    rows = finding.after.rows
    if finding.code == TIMEOUT:
        first, last = finding.after.since, finding.after.until
        # Those of the whole window, so that a report on runaway rules marks the same stalls.
        stops = stopped(lake, min(since, first), max(until, last))
        own = [
            stop
            for stop in stops
            if stop.kind == "timeout"
            and stop.key.realm == family.realm
            and stop.key.strategy in (family.name, *family.strategy_ids)
            and stop.at is not None
            and first <= stop.at <= last
        ]
        name = own[0].key.family if own else (family.realm, family.name)
        versions = {stop.key.version for stop in own}
        longest = [
            float(row["nodes_max"])
            for row in records(lake.run("cost_by_strategy", since=since, until=until))
            if row["nodes_max"] is not None
            and not math.isnan(row["nodes_max"])
            and (key := key_of(row["realm_id"], row["strategy"], row["strategy_version"])).family == name
            and key.version in versions
        ]
        return replace(
            finding, timeouts=timeout_cause(lake, name, own, stops, nodes_max=max(longest, default=math.nan))
        )
    if finding.code == LIMIT:
        failed = rows[(rows["status"] != "ok") & (rows["error_code"] == LIMIT)]
        limited = np.unique(failed["strategy_version"].to_numpy(int)).tolist()
        sizes = program_sizes(lake)
        own_sizes = [
            sizes.get(key_of(family.realm, name, version))
            for version in limited
            for name in (family.name, *family.strategy_ids)
        ]
        depths = [size.depth for size in own_sizes if size is not None and size.depth is not None]
        return replace(finding, too_deep=max(depths) if depths and max(depths) > STANDARD.depth_cap else None)
    return finding
