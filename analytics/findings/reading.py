"""What can be said of a place that does nothing, or always the same, and how far logged counts bound it."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING

from analytics import estimates
from analytics.findings.evidence import read_json

if TYPE_CHECKING:
    from analytics.findings.node_profile import Looks

FEW, ENOUGH = 30, 300
"""Logged looks below which "never" and "always" may be chance, and from which they can be acted on."""
NEVER, UNREACHED, ALWAYS, CANNOT = "never matched", "never reached", "always matches", "cannot tell"


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


def value_words(text: str, limit: int = 40) -> str:
    """A JSON text, short enough to read."""
    said = json.dumps(read_json(text), ensure_ascii=False)
    return said if len(said) <= limit else said[: limit - 1] + "…"


def unseen_words(looks: Looks) -> str:
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
