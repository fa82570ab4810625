"""The library's calls: what the command does, in one call each."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import date, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

from analytics.config import NODE_CAP, TIME_LIMIT_MS, Settings
from analytics.errors import UsageError
from analytics.extraction import extract as _extract
from analytics.lake import Lake
from analytics.model import ExtractResult
from analytics.opening import open_lake, tenant_of, warehouse_of
from analytics.transfer import Progress
from analytics.warehouse import Warehouse
from analytics.window import Window

if TYPE_CHECKING:
    from analytics.audit import Audit
    from analytics.reports import Rendered
    from analytics.stories.explained import Explained
    from analytics.stories.post_mortem import PostMortem
    from analytics.stories.runaway_rules import RunawayRules


def extract(
    since: str | date | None = None,
    until: str | date | None = None,
    *,
    realms: Sequence[str | None] = (),
    lake: str | Path | None = None,
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
    notice: Callable[[str], None] | None = None,
    progress: Callable[[Progress], None] | None = None,
) -> ExtractResult:
    """Make the lake equal to the source for a window of whole UTC days.

    Args:
        since, until: ``2026-07-08``, ``yesterday``, ``7d`` …; until is exclusive. The last three days when not given.
        realms: Only these tenants; ``None`` in it is the NULL realm.
        lake, database_url, sample_rate: Before the environment (``ANALYTICS_…``) and the defaults.
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
        notice: Told, in a sentence, when the source failed and is tried again.
        progress: Called as partitions are written.

    Raises:
        AnalyticsError: See ``analytics.errors``.
    """
    settings = Settings.from_env(
        database_url=database_url,
        lake=lake,
        sample_rate=sample_rate,
        sample_rates=sample_rates,
        patience=patience,
        retries=retries,
    )
    window, opened = Window.parse(since, until), Lake(settings.lake)
    broken = opened.break_lock() if break_lock else None
    result = _extract(
        settings.database_url,
        opened,
        window,
        realms=realms,
        rates=settings.rates,
        force=force,
        allow_shrink=allow_shrink,
        wait_seconds=wait_seconds,
        jobs=jobs,
        patience=settings.patience,
        retries=settings.retries,
        accept_source=accept_source,
        notice=notice,
        progress=progress,
    )
    return replace(result, notes=[f"the stale lock of {broken} was broken", *result.notes]) if broken else result


def post_mortem(
    lake: Warehouse | str | Path | None = None,
    *,
    realm: str | None = "",
    no_realm: bool = False,
    strategy_id: str = "",
    family: str = "",
    since: str | date = "7d",
    until: str | date = "now",
    baseline: str = "",
    execution_id: str = "",
    show_users: bool = False,
    counters: str = "",
) -> PostMortem:
    """The post-mortem of one strategy.

    Args:
        lake: An open lake, or its folder.
        realm: Tenant; empty to look in all (the strategy must then be in one only), ``None`` for the NULL realm.
        no_realm: The NULL realm, where a parameter cannot be ``None``.
        strategy_id: Id of any of its versions.
        family: Its name; one of the two is needed, or ``execution_id``.
        since, until: The window in question.
        baseline: What to compare with: a version (``v2``, ``v2@<start of its id>``) or a window
            (``2026-07-01..2026-07-05``); empty to let the report choose.
        execution_id: A run to explain before the three that the report chooses; its first letters do.
        show_users: Show user ids.
        counters: Prometheus server or exported file with the engine's counters; ``ANALYTICS_COUNTERS`` when empty.

    Raises:
        UsageError, UnknownNameError: The strategy, window or baseline cannot be found.
        ConfigurationError, SourceError: The counters cannot be read.
    """
    from analytics.findings.baseline import parse
    from analytics.findings.evidence import evidence
    from analytics.findings.family import find_family
    from analytics.findings.incident import LOOK_BACK
    from analytics.findings.inquiry import Inquiry
    from analytics.findings.lookup import find_run
    from analytics.stories.post_mortem import PostMortem

    tenant, any_realm = tenant_of(realm, no_realm)
    opened = warehouse_of(lake, tenant, any_realm)
    window = Window.parse(since, until)
    run = evidence(opened, find_run(opened, execution_id)).run if execution_id else {}
    if run and not (family or strategy_id):
        strategy_id, tenant, any_realm = str(run["strategy_id"]), run["realm_id"], False
        opened = Warehouse(opened.lake, realms=[tenant])
    found = find_family(opened, realm=tenant, any_realm=any_realm, family=family or None, strategy=strategy_id or None)
    if run and run["strategy_id"] not in found.strategy_ids:
        raise UsageError(
            f"run {run['execution_id']} is not one of {found.name}", hint="leave out the strategy: the run tells"
        )
    if any_realm:
        opened = Warehouse(opened.lake, realms=[found.realm])
    opened, sampling = audited(opened, Window(window.since - LOOK_BACK, window.until), counters)
    return PostMortem(
        Inquiry(opened, found, window.since, window.until, parse(baseline, found, window)),
        show_users=show_users,
        sampling=sampling,
        execution_id=str(run.get("execution_id", "")),
    )


def runaway_rules(
    lake: Warehouse | str | Path | None = None,
    *,
    realm: str | None = "",
    no_realm: bool = False,
    since: str | date = "yesterday",
    until: str | date = "today",
    node_cap: int = NODE_CAP,
    time_limit_ms: float = TIME_LIMIT_MS,
    counters: str = "",
) -> RunawayRules:
    """Who is heading for a limit, who got there, and what each strategy costs.

    Args:
        lake: An open lake, or its folder.
        realm: Tenant; empty for all, ``None`` for the NULL realm.
        no_realm: The NULL realm, where a parameter cannot be ``None``.
        since, until: The window in question.
        node_cap: The engine's ``DSL_MAX_NODES``.
        time_limit_ms: The engine's ``DSL_EXECUTION_TIMEOUT_MS``.
        counters: Prometheus server or exported file with the engine's counters; ``ANALYTICS_COUNTERS`` when empty.

    Raises:
        ConfigurationError, SourceError: The counters cannot be read.
    """
    from analytics.stories.runaway_rules import RunawayRules

    if node_cap < 1 or time_limit_ms <= 0:
        raise UsageError("a limit must be positive", hint="node_cap is a count of nodes, time_limit_ms milliseconds")
    tenant, any_realm = tenant_of(realm, no_realm)
    window = Window.parse(since, until)
    # A day alone does not show that the rate has changed.
    looked_at = Window(window.since - timedelta(days=7), window.until)
    opened, sampling = audited(warehouse_of(lake, tenant, any_realm), looked_at, counters)
    return RunawayRules(
        opened,
        since=window.since,
        until=window.until,
        node_cap=node_cap,
        time_limit_ms=time_limit_ms,
        sampling=sampling,
    )


def explain(
    execution_id: str,
    lake: Warehouse | str | Path | None = None,
    *,
    realm: str | None = "",
    no_realm: bool = False,
    since: str | date | None = None,
    until: str | date | None = None,
    show_users: bool = False,
    versus: int | None = None,
) -> Explained:
    """Why one run paid what it paid: rule after rule, with the values it saw.

    Args:
        execution_id: Id of the run, or its first letters where only one run has them.
        lake: An open lake, or its folder.
        realm: Tenant; empty for all, ``None`` for the NULL realm.
        no_realm: The NULL realm, where a parameter cannot be ``None``.
        since, until: Only look at runs of this time, which is faster in a large lake.
        show_users: Show user ids.
        versus: Another version of the strategy, to run on the same inputs.

    Raises:
        UsageError: Several runs have such an id.
        UnknownNameError: No run has it, or the lake holds no program of that version.
    """
    from analytics.stories.explained import explain as _explain

    opened = warehouse_of(lake, *tenant_of(realm, no_realm))
    return _explain(opened, execution_id, since=since, until=until, show_users=show_users, versus=versus)


def sampling_audit(
    lake: Warehouse | str | Path | None = None,
    *,
    since: str | date | None = None,
    until: str | date | None = None,
    counters: str | None = None,
) -> Audit:
    """Does the log agree with the rate it is said to be sampled at, and with the engine's own counters?

    Args:
        lake: An open lake, or its folder.
        since, until: The window; the last three days when not given.
        counters: Prometheus server or exported file; ``ANALYTICS_COUNTERS`` when not given.

    Raises:
        ConfigurationError, SourceError: The counters cannot be read.
    """
    from analytics.audit import audit

    where = Settings.from_env(sample_rates="", counters=counters).counters
    return audit(warehouse_of(lake, None, True), Window.parse(since, until), where)


def render(report: str, *, out: str | Path | None = None, **parameters: Any) -> Rendered:
    """Render a report: executed notebook, self-contained HTML, ``summary.json``.

    Args:
        report: ``post_mortem`` or ``runaway_rules``.
        out: Folder; ``ANALYTICS_REPORTS`` or ``reports/out`` when not given.
        **parameters: Those of the notebook's parameters cell.

    Raises:
        UsageError: An unknown or mistyped parameter; nothing was run.
        ReportError: The notebook failed; the half-run notebook is kept and the last good report is left alone.
    """
    from analytics.findings.lookup import days_around
    from analytics.reports import render as _render

    if parameters.get("execution_id") and not {"since", "until"} & set(parameters):
        # The run tells when; a week back from now would not hold an older one.
        tenant, any_realm = tenant_of(parameters.get("realm", ""), bool(parameters.get("no_realm")))
        parameters |= days_around(warehouse_of(parameters.get("lake"), tenant, any_realm), parameters["execution_id"])
    builders: dict[str, Callable[..., object]] = {"post_mortem": post_mortem, "runaway_rules": runaway_rules}
    return _render(
        report, Settings.from_env(reports=out, sample_rates="").reports, parameters, build=builders.get(report)
    )


def audited(lake: Warehouse, window: Window, counters: str) -> tuple[Warehouse, Audit]:
    """What the sampling of a window is worth, and the lake with the weights that the counters give.

    Args:
        lake: An open lake.
        window: Which runs.
        counters: Prometheus server or exported file; ``ANALYTICS_COUNTERS`` when empty.
    """
    found = sampling_audit(lake, since=window.since, until=window.until, counters=counters or None)
    return (lake if found.weights is None else lake.reweighed(found.weights)), found


__all__ = ["explain", "extract", "open_lake", "post_mortem", "render", "runaway_rules"]
