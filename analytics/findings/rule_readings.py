"""Rules that do nothing or always the same, conditions that never vary, rules that an earlier one keeps from their turn.

A reading rests on counts of logged runs and says how far they bound what was not seen: exact binomial, one-sided 95 % (Clopper
and Pearson, *Biometrika* 26, 1934). Runs that may have come by behind the cut of their trace count against it. Where that leaves
nothing to say, the reading is ``cannot tell``; nothing behind a cut is called dead.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import Any

from analytics import estimates
from analytics.findings.node_profile import Place, Profile
from analytics.findings.program_sample import value_words
from analytics.findings.rule_costs import ELSE, ELSEIF, MATCH, SKIP
from analytics.findings.variants import CONDITIONS
from analytics.program import AstNode, words
from analytics.program.bounds import truth_of
from analytics.program.outcome import RuleFailure

FEW, ENOUGH = 30, 300
"""Logged looks below which "never" and "always" may be chance, and from which they can be acted on."""
NEVER, UNREACHED, ALWAYS, CANNOT = "never matched", "never reached", "always matches", "cannot tell"
_MOST_UNSEEN = 0.05
"""Share of looks that nobody saw, up to which the others still tell."""
_SPELT = 3
"""Conditions of one list that are spelt out."""
_PRIVATE = "externalUserId"


@dataclass(frozen=True, slots=True)
class Reading:
    """One place that does nothing, or always the same.

    Attributes:
        position: Of the place; of several, the first.
        kind: ``rule``, ``condition`` or ``operand``.
        words: Which place, for a reader.
        rule_id: Id of the place.
        reading: What is said of it: one of the constants above, or ``always true``, ``always false``, ``always <value>``.
        match_count: Looks in which it matched, was true, or had the value.
        entry_count: Looks: logged runs that came by; of rules never reached, logged runs that could have.
        share_low, share_high: Bounds of the share of matches (of other values, for operands).
        grade: ``good``, ``rough`` or ``too few``.
        note: What else is known, in a clause.
    """

    position: int
    kind: str
    words: str
    rule_id: str | None
    reading: str
    match_count: int
    entry_count: int
    share_low: float
    share_high: float
    grade: str
    note: str = ""


def at_most(hits: int, looks: int) -> float:
    """Upper bound of a share of which so many hits were seen."""
    from scipy import special

    return float(special.betaincinv(hits + 1, looks - hits, estimates.CONFIDENCE)) if hits < looks else 1.0


def grade_of(looks: int) -> str:
    """How far to trust that something never happens, by the number of looks."""
    return "good" if looks >= ENOUGH else "rough" if looks >= FEW else "too few"


def readings(found: Profile) -> list[Reading]:
    """All that can be said of one program, in walk order."""
    told: dict[int, bool] = {}
    rules = [row for place in found.places if place.node.type == "rule" for row in _rule(found, place, told)]
    conditions = _conditions(found, told)
    operands = _operands(found, {row.position for row in conditions} | set(told))
    return sorted([*rules, *conditions, *operands], key=lambda row: row.position)


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
        row = _row(place, NEVER, 0, looks.sure, 0.0, at_most(may_match, known), _join(note, _why(found, place)))
        if when is not None:
            told[when] = False
    elif not other and may_other <= _MOST_UNSEEN * looks.sure:
        known = looks.sure + may_other
        row = _row(place, ALWAYS, matched, looks.sure, 1 - at_most(may_other, known), 1.0, _why(found, place))
        if when is not None and not looks.turns[ELSEIF]:
            told[when] = True
    elif not matched and looks.maybe + may_match:
        row = _row(place, CANNOT, 0, looks.sure, 0.0, 1.0, "too much lies behind the cut")
    else:
        return []
    return [row]


def _row(place: Place, reading: str, hits: int, looks: int, low: float, high: float, note: str = "") -> Reading:
    grade = "too few" if reading == CANNOT else grade_of(looks)
    if place.looks.maybe and reading not in (CANNOT, UNREACHED):
        note = _join(note, f"{place.looks.maybe} cut runs may have come by unseen")
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


# ---- conditions and operands -----------------------------------------------------------------------------------------


def _conditions(found: Profile, told: dict[int, bool]) -> list[Reading]:
    """Conditions that never vary. What follows from the one around it is left out, alike ones of one list are one row."""
    groups: dict[tuple[int, bool], list[tuple[Place, bool]]] = {}
    for place in found.places:
        node, looks = place.node, place.looks
        if node.type not in CONDITIONS or node.type == "rule":
            continue
        true, false = looks.counts((True,)), looks.counts((False,))
        value = next((v for v, other in ((True, false), (False, true)) if not sum(other) and looks.sure >= FEW), None)
        around = told.get(node.parent_position) if node.parent_position is not None else None
        above = found.places[node.parent_position].node.type if node.parent_position is not None else None
        if value is None:
            continue
        implied = (above == "and" and around is True) or (above == "or" and around is False) or above == "not"
        seen = node.position in told or (implied and around is not None)
        told[node.position] = value
        if not seen:
            listed = node.parent_position if above in ("and", "or") else None
            groups.setdefault((node.position if listed is None else listed, value), []).append((place, value))
    return [_condition(found, alike) for alike in groups.values()]


def _condition(found: Profile, alike: list[tuple[Place, bool]]) -> Reading:
    place, value = alike[0]
    looks = min(other.looks.sure for other, _ in alike)
    bound = at_most(0, looks)
    node = place.node
    count = sum(other.node.parent_position == node.position for other in found.places)
    # Spelt out, a ladder of many conditions would say less than their number.
    long = node.type in ("and", "or") and count > _SPELT
    said = f"{place.words.partition(' › ')[0]} › an {node.type} of {count} conditions" if long else place.words
    if len(alike) > 1:
        parent = found.places[place.node.parent_position or 0]
        rule = place.words.partition(" › ")[0]
        own = words.place(found.sample.definition.outline, place.node.position).partition(" › ")[2]
        listed = sum(other.node.parent_position == parent.node.position for other in found.places)
        said = f"{rule} › {len(alike)} of the {listed} conditions of an {parent.node.type}, the first: {own}"
    reading = "always true" if value else "always false"
    low, high = (1 - bound, 1.0) if value else (0.0, bound)
    note = _why(found, place) if len(alike) == 1 else ""
    if place.looks.maybe:
        note = _join(note, f"{place.looks.maybe} cut runs may have come by unseen")
    return Reading(
        place.node.position, "condition", said, place.node.node_id, reading, looks if value else 0, looks, low, high,
        grade_of(looks), note,
    )  # fmt: skip


def _operands(found: Profile, told: set[int]) -> list[Reading]:
    """Fields that always had the same value, each once, unless a condition that never varies says it already."""
    best: dict[tuple[bool, str], tuple[int, str, int]] = {}
    varies: set[tuple[bool, str]] = set()
    quiet: set[tuple[bool, str]] = set()
    for place in found.places:
        node = place.node
        if node.type != "field" or node.path is None or node.position not in found.sample.values:
            continue
        key = (node.section == "post_rules", node.path)
        count, least, most = found.sample.values[node.position]
        if least != most or (key in best and best[key][1] != least):
            varies.add(key)
        if told & set(_above(found, node)):
            quiet.add(key)
        if key not in best or count > best[key][0]:
            best[key] = (count, least, node.position)
    rows = []
    for key, (count, text, position) in best.items():
        if key not in varies and key not in quiet:
            place = found.places[position]
            said = "always the same" if key[1] == _PRIVATE else f"always {value_words(text)}"
            rows.append(
                Reading(
                    position, "operand", place.words, place.node.node_id, said, count, count, 1 - at_most(0, count), 1.0,
                    grade_of(count),
                )
            )  # fmt: skip
    return rows


def _above(found: Profile, node: AstNode) -> list[int]:
    above = []
    while node.parent_position is not None:
        above.append(node.parent_position)
        node = found.places[node.parent_position].node
    return above


def _why(found: Profile, place: Place) -> str:
    """The fields below that never varied, which is why nothing above them does."""
    fields: dict[str, str] = {}
    top = place.node.position
    for position in range(top + 1, len(found.places)):
        node: Any = found.places[position].node
        if node.depth <= place.node.depth:
            break
        in_condition = place.node.type != "rule" or _in_when(found, node, top)
        if node.type == "field" and in_condition and position in found.sample.values and node.path != _PRIVATE:
            count, least, most = found.sample.values[position]
            if least == most and count >= FEW:
                fields[str(node.path)] = value_words(least)
    return " and ".join(f"{path} is always {value}" for path, value in list(fields.items())[:2])


def _in_when(found: Profile, node: AstNode, rule: int) -> bool:
    while node.parent_position is not None and node.parent_position != rule:
        node = found.places[node.parent_position].node
    return node.slot.endswith("when")


def _join(*clauses: str) -> str:
    return "; ".join(clause for clause in clauses if clause)
