"""The runaway report's advice: for each finding what to do next, with commands that are ready to run."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from analytics.findings.failures.stops import is_gone
from analytics.findings.failures.timeout_causes import RULES, STALL
from analytics.findings.runaway.previous_report import OVER
from analytics.findings.runaway.runaway import HISTORY, Evidence, Finding, Key, key_of
from analytics.reports import commands, page
from analytics.reports.commands import roll_back
from analytics.reports.common import masked
from analytics.reports.page import number as write
from analytics.reports.page.inline import Inline, plain
from analytics.reports.runaway.finding_sentences import between, named
from analytics.reports.runaway.wording import kind_word
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
_QUERIES = {
    "limit": "limit_runs",
    "canary": "limit_runs",
    "unknown": "limit_runs",
    "program": "definition",
    "timeout": "limit_runs",
    "stall": "limit_runs",
    "growing": "nodes_by_day",
    "versions": "nodes_by_day",
    "close": "nodes_by_day",
    "slow": "time_by_nodes",
}
"""The query behind each kind of finding."""
_ASKS = {
    "limit_runs": "Ask the log for all of them.",
    "nodes_by_day": "Ask the log for its nodes day by day.",
    "definition": "Read the program as the lake holds it.",
    "time_by_nodes": "Ask the log for its times by nodes.",
}
_SECTIONS = {
    "limit": "when",
    "canary": "when",
    "unknown": "when",
    "timeout": "when",
    "stall": "when",
    "growing": "growing",
    "versions": "growing",
    "close": "close",
    "program": "league",
    "slow": "fields",
}


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
    publishers: Mapping[tuple[str, int], tuple[str | None, datetime | None]]
    is_one_tenant: bool
    least: int = 1

    def steps(self, finding: Finding) -> list[page.Todo]:
        """What to do about a finding, in order."""
        if finding.kind == "fixed":
            return [page.Todo("Nothing to do: it did not come back, as far as the log can tell.", done=True)]
        if finding.kind == "waiting":
            return [
                page.Todo("Wait: too little was logged since to tell.", self._behind(finding), self._query(finding))
            ]
        writers = {
            "limit": self._limit,
            "canary": self._canary,
            "unknown": self._unknown,
            "timeout": self._timeouts,
            "stall": self._stall,
            "program": self._program,
            "slow": self._slow,
        }
        return writers.get(finding.what, self._nearing)(finding)

    # ---- by kind -----------------------------------------------------------------------------------------------------

    def _limit(self, finding: Finding) -> list[page.Todo]:
        facts = finding.facts
        if facts["may_be_lowered"]:
            first = page.Todo(
                f"Ask who changed the engine's caps {between(finding)}.",
                "DSL_MAX_NODES of the deployment, and what was deployed then. The log does not store the cap.",
            )
        elif not facts["fits_the_caps"]:
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

    def _canary(self, finding: Finding) -> list[page.Todo]:
        told = "" if self.least > 1 else " The query lists the user ids, which this page masks."
        first = page.Todo(
            "Tell whoever looks after security, and ask how this version was published.",
            [f"A validated program does not do this.{told} ", self._behind(finding)],
            self._query(finding),
        )
        return [first, *self._stopped(finding), *self._published(finding), self._story(finding)]

    def _unknown(self, finding: Finding) -> list[page.Todo]:
        first = page.Todo(
            "Find what the engine means by this code.",
            [
                "This version of the report does not know it: an engine that is newer, or another one. ",
                self._behind(finding),
            ],
            self._query(finding),
        )
        return [first, *self._stopped(finding), self._story(finding)]

    def _program(self, finding: Finding) -> list[page.Todo]:
        cap = write.count(self.evidence.thresholds.node_cap)
        first = page.Todo(
            "Decide before the next version whether to shorten the program, to split it, or to raise the limit.",
            f"DSL_MAX_NODES is taken to be {cap}, for programs when they are saved and for runs: a program beyond it is refused, "
            "and the version that is live goes on.",
        )
        return [first, *self._published(finding), self._listed(finding)]

    def _timeouts(self, finding: Finding) -> list[page.Todo]:
        cause = finding.facts["cause"]
        if cause.kind == STALL:
            first = page.Todo(
                "Look at the event loop first.", "Most of its timeouts are those of several strategies together."
            )
        elif cause.kind == RULES:
            first = page.Todo(
                "Find what its longest runs walk through, and shorten it.",
                "Its rules may be the cause; runs that timed out keep no trace, so look at long ones that passed.",
            )
        else:
            first = page.Todo(
                "Find whether the event loop stood still.",
                "The metrics of the engine's process tell more than the log, which cannot decide between rules and loop.",
            )
        return [first, *self._passed(finding), *self._stopped(finding), self._story(finding), self._listed(finding)]

    def _stall(self, finding: Finding) -> list[page.Todo]:
        since, until = _around(finding, _BESIDE)
        whose = self._whose(None)
        return [
            page.Todo(
                f"Ask the platform what held the event loop {between(finding)}.",
                "Deployments, imports, long queries of then, and the metrics of the engine's process. The log names no rule.",
            ),
            page.Todo(
                "See who ran then, and who timed out.",
                self._behind(finding),
                commands.query("cost_by_strategy", whose, since, until),
            ),
            *([] if self.least > 1 else [page.Todo("List the timeouts.", None, commands.query("limit_runs", whose, since, until))]),
        ]  # fmt: skip

    def _nearing(self, finding: Finding) -> list[page.Todo]:
        cap = write.count(self.evidence.thresholds.node_cap)
        first = page.Todo(
            "Decide before the next version whether to shorten it or to raise the cap.",
            f"DSL_MAX_NODES is taken to be {cap}; a run beyond it pays nothing.",
        )
        return [first, *self._passed(finding), self._story(finding), *self._published(finding), self._listed(finding)]

    def _slow(self, finding: Finding) -> list[page.Todo]:
        names = [name for part in finding.facts["blamed"] for name in part.names]
        if finding.facts["verdict"] == "field" and names:
            some = "that field" if len(names) == 1 else "those fields"
            first = page.Todo(
                f"Look at the database query behind {some}.",
                "Each analytics field is a query per run, outside the time limit. The log holds no query's own time.",
            )
        elif finding.facts["verdict"] == "rules":
            first = page.Todo("Shorten what its runs walk through.", "Its nodes take the time.")
        else:
            first = page.Todo(
                "Measure the queries of its fields.",
                "The log cannot tell which part takes the time: nothing is to be blamed yet.",
            )
        return [first, self._story(finding), *self._passed(finding), *self._published(finding), self._listed(finding)]

    # ---- steps that several have -------------------------------------------------------------------------------------

    def _story(self, finding: Finding) -> page.Todo:
        """The post-mortem of the family, from some days before it."""
        ev = self.evidence
        start = ev.until - HISTORY if finding.what in ("growing", "versions", "close") else ev.since - _BEFORE
        began = finding.since if finding.what in ("slow", "limit", "canary", "unknown", "timeout") else None
        start = min(start, midnight(began.date()) - _BEFORE) if began is not None else start
        command = commands.post_mortem(self._about(finding.key), start, ev.until)
        shared = f" --min-users {self.least}" if self.least > 1 else ""
        return page.Todo(
            "Read its post-mortem before anything is rolled back.",
            "It tries the version before on the same inputs: what a roll-back would change is not told by this page.",
            f"{command}{shared}",
        )

    def _stopped(self, finding: Finding) -> list[page.Todo]:
        """The last stopped run of it; nothing where single runs are not shown, or are too many to be held one by one."""
        own = [
            stop
            for stop in self.evidence.stops
            if stop.kind == finding.what
            and stop.key == finding.key
            and stop.execution_id
            and stop.at
            and not stop.stalled
        ]
        if self.least > 1 or not own or own[-1].execution_id is None or own[-1].at is None:
            return []
        day = midnight(own[-1].at.date())
        command = commands.explain(own[-1].execution_id, day, day + ONE_DAY)
        return [page.Todo(f"Look at the last of them, {write.when(own[-1].at)}.", _NO_TRACE, command)]

    def _passed(self, finding: Finding) -> list[page.Todo]:
        """The largest run that went well: its trace shows where the nodes come from."""
        if self.least > 1 or finding.key is None or finding.key not in self.largest:
            return []
        execution, nodes = self.largest[finding.key]
        return [
            page.Todo(
                f"Look at its largest logged run that passed, {write.count(nodes)} nodes.",
                "Rule after rule, as far as its trace was kept, with the request that simulates it: try a shorter program on it.",
                commands.explain(execution, self.evidence.since, self.evidence.until),
            )
        ]

    def _published(self, finding: Finding) -> list[page.Todo]:
        """Who created the version, as far as a page may say it."""
        row = self._row(finding.key)
        if finding.key is None or row is None or (row["strategy_id"], finding.key.version) not in self.publishers:
            return []
        who, when = self.publishers[row["strategy_id"], finding.key.version]
        told = (
            f"Last published {write.when(when)}, which a roll-back sets anew"
            if when
            else "Never published, by the definition"
        )
        told += f"; created by {masked(who)}." if who and self.least == 1 else "."
        command = commands.query(
            "publishers", self._whose(finding.key), strategy=row["strategy_id"], version=finding.key.version
        )
        return [page.Todo(f"Ask who published v{finding.key.version}.", told, command)]

    def _back(self, finding: Finding) -> list[page.Todo]:
        """Rolling back, where another version ran enough without being stopped."""
        key, row = finding.key, self._row(finding.key)
        if key is None or row is None or finding.facts["may_be_lowered"]:
            return []
        spared = [
            other
            for other in records(self.evidence.earlier)
            if (of := _key(other)).family == key.family
            and of.version < key.version
            and not other["limit_count"]
            and is_gone(finding.count or 0, row["est_runs"].high, other["est_runs"].low)
        ]
        if not spared:
            return []
        back = max(spared, key=lambda other: int(other["strategy_version"]))
        return [
            page.Todo(
                f"If its post-mortem agrees, roll back to v{int(back['strategy_version'])}.",
                f"None of its {write.count(back['logged_count'])} logged runs in the {HISTORY.days} days before was stopped by a "
                "cap. What it pays otherwise is for the post-mortem to tell.",
                roll_back(back["strategy_id"], int(back["strategy_version"])),
            )
        ]

    def _listed(self, finding: Finding) -> page.Todo:
        return page.Todo(_ASKS[_QUERIES[finding.what]], self._behind(finding), self._query(finding))

    def _query(self, finding: Finding) -> str:
        """The query behind a finding."""
        ev, name = self.evidence, _QUERIES[finding.what]
        if name == "definition" and finding.key is not None:
            strategy_id = (self._row(finding.key) or {}).get("strategy_id", finding.key.strategy)
            whose = self._whose(finding.key)
            return commands.query(name, whose, strategy=strategy_id, version=finding.key.version)
        # It lists single runs and users.
        if name == "limit_runs" and self.least > 1:
            name = "cost_by_strategy"
        since = ev.until - HISTORY if name in ("nodes_by_day", "time_by_nodes") else ev.since
        if finding.kind in OVER and finding.until:
            since = min(since, midnight(finding.until.date()))
        return commands.query(name, self._whose(finding.key), min(since, ev.since), ev.until)

    def _behind(self, finding: Finding) -> Inline:
        section = _SECTIONS[finding.what]
        return [page.link(f"#{section}", "What the page shows of it"), " · ", page.link("#queries", "the SQL")]

    # ---- names -------------------------------------------------------------------------------------------------------

    def _row(self, key: Key | None) -> dict[str, Any] | None:
        return next((row for row in records(self.evidence.table) if key is not None and _key(row) == key), None)

    def _about(self, key: Key | None) -> str:
        assert key is not None  # noqa: S101  # of a version, for the type checker
        row = self._row(key) or next(
            (row for row in records(self.evidence.table) if _key(row).family == key.family), None
        )  # fmt: skip
        named_by_definition = row is None or isinstance(row["family_name"], str)
        return commands.strategy(
            key.realm, key.strategy, row["strategy_id"] if row else None, is_named=named_by_definition
        )

    def _whose(self, key: Key | None) -> str:
        if key is not None:
            return commands.realm(key.realm)
        return commands.realm(_key(records(self.evidence.table)[0]).realm) if self.is_one_tenant else "--all-realms"


def gather(lake: Warehouse, evidence: Evidence, found: Sequence[Finding], *, least: int) -> Advice:
    """What the steps need of the lake; nothing is asked where there is no finding."""
    open_ones = [finding for finding in found if finding.kind not in OVER]
    largest: dict[Key, tuple[str, int]] = {}
    publishers: dict[tuple[str, int], tuple[str | None, datetime | None]] = {}
    if open_ones:
        wanted = {finding.key for finding in open_ones}
        for row in records(lake.run("publishers", strategy=None, version=None)):
            who = row["created_by"] if isinstance(row["created_by"], str) else None
            when = row["published_at"]
            at = when.to_pydatetime() if when is not None and when == when else None
            publishers[str(row["strategy_id"]), int(row["strategy_version"])] = who, at
        if least == 1:
            for row in records(lake.run("largest_runs", since=evidence.since, until=evidence.until)):
                if _key(row) in wanted:
                    largest[_key(row)] = str(row["execution_id"]), int(row["nodes_executed"])
    return Advice(evidence, largest, publishers, len(lake.realms) == 1, least)


def section(found: Sequence[Finding], advice: Advice, *, is_compared: bool) -> Block:
    """What to do, finding after finding."""
    how = [
        "Commands are ready to paste; they find the lake by $ANALYTICS_LAKE.",
        "Nothing here decides to roll back: the post-mortem tries the whole program first.",
    ]
    if not found:
        return page.section("do", "What to do?", how, "Nothing: there is no finding.")
    body: list[Any] = []
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
    shown: list[Inline] = [" ", page.link(f"#{_SECTIONS[finding.what]}", "Evidence")]
    return [*shown, " · ", page.link(f"#{anchor(place)}", "What to do")] if place <= MOST else shown


def summary(found: Sequence[Finding], advice: Advice) -> list[dict[str, Any]]:
    """The same for programs: the steps of each finding, in the order of ``findings``."""
    return [
        {
            "finding": place,
            "steps": [{"text": plain(step.text), "command": step.code} for step in advice.steps(finding)],
        }
        for place, finding in enumerate(found[:MOST])
    ]


_TITLES = {
    "limit": "stopped by a cap",
    "canary": "sandbox canary",
    "unknown": "a code that is not known",
    "program": "a program close to what the validator takes",
    "timeout": "timeouts",
    "growing": "growing towards the cap",
    "versions": "growing from version to version",
    "close": "close to the cap",
    "slow": "slower than its nodes explain",
}


def _title(finding: Finding) -> Inline:
    if finding.key is None:
        return [f"Timeouts of {finding.facts['strategies']} strategies together"]
    return [named(finding.key), f": {_program(finding) if finding.what == 'program' else _TITLES[finding.what]}"]


def _program(finding: Finding) -> str:
    """As its sentence has it."""
    if finding.facts["program"].room < 0:
        return "a program larger than the validator takes"
    return _TITLES["program"] if finding.facts["is_close"] else "a program growing towards what the validator takes"


def _around(finding: Finding, beside: timedelta) -> tuple[datetime, datetime]:
    assert finding.since is not None and finding.until is not None  # noqa: S101  # a stall has both
    return finding.since - beside, finding.until + beside


def _key(row: Mapping[str, Any]) -> Key:
    return key_of(row["realm_id"], row["strategy"], row["strategy_version"])
