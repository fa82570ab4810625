"""Rules that do nothing or always the same, conditions that never vary, rules that an earlier one keeps from their turn.

A reading rests on counts of logged runs and says how far they bound what was not seen: exact binomial, one-sided 95 % (Clopper
and Pearson, *Biometrika* 26, 1934). Runs that may have come by behind the cut of their trace count against it. Where that leaves
nothing to say, the reading is ``cannot tell``; nothing behind a cut is called dead.
"""

from __future__ import annotations

from collections import Counter

from analytics.findings.constant_readings import conditions, operands, why
from analytics.findings.node_profile import Place, Profile
from analytics.findings.reading import (
    ALWAYS,
    CANNOT,
    NEVER,
    UNREACHED,
    Reading,
    at_most,
    grade_of,
    joined,
    unseen_words,
)
from analytics.findings.rule_costs import ELSE, ELSEIF, MATCH, SKIP
from analytics.program import AstNode
from analytics.program.bounds import truth_of
from analytics.program.outcome import RuleFailure

_MOST_UNSEEN = 0.05
"""Share of looks that nobody saw, up to which the others still tell."""


def readings(found: Profile) -> list[Reading]:
    """All that can be said of one program, in walk order."""
    told: dict[int, bool] = {}
    rules = [row for place in found.places if place.node.type == "rule" for row in _rule(found, place, told)]
    constant = conditions(found, told)
    fields = operands(found, {row.position for row in constant} | set(told))
    return sorted([*rules, *constant, *fields], key=lambda row: row.position)


# ---- rules -----------------------------------------------------------------------------------------------------------


def _rule(found: Profile, place: Place, told: dict[int, bool]) -> list[Reading]:
    looks, at = place.looks, place.node.position
    matched, may_match = looks.counts((MATCH, ELSEIF))
    other, may_other = looks.counts((ELSE, SKIP))
    runs = sum(way.logged_count for way in found.sample.ways)
    when = at + 1 if _is_when(found, at + 1) else None
    if not looks.sure and not looks.maybe:
        row = _row(place, UNREACHED, 0, runs, 0.0, at_most(0, runs), _shadow(found, place.node))
    elif not matched and not looks.sure:
        row = _row(place, CANNOT, 0, 0, 0.0, 1.0, "behind the cut of every trace")
    elif not matched and may_match <= _MOST_UNSEEN * looks.sure:
        note = _shadow(found, place.node) or ("its else branch runs instead" if looks.turns[ELSE] else "")
        known = looks.sure + may_match
        row = _row(place, NEVER, 0, looks.sure, 0.0, at_most(may_match, known), joined(note, why(found, place)))
        if when is not None:
            told[when] = False
    elif not other and may_other <= _MOST_UNSEEN * looks.sure:
        known = looks.sure + may_other
        row = _row(place, ALWAYS, matched, looks.sure, 1 - at_most(may_other, known), 1.0, why(found, place))
        if when is not None and not looks.turns[ELSEIF]:
            told[when] = True
    elif not matched and looks.maybe + may_match:
        row = _row(place, CANNOT, 0, looks.sure, 0.0, 1.0, "too much lies behind the cut")
    else:
        return []
    return [row]


def _row(place: Place, reading: str, hits: int, looks: int, low: float, high: float, note: str = "") -> Reading:
    grade = "too few" if reading == CANNOT else grade_of(looks)
    if reading not in (CANNOT, UNREACHED):
        note = joined(note, unseen_words(place.looks))
    return Reading(
        place.node.position, "rule", place.words, place.node.node_id, reading, hits, looks, low, high, grade, note
    )


def _shadow(found: Profile, node: AstNode) -> str:
    """The earlier rule that took the runs: those that would have matched, or else all that came as far as it.

    Fields that a run did not read are not guessed: what cannot be decided is no evidence.
    """
    nodes, spots = found.sample.definition.outline.nodes, found.sample.definition.outline.spots
    when = spots[node.position].below.get("when")
    would: Counter[int] = Counter()
    ended: Counter[int] = Counter()
    for end, fields in found.sample.kept:
        if end is None or nodes[end].section != node.section or nodes[end].rule_index is None:
            continue
        rule = int(nodes[end].rule_index or 0)
        if node.rule_index is None or rule >= node.rule_index:
            continue
        ended[rule] += 1
        try:
            would[rule] += when is not None and truth_of(when.node, fields) is True
        except RuleFailure:
            continue
    if +would:
        rule, count = would.most_common(1)[0]
        asked = ended[rule]
        runs = f"{count} of the {asked} runs that ended there" if asked > 1 else "the run that ended there"
        return f"shadowed by {_rule_words(found, node, rule)}: it would have matched in {runs}"
    place = next((place for place in found.places if place.node.position == node.position), None)
    if place is None or place.looks.sure or not ended:
        return ""
    last = max(ended)
    came = next(p.looks.sure for p in found.places if _is_rule(p.node, node.section, last))
    return f"shadowed by {_rule_words(found, node, last)}, which ended all {came:,} runs that came by"


def _is_rule(node: AstNode, section: str, index: int) -> bool:
    return node.type == "rule" and node.parent_position is None and (node.section, node.rule_index) == (section, index)


def _rule_words(found: Profile, node: AstNode, index: int) -> str:
    return next(place.words for place in found.places if _is_rule(place.node, node.section, index))


def _is_when(found: Profile, position: int) -> bool:
    return position < len(found.places) and found.places[position].node.slot == "when"
