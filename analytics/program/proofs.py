"""What a program proves of itself: rules that cannot match, or cannot but match, conditions that cannot come out one way.

The program is walked once with what is known of every run that comes by (``facts``): past a rule that ends the program when its
condition holds, that condition has been false. A proof holds for every event: whatever JSON a field holds, comparisons that raise
and NaN among it. A run that fails matches nothing. Within one phase a field never changes (``set_data`` is read by the built-in
and by the post phase), so equal expressions have equal values there; nothing is carried from one phase to the next. What is too
large to be followed is not proven.
"""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Literal, TypeAlias

from analytics.program import words
from analytics.program.exact import CONDITIONS, ENDINGS, MAX_COMPILED_DEPTH, items
from analytics.program.facts import Fact, Facts, Test, common, constant, is_possible, key_of, question
from analytics.program.walk import Outline, ProgramNode
from analytics.storage.typed_json import Json, JsonObject

What: TypeAlias = Literal["unreachable", "never", "always"]

_MOST_STEPS: Final = 20_000
"""Conditions that are judged; a program that needs more is not followed to its end."""
_LONGEST: Final = 70


@dataclass(frozen=True, slots=True)
class Proof:
    """What cannot happen at a place of a program.

    Attributes:
        what: ``unreachable``: no run comes by. ``never``: the rule cannot match, the condition cannot be true. ``always``: the rule
            cannot but match, the condition cannot be false; where it does not fail.
        why: The reason, in a clause.
    """

    what: What
    why: str


def proofs(program: Outline) -> dict[int, Proof]:
    """Position → what is proven of that place: rules, conditions, and the first statement of the default."""
    work = _Work(program)
    for section in ("rules", "pre_rules", "post_rules"):
        with contextlib.suppress(_TooLarge):  # what was proven before stands
            work.phase(section)
    return work.found


class _TooLarge(Exception):  # noqa: N818 - it ends the walk of one phase and never reaches a caller
    """More steps than are worth it."""


@dataclass(slots=True)
class _Ways:
    """What is known after a condition that came out true, or false; None where it cannot. And what kept it from that."""

    yes: Facts | None
    no: Facts | None
    why: str = ""

    def of(self, truth: bool) -> Facts | None:
        return self.yes if truth else self.no


class _Work:
    """One walk through a program."""

    def __init__(self, program: Outline) -> None:
        self.program = program
        self.found: dict[int, Proof] = {}
        self.steps = 0

    # ---- rules -----------------------------------------------------------------------------------------------------

    def phase(self, section: str) -> None:
        self.steps = 0
        facts: Facts | None = Facts()
        closed = ""
        rules = self.program.program.get(section)
        for index in range(len(rules) if isinstance(rules, list) else 0):
            spot = self.program.tops.get(f"{section}[{index}]")
            if spot is None:  # no object: every run that comes by fails there
                continue
            if facts is None:
                self.prove(spot, "unreachable", closed)
                continue
            after = self.rule(spot, facts)
            if after is None:
                closed = f"no run comes past {self.name(spot.position)}, which ends every run that reaches it"
            facts = None if after is None else after.of_rule(spot.position, facts)
        if section == "rules" and facts is None:
            for slot in ("default", "default[0]"):
                if (spot := self.program.tops.get(slot)) is not None:
                    self.prove(spot, "unreachable", closed)

    def rule(self, spot: ProgramNode, facts: Facts) -> Facts | None:
        """What is known of the runs that go on behind a rule; None when none does."""
        branches = spot.node.get("else_if")
        asked = [("when", spot.node.get("then"))]
        for index, branch in enumerate(branches if isinstance(branches, list) else []):
            then = branch.get("then") if isinstance(branch, Mapping) else None
            asked.append((f"else_if[{index}].when", then))
        left: Facts | None = facts
        behind: list[Facts] = []
        matches, why, always = False, "", ""
        for slot, steps in asked:
            below = spot.below.get(slot)
            if below is not None and left is None:
                self.prove(below, "unreachable", always)
            if below is None or left is None:
                matches = matches or left is not None  # an engine fails there; nothing is said of it
                continue
            ways = self.judge(below, left)
            if ways.yes is not None:
                matches = True
                if not _ends(steps):
                    behind.append(ways.yes)
            elif not why:
                why = ways.why
            if ways.no is None and ways.yes is not None:
                always = ways.why
            left = ways.no
        if left is not None and not _ends(spot.node.get("else")):
            behind.append(left)
        if not matches:
            self.prove(spot, "never", why)
        elif left is None and always:
            self.prove(spot, "always", always)
        return common(behind)

    # ---- conditions ------------------------------------------------------------------------------------------------

    def judge(self, spot: ProgramNode, facts: Facts, depth: int = 0) -> _Ways:
        """What may come of a condition, and what is then known."""
        node, kind = spot.node, spot.kind
        found = self.compound(spot, facts, depth) if kind in ("and", "or", "not") else self.atom(node, facts, not depth)
        if kind in ("and", "or", "not") or not depth:
            found = self.settled(node, found, facts, not depth)
        if kind in CONDITIONS and (found.yes is None) != (found.no is None):
            self.prove(spot, "never" if found.yes is None else "always", found.why)
        return found

    def compound(self, spot: ProgramNode, facts: Facts, depth: int) -> _Ways:
        if depth > MAX_COMPILED_DEPTH:
            return _Ways(facts, facts)
        if spot.kind == "not":
            below = spot.below.get("arg")
            if below is None:
                return _Ways(facts, facts)
            inner = self.judge(below, facts, depth + 1)
            return _Ways(inner.no, inner.yes, inner.why)
        args = spot.node.get("args")
        if not isinstance(args, list):
            return _Ways(facts, facts)
        cutting = spot.kind == "or"
        running: Facts | None = facts
        cut: list[Facts] = []
        why = ""
        for index in range(len(args)):
            below = spot.below.get(f"args[{index}]")
            if below is None:  # fails there, so what follows is not reached; nothing is said of it
                continue
            if running is None:
                self.prove(below, "unreachable", why)
                continue
            ways = self.judge(below, running, depth + 1)
            early = ways.of(cutting)
            if early is not None:
                cut.append(early)
            running = ways.of(not cutting)
            if running is None or early is None:
                why = ways.why if running is None or not why else why
        early = common(cut)
        return _Ways(early, running, why) if cutting else _Ways(running, early, why)

    def settled(self, node: JsonObject, found: _Ways, facts: Facts, is_whole: bool) -> _Ways:
        """A compound condition whose outcome is known as a whole, or that contradicts what is known as a whole."""
        key = key_of(node)
        known = facts.known.get(key) if key is not None else None
        result = _Ways(found.yes, found.no, found.why)
        for truth in (True, False):
            after = found.of(truth)
            if after is None:
                continue
            broken = known if known is not None and known.truth is not truth else self.contradicted(after)
            if broken is not None:
                after, result.why = None, self.same(broken, node, is_whole)
            elif key is not None and key not in after.known:
                after = after.with_(key, Fact(node, truth, known.rule if known else None))
            if truth:
                result.yes = after
            else:
                result.no = after
        return result

    def contradicted(self, facts: Facts) -> Fact | None:
        """A compound condition that cannot have come out as it did, given all that is known."""
        return next((fact for fact in facts.compound() if not self.may_cut(fact.node, facts)), None)

    def may_cut(self, node: JsonObject, facts: Facts) -> bool:
        """Whether some part of an `and` may be false, of an `or` true."""
        cutting = node["type"] == "or"
        running: Facts | None = facts
        for arg in items(node["args"]) or ():
            if running is None:
                return False
            ways = self.possible(arg, running, 1)
            if ways.of(cutting) is not None:
                return True
            running = ways.of(not cutting)
        return False

    def possible(self, node: Json, facts: Facts, depth: int = 0) -> _Ways:
        """As ``judge``, of a condition that stands elsewhere in the program: nothing is proven of it."""
        if not isinstance(node, Mapping):
            return _Ways(facts, facts)
        kind, args = node.get("type"), node.get("args")
        if kind not in ("and", "or", "not") or depth > MAX_COMPILED_DEPTH:
            return self.atom(node, facts)
        key = key_of(node)
        if key is not None and key in facts.known:
            truth = facts.known[key].truth
            return _Ways(facts if truth else None, None if truth else facts)
        if kind == "not":
            inner = self.possible(node.get("arg"), facts, depth + 1)
            return _Ways(inner.no, inner.yes)
        cutting = kind == "or"
        running: Facts | None = facts
        early = False
        for arg in args if isinstance(args, list) else [None]:
            if running is not None:
                ways = self.possible(arg, running, depth + 1)
                early = early or ways.of(cutting) is not None
                running = ways.of(not cutting)
        short = facts if early else None
        return _Ways(short, running) if cutting else _Ways(running, short)

    def atom(self, node: JsonObject, facts: Facts, is_whole: bool = False) -> _Ways:
        """A condition without conditions of its own."""
        self.steps += 1
        if self.steps > _MOST_STEPS:
            raise _TooLarge
        value = constant(node)
        if value is not None:
            truth = bool(value[0])
            why = f"{_said(node)} is {_word(truth)} whatever comes"
            return _Ways(facts if truth else None, None if truth else facts, why)
        key = key_of(node)
        if key is None:
            return _Ways(facts, facts)
        known = facts.known.get(key)
        if known is not None:
            why = self.same(known, node, is_whole)
            return _Ways(facts if known.truth else None, None if known.truth else facts, why)
        asked = question(node)
        if asked is None:
            return _Ways(facts.with_(key, Fact(node, True)), facts.with_(key, Fact(node, False)))
        about, operator, compared = asked
        held = facts.about(about)
        after: dict[bool, Facts | None] = {}
        why = ""
        for truth in (False, True):
            test = Test(operator, compared, truth)
            if is_possible([test, *(fact.test for fact in held if fact.test is not None)]):
                after[truth] = facts.with_(key, Fact(node, truth, None, about, test))
            else:
                after[truth] = None
                why = self.excluded(node, truth, held, test)
        if (after[True] is None) != (after[False] is None):
            # What follows from the rest narrows nothing.
            truth = after[True] is not None
            after[truth] = facts.with_(key, Fact(node, truth, next((f.rule for f in held if f.rule is not None), None)))
        return _Ways(after[True], after[False], why)

    # ---- words -----------------------------------------------------------------------------------------------------

    def name(self, position: int) -> str:
        """A rule for a reader."""
        return words.place(self.program, position)

    def same(self, known: Fact, node: JsonObject, is_whole: bool) -> str:
        """Why a condition that was asked before comes out as it did."""
        if known.rule is None:
            return f"{_said(known.node)} was asked before and was {_word(known.truth)}"
        rule = self.program.spots[known.rule].node
        if is_whole and not known.truth and key_of(rule.get("when")) == key_of(node):
            return f"its condition is that of {self.name(known.rule)}, which ends every run that meets it"
        return f"{self.name(known.rule)} leaves only runs in which {_said(known.node)} is {_word(known.truth)}"

    def excluded(self, node: JsonObject, truth: bool, held: list[Fact], test: Test) -> str:
        """Which of the things known keeps a comparison from one outcome: one alone, where one is enough."""
        alone = [fact for fact in held if fact.test is not None and not is_possible([fact.test, test])]
        told = alone[:1] or held[:2]
        said = f"{_said(node)} cannot be {_word(truth)}"
        if not told:
            return f"{said}, whatever comes"
        clauses = []
        for fact in told:
            where = "" if fact.rule is None else f" past {self.name(fact.rule)}"
            clauses.append(f"{_said(fact.node)} is {_word(fact.truth)}{where}")
        return f"{said} where {' and '.join(clauses)}"

    def prove(self, spot: ProgramNode, what: What, why: str) -> None:
        """Say it of a place; where no run comes by, of all that stands below it too."""
        self.found[spot.position] = Proof(what, why)
        if what == "unreachable":
            stack = list(spot.below.values())
            while stack:
                one = stack.pop()
                self.found[one.position] = Proof(what, why)
                stack += one.below.values()


def _ends(steps: Json) -> bool:
    """No run goes on behind these statements."""
    # A list: a type may be anything that JSON has, also what has no hash.
    return isinstance(steps, list) and any(
        isinstance(step, Mapping) and step.get("type") in [*ENDINGS] for step in steps
    )


def _word(truth: bool) -> str:
    return "true" if truth else "false"


def _said(node: JsonObject) -> str:
    text = words.expression(node)
    return text if len(text) <= _LONGEST else text[: _LONGEST - 1] + "…"
