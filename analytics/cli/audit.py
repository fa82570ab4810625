"""``audit``."""

from __future__ import annotations

import argparse

from analytics.cli.output import Verbs, add_counters, add_lake, add_realm, add_window, put_json, put_table, say
from analytics.cli.realms import open_in_sight
from analytics.operations.sampling_audit import Audit
from analytics.warehouse.warehouse import records


def add(verbs: Verbs) -> None:
    """Declare the verb."""
    parser = verbs.add_parser(
        "audit", help="does the log agree with its sampling rate, and with the engine's counters?"
    )
    add_window(parser, "default: the last three days")
    add_realm(parser)
    add_lake(parser)
    add_counters(parser)
    parser.add_argument("--by-hour", action="store_true", help="every hour, not only the totals")
    parser.add_argument("--format", choices=["table", "json"], default="table")
    parser.set_defaults(run=run_audit)


def run_audit(options: argparse.Namespace) -> int:
    """Look, and say what was found; 1 when the configured rate is contradicted or rows are missing."""
    from analytics import api

    lake = open_in_sight(options)
    found = api.sampling_audit(lake, since=options.since, until=options.until, counters=options.counters)
    frame = found.hours if options.by_hour else found.realms
    rows = records(frame)
    if options.format == "json":
        put_json({**found.to_dict(), "hours" if frame is found.hours else "realms": rows})
    else:
        put_table(list(frame.columns), [list(row.values()) for row in rows])
        for sentence in [*found.contradictions, *found.losses, *found.undecided, *found.notes]:
            say(sentence)
        if not (found.contradictions or found.losses):
            say(f"sampling rate: {_checked(found)}")
    return 1 if found.contradictions or found.losses else 0


def _checked(found: Audit) -> str:
    if found.hours.empty:
        return "no logged row in this window, so nothing was compared"
    if found.source:
        return (
            "the counters agree with it"
            if found.was_compared
            else "the counters know none of these runs; nothing was compared"
        )
    if found.was_compared:
        return "the log alone says nothing against it"
    if found.undecided:
        return "cannot tell; --counters would"
    return f"too little to compare: {found.reason}; or give --counters"
