"""Line a trace up with the program that left it: which node of the AST is behind which entry.

Ids do not tell: they repeat, may be null, and belong to another rule in another version. The walk does. An engine leaves its
entries in one order only, and every turn it took shows in them: so the program is walked again with the recorded values in
place of computed ones, and each entry must be the one that comes next. Where one is not, the definition is not the program
that ran, and nothing is forced.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, Literal

from analytics.program.exact import CONDITIONS, MAX_COMPILED_DEPTH, items, listed, section_of
from analytics.program.outcome import Phase, Value, same_json
from analytics.program.walk import Outline, ProgramNode
from analytics.storage.typed_json import Json, JsonObject

End = Literal["finished", "cut", "stopped"]

_STATEMENTS: Final = frozenset(
    {"assign_points", "set_points", "set_case_name", "set_data", "set_callback_data", "veto", "return"}
)


@dataclass(frozen=True, slots=True)
class Alignment:
    """A trace beside its program.

    Attributes:
        positions: Position in the walk of the AST, entry by entry; shorter than the trace when it does not fit.
        mismatch: Why the definition is not the program that ran, in a sentence; None when it fits.
        end: `finished` (the program ended, or ran out of rules), `cut` (the trace ends in the middle, as a stored one may),
            `stopped` (at a node that can only fail); None for a mismatch.
        fields: What was read, path → value. In DSL_EXTEND, what the pre phase read.
        post_fields: What the post phase of a DSL_EXTEND program read, `parent.*` included.
        reached_post: The post phase began: the parent ran in between.
        vetoed: A `veto` of the pre phase ended the run before the parent.
        next_position: The node whose entry would come next, where the trace ends before the program; None when unknown.
    """

    positions: list[int] = field(default_factory=list)
    mismatch: str | None = None
    end: End | None = None
    fields: dict[str, Value] = field(default_factory=dict)
    post_fields: dict[str, Value] = field(default_factory=dict)
    reached_post: bool = False
    vetoed: bool = False
    next_position: int | None = None

    @property
    def fits(self) -> bool:
        """The definition is the program that left the trace, as far as the trace goes."""
        return self.mismatch is None


class _Mismatch(Exception):  # noqa: N818 - it ends the walk and never reaches a caller
    """The next entry is not one that this program can leave here."""


class _OutOfEntries(Exception):  # noqa: N818 - as above
    """The trace ends here."""


class _CanOnlyFail(Exception):  # noqa: N818 - as above
    """The engine fails at this node: no entry can follow."""


def align(program: Outline, trace: Sequence[Value], *, is_extend: bool = False, is_whole: bool = True) -> Alignment:
    """Find the node behind every entry.

    Args:
        program: What `outline` made of the definition.
        trace: Entries as the log holds them: `nodeId`, `type`, `value`, and `branch` on some. Of a cut trace, what is left.
        is_extend: The program is DSL_EXTEND: a pre phase, the parent, a post phase.
        is_whole: The trace of an ok run that was not cut: it must end where the program does.
    """
    walk = _Walk(trace)
    end: End = "finished"
    try:
        if is_extend:
            walk.extend(program)
        else:
            walk.phase(program, "full")
        if walk.at < len(trace):
            raise _Mismatch(f"{len(trace) - walk.at} entries follow after the end of the program")
    except _OutOfEntries:
        end = "cut"
        if is_whole:
            return _mismatch(walk, f"the program goes on after the last entry, {len(trace)}")
    except _CanOnlyFail as error:
        end = "stopped"
        if is_whole or walk.at < len(trace):
            return _mismatch(walk, str(error))
    except _Mismatch as error:
        return _mismatch(walk, str(error))
    return Alignment(
        walk.positions,
        None,
        end,
        walk.read["pre"],
        walk.read["post"],
        walk.reached_post,
        walk.vetoed,
        walk.next.position if walk.next and end != "finished" else None,
    )


def _mismatch(walk: _Walk, why: str) -> Alignment:
    return Alignment(walk.positions, f"at entry {walk.at + 1}: {why}", None, walk.read["pre"], walk.read["post"])


class _Walk:
    """The state of one walk: the trace, and how far it has been explained."""

    __slots__ = ("at", "has_result", "next", "phase_read", "positions", "reached_post", "read", "trace", "vetoed")

    def __init__(self, trace: Sequence[Value]) -> None:
        self.trace, self.at = trace, 0
        self.positions: list[int] = []
        self.read: dict[str, dict[str, Value]] = {"pre": {}, "post": {}}
        self.phase_read = self.read["pre"]
        self.reached_post = self.vetoed = self.has_result = False
        self.next: ProgramNode | None = None

    # ---- phases ----------------------------------------------------------------------------------------------------

    def extend(self, program: Outline) -> None:
        if program.program.get("pre_rules"):
            self.phase(program, "pre")
            if self.vetoed:
                return
        if program.program.get("post_rules"):
            self.reached_post, self.phase_read = True, self.read["post"]
            self.phase(program, "post")

    def phase(self, program: Outline, phase: Phase) -> None:
        section = section_of(phase)
        rules = listed(program.program.get(section))
        if rules is None:
            raise _CanOnlyFail("rules are not a list")
        for index in range(len(rules)):
            if self.rule(program.tops.get(f"{section}[{index}]"), phase):
                return
        if phase == "full" and program.program.get("default") is not None and not self.has_result:
            self.statement(program.tops.get("default"), phase)

    def rule(self, spot: ProgramNode | None, phase: Phase) -> bool:
        self.next = spot
        if spot is None:
            raise _CanOnlyFail("a rule is not an object")
        node = spot.node
        if self.value(spot.below.get("when")):
            self.take(spot, "rule", "match")
            return self.block(spot.below, "then", node.get("then"), phase)
        branches = listed(node.get("else_if"))
        if branches is None:
            raise _CanOnlyFail("else_if is not a list")
        for index in range(len(branches)):
            if self.value(spot.below.get(f"else_if[{index}].when")):
                self.take(spot, "rule", f"elseif:{index}")
                branch = branches[index]
                steps = branch.get("then") if isinstance(branch, Mapping) else None
                return self.block(spot.below, f"else_if[{index}].then", steps, phase)
        self.take(spot, "rule", "else" if node.get("else") else "skip")
        return self.block(spot.below, "else", node.get("else"), phase)

    def block(self, below: Mapping[str, ProgramNode], slot: str, steps: Json, phase: Phase) -> bool:
        found = listed(steps)
        if found is None:
            raise _CanOnlyFail("statements are not a list")
        return any(self.statement(below.get(f"{slot}[{index}]"), phase) for index in range(len(found)))

    def statement(self, spot: ProgramNode | None, phase: Phase) -> bool:
        kind = spot.kind if spot else None
        self.next = spot
        if spot is None or kind not in _STATEMENTS:
            raise _CanOnlyFail(f"{kind or 'a statement without a type'} is no statement that the engine knows")
        if kind == "veto":
            self.take(spot, kind, "veto")
            self.vetoed = phase == "pre"
            return True
        if kind == "return":
            self.take(spot, kind, "halt")
            return True
        self.operand(spot.below.get("value"))
        self.take(spot, str(kind), "match" if kind == "assign_points" else None)
        self.has_result |= kind in ("set_points", "set_case_name")
        return kind == "assign_points"

    # ---- expressions -----------------------------------------------------------------------------------------------

    def operand(self, spot: ProgramNode | None) -> Value:
        """Follow an operand, which cannot be a condition."""
        if spot is not None and spot.kind in CONDITIONS:
            self.next = spot
            raise _CanOnlyFail(f"{spot.kind} is a condition and no expression")
        return self.value(spot)

    def value(self, spot: ProgramNode | None) -> Value:
        """Follow an expression; the value its entry recorded."""
        kind = str(spot.kind) if spot else ""
        self.next = spot
        if spot is None or kind not in _OPERANDS or spot.depth > MAX_COMPILED_DEPTH:
            raise _CanOnlyFail(f"unknown expression {kind!r}")
        if kind in ("and", "or"):
            return self.junction(spot, kind)
        if kind == "func_call":
            args = listed(spot.node.get("args"))
            if args is None:
                raise _CanOnlyFail("func_call without a list of args")
            for index in range(len(args)):
                self.operand(spot.below.get(f"args[{index}]"))
        for slot in _OPERANDS[kind]:
            (self.value if kind == "not" else self.operand)(spot.below.get(slot))
        found = self.take(spot, kind, None)
        if kind == "field":
            self.phase_read.setdefault(str(spot.node.get("path")), found)
        elif kind == "literal" and not same_json(found, spot.node.get("value")):
            self.at -= 1
            self.positions.pop()
            raise _Mismatch("the literal there is another one")
        return found

    def junction(self, spot: ProgramNode, kind: str) -> Value:
        args, cutting = items(spot.node.get("args")), kind == "or"
        if args is None:
            raise _CanOnlyFail(f"{kind} without a list of args")
        for index in range(len(args)):
            if bool(self.value(spot.below.get(f"args[{index}]"))) is cutting:
                return self.take(spot, kind, f"short_circuit:{index}")
        return self.take(spot, kind, None)

    def take(self, spot: ProgramNode, kind: str, branch: str | None) -> Value:
        """The next entry, which must be this node's."""
        self.next = spot
        if self.at >= len(self.trace):
            raise _OutOfEntries
        entry = self.trace[self.at]
        if not isinstance(entry, (dict, Mapping)):  # an abstract class is slow to ask
            raise _Mismatch("it is no object")
        if entry.get("type") != kind or entry.get("nodeId") != spot.node_id or entry.get("branch") != branch:
            raise _Mismatch(
                f"{_describe(entry)} is recorded where the program has {_describe(spot.node, kind, branch)}"
            )
        self.at += 1
        self.positions.append(spot.position)
        return entry.get("value")


#: The operands that every expression of a type evaluates, in order; `and`, `or` and `func_call` decide by themselves.
_OPERANDS: Final[Mapping[str, tuple[str, ...]]] = {
    "literal": (),
    "field": (),
    "compare": ("left", "right"),
    "arith": ("left", "right"),
    "not": ("arg",),
    "and": (),
    "or": (),
    "func_call": (),
}


def _describe(node: JsonObject, kind: str | None = None, branch: str | None = None) -> str:
    words = (kind or node.get("type"), node.get("nodeId", node.get("id")), branch or node.get("branch"))
    return " ".join(str(word)[:80] for word in words if word is not None)
