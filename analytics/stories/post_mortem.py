"""The post-mortem of one strategy: what happened, since when, what changed, why one run paid what it paid, how sure we are."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from functools import cached_property
from typing import TYPE_CHECKING, Any

from analytics import charts, page
from analytics.findings import cases as case_findings
from analytics.findings.activations import Activation, activations
from analytics.findings.baseline import Baseline, with_rows
from analytics.findings.counterfactual import Counterfactual, Replayed, Ways, counterfactual
from analytics.findings.family import Family, family_runs
from analytics.findings.incident import LOOK_BACK, RHYTHM, Incident, find_incident
from analytics.findings.node_changes import NodeChanges, node_changes
from analytics.findings.variants import find_variants
from analytics.page import number
from analytics.status import Coverage
from analytics.status import coverage as window_coverage
from analytics.stories import (
    advice,
    coverage,
    examples,
    facts,
    measures,
    overpaid,
    realm_name,
    sampling,
    series,
    strip,
    summary_block,
    verdict,
    why,
)
from analytics.warehouse import Warehouse
from analytics.window import Window

if TYPE_CHECKING:
    import pandas as pd

    from analytics.audit import Audit
    from analytics.page import Block
    from analytics.stories import SummaryBlock


class PostMortem:
    """The report as an object. Each section is a method that returns a page block.

    Args:
        lake: Where to look.
        family: The strategy.
        since, until: The window in question, UTC.
        show_users: Show user ids; masked otherwise.
        sampling: What is known of the sampling rate.
        baseline: What to compare with; the report chooses when ``None``.
    """

    def __init__(
        self,
        lake: Warehouse,
        family: Family,
        since: datetime,
        until: datetime,
        *,
        show_users: bool = False,
        sampling: Audit | None = None,
        baseline: Baseline | None = None,
    ) -> None:
        self.lake, self.family, self.since_time, self.until_time = lake, family, since, until
        self._show_users, self.sampling, self._baseline = show_users, sampling, baseline

    # ---- facts -----------------------------------------------------------------------------------------------------

    @cached_property
    def history(self) -> pd.DataFrame:
        """Logged runs of the family, from four weeks before the window to its end: earlier weekends tell a weekend."""
        return family_runs(self.lake, self.family, self.since_time - RHYTHM, self.until_time)

    @cached_property
    def runs(self) -> pd.DataFrame:
        """Logged runs of the family, from a week before the window to its end."""
        return self.history[self.history["created_at"] >= self.since_time - LOOK_BACK]

    @cached_property
    def window(self) -> pd.DataFrame:
        """Logged runs within the window."""
        return self.runs[self.runs["created_at"] >= self.since_time]

    @cached_property
    def coverage(self) -> Coverage:
        """How much of the window the lake holds."""
        return window_coverage(self.lake, Window(self.since_time, self.until_time))

    @cached_property
    def spans(self) -> list[Activation]:
        """When which version was live."""
        return activations(self.runs)

    @cached_property
    def incident(self) -> Incident:
        """What stands out."""
        asked = with_rows(self._baseline, self.lake, self.family, self.history) if self._baseline else None
        return find_incident(self.history, self.since_time, self.until_time, baseline=asked)

    @cached_property
    def cases(self) -> list[case_findings.Case]:
        """Cases of both sides; none when there are no two sides."""
        found = self.incident
        return case_findings.compare_cases(found.before, found.after) if found.before and found.after else []

    @cached_property
    def split(self) -> case_findings.Split | None:
        """Effect and mix, and what was overpaid: as the replay has it where that is telling; ``None`` without two sides."""
        found = self.incident
        if not (found.before and found.after):
            return None
        parts, forward = case_findings.split(found.before, found.after), self._telling
        return parts if forward is None else replace(parts, overpaid=forward.difference)

    @cached_property
    def ways(self) -> Ways:
        """How the runs of both sides went through their programs."""
        found, realm = self.incident, self.family.realm
        sides = (found.before, found.after)
        old, new = (find_variants(self.lake, realm, side) if side else None for side in sides)
        return old, new

    @cached_property
    def counterfactual(self) -> Counterfactual:
        """Each version's program on the other's inputs."""
        return counterfactual(self.lake, self.family.realm, self.incident.before, self.incident.after, self.ways)

    @property
    def _telling(self) -> Replayed | None:
        forward = self.counterfactual.forward
        return forward if forward is not None and forward.is_telling else None

    @cached_property
    def nodes(self) -> NodeChanges | None:
        """Conditions, fields and amounts that differ; ``None`` when there are no two sides."""
        found = self.incident
        return node_changes(self.lake, found.before, found.after, *self.ways) if found.before and found.after else None

    @cached_property
    def verdict(self) -> verdict.Verdict:
        """The sentence on top."""
        found = verdict.decide(self.incident, self.cases, self.split, self.family, self.window, self.coverage)
        # Only where no version explains it are the inputs the answer.
        return found.with_input(self.nodes.frame) if self.incident.kind == "data" and self.nodes else found

    @property
    def title(self) -> str:
        """For the window of a browser."""
        return f"{self.family.name}: post-mortem, {realm_name(self.family.realm)}"

    @property
    def nav(self) -> list[tuple[str, str]]:
        """Links to the sections."""
        return [
            ("#since", "Since when"), ("#changed", "What changed"), ("#why", "Why"), ("#one", "Three runs"),
            ("#much", "How much"), ("#who", "Who"), ("#fail", "Failures"), ("#do", "What to do"), ("#sure", "How sure"),
        ]  # fmt: skip

    # ---- sections --------------------------------------------------------------------------------------------------

    def head(self) -> Block:
        """Verdict and status."""
        kick = [
            "Post-mortem · realm ",
            page.strong(page.author(realm_name(self.family.realm))),
            " · strategy ",
            page.strong(page.author(self.family.name)),
            " · times in UTC · ",
            coverage.in_words(self.lake, self.since_time, self.until_time),
        ]
        return page.head(
            kick, self.verdict.sentence, self.verdict.status, self.verdict.status_role, sampling.doubt(self.sampling)
        )

    def strip(self) -> Block:
        """Four numbers."""
        return strip.strip(self.incident, self.window, self.split, self._telling)

    def key(self) -> Block:
        """How to read the numbers."""
        return page.key()

    def since(self) -> Block:
        """The timeline."""
        how = ["When which version was live comes from the log's own rows."]
        if self.runs.empty:
            return page.section("since", "Since when?", how, "No run of this strategy is in the log for this time.")
        if self.incident.kind == "nothing":
            return page.section("since", "Since when?", how, verdict.since_sentence(self.incident, self.spans))
        frames = series.timeline_frames(self.runs, self.spans, self.incident)
        drawn = charts.responsive(
            lambda width: charts.timeline(*frames, width=width),
            "since",
            "Version ribbon, points per run, runs per hour, failures and p99 duration on one time axis",
        )
        how += [
            f"{span.label}: {number.span(span.first, span.last)}, {span.logged_count:,} rows."
            for span in self.spans[-5:]
        ]
        return page.section(
            "since", "Since when?", how, verdict.since_sentence(self.incident, self.spans), [page.Markup(drawn)]
        )

    def changed(self) -> Block:
        """Program diff and the table of measures."""
        found = self.incident
        if not (found.before and found.after):
            return page.section(
                "changed",
                "What changed?",
                [],
                "There is nothing to compare with: only one group of runs is in the log.",
            )
        before, after = found.before, found.after
        said, body = examples.program_diff(self.lake, self.family, before, after)
        how = [
            f"Compared: {len(before.paid):,} ok rows of {before.label} and {len(after.paid):,} of {after.label}.",
            f"{before.label}: {number.span(before.since, before.until)}.",
            f"{after.label}: {number.span(after.since, after.until)}.",
        ]
        return page.section("changed", "What changed?", how, said, [*body, measures.table(before, after, self.cases)])

    def why(self) -> Block:
        """Effect and mix, cases, nodes."""
        return why.section(self.incident, self.split, self.cases, self.nodes)

    def how_much(self) -> Block:
        """The counterfactual."""
        return overpaid.section(self.incident, self.counterfactual, self.split)

    def runs_explained(self) -> Block:
        """Three runs with their path."""
        after = self.incident.after
        rows = after.rows if after is not None else self.window
        how = ["Chosen by the report: a typical run, the largest, a failing one.", "Values are those the run saw."]
        if rows.empty:
            return page.section("one", "Why did this run get its points?", how, "No run is in the log for this time.")
        body = examples.three_runs(self.lake, rows, show_users=self._show_users, other=self.incident.before)
        return page.section("one", "Why did this run get its points?", how, None, body)

    def who(self) -> Block:
        """Users seen most."""
        after = self.incident.after
        rows = after.rows if after is not None else self.window
        is_version = self.incident.kind == "version"
        return measures.users(
            rows, self.cases if is_version else [], self._telling if is_version else None, show_users=self._show_users
        )

    def failures(self) -> Block:
        """Codes with first, last and an example."""
        before = self.incident.before
        after = self.incident.after
        rows = after.rows if after is not None else self.window
        return measures.failures(rows, before.rows if before is not None else None)

    def actions(self) -> Block:
        """What to do."""
        return page.section(
            "do", "What to do?", [], None, [page.todo(advice.actions(self.incident, self.family, self.split))]
        )

    def sure(self) -> Block:
        """Data box and queries."""
        box = coverage.facts(
            self.lake, self.family, self.runs, self.since_time, self.until_time, sampling.told(self.sampling)
        )
        queries = page.code(coverage.queries(self.family, self.since_time, self.until_time))
        body = [page.facts(box), page.fold("Queries, ready to paste", queries)]
        return page.section("sure", "How sure are we?", [], None, body)

    def summary(self) -> dict[str, Any]:
        """The same facts for programs."""
        return sampling.marked(facts.summary(self), self.sampling)

    def summary_block(self) -> SummaryBlock:
        """The summary, for the last cell of the notebook."""
        return summary_block(self.summary())
