"""The decision path from the trace alone, where the program is not known: values, types and ids, no paths or operators."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from analytics.findings import receipt_words as words
from analytics.findings.receipt_steps import Step, taken
from analytics.findings.receipt_words import Line

_MOST_LINES: Final = 6
_STATEMENTS: Final = {
    "set_points": "sets the points to ",
    "set_case_name": "sets the case to ",
    "set_data": "sets a key of the data to ",
    "set_callback_data": "calls back with ",
}


def bare_steps(trace: Sequence[Any], *, is_extend: bool) -> list[Step]:
    """One step for every rule that left an entry; statements that follow a skipped rule have one of their own.

    Args:
        trace: Entries as the log held them, whatever they are.
        is_extend: The program wraps a built-in: where its phases meet is not recorded, so rules are counted as they come.
    """
    walk = _Bare(is_extend)
    for number, entry in enumerate(trace, 1):
        walk.entry(entry, number)
    return walk.finish()


class _Bare:
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
        self.amount: Any = None
        self.rule_conditions: tuple[Line, ...] = ()

    def entry(self, entry: Any, number: int) -> None:
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
            self.steps.append(Step("After the last rule", "unknown", "no rule follows", None, left))
        return self.steps

    def _rule(self, entry: Mapping[str, Any], number: int) -> None:
        self._close()
        self.count += 1
        node_id = entry.get("nodeId")
        what = "Rule entry" if self.is_extend else "Rule"
        name = f"{what} {self.count}" + ("" if node_id is None else f", {words.name(node_id)}")
        # A bare value as condition leaves no compare: what is on the stack is what was looked at.
        self.rule_conditions = _shortened(self.conditions or self.stack)
        self.conditions, self.stack = [], []
        self.rule = (name, str(entry.get("branch")), number)

    def _statement(self, kind: str, entry: Mapping[str, Any], shown: words.Seen) -> None:
        found = entry.get("value")
        because = (*self.stack[-1], " → ") if self.stack and self.stack[-1] != (shown,) else ()
        self.stack, self.conditions = [], []
        if self.rule is not None and self.rule[1] == "skip":
            self._close()
        if kind == "assign_points":
            line: Line = ("assigns ", words.Seen(words.points(found)))
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
                "skipped" if is_skipped else "matched",
                "skipped" if is_skipped else taken(branch)[1],
                conditions=self.rule_conditions,
                effects=effects,
                points=self.amount,
                first_entry=number,  # its own entry: where its operands begin is not recorded
                last_entry=number,
            )
            self.steps.append(step)
        elif self.effects:
            self.steps.append(Step("Without a rule", "matched", "", None, (), tuple(self.effects), self.amount))
        self.rule, self.effects, self.amount, self.rule_conditions = None, [], None, ()

    def _pop(self) -> Line:
        return self.stack.pop() if self.stack else ("a value",)


def _shortened(lines: Sequence[Line]) -> tuple[Line, ...]:
    """The first lines and the last; how many there are between."""
    if len(lines) <= _MOST_LINES:
        return tuple(lines)
    return (*lines[: _MOST_LINES - 2], (f"{len(lines) - _MOST_LINES + 1} more",), lines[-1])
