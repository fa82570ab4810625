"""Rules not seen to match, or seen to match in all looks; conditions that did not vary; and what a program proves of them.

What was not seen rests on counts of logged runs and says how far they bound it: exact binomial, one-sided 95 % (Clopper and
Pearson, *Biometrika* 26, 1934), over looks of the least sampling rate (``looks.effective``). Runs that may have come by behind the
cut of their trace count against it. Where that leaves nothing to say, the reading is ``cannot tell``. Runs that leave out a day of
the week judge nothing, however many they are: see ``rule_verdicts``. Only what the program proves is called impossible.
"""

from __future__ import annotations

import json
import math
from collections import Counter
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import TYPE_CHECKING

from analytics.findings.replay.run_evidence import read_json
from analytics.findings.replay.trace_variants import CONDITIONS
from analytics.findings.rules.node_profile import ELSE, ELSEIF, MATCH, SKIP, NodeProfile, ProgramProfile
from analytics.program import AstNode, words
from analytics.program.bounds import truth_of
from analytics.program.outcome import RuleFailure
from analytics.program.proofs import Proof
from analytics.warehouse import rule_verdicts
from analytics.warehouse import rule_verdicts as seen
from analytics.warehouse.rule_verdicts import FEW, MOST_HIDDEN

if TYPE_CHECKING:
    from analytics.findings.rules.node_profile import LookCounts


@dataclass(frozen=True, slots=True)
class Bound:
    """How often it may happen all the same.

    Attributes:
        share: Of looks, at most; exact binomial, one-sided 95 %.
        runs: How many runs that may be, at most.
        grade: ``good``, ``rough`` or ``too few``.
        note: Why these looks do not judge, in a clause; empty where they do.
    """

    share: float
    runs: float
    grade: str
    note: str


def bound_of(found: ProgramProfile, hidden: int, count: int, weight: float) -> Bound:
    """What so many looks bound.

    Args:
        found: The program, with the days its runs are of.
        hidden: Looks behind the cut that may be those which were not seen.
        count: Looks that were seen.
        weight: Sum of their weights.
    """
    most = found.sample.most_weight
    known = rule_verdicts.effective(count, weight, most)
    share = rule_verdicts.share_at_most(hidden, known + hidden)
    runs = rule_verdicts.runs_at_most(share, weight + hidden * most, most)
    days = found.sample.weekdays
    if days != rule_verdicts.ALL_WEEK and count >= rule_verdicts.FEW:
        return Bound(share, runs, "too few", f"looked at on {rule_verdicts.weekdays(days) or 'no known day'} only")
    return Bound(share, runs, rule_verdicts.grade_of(min(known, count)), "")


def denied(proof: Proof, true: int, false: int, count: int) -> bool:
    """The traces show what the program rules out: for once, the definition is not the program that ran."""
    return {"never": true, "always": false, "unreachable": count}[proof.what] > 0


class Claim(StrEnum):
    """What is said of a place, in the words of the page; those that the program proves need no look."""

    PROVEN_NEVER = "cannot match (proven)"
    PROVEN_UNREACHED = "cannot be reached (proven)"
    PROVEN_NOT_TRUE = "cannot be true (proven)"
    NEVER = "not seen to match"
    UNREACHED = "not seen to be reached"
    NOT_TRUE = "not seen true"
    PROVEN_NOT_FALSE = "cannot be false (proven)"
    NOT_FALSE = "not seen false"
    PROVEN_ALWAYS = "always matches (proven)"
    ALWAYS = "matched in all looks"
    ONE_VALUE = "only one value seen"
    CANNOT_TELL = "cannot tell"

    @property
    def is_proven(self) -> bool:
        """The program says so, whatever is logged."""
        return self in _PROVEN


_PROVEN = (
    Claim.PROVEN_NEVER,
    Claim.PROVEN_UNREACHED,
    Claim.PROVEN_NOT_TRUE,
    Claim.PROVEN_NOT_FALSE,
    Claim.PROVEN_ALWAYS,
)


class ReadingKind(StrEnum):
    """Which sort of place a reading is of."""

    RULE = "rule"
    DEFAULT = "default"
    CONDITION = "condition"
    OPERAND = "operand"


@dataclass(frozen=True, slots=True)
class Reading:
    """One place that was not seen to do anything, or seen to do one thing only.

    Attributes:
        position: Of the place; of several, the first.
        kind: Which sort of place.
        words: Which place, for a reader.
        rule_id: Id of the place.
        claim: What is said of it.
        match_count: Looks in which it matched, was true, or had the value.
        entry_count: Looks: logged runs that came by; of rules not seen to be reached, logged runs that could have.
        share_low, share_high: Bounds of the share of looks that match (that have the value, for operands), one-sided 95 %, of
            this place for itself.
        grade: ``good``, ``rough`` or ``too few``: then it is not judged.
        note: What else is known, in a clause.
        value: Of an operand the only value that was seen, where that may be told.
        runs_high: How many runs the exception may be, at most; infinite where nothing bounds them.
    """

    position: int
    kind: ReadingKind
    words: str
    rule_id: str | None
    claim: Claim
    match_count: int
    entry_count: int
    share_low: float
    share_high: float
    grade: str
    note: str | None = ""
    runs_high: float = math.inf
    value: str | None = None

    @property
    def reading(self) -> str:
        """The claim in words, with the value of an operand."""
        return self.claim.value if self.value is None else f"only {self.value} seen"

    @property
    def is_judged(self) -> bool:
        """It has looks enough to be judged."""
        return self.grade != "too few"


def verdict_of(claim: Claim, grade: str) -> str:
    """The verdict of the query dead_rules that a claim amounts to, of conditions and operands as of rules."""
    if claim in (Claim.PROVEN_ALWAYS, Claim.PROVEN_NOT_FALSE):
        return seen.CANNOT_BUT
    if claim.is_proven:
        return seen.CANNOT_MATCH
    if claim is Claim.CANNOT_TELL:
        return seen.CUT
    if grade == "too few":
        return seen.FEW_LOOKS
    return seen.NOT_SEEN if claim in (Claim.NEVER, Claim.UNREACHED, Claim.NOT_TRUE) else seen.ALL_SEEN


def value_words(text: str, limit: int = 40) -> str:
    """A JSON text, short enough to read."""
    said = json.dumps(read_json(text), ensure_ascii=False)
    return said if len(said) <= limit else said[: limit - 1] + "…"


def unseen_words(looks: LookCounts) -> str:
    """How much of what is said rests on no trace, in a clause."""
    clauses = []
    if looks.behind:
        part = "" if looks.behind == looks.sure else f"{looks.behind:,} of them "
        clauses.append(f"{part}worked out behind the cut, not seen in a trace")
    if looks.maybe:
        clauses.append(f"{looks.maybe:,} more cut runs may have come by")
    return "; ".join(clauses)


def joined(*clauses: str) -> str:
    """Clauses that say something, in one line."""
    return "; ".join(clause for clause in clauses if clause)


_SPELT = 3
"""Conditions of one list that are spelt out."""
_PRIVATE = "externalUserId"


def constant_conditions(found: ProgramProfile, outcomes: dict[int, bool]) -> list[Reading]:
    """Conditions not seen to vary, or that cannot. What follows from the one around is left out; alike ones of a list are one."""
    groups: dict[tuple[int, bool, bool], list[tuple[NodeProfile, bool]]] = {}
    for place in found.places:
        node, looks = place.node, place.looks
        if node.type not in CONDITIONS or node.type == "rule" or _is_dead(found, node):
            continue
        true, false = looks.counts((True,)), looks.counts((False,))
        value = next((v for v, other in ((True, false), (False, true)) if not sum(other) and looks.sure >= FEW), None)
        proof = _proof(found, place)
        if proof is not None:
            value = proof.what == "always"
        around = outcomes.get(node.parent_position) if node.parent_position is not None else None
        above = found.places[node.parent_position].node.type if node.parent_position is not None else None
        if value is None:
            continue
        implied = (above == "and" and around is True) or (above == "or" and around is False) or above == "not"
        seen = node.position in outcomes or (implied and around is not None)
        outcomes[node.position] = value
        if not seen:
            listed = node.parent_position if above in ("and", "or") else None
            group = (node.position if listed is None else listed, value, proof is not None)
            groups.setdefault(group, []).append((place, value))
    return [_condition(found, alike) for alike in groups.values()]


def _is_dead(found: ProgramProfile, node: AstNode) -> bool:
    """Its rule cannot match: that says all there is to say of what stands in it."""
    top = next(reversed(_above(found, node)), None)
    proof = found.proven.get(top) if top is not None else None
    return proof is not None and proof.what != "always"


def _proof(found: ProgramProfile, place: NodeProfile) -> Proof | None:
    """What the program proves of a condition, unless its traces show otherwise."""
    proof = found.proven.get(place.node.position)
    if proof is None or proof.what == "unreachable":  # that is said of its rule, or of the branch before
        return None
    true, false = (place.looks.counts((value,))[0] for value in (True, False))
    return None if denied(proof, true, false, place.looks.sure) else proof


def _condition(found: ProgramProfile, alike: list[tuple[NodeProfile, bool]]) -> Reading:
    place, value = alike[0]
    fewest = min((other.looks for other, _ in alike), key=lambda one: one.sure)
    looks = fewest.sure
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
    proof = _proof(found, place)
    if proof is not None:
        claim = Claim.PROVEN_NOT_FALSE if value else Claim.PROVEN_NOT_TRUE
        share = float(value)
        return Reading(
            node.position, ReadingKind.CONDITION, said, node.node_id, claim, looks if value else 0, looks, share, share, "good",
            proof.why if len(alike) == 1 else "", 0.0,
        )  # fmt: skip
    bound = bound_of(found, 0, looks, min(other.looks.weight for other, _ in alike))
    claim = Claim.NOT_FALSE if value else Claim.NOT_TRUE
    low, high = (1 - bound.share, 1.0) if value else (0.0, bound.share)
    note = why_constant(found, place) if len(alike) == 1 else ""
    note = joined(note, unseen_words(fewest), bound.note)
    return Reading(
        node.position, ReadingKind.CONDITION, said, node.node_id, claim, looks if value else 0, looks, low, high, bound.grade, note,
        bound.runs,
    )  # fmt: skip


def constant_operands(found: ProgramProfile, explained: set[int]) -> list[Reading]:
    """Fields that had the same value in all looks, each once, unless a condition that did not vary says it already."""
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
        if explained & set(_above(found, node)):
            quiet.add(key)
        if key not in best or count > best[key][0]:
            best[key] = (count, least, node.position)
    rows = []
    for key, (count, text, position) in best.items():
        if key not in varies and key not in quiet:
            place = found.places[position]
            value = None if key[1] == _PRIVATE else value_words(text)
            looks = place.looks
            weight = min(looks.weight, count * looks.weight / looks.sure) if looks.sure else 0.0
            bound = bound_of(found, 0, count, weight)
            rows.append(
                Reading(
                    position, ReadingKind.OPERAND, place.words, place.node.node_id, Claim.ONE_VALUE, count, count,
                    1 - bound.share, 1.0, bound.grade, bound.note, bound.runs, value,
                )
            )  # fmt: skip
    return rows


def _above(found: ProgramProfile, node: AstNode) -> list[int]:
    above = []
    while node.parent_position is not None:
        above.append(node.parent_position)
        node = found.places[node.parent_position].node
    return above


def why_constant(found: ProgramProfile, place: NodeProfile) -> str:
    """The fields below that were not seen to vary, which is why nothing above them did."""
    fields: dict[str, str] = {}
    top = place.node.position
    for position in range(top + 1, len(found.places)):
        node = found.places[position].node
        if node.depth <= place.node.depth:
            break
        in_condition = place.node.type != "rule" or _in_when(found, node, top)
        if node.type == "field" and in_condition and position in found.sample.values and node.path != _PRIVATE:
            count, least, most = found.sample.values[position]
            if least == most and count >= FEW:
                fields[str(node.path)] = value_words(least)
    return " and ".join(f"{path} was {value} in all looks" for path, value in list(fields.items())[:2])


def _in_when(found: ProgramProfile, node: AstNode, rule: int) -> bool:
    while node.parent_position is not None and node.parent_position != rule:
        node = found.places[node.parent_position].node
    return node.slot.endswith("when")


def readings(found: ProgramProfile) -> list[Reading]:
    """All that can be said of one program, in walk order."""
    outcomes: dict[int, bool] = {}
    rules = [row for place in found.places if place.node.type == "rule" for row in _rule(found, place, outcomes)]
    constant = constant_conditions(found, outcomes)
    fields = constant_operands(found, {row.position for row in constant} | set(outcomes))
    return sorted([*rules, *_default(found), *constant, *fields], key=lambda row: row.position)


# ---- rules -----------------------------------------------------------------------------------------------------------


def _rule(found: ProgramProfile, place: NodeProfile, outcomes: dict[int, bool]) -> list[Reading]:
    looks, at = place.looks, place.node.position
    matched, may_match = looks.counts((MATCH, ELSEIF))
    other, may_other = looks.counts((ELSE, SKIP))
    runs = sum(way.logged_count for way in found.sample.ways)
    when = at + 1 if _is_when(found, at + 1) else None
    if (proof := found.proven.get(at)) is not None and not denied(proof, matched, other, looks.sure):
        if when is not None and not looks.turns[ELSEIF]:
            outcomes[when] = proof.what == "always"
        return [_proven(place, proof, matched)]
    if not looks.sure and not looks.maybe:
        bound = bound_of(found, 0, runs, sum(way.weight for way in found.sample.ways))
        row = _row(place, Claim.UNREACHED, 0, runs, bound, _instead(found, place.node))
    elif not matched and not looks.sure:
        row = _row(place, Claim.CANNOT_TELL, 0, 0, None, "behind the cut of every trace")
    elif not matched and may_match <= MOST_HIDDEN * looks.sure:
        note = _instead(found, place.node) or ("its else branch runs instead" if looks.turns[ELSE] else "")
        bound = bound_of(found, may_match, looks.sure, looks.weight)
        row = _row(place, Claim.NEVER, 0, looks.sure, bound, joined(note, why_constant(found, place)))
        if when is not None:
            outcomes[when] = False
    elif not other and may_other <= MOST_HIDDEN * looks.sure:
        bound = bound_of(found, may_other, looks.sure, looks.weight)
        row = _row(place, Claim.ALWAYS, matched, looks.sure, bound, why_constant(found, place))
        if when is not None and not looks.turns[ELSEIF]:
            outcomes[when] = True
    elif not matched and looks.maybe + may_match:
        row = _row(place, Claim.CANNOT_TELL, 0, looks.sure, None, "too much lies behind the cut")
    else:
        return []
    return [row]


def _default(found: ProgramProfile) -> list[Reading]:
    """What a program does after its last rule, where no run was seen to come so far, or none can."""
    for place in found.places:
        if place.node.section == "default" and place.node.slot in ("default", "default[0]"):
            proof = found.proven.get(place.node.position)
            if proof is not None and not place.looks.sure:
                return [replace(_proven(place, proof, 0), kind=ReadingKind.DEFAULT)]
            if not place.looks.sure and not place.looks.maybe:
                ways = found.sample.ways
                runs = sum(way.logged_count for way in ways)
                bound = bound_of(found, 0, runs, sum(way.weight for way in ways))
                return [replace(_row(place, Claim.UNREACHED, 0, runs, bound), kind=ReadingKind.DEFAULT)]
    return []


def _proven(place: NodeProfile, proof: Proof, matched: int) -> Reading:
    claim = {
        "never": Claim.PROVEN_NEVER, "unreachable": Claim.PROVEN_UNREACHED, "always": Claim.PROVEN_ALWAYS
    }[proof.what]  # fmt: skip
    share = float(proof.what == "always")
    return Reading(
        place.node.position, ReadingKind.RULE, place.words, place.node.node_id, claim, matched, place.looks.sure, share, share,
        "good", proof.why, 0.0,
    )  # fmt: skip


def _row(place: NodeProfile, claim: Claim, hits: int, looks: int, bound: Bound | None, note: str = "") -> Reading:
    grade = "too few" if bound is None else bound.grade
    if claim not in (Claim.CANNOT_TELL, Claim.UNREACHED):
        note = joined(note, unseen_words(place.looks))
    if bound is None:
        low, high, runs = 0.0, 1.0, math.inf
    else:
        low, high = (1 - bound.share, 1.0) if claim is Claim.ALWAYS else (0.0, bound.share)
        runs, note = bound.runs, joined(note, bound.note)
    return Reading(
        place.node.position,
        ReadingKind.RULE,
        place.words,
        place.node.node_id,
        claim,
        hits,
        looks,
        low,
        high,
        grade,
        note,
        runs,
    )


def _instead(found: ProgramProfile, node: AstNode) -> str:
    """The earlier rule that took the logged runs: those that would have matched, or else all that came as far as it.

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
        runs = (
            f"{count} of the {asked} logged runs that ended there" if asked > 1 else "the logged run that ended there"
        )
        return f"{_rule_words(found, node, rule)} came first: it would have matched in {runs}"
    place = next((place for place in found.places if place.node.position == node.position), None)
    if place is None or place.looks.sure or not ended:
        return ""
    last = max(ended)
    came = next(p.looks.sure for p in found.places if _is_rule(p.node, node.section, last))
    return f"{_rule_words(found, node, last)} ended all {came:,} logged runs that came by"


def _is_rule(node: AstNode, section: str, index: int) -> bool:
    return node.type == "rule" and node.parent_position is None and (node.section, node.rule_index) == (section, index)


def _rule_words(found: ProgramProfile, node: AstNode, index: int) -> str:
    return next(place.words for place in found.places if _is_rule(place.node, node.section, index))


def _is_when(found: ProgramProfile, position: int) -> bool:
    return position < len(found.places) and found.places[position].node.slot == "when"
