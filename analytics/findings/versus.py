"""What another version pays on the inputs of one run."""

from __future__ import annotations

import math
import re
from typing import Final

from analytics.findings import receipt_words as words
from analytics.findings.evidence import Definition, Evidence
from analytics.findings.tried import as_it_ran, instead_of, recorded
from analytics.program.instead import NOT_ASKED, NOT_RECORDED, Answer

_PATH: Final = re.compile(r"^field (?P<path>.*) was not precomputed$", re.S)


def versus(found: Evidence, other: Definition, label: str) -> str:
    """One sentence: points and case of the other version on what this run read, or why that cannot be told.

    Args:
        found: The run; its trace and program tell what it read.
        other: The other version's program.
        label: What to call it, as `Version 2`.
    """
    head = f"{label} on the same inputs"
    run = recorded(found)
    if found.trace is None or found.definition is None or run is None:
        return f"{head}: cannot be decided, for it is not known what this run read."
    own = instead_of(found.definition, found.definition, is_extend=found.is_extend)
    if found.is_ok:
        run = as_it_ran(own, run, found.run["points"], found.run["case_name"])
    said = instead_of(other, found.definition, is_extend=found.is_extend).pays(run)
    return f"{head}: {_told(found, said)}"


def _told(found: Evidence, said: Answer) -> str:
    if said.code is not None:
        return f"it fails with {said.code}."
    if not said.is_decided:
        return f"cannot be decided, for {_why(found, said.missing or NOT_RECORDED)}{_bounds(said)}."
    if not said.knows_case:
        return f"{words.points(said.low)}; which case cannot be decided."
    same = found.is_ok and said.case_name == found.run["case_name"] and said.case_name is not None
    return f"{words.points(said.low)}, {'same case' if same else words.case(said.case_name)}."


def _why(found: Evidence, missing: str) -> str:
    if match := _PATH.match(missing):
        return f"it reads {words.name(match['path'].strip(chr(39) + chr(34)))}, which this run did not"
    if missing == NOT_ASKED:
        return "the built-in did not run"
    if missing == NOT_RECORDED:
        cut = found.alignment is not None and found.alignment.end != "finished"
        return f"the built-in's answer is not recorded{', as the stored trace is cut' if cut else ''}"
    return missing.replace(" was asked", " would be asked")


def _bounds(said: Answer) -> str:
    """Between what the points lie, as far as that is known."""
    if math.isfinite(said.low) and math.isfinite(said.high):
        return f": between {words.points(said.low).split()[0]} and {words.points(said.high)}"
    return ""
