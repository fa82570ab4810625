"""What a run saw, in the words of a receipt: values shortened for reading, expressions with the values beside them.

A line is a sequence of pieces; what the run saw is a `Seen`, so that a page can set it apart. Authors' text stands in pieces as
it is: whoever shows a line escapes it.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping
from typing import Final, TypeAlias

from analytics.program import Outline
from analytics.program.walk import ProgramNode

LONGEST_VALUE: Final = 60
LONGEST_NAME: Final = 60
_UNKNOWN: Final = "…"
_FIRST: Final = 3  # conditions of a long ladder that are shown, besides the last
_INFIX: Final = frozenset("+-*/")


class SeenValue(str):
    """A value that the run saw."""

    __slots__ = ()


Line: TypeAlias = tuple[str, ...]


def plain(line: Iterable[str]) -> str:
    """A line as one text."""
    return "".join(line)


def name(text: object) -> str:
    """An author's word, shortened."""
    found = text if isinstance(text, str) else value(text)
    return found if len(found) <= LONGEST_NAME else found[: LONGEST_NAME - 1] + _UNKNOWN


def value(found: object, *, exact: bool = False) -> SeenValue:
    """A value as JSON, shortened; how much there is of a long one is said.

    Args:
        found: Any JSON value; NaN and infinities too.
        exact: Floats with all their digits: ten are shown otherwise.
    """
    if isinstance(found, float):
        return SeenValue(_float(found, exact))
    if isinstance(found, int) and not isinstance(found, bool):
        return SeenValue(_integer(found))
    if isinstance(found, str):
        if len(found) <= LONGEST_VALUE:
            return SeenValue(json.dumps(found, ensure_ascii=False))
        head = json.dumps(found[: LONGEST_VALUE - 20], ensure_ascii=False)[:-1]
        return SeenValue(f'{head}…" ({len(found):,} characters)')
    try:
        text = json.dumps(found, ensure_ascii=False, default=str)
    except (ValueError, RecursionError, TypeError):
        return SeenValue("a value that cannot be written")
    if len(text) <= LONGEST_VALUE:
        return SeenValue(text)
    count = f" ({len(found):,} items)" if isinstance(found, list | Mapping) else ""
    return SeenValue(f"{text[: LONGEST_VALUE - 20]}…{count}")


def _float(found: float, exact: bool) -> str:
    if not math.isfinite(found):
        return "NaN" if found != found else "Infinity" if found > 0 else "-Infinity"
    return repr(found) if exact else f"{found:.10g}"


def _integer(found: int) -> str:
    if found.bit_length() < 200:
        return str(found)
    digits = int(found.bit_length() * math.log10(2)) + 1
    if digits > 4000:  # Python refuses to write them
        return f"an integer of about {digits:,} digits"
    text = str(found)
    return f"{text[:20]}… ({len(text.lstrip('-')):,} digits)"


def points(found: object) -> str:
    """An amount with its unit: `1 point`, `12.5 points`."""
    is_zero = isinstance(found, float) and found == 0  # −0 pays what 0 pays
    return f"{value(0 if is_zero else found)} point" + "s" * (isinstance(found, bool) or found != 1)


def case(found: object) -> str:
    """A case, or that there is none."""
    return "no case" if found is None else f"case {name(found)}"


class ExpressionWriter:
    """Expressions of a program with what a run saw.

    Args:
        program: Its nodes.
        seen: Position → entry, for the nodes that left one.
    """

    def __init__(self, program: Outline, seen: Mapping[int, Mapping[str, object]]) -> None:
        self.program, self.seen = program, seen

    def value_of(self, spot: ProgramNode | None) -> object:
        """What a node's entry recorded; None without one."""
        entry = self.seen.get(spot.position) if spot else None
        return entry.get("value") if entry else None

    def is_seen(self, spot: ProgramNode | None) -> bool:
        """The node left an entry, or one below it did."""
        if spot is None:
            return False
        if spot.position in self.seen:
            return True
        return any(self.is_seen(child) for child in spot.below.values()) if spot.depth < 110 else False

    def condition(self, spot: ProgramNode | None, *, is_whole: bool = False) -> Line:
        """A condition with the values it saw and what came of it.

        Args:
            spot: Its node.
            is_whole: It is a rule's condition: no brackets around it, and its result is left to the rule's verdict.
        """
        if spot is None or not self.is_seen(spot):
            return (_UNKNOWN,)
        if spot.kind in ("and", "or"):
            return self._junction(spot, is_whole)
        result = self._result(spot)
        if spot.kind == "compare":
            return (*self._compared(spot), result)
        if spot.kind == "not":
            return ("not (", *self.condition(spot.below.get("arg")), ")", result)
        found = self.value_of(spot)
        if spot.kind == "literal":
            return ("always ", SeenValue(_truth(found))) if isinstance(found, bool) else (value(found), result)
        return (*self.operand(spot), result) if not self._says_itself(spot, found) else (self._named(spot), result)

    def operand(self, spot: ProgramNode | None, *, is_inner: bool = False, exact: bool = False) -> Line:
        """An expression with its value: `data.km 6.2 * 2 = 12.4`.

        Args:
            spot: Its node.
            is_inner: It stands within another one: a calculation gets brackets.
            exact: Floats with all digits.
        """
        if spot is None or not self.is_seen(spot):
            return (_UNKNOWN,)
        has_value = spot.position in self.seen
        shown: Line = (value(self.value_of(spot), exact=exact),) if has_value else (_UNKNOWN,)
        if spot.kind == "literal":
            return shown
        if spot.kind == "field":
            return (self._named(spot), " ", *shown)
        if spot.kind in ("arith", "func_call"):
            line = (*self._calculated(spot), " = ", *shown)
            return ("(", *line, ")") if is_inner else line
        return ("(", *self.condition(spot), ")")

    def next(self, spot: ProgramNode) -> Line:
        """A node that left no entry, with what was known before it: `100 / data.n 0`."""
        if spot.kind == "compare":
            return self._compared(spot)
        if spot.kind in ("arith", "func_call"):
            return self._calculated(spot)
        if spot.kind == "field":
            return (self._named(spot),)
        if spot.kind == "literal":
            return (value(spot.node.get("value")),)
        kind = name(spot.kind) if spot.kind else "a node without a type"
        source = spot.below.get("value")
        return (kind, *((" of ", *self.operand(source)) if self.is_seen(source) else ()))

    def _says_itself(self, spot: ProgramNode, found: object) -> bool:
        """`data.flag is true` says it all."""
        return spot.kind == "field" and isinstance(found, bool)

    def _named(self, spot: ProgramNode) -> str:
        path = spot.node.get("path")
        return name(path) if isinstance(path, str) else "a field without a path"

    def _result(self, spot: ProgramNode) -> str:
        if spot.position not in self.seen:
            return ""
        found = self.value_of(spot)
        return f" is {_truth(found)}" if isinstance(found, bool) else f" counts as {_truth(found)}"

    def _compared(self, spot: ProgramNode) -> Line:
        left, right = spot.below.get("left"), spot.below.get("right")
        sides = [self.operand(side, is_inner=True) for side in (left, right)]
        # 0.1 + 0.2 shows as 0.3 in ten digits; beside another 0.3 the result would look wrong.
        if value(self.value_of(left)) == value(self.value_of(right)) and self.value_of(left) != self.value_of(right):
            sides = [self.operand(side, is_inner=True, exact=True) for side in (left, right)]
        return (*sides[0], f" {name(spot.node.get('op'))} ", *sides[1])

    def _calculated(self, spot: ProgramNode) -> Line:
        if spot.kind == "func_call":
            args = spot.node.get("args")
            count = len(args) if isinstance(args, list) else 0
            return self._called(spot.node.get("name"), [spot.below.get(f"args[{index}]") for index in range(count)])
        sides, op = [spot.below.get("left"), spot.below.get("right")], spot.node.get("op")
        if op not in _INFIX:
            return self._called(op, sides)
        left, right = (self.operand(side, is_inner=True) for side in sides)
        return (*left, f" {op} ", *right)

    def _called(self, function: object, args: Iterable[ProgramNode | None]) -> Line:
        line: list[str] = [name(function), "("]
        for index, arg in enumerate(args):
            line += [*([", "] if index else []), *self.operand(arg)]
        return (*line, ")")

    def _junction(self, spot: ProgramNode, is_whole: bool) -> Line:
        args = spot.node.get("args")
        count = len(args) if isinstance(args, list) else 0
        looked_at = [arg for index in range(count) if self.is_seen(arg := spot.below.get(f"args[{index}]"))]
        line: list[str] = []
        # All that were looked at before the last had the value that does not decide.
        hidden = range(_FIRST, len(looked_at) - 1) if len(looked_at) > _FIRST + 2 else range(0)
        for index, arg in enumerate(looked_at):
            if index in hidden:
                same = "true" if spot.kind == "and" else "false"
                line += [f", {spot.kind} {len(hidden)} more that are {same}"] if index == hidden[0] else []
                continue
            line += [*([f", {spot.kind} "] if line else []), *self.condition(arg)]
        if spot.position not in self.seen:
            line += [f", {spot.kind} …"]
        elif count == 0:
            line += [f"{spot.kind} of nothing is {_truth(self.value_of(spot))}"]
        elif len(looked_at) < count:
            line += [", the rest was not looked at"]
        return tuple(line) if is_whole else ("(", *line, ")", self._result(spot))


def _truth(found: object) -> str:
    return "true" if found else "false"
