"""Which rules cost, which were not seen to match or cannot, what of it nobody saw; and the picture of a program."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from analytics.findings.rules.node_profile import ELSEIF, MATCH, NodeProfile, ProgramProfile
from analytics.findings.rules.program_profiles import (
    HotPlace,
    IdlePlace,
    Profiles,
    asked_count,
    hot_places,
    idle_places,
    profile_programs,
)
from analytics.findings.rules.rule_findings import Claim, Reading, ReadingKind, readings
from analytics.findings.rules.rule_rollup import hot_rules, rule_counts
from analytics.findings.runaway.keys import Key
from analytics.findings.runaway.ranking import RankingRow
from analytics.findings.runaway.runaway import HISTORY, Evidence
from analytics.reports import charts, page
from analytics.reports.common import realm_name
from analytics.reports.page import number as write
from analytics.reports.page.inline import Inline, Markup
from analytics.reports.runaway.finding_sentences import named
from analytics.reports.runaway.rule_tables import hot_table, idle_blocks, unseen_table
from analytics.reports.runaway.wording import plain_number, version_name

if TYPE_CHECKING:
    import pandas as pd

    from analytics.reports.page import Block
    from analytics.warehouse.warehouse import Warehouse

_SECTIONS = {"pre_rules": "pre ", "post_rules": "post "}
_SPELT, _LONG = 3, 40
"""Conditions of a list that are spelt out in a block, and letters they may take."""
_COLUMNS = ("position", "parent_position", "label", "kind", "entries", "unseen", "note", "role")


def icicle_frame(found: ProgramProfile, known_readings: Sequence[Reading]) -> pd.DataFrame:
    """What the picture draws: one row per node, in walk order.

    Args:
        found: The program.
        known_readings: ``readings`` of it; places of which something is said carry it.
    """
    import pandas as pd

    by_position = {row.position: row for row in known_readings if row.kind is not ReadingKind.OPERAND and row.is_judged}
    rows = []
    for place in found.places:
        note, role = _note(place, by_position.get(place.node.position))
        label, kind = _label(found, place)
        parent = place.node.parent_position
        entries = place.entries.value
        rows.append((place.node.position, parent, label, kind, entries, place.unseen, note, role))
    return pd.DataFrame(rows, columns=list(_COLUMNS))


def icicle_picture(found: ProgramProfile, number: int) -> Markup:
    """The picture; the first of a page has number 1."""
    name = f"{found.key.strategy[:40]} v{found.key.version}"
    frame = icicle_frame(found, readings(found))
    alt = (
        f"The program of {name} as a tree: {write.number(found.entries)} entries per run, {len(found.rules)} rules, "
        f"{write.percent(round(found.unseen, 2))} of the entries after the cut"
    )
    return charts.responsive(lambda width: charts.icicle(frame, name=name, width=width), f"icicle{number}", alt)


def _note(place: NodeProfile, reading: Reading | None) -> tuple[str, str]:
    if reading is not None and reading.claim is not Claim.CANNOT_TELL:
        several = " of " in reading.words and reading.kind is ReadingKind.CONDITION and "the first" in reading.words
        # What is said of many conditions stands in the table; beside the first alone it would be misread.
        return ("", "") if several else (reading.reading, "finding")
    if place.node.type == "rule" and place.turns:
        matched = sum(place.turns.get(turn, 0.0) for turn in (MATCH, ELSEIF))
        return f"{write.percent(round(matched, 2))} match", ""
    return "", ""


def _label(found: ProgramProfile, place: NodeProfile) -> tuple[str, str]:
    """What a block is called, and what several alike ones are."""
    node = place.node
    if node.type == "rule":
        name = node.node_id if node.node_id and not node.node_id.startswith("root.") else ""
        return f"{_SECTIONS.get(node.section, '')}{(node.rule_index or 0) + 1} {name}".strip(), "rule"
    if node.parent_position is None:
        return "otherwise", "otherwise"
    text = place.words.partition(" › ")[2] or str(node.type)
    if node.type in ("and", "or"):
        count = sum(other.node.parent_position == node.position for other in found.places)
        text = f"{node.type} of {count} conditions" if count > _SPELT or len(text) > _LONG else text
    return text, _kind(found, place)


def _kind(found: ProgramProfile, place: NodeProfile) -> str:
    """Type, and the first field that it is about."""
    kind = str(place.node.type)
    if kind not in ("compare", "arith", "func_call", "not"):
        return kind
    for other in found.places[place.node.position + 1 :]:
        if other.node.depth <= place.node.depth:
            break
        if other.node.type == "field":
            return f"{str(other.node.path)[:40]} {kind}"
    return kind


_QUESTION = "Which rules cost?"
_HOT, _PICTURES = 8, 4


@dataclass(frozen=True, slots=True)
class RuleEvidence:
    """What the section rests on, asked of the lake once.

    Attributes:
        ranking: Of the window.
        known: The profiled programs.
        hot: Rules by the entries they leave.
        idle: Places that were not seen to do anything, or seen to do one thing only, or cannot do otherwise.
        days: Days with logged runs that what was not seen rests on.
        asked: Places that were looked at.
    """

    ranking: tuple[RankingRow, ...]
    known: Profiles
    hot: list[HotPlace]
    idle: list[IdlePlace]
    days: int
    asked: int

    @property
    def unseen(self) -> float:
        """Share of all entries of the window that lie behind the cut of a trace."""
        nodes = sum(row.est_nodes for row in self.ranking)
        stored = sum(row.est_stored_entries for row in self.ranking)
        return max(0.0, 1 - stored / nodes) if nodes > 0 else 0.0


def profile_rules(lake: Warehouse, evidence: Evidence) -> RuleEvidence:
    """Ask the lake: whole-fleet rules of the daily rollup, and profiles of the programs that matter."""
    start, ran = evidence.history_since, {row.key for row in evidence.ranking}
    known = profile_programs(lake, evidence.ranking, start, evidence.since, evidence.until)
    rules = hot_rules(lake.run("hot_nodes", since=evidence.since, until=evidence.until))
    counted = rule_counts(lake, start, evidence.until)
    hottest = hot_places(evidence.ranking, rules, known)
    found = lake.sql(
        "select count(distinct day) from executions where day >= $since::timestamptz::date and created_at < $until::timestamptz",
        since=start, until=evidence.until,
    ).fetchall()  # fmt: skip
    idled = idle_places(counted, known, ran)
    return RuleEvidence(evidence.ranking, known, hottest, idled, int(found[0][0]), asked_count(counted, known, ran))


def section(found: RuleEvidence) -> Block:
    """The section of the page."""
    if not found.hot and not found.idle:
        return page.section(
            "nodes", _QUESTION, _how(found), "No trace entry that can be counted is logged in this window."
        )
    blocks, unseen, proven = idle_blocks(found.idle, found.asked)
    body: list[Inline | Block] = [hot_table(found.hot[:_HOT]), page.note(_read(found))]
    pictures = [(one, icicle_picture(one, number)) for number, one in enumerate(found.known.found[:_PICTURES], 1)]
    if pictures:
        first, picture = pictures[0]
        body += [page.subhead(_heading(first.key)), picture]
    for one, picture in pictures[1:]:
        body.append(page.fold(_heading(one.key), picture))
    body += blocks
    cut = [one for one in found.known.found if one.sample.cut_count]
    if found.unseen > 0 and cut:
        body += [page.subhead("What nobody saw"), unseen_table(cut)]
    body += [page.note(note) for note in _doubts(found)]
    return page.section("nodes", _QUESTION, _how(found), _answer(found, unseen, proven), body)


def _how(found: RuleEvidence) -> list[Inline]:
    programs = (
        f"{len(found.known.found)} programs that matter most"
        if len(found.known.found) > 1
        else "program that matters most"
    )
    first = (
        f"Entries per run, place by place, of the {programs}; of the others by node id, whole UTC days."
        if found.known.found
        else "Trace entries by node id, from the daily rollup; whole UTC days."
    )
    return [
        first,
        "Traces are cut, at 200 entries as a rule. How many lie behind is known. Where they were left follows from the program, "
        "what was read before, the case that was paid and the node count, or stays open.",
        "What was not seen: up to two weeks, or the window where that is longer; exact binomial bounds on logged looks. What "
        "cannot happen follows from the program alone.",
    ]  # fmt: skip


def _heading(key: Key) -> Inline:
    return Markup("Where {} leaves its entries").format(named(key))


def _answer(found: RuleEvidence, unseen: int, proven: int) -> Inline:
    """Which rule leaves most, how many were not seen to match or cannot, and how much of it nobody saw."""
    days = (
        "two weeks" if found.days == HISTORY.days else f"{found.days} days" if found.days > 1 else "the one logged day"
    )
    tail = f" {unseen} {'rule was' if unseen == 1 else 'rules were'} not seen to match in {days}." if unseen else ""
    if proven:
        proves = "its program proves it" if proven == 1 else "their programs prove it"
        tail += f" {proven} {'rule' if proven == 1 else 'rules'} cannot match: {proves}."
    if found.unseen >= 0.005:
        cut = round(found.unseen, 2) if found.unseen < 0.995 else found.unseen  # 100 % is said of all of them only
        tail += f" {write.percent(cut)} of all entries lie after the cut of a trace."
    distinct = [rule for rule in found.hot if rule.cost is not None or rule.rule_id is not None]
    if not distinct:
        why = "no definition fits the traces" if found.known.doubts else "no definition is readable"
        return f"No rule can be told apart: {why}.{tail}" if found.hot else tail.strip() or None
    first = distinct[0]
    share = write.percent(float(f"{first.est_entry_share:.2g}"))
    alike = sum(math.isclose(rule.est_entry_share, first.est_entry_share, rel_tol=1e-9) for rule in distinct) - 1
    leave = f" and {write.count(alike)} more leave" if alike else " leaves"
    place = page.strong(page.author(_capital(first.place), 60))
    # What belongs to no single rule may leave more: ids that are null or repeat.
    of_those = "" if first is found.hot[0] else ", of those that can be told apart"
    return [
        place,
        " of ",
        named(first.key),
        f"{leave} most entries{of_those}: {share} of all{' each' if alike else ''}.{tail}",
    ]


def _capital(text: str) -> str:
    return (
        text[:1].upper() + text[1:] if text.startswith(("rule ", "before ", "after ", "otherwise")) else f"Rule {text}"
    )


def _read(found: RuleEvidence) -> Inline:
    """How many logged runs the profiles were made from."""
    if not found.known.found:
        why = "fits its traces" if found.known.doubts else "has a definition in the lake"
        return f"By node id: no program that matters {why}, so places cannot be told apart."
    programs = []
    for one in found.known.found:
        sample = one.sample
        of = f"{write.count(sample.read_count)} of {write.count(sample.logged_count)} logged runs since {write.day(sample.since)}"
        window = "" if one.is_recent else ", none of the window"
        programs.append(Markup("{} ({}{})").format(version_name(one.key), of, window))
    return [
        "Read place by place, the window for shares and earlier days for what was not seen: ",
        Markup(", ").join(programs),
        ". Shares are of the entries of all programs, also of those after the cut.",
    ]


def _doubts(found: RuleEvidence) -> list[Inline]:
    return [
        Markup("{} ({}) is shown by node id: {}.").format(
            version_name(key), page.author(realm_name(key.realm), 40), why
        )
        for key, why in found.known.doubts
    ]


def summary(found: RuleEvidence) -> dict[str, list[dict[str, object]]]:
    """``rules`` and ``hot`` of the report's summary, as plain JSON values."""
    return {
        "rules": [_plain(rule.as_facts()) for rule in found.idle],
        "hot": [_plain(rule.as_facts()) for rule in found.hot[:_HOT]],
    }


def _plain(facts: Mapping[str, object]) -> dict[str, object]:
    return {name: value if isinstance(value, dict) else plain_number(value) for name, value in facts.items()}
