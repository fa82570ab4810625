"""Tables of rules: the hot ones, those not seen to match or seen to match in all looks, and how much of each program nobody saw."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from typing import TYPE_CHECKING

from analytics.findings.rules.node_profile import ProgramProfile
from analytics.findings.rules.program_profiles import HotPlace, IdlePlace
from analytics.findings.rules.rule_findings import Claim, Reading, ReadingKind
from analytics.findings.runaway.keys import Key
from analytics.reports import page
from analytics.reports.common import realm_name
from analytics.reports.page import Column
from analytics.reports.page import number as write
from analytics.reports.page.inline import Inline, Markup
from analytics.reports.runaway.wording import rounded, version_name
from analytics.warehouse.rule_verdicts import together

if TYPE_CHECKING:
    from analytics.reports.page import Block

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
    return Markup('{}<br><span class="ci">{}</span>').format(
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
