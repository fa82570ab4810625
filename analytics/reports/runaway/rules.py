"""Which rules cost, which were not seen to match or cannot, what of it nobody saw; and the picture of a program."""

from __future__ import annotations

import math
from collections import Counter
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
    hot_rules,
    idle_places,
    profile_programs,
    rule_counts,
)
from analytics.findings.rules.rule_findings import Claim, Reading, ReadingKind, readings
from analytics.findings.runaway.keys import Key
from analytics.findings.runaway.ranking import RankingRow
from analytics.findings.runaway.runaway import HISTORY, Evidence
from analytics.reports import charts, page
from analytics.reports.common import realm_name
from analytics.reports.page import Column
from analytics.reports.page import number as write
from analytics.reports.page.inline import Inline, Markup
from analytics.reports.runaway.finding_sentences import named
from analytics.reports.runaway.wording import plain_number, rounded, version_name
from analytics.warehouse.rule_verdicts import together

if TYPE_CHECKING:
    import pandas as pd

    from analytics.reports.page import Block
    from analytics.warehouse.warehouse import Warehouse

RULES = 8
"""Rules before the rest is folded away."""
_REPEATS = 1.05
"""Entries of one id in a run from which it is said to repeat."""


def _place(key: Key, place: str) -> Markup:
    """The place in strong letters, its program and realm below."""
    return Markup("<b>{}</b><small>{} v{} · {}</small>").format(
        page.author(place, 90),
        page.author(key.strategy, 40),
        key.version,
        page.author(realm_name(key.realm), 40),
    )


def hot_table(rules: Sequence[HotPlace]) -> Block:
    """Rules by the entries they leave."""
    most = max([rule.est_entry_share for rule in rules], default=1.0) or 1.0
    rows = [
        {
            "rule": _place(rule.key, rule.place),
            "share": page.share_bar(rule.est_entry_share, write.percent(round(rule.est_entry_share, 3)), most),
            "part": rule.part,
            "run": _per_run(rule),
            "match": _match(rule),
            "types": _types(rule),
            "hidden": page.worse(write.percent(round(rule.unseen, 2))) if rule.unseen >= 0.005 else page.mute("none"),
        }
        for rule in rules
    ]
    columns = [
        Column("rule", "Rule", role="name"),
        Column("share", "share of all entries"),
        Column("part", "of its program's", kind="percent"),
        Column("run", "entries a run, est.", align="right"),
        Column("match", "matches", align="right"),
        Column("types", "mostly"),
        Column("hidden", "after the cut", align="right"),
    ]
    return page.table(rows, columns, empty="No trace entry that can be counted is logged in this window.")


def _match(rule: HotPlace) -> Inline:
    if rule.cost is None or math.isnan(rule.cost.match):
        return page.mute("–")
    return write.percent(round(rule.cost.match, 2))


def _per_run(rule: HotPlace) -> Inline:
    if rule.cost is None:
        return page.mute("–")
    entries = rule.cost.entries
    value = write.number(entries.value, entries.low, entries.high)
    if entries.low == entries.high:  # every run is logged, and every one was read
        return value
    return Markup('{}<br><span class="sa-ci">{}</span>').format(
        value, write.bounds(entries.value, entries.low, entries.high)
    )


def _types(rule: HotPlace) -> Inline:
    if rule.cost is None or not rule.cost.repeats >= _REPEATS:
        return rule.types
    return Markup("{}<small>an id comes {} times a run</small>").format(
        rule.types, write.number(round(rule.cost.repeats, 1))
    )


def idle_blocks(rules: Sequence[IdlePlace], asked: int) -> tuple[list[Block], int, int]:
    """What was not seen to do anything, or to do one thing only, as blocks; how many rules were not seen to match, and cannot.

    Args:
        rules: ``idle_places``.
        asked: Places that were looked at.
    """
    judged = [rule for rule in rules if rule.reading.is_judged]
    lead = [rule for rule in judged if _leads(rule.reading)]
    always = [rule for rule in judged if rule.reading.claim in (Claim.ALWAYS, Claim.PROVEN_ALWAYS)]
    blocks: list[Block] = []
    if lead or always:
        blocks.append(page.subhead("Rules and conditions not seen to do anything, or seen to do one thing only"))
    if lead:
        shown, folded = _split(lead)
        blocks.append(idle_table(shown))
        blocks += [page.fold(f"{len(folded)} more", idle_table(folded))] if folded else []
    if always:
        word = "rule that matched in all its looks" if len(always) == 1 else "rules that matched in all their looks"
        blocks.append(page.fold(f"{len(always)} {word}", idle_table(always)))
    bounded = sum(not rule.reading.claim.is_proven for rule in judged)
    if bounded:
        blocks.append(page.note(_bounded(max(asked, bounded))))
    hidden = sum(rule.reading.claim is Claim.CANNOT_TELL for rule in rules)
    few = sum(not rule.reading.is_judged and rule.reading.claim is not Claim.CANNOT_TELL for rule in rules)
    notes = _left_out(few, hidden)
    blocks += [page.note(notes)] if notes else []
    claims = Counter(rule.reading.claim for rule in judged if rule.reading.kind is ReadingKind.RULE)
    return blocks, sum(claims[claim] for claim in _UNSEEN), sum(claims[claim] for claim in _IMPOSSIBLE)


_UNSEEN = (Claim.NEVER, Claim.UNREACHED)
_IMPOSSIBLE = (Claim.PROVEN_NEVER, Claim.PROVEN_UNREACHED)


def _leads(reading: Reading) -> bool:
    """Whether it stands before the rules that always match: a rule that never does, or a condition or value that does not vary."""
    return reading.claim in (*_UNSEEN, *_IMPOSSIBLE) or reading.kind is not ReadingKind.RULE


def _bounded(asked: int) -> str:
    """What the bounds are of, and that of many some do not hold."""
    text = "Not seen is not never: the log is a sample. Bounds are shares of a place's looks, the runs that come by it"
    if asked == 1:
        return f"{text} (exact binomial, 95 %). Only what is proven needs none."
    factor = write.number(math.ceil(together(asked) * 10) / 10)
    return (
        f"{text} (exact binomial, 95 %, each for itself). Of the {write.count(asked)} places that were looked at some may stand "
        f"here with a bound that is too low; taken {factor} times, all of them hold together. Only what is proven needs none."
    )


def _left_out(few: int, hidden: int) -> str | None:
    clauses = []
    if few:
        clauses.append(
            f"{few} more {'place' if few == 1 else 'places'} with fewer than 30 looks, or with looks that leave out a day of the "
            "week, too few to judge"
        )
    if hidden:
        clauses.append(
            f"{hidden} {'rule' if hidden == 1 else 'rules'} of which too much lies behind the cut, so nobody can tell"
        )
    return f"Left out: {'; '.join(clauses)}." if clauses else None


def _split(rules: Sequence[IdlePlace]) -> tuple[list[IdlePlace], list[IdlePlace]]:
    """The rows to read first, and the rest: one program full of such rules shall not hide those of the others."""
    counts: Counter[Key] = Counter()
    ranked = []
    for rule in rules:
        ranked.append((counts[rule.key], rule))
        counts[rule.key] += 1
    ordered = [rule for _, rule in sorted(ranked, key=lambda pair: pair[0])]
    return ordered[:RULES], ordered[RULES:]


def idle_table(rules: Sequence[IdlePlace]) -> Block:
    """Places that were not seen to do anything, or seen to do one thing only: how often they were looked at comes first."""
    rows = []
    for rule in rules:
        reading = rule.reading
        looks = "runs" if reading.claim is Claim.UNREACHED else "looks"
        note = Markup("<small>{}</small>").format(page.author(reading.note, 200)) if reading.note else ""
        rows.append(
            {
                "rule": _place(rule.key, reading.words),
                "looks": f"{write.count(reading.entry_count)} {looks}",
                "matched": write.count(reading.match_count),
                "reading": Markup("{}{}").format(page.author(reading.reading, 60), note),
                "bound": _bound(reading),
                "grade": reading.grade,
            }
        )
    columns = [
        Column("rule", "Rule", role="name"),
        Column("looks", "looked at, logged", align="right"),
        Column("matched", "of them so", align="right"),
        Column("reading", "reading"),
        Column("bound", "may be otherwise in", align="right"),
        Column("grade", kind="grade"),
    ]
    return page.table(rows, columns, empty="Every rule that was looked at matched in some runs and not in others.")


def _bound(reading: Reading) -> Inline:
    """How often it may be otherwise: of looks, and in runs."""
    if reading.claim.is_proven:
        return page.mute("none")
    share = reading.share_high if reading.share_high < 1 else 1 - reading.share_low
    bound = write.at_most(rounded(share * 100), unit="%")
    if not math.isfinite(reading.runs_high):
        return bound
    return Markup("{}<small>{} runs</small>").format(bound, write.at_most(reading.runs_high))


def unseen_table(found: Sequence[ProgramProfile]) -> Block:
    """How much of each program lies behind the cut, and how much of that could be worked out."""
    rows = []
    for one in found:
        sample = one.sample
        open_ = sample.followed_count - sample.complete_count
        rows.append(
            {
                "program": Markup("{}<small>{}</small>").format(
                    version_name(one.key), page.author(realm_name(one.key.realm), 40)
                ),
                "share": page.worse(write.percent(round(one.unseen, 3)) if one.unseen >= 0.0005 else "< 0.1\u00a0%"),
                "cut": f"{write.count(sample.cut_count)} of {write.count(sample.read_count)}",
                "followed": sample.followed_count,
                "complete": sample.complete_count,
                "open": write.count(open_) if open_ else page.mute("none"),
            }
        )
    columns = [
        Column("program", "Program", role="name"),
        Column("share", "entries after the cut", align="right"),
        Column("cut", "cut runs, of those read", align="right"),
        Column("followed", "followed behind it", kind="count"),
        Column("complete", "one way fits", kind="count"),
        Column("open", "left open", align="right"),
    ]
    return page.table(rows, columns)


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
