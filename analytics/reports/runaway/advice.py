"""The runaway report's advice: for each finding what to do next, with commands that are ready to run."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, assert_never

from analytics.findings.failures.stops import is_gone
from analytics.findings.failures.timeout_causes import CauseKind
from analytics.findings.runaway.finding import (
    CloseToCap,
    DailyGrowth,
    Finding,
    FindingType,
    Fixed,
    LargeProgram,
    LimitHits,
    SandboxCanary,
    SlowVersion,
    StalledLoop,
    Timeouts,
    UnknownCode,
    VersionGrowth,
    Waiting,
)
from analytics.findings.runaway.keys import Key, key_of
from analytics.findings.runaway.ranking import RankingRow
from analytics.findings.runaway.runaway import HISTORY, Evidence
from analytics.findings.timing.time_split import Verdict
from analytics.lake import shell
from analytics.reports import commands, page
from analytics.reports.commands import roll_back
from analytics.reports.common import masked
from analytics.reports.page import number as write
from analytics.reports.page.inline import Inline, plain
from analytics.reports.runaway.finding_sentences import between, named
from analytics.reports.runaway.wording import kind_word, words_of
from analytics.warehouse.warehouse import records
from analytics.window import ONE_DAY, midnight

if TYPE_CHECKING:
    from analytics.reports.page import Block
    from analytics.warehouse.warehouse import Warehouse

MOST = 12
"""Findings that are gone into; of more, the first ones, which are the most urgent."""
_BEFORE = timedelta(days=3)
"""So long before a finding its post-mortem begins: enough to see what was usual."""
_BESIDE = timedelta(minutes=2)
_NO_TRACE = "A failed run keeps no trace: its game, task and time are what is known of it."
_ASKS = {
    "limit_runs": "Ask the log for all of them.",
    "nodes_by_day": "Ask the log for its nodes day by day.",
    "definition": "Read the program as the lake holds it.",
    "time_by_nodes": "Ask the log for its times by nodes.",
}

VersionFinding = (
    LimitHits
    | SandboxCanary
    | UnknownCode
    | Timeouts
    | DailyGrowth
    | VersionGrowth
    | CloseToCap
    | LargeProgram
    | SlowVersion
)
"""What the window shows of one version."""


@dataclass(frozen=True, slots=True)
class Publication:
    """Who created a version, None where the definition does not say, and when it was last published."""

    created_by: str | None
    published_at: datetime | None


@dataclass(frozen=True, slots=True)
class Advice:
    """What the steps are made of.

    Attributes:
        evidence: What the findings rest on.
        largest: Of each version the id and the nodes of its largest ok run in the window.
        publishers: Of each id and version who created it, and when it was last published.
        is_one_tenant: The page is about one.
        least: Users that what is shown must rest on; 1 where single runs may be shown.
    """

    evidence: Evidence
    largest: Mapping[Key, tuple[str, int]]
    publishers: Mapping[tuple[str, int], Publication]
    is_one_tenant: bool
    least: int = 1

    def steps(self, finding: Finding) -> list[page.Todo]:
        """What to do about a finding, in order."""
        match finding:
            case Fixed():
                return [page.Todo("Nothing to do: it did not come back, as far as the log can tell.", done=True)]
            case Waiting():
                wait = "Wait: too little was logged since to tell."
                return [page.Todo(wait, self._behind(finding), self._query(finding))]
            case LimitHits():
                return self._limit_hits(finding)
            case SandboxCanary():
                return self._sandbox_canary(finding)
            case UnknownCode():
                return self._unknown_code(finding)
            case Timeouts():
                return self._timeouts(finding)
            case StalledLoop():
                return self._stalled_loop(finding)
            case LargeProgram():
                return self._large_program(finding)
            case SlowVersion():
                return self._slow_version(finding)
            case DailyGrowth() | VersionGrowth() | CloseToCap():
                return self._nearing(finding)
            case _:
                assert_never(finding)

    # ---- by kind -----------------------------------------------------------------------------------------------------

    def _limit_hits(self, finding: LimitHits) -> list[page.Todo]:
        ends = finding.past.ends
        if finding.may_be_lowered:
            first = page.Todo(
                f"Ask who changed the engine's caps{f' {between(ends)}' if ends else ''}.",
                "DSL_MAX_NODES of the deployment, and what was deployed then. The log does not store the cap.",
            )
        elif not finding.fits_the_caps:
            first = page.Todo(
                "Find how this version was published.",
                "Its program is not known to fit the caps, so validation should have refused it.",
            )
        else:
            first = page.Todo(
                "Compare the caps of the deployment with the program that is published.",
                "The program as the lake holds it fits the caps: one of the two was changed.",
            )
        steps = [first, self._story(finding), *self._stopped(finding), *self._passed(finding)]
        return [*steps, *self._published(finding), *self._back(finding), self._listed(finding)]

    def _sandbox_canary(self, finding: SandboxCanary) -> list[page.Todo]:
        users = "" if self.least > 1 else " The query lists the user ids, which this page masks."
        first = page.Todo(
            "Tell whoever looks after security, and ask how this version was published.",
            [f"A validated program does not do this.{users} ", self._behind(finding)],
            self._query(finding),
        )
        return [first, *self._stopped(finding), *self._published(finding), self._story(finding)]

    def _unknown_code(self, finding: UnknownCode) -> list[page.Todo]:
        first = page.Todo(
            "Find what the engine means by this code.",
            [
                "This version of the report does not know it: an engine that is newer, or another one. ",
                self._behind(finding),
            ],
            self._query(finding),
        )
        return [first, *self._stopped(finding), self._story(finding)]

    def _large_program(self, finding: LargeProgram) -> list[page.Todo]:
        cap = write.count(self.evidence.thresholds.node_cap)
        first = page.Todo(
            "Decide before the next version whether to shorten the program, to split it, or to raise the limit.",
            f"DSL_MAX_NODES is taken to be {cap}, for programs when they are saved and for runs: a program beyond it is refused, "
            "and the version that is live goes on.",
        )
        return [first, *self._published(finding), self._listed(finding)]

    def _timeouts(self, finding: Timeouts) -> list[page.Todo]:
        match finding.cause.kind:
            case CauseKind.STALL:
                first = page.Todo(
                    "Look at the event loop first.", "Most of its timeouts are those of several strategies together."
                )
            case CauseKind.RULES:
                first = page.Todo(
                    "Find what its longest runs walk through, and shorten it.",
                    "Its rules may be the cause; runs that timed out keep no trace, so look at long ones that passed.",
                )
            case CauseKind.UNCLEAR:
                first = page.Todo(
                    "Find whether the event loop stood still.",
                    "The metrics of the engine's process tell more than the log, which cannot decide between rules and loop.",
                )
            case _:
                assert_never(finding.cause.kind)
        return [first, *self._passed(finding), *self._stopped(finding), self._story(finding), self._listed(finding)]

    def _stalled_loop(self, finding: StalledLoop) -> list[page.Todo]:
        since, until, whose = finding.since - _BESIDE, finding.until + _BESIDE, self._whose(None)
        when = f" {between(finding.ends)}" if finding.ends else ""
        return [
            page.Todo(
                f"Ask the platform what held the event loop{when}.",
                "Deployments, imports, long queries of then, and the metrics of the engine's process. The log names no rule.",
            ),
            page.Todo(
                "See who ran then, and who timed out.",
                self._behind(finding),
                commands.query("cost_by_strategy", whose, since, until),
            ),
            *([] if self.least > 1 else [page.Todo("List the timeouts.", None, commands.query("limit_runs", whose, since, until))]),
        ]  # fmt: skip

    def _nearing(self, finding: DailyGrowth | VersionGrowth | CloseToCap) -> list[page.Todo]:
        cap = write.count(self.evidence.thresholds.node_cap)
        first = page.Todo(
            "Decide before the next version whether to shorten it or to raise the cap.",
            f"DSL_MAX_NODES is taken to be {cap}; a run beyond it pays nothing.",
        )
        return [first, *self._passed(finding), self._story(finding), *self._published(finding), self._listed(finding)]

    def _slow_version(self, finding: SlowVersion) -> list[page.Todo]:
        split = finding.time.split
        names = [name for part in split.blamed for name in part.names]
        if split.verdict is Verdict.FIELD and names:
            some = "that field" if len(names) == 1 else "those fields"
            first = page.Todo(
                f"Look at the database query behind {some}.",
                "Each analytics field is a query per run, outside the time limit. The log holds no query's own time.",
            )
        elif split.verdict is Verdict.RULES:
            first = page.Todo("Shorten what its runs walk through.", "Its nodes take the time.")
        else:
            first = page.Todo(
                "Measure the queries of its fields.",
                "The log cannot tell which part takes the time: nothing is to be blamed yet.",
            )
        return [first, self._story(finding), *self._passed(finding), *self._published(finding), self._listed(finding)]

    # ---- steps that several have -------------------------------------------------------------------------------------

    def _story(self, finding: VersionFinding) -> page.Todo:
        """The post-mortem of the family, from some days before it."""
        ev = self.evidence
        is_growth = isinstance(finding, DailyGrowth | VersionGrowth | CloseToCap)
        start = ev.until - HISTORY if is_growth else ev.since - _BEFORE
        start = min(start, midnight(finding.since.date()) - _BEFORE) if finding.since is not None else start
        command = commands.post_mortem(self._about(finding.key), start, ev.until)
        shared = f" --min-users {self.least}" if self.least > 1 else ""
        return page.Todo(
            "Read its post-mortem before anything is rolled back.",
            "It tries the version before on the same inputs: what a roll-back would change is not told by this page.",
            f"{command}{shared}",
        )

    def _stopped(self, finding: LimitHits | SandboxCanary | UnknownCode | Timeouts) -> list[page.Todo]:
        """The last stopped run of it; nothing where single runs are not shown, or are too many to be held one by one."""
        stops = [
            (stop.execution_id, stop.at)
            for stop in self.evidence.stops
            if FindingType(stop.kind) is finding.type
            and stop.key == finding.key
            and stop.execution_id
            and stop.at
            and not stop.stalled
        ]
        if self.least > 1 or not stops:
            return []
        execution_id, at = stops[-1]
        day = midnight(at.date())
        command = commands.explain(execution_id, day, day + ONE_DAY)
        return [page.Todo(f"Look at the last of them, {write.when(at)}.", _NO_TRACE, command)]

    def _passed(self, finding: VersionFinding) -> list[page.Todo]:
        """The largest run that went well: its trace shows where the nodes come from."""
        if self.least > 1 or finding.key not in self.largest:
            return []
        execution, nodes = self.largest[finding.key]
        return [
            page.Todo(
                f"Look at its largest logged run that passed, {write.count(nodes)} nodes.",
                "Rule after rule, as far as its trace was kept, with the request that simulates it: try a shorter program on it.",
                commands.explain(execution, self.evidence.since, self.evidence.until),
            )
        ]

    def _published(self, finding: VersionFinding) -> list[page.Todo]:
        """Who created the version, as far as a page may say it."""
        key, row = finding.key, self._row(finding.key)
        publication = self.publishers.get((row.strategy_id, key.version)) if row else None
        if row is None or publication is None:
            return []
        when = publication.published_at
        words = (
            f"Last published {write.when(when)}, which a roll-back sets anew"
            if when
            else "Never published, by the definition"
        )
        is_named = publication.created_by and self.least == 1
        words += f"; created by {masked(publication.created_by)}." if is_named else "."
        command = commands.query("publishers", self._whose(key), strategy=row.strategy_id, version=key.version)
        return [page.Todo(f"Ask who published v{key.version}.", words, command)]

    def _back(self, finding: LimitHits) -> list[page.Todo]:
        """Rolling back, where another version ran enough without being stopped."""
        key, row = finding.key, self._row(finding.key)
        if row is None or finding.may_be_lowered:
            return []
        spared = [
            other
            for other in self.evidence.earlier
            if other.key.family == key.family
            and other.key.version < key.version
            and not other.counts.limit
            and is_gone(finding.count, row.est_runs.high, other.est_runs.low)
        ]
        if not spared:
            return []
        back = max(spared, key=lambda other: other.key.version)
        return [
            page.Todo(
                f"If its post-mortem agrees, roll back to v{back.key.version}.",
                f"None of its {write.count(back.counts.logged)} logged runs in the {HISTORY.days} days before was stopped by a "
                "cap. What it pays otherwise is for the post-mortem to tell.",
                roll_back(back.strategy_id, back.key.version),
            )
        ]

    def _listed(self, finding: Finding) -> page.Todo:
        return page.Todo(_ASKS[words_of(finding.type).query], self._behind(finding), self._query(finding))

    def _query(self, finding: Finding) -> str:
        """The query behind a finding."""
        ev, name = self.evidence, words_of(finding.type).query
        if name == "definition" and finding.key is not None:
            row = self._row(finding.key)
            strategy_id = row.strategy_id if row else finding.key.strategy
            whose = self._whose(finding.key)
            return commands.query(name, whose, strategy=strategy_id, version=finding.key.version)
        # It lists single runs and users.
        if name == "limit_runs" and self.least > 1:
            name = "cost_by_strategy"
        since = ev.until - HISTORY if name in ("nodes_by_day", "time_by_nodes") else ev.since
        if isinstance(finding, Fixed | Waiting) and finding.until:
            since = min(since, midnight(finding.until.date()))
        return commands.query(name, self._whose(finding.key), min(since, ev.since), ev.until)

    def _behind(self, finding: Finding) -> Inline:
        section = words_of(finding.type).section
        return [page.link(f"#{section}", "What the page shows of it"), " · ", page.link("#queries", "the SQL")]

    # ---- names -------------------------------------------------------------------------------------------------------

    def _row(self, key: Key) -> RankingRow | None:
        return next((row for row in self.evidence.ranking if row.key == key), None)

    def _about(self, key: Key) -> str:
        row = self._row(key) or next((row for row in self.evidence.ranking if row.key.family == key.family), None)
        is_named = row is None or row.family_name is not None
        return commands.strategy(key.realm, key.strategy, row.strategy_id if row else None, is_named=is_named)

    def _whose(self, key: Key | None) -> str:
        if key is not None:
            return shell.realm(key.realm)
        return shell.realm(self.evidence.ranking[0].key.realm) if self.is_one_tenant else "--all-realms"


def gather_advice(lake: Warehouse, evidence: Evidence, found: Sequence[Finding], *, least: int) -> Advice:
    """What the steps need of the lake; nothing is asked where there is no finding."""
    observed = [finding for finding in found if not isinstance(finding, Fixed | Waiting)]
    largest: dict[Key, tuple[str, int]] = {}
    publishers: dict[tuple[str, int], Publication] = {}
    if observed:
        wanted = {finding.key for finding in observed}
        for row in records(lake.run("publishers", strategy=None, version=None)):
            who = row["created_by"] if isinstance(row["created_by"], str) else None
            when = row["published_at"]
            at = when.to_pydatetime() if when is not None and when == when else None
            publishers[str(row["strategy_id"]), int(row["strategy_version"])] = Publication(who, at)
        if least == 1:
            for row in records(lake.run("largest_runs", since=evidence.since, until=evidence.until)):
                key = key_of(row["realm_id"], row["strategy"], row["strategy_version"])
                if key in wanted:
                    largest[key] = str(row["execution_id"]), int(row["nodes_executed"])
    return Advice(evidence, largest, publishers, len(lake.realms) == 1, least)


def section(found: Sequence[Finding], advice: Advice, *, is_compared: bool, before: Sequence[page.Todo] = ()) -> Block:
    """What to do, finding after finding.

    Args:
        found: The findings.
        advice: Of each.
        is_compared: There is a last report.
        before: What is to be done before any of it.
    """
    how = [
        "Commands are ready to paste; they find the lake by $ANALYTICS_LAKE.",
        "Nothing here decides to roll back: the post-mortem tries the whole program first.",
    ]
    if not found and not before:
        return page.section("do", "What to do?", how, "Nothing: there is no finding.")
    body: list[Inline | Block] = [page.todo(before)] if before else []
    for place, finding in enumerate(found[:MOST], 1):
        title: Inline = [page.tag(kind_word(finding, is_compared=is_compared)), " ", _title(finding)]
        body += [page.subhead(title, id=anchor(place)), page.todo(advice.steps(finding))]
    if len(found) > MOST:
        body.append(page.note(f"{len(found) - MOST} more findings: the same commands, with their names."))
    return page.section("do", "What to do?", how, None, body)


def anchor(place: int) -> str:
    """Where the steps of the finding in that place stand; places count from 1."""
    return f"do-{place}"


def links(place: int, finding: Finding) -> list[Inline]:
    """From a finding on top to what the page shows of it, and to what to do."""
    shown: list[Inline] = [" ", page.link(f"#{words_of(finding.type).section}", "Evidence")]
    return [*shown, " · ", page.link(f"#{anchor(place)}", "What to do")] if place <= MOST else shown


def summary(found: Sequence[Finding], advice: Advice) -> list[dict[str, object]]:
    """The same for programs: the steps of each finding, in the order of ``findings``."""
    return [
        {
            "finding": place,
            "steps": [{"text": plain(step.text), "command": step.code} for step in advice.steps(finding)],
        }
        for place, finding in enumerate(found[:MOST])
    ]


def _title(finding: Finding) -> Inline:
    match finding:
        case StalledLoop():
            return [f"Timeouts of {finding.strategies} strategies together"]
        case LargeProgram():
            return [named(finding.key), f": {_program_title(finding)}"]
        case (
            LimitHits() | SandboxCanary() | UnknownCode() | Timeouts() | DailyGrowth() | VersionGrowth() | CloseToCap()
            | SlowVersion() | Fixed() | Waiting()
        ):  # fmt: skip
            return [named(finding.key), f": {words_of(finding.type).title}"]
        case _:
            assert_never(finding)


def _program_title(finding: LargeProgram) -> str:
    """As its sentence has it."""
    if finding.growth.room < 0:
        return "a program larger than the validator takes"
    title = words_of(FindingType.PROGRAM).title
    return title if finding.is_close else "a program growing towards what the validator takes"
