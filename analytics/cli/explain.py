"""``explain``."""

from __future__ import annotations

import argparse
import shutil
from pathlib import Path

from analytics.cli.output import (
    Verbs,
    add_lake,
    add_overwrite,
    add_realm,
    add_window,
    chosen_realms,
    ensure_ours,
    put,
    put_json,
    warn_of_losses,
)

_WIDEST = 120


def add(verbs: Verbs) -> None:
    """Declare the verb."""
    parser = verbs.add_parser("explain", help="why one run paid what it paid, rule after rule")
    parser.add_argument("execution", metavar="EXECUTION_ID", help="id of the run, or its first letters (four or more)")
    add_window(parser, "default: all of the lake; a window is faster in a large one")
    add_realm(parser)
    add_lake(parser)
    form = parser.add_mutually_exclusive_group()
    form.add_argument("--json", action="store_true", help="everything, values in full")
    form.add_argument("--html", type=Path, metavar="FILE", help="write a page instead; prints its path")
    parser.add_argument("--show-users", action="store_true", help="show user ids; masked otherwise")
    add_overwrite(parser)
    parser.add_argument("--versus", type=int, metavar="VERSION", help="what this version pays on the same inputs")
    parser.set_defaults(run=run_explain)


def run_explain(options: argparse.Namespace) -> int:
    """Explain one run."""
    from analytics import api

    chosen_realms(options)  # refuses --realm together with --no-realm
    lake = api.open_lake(options.lake, realm=chosen_realms(options))
    warn_of_losses(lake.lost())
    found = api.explain(
        options.execution,
        lake,
        since=options.since,
        until=options.until,
        show_users=options.show_users,
        versus=options.versus,
    )
    if options.json:
        put_json(found.to_dict())
    elif options.html:
        ensure_ours(options.html, (), overwrite=options.overwrite)
        options.html.write_text(found.document(), encoding="utf-8")
        put(str(options.html))
    else:
        put(found.text(min(shutil.get_terminal_size((100, 24)).columns, _WIDEST)))
    return 0
