"""``report run``."""

from __future__ import annotations

import argparse
from datetime import date
from pathlib import Path

from analytics.cli.output import Verbs, add_counters, add_lake, put, put_json, put_table, say
from analytics.errors import UsageError
from analytics.reports.page.inline import visible
from analytics.reports.render.notebooks import REPORTS
from analytics.reports.schedule.definition import FAIL_ON, read, setting
from analytics.reports.schedule.run import Outcome, run

NAME = "report run"
_LONGEST = 100


def add(verbs: Verbs) -> None:
    """Declare the verb."""
    parser = verbs.add_parser(NAME, help="render all reports of a definition that are due; ends with a table")
    parser.add_argument("files", nargs="+", metavar="FILE", help="definitions, such as reports/nightly.toml")
    parser.add_argument("--jobs", type=int, default=1, metavar="N", help="reports at a time (default: 1)")
    parser.add_argument("--force", action="store_true", help="render also what is up to date")
    parser.add_argument(
        "--as-of",
        type=date.fromisoformat,
        metavar="DAY",
        help='the day from which "yesterday" counts (default: today, UTC)',
    )
    parser.add_argument(
        "--fail-on", choices=FAIL_ON, help="exit code 1 on new findings, on any, or never (default: the definition's)"
    )
    parser.add_argument(
        "--set", metavar="NAME=VALUE", action="append", default=[], help="a parameter of the notebooks, for once"
    )
    parser.add_argument("--wait", type=float, default=0, metavar="SECONDS", help="wait so long for another run")
    parser.add_argument(
        "--out",
        metavar="DIR",
        help="folder of rendered reports (default: the definition's, $ANALYTICS_REPORTS, reports/out)",
    )
    parser.add_argument("--json", action="store_true", help="one object per report instead of the table")
    add_lake(parser)
    add_counters(parser)
    parser.set_defaults(run=run_reports)


def run_reports(options: argparse.Namespace) -> int:
    """Render what is due; say of each report what became of it."""
    definitions = [definition for name in options.files for definition in read(Path(name), REPORTS)]
    parameters = dict(setting(text) for text in options.set)
    for definition in definitions:
        if not definition.says_realms and definition.notebook != "post_mortem":
            raise UsageError(
                f"the definition of {definition.name} does not say whose rows it shows",
                hint='write realms = "all" (in one report), "each" (in one of its own), or names: realms = ["acme-cycling"]',
            )
    if options.counters is not None:
        parameters["counters"] = options.counters
    result = run(
        definitions,
        lake=options.lake,
        out=options.out,
        today=options.as_of,
        workers=options.jobs,
        force=options.force,
        fail_on=options.fail_on,
        wait_seconds=options.wait,
        parameters=parameters,
        progress=_progress,
    )
    if options.json:
        put_json([_plain(outcome) for outcome in result.outcomes])
    elif result.outcomes:
        put_table(["report", "about", "day", "state", "s", "says"], [_row(outcome) for outcome in result.outcomes])
    else:
        say("nothing was due")
    for outcome in result.outcomes:
        if outcome.alarm:
            say(f"{_name(outcome)}: {outcome.alarm}")
    if result.removed:
        say(f"{len(result.removed)} old renderings were removed")
    if not options.json:
        for folder in result.out:
            put(str(folder / "index.html"))
    return result.exit_code


def _name(outcome: Outcome) -> str:
    label = outcome.job.label
    return visible(f"{outcome.card.name}{f' · {label}' if label else ''}, {outcome.card.day}")


def _progress(outcome: Outcome) -> None:
    say(f"{_name(outcome)}: {outcome.state} ({outcome.seconds:.1f} s){_why(outcome)}")


def _why(outcome: Outcome) -> str:
    return f": {visible(outcome.said or outcome.card.verdict)}" if outcome.state == "failed" else ""


def _row(outcome: Outcome) -> tuple[str, str, str, str, float, str]:
    card = outcome.card
    says = visible(card.verdict)
    short = says if len(says) <= _LONGEST else says[: _LONGEST - 1] + "…"
    return card.name, outcome.job.label or "all", str(card.day), outcome.state, round(outcome.seconds, 1), short


def _plain(outcome: Outcome) -> dict[str, object]:
    card = outcome.card
    return {
        "report": card.name,
        "realm_id": card.realm,
        "is_scoped": card.is_scoped,
        "family_name": card.family or None,
        "since": card.since,
        "until": card.until,
        "state": outcome.state,
        "finding": card.state,
        "counts": dict(card.counts),
        "verdict": card.verdict,
        "alarm": outcome.alarm or None,
        "page": card.page,
        "seconds": round(outcome.seconds, 1),
    }
