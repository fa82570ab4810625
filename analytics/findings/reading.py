"""What can be said of a place that was not seen to do anything, or seen to do one thing only, and how far that goes.

Two kinds of words, and they do not mix. *Not seen* is what a sample shows: so many logged looks, and how often it may
happen all the same. *Cannot* is what the program proves (``program.proofs``), whatever is logged.
"""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from analytics import looks as seen
from analytics.findings.evidence import read_json

if TYPE_CHECKING:
    from analytics.findings.node_profile import Looks

NEVER, UNREACHED, ALWAYS = "not seen to match", "not seen to be reached", "matched in all looks"
PROVEN_NEVER, PROVEN_UNREACHED = "cannot match (proven)", "cannot be reached (proven)"
PROVEN_ALWAYS, CANNOT = "always matches (proven)", "cannot tell"


@dataclass(frozen=True, slots=True)
class Reading:
    """One place that was not seen to do anything, or seen to do one thing only.

    Attributes:
        position: Of the place; of several, the first.
        kind: ``rule``, ``default``, ``condition`` or ``operand``.
        words: Which place, for a reader.
        rule_id: Id of the place.
        reading: What is said of it: one of the constants above; of conditions ``not seen true``, ``not seen false``, ``cannot be
            true (proven)``, ``cannot be false (proven)``; of operands ``only <value> seen``.
        match_count: Looks in which it matched, was true, or had the value.
        entry_count: Looks: logged runs that came by; of rules not seen to be reached, logged runs that could have.
        share_low, share_high: Bounds of the share of looks that match (that have the value, for operands), one-sided 95 %, of
            this place for itself.
        grade: ``good``, ``rough`` or ``too few``: then it is not judged.
        note: What else is known, in a clause.
        runs_high: How many runs the exception may be, at most; infinite where nothing bounds them.
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
    runs_high: float = math.inf

    @property
    def is_proven(self) -> bool:
        """The program says so, whatever is logged."""
        return self.reading.endswith("(proven)")


def verdict_of(reading: str, grade: str) -> str:
    """The verdict of the query dead_rules that a reading amounts to, of conditions and operands as of rules."""
    if reading in (PROVEN_ALWAYS, "cannot be false (proven)"):
        return seen.CANNOT_BUT
    if reading.endswith("(proven)"):
        return seen.CANNOT_MATCH
    if reading == CANNOT:
        return seen.CUT
    if grade == "too few":
        return seen.FEW_LOOKS
    return seen.NOT_SEEN if reading in (NEVER, UNREACHED, "not seen true") else seen.ALL_SEEN


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
