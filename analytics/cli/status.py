"""``status`` and ``check``."""

from __future__ import annotations

import argparse

from analytics.cli.output import Verbs, add_lake, add_realm, add_source_retention, put, put_json, say, warn_of_deletion
from analytics.cli.realms import open_in_sight
from analytics.reports.explore.results import calendar_key, calendar_lines
from analytics.reports.page.inline import visible


def add(verbs: Verbs) -> None:
    """Declare the verbs."""
    parser = verbs.add_parser("status", help="calendar of realms and days: complete, partial, missing, stale, expired")
    add_lake(parser)
    add_realm(parser)
    add_source_retention(parser)
    parser.add_argument("--json", action="store_true", help="one object per realm and day")
    parser.set_defaults(run=run_status)
    parser = verbs.add_parser("check", help="is the lake sound? exit 1 when a check of severity error fails")
    add_lake(parser)
    add_realm(parser)
    parser.add_argument("--json", action="store_true", help="one object per check")
    parser.set_defaults(run=run_check)


def run_status(options: argparse.Namespace) -> int:
    """Show the calendar."""
    from analytics.config import Settings
    from analytics.lake import expiry_mark
    from analytics.operations.doctor import volume
    from analytics.warehouse.coverage import CALENDAR_DAYS, calendar

    lake = open_in_sight(options)
    settings = Settings.from_env(lake=options.lake, source_retention=options.source_retention, sample_rates="")
    at_risk = volume.retention_warning(lake.lake, settings.source_retention)
    warn_of_deletion(at_risk)
    soon = at_risk.days if at_risk else ()
    cells = calendar(lake, soon)
    if options.json:
        put_json([cell.to_dict() | {"source_deletes_soon": cell.day in soon} for cell in cells])
        return 0
    days = sorted({cell.day for cell in cells if cell.day})[-CALENDAR_DAYS:]
    if not cells:
        unknown = len(lake.lake.files("executions"))
        say(
            f"the ledger is lost: {unknown} partition files lie there that no day of it knows; strategy-analytics extract of "
            "their days writes it again"
            if unknown
            else "the lake is empty: strategy-analytics extract fills it"
        )
        return 0
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
    return 0


def run_check(options: argparse.Namespace) -> int:
    """Run every check."""
    from analytics.config import Settings
    from analytics.extraction.privacy.policy import Policy
    from analytics.warehouse.checks import UNREADABLE

    lake = open_in_sight(options)
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
