"""``doctor``."""

from __future__ import annotations

import argparse

from analytics.cli.terminal import Verbs, add_lake, put, put_json
from analytics.page.text import visible


def add(verbs: Verbs) -> None:
    """Declare the verb."""
    parser = verbs.add_parser("doctor", help="would an unattended extraction work? exit 1 when it would not")
    add_lake(parser)
    parser.add_argument(
        "--database-url", metavar="URL", help="default: $ANALYTICS_DATABASE_URL, $DATABASE_URL, else libpq's own"
    )
    parser.add_argument("--json", action="store_true", help="one object per finding")
    parser.set_defaults(run=run_doctor)


def run_doctor(options: argparse.Namespace) -> int:
    """Look at source and lake, and say what to repair."""
    from analytics.config import Settings
    from analytics.doctor import examine

    findings = []
    for finding in examine(Settings.from_env(database_url=options.database_url, lake=options.lake)):
        findings.append(finding)
        if not options.json:
            put(f"{finding.level:7}  {finding.name}: {visible(finding.sentence)}")
            if finding.repair:
                put(f"         {visible(finding.repair)}")
    if options.json:
        put_json([finding.to_dict() for finding in findings])
    return 1 if any(finding.level == "problem" for finding in findings) else 0
