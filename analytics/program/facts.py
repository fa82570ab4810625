"""What is known of a run at a place of its program, and what that leaves open: a decision procedure, never a guess.

A field may hold any JSON value, so a comparison with a constant is judged over all of them: the reals fall apart at the constants
into points and gaps, texts likewise, and what is left (null, true, lists, objects, NaN, the infinities) is tried one by one. Within
one part every value answers alike (the small-model property of linear orders; Ferrante and Rackoff, *SIAM J. Comput.* 4, 1975),
so an outcome that none of these values gives is given by no value. A comparison that raises ends its run and is no outcome.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from fractions import Fraction
from typing import Final, TypeGuard

from analytics.program import exact, outcome
from analytics.program.outcome import RuleFailure, Value
from analytics.storage.typed_json import Json, JsonObject

_MOST_APART: Final = 16
"""Tests of one expression that are kept, besides the tightest of each order; more are not remembered."""
_ANY: Final[tuple[Value, ...]] = (
    None, True, False, "", "\x00", [], [0], {}, {"": 0}, math.nan, math.inf, -math.inf, 10**400, -(10**400),
)  # fmt: skip
_TURNED: Final[Mapping[str, str]] = {"<": ">", "<=": ">=", ">": "<", ">=": "<=", "==": "==", "!=": "!="}


@dataclass(frozen=True, slots=True)
class Test:
    """What an expression was asked.

    Attributes:
        operator: Of the comparison, the expression standing on its left; empty where its truth was asked.
        constant: What it was compared with.
        truth: What came of it.
    """

    operator: str
    constant: Value
    truth: bool

    def passes(self, value: Value | Fraction) -> bool:
        """Whether a value gives that answer; False where the comparison raises."""
        try:
            found = outcome.COMPARE[self.operator](value, self.constant) if self.operator else value
            return bool(found) is self.truth
        except TypeError:
            return False


@dataclass(frozen=True, slots=True)
class Fact:
    """A condition that came out one way in every run that comes by.

    Attributes:
        node: The condition.
        truth: How.
        rule: Position of the rule that ends all other runs; None where the condition in question says so itself.
        about: Key of the expression that a constant was compared with, None where there is none.
        test: What it was asked.
    """

    node: JsonObject
    truth: bool
    rule: int | None = None
    about: str | None = None
    test: Test | None = None


@dataclass(frozen=True, slots=True)
class Facts:
    """All that is known, by the key of the condition. Never changed: ``with_`` gives others."""

    known: Mapping[str, Fact] = field(default_factory=dict)

    def with_(self, key: str, fact: Fact) -> Facts:
        """These and one more; what it makes superfluous is left out."""
        known = dict(self.known)
        if fact.test is not None:
            same = [(name, old) for name, old in known.items() if old.about == fact.about and old.test is not None]
            alike = [name for name, old in same if _is_same_order(old.test, fact.test)]
            if len(same) - len(alike) >= _MOST_APART:
                fact = replace(fact, about=None, test=None)
            for name in alike if fact.test is not None else ():
                # The new one was open, so it is the tighter: the condition stays known, its test is implied.
                known[name] = replace(known[name], about=None, test=None)
        known[key] = fact
        return Facts(known)

    def of_rule(self, rule: int, before: Facts) -> Facts:
        """What is known now and was not before is owed to a rule."""
        return Facts(
            {key: fact if key in before.known else replace(fact, rule=rule) for key, fact in self.known.items()}
        )

    def about(self, key: str) -> list[Fact]:
        """What is known of the value of an expression."""
        return [fact for fact in self.known.values() if fact.about == key and fact.test is not None]

    def compound(self) -> Iterator[Fact]:
        """Conditions of which some part decided, nobody knows which: an `and` that was false, an `or` that was true."""
        for fact in self.known.values():
            if fact.node.get("type") in ("and", "or") and fact.truth is (fact.node["type"] == "or"):
                yield fact


def common(found: Iterable[Facts]) -> Facts | None:
    """What is known whichever way was taken; None when there is none."""
    ways = list(found)
    if not ways:
        return None
    first, *others = ways
    kept = {
        key: fact
        for key, fact in first.known.items()
        if all(key in other.known and other.known[key].truth is fact.truth for other in others)
    }
    return Facts(kept)


def _is_same_order(old: Test | None, new: Test) -> bool:
    if old is None or (old.operator, old.truth) != (new.operator, new.truth) or new.operator in ("", "==", "!="):
        return False
    return _is_number(old.constant) and _is_number(new.constant)


def _is_number(value: Value) -> TypeGuard[float]:
    return isinstance(value, int) or (isinstance(value, float) and math.isfinite(value))


def is_possible(tests: Iterable[Test]) -> bool:
    """Whether some JSON value gives all these answers."""
    wanted = list(tests)
    for value in _values(wanted):
        for test in wanted:
            if not test.passes(value):
                break
        else:
            return True
    return False


def _values(tests: list[Test]) -> Iterator[Value | Fraction]:
    """A value of every part into which the constants divide all there are."""
    yield from _ANY
    constants = [test.constant for test in tests if test.operator]
    # Whole numbers stay as they are: they compare as fractions do, in a fraction of the time.
    numbers = sorted(
        {value if isinstance(value, int) else Fraction(value) for value in [0, *constants] if _is_number(value)}
    )
    yield numbers[0] - 1
    for index, number in enumerate(numbers):
        yield number
        yield (number + numbers[index + 1]) * _HALF if index + 1 < len(numbers) else number + 1
    for value in constants:
        if isinstance(value, str):
            yield value
            yield value + "\x00"  # the next text there is


_HALF: Final = Fraction(1, 2)


def key_of(node: Json, depth: int = 0) -> str | None:
    """What an expression says, whatever its nodes are called; None for one that is not well formed."""
    said = _shape(node, depth)
    return None if said is None else json.dumps(said)


def _shape(node: Json, depth: int) -> Json:
    if depth > exact.MAX_COMPILED_DEPTH or not isinstance(node, Mapping):
        return None
    kind, args = node.get("type"), node.get("args")
    parts: list[Json]
    if kind == "literal":
        try:
            return [kind, json.dumps(node.get("value"), sort_keys=True)]
        except (TypeError, ValueError, RecursionError):
            return None
    if kind == "field":
        path = node.get("path")
        return [kind, path] if isinstance(path, str) else None
    if kind in ("compare", "arith"):
        parts, name = [node.get("left"), node.get("right")], node.get("op")
    elif kind == "not":
        parts, name = [node.get("arg")], ""
    elif kind in ("and", "or", "func_call") and isinstance(args, list):
        parts, name = args, node.get("name", "") if kind == "func_call" else ""
    else:
        return None
    below = [_shape(part, depth + 1) for part in parts]
    return None if None in below or not isinstance(name, str) else [kind, name, *below]


def constant(node: Json, depth: int = 0) -> tuple[Value] | None:
    """The value of an expression that reads no field, in a tuple; None where it reads one, or fails."""
    if not isinstance(node, Mapping):
        return None
    kind, args = node.get("type"), node.get("args")
    if kind == "literal":
        return (node.get("value"),)
    if depth > exact.MAX_COMPILED_DEPTH or kind not in ("arith", "compare", "not", "func_call"):
        return None
    parts = [node.get("arg")] if kind == "not" else [node.get("left"), node.get("right")]
    if kind == "func_call":
        parts = args if isinstance(args, list) else [None]
    found: list[Value] = []
    for part in parts:
        value = constant(part, depth + 1)
        if value is None:
            return None
        found.append(value[0])
    try:
        if kind == "not":
            return (not found[0],)
        if kind == "func_call":
            return (outcome.call(outcome.check_function(node.get("name"), len(found)), found),)
        return ((outcome.compare if kind == "compare" else outcome.arith)(node.get("op"), *found),)
    except (RuleFailure, ValueError):
        return None  # whatever fails there has no value, and nothing is said of it


def question(node: JsonObject) -> tuple[str, str, Value] | None:
    """What a condition asks of one expression: its key, the operator with the expression on its left, and the constant.

    None where it asks something else, or compares with a list or an object, which have an order of their own.
    """
    if node.get("type") != "compare":
        key = key_of(node)
        return None if key is None else (key, "", None)
    name = node.get("op")
    if not isinstance(name, str) or name not in _TURNED:
        return None
    for side, other, operator in (("left", "right", name), ("right", "left", _TURNED[name])):
        value, key = constant(node.get(other)), key_of(node.get(side))
        if value is not None and key is not None:
            plain = value[0] is None or isinstance(value[0], bool | int | float | str)
            return (key, operator, value[0]) if plain else None
    return None
