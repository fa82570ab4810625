"""``doctor``, ``status``, ``check`` and ``audit``: how the source and the lake stand, and whether the numbers can be trusted."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from analytics.cli import options as opt
from analytics.cli.output import Priority, put, put_json, put_table, say, warn_of_deletion
from analytics.errors import UsageError
from analytics.window import ONE_DAY, midnight

if TYPE_CHECKING:
    from analytics.operations.sampling_audit import Audit
    from analytics.warehouse.coverage import Cell

READER = "strategy_reader"
"""The role's name in ``sql/role/reader.sql``."""


@dataclass(frozen=True, kw_only=True)
class DoctorOptions(opt.LakeOptions):
    """Options of ``doctor``."""

    database_url: str | None = opt.database_url()
    source_retention: str | None = opt.source_retention()
    role_sql: str | None = opt.word(
        f"only print the SQL that makes a role which can read what is needed, and nothing else (default name: {READER})",
        "--role-sql",
        "NAME",
        const=READER,
    )
    json: bool = opt.as_json("one object per finding")


def run_doctor(options: DoctorOptions) -> int:
    """Look at source and lake, and say what to repair."""
    from analytics.config import Settings
    from analytics.operations.doctor.doctor import check_all
    from analytics.reports.page.inline import visible

    if options.role_sql is not None:
        put(_role_sql(options.role_sql))
        return 0
    findings = []
    settings = Settings.from_env(
        database_url=options.database_url, lake=options.lake, source_retention=options.source_retention
    )
    for finding in check_all(settings):
        findings.append(finding)
        if not options.json:
            put(f"{finding.level:7}  {finding.name}: {visible(finding.sentence)}")
            if finding.repair:
                put(f"         {visible(finding.repair)}")
    if options.json:
        put_json([finding.to_dict() for finding in findings])
    return 1 if any(finding.level == "problem" for finding in findings) else 0


def _role_sql(name: str) -> str:
    """The statements that make the role; where it is to have another name, with that."""
    from analytics import sql

    if not re.fullmatch(r"[a-z_][a-z0-9_]{0,62}", name):  # a name that needs no quotes, wherever it stands
        raise UsageError(
            f"{name!r} is no plain name of a role",
            hint="small letters, digits and underscores, 63 at most: --role-sql strategy_reader",
        )
    return sql.text("role", "reader").replace(READER, name).rstrip()


def _age(text: str) -> timedelta | None:
    """An age in hours, days or weeks."""
    match = re.fullmatch(r"([1-9][0-9]{0,5})([hdw])", text)
    if match is None:
        raise UsageError(f"--max-age {text!r} is no age", hint="write 26h, 3d or 2w")
    return int(match[1]) * {"h": timedelta(hours=1), "d": timedelta(days=1), "w": timedelta(weeks=1)}[match[2]]


@dataclass(frozen=True, kw_only=True)
class StatusOptions(opt.RealmOptions):
    """Options of ``status``."""

    source_retention: str | None = opt.source_retention()
    max_age: timedelta | None = opt.value(
        "exit code 1 where what is extracted is not complete up to so long ago, 26h or 3d: a heartbeat for who watches the job",
        "--max-age",
        "AGE",
        None,
        _age,
    )
    json: bool = opt.as_json("one object per realm and day")


def run_status(options: StatusOptions) -> int:
    """Show the calendar."""
    from analytics.config import Settings
    from analytics.lake import expiry_mark
    from analytics.operations.doctor import volume
    from analytics.reports.explore.results import calendar_key, calendar_lines
    from analytics.warehouse.coverage import CALENDAR_DAYS, calendar

    lake = options.look_at_lake()
    settings = Settings.from_env(lake=options.lake, source_retention=options.source_retention, sample_rates="")
    at_risk = volume.retention_warning(lake.lake, settings.source_retention)
    warn_of_deletion(at_risk)
    soon = at_risk.days if at_risk else ()
    cells = calendar(lake, soon)
    code = 1 if options.max_age and _is_older(cells, options.max_age) else 0
    if options.json:
        put_json([cell.to_dict() | {"source_deletes_soon": cell.day in soon} for cell in cells])
        return code
    days = sorted({cell.day for cell in cells if cell.day})[-CALENDAR_DAYS:]
    if not cells:
        unknown = len(lake.lake.files("executions"))
        say(
            f"the ledger is lost: {unknown} partition files lie there that no day of it knows; `strategy-analytics extract` of "
            "their days writes it again"
            if unknown
            else "the lake is empty: `strategy-analytics extract` fills it"
        )
        return code
    for line in calendar_lines(cells, days):
        put(line)
    spans = {span for cell in cells for span in cell.ignored_transactions}
    for span in sorted(spans, key=lambda span: (span.since, str(span.transaction))):
        put(
            f"rows created {span.since:%Y-%m-%d %H:%M:%S} to {span.until:%Y-%m-%d %H:%M:%S} UTC may still arrive with "
            f"{span.transaction}; when it has ended, extract the day once more"
        )
    if mark := expiry_mark.read(lake.lake.root):
        put(
            f"the days before {mark.before} are expired: dropped on purpose, the last time on {mark.expired_at:%Y-%m-%d}"
        )
    undated = sum(cell.logged_count for cell in cells if cell.day is None)
    if undated:
        put(f"{undated:,} rows have no usable created_at and belong to no day")
    put(calendar_key())
    return code


def _is_older(cells: Sequence[Cell], most: timedelta) -> bool:
    """Whether the tenants in sight are complete up to a time that is longer ago, which is said."""
    # A day that is long over says at its extraction that it is complete until then: what counts is up to where of the day itself.
    ends = [
        min(cell.complete_until, midnight(cell.day + ONE_DAY)) for cell in cells if cell.complete_until and cell.day
    ]
    until = max(ends, default=None)
    if until is not None and datetime.now(UTC) - until <= most:
        return False
    seen = f"it is complete until {until:%Y-%m-%d %H:%M} UTC" if until else "no day of it is complete"
    say(
        f"the lake is older than --max-age allows: {seen}\n  is the job that extracts still running? strategy-analytics doctor",
        priority=Priority.ERROR,
    )
    return True


@dataclass(frozen=True, kw_only=True)
class CheckOptions(opt.RealmOptions):
    """Options of ``check``."""

    json: bool = opt.as_json("one object per check")


def run_check(options: CheckOptions) -> int:
    """Run every check."""
    from analytics.config import Settings
    from analytics.extraction.privacy.policy import Policy
    from analytics.reports.page.inline import visible
    from analytics.warehouse.checks import UNREADABLE

    lake = options.open_lake()
    lake.lake.ensure_there()  # an empty folder is not a sound lake
    results = lake.check(Policy.of(Settings.from_env(lake=options.lake, sample_rates="")).key)
    failed = [result for result in results if not result.passed and result.severity == "error"]
    if options.json:
        put_json(
            [
                {
                    "name": r.name,
                    "severity": r.severity,
                    "says": r.says,
                    "passed": r.passed,
                    "failures": r.failures,
                    "example": r.example,
                }
                for r in results
            ]
        )
    else:
        for result in results:
            mark = "ok     " if result.passed else "FAILED " if result.severity == "error" else "warning"
            put(f"{mark}  {result.name}: {result.says}.")
            if not result.passed:
                example = ", ".join(
                    # what kept a check from reading names a file and its repair
                    f"{key}={visible(str(value))[: None if key == UNREADABLE else 80]}"
                    for key, value in (result.example or {}).items()
                )
                put(f"         {result.failures:,} found, for example {example}")
    return 1 if failed else 0


@dataclass(frozen=True, kw_only=True)
class AuditOptions(opt.RealmOptions):
    """Options of ``audit``."""

    since: str | None = opt.since("default: the last three days")
    until: str | None = opt.until()
    counters: str | None = opt.counters()
    by_hour: bool = opt.flag("every hour, not only the totals", "--by-hour", opt.ANSWER)
    format: str = opt.choice("default: table", "--format", ("table", "json"), "table")


def run_audit(options: AuditOptions) -> int:
    """Look, and say what was found; 1 when the configured rate is contradicted or rows are missing."""
    from analytics import api
    from analytics.warehouse.warehouse import records

    lake = options.open_lake()
    audit = api.sampling_audit(lake, since=options.since, until=options.until, counters=options.counters)
    frame = audit.hours if options.by_hour else audit.realms
    rows = records(frame)
    if options.format == "json":
        put_json({**audit.to_dict(), "hours" if frame is audit.hours else "realms": rows})
    else:
        put_table(list(frame.columns), [list(row.values()) for row in rows])
        for sentence in [*audit.contradictions, *audit.losses, *audit.undecided, *audit.notes]:
            say(sentence)
        if not (audit.contradictions or audit.losses):
            say(f"sampling rate: {_checked(audit)}")
    return 1 if audit.contradictions or audit.losses else 0


def _checked(audit: Audit) -> str:
    if audit.hours.empty:
        return "no logged row in this window, so nothing was compared"
    if audit.source:
        return (
            "the counters agree with it"
            if audit.was_compared
            else "the counters know none of these runs; nothing was compared"
        )
    if audit.was_compared:
        return "the log alone says nothing against it"
    if audit.undecided:
        return "cannot tell; --counters would"
    return f"too little to compare: {audit.reason}; or give --counters"
