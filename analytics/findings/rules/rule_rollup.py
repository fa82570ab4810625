"""Rules by what the daily rollup counts of their ids: how often they match, and how many entries they leave."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

from analytics.findings.rules.rule_findings import Claim
from analytics.findings.runaway.keys import Key, key_of, text_or_none
from analytics.warehouse import rule_verdicts
from analytics.warehouse.warehouse import records

if TYPE_CHECKING:
    import pandas as pd

    from analytics.warehouse.warehouse import Warehouse


@dataclass(frozen=True, slots=True)
class RuleCount:
    """A rule at its place, with what the counts of its id prove.

    Attributes:
        key: Of which version.
        section: Of the program.
        rule_id: As its author wrote it.
        verdict: As in the query dead_rules (see ``rule_verdicts``).
        claim: The same in the words of the page; None for a rule that sometimes matches, and where several rules of the program
            share the id.
        match_count, entry_count: Matches, and logged looks.
        share_low, share_high: Bounds of the share of looks that match (exact binomial, one-sided 95 %, of each row for itself;
            Clopper & Pearson, *Biometrika* 26, 1934); None where nothing bounds it.
        runs_high: How many runs the exception may be; infinite where nothing bounds them.
        grade: ``good``, ``rough`` or ``too few``.
        note: What else is known, in a clause; None without any.
        position: Of the rule in its program; None where its definition is not readable.
        is_alone: No other rule of the program has its id.
        cut_count: Logged runs of the version whose trace was cut.
    """

    key: Key
    section: str
    rule_id: str | None
    verdict: str
    claim: Claim | None
    match_count: int
    entry_count: int
    share_low: float | None
    share_high: float | None
    runs_high: float
    grade: str
    note: str | None
    position: int | None
    is_alone: bool
    cut_count: int

    def as_columns(self) -> dict[str, object]:
        """As a row of ``dead_rules``."""
        return {
            "realm_id": self.key.realm, "strategy": self.key.strategy, "strategy_version": self.key.version,
            "section": self.section, "rule_id": self.rule_id, "verdict": self.verdict,
            "reading": self.claim.value if self.claim else "", "match_count": self.match_count,
            "entry_count": self.entry_count, "share_low": self.share_low, "share_high": self.share_high,
            "est_runs_high": self.runs_high, "grade": self.grade, "note": self.note,
        }  # fmt: skip


_RULE_COLUMNS = ("realm_id", "strategy", "strategy_version", "section", "rule_id", "verdict", "reading", "match_count",
                 "entry_count", "share_low", "share_high", "est_runs_high", "grade", "note")  # fmt: skip


def dead_rules(lake: Warehouse, since: datetime, until: datetime) -> pd.DataFrame:
    """Rules that were not seen to match, cannot match, or matched in all looks, with what that proves, for who calls the library.

    Returns:
        Grain: realm, strategy, version, place in the program; the columns of `RuleCount`, ``est_runs_high`` for ``runs_high``.
        Most looks first. Rules that share an id with another are there too, without counts of their own.
    """
    import pandas as pd

    found = [one.as_columns() for one in rule_counts(lake, since, until) if one.verdict != rule_verdicts.SEEN]
    return pd.DataFrame(found, columns=list(_RULE_COLUMNS))


def rule_counts(lake: Warehouse, since: datetime, until: datetime) -> list[RuleCount]:
    """Every rule at its place, with what the counts of its id prove.

    Those of a definition that does not fit the traces are left out.
    """
    rows = records(lake.run("dead_rules", since=since, until=until))
    # A rule in the traces that the definition does not have: the definition is not the program that ran.
    others = {
        (row["strategy_id"], row["strategy_version"])
        for row in rows
        if row["entry_count"] and row["position"] is None and text_or_none(row["rule_id"]) is not None
    }
    found = [
        _rule_count(row)
        for row in rows
        if row["type"] == "rule" and (row["entry_count"] or (row["strategy_id"], row["strategy_version"]) not in others)
    ]
    return sorted(found, key=lambda one: (_ACTIVITY_ORDER.index(one.claim), -one.entry_count, one.key.strategy))


_ACTIVITY_ORDER = (
    Claim.PROVEN_NEVER,
    Claim.PROVEN_UNREACHED,
    Claim.NEVER,
    Claim.UNREACHED,
    Claim.PROVEN_ALWAYS,
    Claim.ALWAYS,
    Claim.CANNOT_TELL,
    None,
)
_CLAIMS = {
    rule_verdicts.SEEN: None,
    rule_verdicts.SHARED_ID: None,
    rule_verdicts.CUT: Claim.CANNOT_TELL,
    rule_verdicts.CANNOT_MATCH: Claim.PROVEN_NEVER,
    rule_verdicts.CANNOT_BUT: Claim.PROVEN_ALWAYS,
    rule_verdicts.ALL_SEEN: Claim.ALWAYS,
}
"""What a verdict says; of those that are not in it, that depends on the counts."""


def _rule_count(record: Mapping[str, Any]) -> RuleCount:
    """A row of the query in the words of the page."""
    verdict, matches, high = record["verdict"], int(record["match_count"]), record["est_runs_high"]
    entries = int(record["entry_count"])
    is_alone = verdict != rule_verdicts.SHARED_ID and int(record["places_count"]) == 1
    unmatched = Claim.NEVER if entries else Claim.UNREACHED
    otherwise = unmatched if verdict == rule_verdicts.NOT_SEEN or not matches else Claim.ALWAYS
    return RuleCount(
        key=key_of(record["realm_id"], record["strategy"], record["strategy_version"]),
        section=record["section"],
        rule_id=text_or_none(record["rule_id"]),
        verdict=verdict,
        claim=_CLAIMS.get(verdict, otherwise),
        match_count=matches,
        entry_count=int(record["look_count"] or 0) if is_alone else entries,
        share_low=record["share_low"],
        share_high=record["share_high"],
        runs_high=math.inf if high is None else high,
        grade=record["grade"],
        note=record["why"],
        position=None if record["position"] is None else int(record["position"]),
        is_alone=is_alone,
        cut_count=int(record["cut_logged_count"]),
    )


@dataclass(frozen=True, slots=True)
class RuleEntries:
    """The entries of one rule by the daily rollup, or of what belongs to no single rule.

    Attributes:
        key: Of which version.
        rule_id: None for what belongs to no single rule.
        node_count: Ids of nodes.
        entry_count: Logged.
        est_entries: Estimated.
        est_entry_share: Of all entries.
        part: Of those of its version; NaN where it has none.
        types: The two node types that leave most.
    """

    key: Key
    rule_id: str | None
    node_count: int
    entry_count: int
    est_entries: float
    est_entry_share: float
    part: float
    types: str


def hot_rules(nodes: pd.DataFrame) -> list[RuleEntries]:
    """The nodes of the query hot_nodes brought together by rule, most entries first."""
    groups: dict[tuple[Key, str | None], list[dict[str, Any]]] = {}
    # Where the sampling rate is 0 nobody knows how many runs an entry stands for.
    for record in records(nodes[nodes["est_entries"].notna()]):
        key = key_of(record["realm_id"], record["strategy"], record["strategy_version"])
        groups.setdefault((key, text_or_none(record["rule_id"])), []).append(record)
    totals: dict[Key, float] = {}
    for (key, _), rows in groups.items():
        totals[key] = totals.get(key, 0.0) + math.fsum(record["est_entries"] for record in rows)
    found = []
    for (key, rule), rows in groups.items():
        entries = math.fsum(record["est_entries"] for record in rows)
        by_type: dict[str, float] = {}
        for record in rows:
            kind = text_or_none(record["type"]) or "(no type)"
            by_type[kind] = by_type.get(kind, 0.0) + record["est_entries"]
        found.append(
            RuleEntries(
                key=key,
                rule_id=rule,
                node_count=len(rows),
                entry_count=int(sum(record["entry_count"] for record in rows)),
                est_entries=entries,
                est_entry_share=math.fsum(record["est_entry_share"] for record in rows),
                part=entries / totals[key] if totals[key] else math.nan,
                types=", ".join(sorted(by_type, key=by_type.__getitem__, reverse=True)[:2]),
            )
        )
    return sorted(found, key=lambda one: (-one.est_entries, one.key.strategy, str(one.rule_id)))
