"""What ``lake.program(…)`` returns: a version's program that shows its rules in words, and of which another one can be made."""

from __future__ import annotations

from dataclasses import fields
from typing import TYPE_CHECKING, Any, Final

from analytics.findings.rehearsal.lake_program import VersionProgram, find_program
from analytics.program import edits
from analytics.reports import page
from analytics.reports.common import realm_name
from analytics.reports.explore.lake_folder import tenant_of
from analytics.reports.page.inline import shorten

if TYPE_CHECKING:
    import pandas as pd

    from analytics.warehouse.warehouse import Warehouse


_LONGEST: Final = 240
"""Letters of a line that is shown; conditions of hundreds of operands are longer."""


class LakeProgram(VersionProgram):
    """A version's program. Show it to see its rules; nothing you do changes it.

    >>> program = lake.program(family="Speed bonus", version=3)
    >>> program.places()                                                    # what can be changed, by its address
    >>> draft = program.edit("rule performance-bonus › assign", 12)         # another program
    >>> analytics.rehearsal(lake, draft, since="7d")                        # what it would have paid
    """

    __slots__ = ()

    def places(self) -> pd.DataFrame:
        """Every value that can be changed: what kind it is, what it is now, and its address.

        >>> program.places()
        """
        import pandas as pd

        from analytics.reports.explore.results import list_names

        found = edits.places(self.definition.ast)
        rows = [(one.kind, one.value, one.where) for one in found]
        frame = pd.DataFrame(rows, columns=["kind", "value", "address"], dtype=object)
        return list_names(frame)

    @property
    def title(self) -> str:
        """Which program it is."""
        return f"{self.family.name}, {self.name} · {realm_name(self.family.realm)}"

    def _shown(self) -> list[str]:
        return [shorten(page.visible(line), _LONGEST) for line in self.lines]

    def __repr__(self) -> str:
        return "\n".join([page.visible(self.title), *(f"  {line}" for line in self._shown())])

    def _repr_mimebundle_(self, **_asked_for: object) -> tuple[dict[str, str], dict[str, Any]]:
        told = [
            page.subhead(page.author(self.title, 200)),
            page.code("\n".join(self._shown())),
        ]
        return page.Block(page.Markup("").join(one.html for one in told), repr(self), "answer")._repr_mimebundle_()


def program_of(lake: Warehouse, family: str, version: int, realm: str | None, no_realm: bool | None) -> LakeProgram:
    """The program of a version.

    Args:
        lake: Where it is.
        family: Name of the strategy.
        version: Its number; 0 for the version that ran last.
        realm, no_realm: The tenant; empty to look in all in sight.

    Raises:
        UsageError: The name is in several realms.
        UnknownNameError: There is no such strategy or version, or nothing of it ran.
    """
    from analytics.findings.post_mortem.family import find_family

    tenant, any_realm = tenant_of(realm, no_realm)
    found = find_family(lake, realm=tenant, any_realm=any_realm, family=family)
    program = find_program(lake.scoped([found.realm]), found, version)
    return LakeProgram(**{one.name: getattr(program, one.name) for one in fields(VersionProgram)})
