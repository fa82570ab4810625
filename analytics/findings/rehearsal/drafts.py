"""Which program is rehearsed: a file, a mapping, a version, or the family's newest draft in the lake."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from analytics import sql
from analytics.errors import UnknownNameError, UsageError, did_you_mean
from analytics.findings.post_mortem.family import Family
from analytics.findings.rehearsal.gate import version_number
from analytics.findings.replay.run_evidence import Definition, definition
from analytics.program import compile_program, outline, read_draft
from analytics.warehouse.warehouse import Warehouse


def find_draft(
    lake: Warehouse, family: Family, draft: str | Path | Mapping[str, Any] = "", version: int = 0
) -> tuple[str, Definition]:
    """The program that is tried, and what to call it.

    Args:
        lake: Where the family is, one tenant in sight.
        family: Whose runs it is tried on. What a file does not say (the built-in that it wraps) is as in its newest version.
        draft: A JSON file, or the program itself; empty for a version.
        version: Of the family; 0 for its newest row with the status DRAFT.

    Raises:
        UsageError: Both are given, or the draft is none that the engine would take.
        UnknownNameError: The family has no such version, or no draft.
    """
    if draft and version:
        raise UsageError("a draft and a version: which one is to be tried?", hint="leave out --draft, or --version")
    if draft:
        return _of_file(lake, family, draft)
    found = [(strategy, number) for strategy, number in family.members if number == version]
    if not version:
        found = _drafts(lake, family)
        if not found:
            raise UnknownNameError(
                f"the lake holds no draft of {family.name!r}",
                hint="name a file: --draft FILE.json, or a version: --version N; drafts come with the next extraction",
                name=family.name,
            )
    for strategy, number in found:
        if (program := definition(lake, strategy, number)) is not None:
            return f"{'version' if version else 'draft'} {number}{_which(family, strategy, number)}", program
    raise no_program(family, version)


def find_beside(lake: Warehouse, family: Family, against: str) -> tuple[str, Definition]:
    """The version that a draft is held against, and its label.

    Args:
        lake: Where the family is, one tenant in sight.
        family: The strategy.
        against: ``v2`` or ``2``.

    Raises:
        UnknownNameError: The lake holds no program of that version.
        UsageError: It is no version.
    """
    version = version_number(against)
    for strategy, number in family.members:
        if number == version and (program := definition(lake, strategy, number)) is not None:
            return f"v{number}{_which(family, strategy, number)}", program
    raise no_program(family, version)


def no_program(family: Family, version: int) -> UnknownNameError:
    """That the lake holds no program of a version, and of which it does."""
    numbers = list(dict.fromkeys(str(number) for _, number in sorted(family.defined, key=lambda one: one[1])))
    known = ", ".join(f"v{number}" for number in numbers)
    return UnknownNameError(
        f"the lake holds no program of version {version} of {family.name!r}",
        hint=f"{did_you_mean(str(version), numbers)}known: {known or 'none'}",
        name=str(version),
    )


def _which(family: Family, strategy: str, version: int) -> str:
    """Two strategies of one name may count their versions alike: which one it was is said as a report's labels say it."""
    return f" ({strategy[:8]})" if sum(one == version for _, one in family.members) > 1 else ""


def _of_file(lake: Warehouse, family: Family, draft: str | Path | Mapping[str, Any]) -> tuple[str, Definition]:
    newest = next(
        (found for member in reversed(family.members) if (found := definition(lake, *member)) is not None), None
    )
    read = read_draft(
        draft if isinstance(draft, Mapping) else Path(draft),
        strategy_type=newest.strategy_type if newest is not None else None,
    )
    parent = read.parent_strategy_id
    if parent is None and newest is not None and read.strategy_type == "DSL_EXTEND":
        parent = newest.parent_strategy_id
    program = Definition(
        read.ast, compile_program(read.ast), outline(read.ast), family.name, parent, read.strategy_type
    )
    return read.name, program


def _drafts(lake: Warehouse, family: Family) -> list[tuple[str, int]]:
    """The family's drafts, the newest first."""
    asked = lake.sql(sql.text("rehearsal", "drafts"), realm=family.realm, family=family.name)
    return [(str(strategy), int(version)) for strategy, version in asked.fetchall()]
