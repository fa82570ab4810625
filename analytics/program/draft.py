"""A program that is not live yet, from a file or a Python object: read, held against the validator, and nothing of it run."""

from __future__ import annotations

import codecs
import stat
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Final, Literal, TypeAlias, get_args

from analytics.errors import UnknownNameError, UsageError, did_you_mean
from analytics.program.evaluate import MAX_DEPTH, MAX_NODES
from analytics.program.faults import is_in, named, printable, text_fault
from analytics.program.refusals import Inspection, Refusal, inspection
from analytics.program.validator import BuiltIn, built_in
from analytics.storage import typed_json
from analytics.storage.typed_json import Json, JsonObject

StrategyType: TypeAlias = Literal["DSL_FULL", "DSL_EXTEND"]
"""What runs: a program of its own, or rules before and after a built-in that it wraps."""

MOST_BYTES: Final = 4 << 20
"""Of a file. A program at the engine's cap of nodes is some 100 kB, and so is the picture of it that the editor saves beside it."""
LONGEST_NAME: Final = 200
"""Letters of a strategy's name that the engine takes."""
_AST: Final = "astJson"
_PROGRAM_KEYS: Final = frozenset({"rules", "pre_rules", "post_rules"})
_ONLY_EXTEND: Final = ("pre_rules", "post_rules", "parent_variables")
_ONLY_FULL: Final = ("rules", "default")
_MOST_NEIGHBOURS: Final = 1000
_SHAPE: Final = (
    'give the program itself, {"type": "program", "rules": […]}, or what the engine\'s editor exports, {"name": …, "type": …, '
    f'"{_AST}": …}}'
)
_MARKS: Final = ((codecs.BOM_UTF16_LE, "UTF-16"), (codecs.BOM_UTF16_BE, "UTF-16"), (codecs.BOM_UTF32_BE, "UTF-32"))


@dataclass(frozen=True, slots=True)
class Draft:
    """A program that the engine's validator takes. Build it with `read_draft`; `edits.edit` makes another of its program.

    Attributes:
        ast: The program, in dicts and lists of its own. What is no text or an empty one is left out where an id should be, as the
            engine gives such nodes ids of its own.
        name: As its author called it; the file's name where it is not said, and ``draft`` where there is no file.
        strategy_type: ``DSL_FULL`` or ``DSL_EXTEND``.
        origin: Where it was read from, in words.
        parent_strategy_id: The built-in that it wraps; None for a program of its own, and where it is not said.
    """

    ast: JsonObject
    name: str
    strategy_type: StrategyType
    origin: str
    parent_strategy_id: str | None = None

    @property
    def built_in(self) -> BuiltIn:
        """What it wraps, with the variables that it overrides."""
        return built_in(self.ast, self.parent_strategy_id)

    @property
    def unused(self) -> tuple[str, ...]:
        """Parts of the program that no run of its type reads, though the validator takes them; empty ones are not told."""
        parts = _ONLY_FULL if self.strategy_type == "DSL_EXTEND" else _ONLY_EXTEND
        return tuple(part for part in parts if self.ast.get(part))


def read_draft(
    source: str | Path | JsonObject,
    *,
    strategy_type: str | None = None,
    max_nodes: float = MAX_NODES,
    max_depth: float = MAX_DEPTH,
) -> Draft:
    """Read a draft, and hold it against the engine's validator.

    Args:
        source: The name of a JSON file, or an object of Python: the program itself, or what the engine's editor exports and its API
            answers, which holds it under ``astJson`` beside ``name``, ``type`` and ``parentStrategyId``.
        strategy_type: ``DSL_FULL`` or ``DSL_EXTEND``, where the source does not say it. Where nobody says it, an export is
            DSL_FULL, as the engine has it, and a bare program DSL_EXTEND where it has something that only runs around a built-in.
        max_nodes: The engine's cap of nodes.
        max_depth: The engine's cap of depth.

    Raises:
        UnknownNameError: There is no such type.
        UsageError: The file cannot be read, is no JSON, holds no program, or one that the engine would refuse: the hint then lists
            the places, and ``refusals`` of the error has them.
    """
    wanted = None if strategy_type is None else _known_type(strategy_type, "strategy_type")
    if isinstance(source, Mapping):
        content, origin, name = source, "the Python object", "draft"
    elif isinstance(source, str | Path):
        path = Path(source)
        content, origin, name = _document(source), printable(str(source)), path.stem
    else:
        raise UsageError(f"a draft cannot be read from {type(source).__name__}", hint=f"name a file, or {_SHAPE}")
    parent: str | None = None
    ast: Json = content
    if _AST in content:
        ast, name, parent = content[_AST], _name(content.get("name"), origin) or name, _parent(content, origin)
        wanted = _type_of_export(content, parent, wanted, origin)
    elif not _PROGRAM_KEYS & content.keys() and not is_in(content.get("type"), ("program",)):
        raise UsageError(f"{origin} holds neither a program nor an export of one", hint=_SHAPE)
    if ast is None:
        raise UsageError(f"{origin} was saved without a program: its {_AST} is null", hint="draw its rules first")
    if wanted is None:
        parts = [ast.get(part) for part in _ONLY_EXTEND] if isinstance(ast, Mapping) else []
        wanted = "DSL_EXTEND" if any(isinstance(part, list | Mapping) and part for part in parts) else "DSL_FULL"
    is_extend = wanted == "DSL_EXTEND"
    found = inspection(ast, wraps_builtin=is_extend, max_nodes=max_nodes, max_depth=max_depth)
    if found.count or not isinstance(ast, Mapping):
        raise _refused(found, origin, "" if ast is content else f".{_AST}")
    return Draft(_copied_program(ast), name, wanted, origin, parent)


def _refused(found: Inspection, origin: str, below: str) -> UsageError:
    """Every place on a line of its own, so that one look shows all that has to be written anew."""
    first, *others = (
        Refusal(f"${below}{one.path.removeprefix('$')}", one.reason, one.repair) for one in found.refusals
    )
    places = "1 place" if found.count == 1 else f"{found.count:,} places, the first"
    hidden = found.count - len(found.refusals)
    lines = [first.repair, *(f"{one.path}: {one.reason}; {one.repair}" for one in others)]
    lines += [f"and {hidden:,} more"] if hidden else []
    return UsageError(
        f"{origin} holds a program that the engine would refuse at {places} {first.path}: {first.reason}",
        hint="\n  ".join(lines),
        refusals=[first, *others],
        refusal_count=found.count,
    )


def _copied_program(ast: JsonObject) -> dict[str, Json]:
    """A copy of a program that the validator takes, which bounds its depth: dicts and lists that are nobody else's.

    Ids that are no text, or an empty one, are left out: the engine gives such nodes ids of its own.
    """
    return {key: _copied(value) for key, value in ast.items() if key != "id" or (isinstance(value, str) and value)}


def _copied(value: Json) -> Json:
    if isinstance(value, Mapping):
        return _copied_program(value)
    return [_copied(item) for item in value] if isinstance(value, list) else value


# ---- what stands around a program ------------------------------------------------------------------------------------


def _known_type(given: Json, what: str) -> StrategyType:
    known: tuple[StrategyType, ...] = get_args(StrategyType)
    for one in known:
        if isinstance(given, str) and given == one:
            return one
    near = did_you_mean(given[:LONGEST_NAME], known) if isinstance(given, str) else ""
    raise UnknownNameError(
        f"{what} is {named(given)}, which is no type of rule program", hint=f"{near}write one of {' and '.join(known)}"
    )


def _type_of_export(content: JsonObject, parent: str | None, wanted: StrategyType | None, origin: str) -> StrategyType:
    """The type, which must agree with whether a built-in is named: the engine saves no other."""
    given = content.get("type")
    found = _known_type(given, f"the type of {origin}") if given is not None else wanted or "DSL_FULL"
    if wanted not in (None, found):
        raise UsageError(
            f"{origin} says {found}, and the strategy is {wanted}",
            hint=f"write the draft as {wanted}, or name a strategy that is {found}",
        )
    if found == "DSL_EXTEND" and parent is None:
        raise UsageError(
            f"{origin} is DSL_EXTEND and names no built-in that it wraps, which the engine refuses",
            hint='name it: "parentStrategyId": "default"',
        )
    if found == "DSL_FULL" and parent is not None:
        raise UsageError(
            f"{origin} is DSL_FULL and names a built-in, {named(parent)}, which the engine refuses",
            hint='write "type": "DSL_EXTEND", or leave parentStrategyId out',
        )
    return found


def _parent(content: JsonObject, origin: str) -> str | None:
    parent = content.get("parentStrategyId")
    if parent is None or isinstance(parent, str):
        return _storable("parentStrategyId", parent, origin) or None
    raise UsageError(f"the parentStrategyId of {origin} is no text", hint="write the built-in's id, or null")


def _name(name: Json, origin: str) -> str | None:
    if name is None:
        return None
    if not isinstance(name, str) or not 0 < len(name) <= LONGEST_NAME:
        raise UsageError(
            f"the name of {origin} is no text of 1 to {LONGEST_NAME} letters", hint="name it so, or leave the name out"
        )
    return _storable("name", name, origin)


def _storable(what: str, text: str | None, origin: str) -> str | None:
    fault = None if text is None else text_fault(f"the {what} of {origin}", text)
    if fault:
        raise UsageError(fault, hint="write it without")
    return text


# ---- a file ----------------------------------------------------------------------------------------------------------


def _document(source: str | Path) -> JsonObject:
    shown = printable(str(source)[:LONGEST_NAME])
    try:
        content = _bytes(Path(source), shown)
    except UsageError:
        if str(source).lstrip()[:1] not in ("{", "["):
            raise
        raise UsageError(
            "a draft is given by the name of its file, and this is JSON itself", hint="read_draft(json.loads(text))"
        ) from None
    try:
        return typed_json.document(_decoded(content, shown))
    except (ValueError, RecursionError) as error:
        if "integer string conversion" in str(error):
            said, repair = "it holds a whole number of more than 4,300 digits", "write a smaller number"
        else:
            said, repair = typed_json.said(error), "export it once more, or mend it in an editor that checks JSON"
        raise UsageError(f"{shown} is no JSON that can be read: {printable(said)}", hint=repair) from None


def _bytes(path: Path, shown: str) -> bytes:
    try:
        mode = path.stat().st_mode
        if stat.S_ISDIR(mode):
            raise UsageError(f"{shown} is a folder", hint="name a JSON file in it")
        if not stat.S_ISREG(mode):  # a pipe would be waited for, a device read without an end
            raise UsageError(f"{shown} is no file but a device or pipe", hint="save the draft into a file")
        with path.open("rb") as file:
            content = file.read(MOST_BYTES + 1)
    except FileNotFoundError:
        raise UsageError(f"there is no file {shown}", hint=f"{_near(path)}check its name and folder") from None
    except (OSError, ValueError) as error:
        why = getattr(error, "strerror", None) or str(error)
        raise UsageError(f"{shown} cannot be read: {why}", hint="check its name and its rights") from None
    if len(content) > MOST_BYTES:
        raise UsageError(
            f"{shown} is larger than {MOST_BYTES >> 20} MiB, and no program that the engine takes is",
            hint="give the export of one strategy",
        )
    return content


def _near(path: Path) -> str:
    try:
        return did_you_mean(path.name, [one.name for one in islice(path.parent.glob("*.json"), _MOST_NEIGHBOURS)])
    except OSError:
        return ""


def _decoded(content: bytes, shown: str) -> str:
    if content.startswith(codecs.BOM_UTF8):
        raise UsageError(f"{shown} begins with a byte order mark", hint="save it as UTF-8 without BOM")
    for mark, encoding in _MARKS:
        if content.startswith(mark):
            raise UsageError(f"{shown} is {encoding}, not UTF-8", hint="save it as UTF-8 without BOM")
    try:
        return content.decode("utf-8")
    except UnicodeDecodeError as error:
        raise UsageError(f"{shown} is no UTF-8 from byte {error.start:,} on", hint="save it as UTF-8") from None
