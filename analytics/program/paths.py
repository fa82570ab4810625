"""All paths that a run may have taken through its program, given what it read and what it paid."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, TypeAlias

from analytics.program.bounds import truth_of
from analytics.program.exact import MAX_COMPILED_DEPTH, PHASE_OF
from analytics.program.outcome import Phase, RuleFailure
from analytics.program.outline import Outline, Spot

Turn: TypeAlias = "bool | str | None"
"""What came of a place: true or false for conditions, the branch for rules; None where it decides nothing."""

_OPERANDS: Final[Mapping[str, tuple[str, ...]]] = {
    "literal": (), "field": (), "func_call": (), "compare": ("left", "right"), "arith": ("left", "right"),
}  # fmt: skip
_STATEMENTS: Final = frozenset({"assign_points", "set_points", "set_case_name", "set_data", "set_callback_data"})
END, DEAD = 0, 1


class Graph:
    """The paths through a program, built from its end: a vertex is a place whose entry comes next, and where each turn leads.

    Args:
        program: The program.
        seen: Position → whether it was true, of the places that the trace shows.
        points, case_name: What the run paid.
    """

    def __init__(self, program: Outline, seen: Mapping[int, bool], points: float | None, case_name: str | None) -> None:
        self.program, self.seen, self.points, self.case_name = program, seen, points, case_name
        self.fields: Mapping[str, Any] = {}
        self.vertices: list[tuple[int, tuple[tuple[int, Turn], ...]]] = [(-1, ()), (-1, ())]  # the end; nowhere

    def vertex(self, spot: Spot, *targets: tuple[int, Turn]) -> int:
        """A new vertex; nowhere when no turn leads on."""
        targets = tuple(target for target in targets if target[0] != DEAD)
        if not targets:
            return DEAD
        self.vertices.append((spot.position, targets))
        return len(self.vertices) - 1

    # ---- phases and statements -------------------------------------------------------------------------------------

    def extend(self, fields: Mapping[str, Any], post_fields: Mapping[str, Any]) -> int:
        """Where a DSL_EXTEND program begins."""
        at = END
        if self.program.program.get("post_rules"):
            at = self.phase("post", post_fields, at)
        return self.phase("pre", fields, at) if self.program.program.get("pre_rules") else at

    def phase(self, phase: Phase, fields: Mapping[str, Any], after: int) -> int:
        """Where a phase begins that leads on to a vertex."""
        self.fields = fields
        section = "rules" if phase == "full" else f"{phase}_rules"
        rules = self.program.program.get(section)
        default = self.program.program.get("default") if phase == "full" else None
        if not isinstance(rules, list | None):
            return DEAD
        at = after
        if phase == "full" and not self.ends_unpaid():
            at = DEAD
        if isinstance(default, list):
            at = self.block(self.program.tops, "default", default, phase, at, at)
        elif default is not None:
            at = self.statement(self.program.tops.get("default"), phase, at, at)
        ended = after if phase != "full" else END if self.ends_unpaid() else DEAD
        for index in reversed(range(len(rules or ()))):
            spot = self.program.tops.get(f"{section}[{index}]")
            at = DEAD if spot is None else self.rule(spot, phase, at, ended)
        return at

    def rule(self, spot: Spot, phase: Phase, after: int, ended: int) -> int:
        """Where a rule begins: it falls through to one vertex, or ends the phase at another."""
        steps = self.block(spot.below, "else", spot.node.get("else"), phase, after, ended)
        no = self.vertex(spot, (steps, "else" if spot.node.get("else") else "skip"))
        branches = spot.node.get("else_if")
        branches = branches if isinstance(branches, list) else []
        for index in reversed(range(len(branches))):
            branch = branches[index] if isinstance(branches[index], Mapping) else {}
            steps = self.block(spot.below, f"else_if[{index}].then", branch.get("then"), phase, after, ended)
            yes = self.vertex(spot, (steps, f"elseif:{index}"))
            no = self.value(spot.below.get(f"else_if[{index}].when"), yes, no)
        steps = self.block(spot.below, "then", spot.node.get("then"), phase, after, ended)
        return self.value(spot.below.get("when"), self.vertex(spot, (steps, "match")), no)

    def block(self, below: Mapping[str, Spot], slot: str, steps: Any, phase: Phase, after: int, ended: int) -> int:
        """Where some statements begin."""
        if not isinstance(steps, list | None):
            return DEAD
        for index in reversed(range(len(steps or ()))):
            after = self.statement(below.get(f"{slot}[{index}]"), phase, after, ended)
        return after

    def statement(self, spot: Spot | None, phase: Phase, after: int, ended: int) -> int:
        """Where a statement begins; nowhere, when the run was not paid as it pays."""
        kind = str(spot.kind) if spot else ""
        if spot is None or PHASE_OF.get(kind, phase) != phase:
            return DEAD
        if kind == "return":
            return self.vertex(spot, (ended, None))
        if kind == "veto":
            return self.vertex(spot, (END if self.pays(spot, 0) else DEAD, None))
        if kind not in _STATEMENTS:
            return DEAD
        if kind == "assign_points":
            value = spot.below.get("value")
            amount = value.node.get("value") if value and value.kind == "literal" else None
            after = END if self.pays(spot, amount) else DEAD
        at = self.vertex(spot, (after, None))
        return self.value(spot.below.get("value"), at, at)

    def ends_unpaid(self) -> bool:
        """The run may have ended without a payment."""
        return self.points is None or (self.points == 0 and self.case_name is None)

    def pays(self, spot: Spot, amount: Any) -> bool:
        """The run may have ended here: the case is the one it was paid for, and so is an amount that stands in the program."""
        if self.points is None:
            return True
        case = spot.node.get("case_name")
        if isinstance(case, str | None) and case != self.case_name:
            return False
        plain = isinstance(amount, int | float) and not isinstance(amount, bool) and abs(amount) < 2**53
        return not plain or float(amount) == self.points

    # ---- expressions -----------------------------------------------------------------------------------------------

    def value(self, spot: Spot | None, yes: int, no: int) -> int:
        """Where an expression begins that leads on to one of two vertices."""
        kind = str(spot.kind) if spot else ""
        if spot is None or spot.depth > MAX_COMPILED_DEPTH or (yes == no == DEAD):
            return DEAD
        if kind in ("and", "or"):
            return self.junction(spot, kind == "or", yes, no)
        if kind == "not":
            return self.value(spot.below.get("arg"), self.vertex(spot, (no, False)), self.vertex(spot, (yes, True)))
        if kind not in _OPERANDS:
            return DEAD
        if yes == no:
            at = self.vertex(spot, (yes, None))
        else:
            holds = self.holds(spot)
            at = self.vertex(spot, *((end, turn) for end, turn in ((yes, True), (no, False)) if turn in holds))
        slots = _OPERANDS[kind]
        if kind == "func_call":
            args = spot.node.get("args")
            slots = tuple(f"args[{index}]" for index in range(len(args))) if isinstance(args, list) else ("",)
        for slot in reversed(slots):
            at = self.value(spot.below.get(slot), at, at)
        return at

    def holds(self, spot: Spot) -> tuple[bool, ...]:
        """What may come of a condition: as recorded, as what is known decides, or both."""
        if spot.position in self.seen:
            return (self.seen[spot.position],)
        try:
            decided = truth_of(spot.node, self.fields)
        except RuleFailure:  # the run did not fail, so it did not come by
            return ()
        return (True, False) if decided is None else (decided,)

    def junction(self, spot: Spot, cutting: bool, yes: int, no: int) -> int:
        """Where `and` or `or` begins; one that is cut short ends elsewhere than one that is not."""
        args = spot.node.get("args")
        if not isinstance(args, list):
            return DEAD
        early, late = (yes, no) if cutting else (no, yes)
        short = self.vertex(spot, (early, cutting))
        at = self.vertex(spot, (late, not cutting))
        for index in reversed(range(len(args))):
            ends = (short, at) if cutting else (at, short)
            at = self.value(spot.below.get(f"args[{index}]"), *ends)
        return at
