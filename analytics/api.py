"""The library's calls: extraction, reports and explanations, in one call each; the command makes the same ones."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Sequence
from datetime import date, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

from analytics.config import Settings
from analytics.errors import UsageError
from analytics.lake.lake import Lake
from analytics.reports.explore.lake_folder import tenant_of
from analytics.reports.parameter_values import typed
from analytics.reports.schedule.available import find_report
from analytics.reports.schedule.definition import Definition
from analytics.storage import LakePath, place
from analytics.window import Window, is_moment

if TYPE_CHECKING:
    from analytics.extraction.plan import Progress
    from analytics.model import ExtractResult
    from analytics.reports.explore.open_lake import open_lake
    from analytics.reports.own_findings import add_finding
    from analytics.reports.receipt.receipt import Explained
    from analytics.reports.render.builders import post_mortem, runaway_rules, sampling_audit
    from analytics.reports.render.rehearsal_builder import rehearsal, sweep
    from analytics.reports.render.rendering import Rendered
    from analytics.warehouse.warehouse import Warehouse

_HOMES = {
    "add_finding": "analytics.reports.own_findings",
    "open_lake": "analytics.reports.explore.open_lake",
    "post_mortem": "analytics.reports.render.builders",
    "rehearsal": "analytics.reports.render.rehearsal_builder",
    "runaway_rules": "analytics.reports.render.builders",
    "sampling_audit": "analytics.reports.render.builders",
    "sweep": "analytics.reports.render.rehearsal_builder",
}
"""Calls that stand elsewhere: who waits for a report that another process makes need not import what makes it."""


def __getattr__(name: str) -> Any:
    if name in _HOMES:
        return getattr(importlib.import_module(_HOMES[name]), name)
    raise AttributeError(f"module 'analytics.api' has no attribute {name!r}")


@typed
def extract(
    lake: str | Path | None = None,
    *,
    since: str | date | None = None,
    until: str | date | None = None,
    realms: Sequence[str | None] = (),
    database_url: str | None = None,
    sample_rate: float | None = None,
    sample_rates: str | Path | None = None,
    force: bool = False,
    allow_shrink: bool = False,
    wait_seconds: float = 0,
    break_lock: bool = False,
    jobs: int = 1,
    patience: str | timedelta | None = None,
    retries: int | str | None = None,
    accept_source: bool = False,
    also_expired: bool = False,
    accept_key: bool = False,
    notice: Callable[[str], None] | None = None,
    progress: Callable[[Progress], None] | None = None,
) -> ExtractResult:
    """Make the lake equal to the source for a window of whole UTC days.

    Args:
        lake: Its folder, or ``s3://bucket/prefix``; before ``ANALYTICS_LAKE`` and the default, ``lake``.
        since, until: ``2026-07-08``, ``yesterday``, ``7d`` …; until is exclusive. The last three days when not given.
        realms: Only these tenants; ``None`` in it is the NULL realm.
        database_url, sample_rate: Before the environment (``ANALYTICS_…``) and the defaults.
        sample_rates: File of rates with their dates and tenants, before ``ANALYTICS_SAMPLE_RATES``; empty for none.
            ``sample_rate`` is for what it does not say.
        force: Replace every partition of the window.
        allow_shrink: Follow the source when it has lost rows.
        wait_seconds: How long to wait for another run.
        break_lock: Break the lock of a run that is gone, or has shown no sign of life for ten minutes.
        jobs: Connections to read with, side by side, all of one snapshot.
        patience: Open transactions older than this (``24h``, ``90m``) are not waited for.
        retries: How often in a row to try again when the source failed for a moment.
        accept_source: Another server or database than the one the lake was made from is meant.
        also_expired: Days of the window that were expired are wanted back.
        accept_key: Another pseudonym key than the lake's, or none, is meant.
        notice: Told, in a sentence, when the source failed and is tried again.
        progress: Called as partitions are written.

    Raises:
        AnalyticsError: See ``analytics.errors``.
    """
    if isinstance(lake, str) and is_moment(lake):
        raise UsageError(
            f"the lake comes first, and {lake!r} is a time",
            hint=f'analytics.extract("lake", since="{lake}"); a folder of that name is "./{lake}"',
        )
    from analytics.extraction import job  # compilers and a database's client: readers need neither
    from analytics.extraction.plan import ExtractOptions
    from analytics.extraction.privacy.policy import Policy

    settings = Settings.from_env(
        database_url=database_url,
        lake=lake,
        sample_rate=sample_rate,
        sample_rates=sample_rates,
        patience=patience,
        retries=retries,
    )
    options = ExtractOptions(
        rates=settings.rates,
        realms=realms,
        policy=Policy.of(settings),
        force=force,
        allow_shrink=allow_shrink,
        wait_seconds=wait_seconds,
        break_lock=break_lock,
        jobs=jobs,
        patience=settings.patience,
        retries=settings.retries,
        accept_source=accept_source,
        also_expired=also_expired,
        accept_key=accept_key,
        notice=notice,
        progress=progress,
    )
    return job.extract(settings.database_url, Lake(settings.lake), Window.parse(since, until), options)


@typed
def gather(
    lake: Warehouse | str | Path | None,
    into: str | LakePath,
    share: int,
    shares: int,
    *,
    since: str | date = "yesterday",
    until: str | date = "today",
) -> list[LakePath]:
    """One share of what a report on runaway rules asks of the runs; ``runaway_rules(gathered=into)`` merges them.

    Args:
        lake: An open lake, with the tenants in sight that the report will have, or its folder.
        into: Folder, or ``s3://bucket/prefix``. It holds user ids: delete it when the report is there.
        share, shares: Which of how many, from 1.
        since, until: The report's window.

    Returns:
        The files that were written.

    Raises:
        UsageError: There is no such share or window, or no folder is named.
        LakeError: There is no lake, or the folder cannot be written.
    """
    from analytics.reports.explore.open_lake import warehouse_of
    from analytics.reports.render.builders import gather_share

    if str(into) in ("", "."):  # what Path makes of nothing
        raise UsageError("there is no folder to gather into", hint="name one, or s3://bucket/prefix")
    window = Window.parse(since, until).of_report()
    return gather_share(warehouse_of(lake, None, True), window, place(into), share, shares)


@typed
def explain(
    lake: Warehouse | str | Path | None,
    execution_id: str,
    *,
    realm: str | None = "",
    no_realm: bool | None = None,
    since: str | date | None = None,
    until: str | date | None = None,
    show_users: bool = False,
    versus: int | None = None,
) -> Explained:
    """Why one run paid what it paid: rule after rule, with the values it saw.

    Args:
        lake: An open lake, or its folder; ``None`` to look for it as ``open_lake`` does.
        execution_id: Id of the run, or its first letters where only one run has them.
        realm: Tenant; empty for all, ``None`` for the NULL realm.
        no_realm: The NULL realm, where a parameter cannot be ``None``.
        since, until: Only look at runs of this time, which is faster in a large lake.
        show_users: Show user ids.
        versus: Another version of the strategy, to run on the same inputs.

    Raises:
        UsageError: Several runs have such an id.
        UnknownNameError: No run has it, or the lake holds no program of that version.
    """
    from analytics.reports.explore.open_lake import warehouse_of
    from analytics.reports.receipt.receipt import explain as _explain

    opened = warehouse_of(lake, *tenant_of(realm, no_realm))
    return _explain(opened, execution_id, since=since, until=until, show_users=show_users, versus=versus)


@typed
def render(report: str | Definition, *, out: str | Path | None = None, **parameters: Any) -> Rendered:
    """Render a report: executed notebook, self-contained HTML, ``summary.json``.

    Args:
        report: ``post_mortem``, ``runaway_rules``, ``rehearsal``; a definition of one (a file, the name of one in ``reports/``,
            or itself); or a notebook of your own, by its file or name.
        out: Folder; ``ANALYTICS_REPORTS`` or ``reports/out`` when not given.
        **parameters: Those of the notebook's parameters cell, before those of the definition.

    Raises:
        UnknownNameError: There is no such report.
        UsageError: An unknown or mistyped parameter; nothing was run.
        ReportError: The notebook failed; the half-run notebook is kept and the last good report is left alone.
    """
    from analytics.reports.render import rendering
    from analytics.reports.render.plan import plan

    definition = report if isinstance(report, Definition) else find_report(report)
    folder = Settings.from_env(reports=out or definition.out or None, sample_rates="").reports
    return rendering.render(plan(definition, folder, parameters))


__all__ = [
    "add_finding",
    "explain",
    "extract",
    "open_lake",
    "post_mortem",
    "rehearsal",
    "render",
    "runaway_rules",
    "sampling_audit",
    "sweep",
]
