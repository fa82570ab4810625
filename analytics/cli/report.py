"""``report``."""

from __future__ import annotations

from dataclasses import dataclass, replace

from analytics.cli import options as opt
from analytics.cli.output import put, say
from analytics.reports.explore.open_lake import ENGINES
from analytics.reports.render.notebooks import REPORTS, skip_iri_grammar
from analytics.reports.render.report_parameters import PARAMETERS
from analytics.reports.schedule.cards import alarm
from analytics.reports.schedule.definition import FAIL_ON, find, says_subject, setting


@dataclass(frozen=True, kw_only=True)
class ReportOptions(opt.RealmOptions):
    """Options of ``report``."""

    report: str = opt.argument(
        f"{', '.join(REPORTS)}, or a definition: a .toml file, or the name of one in reports/", "REPORT"
    )
    since: str | None = opt.since("default: the notebook's own")
    until: str | None = opt.until("the notebook's own")
    strategy_id: str | None = opt.word("id of any version of the strategy", "--strategy", "ID")
    family: str | None = opt.word("name of the strategy", "--family", "NAME")
    baseline: str | None = opt.word(
        "compare with v2, or with 2026-07-01..2026-07-05 (default: chosen)", "--baseline", "VERSION|WINDOW"
    )
    against: str | None = opt.word(
        "compare with another strategy of the same tenant in the same window, or with an experiment: tag:NAME",
        "--against",
        "NAME",
    )
    execution_id: str | None = opt.word("a run to explain first; alone, it tells the strategy", "--execution", "ID")
    previous: str | None = opt.word(
        "summary.json of the last report (default: found in --out), or none", "--previous", "FILE", is_path=True
    )
    fail_on: str | None = opt.choice(
        "exit code 1 on new findings, on any, or never (default: the definition's)", "--fail-on", FAIL_ON, None
    )
    engine: str | None = opt.choice("who asks the runs (default: duckdb)", "--engine", ENGINES, None)
    gathered: str | None = opt.word(
        "what `gather` has asked already, of runaway_rules with the same window and realm",
        "--gathered",
        "DIR",
        opt.PLACES,
    )
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
    from analytics.reports.explore.open_lake import find_lake
    from analytics.storage import place
    from analytics.warehouse.partial_results import PartialResults

    skip_iri_grammar()
    is_chosen = bool(options.realms()) or options.all_realms
    definition = find(options.report, REPORTS)
    # For once only; an option of its own comes before it, and one that was not given leaves what --set says.
    settings = dict(setting(text) for text in options.settings)
    definition = replace(definition, parameters={**definition.parameters, **settings})
    # A post-mortem is of one strategy, which is of one tenant.
    if not (is_chosen or definition.says_realms or says_subject(settings) or definition.notebook == "post_mortem"):
        opt.require_realm_choice(Lake(find_lake(options.lake)))
    names = {name for kind in PARAMETERS.values() for name in kind.defaults()}
    given = {
        name: value
        for name, value in vars(options).items()
        if name in names and value is not None and value is not False  # a flag that was not given says nothing
    }
    fail_on = options.fail_on or definition.fail_on
    if options.gathered and PartialResults(place(options.gathered)).is_empty:
        say(f"nothing was gathered in {options.gathered}: the report asks everything itself")
    rendered = api.render(definition, out=options.out, **given)
    if verdict := rendered.facts.get("verdict"):
        say(verdict)
    (say if options.digest else put)(str(rendered.html))
    if options.digest:
        put(str(rendered.facts.get("digest") or rendered.card.verdict))
    reason = alarm(rendered.card, fail_on)
    if reason:
        say(f"exit code 1: {reason} (--fail-on {fail_on})")
    return 1 if reason else 0
