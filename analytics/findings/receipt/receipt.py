"""Why one run paid what it paid: its decision path in words, with what is not known about it.

The path follows the alignment, by position: ids repeat, may be null, and belong to another rule in another version. Without
a definition, or with one that does not fit, it is told from the trace alone.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from analytics.findings.receipt import wording as words
from analytics.findings.receipt.simulate_request import Simulation, simulate
from analytics.findings.receipt.steps import Ending, Path, State, Step, branch_taken
from analytics.findings.receipt.wording import Line
from analytics.findings.replay.replay_run import as_it_ran, instead_of, recorded
from analytics.findings.replay.run_evidence import Definition, Evidence, LoggedRun
from analytics.program import Alignment, align, error_codes
from analytics.program.alternative import NOT_ASKED, NOT_RECORDED, PointsBounds
from analytics.storage.typed_json import Json

_MOST_LINES: Final = 6
_STATEMENTS: Final = {
    "set_points": "sets the points to ",
    "set_case_name": "sets the case to ",
    "set_data": "sets a key of the data to ",
    "set_callback_data": "calls back with ",
}


def trace_only_steps(trace: Sequence[object], *, is_extend: bool) -> list[Step]:
    """One step for every rule that left an entry; statements that follow a skipped rule have one of their own.

    Args:
        trace: Entries as the log held them, whatever they are.
        is_extend: The program wraps a built-in: where its phases meet is not recorded, so rules are counted as they come.
    """
    walk = _TraceOnlyWalk(is_extend)
    for number, entry in enumerate(trace, 1):
        walk.entry(entry, number)
    return walk.finish()


class _TraceOnlyWalk:
    """A stack of what expressions left, and the conditions since the last rule.

    Operands are on the stack when their node comes. Of `and`, `or` and functions the number of operands is not known: the
    stack is dropped then, so that what is on it is always what came last.
    """

    def __init__(self, is_extend: bool) -> None:
        self.is_extend = is_extend
        self.stack: list[Line] = []
        self.conditions: list[Line] = []
        self.steps: list[Step] = []
        self.effects: list[Line] = []
        self.rule: tuple[str, str, int] | None = None
        self.count = 0
        self.amount: object = None
        self.rule_conditions: tuple[Line, ...] = ()

    def entry(self, entry: object, number: int) -> None:
        if not isinstance(entry, Mapping):
            self.conditions.append((f"entry {number} is no object: ", words.value(entry)))
            return
        kind, shown = str(entry.get("type")), words.value(entry.get("value"))
        if kind == "literal":
            self.stack.append((shown,))
        elif kind == "field":
            self.stack.append(("a field ", shown))
        elif kind == "arith":
            left, right = self._pop(), self._pop()
            self.stack.append((*right, " with ", *left, " gives ", shown))
        elif kind == "func_call":
            self.stack = [("a function gives ", shown)]
        elif kind == "compare":
            left, right = self._pop(), self._pop()
            self.conditions.append((*right, " compared with ", *left, " is ", shown))
            self.stack.append((shown,))
        elif kind == "not":
            self._pop()
            self.conditions.append(("not: ", shown))
            self.stack.append((shown,))
        elif kind in ("and", "or"):
            cut = ", the rest was not looked at" if str(entry.get("branch")).startswith("short_circuit") else ""
            self.conditions.append((f"{kind}: ", shown, cut))
            self.stack = [(shown,)]
        elif kind == "rule":
            self._rule(entry, number)
        else:
            self._statement(kind, entry, shown)

    def finish(self) -> list[Step]:
        """The steps, the one that the trace ends in included."""
        self._close()
        if self.conditions or self.stack:
            left = _shortened(self.conditions or self.stack)
            self.steps.append(Step("After the last rule", State.UNKNOWN, "no rule follows", None, left))
        return self.steps

    def _rule(self, entry: Mapping[str, object], number: int) -> None:
        self._close()
        self.count += 1
        node_id = entry.get("nodeId")
        what = "Rule entry" if self.is_extend else "Rule"
        name = f"{what} {self.count}" + ("" if node_id is None else f", {words.name(node_id)}")
        # A bare value as condition leaves no compare: what is on the stack is what was looked at.
        self.rule_conditions = _shortened(self.conditions or self.stack)
        self.conditions, self.stack = [], []
        self.rule = (name, str(entry.get("branch")), number)

    def _statement(self, kind: str, entry: Mapping[str, object], shown: words.SeenValue) -> None:
        found = entry.get("value")
        because = (*self.stack[-1], " → ") if self.stack and self.stack[-1] != (shown,) else ()
        self.stack, self.conditions = [], []
        if self.rule is not None and self.rule[1] == "skip":
            self._close()
        if kind == "assign_points":
            line: Line = ("assigns ", words.SeenValue(words.points(found)))
            self.amount = found
        elif kind == "veto":
            line = (f"vetoes: 0 points, {words.case(found)}; the built-in does not run",)
        elif kind == "return":
            line = ("returns",)
        elif kind in _STATEMENTS:
            line = (_STATEMENTS[kind], shown)
        else:
            line = (f"{words.name(kind)}: ", shown)
        self.effects.append((*because, *line))

    def _close(self) -> None:
        """Finish the step at hand."""
        if self.rule is not None:
            (name, branch, number), effects = self.rule, tuple(self.effects)
            is_skipped = branch == "skip"
            step = Step(
                name,
                State.SKIPPED if is_skipped else State.MATCHED,
                "skipped" if is_skipped else branch_taken(branch)[1],
                conditions=self.rule_conditions,
                effects=effects,
                points=self.amount,
                first_entry=number,  # its own entry: where its operands begin is not recorded
                last_entry=number,
            )
            self.steps.append(step)
        elif self.effects:
            self.steps.append(Step("Without a rule", State.MATCHED, "", None, (), tuple(self.effects), self.amount))
        self.rule, self.effects, self.amount, self.rule_conditions = None, [], None, ()

    def _pop(self) -> Line:
        return self.stack.pop() if self.stack else ("a value",)


def _shortened(lines: Sequence[Line]) -> tuple[Line, ...]:
    """The first lines and the last; how many there are between."""
    if len(lines) <= _MOST_LINES:
        return tuple(lines)
    return (*lines[: _MOST_LINES - 2], (f"{len(lines) - _MOST_LINES + 1} more",), lines[-1])


_PATH: Final = re.compile(r"^field (?P<path>.*) was not precomputed$", re.S)


def versus(evidence: Evidence, other: Definition, label: str) -> str:
    """One sentence: points and case of the other version on what this run read, or why that cannot be told.

    Args:
        evidence: The run; its trace and program tell what it read.
        other: The other version's program.
        label: What to call it, as `Version 2`.
    """
    head = f"{label} on the same inputs"
    run = recorded(evidence)
    if evidence.trace is None or evidence.definition is None or run is None:
        return f"{head}: cannot be decided, for it is not known what this run read."
    own = instead_of(evidence.definition, evidence.definition, is_extend=evidence.is_extend)
    if evidence.is_ok:
        run = as_it_ran(own, run, evidence.run.points, evidence.run.case_name)
    answer = instead_of(other, evidence.definition, is_extend=evidence.is_extend).pays(run)
    return f"{head}: {_versus_sentence(evidence, answer)}"


def _versus_sentence(evidence: Evidence, answer: PointsBounds) -> str:
    if answer.code is not None:
        return f"it fails with {answer.code}."
    # Whether it fails on what is not known nobody can tell; it is then paid nothing.
    may_lose = answer.may_fail and not answer.low <= 0 <= answer.high
    if not answer.is_decided or may_lose:
        unless = ", or nothing if it fails on that" if may_lose else ""
        return f"cannot be decided, for {_why(evidence, answer.missing or NOT_RECORDED)}{_bounds(answer)}{unless}."
    if not answer.knows_case:
        return f"{words.points(answer.low)}; which case cannot be decided."
    same = evidence.is_ok and answer.case_name == evidence.run.case_name and answer.case_name is not None
    return f"{words.points(answer.low)}, {'same case' if same else words.case(answer.case_name)}."


def _why(evidence: Evidence, missing: str) -> str:
    if match := _PATH.match(missing):
        return f"it reads {words.name(match['path'].strip(chr(39) + chr(34)))}, which this run did not"
    if missing == NOT_ASKED:
        return "the built-in did not run"
    if missing == NOT_RECORDED:
        cut = evidence.alignment is not None and evidence.alignment.end != "finished"
        return f"the built-in's answer is not recorded{', as the stored trace is cut' if cut else ''}"
    return missing.replace(" was asked", " would be asked")


def _bounds(answer: PointsBounds) -> str:
    """Between what the points lie, as far as that is known."""
    if answer.is_decided:
        return f": {words.points(answer.low)}"
    if math.isfinite(answer.low) and math.isfinite(answer.high):
        return f": between {words.points(answer.low).split()[0]} and {words.points(answer.high)}"
    return ""


_FAILURES: Final = ("error", "timeout", "limit")


@dataclass(frozen=True, slots=True)
class Receipt:
    """A run and its decision path.

    Attributes:
        run: Its row, without the trace.
        steps: In the order of the program, the total last.
        notes: What is not known or not ordinary about it, in sentences.
        fields: Field path → value, as far as the program tells what was read; in DSL_EXTEND of both phases, and where they
            differ the event's own, before a rule set another.
        replay: What the replay came to, in a sentence; empty without one.
        verdict: `reproduced`, `differs` or `undecided`; None without a replay.
        simulation: The request that runs it again.
        versus: What another version pays on the same inputs, in a sentence; empty when not asked.
    """

    run: LoggedRun
    steps: list[Step]
    notes: list[str]
    fields: dict[str, Json]
    replay: str
    verdict: str | None
    simulation: Simulation
    versus: str = ""


def receipt(evidence: Evidence, *, other: Definition | None = None, other_label: str = "The other version") -> Receipt:
    """The decision path of one run. Never raises, whatever trace and program hold.

    Args:
        evidence: What is known of the run.
        other: Another version, to run on the same inputs.
        other_label: What to call it, as `Version 2`.
    """
    notes = _notes(evidence)
    if evidence.trace is None:
        steps = _without_trace(evidence)
    elif evidence.definition is None or evidence.alignment is None or not evidence.fits:
        steps = trace_only_steps(evidence.trace, is_extend=evidence.is_extend)
    else:
        steps = _told(evidence, notes)
    beside = evidence.alignment
    return Receipt(
        run=evidence.run,
        steps=[*steps, _total(evidence)],
        notes=notes,
        fields={**beside.post_fields, **beside.fields} if beside is not None and beside.fits else {},
        replay=replay_sentence(evidence),
        verdict=evidence.replay.verdict if evidence.replay is not None and evidence.fits else None,
        simulation=simulate(evidence),
        versus=versus(evidence, other, other_label) if other is not None else "",
    )


# ---- steps ---------------------------------------------------------------------------------------------------------


def _told(evidence: Evidence, notes: list[str]) -> list[Step]:
    """Steps by position, the computed ones behind a cut among them."""
    assert evidence.definition is not None and evidence.alignment is not None and evidence.trace is not None  # noqa: S101
    beside, trace, stored = evidence.alignment, evidence.trace, len(evidence.trace)
    ending = Ending.ENDED
    if not evidence.is_ok:
        ending = Ending.FAILED
    elif beside.end != "finished":
        ending = Ending.CUT
    again = evidence.replay
    if ending is Ending.CUT and again is not None and again.verdict == "reproduced" and again.trace is not None:
        whole = align(evidence.definition.outline, again.trace, is_extend=evidence.is_extend, is_whole=True)
        if whole.fits:
            beside, ending, trace = whole, Ending.ENDED, [*trace, *again.trace[stored:]]
            notes.append(f"What follows entry {stored:,} is not in the log: the replay computed it.")
    # A trace that lines up with a program holds objects only.
    entries = [entry for entry in trace if isinstance(entry, Mapping)]
    path = Path(evidence.definition.outline, beside, entries, stored, ending)
    if not evidence.is_extend:
        return [*path.rules("rules"), *path.default()]
    return _extended(evidence, beside, path, notes)


def _extended(evidence: Evidence, beside: Alignment, path: Path, notes: list[str]) -> list[Step]:
    steps = list(path.rules("pre_rules"))
    name = f"The built-in {words.name(evidence.run.parent_strategy_id or '(unnamed)')}"
    if beside.vetoed:
        return [*steps, Step(f"{name}: not run", State.OFF, "vetoed"), *path.rules("post_rules")]
    if path.over and path.ending is Ending.CUT:
        return [*steps, Step(name, State.UNKNOWN, "not known, behind the cut"), *path.rules("post_rules")]
    if path.over:
        return [*steps, Step(name, State.OFF, f"not reached, {path.over}"), *path.rules("post_rules")]
    ahead = Path(path.program, path.alignment, path.trace, path.stored, path.ending)
    list(ahead.rules("post_rules"))  # told once without an amount, to know what the statements set
    answer = _answer(evidence, ahead)
    if not evidence.is_ok and not any(path.program.nodes[at].section == "post_rules" for at in beside.positions):
        verdict = "it failed, or the first rule after it: no entry follows"
        return [*steps, Step(name, State.FAILED, verdict), *path.rules("post_rules")]
    (points, points_source), (case_name, case_source) = answer
    path.amount = None if points is _NOT_RECORDED else points
    pieces = [
        "points not recorded" if points is _NOT_RECORDED else f"{words.points(points)}{points_source}",
        "case not recorded" if case_name is _NOT_RECORDED else f"{words.case(case_name)}{case_source}",
    ]
    lines = (*_asked_with(evidence.definition), (f"answer {pieces[0]}, {pieces[1]}",))
    steps.append(Step(f"{name} ran", State.BUILT_IN, "", None, lines, (), path.amount))
    notes += _refusal(points, case_name)
    return [*steps, *path.rules("post_rules")]


def _asked_with(program: Definition | None) -> list[words.Line]:
    """The variables of the built-in that the program overrides: they decide its answer and leave no entry."""
    found = program.built_in.variables if program is not None else {}
    return [(f"asked with {words.name(name)} = ", words.value(found[name])) for name in sorted(found)]


_NOT_RECORDED: Final = object()


def _answer(evidence: Evidence, ahead: Path) -> list[tuple[object, str]]:
    """Points and case of the built-in, each with where it is known from."""
    is_whole = evidence.is_ok and ahead.ending is Ending.ENDED
    read = evidence.alignment.post_fields if evidence.alignment is not None else {}  # what was recorded, not computed
    answers: list[tuple[object, str]] = []
    for path, column, is_changed in (
        ("parent.points", "points", ahead.is_changed),
        ("parent.case_name", "case_name", ahead.is_renamed),
    ):
        if path in read:
            answers.append((read[path], " (as read by the rules after it)"))
        elif is_whole and not is_changed:
            answers.append((getattr(evidence.run, column), " (as paid)"))
        else:
            answers.append((_NOT_RECORDED, ""))
    return answers


def _refusal(points: object, case_name: object) -> list[str]:
    """A built-in that refuses an event answers so; its sentence stands where a case would."""
    if points == -1 and isinstance(case_name, str) and " " in case_name.strip():
        return [f"The built-in refused the event: it answers -1 points and says “{words.name(case_name)}”."]
    return []


def _without_trace(evidence: Evidence) -> list[Step]:
    run = evidence.run
    if not (evidence.is_ok and evidence.is_extend and run.points is not None):
        return []
    name = f"The built-in {words.name(run.parent_strategy_id or '(unnamed)')} ran"
    line = (f"answer {words.points(run.points)}, {words.case(run.case_name)} (as paid)",)
    return [Step(name, State.BUILT_IN, "", None, (*_asked_with(evidence.definition), line), (), run.points)]


def _total(evidence: Evidence) -> Step:
    run = evidence.run
    if not evidence.is_ok:
        code = run.error_code
        text = error_codes.meaning(code)
        named = words.name(code) if code is not None else f"status {words.name(run.status)}, no code"
        return Step(f"Stopped: {text} ({named})" if text else f"Stopped: {named}", State.FAILED)
    if run.points is None:
        return Step("No points are logged", State.TOTAL)
    case_name = run.case_name
    return Step(
        "Points paid" + ("" if case_name is None else f", {words.case(case_name)}"), State.TOTAL, points=run.points
    )


# ---- sentences -----------------------------------------------------------------------------------------------------


def replay_sentence(evidence: Evidence) -> str:
    """What the replay came to; empty without one."""
    again = evidence.replay
    if again is None or not evidence.fits:
        return ""
    if again.verdict == "reproduced":
        behind = len(again.trace or ()) - again.entries
        if not again.is_cut:
            return f"Replay reproduced all {again.entries:,} entries."
        return f"Replay reproduced all {again.entries:,} stored entries and computed the {behind:,} behind the cut."
    says = again.says.replace("was not precomputed behind the cut", "is read behind the cut only")
    return f"Replay {says.replace('was not precomputed', 'was not read')}."


def _notes(evidence: Evidence) -> list[str]:
    return [note for note in (*_about_the_row(evidence), *_about_the_trace(evidence)) if note]


def _about_the_row(evidence: Evidence) -> list[str]:
    run, notes = evidence.run, []
    status, points = run.status, run.points
    if not evidence.is_ok and status not in _FAILURES:
        notes.append(f"The status “{words.name(status)}” is unknown; it is taken for a failure.")
    if not evidence.is_ok and evidence.trace is None:
        at_least = "at least " if status in ("timeout", "limit") else ""
        notes.append("A failed run keeps no trace, so no rule can be named.")
        took = run.duration_ms
        # A clock that went back or broke says nothing; and 0.0 added makes −0 the 0 it is.
        known = [f"it ran {at_least}{words.value(took + 0.0)} ms"] if took is not None and 0 <= took < math.inf else []
        known += [
            f"{what} {words.name(id_)}"
            for what, id_ in (("game", run.external_game_id), ("task", run.external_task_id))
            if id_ is not None
        ]
        if known:
            notes.append(f"Known are: {', '.join(known)}.")
    if not evidence.is_ok and points is not None:
        notes.append(f"The row holds {words.points(points)}, though the run failed.")
    if evidence.is_ok and points is None and evidence.trace is None:
        notes.append("The call was cancelled: such runs are logged as ok, without points and without a trace.")
    wraps, asked = evidence.definition.parent_strategy_id if evidence.definition else None, run.parent_strategy_id
    if evidence.is_extend and wraps is not None and asked is not None and wraps != asked:
        notes.append(f"The definition in the lake wraps {words.name(wraps)}, this run asked {words.name(asked)}.")
    if isinstance(points, float) and not math.isfinite(points):
        notes.append(f"The points are {words.value(points)}: no number that could be added to anything.")
    return notes


def _about_the_trace(evidence: Evidence) -> list[str]:
    run, notes = evidence.run, []
    if evidence.trace is None:
        if evidence.is_ok and run.points is not None and not evidence.is_extend:
            notes.append("This run has no trace that can be read, so no rule can be named.")
        if evidence.is_ok and run.points is not None and evidence.is_extend:
            has_rules = evidence.definition is not None and evidence.definition.program.extends
            notes.append(
                "The run left no trace, though its program has rules: the points can be traced no further."
                if has_rules
                else "No rule ran before or after the built-in: points and case are the built-in's own."
            )
            notes += _refusal(run.points, run.case_name)
        return notes
    if run.is_truncated:
        total = run.nodes_executed
        notes.append(f"The stored trace ends after entry {len(evidence.trace):,} of {total:,}.")
    if evidence.definition is not None and evidence.definition.replaced_at is not None:
        notes.append(
            "The version was edited in place after this run: this is the program that it had before, which gives the run again "
            f"(the lake noticed on {evidence.definition.replaced_at:%Y-%m-%d})."
        )
    if evidence.definition is None:
        notes.append("The definition is not in the lake: paths of fields, operators and rules not reached are unknown.")
    elif not evidence.fits and evidence.alignment is not None:
        notes.append(
            f"The definition in the lake is not the program that ran ({evidence.alignment.mismatch}): "
            "told from the trace alone, so paths of fields and operators are unknown."
        )
    return notes
