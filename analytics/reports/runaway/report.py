"""Runaway rules as a report: who hit a limit, who is heading there, when, how close, and which rules and fields cost."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from functools import cached_property
from typing import TYPE_CHECKING

from analytics.findings.failures.silences import Silences, silences
from analytics.findings.failures.stops import StopKind
from analytics.findings.runaway import runaway
from analytics.findings.runaway.finding import LimitHits
from analytics.findings.runaway.ranking import RankingRow, ranking_frame, versions_without_runs
from analytics.findings.runaway.runaway import Burst, Evidence, Finding, Key
from analytics.findings.runaway.thresholds import STANDARD, Thresholds
from analytics.reports import log_notes, missing_days, page
from analytics.reports.common import SummaryBlock, state_of, summary_block
from analytics.reports.page import number as write
from analytics.reports.page.inline import Inline, Markup, plain
from analytics.reports.runaway import advice, charts, data_box, ranking, rules, time_split
from analytics.reports.runaway.finding_sentences import sentence
from analytics.reports.runaway.wording import (
    ROLE_WORDS,
    digest,
    headline,
    kind_word,
    number,
    programs_words,
    window_words,
)
from analytics.reports.shown_report import ShownReport
from analytics.reports.small_cells import SmallCells
from analytics.window import Window

if TYPE_CHECKING:
    import pandas as pd

    from analytics.findings.runaway.previous_report import Previous
    from analytics.operations.sampling_audit import Audit
    from analytics.reports.page import Block
    from analytics.warehouse.coverage import Coverage
    from analytics.warehouse.warehouse import Warehouse


def status_words(found: Sequence[Finding], ranking: Sequence[RankingRow]) -> str | None:
    """How things stand at the end of the window: whether those that were stopped ran on unharmed."""
    hits = [(finding, finding.until) for finding in found if isinstance(finding, LimitHits) and finding.until]
    seen = {row.key: row.last_logged_at for row in ranking}
    if not hits or any((last := seen.get(finding.key)) is None or last <= until for finding, until in hits):
        return None
    words = f"No run was stopped by a cap after {write.when(max(until for _, until in hits))}, though runs were logged since"
    ends = [finding.past.ends.ended_before if finding.past.ends else None for finding, _ in hits]
    known = [end for end in ends if end is not None]
    if len(known) < len(ends):
        return f"{words}: too few to say that it is over."
    return f"{words}: at the rate before, it was over by {write.when(max(known))}."


class RunawayRules(ShownReport):
    """The report as an object, which shows its verdict. Each section is a method that returns a page block.

    Data is asked for once, when needed.

    Args:
        lake: Where to look; all it is scoped to.
        since, until: The window, UTC.
        thresholds: The engine's limits, and from where on something is a finding.
        previous: The last report; without one, the lake's own days before the window say what is new.
        sampling: What is known of the sampling rate.
        small: What may be shown of few users; versions of fewer are not in the lake that is given.
    """

    SECTIONS = ("head", "findings", "league", "when", "close", "growing", "nodes", "fields", "actions", "sure")

    nav: tuple[tuple[str, str], ...] = (
        ("#league", "Near a limit"),
        ("#when", "When"),
        ("#close", "How close"),
        ("#growing", "Growing"),
        ("#nodes", "Nodes and rules"),
        ("#fields", "Rules or fields"),
        ("#do", "What to do"),
        ("#sure", "How sure"),
    )

    def __init__(
        self,
        lake: Warehouse,
        *,
        since: datetime,
        until: datetime,
        thresholds: Thresholds = STANDARD,
        previous: Previous | None = None,
        sampling: Audit | None = None,
        small: SmallCells | None = None,
    ) -> None:
        self.lake, self.since, self.until = lake, since, until
        self.thresholds, self.previous, self.sampling = thresholds, previous, sampling
        self.small = small or SmallCells()

    # ---- data, asked for once --------------------------------------------------------------------------------------

    @cached_property
    def evidence(self) -> Evidence:
        """What the lake says about the window and the days before it."""
        found = runaway.gather_evidence(self.lake, self.since, self.until, self.thresholds)
        return runaway.met_by_many(found, self.small.least) if self.small else found

    @cached_property
    def found(self) -> list[Finding]:
        """The findings, most urgent first."""
        return runaway.findings_list(self.lake, self.evidence, self.previous)

    @cached_property
    def bursts(self) -> list[Burst]:
        """Stopped runs in bursts."""
        return [
            burst for burst in runaway.bursts(self.evidence.stops) if burst.users >= self.small.least or not self.small
        ]

    @cached_property
    def silences(self) -> Silences:
        """Stretches without a row of any strategy in sight."""
        return silences(self.lake, self.since, self.until)

    @cached_property
    def held(self) -> Coverage:
        """How much of the window the lake holds."""
        return data_box.held(self.lake, self.since, self.until)

    @cached_property
    def _without_runs(self) -> list[Key]:
        # Those that are left out are not without runs.
        return [] if self.small else versions_without_runs(self.lake, self._ranking)

    @cached_property
    def _rules(self) -> rules.RuleEvidence:
        return rules.profile_rules(self.lake, self.evidence)

    @cached_property
    def _advice(self) -> advice.Advice:
        return advice.gather_advice(self.lake, self.evidence, self.found, least=self.small.least)

    @property
    def _ranking(self) -> tuple[RankingRow, ...]:
        return self.evidence.ranking

    @cached_property
    def table(self) -> pd.DataFrame:
        """The ranking as a frame."""
        return ranking_frame(self._ranking)

    # ---- the page --------------------------------------------------------------------------------------------------

    @property
    def title(self) -> str:
        """For the window of a browser and the list of reports."""
        quiet = "nothing new" if self._ranking else "nothing logged"
        quiet = f"{quiet} in what is held" if data_box.not_seen(self.held) else quiet
        headline_words = ", ".join(text for text, _ in self._headline) or quiet
        return f"{headline_words}: runaway rules, {window_words(self.since, self.until, long=False)}"

    def head(self) -> Block:
        """The verdict."""
        kick = Markup("Runaway rules · {} · <b>{}</b>, UTC · {}").format(
            data_box.realm_words(self.lake), window_words(self.since, self.until),
            log_notes.complete_words(data_box.complete_words(self.lake, self.since, self.until), self.silences),
        )  # fmt: skip
        status = status_words(self.found, self._ranking) if self._headline else None
        looked_at = Window(min(self.since, self.until - runaway.HISTORY), self.until)
        doubt = log_notes.doubt(log_notes.audit_doubt(self.sampling), self.silences, self.lake.lost(looked_at.days))
        return page.head(kick, self.verdict, status, doubt=doubt)

    @property
    def verdict(self) -> list[Inline]:
        """The sentence on top."""
        unseen = data_box.not_seen(self.held)
        if not self._ranking:
            held = f" in what the lake holds of it ({unseen})" if unseen else ""
            if self.held.is_ahead:
                return [f"Cannot tell: this window is still to come, {missing_days.names(self.held.to_come)}."]
            if self.held.obtainable:
                return [f"Cannot tell: no run is logged{held}."]
            when = f" so far ({unseen})" if unseen else ""
            return [f"No runs logged in this window{when}, so nothing can be said about it."]
        parts: list[Inline] = []
        for text, role in self._headline:
            parts += [", "] if parts else []
            parts.append(page.strong(text) if role is None else ROLE_WORDS[role](text))
        if not parts:
            held = f" in what the lake holds of this window ({unseen})" if unseen else ""
            return [f"Nothing new{held}: no strategy was stopped by a cap, and none is seen heading for it."]
        rest = f"What else there was cannot be told: {unseen}." if unseen else "Nothing else was seen."
        return [*parts, f". {rest}"]

    @property
    def _headline(self) -> list[tuple[str, str | None]]:
        return headline(self.found, is_compared=self.previous is not None)

    def findings(self) -> Block:
        """What a person should know."""
        is_compared = self.previous is not None
        items = [
            page.Finding(
                kind_word(one, is_compared=is_compared), [sentence(one), *advice.links(place, one)], number(one)
            )
            for place, one in enumerate(self.found, 1)
        ]
        blocks = [page.findings(items), page.key()]
        warning = data_box.warning(self.lake, self.since, self.until)
        if warning:
            blocks.insert(0, page.banner(warning))
        return page.Block(Markup("").join(block.html for block in blocks), "\n".join(block.text for block in blocks))

    def league(self) -> Block:
        """Who is near a limit."""
        how = [
            "Runs that a cap stopped lead; then who is growing; then who costs most. Dark bar up to the median, light to "
            "p99, line at the limit. P(limit): the share of its runs that a limit stopped, or the most it may be. "
            "The p99 of fewer than 200 logged runs is close to the largest of them."
        ]
        depth = ranking.depth_words(self._ranking, self.thresholds.depth_cap)
        how += [words for words in (depth, programs_words(self._ranking, self.thresholds)) if words]
        if not self._ranking:
            return page.section("league", "Who is near a limit?", how, "No run is logged in this window.", full=True)
        first, folded = ranking.ranking_table(self._ranking, self.found, self.thresholds)
        body: list[Inline | Block] = [first]
        if folded is not None:
            rest = [row for row in self._ranking if not row.group.is_urgent][ranking.MOST :]
            share = sum(row.est_time_share for row in rest)
            body.append(page.fold(f"{len(rest)} more, together {write.percent(round(share, 3))} of the time", folded))
        stalled, ok = sum(row.costs.stalled_count for row in self._ranking), sum(row.counts.ok for row in self._ranking)
        numbers = [ranking.cost_table(self._ranking, self.thresholds), page.note(ranking.stall_words(stalled, ok))]
        body.append(page.fold("All of them in numbers", numbers))
        # Within hours even a busy strategy may have no sampled run: that is no news.
        if self._without_runs and self.until - self.since >= timedelta(days=1):
            bound = data_box.bound_of_none(self.lake, self.since, self.until)
            body.append(page.note(ranking.without_runs_words(self._without_runs, bound)))
        return page.section(
            "league", "Who is near a limit?", how, ranking.ranking_words(self._ranking), body, full=True
        )

    def when(self) -> Block:
        """When runs were stopped."""
        stops = self.evidence.stops
        how = charts.when_how(is_thinned=charts.are_thinned(stops), is_shared=bool(self.small))
        if not stops:
            say = (
                "No run was stopped by a limit, and no sandbox canary went off."
                if self._ranking
                else "No run is logged."
            )
            return page.section("when", "When did it happen?", how, say)
        shown = [burst for burst in self.bursts if burst.kind != StopKind.TIMEOUT or burst.count >= 3]
        one_day = len(Window(self.since, self.until).days) == 1
        body: list[Inline | Block] = [] if self.small else [charts.stops_picture(stops, self.since, self.until)]
        if shown:
            body.append(ranking.burst_table(shown))
        return page.section("when", "When did it happen?", how, charts.when_words(stops, self.bursts, one_day), body)

    def close(self) -> Block:
        """How close runs come to the limits."""
        how = [
            "A stopped run logs 0 nodes. It is drawn beyond the cap, never at zero.",
            "Both charts share the axis of nodes.",
        ]
        question = "How close do runs come?"
        rows, limits = self.evidence.costs.together, self.thresholds
        above = charts.exceedance_picture(rows, charts.roles(self._ranking), limits.node_cap)
        caption = "Stopped runs needed at least what the cap in force allowed, which may have been lower than drawn."
        said = caption if (rows["status"] == "limit").any() else None
        cloud = charts.density_picture(rows, limits.node_cap, limits.time_limit_ms, said)
        if above is None and cloud is None:
            say = f"Fewer than {charts.ROWS} ok runs of any strategy are logged, too few for a curve."
            return page.section("close", question, how, say)
        return page.section("close", question, how, charts.close_words(self._ranking, limits.node_cap), [above, cloud])

    def growing(self) -> Block:
        """Who is growing, over the two weeks before the end of the window."""
        how = ["p99 of nodes per day over two weeks, same axes, cap in red-orange. Band: 95 % interval.",
               "Growth: a line through days with at least ten logged runs, dashed where it would go on. A jump between two days "
               "is no growth."]  # fmt: skip
        picture = charts.growth_picture(self.evidence.counts, self._ranking, self.thresholds.node_cap)
        if picture is None:
            return page.section("growing", "Who is growing?", how, "No day has logged ok runs of these strategies.")
        say = charts.growing_words(self._ranking, self.found, self.thresholds.horizon_days)
        return page.section("growing", "Who is growing?", how, say, picture)

    def nodes(self) -> Block:
        """Which rules leave the entries, and which were not seen to match, or cannot."""
        return rules.section(self._rules)

    def fields(self) -> Block:
        """Is it the rules or the fields they read?"""
        return time_split.section(self.evidence.times, self.thresholds.time_limit_ms)

    def actions(self) -> Block:
        """What to do."""
        todo = missing_days.todo(self.held)
        return advice.section(self.found, self._advice, is_compared=self.previous is not None, before=todo)

    def sure(self) -> Block:
        """What the numbers rest on."""
        pairs = data_box.facts(
            self.lake, self.evidence, self.previous, log_notes.sampling_words(self.sampling), self.silences
        )
        shown = data_box.queries(self.lake, self.since, self.until)
        pairs = [*pairs, ("Left out", self.small.note)] if self.small else pairs
        queries = page.fold("Queries behind this page, ready to run", page.code(shown), id="queries")
        line = page.fold("Digest for a chat", page.code(self.digest))
        return page.section("sure", "How sure are we?", (), None, [page.facts(pairs), line, queries])

    @cached_property
    def digest(self) -> str:
        """The report in one line of plain text."""
        return digest(
            self.found,
            self.since,
            self.until,
            versions=len(self._ranking),
            missing_days=len(self.held.never),
            lost_days=len(self.held.lost),
            is_compared=self.previous is not None,
        )

    # ---- for programs ----------------------------------------------------------------------------------------------

    def summary(self) -> dict[str, object]:
        """The same facts as plain JSON values."""
        days = missing_days.facts(self.held)
        facts = {
            **data_box.summary(self.evidence, self.found, self.previous),
            "state": state_of(data_box.counts_of(self.found), days["missing_days"]),
            "title": self.title,
            "digest": self.digest,
            **days,
            **rules.summary(self._rules),
            "actions": advice.summary(self.found, self._advice),
            "time_split": time_split.facts(self.evidence.times),
            "nav": self.nav,
            "verdict": plain(self.verdict),
        }
        return log_notes.with_audit(log_notes.with_silences(facts, self.silences), self.sampling)

    def summary_block(self) -> SummaryBlock:
        """The facts for the last cell of the notebook."""
        return summary_block(self.summary())
