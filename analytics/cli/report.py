"""``report``, ``report run`` and ``gather``."""

from __future__ import annotations

import re
import shlex
from dataclasses import dataclass, replace
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING

from analytics.cli import options as opt
from analytics.cli.output import ensure_ours, put, put_json, put_table, say
from analytics.errors import ConfigurationError, UsageError
from analytics.reports.explore.lake_folder import ENGINES
from analytics.reports.render.notebooks import OF_ONE_STRATEGY, PARAMETERS, REPORTS, skip_iri_grammar
from analytics.reports.schedule import cards
from analytics.reports.schedule.available import available, find_report
from analytics.reports.schedule.definition import FAIL_ON, Definition, read, says_subject, setting

if TYPE_CHECKING:
    from collections.abc import Mapping

    from analytics.reports.parameter_values import Value
    from analytics.reports.schedule.run import Outcome

_LONGEST = 100
QUICK = 10_000
"""Logged runs that are tried when it has to be quick."""

_LEAST_ADDRESSES = 2_500_000_000
"""Bytes of address space that a report's process reserves, mostly for stacks and heaps of threads, and seldom uses. Measured on two
cores: with 2.5 GB the nightly reports came, with 1.8 GB the first was not done after 200 s, with 0.9 GB the C library ended the
process, which no Python can catch."""


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


def _refuse_few_addresses() -> None:
    """Say it where a limit of the shell lets no report come to its end.

    Raises:
        ConfigurationError: It is so.
    """
    try:
        import resource
    except ImportError:  # Windows has no such limit
        return
    limit, _ = resource.getrlimit(resource.RLIMIT_AS)
    if 0 <= limit < _LEAST_ADDRESSES:  # none is -1
        raise ConfigurationError(
            f"a process may reserve {limit / 1e9:.1f} GB of addresses here (ulimit -v), and a report needs "
            f"{_LEAST_ADDRESSES / 1e9:.1f} GB, most of which is never used",
            hint="ulimit -v unlimited; a cgroup limits memory and not addresses: MemoryMax= of systemd, --memory of a container",
        )


def run_reports(options: ReportRunOptions) -> int:
    """Render what is due; say of each report what became of it."""
    from analytics.reports.schedule.run import run

    _refuse_few_addresses()
    definitions = [definition for name in options.files for definition in read(name, REPORTS)]
    parameters = dict(setting(text) for text in options.settings)
    for definition in definitions:
        if not definition.says_realms and definition.notebook not in OF_ONE_STRATEGY:
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
        for reason in filter(None, (outcome.alarm, outcome.unseen)):
            say(f"{_name(outcome)}: {reason}")
    if result.removed:
        say(f"{len(result.removed)} old renderings were removed")
    if not options.json:
        for folder in result.out:
            put(str(folder / "index.html"))
    return result.exit_code


def _name(outcome: Outcome) -> str:
    from analytics.reports.page.inline import visible

    label = outcome.job.label
    return visible(f"{outcome.card.name}{f' · {label}' if label else ''}, {outcome.card.day}")


def _progress(outcome: Outcome) -> None:
    say(f"{_name(outcome)}: {outcome.state} ({outcome.seconds:.1f} s){_why(outcome)}")


def _why(outcome: Outcome) -> str:
    from analytics.reports.page.inline import visible

    return f": {visible(outcome.said or outcome.card.verdict)}" if outcome.state == "failed" else ""


def _row(outcome: Outcome) -> tuple[str, str, str, str, float, str]:
    from analytics.reports.page.inline import visible

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
        "cannot_tell": outcome.unseen or None,
        "page": card.page,
        "seconds": round(outcome.seconds, 1),
    }


@dataclass(frozen=True, kw_only=True)
class GatherOptions(opt.RealmOptions):
    """Options of ``gather``."""

    share: str = opt.required_word("which share of how many: 1/4 … 4/4", "--share", "I/N")
    into: str = opt.required_word(
        "folder or s3://bucket/prefix, for report --gathered; then delete it", "--into", "DIR"
    )
    since: str | None = opt.since("default: yesterday")
    until: str | None = opt.until("today")


def run_gather(options: GatherOptions) -> int:
    """Ask, and keep the rows; prints the files."""
    from analytics import api

    share, shares = _share(options.share)
    made = api.gather(
        options.open_lake(),
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


@dataclass(frozen=True, kw_only=True)
class ReportOptions(opt.RealmOptions):
    """Options of ``report``."""

    report: str | None = opt.optional_argument(
        f"{', '.join(REPORTS)}; a definition: a .toml file, or the name of one in reports/; or a notebook of your own",
        "REPORT",
    )
    listing: bool = opt.flag("which reports there are: the package's, definitions, notebooks of your own", "--list")
    since: str | None = opt.since("default: the notebook's own; of runaway_rules yesterday, else 7d")
    until: str | None = opt.until("the notebook's own; of post_mortem and rehearsal now, else today")
    strategy_id: str | None = opt.word("id of any version of the strategy", "--strategy", "ID")
    family: str | None = opt.word("name of the strategy", "--family", "NAME")
    baseline: str | None = opt.word(
        "compare with v2, or with 2026-07-01..2026-07-05 (default: chosen)", "--baseline", "VERSION|WINDOW"
    )
    against: str | None = opt.word(
        "compare with another strategy of the same tenant in the same window, or with an experiment: tag:NAME; a rehearsal with "
        "what a version pays for the same runs: v2",
        "--against",
        "NAME",
    )
    draft: str | None = opt.word(
        "rehearsal: a JSON file with the program to try (default: the strategy's newest draft)",
        "--draft",
        "FILE",
        is_path=True,
    )
    version: int | None = opt.value("rehearsal: a version of the strategy to try", "--version", "N", None, int)
    quick: bool = opt.flag(f"rehearsal: try at most {QUICK:,} logged runs, with wider intervals", "--quick")
    execution_id: str | None = opt.word("a run to explain first; alone, it tells the strategy", "--execution", "ID")
    previous: str | None = opt.word(
        "summary.json of the last report (default: found in --out), or none", "--previous", "FILE", is_path=True
    )
    fail_on: list[str] = opt.words(
        "exit code 1 on new findings, on any, or never (default: the definition's); of a rehearsal on visits>800 and the like",
        "--fail-on",
        "WHAT",
    )
    engine: str | None = opt.choice("who asks the runs (default: duckdb)", "--engine", ENGINES, None)
    gathered: str | None = opt.word(
        "what `gather` has asked already, of runaway_rules with the same window and realm",
        "--gathered",
        "DIR",
        opt.PLACES,
    )
    mail: Path | None = opt.path(
        "also write a copy of the page to be mailed, without links to what lies beside it", "--mail", "FILE", None
    )
    overwrite: bool = opt.overwrite()
    digest: bool = opt.flag("print one line for a chat instead of the page's path", "--digest")
    settings: list[str] = opt.words("any other parameter of the notebook, such as node_cap=600", "--set", "NAME=VALUE")
    show_users: bool = opt.flag("show user ids; masked otherwise", "--show-users")
    min_users: int | None = opt.value(
        "to be passed on: leave out what fewer than K logged users did (default: $ANALYTICS_MIN_USERS, else 1)",
        "--min-users",
        "K",
        None,
        int,
    )
    out: str | None = opt.reports("folder of rendered reports (default: $ANALYTICS_REPORTS, else reports/out)")
    counters: str | None = opt.counters()


def run_report(options: ReportOptions) -> int:
    """Render."""
    from analytics import api
    from analytics.lake.lake import Lake
    from analytics.reports.explore.lake_folder import find_lake

    if options.listing:
        return _list(options)
    if options.report is None:
        raise UsageError("which report?", hint="`strategy-analytics report --list` says which there are")
    _refuse_few_addresses()
    skip_iri_grammar()
    is_chosen = bool(options.realms()) or options.all_realms
    definition = find_report(options.report)
    # For once only; an option of its own comes before it, and one that was not given leaves what --set says.
    settings = dict(setting(text) for text in options.settings)
    definition = replace(definition, parameters={**definition.parameters, **settings})
    # A strategy is of one tenant.
    is_of_one = definition.notebook in OF_ONE_STRATEGY
    if not (is_chosen or definition.says_realms or says_subject(settings) or is_of_one):
        opt.require_realm_choice(Lake(find_lake(options.lake)))
    names = {name for kind in PARAMETERS.values() for name in kind.defaults()}
    given = {
        name: value
        for name, value in vars(options).items()
        if name in names - {"fail_on"}
        and value is not None
        and value is not False  # a flag that was not given says nothing
    }
    fail_on = _alarm_of(definition, options.fail_on)
    if definition.notebook == "rehearsal" and options.fail_on:
        given["fail_on"] = ", ".join(options.fail_on)
    if options.quick:
        given["most"] = _quick(definition, settings)
    if options.gathered:
        _say_if_nothing_is_in(options.gathered)
    if options.mail:
        ensure_ours(options.mail, (), overwrite=options.overwrite)
    rendered = api.render(definition, out=options.out, **given)
    if options.mail:
        from analytics.reports import page

        options.mail.write_text(page.alone(rendered.html.read_text(encoding="utf-8")), encoding="utf-8")
    if verdict := rendered.facts.get("verdict"):
        say(verdict)
    (say if options.digest else put)(str(rendered.html))
    if options.digest:
        put(str(rendered.facts.get("digest") or rendered.card.verdict))
    reason = "; ".join(rendered.facts.get("refused") or ()) or cards.alarm(rendered.card, fail_on)
    unseen = cards.unseen(rendered.card, fail_on)
    if reason:
        say(f"exit code {cards.FINDINGS}: {reason} (--fail-on {', '.join(options.fail_on) or fail_on})")
    if unseen:
        say(unseen if reason else f"exit code {cards.CANNOT_TELL}: {unseen}")
    return cards.FINDINGS if reason else cards.CANNOT_TELL if unseen else 0


def _list(options: ReportOptions) -> int:
    """Which reports there are.

    Raises:
        UsageError: One was asked for, too.
    """
    from analytics.reports.page.inline import visible

    if options.report is not None:
        raise UsageError(f"--list with {options.report}: to list, or to render?", hint="leave out one of them")
    found = available()
    rows = [(one.name, one.kind, one.about, one.file) for one in found]
    put_table(["name", "kind", "about", "file"], [[visible(text) for text in row] for row in rows])
    if template := next((one.file for one in found if one.name == "own_report"), None):
        say(
            f"a report of your own begins as a copy: mkdir -p reports && cp {shlex.quote(template)} reports/earners.ipynb"
        )
    return 0


def _quick(definition: Definition, settings: Mapping[str, Value]) -> int:
    """How many runs are tried.

    Raises:
        UsageError: The report tries none, or another number was said.
    """
    if definition.notebook != "rehearsal":
        raise UsageError(f"--quick is for a rehearsal, and {definition.name} is none", hint="leave out --quick")
    if "most" in settings:
        raise UsageError("--quick and --set most: which number?", hint="leave out one of them")
    return QUICK


def _say_if_nothing_is_in(gathered: str) -> None:
    from analytics.storage import place
    from analytics.warehouse.partial_results import PartialResults

    if PartialResults(place(gathered)).is_empty:
        say(f"nothing was gathered in {gathered}: the report asks everything itself")


def _alarm_of(definition: Definition, words: list[str]) -> str:
    """When findings make the exit code 1; a rehearsal's conditions are its own.

    Raises:
        UsageError: It is none of what there is.
    """
    if definition.notebook == "rehearsal" and words:
        return "new"
    if len(words) > 1 or any(word not in FAIL_ON for word in words):
        raise UsageError(
            f"--fail-on {' '.join(words)} is none of {', '.join(FAIL_ON)}",
            hint="conditions such as points>5% are for a rehearsal",
        )
    return words[0] if words else definition.fail_on
