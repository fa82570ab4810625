"""What ``analytics.rehearsal`` and ``analytics.sweep`` do: find the strategy and the program, and try it on the logged runs."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Any

from analytics.errors import UsageError
from analytics.findings.post_mortem.family import Family, find_family
from analytics.findings.rehearsal.drafts import find_beside, find_draft
from analytics.findings.rehearsal.lake_program import VersionProgram
from analytics.findings.rehearsal.rehearsal import Rehearsal
from analytics.reports.explore.open_lake import warehouse_of
from analytics.reports.parameter_values import typed
from analytics.reports.render.builders import completed
from analytics.reports.render.notebooks import RehearsalParameters
from analytics.reports.small_cells import SmallCells
from analytics.warehouse.warehouse import Warehouse
from analytics.window import Window

if TYPE_CHECKING:
    from analytics.reports.rehearsal.report import RehearsalReport
    from analytics.reports.rehearsal.sweep_table import SweepTable
    from analytics.storage.typed_json import Json


@dataclass(frozen=True, slots=True)
class _Subject:
    """What is tried, and on whose runs.

    Attributes:
        lake: With its tenant in sight.
        family: The strategy.
        window: Whose runs.
    """

    lake: Warehouse
    family: Family
    window: Window


@typed
def rehearsal(
    lake: Warehouse | str | Path | None = None,
    draft: str | Path | Mapping[str, Any] | VersionProgram = "",
    *,
    realm: str | None = "",
    no_realm: bool | None = None,
    strategy_id: str = "",
    family: str = "",
    version: int = 0,
    against: str = "",
    since: str | date = "7d",
    until: str | date = "now",
    most: int = 1_000_000,
    show_users: bool = False,
    min_users: int = 0,
    fail_on: str = "",
) -> RehearsalReport:
    """What a draft would have paid for the runs of a window, before it is published.

    Args:
        lake: An open lake, or its folder.
        draft: A JSON file with the program, as the engine's editor exports it, or the program itself; or what ``lake.program(…)``
            gives, which says the tenant and the strategy too. Empty for a version.
        realm: Tenant; empty to look in all (the strategy must then be in one only), ``None`` for the NULL realm.
        no_realm: The NULL realm, where a parameter cannot be ``None``.
        strategy_id: Id of any version of the strategy whose runs the draft is tried on, or
        family: its name.
        version: A version of the strategy to try; 0 for its newest draft in the lake, where no file is given.
        against: A version, ``v2``, whose pay for the same runs the draft is held against; empty for what they were paid.
        since, until: Whose runs.
        most: Logged runs that are tried at most; of more, an even part, and intervals are wider.
        show_users: Show user ids.
        min_users: For a report to be passed on: users that it must rest on, and no single runs or users; ``ANALYTICS_MIN_USERS``
            when 0, else 1, which leaves nothing out.
        fail_on: Conditions that refuse the draft, such as ``points>5%, undecided>10%, failures, visits>800``.

    Raises:
        UsageError, UnknownNameError: The strategy or window cannot be found, the draft is none that the engine would take, or it
            rests on fewer users.
    """
    from analytics.reports.rehearsal.report import RehearsalReport

    parameters = completed(
        RehearsalParameters(
            lake=lake, realm=realm, no_realm=no_realm, strategy_id=strategy_id, family=family, since=since, until=until,
            draft=draft, version=version, against=against, most=most, show_users=show_users, min_users=min_users,
            fail_on=fail_on,
        )
    )  # fmt: skip
    on = _subject(parameters)
    if isinstance(parameters.draft, VersionProgram):
        called, program = parameters.draft.name, parameters.draft.definition
    else:
        called, program = find_draft(on.lake, on.family, parameters.draft, version)
    beside = find_beside(on.lake, on.family, against) if against else None
    found = Rehearsal(on.lake, on.family, program, on.window.since, on.window.until, most=most, beside=beside)
    if small := SmallCells(parameters.min_users):
        small.refuse([found.logged])
    return RehearsalReport(found, called, show_users=show_users, small=small, conditions=parameters.conditions)


def _subject(parameters: RehearsalParameters) -> _Subject:
    """The strategy: of a program of the lake, which knows it, or by its name or id.

    Raises:
        UsageError: Another one than the program's is named.
    """
    window = Window.parse(parameters.since, parameters.until).of_report()
    draft, (tenant, any_realm) = parameters.draft, parameters.tenant
    if isinstance(draft, VersionProgram):
        about = draft.family
        is_other = parameters.family not in ("", about.name) or (not any_realm and tenant != about.realm)
        if is_other or parameters.strategy_id not in ("", *about.strategy_ids):
            raise UsageError(
                f"the program is of {about.name!r}, and another strategy is named",
                hint="leave out family and realm: the program knows them",
            )
        return _Subject(warehouse_of(parameters.lake, about.realm, False), about, window)
    opened = warehouse_of(parameters.lake, tenant, any_realm)
    about = find_family(
        opened,
        realm=tenant,
        any_realm=any_realm,
        family=parameters.family or None,
        strategy=parameters.strategy_id or None,
    )
    return _Subject(opened.scoped([about.realm]) if any_realm else opened, about, window)


@typed
def sweep(
    lake: Warehouse | str | Path | None,
    program: VersionProgram,
    where: str,
    values: Iterable[Json],
    *,
    since: str | date = "7d",
    until: str | date = "now",
    most: int = 1_000_000,
    budget: float | None = None,
) -> SweepTable:
    """A program with one of its values changed, once for each of some values, on the same logged runs, which are read once.

    Args:
        lake: An open lake, or its folder.
        program: What ``lake.program(…)`` gives; it says the tenant and the strategy.
        where: Address of the value, as ``program.places()`` lists it.
        values: What to try there, of the kind that belongs there.
        since, until: Whose runs.
        most: Logged runs that are tried at most; of more, an even part, and intervals are wider.
        budget: Points a day that may be paid: the answer then says which value keeps it, as ``within`` does.

    Raises:
        UnknownNameError: Nothing has that address.
        UsageError: A value does not fit there, or there is none; or it is no program of a lake.
    """
    from analytics.findings.rehearsal.sweep import Sweep
    from analytics.reports.rehearsal.sweep_table import SweepTable

    if not isinstance(program, VersionProgram):
        raise UsageError(
            "a sweep is of a program of the lake",
            hint=f'program = lake.program("…", version=2), and not {type(program).__name__}',
        )
    parameters = completed(RehearsalParameters(lake=lake, draft=program, since=since, until=until, most=most))
    on = _subject(parameters)
    found = Sweep(on.lake, program, where, values, on.window.since, on.window.until, most=most)
    return SweepTable(found, budget=budget)
