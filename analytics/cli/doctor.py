"""``doctor``."""

from __future__ import annotations

import argparse
import re

from analytics.cli.output import Verbs, add_lake, add_source_retention, put, put_json
from analytics.errors import UsageError
from analytics.reports.page.inline import visible

READER = "strategy_reader"
"""The role's name in ``sql/role/reader.sql``."""


def add(verbs: Verbs) -> None:
    """Declare the verb."""
    parser = verbs.add_parser("doctor", help="would an unattended extraction work? exit 1 when it would not")
    add_lake(parser)
    parser.add_argument(
        "--database-url", metavar="URL", help="default: $ANALYTICS_DATABASE_URL, $DATABASE_URL, else libpq's own"
    )
    add_source_retention(parser)
    parser.add_argument(
        "--role-sql",
        nargs="?",
        const=READER,
        metavar="NAME",
        help=f"only print the SQL that makes a role which can read what is needed, and nothing else (default name: {READER})",
    )
    parser.add_argument("--json", action="store_true", help="one object per finding")
    parser.set_defaults(run=run_doctor)


def run_doctor(options: argparse.Namespace) -> int:
    """Look at source and lake, and say what to repair."""
    from analytics.config import Settings
    from analytics.operations.doctor.doctor import check_all

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
