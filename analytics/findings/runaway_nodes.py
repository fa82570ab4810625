"""Which nodes leave the entries, and which rules do nothing or always the same."""

from __future__ import annotations

import math
from datetime import datetime
from typing import TYPE_CHECKING, Any

from analytics.findings.reading import at_most, grade_of
from analytics.findings.runaway_keys import Key, key_of, text_or_none
from analytics.warehouse import records

if TYPE_CHECKING:
    import pandas as pd

    from analytics.warehouse import Warehouse

MOST_HIDDEN = 0.05
"""Looks that a cut may hide, as a share of those seen, up to which the seen ones still tell."""

_RULE_COLUMNS = ("realm_id", "strategy", "strategy_version", "rule_id", "reading", "match_count", "entry_count",
                 "share_low", "share_high", "grade", "note")  # fmt: skip
_COUNT_COLUMNS = (*_RULE_COLUMNS, "is_alone", "cut_count")


def dead_rules(lake: Warehouse, since: datetime, until: datetime) -> pd.DataFrame:
    """Rules that never matched, were never reached, or always matched, with what that proves.

    Returns:
        Grain: realm, strategy, version, rule. ``match_count`` of ``entry_count`` logged evaluations; ``share_low`` and
        ``share_high`` bound the share of matches (exact binomial, one-sided 95 %; Clopper & Pearson, *Biometrika* 26, 1934).
        ``reading`` is ``never matched``, ``never reached``, ``always matches`` or ``cannot tell`` (its entries lie behind
        the cut of the trace). Most evaluations first. Rules that share an id with another are left out.
    """
    counts = rule_counts(lake, since, until)
    found = counts[counts["is_alone"] & (counts["reading"] != "")]
    return found[list(_RULE_COLUMNS)].reset_index(drop=True)


def rule_counts(lake: Warehouse, since: datetime, until: datetime) -> pd.DataFrame:
    """Every rule by its id, with what its counts prove.

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
    found = []
    for row in rows:
        if row["entry_count"] or (row["strategy_id"], row["strategy_version"]) not in others:
            found.append(_reading(row))
    found.sort(key=lambda row: (_ORDER.index(row["reading"]), -row["entry_count"], row["strategy"]))
    return pd.DataFrame(found, columns=list(_COUNT_COLUMNS))


_ORDER = ("never matched", "never reached", "always matches", "cannot tell", "")


def _reading(record: dict[str, Any]) -> dict[str, Any]:
    entries, matches = int(record["entry_count"]), int(record["match_count"])
    ok, cut = int(record["ok_logged_count"]), int(record["cut_logged_count"])
    # A rule is looked at once in a run at most, so cut runs beyond those that show it may hide a look.
    hidden = cut if record["rule_id"] is None or entries > ok else min(cut, ok - entries)
    sure = entries or ok - cut
    few_hidden = hidden <= MOST_HIDDEN * sure
    note = "" if few_hidden else "too much lies behind the cut"
    low, high, looks = 0.0, 1.0, sure
    if not sure:
        reading, note = "cannot tell", "behind the cut of every trace"
    elif matches and matches < entries:
        reading, note = "", ""
    elif not few_hidden:
        reading = "cannot tell"
    elif entries and matches:
        reading, low = "always matches", 1 - at_most(hidden, sure + hidden)
    else:
        reading, high = "never matched" if entries else "never reached", at_most(hidden, sure + hidden)
        note = "its else branch runs instead" if int(record["else_count"]) else ""
    is_alone = int(record["places_count"]) == 1
    return {
        "realm_id": text_or_none(record["realm_id"]),
        "strategy": record["strategy"],
        "strategy_version": int(record["strategy_version"]),
        "rule_id": text_or_none(record["rule_id"]),
        "reading": reading if is_alone else "",
        "match_count": matches,
        "entry_count": looks,
        "share_low": low,
        "share_high": high,
        "grade": "too few" if reading == "cannot tell" else grade_of(looks),
        "note": note,
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
    for record in records(nodes):
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
            by_type[str(record["type"])] = by_type.get(str(record["type"]), 0.0) + record["est_entries"]
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
