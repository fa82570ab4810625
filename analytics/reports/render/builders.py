"""What the notebooks call: a report as an object, before anything of it is asked."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from analytics.config import Settings
from analytics.errors import UsageError
from analytics.reports.explore.open_lake import tenant_of, warehouse_of
from analytics.reports.parameters import typed
from analytics.warehouse.warehouse import Warehouse
from analytics.window import Window

if TYPE_CHECKING:
    from analytics.operations.sampling_audit import Audit
    from analytics.reports.post_mortem.report import PostMortem
    from analytics.reports.runaway.report import RunawayRules
    from analytics.reports.small_cells import SmallCells


@typed
def post_mortem(
    lake: Warehouse | str | Path | None = None,
    *,
    realm: str | None = "",
    no_realm: bool | None = None,
    strategy_id: str = "",
    family: str = "",
    since: str | date = "7d",
    until: str | date = "now",
    baseline: str = "",
    against: str = "",
    execution_id: str = "",
    show_users: bool = False,
    min_users: int = 0,
    counters: str = "",
    engine: str = "",
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
        against: Another strategy of the same tenant to compare with in the same window: its name, ``tag:NAME`` for the versions
            of a strategy that carry an experiment's tag, or an id; ``family`` may be a tag, too. Empty for none.
        execution_id: A run to explain before the three that the report chooses; its first letters do.
        show_users: Show user ids.
        min_users: For a report to be passed on: users that whatever it shows must rest on, and no single runs or users;
            ``ANALYTICS_MIN_USERS`` when 0, else 1, which leaves nothing out.
        counters: Prometheus server or exported file with the engine's counters; ``ANALYTICS_COUNTERS`` when empty.
        engine: Who asks the runs: ``spark``, or DuckDB when empty.

    Raises:
        UsageError, UnknownNameError: The strategy, window or baseline cannot be found; or it rests on fewer users.
        ConfigurationError, SourceError: The counters cannot be read.
    """
    from analytics.findings.post_mortem.baseline import LOOK_BACK, parse
    from analytics.findings.post_mortem.family import find_family
    from analytics.findings.post_mortem.finding import FailuresFinding
    from analytics.findings.post_mortem.post_mortem import Investigation
    from analytics.findings.replay.run_evidence import evidence, find_run
    from analytics.reports.post_mortem.report import PostMortem

    if against:
        return _against(
            lake, realm, no_realm, strategy_id, family, Window.parse(since, until).of_report(),
            against=against, clash={"--baseline": baseline, "--execution": execution_id}, show_users=show_users,
            min_users=min_users, counters=counters, engine=engine,
        )  # fmt: skip
    small = _small(min_users, show_users)
    tenant, any_realm = tenant_of(realm, no_realm)
    opened = warehouse_of(lake, tenant, any_realm, engine)
    window = Window.parse(since, until).of_report()
    run = evidence(opened, find_run(opened, execution_id)).run if execution_id else None
    if run and not (family or strategy_id):
        strategy_id, tenant, any_realm = run.strategy_id, run.realm_id, False
        opened = opened.scoped([tenant])
    found = find_family(opened, realm=tenant, any_realm=any_realm, family=family or None, strategy=strategy_id or None)
    if run and run.strategy_id not in found.strategy_ids:
        raise UsageError(
            f"run {run.execution_id} is not one of {found.name}", hint="leave out the strategy: the run tells"
        )
    if any_realm:
        opened = opened.scoped([found.realm])
    opened, sampling = audited(opened, Window(window.since - LOOK_BACK, window.until), counters)
    inquiry = Investigation(opened, found, window.since, window.until, parse(baseline, found, window))
    if small:
        asked = inquiry.incident
        sides = [side.rows for side in (asked.before, asked.after) if side is not None]
        failed = inquiry.window
        if isinstance(asked, FailuresFinding):
            failed = failed[failed["error_code"] == asked.code]
        small.refuse([inquiry.window, failed, *sides])
    return PostMortem(
        inquiry,
        show_users=show_users,
        small=small,
        sampling=sampling,
        execution_id=run.execution_id if run else "",
    )


def _against(
    lake: Warehouse | str | Path | None,
    realm: str | None,
    no_realm: bool | None,
    strategy_id: str,
    family: str,
    window: Window,
    *,
    against: str,
    clash: Mapping[str, str],
    show_users: bool,
    min_users: int,
    counters: str,
    engine: str,
) -> PostMortem:
    """One strategy against another."""
    from analytics.findings.post_mortem.comparison import Comparison
    from analytics.findings.post_mortem.family import find_family, find_group, find_other
    from analytics.reports.post_mortem.against import Against

    if others := [name for name, value in clash.items() if value]:
        raise UsageError(
            f"--against with {' and '.join(others)}: two strategies are compared in one window, without a before",
            hint=f"leave out --against, or {' and '.join(others)}",
        )
    small = _small(min_users, show_users)
    tenant, any_realm = tenant_of(realm, no_realm)
    opened = warehouse_of(lake, tenant, any_realm, engine)
    if family and not strategy_id:
        found = find_group(opened, family, realm=tenant, any_realm=any_realm)
    else:
        found = find_family(
            opened, realm=tenant, any_realm=any_realm, family=family or None, strategy=strategy_id or None
        )
    other = find_other(opened, found, against)
    opened, sampling = audited(opened.scoped([found.realm]) if any_realm else opened, window, counters)
    inquiry = Comparison(opened, found, other, window.since, window.until)
    if small:
        small.refuse([side.rows for side in (inquiry.incident.before, inquiry.incident.after) if side is not None])
    return Against(inquiry, show_users=show_users, small=small, sampling=sampling)


@typed
def runaway_rules(
    lake: Warehouse | str | Path | None = None,
    *,
    realm: str | None = "",
    no_realm: bool | None = None,
    since: str | date = "yesterday",
    until: str | date = "today",
    previous: str | Path = "",
    min_users: int = 0,
    counters: str = "",
    engine: str = "",
    gathered: str = "",
    **thresholds: float,
) -> RunawayRules:
    """Who is heading for a limit, who got there, and what each strategy costs.

    Args:
        lake: An open lake, or its folder.
        realm: Tenant; empty for all, ``None`` for the NULL realm.
        no_realm: The NULL realm, where a parameter cannot be ``None``.
        since, until: The window in question.
        previous: ``summary.json`` of the last report, which says what is new, worse and fixed; empty or ``none`` to compare
            with the days before the window.
        min_users: For a report to be passed on: versions and stops of fewer users are left out; ``ANALYTICS_MIN_USERS`` when
            0, else 1, which leaves nothing out.
        counters: Prometheus server or exported file with the engine's counters; ``ANALYTICS_COUNTERS`` when empty.
        engine: Who asks the runs: ``spark``, or DuckDB when empty.
        gathered: Folder of what ``gather`` has asked already; empty for none.
        **thresholds: Those of `analytics.findings.runaway.thresholds.Thresholds`: ``node_cap``, ``depth_cap``, ``time_limit_ms``,
            ``horizon_days``, ``close``, ``slow_times``, ``slow_extra_ms``.

    Raises:
        UsageError: A threshold is unknown or makes no sense, or the last report cannot be read.
        ConfigurationError, SourceError: The counters cannot be read.
    """
    from analytics.findings.runaway.previous_report import read
    from analytics.findings.runaway.runaway import HISTORY
    from analytics.findings.runaway.thresholds import named
    from analytics.reports.runaway.report import RunawayRules

    limits = named(thresholds)
    last = read(previous) if str(previous) not in ("", "none") else None
    tenant, any_realm = tenant_of(realm, no_realm)
    window = Window.parse(since, until).of_report()
    # A day alone does not show that the rate has changed.
    looked_at = Window(window.since - timedelta(days=7), window.until)
    opened, sampling = audited(warehouse_of(lake, tenant, any_realm, engine, gathered), looked_at, counters)
    small = _small(min_users, show_users=False)
    opened = small.without_few(opened, min(window.since, window.until - HISTORY), window.since, window.until)
    last = last.of(opened.realms) if last and (opened.is_scoped or last.realm != "") else last
    return RunawayRules(
        opened,
        since=window.since,
        until=window.until,
        thresholds=limits,
        previous=last,
        sampling=sampling,
        small=small,
    )


def _small(min_users: int, show_users: bool) -> SmallCells:
    from analytics.reports.small_cells import SmallCells

    small = SmallCells(Settings.from_env(sample_rates="", min_users=min_users).min_users)
    if small and show_users:
        raise UsageError(
            "user ids cannot be shown in a report that leaves out what few users did",
            hint="leave out --show-users, or set --min-users 1",
        )
    return small


@typed
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
    from analytics.operations.sampling_audit import audit

    where = Settings.from_env(sample_rates="", counters=counters).counters
    return audit(warehouse_of(lake, None, True), Window.parse(since, until), where)


def audited(lake: Warehouse, window: Window, counters: str) -> tuple[Warehouse, Audit]:
    """What the sampling of a window is worth, and the lake with the weights that the counters give.

    Args:
        lake: An open lake.
        window: Which runs.
        counters: Prometheus server or exported file; ``ANALYTICS_COUNTERS`` when empty.
    """
    found = sampling_audit(lake, since=window.since, until=window.until, counters=counters or None)
    return (lake if found.weights is None else lake.with_weights(found.weights)), found
