"""Run the program again on the values a trace recorded, and compare."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final, Literal

from analytics.program.align import Alignment, align
from analytics.program.evaluate import Program, joined
from analytics.program.outcome import Outcome, ParentResult, as_written, same_json
from analytics.program.walk import outline

Verdict = Literal["reproduced", "differs", "undecided"]

#: The run did end, so whatever its cap was, it is not what ended it.
_NO_CAP: Final = 10**9


def _unchanged(value: Any) -> Any:
    return value


@dataclass(frozen=True, slots=True)
class Replay:
    """What came of running a program again.

    Attributes:
        verdict: `reproduced`: every recorded entry, the points and the case are the same. `differs`: something is not.
            `undecided`: the trace does not hold what it takes.
        says: The verdict in a sentence, with what differs or what is missing.
        entries: Recorded entries that were compared and are the same.
        trace: All entries of the replay, also those behind a cut; None when it could not be run.
        outcome: Points and case of the replay; None when it could not be run.
        is_cut: The stored trace ends before the run did; what follows was computed, not recorded.
    """

    verdict: Verdict
    says: str
    entries: int = 0
    trace: list[dict[str, Any]] | None = None
    outcome: Outcome | None = None
    is_cut: bool = False


def replay(
    program: Program,
    found: Alignment,
    trace: Sequence[Mapping[str, Any]],
    *,
    is_extend: bool,
    points: float | None,
    case_name: str | None,
    node_count: int | None = None,
    known: Mapping[str, Any] | None = None,
) -> Replay:
    """Evaluate a program on the fields a trace recorded and compare points, case and every entry.

    Args:
        program: The compiled definition.
        found: The trace's alignment with it.
        trace: The recorded entries.
        is_extend: The program is DSL_EXTEND.
        points, case_name: What the log says the run paid. For DSL_EXTEND they also tell what the parent answered, where the
            post phase did not change it.
        node_count: Entries the run left before the cut (`nodes_executed`); not compared when not given.
        known: Fields known from elsewhere than the trace, such as the ids of the event; the trace comes first.
    """
    if not found.fits:
        return Replay("undecided", f"the definition does not fit the trace: {found.misfit}")
    best: Replay | None = None
    for restore in (_unchanged, as_written):
        again = run_again(
            program, found, is_extend=is_extend, points=points, case_name=case_name, known=known, restore=restore
        )
        best = _compared(again, found, trace, points, case_name, node_count)
        if best.verdict == "reproduced" or not _rewritten(found):
            break
    assert best is not None  # noqa: S101  # the loop runs at least once; for the type checker
    guess = _guess(program, found, best) if is_extend and best.is_cut else None
    if guess is not None and best.entries == len(trace):
        says = f"cannot be decided: field {guess!r} was not precomputed behind the cut"
        return replace(best, verdict="undecided", says=says)
    return best


def _guess(program: Program, found: Alignment, again: Replay) -> str | None:
    """What a replay took for the parent's answer without knowing: read behind the cut only, and it matters.

    It was taken to be what the run paid. That is so where no rule changed it; where the replay agrees without a change, it is.
    """
    read = align(outline(program.ast), again.trace or [], is_extend=True, is_whole=False).post_fields
    kinds = {entry.get("type") for entry in again.trace or ()}
    for path, changing in (("parent.points", "set_points"), ("parent.case_name", "set_case_name")):
        if path in read and path not in found.post_fields and (again.verdict == "differs" or changing in kinds):
            return path
    return None


def run_again(
    program: Program,
    found: Alignment,
    *,
    is_extend: bool,
    points: float | None,
    case_name: str | None,
    known: Mapping[str, Any] | None = None,
    restore: Callable[[Any], Any] = _unchanged,
) -> Outcome:
    """One evaluation on the recorded fields; never raises. A field that was not read is a failure of the outcome."""
    fields = {**(known or {}), **{path: restore(value) for path, value in found.fields.items()}}
    if not is_extend:
        return program.run(fields, max_nodes=_NO_CAP)
    before = Outcome(trace=[])
    if program.ast.get("pre_rules"):
        before = program.run(fields, phase="pre", max_nodes=_NO_CAP)
        if not before.ok or before.vetoed:
            return before
    # The post phase reads the data as the pre phase left it; what it was seen to read comes first.
    after_fields = {
        **fields,
        **before.data_fields(),
        **{path: restore(value) for path, value in found.post_fields.items()},
    }
    answer = ParentResult(after_fields.pop("parent.points", points), after_fields.pop("parent.case_name", case_name))
    if not program.ast.get("post_rules"):
        return Outcome(points=answer.points, case_name=answer.case_name, trace=before.trace, nodes=before.nodes)
    after = program.run(after_fields, phase="post", parent=answer, max_nodes=_NO_CAP)
    return joined(before, after, keep_trace=True)


def _compared(
    again: Outcome,
    found: Alignment,
    trace: Sequence[Mapping[str, Any]],
    points: float | None,
    case_name: str | None,
    node_count: int | None,
) -> Replay:
    made = again.trace or []
    is_cut = found.end != "finished"
    for index, (old, new) in enumerate(zip(trace, made, strict=False)):
        if not _same_entry(old, new):
            says = f"differs at entry {index + 1}: {_value(old)} is recorded, the replay has {_value(new)}"
            return Replay("differs", says, index, made, again, is_cut)
    common = min(len(trace), len(made))
    if not again.ok:
        if again.error_code == "DSL_FIELD_NOT_PRECOMPUTED":
            where = " behind the cut" if is_cut else ""
            return Replay("undecided", f"cannot be decided: {again.error_detail}{where}", common, made, again, is_cut)
        return Replay("differs", f"differs: the replay fails with {again.error_code}", common, made, again, is_cut)
    if len(made) < len(trace):
        return Replay("differs", f"differs: the replay ends after entry {len(made)}", common, made, again, is_cut)
    if not _same_points(again.points, points) or again.case_name != case_name:
        says = f"differs: the replay pays {again.points} for {again.case_name or 'no case'}"
        return Replay("differs", says, common, made, again, is_cut)
    if node_count is not None and len(made) != node_count:
        says = f"differs: the replay leaves {len(made)} entries, the run left {node_count}"
        return Replay("differs", says, common, made, again, is_cut)
    behind = f"; {len(made) - common} behind the cut were computed" if len(made) > common else ""
    return Replay("reproduced", f"reproduced: all {common} recorded entries{behind}", common, made, again, is_cut)


def _same_entry(old: Mapping[str, Any], new: Mapping[str, Any]) -> bool:
    return (
        old.get("nodeId") == new["nodeId"]
        and old.get("type") == new["type"]
        and old.get("branch") == new.get("branch")
        and same_json(old.get("value"), new["value"])
    )


def _same_points(computed: Any, paid: float | None) -> bool:
    if computed is None or paid is None:
        return computed is paid
    try:
        value = float(computed)
    except (OverflowError, TypeError, ValueError):
        return False
    return value == paid or (value != value and paid != paid)


def _value(entry: Mapping[str, Any]) -> str:
    text = repr(entry.get("value"))
    return text if len(text) <= 60 else text[:59] + "…"


def _rewritten(found: Alignment) -> bool:
    """Some value may have been another one before it was logged."""
    values = [*found.fields.values(), *found.post_fields.values()]
    return any(repr(as_written(value)) != repr(value) for value in values)
