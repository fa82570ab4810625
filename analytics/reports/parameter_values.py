"""Parameters are of their type, or refused in a sentence: the one place where a value that somebody gave is understood.

A notebook's parameters come from outside: papermill's ``-p`` makes numbers of digits, and booleans only of ``True`` and ``False``:
``-p show_users false`` is a text, which Python takes for true. Words for booleans and numbers are read here; a number where a
text belongs is refused, for ``007`` has become 7 before anybody sees it.
"""

from __future__ import annotations

import functools
import inspect
import math
import re
from collections.abc import Callable, Mapping
from typing import Any, ParamSpec, TypeAlias, TypeVar

from analytics.errors import UsageError

Value: TypeAlias = "str | bool | int | float | list[Value] | dict[str, Value] | None"
"""What a notebook's parameter may be, a definition's and the command's: what JSON and TOML can say."""

_Given = ParamSpec("_Given")
_Made = TypeVar("_Made")

_PLAIN: Mapping[str, str] = {"str": "a text", "bool": "true or false", "int": "a whole number", "float": "a number"}
_BOOLEANS = {"true": True, "True": True, "TRUE": True, "false": False, "False": False, "FALSE": False}
_WHOLE = re.compile(r"[+-]?[0-9]{1,18}")
_NUMBER = re.compile(r"[+-]?([0-9]+(\.[0-9]*)?|\.[0-9]+)([eE][+-]?[0-9]{1,3})?")
_INSIDE = re.compile(r"\[[^\[\]]*\]")
_LONGEST = 60


def understood(name: str, value: Any, kinds: frozenset[str]) -> Any:
    """A value as one of the types that its parameter may have.

    Args:
        name: Of the parameter.
        value: As it was given.
        kinds: Names of types. Only plain values are looked at: where a parameter may also be something else (a path, a date, an
            open lake), whoever takes it checks what is no plain value.

    Raises:
        UsageError: It is of another type, and cannot be read as one of these without guessing.
    """
    if hasattr(value, "dtype") and hasattr(value, "item"):  # numpy's and pandas' own numbers
        value = value.item()
    if value is None:
        is_one = "None" in kinds
    elif isinstance(value, bool):
        is_one = "bool" in kinds
    elif isinstance(value, int | float):
        if isinstance(value, int) and "int" in kinds:
            return value
        number = _finite(value) if "float" in kinds else None
        if number is not None:
            return number
        is_one = False
    elif isinstance(value, str):
        read = value if "str" in kinds else _read(value.strip(), kinds)
        if read is not None:
            return read
        is_one = False
    else:
        is_one = bool(kinds - {*_PLAIN, "None"})
    if is_one:
        return value
    wanted = [_PLAIN[kind] for kind in _PLAIN if kind in kinds] or [
        "a list" if "Sequence" in kinds else "no plain value"
    ]
    raise UsageError(
        f"parameter {name} must be {' or '.join(wanted)}, not {_shown(value)}", hint=_repair(name, kinds), name=name
    )


def typed(call: Callable[_Given, _Made]) -> Callable[_Given, _Made]:
    """A function whose plain arguments are understood by the types it declares, however they were given."""
    signature = inspect.signature(call)
    declared = {name: _kinds(parameter.annotation) for name, parameter in signature.parameters.items()}

    @functools.wraps(call)
    def asked(*args: _Given.args, **kwargs: _Given.kwargs) -> _Made:
        try:
            bound = signature.bind(*args, **kwargs)
        except TypeError as error:  # Python's own names the function
            raise TypeError(f"{call.__name__}() {error}") from None
        for name, value in bound.arguments.items():
            kinds = declared[name]
            if kinds is None:
                continue
            if signature.parameters[name].kind is inspect.Parameter.VAR_KEYWORD:
                bound.arguments[name] = {key: understood(key, one, kinds) for key, one in value.items()}
            else:
                bound.arguments[name] = understood(name, value, kinds)
        return call(*bound.args, **bound.kwargs)

    return asked


def _kinds(annotation: Any) -> frozenset[str] | None:
    """The types an annotation names, as they are written; ``None`` where anything goes."""
    if not isinstance(annotation, str) or annotation in ("Any", "object"):
        return None
    return frozenset(part.strip() for part in _INSIDE.sub("", _INSIDE.sub("", annotation)).split("|"))


def _finite(value: float) -> float | None:
    try:
        number = float(value)
    except OverflowError:
        return None
    return number if math.isfinite(number) else None


def _read(text: str, kinds: frozenset[str]) -> bool | float | None:
    """A word as a boolean or number, where it can be no other; ``None`` else."""
    if "bool" in kinds and text in _BOOLEANS:
        return _BOOLEANS[text]
    if "int" in kinds and _WHOLE.fullmatch(text):
        return int(text)
    if "float" in kinds and _NUMBER.fullmatch(text):
        return _finite(float(text))
    return None


def _shown(value: Any) -> str:
    said = repr(value)
    short = said if len(said) <= _LONGEST else f"{said[:_LONGEST]}…"
    kind = "the number " if isinstance(value, int | float) and not isinstance(value, bool) else ""
    return f"{kind}{short}" if isinstance(value, str | int | float | None) else f"{short} ({type(value).__name__})"


def _repair(name: str, kinds: frozenset[str]) -> str:
    if "str" in kinds:
        return f'put it in quotation marks, {name} = "…"; with papermill -r {name} …, whose -p makes numbers of digits (7 of 007)'
    if "bool" in kinds:
        return f"write {name} = true or false"
    return "write digits, without quotation marks" if kinds & _PLAIN.keys() else ""
