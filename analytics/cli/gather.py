"""``gather``."""

from __future__ import annotations

import argparse
import re

from analytics.cli.output import Verbs, add_lake, add_realm, add_window, put, say
from analytics.cli.realms import open_in_sight
from analytics.errors import UsageError


def add(verbs: Verbs) -> None:
    """Declare the verb."""
    parser = verbs.add_parser(
        "gather", help="one share of what report runaway_rules asks; as many processes or machines as you like"
    )
    parser.add_argument("--share", metavar="I/N", required=True, help="which share of how many: 1/4 … 4/4")
    parser.add_argument(
        "--into",
        metavar="DIR",
        required=True,
        help="folder or s3://bucket/prefix, for report --gathered; then delete it",
    )
    add_window(parser, "default: yesterday", "today")
    add_realm(parser)
    add_lake(parser)
    parser.set_defaults(run=run_gather)


def run_gather(options: argparse.Namespace) -> int:
    """Ask, and keep the rows; prints the files."""
    from analytics import api

    share, shares = _share(options.share)
    made = api.gather(
        open_in_sight(options),
        options.into,
        share,
        shares,
        since=options.since or "yesterday",
        until=options.until or "today",
    )
    for path in made:
        put(str(path))
    say(
        f"share {share} of {shares}: {len(made)} files in {options.into}"
        if made
        else f"share {share} of {shares} is empty"
    )
    return 0


def _share(text: str) -> tuple[int, int]:
    match = re.fullmatch(r"([0-9]{1,5})/([0-9]{1,5})", text)
    if not match:
        raise UsageError(f"--share {text} is no share", hint="write 1/4 for the first of four")
    return int(match[1]), int(match[2])
