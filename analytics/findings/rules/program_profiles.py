"""The few programs that matter, profiled place by place, and the whole fleet's rules with what these profiles correct."""

from __future__ import annotations

import math
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

from analytics.estimates import looks
from analytics.findings.replay.trace_variants import CONDITIONS
from analytics.findings.rules.node_profile import Profile, profile
from analytics.findings.rules.rule_findings import (
    ALWAYS,
    CANNOT,
    NEVER,
    PROVEN_ALWAYS,
    PROVEN_NEVER,
    PROVEN_UNREACHED,
    UNREACHED,
    readings,
    verdict_of,
)
from analytics.findings.rules.trace_sample import MOST_RUNS, sample_runs
from analytics.findings.runaway.keys import Key, key_of, text_or_none
from analytics.findings.runaway.ranking import RankingRow
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
    found.sort(key=lambda row: (_ACTIVITY_ORDER.index(row["reading"]), -row["entry_count"], row["strategy"]))
    return pd.DataFrame(found, columns=list(_COUNT_COLUMNS))


_ACTIVITY_ORDER = (PROVEN_NEVER, PROVEN_UNREACHED, NEVER, UNREACHED, PROVEN_ALWAYS, ALWAYS, CANNOT, "")


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


MOST_PROGRAMS = 6

_ORDER = (
    PROVEN_NEVER, PROVEN_UNREACHED, "cannot be true (proven)", NEVER, UNREACHED, "not seen true", "cannot be false (proven)",
    "not seen false", PROVEN_ALWAYS, ALWAYS,
)  # fmt: skip
_READING_COLUMNS = (
    "realm_id", "strategy", "strategy_version", "section", "rule_id", "place", "kind", "verdict", "reading", "match_count",
    "entry_count", "share_low", "share_high", "est_runs_high", "grade", "note",
)  # fmt: skip
_HOT_COLUMNS = (
    "realm_id", "strategy", "strategy_version", "rule_id", "place", "est_entries", "est_entry_share", "part", "per_run", "match",
    "repeats", "unseen", "types", "is_profiled",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Profiles:
    """Profiled programs.

    Attributes:
        found: Most urgent first, then those with the most entries.
        doubts: Programs whose definition does not fit their traces, and why.
    """

    found: tuple[Profile, ...]
    doubts: tuple[tuple[Key, str], ...]

    def of(self, key: Key) -> Profile | None:
        """The profile of a version."""
        return next((one for one in self.found if one.key == key), None)


def chosen(ranking: Sequence[RankingRow], most: int = MOST_PROGRAMS) -> list[tuple[Key, str]]:
    """The programs worth a profile, with the ids of their definitions: the urgent ones, then those with the most entries."""
    rows = [row for row in ranking if row.est_nodes > 0]
    urgent = [row for row in rows if row.group.is_urgent]
    rest = sorted((row for row in rows if not row.group.is_urgent), key=lambda row: -row.est_nodes)
    return [(row.key, row.strategy_id) for row in [*urgent, *rest][:most]]


def profiles(
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
    for key, strategy_id in chosen(ranking, most):
        sample = sample_runs(lake, key, strategy_id, min(history, since), since, until, most=runs)
        if sample is None:
            continue
        made = None if sample.doubt else profile(sample)
        if made is not None:
            found.append(made)
        elif sample.doubt:
            doubts.append((key, sample.doubt))
    return Profiles(tuple(found), tuple(doubts))


def hot(ranking: Sequence[RankingRow], rules: pd.DataFrame, known: Profiles) -> pd.DataFrame:
    """Rules by the entries they leave; of profiled programs with those behind the cut.

    Args:
        ranking: Of the window.
        rules: ``hot_rules`` of the window.
        known: The profiled programs.

    Returns:
        Grain: realm, strategy, version, rule (by place where it is profiled, else by id). ``est_entries`` of the window,
        ``est_entry_share`` of all entries of all programs (``nodes_executed``, so with what is cut), ``part`` of its program's;
        ``per_run`` an `Estimate` of entries per run, ``match`` the share of looks that match, ``repeats`` entries of one id
        in a run, ``unseen`` the part behind the cut; None where not profiled, and ``unseen`` is then the program's. Most first.
    """
    import pandas as pd

    ran = {row.key: row for row in ranking}
    total = sum(row.est_nodes for row in ranking)
    found: list[dict[str, Any]] = []
    for row in records(rules):
        key = key_of(row["realm_id"], row["strategy"], row["strategy_version"])
        if key not in ran or known.of(key) is not None:
            continue
        nodes, stored = ran[key].est_nodes, ran[key].est_stored_entries
        rule = text_or_none(row["rule_id"])
        hidden = max(0.0, 1 - stored / nodes) if nodes > 0 else 0.0
        place = rule if rule is not None else "no single rule"
        found.append(_hot(key, rule, place, row["part"] * stored, row["part"], hidden, row["types"]))
    for one in known.found:
        nodes = ran[one.key].est_nodes
        for cost in one.rules:
            hidden = cost.unseen / cost.entries.value if cost.entries.value else 0.0
            row = _hot(one.key, cost.rule_id, cost.words, cost.share * nodes, cost.share, hidden, cost.types)
            found.append(
                {**row, "per_run": cost.entries, "match": cost.match, "repeats": cost.repeats, "is_profiled": True}
            )
    found = [row for row in found if row["est_entries"] > 0]  # a place that no run has come by leaves nothing
    for row in found:
        row["est_entry_share"] = row["est_entries"] / total if total else 0.0
    found.sort(key=lambda row: (-row["est_entries"], row["strategy"], row["place"]))
    return pd.DataFrame(found, columns=list(_HOT_COLUMNS))


def _hot(
    key: Key, rule: str | None, place: str, entries: float, part: float, unseen: float, types: str
) -> dict[str, Any]:
    return {
        "realm_id": key.realm, "strategy": key.strategy, "strategy_version": key.version, "rule_id": rule, "place": place,
        "est_entries": entries, "part": part, "per_run": None, "match": None, "repeats": None, "unseen": unseen,
        "types": types, "is_profiled": False,
    }  # fmt: skip


def idle(rules: pd.DataFrame, known: Profiles, ran: Collection[Key]) -> pd.DataFrame:
    """What was not seen to do anything, or to do one thing only: by place in profiled programs, by id in all others.

    The daily rollup counts every logged look and a profile only those it read. So where a profiled rule has its id for itself and
    no trace was cut, the rollup's counts and bounds are taken; and one logged match is a match wherever it lies.

    Args:
        rules: ``rule_counts``: every rule of the fleet with its counts.
        known: The profiled programs.
        ran: Versions that ran in the window.

    Returns:
        Grain: place or rule. As ``dead_rules``, with ``place`` (words) and ``kind`` (as of a ``Reading``).
    """
    import pandas as pd

    exact: dict[tuple[Key, int], dict[str, Any]] = {}
    found: list[dict[str, Any]] = []
    for row in records(rules):
        key = key_of(row["realm_id"], row["strategy"], row["strategy_version"])
        rule = text_or_none(row["rule_id"])
        if row["position"] is not None:
            exact[key, int(row["position"])] = row
        if key in ran and known.of(key) is None and row["reading"]:
            place = rule if rule is not None else "(no id)"
            found.append({**row, "realm_id": key.realm, "rule_id": rule, "place": place, "kind": "rule"})
    for one in known.found:
        for reading in readings(one):
            row = {
                "realm_id": one.key.realm, "strategy": one.key.strategy, "strategy_version": one.key.version,
                "section": one.places[reading.position].node.section, "rule_id": reading.rule_id, "place": reading.words,
                "kind": reading.kind, "verdict": verdict_of(reading.reading, reading.grade), "reading": reading.reading,
                "match_count": reading.match_count, "entry_count": reading.entry_count, "share_low": reading.share_low,
                "share_high": reading.share_high, "est_runs_high": reading.runs_high, "grade": reading.grade,
                "note": reading.note,
            }  # fmt: skip
            counted = exact.get((one.key, reading.position)) if reading.kind == "rule" else None
            if counted is not None and counted["is_alone"]:
                if counted["match_count"] and reading.reading in (*_UNMATCHED, CANNOT):
                    continue
                if counted["match_count"] < counted["entry_count"] and reading.reading in (ALWAYS, PROVEN_ALWAYS):
                    continue
                if counted["reading"] == reading.reading and not counted["cut_count"]:
                    taken = (
                        "match_count",
                        "entry_count",
                        "share_low",
                        "share_high",
                        "est_runs_high",
                        "grade",
                        "verdict",
                    )
                    row |= {name: counted[name] for name in taken}
            found.append(row)
    found.sort(key=lambda row: (_rank(row["reading"]), -row["entry_count"], row["strategy"]))
    return pd.DataFrame(found, columns=list(_READING_COLUMNS))


def asked_count(rules: pd.DataFrame, known: Profiles, ran: Collection[Key]) -> int:
    """Places that were looked at, whatever is said of them; the arguments are those of ``idle``."""
    by_id = sum(
        bool(row["entry_count"]) and (key := key_of(row["realm_id"], row["strategy"], row["strategy_version"])) in ran
        and known.of(key) is None
        for row in records(rules)
    )  # fmt: skip
    kinds = {*CONDITIONS, "rule", "field"}
    return by_id + sum(
        bool(place.looks.sure) and place.node.type in kinds for one in known.found for place in one.places
    )


_UNMATCHED = (NEVER, UNREACHED, PROVEN_NEVER, PROVEN_UNREACHED)


def _rank(reading: str) -> int:
    return _ORDER.index(reading) if reading in _ORDER else len(_ORDER) + (reading == CANNOT)
