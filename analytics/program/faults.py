"""What the engine's validator finds wrong with one node of a program, and what to write instead.

What no row of the engine's database can hold is a fault as well, for such a program is not saved either. A value may be any
object of Python: it is asked for its kind and never run, compared or written out whole.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable, Collection, Iterator, Mapping
from typing import Final, NamedTuple, TypeGuard

from analytics.program.outcome import ARITH, COMPARE, FUNCTIONS
from analytics.program.walk import ANALYTICS_PATHS
from analytics.storage.typed_json import Json, JsonObject

_MAIN: Final = ("rules", "default")
_ANY: Final = ("rules", "default", "pre_rules", "post_rules")
_PRE: Final = ("pre_rules",)
_POST: Final = ("post_rules",)
STATEMENTS: Final[Mapping[str, tuple[tuple[str, ...], tuple[str, ...]]]] = {
    "assign_points": (_MAIN, ("value", "case_name")),
    "set_callback_data": (_ANY, ("key", "value")),
    "return": (_ANY, ()),
    "set_data": (_PRE, ("key", "value")),
    "veto": (_PRE, ("case_name",)),
    "set_points": (_POST, ("value",)),
    "set_case_name": (_POST, ("value",)),
}
"""Statement → sections in which it may stand, and its keys. At run time the engine looks at none of this."""
KEYS: Final[Mapping[str, tuple[str, ...]]] = {
    "literal": ("value",),
    "field": ("path",),
    "not": ("arg",),
    "and": ("args",),
    "or": ("args",),
    "compare": ("op", "left", "right"),
    "arith": ("op", "left", "right"),
    "func_call": ("name", "args"),
}
BARE: Final = ("literal", "field")
_CONDITIONS: Final = ("and", "or", "not", "compare", *BARE)
_EXPRESSIONS: Final = ("arith", "func_call", *BARE)
_OF_PARENT: Final = ("parent.points", "parent.case_name")
_PATHS: Final = (*sorted(ANALYTICS_PATHS), "externalGameId", "externalTaskId", "externalUserId")
_SCALARS: Final = (bool, int, float, str, type(None))
# The engine's patterns end in a `$`, which takes one line break at the end.
_CASE_NAME: Final = re.compile(r"[ -~]{1,200}\n?", re.ASCII)
_DATA_KEY: Final = re.compile(r"[A-Za-z0-9_]+\n?", re.ASCII)
_DATA_PATH: Final = re.compile(rf"data\.{_DATA_KEY.pattern}", re.ASCII)
_PLAIN_KEY: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]*", re.ASCII)
LONGEST: Final = 60
"""Letters of an author's word that a sentence quotes."""
_MOST_SHOWN: Final = 3
#: Python, in which the engine is written, reads whole numbers up to here from a text.
_MOST_DIGITS: Final = 4300
FIRST_TOO_LONG: Final = 10**_MOST_DIGITS
"""The first whole number that it does not read."""

_SCALAR: Final = "a number, a text, true, false or null"
_EXPRESSION: Final = 'an expression such as {"type": "literal", "value": 1}'
_CONDITION: Final = 'a condition such as {"type": "literal", "value": true}'
_STEPS: Final = 'a list of one or more statements, [{"type": "assign_points", …}]'
CASE: Final = "1 to 200 printable ASCII characters"
_WRITE: Final[Mapping[str, str]] = {
    "rules": "a list of rules, [] for none",
    "when": _CONDITION,
    "then": _STEPS,
    "value": _EXPRESSION,
    "left": _EXPRESSION,
    "right": _EXPRESSION,
    "arg": _CONDITION,
    "args": "a list of operands",
    "case_name": CASE,
    "key": "a text",
    "path": "the path of a field, data.<key> for one of the event",
    "op": "an operator",
    "name": "the name of a function",
}
"""Key → what belongs there."""


class Fault(NamedTuple):
    """What is wrong with a node: the step to it, why, what to write; and a name that may be a known one, misspelled."""

    step: str
    reason: str
    repair: str
    given: Json = None
    known: Collection[str] = ()


# ---- what is refused -------------------------------------------------------------------------------------------------


def of_program(ast: JsonObject) -> Iterator[Fault]:
    """What is wrong with the root, apart from what hangs under it."""
    kind = ast.get("type")
    if not is_in(kind, ("program",)):
        reason = f"its root is {_typed(kind)} and no program"
        yield Fault(_at_type(ast), reason, 'give the root "type": "program"')
        if kind is not None:
            return  # something else: what it lacks to be a program says nothing
    yield from _of_keys("the program", ast, ("rules",), ("pre_rules", "post_rules", "default", "parent_variables"))
    for section in ("rules", "pre_rules", "post_rules"):
        rules = ast.get(section)
        if section in ast and not isinstance(rules, list) and (section == "rules" or rules is not None):
            yield Fault(f".{section}", f"{section} is no list", f"write {_WRITE['rules']}")
    variables = ast.get("parent_variables")
    if variables is not None and not isinstance(variables, Mapping):
        repair = 'write an object, {"variable_…": 1}, or leave it out'
        yield Fault(".parent_variables", "parent_variables is no object", repair)
        return
    for name, value in (variables or {}).items():
        step = f".parent_variables{step_to(name)}"
        if not isinstance(name, str) or not name.startswith("variable_"):
            reason = f"a parent variable is called {named(name)}, and not variable_…"
            yield Fault(step, reason, "call it as the built-in does, variable_…")
        else:
            yield from _of_text(step, "the name of a parent variable", name)
        yield from _of_scalar(step, f"the parent variable {named(name)}", value)


def _of_rule(node: JsonObject, kind: Json, _section: str, _wraps: bool | None) -> Iterator[Fault]:
    if not is_in(kind, ("rule",)):
        yield Fault(_at_type(node), f"a rule is {_typed(kind)}", 'give it "type": "rule", a when and a then')
        if kind is not None:
            return  # as above
    yield from _of_keys("a rule", node, ("when", "then"), ("else_if", "else"))
    if "then" in node:
        yield from _of_steps(node, "then")
    if node.get("else_if") is not None and not isinstance(node["else_if"], list):
        yield Fault(".else_if", "an else_if is no list", 'write a list, [{"when": …, "then": […]}], or leave it out')
    if node.get("else") is not None:
        yield from _of_steps(node, "else")


def _of_branch(node: JsonObject, _kind: Json, _section: str, _wraps: bool | None) -> Iterator[Fault]:
    yield from _of_extra("an else_if branch", node, ("id", "when", "then"))
    if "when" not in node:
        yield Fault("", "an else_if branch lacks when", f'add "when": {_CONDITION}')
    yield from _of_steps(node, "then")


def _of_steps(node: JsonObject, key: str) -> Iterator[Fault]:
    steps = node.get(key)
    if not isinstance(steps, list) or not steps:
        repair = f"write {_STEPS}" + ("" if key == "then" else f", or leave {key} out")
        yield Fault(f".{key}" if key in node else "", f"the {key} of a rule is no list of statements", repair)


def _of_statement(node: JsonObject, kind: Json, section: str, wraps: bool | None) -> Iterator[Fault]:
    if not is_in(kind, STATEMENTS):
        yield _unknown_type(node, kind, "statement", tuple(STATEMENTS))
        return
    sections, keys = STATEMENTS[kind]
    if section not in sections:
        yield Fault("", f"{kind} stands in {section}, where it may not", _moved(kind, section, wraps))
    yield from _of_keys(kind, node, keys)
    if "case_name" in keys and "case_name" in node and not fits_case_name(node["case_name"]):
        yield Fault(".case_name", f"the case name of {kind} is not {CASE}", f"write {CASE}")
    if "key" not in keys or "key" not in node:
        return
    key = node["key"]
    if not (isinstance(key, str) and key):
        yield Fault(".key", f"the key of {kind} is no text", "write a text with something in it")
    elif kind == "set_data" and not _fits(_DATA_KEY, key):
        reason = "the key of set_data holds more than letters, digits and underscores"
        yield Fault(".key", reason, "write it with letters of English, digits and underscores alone")
    else:
        yield from _of_text(".key", f"the key of {kind}", key)


def _of_condition(node: JsonObject, kind: Json, section: str, wraps: bool | None) -> Iterator[Fault]:
    if is_in(kind, _EXPRESSIONS) and kind not in BARE:
        repair = 'compare it with something: {"type": "compare", "op": "!=", "left": …, "right": …}'
        yield Fault("", f"{kind} stands for a condition, which it may not", repair)
    elif not is_in(kind, _CONDITIONS):
        yield _unknown_type(node, kind, "node", _CONDITIONS)
    elif kind in BARE:
        yield from _of_expression(node, kind, section, wraps)
    else:
        yield from _of_keys(kind, node, KEYS[kind])
        if kind in ("and", "or") and "args" in node and not (isinstance(node["args"], list) and node["args"]):
            repair = "write a list of one or more conditions"
            yield Fault(".args", f"the args of {kind} are no list with something in it", repair)
        if kind == "compare":
            yield from _of_operator(kind, node, COMPARE)


def _of_expression(node: JsonObject, kind: Json, section: str, wraps: bool | None) -> Iterator[Fault]:
    if not is_in(kind, _EXPRESSIONS):
        yield _unknown_type(node, kind, "node", _EXPRESSIONS)
        return
    yield from _of_keys(kind, node, KEYS[kind])
    if kind == "literal" and "value" in node:
        yield from _of_scalar(".value", "a literal", node["value"])
    elif kind == "field" and "path" in node:
        yield from _of_path(node["path"], section, wraps)
    elif kind == "arith":
        yield from _of_operator(kind, node, ARITH)
    elif kind == "func_call" and "name" in node:
        yield from _of_call(node, node["name"])


def _of_call(node: JsonObject, name: Json) -> Iterator[Fault]:
    if not is_in(name, FUNCTIONS):
        repair = "write one of int (1 argument) and clamp (3: value, low, high)"
        yield Fault(".name", f"it calls the unknown function {named(name)}", repair, name, FUNCTIONS.keys())
    elif "args" in node:
        args, wanted = node["args"], FUNCTIONS[name][0]
        if not isinstance(args, list) or len(args) != wanted:
            count = f"{len(args)}" if isinstance(args, list) else "no list"
            reason = f"{name} is called with {count} and takes {wanted}"
            yield Fault(".args", reason, f"write a list of {wanted} expression{'s' * (wanted != 1)}")


def _of_path(path: Json, section: str, wraps: bool | None) -> Iterator[Fault]:
    if is_in(path, _OF_PARENT):
        if section != "post_rules":
            yield Fault(".path", f"{path} is read in {section}, where there is none", _AFTER[wraps])
    elif not is_in(path, _PATHS) and not _fits(_DATA_PATH, path):
        known = _PATHS if section != "post_rules" else (*_PATHS, *_OF_PARENT)
        repair = f"write one of {', '.join(known)} and data.<key>, <key> of letters of English, digits and underscores"
        yield Fault(".path", f"it reads the unknown field {named(path)}", repair, path, known)


def _of_operator(kind: str, node: JsonObject, known: Mapping[str, object]) -> Iterator[Fault]:
    if "op" in node and not is_in(node["op"], known):
        reason = f"{kind} has the unknown operator {named(node['op'])}"
        yield Fault(".op", reason, f"write one of {' '.join(known)}", node["op"], known.keys())


def _of_keys(what: str, node: JsonObject, keys: tuple[str, ...], optional: tuple[str, ...] = ()) -> Iterator[Fault]:
    for key in keys:
        if key not in node:
            yield Fault("", f"{what} lacks {key}", f'add "{key}": {_SCALAR if what == "literal" else _WRITE[key]}')
    yield from _of_extra(what, node, ("type", "id", *keys, *optional))


def _of_extra(what: str, node: JsonObject, known: tuple[str, ...]) -> Iterator[Fault]:
    """What a node holds and may not: one fault for all of it, for one edit repairs it."""
    extra = [key for key in node if key not in known]
    if extra:
        first = min(extra, key=_text_of)
        others = f", and the {len(extra) - 1:,} other{'s' * (len(extra) != 2)}" if len(extra) > 1 else ""
        reason, repair = f"{what} holds the unknown key {named(first)}", f"leave it out{others}"
        yield Fault(step_to(first), reason, repair, first, known)
    if isinstance(node.get("id"), str):
        yield from _of_text(".id", f"the id of {what}", str(node["id"]))


def _of_scalar(step: str, what: str, value: Json) -> Iterator[Fault]:
    if not isinstance(value, _SCALARS):
        yield Fault(step, f"{what} is no number, text, true, false or null", f"write {_SCALAR}")
    elif isinstance(value, float) and not math.isfinite(value):
        yield Fault(step, f"{what} is {value!r}, which JSON does not know", "write a number that has an end")
    elif isinstance(value, int) and not -FIRST_TOO_LONG < value < FIRST_TOO_LONG:
        reason = f"{what} has more than {_MOST_DIGITS:,} digits, which the engine does not read"
        yield Fault(step, reason, "write a smaller number")
    elif isinstance(value, str):
        yield from _of_text(step, what, value)


def _of_text(step: str, what: str, text: str) -> Iterator[Fault]:
    """The validator takes any text; the column that the program is saved in does not."""
    if reason := text_fault(what, text):
        yield Fault(step, reason, "write it without")


def text_fault(what: str, text: str) -> str:
    """Why the engine's database does not take a text, in a clause; empty where it does."""
    if "\0" not in text and not _is_torn(text):
        return ""
    which = "U+0000" if "\0" in text else "half a character (a lone surrogate)"
    return f"{what} holds {which}, which the engine's database does not take"


FAULTS: Final[Mapping[str, Callable[[JsonObject, Json, str, bool | None], Iterator[Fault]]]] = {
    "rule": _of_rule,
    "branch": _of_branch,
    "statement": _of_statement,
    "condition": _of_condition,
    "expression": _of_expression,
}
"""What a node stands for → what is wrong with it there: asked with its type, its section and whether a built-in is wrapped."""

# ---- what to write instead -------------------------------------------------------------------------------------------

_IN_POST: Final = "read it in post_rules, where the built-in has answered"
_NO_PARENT: Final = "leave it out: without a built-in there is no answer to read"
_AFTER: Final = {True: _IN_POST, False: _NO_PARENT, None: f"{_IN_POST}; in a program of its own, leave it out"}


def _moved(kind: str, section: str, wraps: bool | None) -> str:
    """Where a statement belongs, or what does the same where it stands."""
    if kind == "assign_points":
        there = "set_points and set_case_name change the built-in's answer" if section == "post_rules" else ""
        return f"use others: {there or 'veto ends the run, set_data changes what the built-in sees'}"
    home = STATEMENTS[kind][0][0]
    alone = "use assign_points" if kind in ("set_points", "set_case_name") else "leave it out"
    if wraps is False:
        return f"{alone}: a program that wraps no built-in runs no {home}"
    return f"move it to {home}" + ("" if wraps else f"; in a program that wraps no built-in, {alone}")


def object_for(role: str) -> str:
    """What belongs where something else than an object stands."""
    return {
        "rule": 'write {"type": "rule", "when": …, "then": […]}',
        "branch": 'write {"when": …, "then": […]}',
        "statement": 'write {"type": "assign_points", "value": …, "case_name": "…"} or another statement',
        "condition": f"write {_CONDITION}",
    }.get(role, f"write {_EXPRESSION}")


def _unknown_type(node: JsonObject, kind: Json, what: str, known: tuple[str, ...]) -> Fault:
    reason = f"it holds a {what} {_typed(kind, 'the unknown ')}"
    return Fault(_at_type(node), reason, f"write one of {', '.join(known)}", kind, known)


# ---- words -----------------------------------------------------------------------------------------------------------


def is_in(kind: Json, known: Collection[str]) -> TypeGuard[str]:
    """Whether something an author wrote is one of these names; a list or object is no name."""
    return isinstance(kind, str) and kind in known


def named(value: Json) -> str:
    """Something an author wrote, shortened, within quotation marks, and nothing hidden in it."""
    text = printable(_text_of(value)[: LONGEST + 1])
    return f"“{text if len(text) <= LONGEST else text[: LONGEST - 1] + '…'}”"


def printable(text: str) -> str:
    """An author's text as it is; control, bidi and zero-width characters, which cannot be seen, written out."""
    return text if text.isprintable() else repr(text)[1:-1]


def step_to(key: Json, longest: int = LONGEST) -> str:
    """A key as a step of a JSON path; one that is longer than is shown leads nowhere."""
    if isinstance(key, str) and len(key) <= longest:
        return f".{key}" if _PLAIN_KEY.fullmatch(key) else f"[{json.dumps(key, ensure_ascii=not key.isprintable())}]"
    return f"[{named(key)}]"


def _at_type(node: JsonObject) -> str:
    return ".type" if "type" in node else ""


def _text_of(value: Json) -> str:
    if isinstance(value, str):
        return value
    if value is None or isinstance(value, bool):
        return str(value)
    if isinstance(value, int):
        return str(int(value)) if -(10**LONGEST) < value < 10**LONGEST else "a whole number of many digits"
    if isinstance(value, float):
        return str(float(value))
    if isinstance(value, list) and len(value) <= _MOST_SHOWN and all(isinstance(item, str) for item in value):
        return str([item[:LONGEST] for item in value if isinstance(item, str)])
    return "an object" if isinstance(value, Mapping) else "a list" if isinstance(value, list) else type(value).__name__


def _typed(kind: Json, what: str = "") -> str:
    return "without a type" if kind is None else f"of {what}type {named(kind)}"


def fits_case_name(value: Json) -> bool:
    """Whether a value can be a case name."""
    return _fits(_CASE_NAME, value)


def _fits(pattern: re.Pattern[str], text: Json) -> bool:
    return isinstance(text, str) and pattern.fullmatch(text) is not None


def _is_torn(text: str) -> bool:
    """Half of a character that is written as two: no encoding has it."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return True
    return False
