"""What the notebooks call: a report as an object, before anything of it is asked; and what it will ask, shared by many processes.

There is no scheduler here: GNU make, an indexed job or a workflow engine starts the shares, each a command of its own, and the
report when they are done.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import date, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from analytics.config import Settings
from analytics.errors import UsageError
from analytics.findings.runaway.run_costs import DIGITS, MOST_EXACT, PICTURE_DIGITS
from analytics.findings.runaway.trend import HISTORY
from analytics.reports.explore.lake_folder import find_lake
from analytics.reports.explore.open_lake import warehouse_of
from analytics.reports.parameter_values import typed
from analytics.reports.render.notebooks import (
    PostMortemParameters,
    ReportParameters,
    RunawayParameters,
)
from analytics.storage import LakePath
from analytics.warehouse.partial_results import PartialQuery, compute_share
from analytics.warehouse.warehouse import Warehouse
from analytics.window import ONE_DAY, Window

if TYPE_CHECKING:
    from analytics.findings.post_mortem.family import Family
    from analytics.findings.replay.run_evidence import LoggedRun
    from analytics.operations.sampling_audit import Audit
    from analytics.reports.post_mortem.report import PostMortem
    from analytics.reports.runaway.report import RunawayRules

AUDITED_BEFORE = timedelta(days=7)
"""Before a window, whose sampling is audited with it: a day alone does not show that the rate has changed."""

_OF_HISTORY = (
    "cost_by_strategy", "nodes_by_day", "time_by_nodes", "stops_by_minute", "limit_runs", "sampling_by_hour", "dead_rules",
    "arrivals_by_minute",
)  # fmt: skip
_OF_WINDOW = ("hot_nodes",)


def questions(lake: Warehouse, window: Window) -> list[PartialQuery]:
    """First halves of the queries that a report on runaway rules asks of a window and its history.

    Args:
        lake: An open lake.
        window: Of the report. A day that it cuts is left to whoever renders.
    """
    first, until = (window.since + ONE_DAY - timedelta(microseconds=1)).date(), window.until.date()
    start = min(first - AUDITED_BEFORE, until - HISTORY)
    found = [PartialQuery(name, start, until, {}) for name in _OF_HISTORY]
    found += [PartialQuery(name, first, until, {}) for name in _OF_WINDOW]
    for begin, end in ((until - HISTORY, first), (first, until)):
        if _logged(lake, begin, end) > MOST_EXACT:
            found.append(PartialQuery("run_costs", begin, end, {"digits": PICTURE_DIGITS}))
            found.append(PartialQuery("run_times", begin, end, {"digits": DIGITS}))
        elif begin < end:
            found.append(PartialQuery("run_costs", begin, end, {"digits": None}))
    return found


def gather_share(
    lake: Warehouse,
    window: Window,
    into: LakePath,
    share: int,
    shares: int,
    progress: Callable[[PartialQuery, LakePath | None], None] | None = None,
) -> list[LakePath]:
    """One share of what a report on runaway rules will ask.

    Args:
        lake: An open lake, with the tenants in sight that the report will have.
        window: Of the report.
        into: Folder, or ``s3://bucket/prefix``, that the report is told.
        share, shares: Which of how many, from 1.
        progress: Told of each question, and of the file that holds its answer.

    Returns:
        The files that were written; none for a share without files.

    Raises:
        UsageError: There is no such share; or the lake's runs are weighed otherwise, or of some versions only.
        LakeError: The folder cannot be written.
    """
    if not 1 <= share <= shares:
        raise UsageError(
            f"there is no share {share} of {shares}", hint="shares count from 1: --share 1/4 … --share 4/4"
        )
    written = []
    for question in questions(lake, window):
        made = compute_share(lake, question, into, share=share, shares=shares)
        if progress:
            progress(question, made)
        if made is not None:
            written.append(made)
    return written


def _logged(lake: Warehouse, since: date, until: date) -> int:
    """Logged runs of some days, as the ledger has them."""
    return sum(
        info.row_count
        for record in lake.records()
        if record.day is not None and since <= record.day < until
        for realm, info in record.partitions.items()
        if lake.visible_realms is None or realm in lake.visible_realms
    )


_Parameters = TypeVar("_Parameters", bound=ReportParameters)


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
    parameters = completed(
        PostMortemParameters(
            lake=lake, realm=realm, no_realm=no_realm, strategy_id=strategy_id, family=family, since=since, until=until,
            baseline=baseline, against=against, execution_id=execution_id, show_users=show_users, min_users=min_users,
            counters=counters, engine=engine,
        )
    )  # fmt: skip
    return _against(parameters) if against else _alone(parameters)


@dataclass(frozen=True, slots=True)
class _Subject:
    """What a post-mortem is of.

    Attributes:
        lake: With its tenant in sight.
        family: The strategy.
        other: What it is compared with, where that is another strategy.
        run: A run that was asked for.
    """

    lake: Warehouse
    family: Family
    other: Family | None = None
    run: LoggedRun | None = None


_foreseen: list[tuple[PostMortemParameters, _Subject]] = []
"""The subject of this process's report, between `foresee` and the call of its notebook."""


def foresee(builder: str, values: Mapping[str, Any]) -> Warehouse | None:
    """Refuse what the call of a notebook would refuse, before all that makes a report is imported; the call goes on from there.

    Args:
        builder: What the notebook calls, as in ``Plan``.
        values: Its parameters.

    Returns:
        The lake with all tenants in sight, where it was opened and is not needed any more.

    Raises:
        UsageError, UnknownNameError: As ``post_mortem``.
    """
    if builder != f"analytics.{PostMortemParameters.NAME}":
        return None
    parameters = completed(PostMortemParameters.of(values))
    opened = warehouse_of(parameters.lake, *parameters.tenant, parameters.engine)
    subject = _subject(parameters, opened)
    _foreseen[:] = [(parameters, subject)]
    return None if opened is subject.lake or opened.is_scoped else opened


def _subject_of(parameters: PostMortemParameters) -> _Subject:
    if _foreseen and _foreseen[0][0] == parameters:
        return _foreseen.pop()[1]
    return _subject(parameters, warehouse_of(parameters.lake, *parameters.tenant, parameters.engine))


def _subject(parameters: PostMortemParameters, opened: Warehouse) -> _Subject:
    return _two(parameters, opened) if parameters.against else _one(parameters, opened)


def _one(parameters: PostMortemParameters, opened: Warehouse) -> _Subject:
    from analytics.findings.post_mortem.family import find_family
    from analytics.findings.replay.run_evidence import evidence, find_run

    tenant, any_realm = parameters.tenant
    strategy_id = parameters.strategy_id
    run = evidence(opened, find_run(opened, parameters.execution_id)).run if parameters.execution_id else None
    if run and not (parameters.family or strategy_id):
        strategy_id, tenant, any_realm = run.strategy_id, run.realm_id, False
        opened = opened.scoped([tenant])
    family = find_family(
        opened, realm=tenant, any_realm=any_realm, family=parameters.family or None, strategy=strategy_id or None
    )
    if run and run.strategy_id not in family.strategy_ids:
        raise UsageError(
            f"run {run.execution_id} is not one of {family.name}", hint="leave out the strategy: the run tells"
        )
    return _Subject(opened.scoped([family.realm]) if any_realm else opened, family, run=run)


def _two(parameters: PostMortemParameters, opened: Warehouse) -> _Subject:
    from analytics.findings.post_mortem.family import find_family, find_group, find_other

    tenant, any_realm = parameters.tenant
    if parameters.family and not parameters.strategy_id:
        first = find_group(opened, parameters.family, realm=tenant, any_realm=any_realm)
    else:
        first = find_family(
            opened,
            realm=tenant,
            any_realm=any_realm,
            family=parameters.family or None,
            strategy=parameters.strategy_id or None,
        )
    second = find_other(opened, first, parameters.against)
    return _Subject(opened.scoped([first.realm]) if any_realm else opened, first, second)


def _alone(parameters: PostMortemParameters) -> PostMortem:
    """One strategy, against what it was before."""
    subject = _subject_of(parameters)

    from analytics.findings.post_mortem.baseline import LOOK_BACK, parse
    from analytics.findings.post_mortem.finding import FailuresFinding
    from analytics.findings.post_mortem.post_mortem import Investigation
    from analytics.reports.post_mortem.report import PostMortem
    from analytics.reports.small_cells import SmallCells

    window = Window.parse(parameters.since, parameters.until).of_report()
    opened, sampling = audited(subject.lake, Window(window.since - LOOK_BACK, window.until), parameters.counters)
    baseline = parse(parameters.baseline, subject.family, window)
    inquiry = Investigation(opened, subject.family, window.since, window.until, baseline)
    if small := SmallCells(parameters.min_users):
        incident = inquiry.incident
        sides = [side.rows for side in (incident.before, incident.after) if side is not None]
        failed = inquiry.window
        if isinstance(incident, FailuresFinding):
            failed = failed[failed["error_code"] == incident.code]
        small.refuse([inquiry.window, failed, *sides])
    return PostMortem(
        inquiry,
        show_users=parameters.show_users,
        small=small,
        sampling=sampling,
        execution_id=subject.run.execution_id if subject.run else "",
    )


def _against(parameters: PostMortemParameters) -> PostMortem:
    """One strategy against another."""
    subject = _subject_of(parameters)

    from analytics.findings.post_mortem.comparison import Comparison
    from analytics.reports.post_mortem.against import Against
    from analytics.reports.small_cells import SmallCells

    window = Window.parse(parameters.since, parameters.until).of_report()
    opened, sampling = audited(subject.lake, window, parameters.counters)
    assert subject.other is not None  # noqa: S101  # see _two
    inquiry = Comparison(opened, subject.family, subject.other, window.since, window.until)
    if small := SmallCells(parameters.min_users):
        small.refuse([side.rows for side in (inquiry.incident.before, inquiry.incident.after) if side is not None])
    return Against(inquiry, show_users=parameters.show_users, small=small, sampling=sampling)


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
    parameters = completed(
        RunawayParameters(
            lake=lake, realm=realm, no_realm=no_realm, since=since, until=until, previous=previous, min_users=min_users,
            counters=counters, engine=engine, gathered=gathered, thresholds=thresholds,
        )
    )  # fmt: skip
    return _runaway(parameters)


def _runaway(parameters: RunawayParameters) -> RunawayRules:
    from analytics.findings.runaway.runaway import HISTORY
    from analytics.reports.runaway.report import RunawayRules
    from analytics.reports.small_cells import SmallCells

    window = Window.parse(parameters.since, parameters.until).of_report()
    opened = warehouse_of(parameters.lake, *parameters.tenant, parameters.engine, parameters.gathered)
    opened, sampling = audited(opened, Window(window.since - AUDITED_BEFORE, window.until), parameters.counters)
    small = SmallCells(parameters.min_users)
    opened = small.without_few(opened, min(window.since, window.until - HISTORY), window.since, window.until)
    last = parameters.last_report()
    return RunawayRules(
        opened,
        since=window.since,
        until=window.until,
        thresholds=parameters.limits(),
        previous=last.of(opened.realms) if last and (opened.is_scoped or last.realm != "") else last,
        sampling=sampling,
        small=small,
    )


def completed(parameters: _Parameters) -> _Parameters:
    """The parameters with what the environment says where they are empty; refused where they cannot be.

    Raises:
        ConfigurationError: A setting is out of range.
        UsageError: See ``ReportParameters.check``.
    """
    folder = None if isinstance(parameters.lake, Warehouse) else parameters.lake or None
    settings = Settings.from_env(
        lake=folder, min_users=parameters.min_users, counters=parameters.counters or None, sample_rates=""
    )
    complete = replace(
        parameters,
        lake=parameters.lake if isinstance(parameters.lake, Warehouse) else find_lake(folder, settings),
        min_users=settings.min_users,
        counters=settings.counters,
    )
    complete.check()
    return complete


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
        counters: Prometheus server or exported file; empty for none.
    """
    from analytics.operations.sampling_audit import audit

    found = audit(lake, window, counters)
    return (lake if found.weights is None else lake.with_weights(found.weights)), found
