"""The program of a version, to be looked at and changed: what would it pay if this value were another one?"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Self

from analytics import sql
from analytics.errors import UnknownNameError
from analytics.findings.post_mortem.family import Family
from analytics.findings.rehearsal.drafts import no_program
from analytics.findings.replay.run_evidence import Definition, definition
from analytics.program import compile_program, edits, outline, words
from analytics.storage.typed_json import Json, JsonObject
from analytics.warehouse.warehouse import Warehouse


@dataclass(frozen=True, slots=True)
class Change:
    """A value that was changed.

    Attributes:
        where: Its address, as it was given.
        old, new: What stood there, and what stands there now.
    """

    where: str
    old: Json
    new: Json

    def __str__(self) -> str:
        return f"{self.where} = {edits.shown(self.new)}"


@dataclass(frozen=True, slots=True, repr=False)
class VersionProgram:
    """A version's program. It never changes: `edit` makes another one.

    Attributes:
        family: The strategy, and thereby the tenant.
        version: Number of the version that it was.
        strategy_id: Id of that version.
        definition: The program, ready to be tried.
        changes: Values that were changed since, the first on top.
    """

    family: Family
    version: int
    strategy_id: str
    definition: Definition
    changes: tuple[Change, ...] = field(default=())

    @property
    def ast(self) -> JsonObject:
        """The program as JSON, a copy of its own: it may be written into a file, and that be given as a draft."""
        return edits.copied(self.definition.ast)

    @property
    def name(self) -> str:
        """What it is called: the version, and what was changed."""
        changed = f" with {', '.join(map(str, self.changes))}" if self.changes else ""
        return f"version {self.version}{changed}"

    @property
    def lines(self) -> list[str]:
        """Its rules in words."""
        return words.lines(self.definition.ast, self.definition.built_in)

    def edit(self, where: str, value: Json) -> Self:
        """Another program with one value changed; this one stays as it is.

        Args:
            where: An address as `analytics.program.edits.places` lists them, or a JSON path.
            value: What is to stand there.

        Raises:
            UnknownNameError: Nothing has that address.
            UsageError: The address names several values, the value does not fit, or the engine would refuse it there.
        """
        # numpy's and pandas' own numbers
        plain = getattr(value, "item")() if hasattr(value, "dtype") and hasattr(value, "item") else value  # noqa: B009
        old = edits.value_at(self.definition.ast, where)
        ast = edits.edit(self.definition.ast, where, plain)
        changed = replace(self.definition, ast=ast, program=compile_program(ast), outline=outline(ast))
        return replace(self, definition=changed, changes=(*self.changes, Change(where, old, plain)))


def find_program(lake: Warehouse, family: Family, version: int = 0) -> VersionProgram:
    """The program of a version.

    Args:
        lake: Where it is, one tenant in sight.
        family: The strategy.
        version: Its number; 0 for the version that ran last.

    Raises:
        UnknownNameError: The lake holds no program of that version, or no run of any.
    """
    wanted = [member for member in family.members if member[1] == version] if version else last_run(lake, family)
    for strategy, number in wanted:
        if (found := definition(lake, strategy, number)) is not None:
            return VersionProgram(family, number, strategy, found)
    if version:
        raise no_program(family, version)
    raise UnknownNameError(
        f"no version of {family.name!r} that the lake has a program of has a logged run",
        hint=f"say which: version=N; known: {', '.join(f'v{number}' for _, number in sorted(family.defined)) or 'none'}",
        name=family.name,
    )


def last_run(lake: Warehouse, family: Family) -> list[tuple[str, int]]:
    """The versions that ran, the one whose run is the latest first."""
    return [one.version for one in sorted(spans(lake, family), key=lambda one: one.last_at, reverse=True)]


@dataclass(frozen=True, slots=True)
class Span:
    """When a version ran, as far as the log tells.

    Attributes:
        version: Strategy id and version.
        first_at, last_at: Its first and last logged run, UTC.
        logged_count: Its logged runs.
    """

    version: tuple[str, int]
    first_at: datetime
    last_at: datetime
    logged_count: int


def spans(lake: Warehouse, family: Family) -> list[Span]:
    """When each version of a strategy ran, in the order in which they came."""
    asked = lake.sql(sql.text("rehearsal", "version_runs"), realm=family.realm, strategy_ids=family.strategy_ids)
    return [
        Span((str(strategy), int(version)), first, last, int(count))
        for strategy, version, first, last, count in asked.fetchall()
    ]
