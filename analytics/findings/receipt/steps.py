"""The decision path of one run, rule after rule: by position where the program is known, so that repeated ids mislead nobody."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Final, SupportsFloat

from analytics.findings.receipt import wording as words
from analytics.findings.receipt.wording import ExpressionWriter, Line
from analytics.program import Alignment, Outline
from analytics.program.walk import ProgramNode


class State(StrEnum):
    """What became of a step, as a receipt's JSON spells it."""

    MATCHED = "matched"
    SKIPPED = "skipped"
    OFF = "off"
    UNKNOWN = "unknown"
    FAILED = "failed"
    BUILT_IN = "built_in"
    TOTAL = "total"


class Ending(StrEnum):
    """What is behind the last entry of a trace: nothing, what was not stored, or the failure."""

    ENDED = "ended"
    CUT = "cut"
    FAILED = "failed"


_BEFORE: Final[Mapping[str, str]] = {"pre_rules": "Before the built-in, rule", "post_rules": "After the built-in, rule"}
_BEHIND: Final = "behind the cut"
_PHASES: Final[Mapping[str, str]] = {"rules": "full", "default": "full", "pre_rules": "pre", "post_rules": "post"}


@dataclass(frozen=True, slots=True)
class Step:
    """One line of a receipt.

    Attributes:
        name: The rule, as `Rule 2, performance-bonus`, or what else the line is about.
        state: `matched`, `skipped`, `off` (not reached), `unknown` (not known), `failed` (stopped here), `built_in`, `total`.
        verdict: The state in words.
        phase: `full`, `pre` or `post`; None for what is no part of the program.
        conditions: What was looked at, with values; one line for `when` and one for each `else if`.
        effects: What its statements did.
        points: What it paid, or changed (see `is_change`); of the total, what the log says. None for nothing.
        is_change: `points` is what was added to an earlier amount.
        first_entry, last_entry: Its entries in the trace, from 1; None without any.
        is_computed: It lies behind the cut of a stored trace, at least in part: the replay computed it.
    """

    name: str
    state: State
    verdict: str = ""
    phase: str | None = None
    conditions: tuple[Line, ...] = ()
    effects: tuple[Line, ...] = ()
    points: object = None
    is_change: bool = False
    first_entry: int | None = None
    last_entry: int | None = None
    is_computed: bool = False

    def to_dict(self) -> dict[str, object]:
        """For programs: lines as texts."""
        return {
            "name": self.name,
            "state": self.state.value,
            "verdict": self.verdict,
            "phase": self.phase,
            "conditions": [words.plain(line) for line in self.conditions],
            "effects": [words.plain(line) for line in self.effects],
            "points": self.points,
            "is_change": self.is_change,
            "first_entry": self.first_entry,
            "last_entry": self.last_entry,
            "is_computed": self.is_computed,
        }


class Path:
    """The rules of a program along one run. Ask in the order of evaluation: what came before decides what is said.

    Args:
        program: Its nodes.
        alignment: The alignment of all entries, of the computed ones too.
        trace: All entries.
        stored: How many of them the log holds; the others were computed.
        ending: What is behind the last entry: `ended` (nothing), `cut` (what was not stored), `failed` (the failure).

    Attributes:
        amount: The points so far; None where not known.
        is_changed, is_renamed: A statement has set them, or the case.
    """

    def __init__(
        self, program: Outline, alignment: Alignment, trace: Sequence[Mapping[str, object]], stored: int, ending: Ending
    ) -> None:
        self.program, self.alignment, self.trace, self.stored, self.ending = program, alignment, trace, stored, ending
        self.order = {position: index for index, position in enumerate(alignment.positions)}
        self.tell = ExpressionWriter(program, {position: trace[index] for position, index in self.order.items()})
        self.amount: object = None
        self.is_changed = self.is_renamed = False
        self._matched_any = False
        self._over = self._phase_over = ""
        self._place = None if ending is Ending.ENDED else self._top(self._last())

    @property
    def over(self) -> str:
        """Why nothing of the run follows any more; empty while something may."""
        return self._over

    def rules(self, section: str) -> Iterator[Step]:
        """One step for every rule of a section, those that were not reached included."""
        self._phase_over = ""
        rules = self.program.program.get(section)
        for index in range(len(rules)) if isinstance(rules, list) else ():
            spot = self.program.tops.get(f"{section}[{index}]")
            name = f"{_BEFORE.get(section, 'Rule')} {index + 1}"
            if spot is None:
                yield self._missed(f"{name}, which is no rule", section)
            elif self.tell.is_seen(spot):
                yield self._rule(spot, _named(name, spot), section)
            else:
                yield self._missed(_named(name, spot), section)

    def default(self) -> Iterator[Step]:
        """What happens where no rule ends the run."""
        given = self.program.program.get("default")
        slots = [f"default[{index}]" for index in range(len(given))] if isinstance(given, list) else ["default"]
        spots = [spot for slot in slots if (spot := self.program.tops.get(slot))]
        if any(map(self.tell.is_seen, spots)):
            name = "No rule ended the run" if self._matched_any else "No rule matched"
            lines, amount, why = self._statements(spots)
            verdict = "the default"
            if not why and self._place in [spot.position for spot in spots]:
                _, more, line = self._broken_off()
                verdict, lines = f"{verdict}, {more}", (*lines, *line)
            yield Step(name, State.MATCHED, verdict, "full", (), lines, amount, False, *self._span(spots))
        elif given is not None and given != [] and (self._over or self.ending is not Ending.ENDED):
            yield self._missed("Otherwise, the default", "default")
        elif not self._over and self.ending is Ending.ENDED and not (self.is_changed or self.is_renamed):
            name = "No rule paid" if self._matched_any else "No rule matched"
            yield Step(name, State.SKIPPED, "0 points and no case", "full")

    # ---- one rule --------------------------------------------------------------------------------------------------

    def _rule(self, spot: ProgramNode, name: str, section: str) -> Step:
        entry = self.tell.seen.get(spot.position)
        conditions, span, phase = tuple(self._conditions(spot)), self._span([spot]), _PHASES[section]
        if entry is None:  # its condition was not finished, or just so
            state, verdict, line = self._broken_off()
            return Step(name, state, verdict, phase, conditions, line, None, False, *span)
        branch = str(entry.get("branch"))
        if branch == "skip":
            return Step(name, State.SKIPPED, "skipped", phase, conditions, (), None, False, *span)
        self._matched_any = True
        slot, verdict = branch_taken(branch)
        before = self.amount
        lines, amount, why = self._statements(_block(spot, slot))
        if not why and self._place == spot.position:
            _, more, line = self._broken_off()
            verdict, lines = f"{verdict}, {more}", (*lines, *line)
        elif not why and phase == "full":
            lines = (*lines, ("the run goes on",))
        change = _difference(amount, before) if phase == "post" else None
        paid, is_change = (amount, False) if change is None else (change, True)
        return Step(name, State.MATCHED, verdict, phase, conditions, lines, paid, is_change, *span)

    def _conditions(self, spot: ProgramNode) -> Iterator[Line]:
        when = spot.below.get("when")
        if self.tell.is_seen(when):
            yield self.tell.condition(when, is_whole=True)
        branches = spot.node.get("else_if")
        for index in range(len(branches)) if isinstance(branches, list) else ():
            branch = spot.below.get(f"else_if[{index}].when")
            if self.tell.is_seen(branch):
                yield (f"else if {index + 1}: ", *self.tell.condition(branch, is_whole=True))

    def _statements(self, spots: Sequence[ProgramNode]) -> tuple[tuple[Line, ...], object, str]:
        """Lines, the points set last, and why nothing follows (empty when something may)."""
        lines: list[Line] = []
        amount, why = None, ""
        for number, spot in enumerate(spots, 1):
            if spot.position not in self.tell.seen:
                if self.tell.is_seen(spot):
                    lines.append((*self.tell.operand(spot.below.get("value")), " → …"))
                break
            line, paid, why = self._statement(spot)
            lines.append(line)
            amount = amount if paid is None else paid
            if why:
                if rest := len(spots) - number:
                    lines.append((f"{rest} more statement{'s' * (rest != 1)} not reached",))
                break
        if amount is not None:
            self.amount, self.is_changed = amount, True
        return tuple(lines), amount, why

    def _statement(self, spot: ProgramNode) -> tuple[Line, object, str]:
        found, node, kind = self.tell.value_of(spot), spot.node, str(spot.kind)
        source = spot.below.get("value")
        because: Line = ()
        text: Line
        if source is not None and source.kind != "literal" and self.tell.is_seen(source):
            because = (*self.tell.operand(source), " → ")
        key, shown = words.name(node.get("key")), words.value(found)
        section = self.program.nodes[spot.position].section
        if kind == "assign_points" and section == "pre_rules":
            self._phase_over = "this phase had ended"
            text = (f"assigns {words.points(found)}, which the built-in's answer replaces: this phase ends here",)
            return (*because, *text), None, self._phase_over
        if kind == "assign_points":
            self._over = "the run had ended"
            text = ("assigns ", words.SeenValue(words.points(found)), f", {words.case(node.get('case_name'))}")
            return (*because, *text), found, self._over
        if kind == "veto" and section != "pre_rules":
            self._over = "the run had ended"
            return (f"vetoes: 0 points, {words.case(node.get('case_name'))}",), 0, self._over
        if kind == "veto":
            self._over = "vetoed"
            text = (f"vetoes: 0 points, {words.case(node.get('case_name'))}; the built-in does not run",)
            return text, None, self._over
        if kind == "return":
            if section in ("rules", "default"):
                self._over = "the run had ended"
                return ("returns: the run ends here",), None, self._over
            self._phase_over = "this phase had ended"
            return ("returns: this phase ends here",), None, self._phase_over
        if kind == "set_points":
            return (*because, "sets the points to ", shown), found, ""
        self.is_renamed |= kind == "set_case_name"
        effects: dict[str, Line] = {
            "set_case_name": ("sets the case to ", words.SeenValue(words.name(found))),
            "set_data": (f"sets data.{key} to ", shown),
            "set_callback_data": (f"calls back with {key} = ", shown),
        }
        return (*because, *effects.get(kind, (kind,))), None, ""

    # ---- where the trace ends --------------------------------------------------------------------------------------

    def _missed(self, name: str, section: str) -> Step:
        phase, over = _PHASES[section], self._over or self._phase_over
        if over == _BEHIND:
            return Step(name, State.UNKNOWN, "not known, behind the cut", phase)
        if over or self.ending is Ending.ENDED:
            return Step(name, State.OFF, f"not reached, {over or 'the run had ended'}", phase)
        state, verdict, line = self._broken_off()
        return Step(name, state, verdict, phase, (), line)

    def _broken_off(self) -> tuple[State, str, tuple[Line, ...]]:
        """State, verdict and the node that comes next, where the trace ends; what is behind it is not reached, or not known."""
        if self.ending is Ending.CUT:
            self._over = _BEHIND
            return State.UNKNOWN, "the stored trace ends here", ()
        self._over = "the run had failed"
        position = self.alignment.next_position
        if position is None or position in self.order:
            return State.FAILED, "stopped here", ()
        return (
            State.FAILED,
            "stopped here",
            (("the next node would be ", *self.tell.next(self.program.spots[position])),),
        )

    def _last(self) -> int | None:
        """Where the walk stood when the entries ended."""
        if self.alignment.next_position is not None:
            return self.alignment.next_position
        return self.alignment.positions[-1] if self.alignment.positions else None

    def _top(self, position: int | None) -> int | None:
        while position is not None and (parent := self.program.nodes[position].parent_position) is not None:
            position = parent
        return position

    def _span(self, spots: Sequence[ProgramNode]) -> tuple[int | None, int | None, bool]:
        """First and last entry of some nodes and all below, and whether the last was computed."""
        found, stack = [], list(spots)
        while stack:
            spot = stack.pop()
            if spot.position in self.order:
                found.append(self.order[spot.position])
            stack.extend(spot.below.values())
        return (min(found) + 1, max(found) + 1, max(found) >= self.stored) if found else (None, None, False)


def _named(name: str, spot: ProgramNode) -> str:
    node_id = spot.node_id
    is_own = isinstance(node_id, str) and node_id and not node_id.startswith("root.")
    return f"{name}, {words.name(node_id)}" if is_own else name


def branch_taken(branch: str) -> tuple[str, str]:
    """The slot of a branch's statements, and the branch in words."""
    digits = branch.removeprefix("elseif:")
    if digits != branch and digits.isdecimal() and len(digits) < 9:
        number = int(digits)
        return f"else_if[{number}].then", f"else if {number + 1} matched"
    return ("else", "else") if branch == "else" else ("then", "matched")


def _block(spot: ProgramNode, slot: str) -> list[ProgramNode]:
    """The statements of a branch, in order."""
    return [child for place, child in spot.below.items() if place.rpartition("[")[0] == slot]


def _difference(amount: object, before: object) -> float | None:
    """How much was added; None where either is no finite number."""
    if not (isinstance(amount, str | SupportsFloat) and isinstance(before, str | SupportsFloat)):
        return None
    try:
        change = float(amount) - float(before)
    except (ValueError, OverflowError):
        return None
    return change if math.isfinite(change) else None
