"""``report``."""

from __future__ import annotations

import argparse
from typing import Any

from analytics.cli.terminal import Verbs, add_counters, add_lake, add_realm, add_window, chosen_realms, put, say
from analytics.reports import REPORTS


def add(verbs: Verbs) -> None:
    """Declare the verb."""
    parser = verbs.add_parser("report", help="render a report; prints the page's path")
    parser.add_argument("report", choices=REPORTS)
    add_window(parser, "default: the notebook's own")
    add_realm(parser)
    parser.add_argument("--strategy", metavar="ID", help="id of any version of the strategy")
    parser.add_argument("--family", metavar="NAME", help="name of the strategy")
    parser.add_argument(
        "--baseline", metavar="VERSION|WINDOW", help="compare with v2, or with 2026-07-01..2026-07-05 (default: chosen)"
    )
    parser.add_argument("--execution", metavar="ID", help="a run to explain first; alone, it tells the strategy")
    parser.add_argument("--show-users", action="store_true", help="show user ids; masked otherwise")
    parser.add_argument(
        "--out", metavar="DIR", help="folder of rendered reports (default: $ANALYTICS_REPORTS, else reports/out)"
    )
    add_lake(parser)
    add_counters(parser)
    parser.set_defaults(run=run_report)


def run_report(options: argparse.Namespace) -> int:
    """Render."""
    from analytics import api

    chosen_realms(options)  # refuses --realm together with --no-realm
    given: dict[str, Any] = {
        "realm": options.realm,
        "no_realm": options.no_realm or None,
        "strategy_id": options.strategy,
        "family": options.family,
        "baseline": options.baseline,
        "execution_id": options.execution,
        "show_users": options.show_users or None,
        "since": options.since,
        "until": options.until,
        "lake": options.lake,
        "counters": options.counters,
    }
    rendered = api.render(
        options.report, out=options.out, **{name: value for name, value in given.items() if value is not None}
    )
    if verdict := rendered.facts.get("verdict"):
        say(verdict)
    put(str(rendered.html))
    return 0
