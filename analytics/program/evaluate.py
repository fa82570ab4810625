"""Run a rule program: the engine's language, without the engine.

    program = compile_program(ast)          # once
    outcome = program.run({"user.avg_time": 12.3, ...})
    outcome.points, outcome.case_name, outcome.trace

Running never raises for what an author or an event can contain; a failure is an `Outcome` with the log's code.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final, Literal

from analytics.program import exact, fast
from analytics.program.align import Alignment, align
from analytics.program.outcome import (
    Outcome,
    ParentResult,
    Phase,
    RuleFailure,
    State,
    TraceEntry,
    Value,
    as_written,
    same_json,
)
from analytics.program.walk import outline
from analytics.storage.typed_json import JsonObject

MAX_NODES: Final = 1000
MAX_DEPTH: Final = 32
#: Called between the phases with the event data as `set_data` left it.
Parent = Callable[[dict[str, Value]], ParentResult]


class Program:
    """One compiled AST. Build it with `compile_program`."""

    __slots__ = ("_depth", "_exact", "_fast", "ast")

    def __init__(self, ast: JsonObject) -> None:
        self.ast = ast
        self._depth: int | None = None
        self._exact: dict[Phase, exact.RunPhase] = {}
        self._fast: dict[Phase, Callable[[State], bool] | None] = {}

    def run(
        self,
        fields: Mapping[str, Value],
        *,
        phase: Phase = "full",
        parent: ParentResult | None = None,
        data: Mapping[str, Value] | None = None,
        max_nodes: int = MAX_NODES,
        max_depth: int = MAX_DEPTH,
        keep_trace: bool = True,
    ) -> Outcome:
        """Evaluate one phase.

        Args:
            fields: Field path → value, as precomputed for this run. A path that is missing is a failure.
            phase: `full` for DSL_FULL; `pre` and `post` are the two sides of the parent in DSL_EXTEND.
            parent: The parent's answer, for `parent.*` fields and the post phase to change.
            data: The event's data, which `set_data` changes (a copy of it, never the caller's).
            max_nodes: The cap on visits in one phase.
            max_depth: The cap on nesting; the program is 0, a rule 1, its condition 2.
            keep_trace: False is much faster and leaves `trace` None; everything else is the same.
        """
        if phase == "post" and parent is not None:
            fields = {**fields, "parent.points": parent.points, "parent.case_name": parent.case_name}
        if not keep_trace:
            quick = self._quick(fields, phase, parent, data, max_nodes, max_depth)
            if quick is not None:
                return quick
        state = State(fields, dict(data) if data else {}, max_nodes, max_depth)
        if phase not in self._exact:
            self._exact[phase] = exact.phase_runner(self.ast, phase)
        trace = state.trace if keep_trace else None
        try:
            _begin(state, phase, parent)
            ended = self._exact[phase](state)
        except RuleFailure as failure:
            code, detail = failure.code, failure.detail
            return Outcome(failure.status, code, detail, trace=trace, visits=state.visits, nodes=state.nodes)
        except Exception as error:  # a value no table of ours foresaw must not end a caller's loop over a million runs
            detail = f"{type(error).__name__}: {error}"
            return Outcome("error", "DSL_UNEXPECTED", detail, trace=trace, visits=state.visits, nodes=state.nodes)
        return _outcome(state, phase, ended, trace)

    def _quick(
        self,
        fields: Mapping[str, Value],
        phase: Phase,
        parent: ParentResult | None,
        data: Mapping[str, Value] | None,
        max_nodes: int,
        max_depth: int,
    ) -> Outcome | None:
        """The run without a trace, or None when it has to be done the exact way."""
        if phase not in self._fast:
            try:
                self._fast[phase] = fast.phase_runner(self.ast, phase)
            except fast.Unsupported:
                self._fast[phase] = None
        runner = self._fast[phase]
        if runner is None or self.depth > max_depth:
            return None
        state = State(fields, dict(data) if data else {}, max_nodes, max_depth)
        try:
            _begin(state, phase, parent)
            ended = runner(state)
        except Exception:  # whatever it was, the exact closures find it again and name it
            return None
        return None if state.visits > max_nodes else _outcome(state, phase, ended, None)

    @property
    def depth(self) -> int:
        """Nesting that no node exceeds, by the count that `max_depth` caps."""
        if self._depth is None:
            self._depth = _depth_of(self.ast)
        return self._depth

    @property
    def extends(self) -> bool:
        """Whether the program has a phase before or after a parent."""
        return bool(self.ast.get("pre_rules")) or bool(self.ast.get("post_rules"))

    def run_extend(
        self,
        fields: Mapping[str, Value],
        parent: Parent,
        *,
        data: Mapping[str, Value] | None = None,
        max_nodes: int = MAX_NODES,
        max_depth: int = MAX_DEPTH,
        keep_trace: bool = True,
    ) -> Outcome:
        """Evaluate a DSL_EXTEND program around its parent.

        The trace is the pre phase's entries followed by the post phase's, with nothing between them; nodes and
        visits are summed, while the caps hold for each phase. A veto leaves 0 points and the parent never runs; a
        `return` or an `assign_points` before the parent only ends the pre phase.
        A program with neither phase leaves no trace and 0 nodes, and passes the parent's answer on.
        """
        if not self.extends:
            answer = _answer(parent, data or {})
            return Outcome(points=answer.points, case_name=answer.case_name, working_data=dict(data or {}))
        before = Outcome(working_data=dict(data or {}), trace=[] if keep_trace else None)
        if self.ast.get("pre_rules"):
            before = self.run(
                fields, phase="pre", data=data, keep_trace=keep_trace, max_nodes=max_nodes, max_depth=max_depth
            )
            if not before.ok or before.vetoed:
                return before
        answer = _answer(parent, before.working_data)
        # The post phase reads the data as the pre phase left it.
        fields = {**fields, **before.data_fields()}
        if not self.ast.get("post_rules"):
            return joined(before, Outcome(points=answer.points, case_name=answer.case_name), keep_trace)
        after = self.run(
            fields,
            phase="post",
            parent=answer,
            data=before.working_data,
            max_nodes=max_nodes,
            max_depth=max_depth,
            keep_trace=keep_trace,
        )
        return joined(before, after, keep_trace)


def _answer(parent: Parent, data: Mapping[str, Value]) -> ParentResult:
    """What the built-in answers to the data; no points at all are none."""
    found = parent(dict(data))
    return found if found.points is not None else replace(found, points=0)


def _begin(state: State, phase: Phase, parent: ParentResult | None) -> None:
    """What a phase starts from. Points that the parent's answer does not tell stay unknown."""
    if phase == "full":
        state.points = 0
    elif phase == "post" and parent is not None:
        state.points = None if parent.points is None else float(parent.points)
        state.case = parent.case_name


def _outcome(state: State, phase: Phase, ended: bool, trace: list[TraceEntry] | None) -> Outcome:
    # Whatever the pre phase has set, the parent's answer takes its place unless the parent does not run.
    is_result = phase != "pre" or state.vetoed
    return Outcome(
        points=state.points if is_result else None,
        case_name=state.case if is_result else None,
        callback_data=state.callback,
        working_data=state.data,
        vetoed=phase == "pre" and state.vetoed,
        halted=ended,
        trace=trace,
        visits=state.visits,
        nodes=state.nodes,
        hits=state.hits,
    )


def joined(before: Outcome, after: Outcome, keep_trace: bool) -> Outcome:
    """The two phases of a DSL_EXTEND run as one outcome."""
    return Outcome(
        status=after.status,
        error_code=after.error_code,
        error_detail=after.error_detail,
        points=after.points,
        case_name=after.case_name,
        callback_data=after.callback_data,
        working_data=before.working_data,
        halted=before.halted or after.halted,
        trace=[*(before.trace or ()), *(after.trace or ())] if keep_trace else None,
        visits=before.visits + after.visits,
        nodes=before.nodes + after.nodes,
        hits=before.hits | after.hits,
    )


def _depth_of(ast: JsonObject) -> int:
    """Nesting of the deepest object outside literals: an upper bound, found without recursion.

    A branch of `else_if` stands where its rule does.
    """
    deepest, stack = 0, [(ast, 0)]
    while stack:
        node, depth = stack.pop()
        deepest = max(deepest, depth)
        for key, value in node.items():
            if key == "value" and node.get("type") == "literal":
                continue
            below = depth + (key != "else_if")
            stack += (
                (child, below)
                for child in (value if isinstance(value, list) else (value,))
                if isinstance(child, Mapping)
            )
    return deepest


_CACHE_SIZE: Final = 256
_cache: OrderedDict[int, Program] = OrderedDict()


def compile_program(program: JsonObject) -> Program:
    """Compile an AST, or find it among those compiled lately.

    The cache goes by identity: an AST that was changed in place must be compiled from a copy, or evaluated
    with `evaluate`, which always starts afresh.
    """
    key = id(program)
    found = _cache.get(key)
    if found is None or found.ast is not program:
        found = _cache[key] = Program(program)  # it holds the AST, so the id cannot be given to another one
        if len(_cache) > _CACHE_SIZE:
            _cache.popitem(last=False)
    return found


def evaluate(
    program: JsonObject,
    fields: Mapping[str, Value],
    *,
    phase: Phase = "full",
    parent: ParentResult | None = None,
    max_nodes: int = MAX_NODES,
    max_depth: int = MAX_DEPTH,
    keep_trace: bool = True,
) -> Outcome:
    """Compile and run a program once; see `Program.run`. For many runs, compile once."""
    return Program(program).run(
        fields, phase=phase, parent=parent, max_nodes=max_nodes, max_depth=max_depth, keep_trace=keep_trace
    )


Verdict = Literal["reproduced", "differs", "undecided"]

#: The run did end, so whatever its cap was, it is not what ended it.
_NO_CAP: Final = 10**9


def _unchanged(value: Value) -> Value:
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
    trace: list[TraceEntry] | None = None
    outcome: Outcome | None = None
    is_cut: bool = False


def replay(
    program: Program,
    found: Alignment,
    trace: Sequence[Mapping[str, Value]],
    *,
    is_extend: bool,
    points: float | None,
    case_name: str | None,
    node_count: int | None = None,
    known: Mapping[str, Value] | None = None,
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
        return Replay("undecided", f"the definition does not fit the trace: {found.mismatch}")
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
    known: Mapping[str, Value] | None = None,
    restore: Callable[[Value], Value] = _unchanged,
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
    # Of whatever type a trace has recorded them: the run then fails on them as the engine's would.
    paid, case = after_fields.pop("parent.points", points), after_fields.pop("parent.case_name", case_name)
    answer = ParentResult(paid, case)  # type: ignore[arg-type]
    if not program.ast.get("post_rules"):
        return Outcome(points=answer.points, case_name=answer.case_name, trace=before.trace, nodes=before.nodes)
    after = program.run(after_fields, phase="post", parent=answer, max_nodes=_NO_CAP)
    return joined(before, after, keep_trace=True)


def _compared(
    again: Outcome,
    found: Alignment,
    trace: Sequence[Mapping[str, Value]],
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


def _same_entry(old: Mapping[str, Value], new: Mapping[str, Value]) -> bool:
    return (
        old.get("nodeId") == new["nodeId"]
        and old.get("type") == new["type"]
        and old.get("branch") == new.get("branch")
        and same_json(old.get("value"), new["value"])
    )


def _same_points(computed: float | None, paid: float | None) -> bool:
    if computed is None or paid is None:
        return computed is paid
    try:
        value = float(computed)
    except (OverflowError, TypeError, ValueError):
        return False
    return value == paid or (value != value and paid != paid)


def _value(entry: Mapping[str, Value]) -> str:
    text = repr(entry.get("value"))
    return text if len(text) <= 60 else text[:59] + "…"


def _rewritten(found: Alignment) -> bool:
    """Some value may have been another one before it was logged."""
    values = [*found.fields.values(), *found.post_fields.values()]
    return any(repr(as_written(value)) != repr(value) for value in values)
