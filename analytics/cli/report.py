"""``report``."""

from __future__ import annotations

import argparse
from dataclasses import replace
from typing import Any

from analytics.cli.output import Verbs, add_counters, add_lake, add_realm, add_window, chosen_realms, put, say
from analytics.cli.realms import must_choose
from analytics.reports.explore.open_lake import ENGINES
from analytics.reports.render.notebooks import REPORTS
from analytics.reports.schedule.cards import alarm
from analytics.reports.schedule.definition import FAIL_ON, find, says_subject, setting


def add(verbs: Verbs) -> None:
    """Declare the verb."""
    parser = verbs.add_parser("report", help="render a report; prints the page's path")
    parser.add_argument(
        "report",
        metavar="REPORT",
        help=f"{', '.join(REPORTS)}, or a definition: a .toml file, or the name of one in reports/",
    )
    add_window(parser, "default: the notebook's own", "the notebook's own")
    add_realm(parser)
    parser.add_argument("--strategy", metavar="ID", help="id of any version of the strategy")
    parser.add_argument("--family", metavar="NAME", help="name of the strategy")
    parser.add_argument(
        "--baseline", metavar="VERSION|WINDOW", help="compare with v2, or with 2026-07-01..2026-07-05 (default: chosen)"
    )
    parser.add_argument(
        "--against",
        metavar="NAME",
        help="compare with another strategy of the same tenant in the same window, or with an experiment: tag:NAME",
    )
    parser.add_argument("--execution", metavar="ID", help="a run to explain first; alone, it tells the strategy")
    parser.add_argument(
        "--previous", metavar="FILE", help="summary.json of the last report (default: found in --out), or none"
    )
    parser.add_argument(
        "--fail-on", choices=FAIL_ON, help="exit code 1 on new findings, on any, or never (default: the definition's)"
    )
    parser.add_argument("--engine", choices=ENGINES, help="who asks the runs (default: duckdb)")
    parser.add_argument(
        "--gathered",
        metavar="DIR",
        help="what `gather` has asked already, of runaway_rules with the same window and realm",
    )
    parser.add_argument("--digest", action="store_true", help="print one line for a chat instead of the page's path")
    parser.add_argument(
        "--set",
        metavar="NAME=VALUE",
        action="append",
        default=[],
        help="any other parameter of the notebook, such as node_cap=600",
    )
    parser.add_argument("--show-users", action="store_true", help="show user ids; masked otherwise")
    parser.add_argument(
        "--min-users",
        type=int,
        metavar="K",
        help="to be passed on: leave out what fewer than K logged users did (default: $ANALYTICS_MIN_USERS, else 1)",
    )
    parser.add_argument(
        "--out", metavar="DIR", help="folder of rendered reports (default: $ANALYTICS_REPORTS, else reports/out)"
    )
    add_lake(parser)
    add_counters(parser)
    parser.set_defaults(run=run_report)


def run_report(options: argparse.Namespace) -> int:
    """Render."""
    from analytics import api
    from analytics.lake.lake import Lake
    from analytics.reports.explore.open_lake import find_lake
    from analytics.storage import place
    from analytics.warehouse.partial_results import PartialResults

    is_chosen = bool(chosen_realms(options)) or options.all_realms
    definition = find(options.report, REPORTS)
    # For once only; an option of its own comes before it, and one that was not given leaves what --set says.
    settings = dict(setting(text) for text in options.set)
    definition = replace(definition, parameters={**definition.parameters, **settings})
    # A post-mortem is of one strategy, which is of one tenant.
    if not (is_chosen or definition.says_realms or says_subject(settings) or definition.notebook == "post_mortem"):
        must_choose(Lake(find_lake(options.lake)))
    given: dict[str, Any] = {
        "realm": options.realm,
        "no_realm": options.no_realm or None,
        "strategy_id": options.strategy,
        "family": options.family,
        "baseline": options.baseline,
        "against": options.against,
        "execution_id": options.execution,
        "previous": options.previous,
        "show_users": options.show_users or None,
        "min_users": options.min_users,
        "since": options.since,
        "until": options.until,
        "lake": options.lake,
        "counters": options.counters,
        "engine": options.engine,
        "gathered": options.gathered,
    }
    fail_on = options.fail_on or definition.fail_on
    if options.gathered and PartialResults(place(options.gathered)).is_empty:
        say(f"nothing was gathered in {options.gathered}: the report asks everything itself")
    rendered = api.render(
        definition, out=options.out, **{name: value for name, value in given.items() if value is not None}
    )
    if verdict := rendered.facts.get("verdict"):
        say(verdict)
    (say if options.digest else put)(str(rendered.html))
    if options.digest:
        put(str(rendered.facts.get("digest") or rendered.card.verdict))
    reason = alarm(rendered.card, fail_on)
    if reason:
        say(f"exit code 1: {reason} (--fail-on {fail_on})")
    return 1 if reason else 0
