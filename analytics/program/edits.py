"""What if a rule paid more: the values of a program by readable addresses, and a program with one of them changed.

    places(ast)                                     # where a value stands, and which it is
    edit(ast, "rule performance-bonus › assign", 12)

An address names a rule as pages do, by its id or number, then its branch, then what stands there: ``rule far › data.km > 5`` is the
5 in it. The JSON path of a value, or of any other part of the program, is an address as well.
"""

from __future__ import annotations

import json
import re
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Literal, TypeAlias

from analytics.errors import UnknownNameError, UsageError, did_you_mean
from analytics.program import words
from analytics.program.faults import CASE, FIRST_TOO_LONG, fits_case_name, is_in, named, printable, step_to
from analytics.program.outcome import ARITH, COMPARE, is_number
from analytics.program.refusals import NodePlace, inspection, walked
from analytics.storage.typed_json import Json, JsonObject

Kind: TypeAlias = Literal["points", "case", "literal", "operator", "variable"]

SEPARATOR: Final = " › "
_MOST_VALUES: Final = 50_000
"""Of objects, lists and values in them: a program at the engine's cap of nodes has some 5,000."""
_DEEPEST: Final = 150
"""Of objects and lists within each other: a program at the engine's cap of depth has some 70."""
_MOST_COMPARED: Final = 1000
_MOST_SHOWN: Final = 20
_LONGEST: Final = 160
"""Letters of an address; what would be longer is addressed by its JSON path."""
_MOST_ARGS: Final = _LONGEST // 4
"""Of a condition that is written out: with more it is too long in any case."""
_SECTIONS: Final = {"pre_rules": "before the built-in, ", "post_rules": "after the built-in, "}
_VERBS: Final = {
    "assign_points": "assign",
    "set_points": "set points",
    "set_case_name": "set case",
    "set_data": "set data.",
    "set_callback_data": "call back with ",
}
_PAYING: Final = ("assign_points", "set_points")
_SLOTS: Final[Mapping[str, tuple[str, ...]]] = {"int": ("value",), "clamp": ("value", "low", "high")}
#: Ids that the engine gives where the author gave none: they number rules, and so does the address.
_GENERATED: Final = re.compile(r".*\.rule\.[0-9]+", re.DOTALL)
_STEP: Final = re.compile(r'\.([A-Za-z_][A-Za-z0-9_]*)|\[([0-9]{1,9})\]|\["((?:[^"\\]|\\.)*)"\]')


@dataclass(frozen=True, slots=True)
class Place:
    """A value that can be changed.

    Attributes:
        where: Its address: readable where that names one value only, its JSON path otherwise.
        value: What stands there.
        path: Its JSON path: ``$.rules[0].then[0].value.value``.
        kind: What may stand there: ``points`` a number, ``case`` a case name, ``operator`` one of its node's, ``literal`` and
            ``variable`` (of the built-in) what is of the same kind as now.
    """

    where: str
    value: Json
    path: str
    kind: Kind


@dataclass(frozen=True, slots=True)
class _Value:
    """A value with every spelling that may name it, the shortest first."""

    value: Json
    path: str
    kind: Kind
    spellings: Sequence[str]
    operators: Mapping[str, object] | None = None


def places(ast: JsonObject) -> list[Place]:
    """Every value of a program that `edit` takes by a readable address: literals, cases, operators, the built-in's variables.

    Grain: one per value, in the order of a reader; the order of the sections is rules, pre_rules, post_rules, default.

    Raises:
        UsageError: It is no program of JSON, or larger than any.
    """
    values = _values(copied(ast))
    named_by = _named_by(values)
    return [Place(_address(value, named_by), value.value, value.path, value.kind) for value in values]


def edit(ast: JsonObject, where: str, value: Json) -> dict[str, Json]:
    """A copy of a program with one value changed; what was given stays as it is.

    Args:
        ast: A program, as a draft or the lake has it. What the engine would refuse of it already stays as it is.
        where: An address as `places` lists them, also with the number of the rule in place of its id or beside it, or as a page
            names the place (``rule 2 far › assign 3 points, case Far``); or a JSON path, which may also lead to a whole node.
        value: What is to stand there, of the kind that belongs there: a number for points, a text for a case …

    Raises:
        UnknownNameError: Nothing has that address.
        UsageError: The address names several values, the value does not fit, or the engine would refuse it there; or the program
            is none of JSON, or larger than any.
    """
    old = copied(ast)
    values = _values(old)
    path = _path_of(where, values, old)
    for one in values:
        if one.path == path and (why := _misfit(one, value)):
            raise UsageError(f"{named(where)} cannot be {shown(value)}: {why}", hint=f"it is {shown(one.value)} now")
    new = copied(old)
    steps = _steps(path)
    holder = _followed(new, steps)[-2]
    if isinstance(holder, dict | list):
        holder[steps[-1]] = value  # type: ignore[index]  # a key of it, or an index: it was followed
    known = {(one.path, one.reason) for one in inspection(old, most=_MOST_COMPARED).refusals}
    for refusal in inspection(new, most=_MOST_COMPARED).refusals:
        if (refusal.path, refusal.reason) not in known:
            raise UsageError(
                f"{named(where)} cannot be {shown(value)}: the engine would refuse the program at {refusal.path}: "
                f"{refusal.reason}",
                hint=refusal.repair,
            )
    return copied(new)


def value_at(ast: JsonObject, where: str) -> Json:
    """What stands at an address now.

    Raises:
        UnknownNameError, UsageError: As `edit`.
    """
    old = copied(ast)
    return _followed(old, _steps(_path_of(where, _values(old), old)))[-1]


def copied(ast: Json) -> dict[str, Json]:
    """A copy in dicts and lists of its own: a tree of JSON that can be gone through.

    Raises:
        UsageError: It is no object, or holds what no JSON does; or it is larger, or nests deeper, than any program.
    """
    left = _MOST_VALUES

    def copy(value: Json, depth: int) -> Json:
        nonlocal left
        left -= 1
        if left < 0 or depth > _DEEPEST:
            raise UsageError(
                "the program is larger, or nests deeper, than any that the engine takes",
                hint="refusals(program) says where",
            )
        if isinstance(value, Mapping) and all(isinstance(key, str) for key in value):
            return {key: copy(item, depth + 1) for key, item in value.items()}
        if isinstance(value, list):
            return [copy(item, depth + 1) for item in value]
        is_long = isinstance(value, int) and not -FIRST_TOO_LONG < value < FIRST_TOO_LONG
        if value is None or (isinstance(value, bool | int | float | str) and not is_long):
            return value
        raise UsageError(f"the program holds {named(value)}, which is no JSON", hint="refusals(program) says where")

    found = copy(ast, 0)
    if not isinstance(found, dict):
        raise UsageError("the program is no object", hint='write {"type": "program", "rules": […]}')
    return found


# ---- what may be changed ---------------------------------------------------------------------------------------------


def _values(ast: JsonObject) -> list[_Value]:
    variables = ast.get("parent_variables")
    found = [
        _Value(
            value,
            f"$.parent_variables{step_to(name, len(name))}",
            "variable",
            _spelled(["built-in"], [printable(name)]),
        )
        for name, value in (variables.items() if isinstance(variables, Mapping) else ())
    ]
    for place, _ in walked(ast):
        if isinstance(place.node, Mapping):
            found += _of_node(place, place.node)
    return found


def _of_node(place: NodePlace, node: JsonObject) -> Iterator[_Value]:
    kind, labels = node.get("type"), _labels(place)
    if kind == "literal" and "value" in node:
        statement = _statement_of(place)
        pays = place.above is statement and statement is not None and is_in(_type(statement), _PAYING)
        spellings = _spelled(labels, _tails_of_literal(place, statement))
        yield _Value(node["value"], f"{place.path}.value", "points" if pays else "literal", spellings)
    elif is_in(kind, ("compare", "arith")) and "op" in node:
        tails = [f"{tail}{SEPARATOR}operator" for tail in _tails_of_expression(place)]
        table = COMPARE if kind == "compare" else ARITH
        yield _Value(node["op"], f"{place.path}.op", "operator", _spelled(labels, tails), table)
    elif is_in(kind, ("assign_points", "veto")) and "case_name" in node:
        tails = [*_branched(place, "case"), *(["veto"] if kind == "veto" else [])]
        yield _Value(node["case_name"], f"{place.path}.case_name", "case", _spelled(labels, tails))


def _spelled(labels: Sequence[str], tails: Sequence[str]) -> list[str]:
    return [_joined(f"{label}{SEPARATOR}{tail}") for label in labels for tail in tails]


def _joined(text: str) -> str:
    """Spaces as a person types them, and what cannot be seen written out."""
    return printable(" ".join(text.split()))


def _labels(place: NodePlace) -> list[str]:
    """What its rule is called: by its id, by number and id as pages do, by its number."""
    top = place
    while top.above is not None and top.above.above is not None:
        top = top.above
    if top.section == "default":
        return ["otherwise"]
    before, number = _SECTIONS.get(top.section, ""), int(top.step.partition("[")[2][:-1]) + 1
    found = top.node.get("id") if isinstance(top.node, Mapping) else None
    if not isinstance(found, str) or _GENERATED.fullmatch(found) or len(found) > _LONGEST:
        return [f"{before}rule {number}"]
    return [f"{before}rule {found}", f"{before}rule {number} {found}", f"{before}rule {number}"]


def _branched(place: NodePlace, tail: str) -> list[str]:
    """A tail behind the branch that it stands in; `when` and `then` of a rule need none."""
    branch = ""
    below: NodePlace | None = place
    while below is not None and below.above is not None:
        if below.role == "branch":
            branch = f"else if {int(below.step.partition('[')[2][:-1]) + 1}{SEPARATOR}"
        elif below.step.startswith(".else["):
            branch = f"else{SEPARATOR}"
        below = below.above
    return [branch + tail]


def _statement_of(place: NodePlace) -> NodePlace | None:
    found: NodePlace | None = place
    while found is not None and found.role != "statement":
        found = found.above
    return found


def _type(place: NodePlace) -> Json:
    return place.node.get("type") if isinstance(place.node, Mapping) else None


def _verb(statement: NodePlace) -> str:
    node = statement.node if isinstance(statement.node, Mapping) else {}
    verb = _VERBS.get(str(node.get("type")), "")
    return f"{verb}{node.get('key')}" if "key" in node else verb


def _tails_of_literal(place: NodePlace, statement: NodePlace | None) -> list[str]:
    above = place.above
    if above is None or not isinstance(above.node, Mapping) or above.role in ("rule", "branch"):
        return _branched(place, "when")
    if above is statement:
        return [*_branched(place, _verb(statement)), words.of_node(above.node)]
    beside = [item for item in _operands(above.node) if isinstance(item, Mapping) and item.get("type") == "literal"]
    tails = _tails_of_expression(above)
    slotted = [f"{tail}{SEPARATOR}{_slot(above.node, place.step)}" for tail in tails]
    return [*(tails if len(beside) == 1 else []), *slotted]


def _tails_of_expression(place: NodePlace) -> list[str]:
    """An expression as pages write it, alone and behind its statement and branch."""
    args = place.node.get("args") if isinstance(place.node, Mapping) else None
    text = "" if isinstance(args, list) and len(args) > _MOST_ARGS else words.expression(place.node)
    if not text or len(text) > _LONGEST:
        return []
    statement = _statement_of(place)
    behind = text if statement is None else f"{_verb(statement)}{SEPARATOR}{text}"
    return list(dict.fromkeys([text, *_branched(place, text), *_branched(place, behind)]))


def _operands(node: JsonObject) -> list[Json]:
    args = node.get("args")
    return [*(args if isinstance(args, list) else []), *(node.get(key) for key in ("left", "right", "arg"))]


def _slot(node: JsonObject, step: str) -> str:
    """Which operand it is: left, right, low, or a number."""
    name, _, index = step.removeprefix(".").partition("[")
    if not index:
        return name
    number = int(index[:-1])
    slots = _SLOTS.get(str(node.get("name")), ())
    return slots[number] if number < len(slots) else f"operand {number + 1}"


# ---- addresses -------------------------------------------------------------------------------------------------------


def _named_by(values: Sequence[_Value]) -> Mapping[str, list[_Value]]:
    found: defaultdict[str, list[_Value]] = defaultdict(list)
    for value in values:
        for spelling in dict.fromkeys(value.spellings):
            found[spelling].append(value)
    return found


def _address(value: _Value, named_by: Mapping[str, list[_Value]]) -> str:
    return next((one for one in value.spellings if len(named_by[one]) == 1 and len(one) <= _LONGEST), value.path)


def _path_of(where: str, values: Sequence[_Value], ast: JsonObject) -> str:
    """The JSON path that an address leads to.

    Raises:
        UnknownNameError: It leads nowhere.
        UsageError: It is no text, or leads to several values.
    """
    if not isinstance(where, str):
        raise UsageError(f"an address is a text, not {named(where)}", hint="places(program) lists them")
    named_by = _named_by(values)
    met = named_by.get(_joined(where), [])
    if len(met) == 1:
        return met[0].path
    if met:
        lines = [f"{one.path} ({shown(one.value)})" for one in met[:_MOST_SHOWN]]
        lines += [f"and {len(met) - _MOST_SHOWN:,} more"] if len(met) > _MOST_SHOWN else []
        raise UsageError(f"{named(where)} names {len(met)} values", hint="\n  ".join(["say which:", *lines]))
    if where.startswith(("$.", "$[")):
        steps = _steps(where)
        if steps and len(_followed(ast, steps)) > len(steps):
            return where
    known = [_address(value, named_by) for value in values]
    wanted = _joined(where[: 2 * _LONGEST])
    near = did_you_mean(wanted, known) or did_you_mean(wanted, named_by)
    lines = [
        f"{near}the program has {len(known):,} values" if known else "the program has no value",
        *known[:_MOST_SHOWN],
    ]
    lines += [f"and {len(known) - _MOST_SHOWN:,} more: places(program)"] if len(known) > _MOST_SHOWN else []
    raise UnknownNameError(f"nothing in the program has the address {named(where)}", hint="\n  ".join(lines))


def _steps(path: str) -> list[str | int]:
    """Keys and indexes of a JSON path; none where it is no such path."""
    found: list[str | int] = []
    at = 1
    while at < len(path):
        match = _STEP.match(path, at)
        if match is None:
            return []
        name, index, quoted = match.groups()
        found.append(int(index) if index is not None else name if name is not None else _unquoted(quoted))
        at = match.end()
    return found


def _unquoted(text: str) -> str:
    try:
        found = json.loads(f'"{text}"')
    except ValueError:
        return text
    return str(found)


def _followed(ast: Json, steps: Sequence[str | int]) -> list[Json]:
    """What a path leads through, the whole first; shorter than the path where it leads nowhere."""
    found = [ast]
    for step in steps:
        holder = found[-1]
        match holder, step:
            case dict(), str() if step in holder:
                found.append(holder[step])
            case list(), int() if step < len(holder):
                found.append(holder[step])
            case _:
                break
    return found


# ---- values ----------------------------------------------------------------------------------------------------------


def _misfit(place: _Value, value: Json) -> str:
    """Why a value does not belong there, in a clause; empty where it does."""
    if place.kind == "points":
        return "" if is_number(value) else "points are a number"
    if place.kind == "case":
        return "" if fits_case_name(value) else f"a case name is {CASE}"
    if place.operators is not None:
        return "" if is_in(value, place.operators) else f"the operators are {' '.join(place.operators)}"
    was, now = _kind(place.value), _kind(value)
    if now is None:
        return "it is no number, text, true, false or null"
    return "" if was in (now, "null", None) else f"it is {was} now, and that is {now}"


def _kind(value: Json) -> str | None:
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "a truth value"
    return "a number" if is_number(value) else "a text" if isinstance(value, str) else None


def shown(value: Json) -> str:
    """A value in a sentence; texts alone stand within quotation marks."""
    return named(value) if isinstance(value, str) else named(value)[1:-1]
