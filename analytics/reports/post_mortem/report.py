"""The post-mortem of one strategy: what happened, since when, what changed, why a run paid what it paid, how sure we are.

And what to do next.
"""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING, assert_never

from analytics.estimates.estimate import Estimate
from analytics.findings.failures.silences import Refused, Silences, refused, silences
from analytics.findings.post_mortem.finding import (
    BaselineFinding,
    Cause,
    ComparisonFinding,
    DataFinding,
    DurationFinding,
    FailuresFinding,
    Incident,
    NoFinding,
    NoRuns,
    OneGroup,
    VersionFinding,
)
from analytics.findings.post_mortem.groups import Split
from analytics.findings.post_mortem.post_mortem import Investigation
from analytics.findings.replay.trials import Basis, VersionTrial
from analytics.reports import charts, log_notes, missing_days, page
from analytics.reports.commands import roll_back
from analytics.reports.common import realm_name, summary_block
from analytics.reports.page import number
from analytics.reports.post_mortem import (
    chart_frames,
    comparison_tables,
    example_runs,
    facts,
    failing,
    overpaid,
    verdict,
    version_story,
)
from analytics.reports.post_mortem.facts import VisibleFacts
from analytics.reports.post_mortem.phrases import reason_sentence
from analytics.reports.post_mortem.verdict import headline_figures
from analytics.reports.shown_report import InquiryWords, ShownReport
from analytics.reports.small_cells import SmallCells

if TYPE_CHECKING:
    import pandas as pd

    from analytics.operations.sampling_audit import Audit
    from analytics.reports.common import SummaryBlock
    from analytics.reports.page import Block


def actions(finding: Incident, parts: Split | None) -> list[page.Todo]:
    """What to do next, done things marked: for what stands out, then for each further finding."""
    todo = _actions(finding, parts)
    for other in finding.also:
        todo += [item for item in _actions(other, None) if item.text not in {done.text for done in todo}]
    return todo


def _actions(finding: Incident, parts: Split | None) -> list[page.Todo]:
    match finding:
        case VersionFinding():
            return _version(finding, parts)
        case FailuresFinding():
            return failing.todo(finding)
        case DataFinding():
            return _inputs(finding)
        case DurationFinding():
            return [_slower(finding)]
        case BaselineFinding():
            return [page.Todo("Look for the moment of the change.", "Without a baseline, the report looks for it.")]
        case NoFinding() | OneGroup():
            return [_undecided(trial) for trial in finding.open_trials] or [_nothing(reason_sentence(finding))]
        case ComparisonFinding():
            return [_nothing("")]
        case NoRuns():
            return [page.Todo("Look at another window, or extract this one.", "Nothing is logged here to act on.")]
        case _:
            assert_never(finding)


def _nothing(reason: str) -> page.Todo:
    return page.Todo(
        "No change to act on was found.", reason or "What moved is within chance, as far as the log tells."
    )


def _slower(finding: DurationFinding) -> page.Todo:
    fields = "Every analytics field is a database query per run, outside the time limit."
    if finding.border:
        return page.Todo(f"Compare the fields that {finding.border.label} and {finding.before.label} read.", fields)
    return page.Todo("Look at the database behind the analytics fields.", f"{fields} No version changed then.")


def _version(finding: VersionFinding, parts: Split | None) -> list[page.Todo]:
    """Roll back or not, and what becomes of the points."""
    return [
        _rollback(finding),
        *_points(version_story.overpaid(finding, parts)),
        page.Todo(
            "Simulate before publishing the next version.", "The requests under “Three runs” replay what happened."
        ),
    ]


def _rollback(finding: VersionFinding) -> page.Todo:
    """What becomes of the version."""
    back = finding.rollback or finding.before
    call = roll_back(back.strategy_id, back.strategy_version)
    live = finding.steps[-1].span.label if finding.steps else finding.after.label
    if finding.rollback:
        return page.Todo(
            f"Roll back to {finding.rollback.label}: done, {number.when(finding.rollback.first)}.",
            f"The log agrees: {number.counted(finding.rollback.logged_count, 'row')} of {finding.rollback.label} since.",
            call,
            done=True,
        )
    if finding.successor and not finding.goes_on:
        return page.Todo(
            f"Check what {finding.successor.label} pays, which came on {number.when(finding.successor.first)}.",
            f"{finding.after.label} was gone then. A report since then with --baseline {finding.before.label} tells.",
        )
    if finding.cause is Cause.UNKNOWN:
        return page.Todo(
            f"Find out whether {live} or its inputs moved the points, before rolling back to {finding.before.label}.",
            "Read what changed in the program above, and simulate logged runs with both versions.",
        )
    return page.Todo(
        f"Decide whether to roll {live} back to {finding.before.label}.",
        "Republishes the old row under its own id, and points games and tasks back.",
        call,
    )


def _points(beyond: Estimate | None) -> list[page.Todo]:
    """What becomes of points that were surely paid beyond the earlier program, or not paid."""
    if beyond is None or not (beyond.low > 0 or beyond.high < 0):
        return []
    is_short = beyond.high < 0
    beyond = beyond.negated() if is_short else beyond
    amount = number.number(beyond.value, beyond.low, beyond.high)
    return [
        page.Todo(
            f"Decide on the {amount} points that were not paid: leave it, or pay them out."
            if is_short
            else f"Decide on the {amount} points: keep, or take back from the ledger.",
            "The log is a sample and cannot list every user.",
        )
    ]


def _inputs(finding: DataFinding) -> list[page.Todo]:
    """Where to look for what no version explains; only what grew is bounded by a clamp."""
    when = (
        f"between {number.when(finding.since)} and {number.when(finding.until)}"
        if finding.until
        else f"since {number.when(finding.since)}"
    )
    if finding.cause is Cause.BUILT_IN:
        return [
            page.Todo(
                f"Find what changed in the wrapped built-in {when}.",
                "Its answer moved under an unchanged program: look at its deployment, its variables and what it alone reads.",
            )
        ]
    if finding.slope is not None:
        return [
            page.Todo(
                "Find what drifts: the field that moved, and who plays.",
                "Points per run change day after day, so no single release explains it.",
            )
        ]
    todo = [
        page.Todo(
            f"Find what clients send otherwise {when}.",
            "No version explains it: ask for client releases and imports of that time, and compare games and tasks."
            + (" The wrapped built-in may have been deployed anew, too." if finding.wraps_built_in else ""),
        )
    ]
    if finding.points.change.value > 0:
        todo.append(
            page.Todo("Bound the field in the next version.", "clamp(field, low, high) caps what one event can pay.")
        )
    return todo


def _undecided(trial: VersionTrial) -> page.Todo:
    why = version_story.reason_of(trial)
    return page.Todo(
        f"Whether {trial.after.label} pays otherwise than {trial.before.label} cannot be told from these runs.",
        f"{why[:1].upper()}{why[1:]}. Compare the programs above, and simulate logged runs with both.",
    )


class PostMortem(ShownReport):
    """The report as an object, which shows its verdict. Each section is a method that returns a page block.

    Args:
        inquiry: The facts; a notebook may ask for any of them.
        show_users: Show user ids; masked otherwise.
        sampling: What is known of the sampling rate.
        small: What may be shown of few users.
        execution_id: Of a run to explain before the report's own; empty for none.
    """

    SECTIONS = (
        "head", "strip", "key", "since", "changed", "why", "runs_explained", "how_much", "who", "failures", "actions", "sure",
    )  # fmt: skip

    def __init__(
        self,
        inquiry: Investigation,
        *,
        show_users: bool = False,
        sampling: Audit | None = None,
        small: SmallCells | None = None,
        execution_id: str = "",
    ) -> None:
        self.inquiry, self._show_users, self.sampling, self.execution_id = inquiry, show_users, sampling, execution_id
        self.shown = VisibleFacts(inquiry, small or SmallCells())
        inquiry.words = InquiryWords(self, inquiry)

    # ---- facts -----------------------------------------------------------------------------------------------------

    @cached_property
    def verdict(self) -> verdict.Verdict:
        """The sentence on top."""
        asked, incident = self.inquiry, self.shown.incident
        return verdict.decide(
            incident,
            self.shown.cases,
            asked.split,
            asked.family,
            asked.window,
            asked.coverage,
            self.shown.hidden_cases,
            self.shown.nodes.most_moved if isinstance(incident, DataFinding) and self.shown.nodes else None,
        )

    @cached_property
    def silences(self) -> Silences:
        """Stretches without a row of any strategy of the tenant."""
        return silences(self.inquiry.lake, self.inquiry.since, self.inquiry.until)

    @cached_property
    def refused(self) -> list[Refused]:
        """Versions whose ok rows the database may have refused."""
        # Versions that few met are not told apart where the report is to be passed on.
        return [] if self.shown.small else refused(self.inquiry.runs, self.inquiry.since, self.inquiry.until)

    @property
    def title(self) -> str:
        """For the window of a browser."""
        return f"{self.inquiry.family.name}: post-mortem, {realm_name(self.inquiry.family.realm)}"

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
            page.strong(page.author(realm_name(self.inquiry.family.realm))),
            " · strategy ",
            page.strong(page.author(self.inquiry.family.name)),
            " · ",
            page.strong(number.window(self.inquiry.since, self.inquiry.until)),
            ", UTC · ",
            log_notes.complete_words(
                comparison_tables.in_words(self.inquiry.lake, self.inquiry.since, self.inquiry.until), self.silences
            ),
            *self._sampled(),
        ]
        doubt = log_notes.doubt(log_notes.audit_doubt(self.sampling), self.silences, self.inquiry.lost)
        return page.head(kick, self.verdict.sentence, self.verdict.status, self.verdict.status_role, doubt)

    def _sampled(self) -> list[str]:
        """That the page rests on a sample of the logged runs, where it does."""
        asked = self.inquiry
        if asked.part == 1:
            return []
        drawn = int((asked.history["status"] == "ok").sum())
        return [f" · of a sample of {drawn:,} of the logged runs ({100 * asked.part:.2g} %) and all failures"]

    def strip(self) -> Block:
        """Four numbers."""
        investigation = self.inquiry
        return headline_figures(self.shown.incident, investigation.window, investigation.split, self.shown.small)

    def key(self) -> Block:
        """How to read the numbers."""
        return page.key()

    def since(self) -> Block:
        """The timeline."""
        how = ["When which version was live comes from the log's own rows."]
        if self.inquiry.runs.empty:
            return page.section("since", "Since when?", how, "No run of this strategy is in the log for this time.")
        if isinstance(self.shown.incident, NoRuns):
            return page.section(
                "since", "Since when?", how, verdict.since_sentence(self.shown.incident, self.inquiry.spans)
            )
        rows = self.shown.small.steady(self.inquiry.runs, chart_frames.step_of(self.inquiry.runs))
        versions, points, runs, failures, durations = chart_frames.timeline_frames(
            rows, self.inquiry.spans, self.shown.incident
        )
        # Of failures each is one run.
        frames = (versions, points, runs, None if self.shown.small else failures, durations)
        grown = self._grown()
        drawn = charts.responsive(
            lambda width: charts.timeline(*frames, overpaid=grown, width=width),
            "since",
            "Version ribbon, points per run, runs per hour, failures and p99 duration on one time axis",
        )
        how += [
            f"{span.label}: {number.span(span.first, span.last)}, {number.counted(span.logged_count, 'row')}."
            for span in self.inquiry.spans[-5:]
        ]
        return page.section(
            "since",
            "Since when?",
            how,
            verdict.since_sentence(self.shown.incident, self.inquiry.spans),
            [page.Markup(drawn)],
        )

    def _grown(self) -> pd.DataFrame | None:
        """What was overpaid, as it grew; of one version whose own runs tell it."""
        finding = self.shown.incident
        is_series = isinstance(finding, VersionFinding) and bool(finding.steps)
        trial = finding.trial if finding.trial is not None and finding.trial.basis is Basis.OWN_RUNS else None
        return trial.forward.running if trial is not None and trial.forward is not None and not is_series else None

    def changed(self) -> Block:
        """Program diff and the table of measures."""
        finding = self.shown.incident
        if not (finding.before and finding.after):
            return page.section(
                "changed",
                "What changed?",
                [],
                "There is nothing to compare with: only one group of runs is in the log."
                if len(self.inquiry.runs)
                else "No run of this strategy is in the log for this time.",
            )
        before, after = finding.before, finding.after
        text, body = example_runs.program_diff(self.inquiry.lake, before, after)
        for side in self.inquiry.variants:
            if side is not None and side.doubt:
                text = f"Not sure: {side.doubt}. It was edited since, so what is shown is not what ran. {text}"
        how = [
            f"Compared: {number.counted(before.paid_count, 'ok row')} of {before.label} and {after.paid_count:,} of {after.label}.",
            f"{before.label}: {number.span(before.since, before.until)}.",
            f"{after.label}: {number.span(after.since, after.until)}.",
            *(["A literal is a number or word that the program itself says."] if "literal" in text else []),
        ]
        return page.section(
            "changed",
            "What changed?",
            how,
            text,
            [*body, *self._later_diffs(), comparison_tables.table(before, after, self.shown.cases, finding)],
        )

    def _later_diffs(self) -> list[Block]:
        """Of a series of versions, what each later one changed in the one before it."""
        asked, found = self.inquiry, self.shown.incident
        steps = found.steps if isinstance(found, VersionFinding) else ()
        lines: list[Block] = []
        for step in steps[1:]:
            if step.before_it is None:
                continue
            earlier, later = step.before_it.before, step.before_it.after
            answer, body = example_runs.program_diff(asked.lake, earlier, later)
            lines.append(page.fold(f"{earlier.label} → {later.label}: {answer}", body or [page.note(answer)]))
        return lines

    def why(self) -> Block:
        """Effect and mix, cases, nodes."""
        return overpaid.causes_section(self.shown.incident, self.inquiry.split, self.shown.cases, self.shown.nodes)

    def how_much(self) -> Block:
        """The counterfactual."""
        return overpaid.section(
            self.shown.incident, self.shown.counterfactual, self.inquiry.split, self.inquiry.trial_of_sides
        )

    def runs_explained(self) -> Block:
        """Three runs with their path."""
        after = self.shown.incident.after
        rows = after.rows if after is not None else self.inquiry.window
        if self.shown.small:
            left = "Single runs are left out: this report is to be passed on."
            return page.section("one", "Why did this run get its points?", [], left)
        how = ["Chosen by the report: a typical run, the largest, a failing one.", "Values are those the run saw."]
        if rows.empty and not self.execution_id:
            return page.section("one", "Why did this run get its points?", how, "No run is in the log for this time.")
        body = example_runs.three_runs(
            self.inquiry.lake,
            rows,
            show_users=self._show_users,
            other=self.shown.incident.before,
            asked=self.execution_id,
        )
        return page.section("one", "Why did this run get its points?", how, None, body)

    def who(self) -> Block:
        """Users seen most."""
        after = self.shown.incident.after
        rows = after.rows if after is not None else self.inquiry.window
        is_version = isinstance(self.shown.incident, VersionFinding)
        return overpaid.affected_users(
            rows,
            self.shown.cases if is_version else [],
            self.shown.conclusive_replay if is_version else None,
            show_users=self._show_users,
            small=self.shown.small,
        )

    def failures(self) -> Block:
        """Codes with first, last and an example."""
        before = self.shown.incident.before
        after = self.shown.incident.after
        rows = after.rows if after is not None else self.inquiry.window
        earlier = before.rows if before is not None else None
        return comparison_tables.failures(rows, earlier, self.shown.small, log_notes.refused_words(self.refused))

    def actions(self) -> Block:
        """What to do."""
        return page.section(
            "do",
            "What to do?",
            [],
            None,
            [page.todo([*missing_days.todo(self.inquiry.coverage), *actions(self.shown.incident, self.inquiry.split)])],
        )

    def sure(self) -> Block:
        """Data box and queries."""
        box = comparison_tables.facts(self.inquiry, log_notes.sampling_words(self.sampling), self.silences)
        queries = page.code(comparison_tables.queries(self.inquiry.family, self.inquiry.since, self.inquiry.until))
        if self.refused:
            box.append(("Few ok rows", log_notes.refused_words(self.refused)))
        if self.shown.small:
            box = [*box, ("Left out", self.shown.small.note)]
        body = [page.facts(box), page.fold("Queries, ready to paste", queries)]
        return page.section("sure", "How sure are we?", [], None, body)

    def summary(self) -> dict[str, object]:
        """The same facts for programs."""
        refused = {"refused_possibly": [version.to_dict() for version in self.refused]}
        summary = facts.summary(self.inquiry, self.shown, title=self.title, sentence=self.verdict.text, nav=self.nav)
        return log_notes.with_audit(log_notes.with_silences({**summary, **refused}, self.silences), self.sampling)

    def summary_block(self) -> SummaryBlock:
        """The summary, for the last cell of the notebook."""
        return summary_block(self.summary())
