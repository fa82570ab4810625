"""Rules not seen to match, or seen to match in all looks; conditions that did not vary; and what a program proves of them.

What was not seen rests on counts of logged runs and says how far they bound it: exact binomial, one-sided 95 % (Clopper and
Pearson, *Biometrika* 26, 1934), over looks of the least sampling rate (``looks.effective``). Runs that may have come by behind the
cut of their trace count against it. Where that leaves nothing to say, the reading is ``cannot tell``. Runs that leave out a day of
the week judge nothing, however many they are: see ``rule_verdicts``. Only what the program proves is called impossible.
"""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import replace

from analytics.findings.bounds_of_looks import Bound, bound_of, denied
from analytics.findings.constant_readings import conditions, operands, why
from analytics.findings.node_profile import ELSE, ELSEIF, MATCH, SKIP, Place, Profile
from analytics.findings.reading import (
    ALWAYS,
    CANNOT,
    NEVER,
    PROVEN_ALWAYS,
    PROVEN_NEVER,
    PROVEN_UNREACHED,
    UNREACHED,
    Reading,
    joined,
    unseen_words,
)
from analytics.looks import MOST_HIDDEN
from analytics.program import AstNode
from analytics.program.bounds import truth_of
from analytics.program.outcome import RuleFailure
from analytics.program.proofs import Proof


def readings(found: Profile) -> list[Reading]:
    """All that can be said of one program, in walk order."""
    told: dict[int, bool] = {}
    rules = [row for place in found.places if place.node.type == "rule" for row in _rule(found, place, told)]
    constant = conditions(found, told)
    fields = operands(found, {row.position for row in constant} | set(told))
    return sorted([*rules, *_default(found), *constant, *fields], key=lambda row: row.position)


# ---- rules -----------------------------------------------------------------------------------------------------------


def _rule(found: Profile, place: Place, told: dict[int, bool]) -> list[Reading]:
    looks, at = place.looks, place.node.position
    matched, may_match = looks.counts((MATCH, ELSEIF))
    other, may_other = looks.counts((ELSE, SKIP))
    runs = sum(way.logged_count for way in found.sample.ways)
    when = at + 1 if _is_when(found, at + 1) else None
    if (proof := found.proven.get(at)) is not None and not denied(proof, matched, other, looks.sure):
        if when is not None and not looks.turns[ELSEIF]:
            told[when] = proof.what == "always"
        return [_proven(place, proof, matched)]
    if not looks.sure and not looks.maybe:
        bound = bound_of(found, 0, runs, sum(way.weight for way in found.sample.ways))
        row = _row(found, place, UNREACHED, 0, runs, bound, _instead(found, place.node))
    elif not matched and not looks.sure:
        row = _row(found, place, CANNOT, 0, 0, None, "behind the cut of every trace")
    elif not matched and may_match <= MOST_HIDDEN * looks.sure:
        note = _instead(found, place.node) or ("its else branch runs instead" if looks.turns[ELSE] else "")
        bound = bound_of(found, may_match, looks.sure, looks.weight)
        row = _row(found, place, NEVER, 0, looks.sure, bound, joined(note, why(found, place)))
        if when is not None:
            told[when] = False
    elif not other and may_other <= MOST_HIDDEN * looks.sure:
        bound = bound_of(found, may_other, looks.sure, looks.weight)
        row = _row(found, place, ALWAYS, matched, looks.sure, bound, why(found, place))
        if when is not None and not looks.turns[ELSEIF]:
            told[when] = True
    elif not matched and looks.maybe + may_match:
        row = _row(found, place, CANNOT, 0, looks.sure, None, "too much lies behind the cut")
    else:
        return []
    return [row]


def _default(found: Profile) -> list[Reading]:
    """What a program does after its last rule, where no run was seen to come so far, or none can."""
    for place in found.places:
        if place.node.section == "default" and place.node.slot in ("default", "default[0]"):
            proof = found.proven.get(place.node.position)
            if proof is not None and not place.looks.sure:
                return [replace(_proven(place, proof, 0), kind="default")]
            if not place.looks.sure and not place.looks.maybe:
                ways = found.sample.ways
                runs = sum(way.logged_count for way in ways)
                bound = bound_of(found, 0, runs, sum(way.weight for way in ways))
                return [replace(_row(found, place, UNREACHED, 0, runs, bound), kind="default")]
    return []


def _proven(place: Place, proof: Proof, matched: int) -> Reading:
    words = {"never": PROVEN_NEVER, "unreachable": PROVEN_UNREACHED, "always": PROVEN_ALWAYS}[proof.what]
    share = float(proof.what == "always")
    return Reading(
        place.node.position, "rule", place.words, place.node.node_id, words, matched, place.looks.sure, share, share, "good",
        proof.why, 0.0,
    )  # fmt: skip


def _row(
    found: Profile, place: Place, reading: str, hits: int, looks: int, bound: Bound | None, note: str = ""
) -> Reading:
    grade = "too few" if bound is None else bound.grade
    if reading not in (CANNOT, UNREACHED):
        note = joined(note, unseen_words(place.looks))
    if bound is None:
        low, high, runs = 0.0, 1.0, math.inf
    else:
        low, high = (1 - bound.share, 1.0) if reading == ALWAYS else (0.0, bound.share)
        runs, note = bound.runs, joined(note, bound.note)
    return Reading(
        place.node.position, "rule", place.words, place.node.node_id, reading, hits, looks, low, high, grade, note, runs
    )


def _instead(found: Profile, node: AstNode) -> str:
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


def _rule_words(found: Profile, node: AstNode, index: int) -> str:
    return next(place.words for place in found.places if _is_rule(place.node, node.section, index))


def _is_when(found: Profile, position: int) -> bool:
    return position < len(found.places) and found.places[position].node.slot == "when"
