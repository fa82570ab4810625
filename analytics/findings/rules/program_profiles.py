"""The few programs that matter, profiled place by place, and the whole fleet's rules with what these profiles correct.

Of the fleet's rules the daily rollup counts, by their ids, how often they match and how many entries they leave.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import TYPE_CHECKING, Any

from analytics.findings.replay.trace_variants import CONDITIONS
from analytics.findings.rules.node_profile import ProgramProfile, RuleCost, profile_program
from analytics.findings.rules.rule_findings import Claim, Reading, ReadingKind, readings, verdict_of
from analytics.findings.rules.trace_sample import MOST_RUNS, sample_runs
from analytics.findings.runaway.keys import Key, key_of, text_or_none
from analytics.findings.runaway.ranking import RankingRow
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


MOST_PROGRAMS = 6

_ORDER = [claim for claim in Claim if claim not in (Claim.ONE_VALUE, Claim.CANNOT_TELL)]


@dataclass(frozen=True, slots=True)
class Profiles:
    """Profiled programs.

    Attributes:
        found: Most urgent first, then those with the most entries.
        doubts: Programs whose definition does not fit their traces, and why.
    """

    found: tuple[ProgramProfile, ...]
    doubts: tuple[tuple[Key, str], ...]

    def of(self, key: Key) -> ProgramProfile | None:
        """The profile of a version."""
        return next((one for one in self.found if one.key == key), None)


def programs_worth_a_profile(ranking: Sequence[RankingRow], most: int = MOST_PROGRAMS) -> list[tuple[Key, str]]:
    """The programs worth a profile, with the ids of their definitions: the urgent ones, then those with the most entries."""
    rows = [row for row in ranking if row.est_nodes > 0]
    urgent = [row for row in rows if row.group.is_urgent]
    rest = sorted((row for row in rows if not row.group.is_urgent), key=lambda row: -row.est_nodes)
    return [(row.key, row.strategy_id) for row in [*urgent, *rest][:most]]


def profile_programs(
    lake: Warehouse,
    ranking: Sequence[RankingRow],
    history: datetime,
    since: datetime,
    until: datetime,
    *,
    most: int = MOST_PROGRAMS,
    runs: int = MOST_RUNS,
) -> Profiles:
    """Profile the programs that matter most.

    Args:
        lake: Where their runs are.
        ranking: Of the window.
        history: From when on older runs add evidence on what was not seen.
        since, until: The window.
        most: Programs.
        runs: Logged runs of each that are read, about.
    """
    found, doubts = [], []
    versions = programs_worth_a_profile(ranking, most)
    for sample in sample_runs(lake, versions, min(history, since), since, until, most=runs):
        made = None if sample.doubt else profile_program(sample)
        if made is not None:
            found.append(made)
        elif sample.doubt:
            doubts.append((sample.key, sample.doubt))
    return Profiles(tuple(found), tuple(doubts))


@dataclass(frozen=True, slots=True)
class HotPlace:
    """A rule by the entries it leaves: by place where its program is profiled, else by id.

    Attributes:
        key: Of which version.
        rule_id: As its author wrote it.
        place: In words; the id where its program is not profiled.
        est_entries: In the window.
        est_entry_share: Of all entries of all programs, with those behind the cut of a trace.
        part: Of its program's.
        unseen: The part behind the cut; where it is not profiled, that of its program.
        types: The two node types that leave most.
        cost: What a run leaves at it; None where it is not profiled.
    """

    key: Key
    rule_id: str | None
    place: str
    est_entries: float
    est_entry_share: float
    part: float
    unseen: float
    types: str
    cost: RuleCost | None

    def as_facts(self) -> dict[str, object]:
        """For ``summary.json``: the one place that spells its keys."""
        cost = self.cost
        return {
            **named_facts(self.key, self.rule_id, self.place),
            "est_entries": self.est_entries,
            "est_entry_share": self.est_entry_share,
            "part": self.part,
            "match": cost.match if cost else None,
            "repeats": cost.repeats if cost else None,
            "unseen": self.unseen,
            "is_profiled": cost is not None,
            "per_run": cost.entries.to_dict() if cost else None,
        }


def named_facts(key: Key, rule_id: str | None, place: str) -> dict[str, object]:
    """Which rule, for ``summary.json``."""
    return {"realm": key.realm, "family": key.strategy, "version": key.version, "rule_id": rule_id, "place": place}


def hot_places(ranking: Sequence[RankingRow], rules: Sequence[RuleEntries], known: Profiles) -> list[HotPlace]:
    """Rules by the entries they leave, most first; of profiled programs with those behind the cut.

    Args:
        ranking: Of the window.
        rules: ``hot_rules`` of the window.
        known: The profiled programs.
    """
    ran = {row.key: row for row in ranking}
    total = sum(row.est_nodes for row in ranking)

    def share(entries: float) -> float:
        return entries / total if total else 0.0

    found = []
    for rule in rules:
        row = ran.get(rule.key)
        if row is None or known.of(rule.key) is not None:
            continue
        entries = rule.part * row.est_stored_entries
        hidden = max(0.0, 1 - row.est_stored_entries / row.est_nodes) if row.est_nodes > 0 else 0.0
        place = rule.rule_id if rule.rule_id is not None else "no single rule"
        found.append(
            HotPlace(rule.key, rule.rule_id, place, entries, share(entries), rule.part, hidden, rule.types, None)
        )
    for one in known.found:
        for cost in one.rules:
            hidden = cost.unseen / cost.entries.value if cost.entries.value else 0.0
            entries = cost.share * ran[one.key].est_nodes
            found.append(
                HotPlace(
                    one.key, cost.rule_id, cost.words, entries, share(entries), cost.share, hidden, cost.types, cost
                )
            )
    left = [rule for rule in found if rule.est_entries > 0]  # a place that no run has come by leaves nothing
    return sorted(left, key=lambda rule: (-rule.est_entries, rule.key.strategy, rule.place))


@dataclass(frozen=True, slots=True)
class IdlePlace:
    """What was not seen to do anything, or to do one thing only: a place of a profiled program, or a rule by its id.

    Attributes:
        key: Of which version.
        section: Of the program.
        verdict: As in the query dead_rules.
        reading: What is said of it, and the looks that it rests on.
    """

    key: Key
    section: str
    verdict: str
    reading: Reading

    def as_facts(self) -> dict[str, object]:
        """For ``summary.json``: the one place that spells its keys."""
        reading = self.reading
        return {
            **named_facts(self.key, reading.rule_id, reading.words),
            "kind": reading.kind,
            "reading": reading.reading,
            "match_count": reading.match_count,
            "entry_count": reading.entry_count,
            "share_low": reading.share_low,
            "share_high": reading.share_high,
            "est_runs_high": reading.runs_high,
            "grade": reading.grade,
            "note": reading.note,
            "verdict": self.verdict,
            "section": self.section,
        }


def idle_places(rules: Sequence[RuleCount], known: Profiles, ran: Collection[Key]) -> list[IdlePlace]:
    """What was not seen to do anything, or to do one thing only: by place in profiled programs, by id in all others.

    The daily rollup counts every logged look and a profile only those it read. So where a profiled rule has its id for itself and
    no trace was cut, the rollup's counts and bounds are taken; and one logged match is a match wherever it lies.

    Args:
        rules: ``rule_counts``: every rule of the fleet with its counts.
        known: The profiled programs.
        ran: Versions that ran in the window.
    """
    exact = {(rule.key, rule.position): rule for rule in rules if rule.position is not None}
    found = [
        IdlePlace(rule.key, rule.section, rule.verdict, _by_id(rule, rule.claim))
        for rule in rules
        if rule.key in ran and known.of(rule.key) is None and rule.claim is not None
    ]
    for one in known.found:
        for reading in readings(one):
            is_rule = reading.kind is ReadingKind.RULE
            counted = exact.get((one.key, reading.position)) if is_rule else None
            if counted is not None and counted.is_alone and _is_refuted(reading, counted):
                continue
            section = one.places[reading.position].node.section
            if counted is None or not _counts_for(reading, counted):
                found.append(IdlePlace(one.key, section, verdict_of(reading.claim, reading.grade), reading))
            else:
                found.append(IdlePlace(one.key, section, counted.verdict, _with_counts(reading, counted)))
    return sorted(found, key=lambda rule: (_rank(rule.reading.claim), -rule.reading.entry_count, rule.key.strategy))


def _by_id(rule: RuleCount, claim: Claim) -> Reading:
    place = rule.rule_id if rule.rule_id is not None else "(no id)"
    reading = Reading(-1, ReadingKind.RULE, place, rule.rule_id, claim, 0, 0, 0.0, 1.0, rule.grade, rule.note)
    return _with_counts(reading, rule)


def _with_counts(reading: Reading, rule: RuleCount) -> Reading:
    """A reading that rests on the rollup's counts."""
    return replace(
        reading,
        match_count=rule.match_count,
        entry_count=rule.entry_count,
        share_low=math.nan if rule.share_low is None else rule.share_low,
        share_high=math.nan if rule.share_high is None else rule.share_high,
        runs_high=rule.runs_high,
        grade=rule.grade,
    )


def _is_refuted(reading: Reading, rule: RuleCount) -> bool:
    """Whether the rollup shows a match of what was not seen to match, or a look without one of what always did."""
    if rule.match_count and reading.claim in (*_UNMATCHED, Claim.CANNOT_TELL):
        return True
    return rule.match_count < rule.entry_count and reading.claim in (Claim.ALWAYS, Claim.PROVEN_ALWAYS)


def _counts_for(reading: Reading, rule: RuleCount) -> bool:
    """Whether the rollup's counts are those of the place, all of them, and say the same."""
    return rule.is_alone and rule.claim is reading.claim and not rule.cut_count


def asked_count(rules: Sequence[RuleCount], known: Profiles, ran: Collection[Key]) -> int:
    """Places that were looked at, whatever is said of them; the arguments are those of ``idle_places``."""
    by_id = sum(bool(rule.entry_count) and rule.key in ran and known.of(rule.key) is None for rule in rules)
    kinds = {*CONDITIONS, "rule", "field"}
    return by_id + sum(
        bool(place.looks.sure) and place.node.type in kinds for one in known.found for place in one.places
    )


_UNMATCHED = (Claim.NEVER, Claim.UNREACHED, Claim.PROVEN_NEVER, Claim.PROVEN_UNREACHED)


def _rank(claim: Claim) -> int:
    """The order of the page; what one value was seen of comes after all else, and last what nobody can tell."""
    return _ORDER.index(claim) if claim in _ORDER else len(_ORDER) + (claim is Claim.CANNOT_TELL)
