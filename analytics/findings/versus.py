"""What another version pays on the inputs of one run."""

from __future__ import annotations

import re
from typing import Any, Final

from analytics.findings import receipt_words as words
from analytics.findings.evidence import Definition, Evidence, event_fields
from analytics.program import Alignment, Outcome
from analytics.program.replay import run_again

_PATH: Final = re.compile(r"^field (?P<path>.*) was not precomputed$", re.S)


def versus(found: Evidence, other: Definition, label: str) -> str:
    """One sentence: points and case of the other version on what this run read, or why that cannot be told.

    Args:
        found: The run; its trace and program tell what it read.
        other: The other version's program.
        label: What to call it, as `Version 2`.
    """
    beside = found.alignment
    if found.trace is None or found.definition is None or beside is None or not beside.fits:
        return f"{label} on the same inputs: cannot be decided, for it is not known what this run read."
    if found.is_extend:
        return f"{label} on the same inputs: {_extended(found, beside, other)}"
    return f"{label} on the same inputs: {_told(found, _again(found, beside, other))}"


def _again(found: Evidence, beside: Alignment, other: Definition) -> Outcome:
    run = found.run
    return run_again(
        other.program,
        beside,
        is_extend=found.is_extend,
        points=run["points"],
        case_name=run["case_name"],
        known=event_fields(run),
    )


def _extended(found: Evidence, beside: Alignment, other: Definition) -> str:
    """The built-in does not run again: the other version must give it the same data, and its answer must be known."""
    if not found.is_ok:
        return "cannot be decided, for the built-in's answer is not known."
    assert found.definition is not None  # noqa: S101  # asked before
    fields = {**event_fields(found.run), **beside.fields}
    data: list[Any] = []
    for program in (found.definition.program, other.program):
        before = program.run(fields, phase="pre") if program.ast.get("pre_rules") else Outcome()
        if not before.ok or before.vetoed:
            if program is other.program:
                return _told(found, before)
            return "cannot be decided, for the built-in did not run."
        data.append(before.working_data)
    if data[0] != data[1]:
        return "cannot be decided, for the built-in would see other data."
    changes = {"set_points": "parent.points", "set_case_name": "parent.case_name"}
    nodes = found.definition.outline.nodes
    for position in beside.positions:
        if (path := changes.get(str(nodes[position].type))) and path not in beside.post_fields:
            return "cannot be decided, for the built-in's answer is not recorded."
    if beside.end != "finished":
        return "cannot be decided, for the stored trace is cut."
    return _told(found, _again(found, beside, other))


def _told(found: Evidence, outcome: Outcome) -> str:
    if outcome.error_code == "DSL_FIELD_NOT_PRECOMPUTED":
        match = _PATH.match(outcome.error_detail or "")
        path = words.name(match["path"].strip("'\"")) if match else "a field"
        return f"cannot be decided, for it reads {path}, which this run did not."
    if not outcome.ok:
        return f"it fails with {outcome.error_code}."
    same = found.is_ok and outcome.case_name == found.run["case_name"]
    case = words.case(outcome.case_name)
    return f"{words.points(outcome.points)}, {'same case' if same and outcome.case_name is not None else case}."
