"""``report run``."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from pathlib import Path

from analytics.cli import options as opt
from analytics.cli.output import put, put_json, put_table, say
from analytics.errors import UsageError
from analytics.reports.page.inline import visible
from analytics.reports.render.notebooks import REPORTS
from analytics.reports.schedule.definition import FAIL_ON, read, setting
from analytics.reports.schedule.run import Outcome, run

_LONGEST = 100


@dataclass(frozen=True, kw_only=True)
class ReportRunOptions(opt.LakeOptions):
    """Options of ``report run``."""

    files: list[Path] = opt.paths("definitions, such as reports/nightly.toml", "FILE", "+")
    jobs: int = opt.value("reports at a time (default: 1)", "--jobs", "N", 1, int)
    force: bool = opt.flag("render also what is up to date", "--force")
    as_of: date | None = opt.value(
        'the day from which "yesterday" counts (default: today, UTC)', "--as-of", "DAY", None, date.fromisoformat
    )
    fail_on: str | None = opt.choice(
        "exit code 1 on new findings, on any, or never (default: the definition's)", "--fail-on", FAIL_ON, None
    )
    settings: list[str] = opt.words("a parameter of the notebooks, for once", "--set", "NAME=VALUE")
    wait: float = opt.wait("wait so long for another run")
    out: str | None = opt.reports(
        "folder of rendered reports (default: the definition's, $ANALYTICS_REPORTS, reports/out)"
    )
    json: bool = opt.as_json("one object per report instead of the table")
    counters: str | None = opt.counters()


def run_reports(options: ReportRunOptions) -> int:
    """Render what is due; say of each report what became of it."""
    definitions = [definition for name in options.files for definition in read(name, REPORTS)]
    parameters = dict(setting(text) for text in options.settings)
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
