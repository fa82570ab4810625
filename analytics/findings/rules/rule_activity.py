"""Which nodes leave the entries, and which rules were not seen to match, or matched whenever they were looked at."""

from __future__ import annotations

import math
from datetime import datetime
from typing import TYPE_CHECKING, Any

from analytics.estimates import looks
from analytics.findings.rules.rule_findings import (
    ALWAYS,
    CANNOT,
    NEVER,
    PROVEN_ALWAYS,
    PROVEN_NEVER,
    PROVEN_UNREACHED,
    UNREACHED,
)
from analytics.findings.runaway.keys import Key, key_of, text_or_none
from analytics.warehouse.warehouse import records

if TYPE_CHECKING:
    import pandas as pd

    from analytics.warehouse.warehouse import Warehouse

_RULE_COLUMNS = ("realm_id", "strategy", "strategy_version", "section", "rule_id", "verdict", "reading", "match_count",
                 "entry_count", "share_low", "share_high", "est_runs_high", "grade", "note")  # fmt: skip
_COUNT_COLUMNS = (*_RULE_COLUMNS, "position", "is_alone", "cut_count")


def dead_rules(lake: Warehouse, since: datetime, until: datetime) -> pd.DataFrame:
    """Rules that were not seen to match, cannot match, or matched in all looks, with what that proves.

    Returns:
        Grain: realm, strategy, version, place in the program. ``verdict`` as in the query dead_rules (see ``rule_verdicts``).
        ``match_count`` of ``entry_count`` logged looks; ``share_low`` and ``share_high`` bound the share of looks that match (exact
        binomial, one-sided 95 %, of each row for itself; Clopper & Pearson, *Biometrika* 26, 1934), ``est_runs_high`` how many
        runs the exception may be. ``reading``: the same in the words of the page. Most looks first. Rules that share an id
        with another are there too, without counts of their own.
    """
    counts = rule_counts(lake, since, until)
    found = counts[counts["verdict"] != looks.SEEN]
    return found[list(_RULE_COLUMNS)].reset_index(drop=True)


def rule_counts(lake: Warehouse, since: datetime, until: datetime) -> pd.DataFrame:
    """Every rule at its place, with what the counts of its id prove.

    Returns:
        As ``dead_rules``, all rules; those of a definition that does not fit the traces are left out. ``reading`` is
        empty for a rule that sometimes matches, and where ``is_alone`` is False: several rules of the program share the
        id. ``cut_count``: logged runs of the version whose trace was cut.
    """
    import pandas as pd

    rows = records(lake.run("dead_rules", since=since, until=until))
    # A rule in the traces that the definition does not have: the definition is not the program that ran.
    others = {
        (row["strategy_id"], row["strategy_version"])
        for row in rows
        if row["entry_count"] and row["position"] is None and text_or_none(row["rule_id"]) is not None
    }
    found = [
        _reading(row)
        for row in rows
        if row["type"] == "rule" and (row["entry_count"] or (row["strategy_id"], row["strategy_version"]) not in others)
    ]
    found.sort(key=lambda row: (_ORDER.index(row["reading"]), -row["entry_count"], row["strategy"]))
    return pd.DataFrame(found, columns=list(_COUNT_COLUMNS))


_ORDER = (PROVEN_NEVER, PROVEN_UNREACHED, NEVER, UNREACHED, PROVEN_ALWAYS, ALWAYS, CANNOT, "")


def _reading(record: dict[str, Any]) -> dict[str, Any]:
    """A row of the query in the words of the page."""
    verdict, matches, high = record["verdict"], int(record["match_count"]), record["est_runs_high"]
    entries = int(record["entry_count"])
    is_alone = verdict != looks.SHARED_ID and int(record["places_count"]) == 1
    unseen = NEVER if entries else UNREACHED
    reading = {
        looks.SEEN: "", looks.SHARED_ID: "", looks.CUT: CANNOT, looks.CANNOT_MATCH: PROVEN_NEVER,
        looks.CANNOT_BUT: PROVEN_ALWAYS, looks.NOT_SEEN: unseen, looks.ALL_SEEN: ALWAYS,
    }.get(verdict, unseen if not matches else ALWAYS)  # fmt: skip
    return {
        "realm_id": text_or_none(record["realm_id"]),
        "strategy": record["strategy"],
        "strategy_version": int(record["strategy_version"]),
        "section": record["section"],
        "rule_id": text_or_none(record["rule_id"]),
        "verdict": verdict,
        "reading": reading,
        "match_count": matches,
        "entry_count": int(record["look_count"] or 0) if is_alone else entries,
        "share_low": record["share_low"],
        "share_high": record["share_high"],
        "est_runs_high": math.inf if high is None else high,
        "grade": record["grade"],
        "note": record["why"],
        "position": None if record["position"] is None else int(record["position"]),
        "is_alone": is_alone,
        "cut_count": int(record["cut_logged_count"]),
    }


def hot_rules(nodes: pd.DataFrame) -> pd.DataFrame:
    """The nodes of the query hot_nodes brought together by rule.

    Returns:
        Grain: realm, strategy, version, rule (None for what belongs to no single rule). ``est_entries`` and
        ``est_entry_share`` of all entries; ``part`` is the rule's share of its strategy; ``types`` the two node types that
        leave most. Most entries first.
    """
    import pandas as pd

    groups: dict[tuple[Key, str | None], list[dict[str, Any]]] = {}
    # Where the sampling rate is 0 nobody knows how many runs an entry stands for.
    for record in records(nodes[nodes["est_entries"].notna()]):
        key = key_of(record["realm_id"], record["strategy"], record["strategy_version"])
        groups.setdefault((key, text_or_none(record["rule_id"])), []).append(record)
    totals: dict[Key, float] = {}
    for (key, _), own in groups.items():
        totals[key] = totals.get(key, 0.0) + math.fsum(record["est_entries"] for record in own)
    found: list[dict[str, Any]] = []
    for (key, rule), own in groups.items():
        entries = math.fsum(record["est_entries"] for record in own)
        by_type: dict[str, float] = {}
        for record in own:
            kind = text_or_none(record["type"]) or "(no type)"
            by_type[kind] = by_type.get(kind, 0.0) + record["est_entries"]
        found.append(
            {
                "realm_id": key.realm,
                "strategy": key.strategy,
                "strategy_version": key.version,
                "rule_id": rule,
                "node_count": len(own),
                "entry_count": int(sum(record["entry_count"] for record in own)),
                "est_entries": entries,
                "est_entry_share": math.fsum(record["est_entry_share"] for record in own),
                "part": entries / totals[key] if totals[key] else math.nan,
                "types": ", ".join(sorted(by_type, key=by_type.__getitem__, reverse=True)[:2]),
            }
        )
    found.sort(key=lambda row: (-row["est_entries"], row["strategy"], str(row["rule_id"])))
    columns = ("realm_id", "strategy", "strategy_version", "rule_id", "node_count", "entry_count", "est_entries",
               "est_entry_share", "part", "types")  # fmt: skip
    return pd.DataFrame(found, columns=list(columns))
