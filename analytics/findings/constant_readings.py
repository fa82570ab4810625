"""Conditions that were not seen to vary and fields that were seen with one value only, and which of these say something new."""

from __future__ import annotations

from typing import Any

from analytics.findings.bounds_of_looks import bound_of, denied
from analytics.findings.node_profile import Place, Profile
from analytics.findings.reading import Reading, joined, unseen_words, value_words
from analytics.findings.variants import CONDITIONS
from analytics.looks import FEW
from analytics.program import AstNode, words
from analytics.program.proofs import Proof

_SPELT = 3
"""Conditions of one list that are spelt out."""
_PRIVATE = "externalUserId"


def conditions(found: Profile, told: dict[int, bool]) -> list[Reading]:
    """Conditions not seen to vary, or that cannot. What follows from the one around is left out; alike ones of a list are one."""
    groups: dict[tuple[int, bool, bool], list[tuple[Place, bool]]] = {}
    for place in found.places:
        node, looks = place.node, place.looks
        if node.type not in CONDITIONS or node.type == "rule" or _is_dead(found, node):
            continue
        true, false = looks.counts((True,)), looks.counts((False,))
        value = next((v for v, other in ((True, false), (False, true)) if not sum(other) and looks.sure >= FEW), None)
        proof = _proof(found, place)
        if proof is not None:
            value = proof.what == "always"
        around = told.get(node.parent_position) if node.parent_position is not None else None
        above = found.places[node.parent_position].node.type if node.parent_position is not None else None
        if value is None:
            continue
        implied = (above == "and" and around is True) or (above == "or" and around is False) or above == "not"
        seen = node.position in told or (implied and around is not None)
        told[node.position] = value
        if not seen:
            listed = node.parent_position if above in ("and", "or") else None
            group = (node.position if listed is None else listed, value, proof is not None)
            groups.setdefault(group, []).append((place, value))
    return [_condition(found, alike) for alike in groups.values()]


def _is_dead(found: Profile, node: AstNode) -> bool:
    """Its rule cannot match: that says all there is to say of what stands in it."""
    top = next(reversed(_above(found, node)), None)
    proof = found.proven.get(top) if top is not None else None
    return proof is not None and proof.what != "always"


def _proof(found: Profile, place: Place) -> Proof | None:
    """What the program proves of a condition, unless its traces show otherwise."""
    proof = found.proven.get(place.node.position)
    if proof is None or proof.what == "unreachable":  # that is said of its rule, or of the branch before
        return None
    true, false = (place.looks.counts((value,))[0] for value in (True, False))
    return None if denied(proof, true, false, place.looks.sure) else proof


def _condition(found: Profile, alike: list[tuple[Place, bool]]) -> Reading:
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
        reading = "cannot be false (proven)" if value else "cannot be true (proven)"
        share = float(value)
        return Reading(
            node.position, "condition", said, node.node_id, reading, looks if value else 0, looks, share, share, "good",
            proof.why if len(alike) == 1 else "", 0.0,
        )  # fmt: skip
    bound = bound_of(found, 0, looks, min(other.looks.weight for other, _ in alike))
    reading = "not seen false" if value else "not seen true"
    low, high = (1 - bound.share, 1.0) if value else (0.0, bound.share)
    note = why(found, place) if len(alike) == 1 else ""
    note = joined(note, unseen_words(fewest), bound.note)
    return Reading(
        node.position, "condition", said, node.node_id, reading, looks if value else 0, looks, low, high, bound.grade, note,
        bound.runs,
    )  # fmt: skip


def operands(found: Profile, told: set[int]) -> list[Reading]:
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
        if told & set(_above(found, node)):
            quiet.add(key)
        if key not in best or count > best[key][0]:
            best[key] = (count, least, node.position)
    rows = []
    for key, (count, text, position) in best.items():
        if key not in varies and key not in quiet:
            place = found.places[position]
            said = "only one value seen" if key[1] == _PRIVATE else f"only {value_words(text)} seen"
            looks = place.looks
            weight = min(looks.weight, count * looks.weight / looks.sure) if looks.sure else 0.0
            bound = bound_of(found, 0, count, weight)
            rows.append(
                Reading(
                    position, "operand", place.words, place.node.node_id, said, count, count, 1 - bound.share, 1.0,
                    bound.grade, bound.note, bound.runs,
                )
            )  # fmt: skip
    return rows


def _above(found: Profile, node: AstNode) -> list[int]:
    above = []
    while node.parent_position is not None:
        above.append(node.parent_position)
        node = found.places[node.parent_position].node
    return above


def why(found: Profile, place: Place) -> str:
    """The fields below that were not seen to vary, which is why nothing above them did."""
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
    return " and ".join(f"{path} was {value} in all looks" for path, value in list(fields.items())[:2])


def _in_when(found: Profile, node: AstNode, rule: int) -> bool:
    while node.parent_position is not None and node.parent_position != rule:
        node = found.places[node.parent_position].node
    return node.slot.endswith("when")
