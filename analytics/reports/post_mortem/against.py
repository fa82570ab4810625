"""The report of two strategies side by side: the post-mortem's sections, for two groups of runs of one window."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING

from analytics.estimates.estimators import Estimate
from analytics.findings.post_mortem.family import NO_CODE
from analytics.findings.post_mortem.groups import Group
from analytics.findings.replay.trials import TrialVerdict
from analytics.reports import charts, log_notes, page
from analytics.reports.common import realm_name
from analytics.reports.page import Column, number
from analytics.reports.post_mortem import (
    against_wording,
    chart_frames,
    comparison_tables,
    example_runs,
    overpaid,
    verdict,
)
from analytics.reports.post_mortem.report import PostMortem
from analytics.reports.small_cells import SmallCells

if TYPE_CHECKING:
    from analytics.findings.post_mortem.comparison import Comparison
    from analytics.operations.sampling_audit import Audit
    from analytics.reports.page import Block
    from analytics.reports.page.inline import Inline

_MOST_GAMES = 8


def games_table(before: Group, after: Group) -> Block:
    """Shares of the games in either group, the most played first."""
    shares = []
    for side in (after, before):
        rows = side.rows[(side.rows["status"] == "ok").to_numpy(bool)]
        names = rows["external_game_id"].astype(object).fillna("(none)").astype(str)
        weights = rows["sample_weight"].astype(float).fillna(1.0)
        shares.append((weights.groupby(names).sum() / weights.sum()).to_dict())
    everything = sorted({*shares[0], *shares[1]}, key=lambda name: (-sum(of.get(name, 0.0) for of in shares), name))
    lines = [
        {"game": name, "a": number.percent(shares[0].get(name, 0.0)), "b": number.percent(shares[1].get(name, 0.0))}
        for name in everything[:_MOST_GAMES]
    ]
    columns = [
        Column("game", "Game", kind="author", role="name"),
        Column("a", after.label, align="right"),
        Column("b", before.label, align="right"),
    ]
    return page.table(lines, columns)


def failures_table(before: Group, after: Group, small: SmallCells, refused: str) -> Block:
    """Codes of both, counted.

    Args:
        before, after: B and A.
        small: What may be shown of few users.
        refused: That ok rows may be missing, in a sentence; empty otherwise.
    """
    how = ["Logged counts. Every failure is meant to be kept; their rates are under “What differs?”."]
    codes = [side.failed["error_code"].astype(object).fillna(NO_CODE).astype(str) for side in (after, before)]
    hidden = [
        small.hidden(names, side.failed["external_user_id"]) for names, side in zip(codes, (after, before), strict=True)
    ]
    counts = [names.value_counts() for names in codes]
    lines = [
        {"code": code, "a": int(counts[0].get(code, 0)), "b": int(counts[1].get(code, 0))}
        for code in sorted({*counts[0].index, *counts[1].index} - hidden[0] - hidden[1])
    ]
    lines.sort(key=lambda line: -(line["a"] + line["b"]))
    text = f"{number.counted(len(codes[0]), 'failed run')} of {after.label} and {len(codes[1]):,} of {before.label}."
    if hidden[0] or hidden[1]:
        text += f" Some codes are left out: fewer than {small.least} logged users met them."
    text += f" {refused}" if refused else ""
    columns = [
        Column("code", "Code", kind="mono", role="name"),
        Column("a", after.label, kind="count"),
        Column("b", before.label, kind="count"),
    ]
    return page.section("fail", "What failed?", how, text, [page.table(lines, columns)] if lines else [])


class Against(PostMortem):
    """Strategy A against strategy B. Sections have the names of the post-mortem's, so one notebook shows either.

    Args:
        inquiry: Of both.
        show_users: Show user ids; masked otherwise.
        sampling: What is known of the sampling rate.
        small: What may be shown of few users.
    """

    inquiry: Comparison

    def __init__(
        self,
        inquiry: Comparison,
        *,
        show_users: bool = False,
        sampling: Audit | None = None,
        small: SmallCells | None = None,
    ) -> None:
        super().__init__(inquiry, show_users=show_users, sampling=sampling, small=small)

    # ---- facts -----------------------------------------------------------------------------------------------------

    @cached_property
    def verdict(self) -> verdict.Verdict:
        """The sentence on top."""
        return against_wording.sentence(self.inquiry, self.shown.hidden_cases, is_named=not self.shown.small)

    @property
    def title(self) -> str:
        """For the window of a browser."""
        comparison = self.inquiry
        return f"{comparison.family.name} against {comparison.other.name}, {realm_name(comparison.family.realm)}"

    @property
    def nav(self) -> list[tuple[str, str]]:
        """Links to the sections."""
        other = {"#since": "When", "#changed": "What differs", "#much": "Same runs"}
        return [(href, other.get(href, label)) for href, label in super().nav]

    @property
    def sides(self) -> tuple[Group, Group]:
        """B and A."""
        return self.inquiry.incident.before, self.inquiry.incident.after

    # ---- sections --------------------------------------------------------------------------------------------------

    def head(self) -> Block:
        """Verdict and status."""
        comparison = self.inquiry
        kick = [
            "Two strategies · realm ",
            page.strong(page.author(realm_name(comparison.family.realm))),
            " · A is ",
            page.strong(page.author(comparison.family.name)),
            " · B is ",
            page.strong(page.author(comparison.other.name)),
            " · ",
            page.strong(number.window(comparison.since, comparison.until)),
            ", UTC · ",
            log_notes.complete_words(
                comparison_tables.in_words(comparison.lake, comparison.since, comparison.until), self.silences
            ),
        ]
        doubt = log_notes.doubt(log_notes.audit_doubt(self.sampling), self.silences, comparison.lost)
        return page.head(kick, self.verdict.sentence, self.verdict.status, self.verdict.status_role, doubt)

    def strip(self) -> Block:
        """Points of both, what the programs make of the same runs, and who is in both."""
        before, after = self.sides
        same = self.inquiry.same_runs
        beyond: str | Estimate = same[0].per_run if same else "0" if self._is_same else "–"
        how = f"per run, for {same[0].whose}'s runs" if same else "both pay all tried runs the same"
        a, b, both = self.inquiry.users
        return page.strip(
            [
                page.Cell(
                    "Points per run, A", verdict.mean_points(after.rows), number.counted(len(after.rows), "logged row")
                ),
                page.Cell(
                    "Points per run, B",
                    verdict.mean_points(before.rows),
                    number.counted(len(before.rows), "logged row"),
                ),
                page.Cell("A beyond B, same runs", beyond, how if same or self._is_same else "cannot be told"),
                page.Cell(
                    "Users in both",
                    self.shown.small.count(both) if a and b else "–",
                    f"of {self.shown.small.count(a)} of A and {self.shown.small.count(b)} of B in the log",
                    "logged",
                ),
            ]
        )

    def since(self) -> Block:
        """When both ran."""
        before, after = self.sides
        how = [
            f"{span.label}: {number.span(span.first, span.last)}, {number.counted(span.logged_count, 'row')}."
            for span in self.inquiry.spans[-6:]
        ]
        hours = (
            "B's runs are weighted to the kinds of hours of A's."
            if self.inquiry.is_at_same_hours
            else "They ran at other kinds of hours, so points per run of the two groups are not compared."
        )
        text = (
            f"A is seen {number.span(after.since, after.until)}, B {number.span(before.since, before.until)}. {hours} "
            "No moment of a change is looked for: without --against, the post-mortem of either does that."
        )
        body = [part for letter in "AB" for part in (page.subhead(letter), self._timeline(letter))]
        return page.section("since", "When did both run?", how, text, body)

    def _timeline(self, letter: str) -> page.Markup:
        """Of one of them: versions that ran side by side have no one ribbon."""
        asked, small = self.inquiry, self.shown.small
        rows = asked.rows_of(letter)
        spans = [span for span in asked.spans if span.label.startswith(f"{letter} ")]
        versions, points, runs, failures, durations = chart_frames.timeline_frames(
            small.steady(rows, chart_frames.step_of(rows)), spans, self.shown.incident
        )
        frames = (versions, points, runs, None if small else failures, durations)
        drawn = charts.responsive(
            lambda width: charts.timeline(*frames, width=width),
            f"since-{letter.lower()}",
            f"{letter}: versions, points per run, runs per hour, failures and p99 duration on one time axis",
        )
        return page.Markup(drawn)

    def changed(self) -> Block:
        """What differs between the programs, and the table of measures."""
        before, after = self.sides
        comparison = self.inquiry
        text, body = example_runs.program_diff(comparison.lake, before, after)
        for side in comparison.variants:
            if side is not None and side.doubt:
                text = f"Not sure: {side.doubt}. It was edited since, so what is shown is not what ran. {text}"
        how = [
            f"From B to A: {number.counted(before.paid_count, 'ok row')} of {before.label} and "
            f"{after.paid_count:,} of {after.label}.",
            "A line with − is B's, one with + is A's.",
        ]
        body = [*body, comparison_tables.table(before, after, self.shown.cases, self.shown.incident)]
        return page.section("changed", "What differs?", how, text, body)

    def why(self) -> Block:
        """Effect and mix, cases, nodes."""
        question, answer = "Why do points per run differ?", against_wording.why(self.inquiry)
        found, nodes = self.shown.incident, self.shown.nodes
        return overpaid.causes_section(
            found, self.inquiry.split, self.shown.cases, nodes, question=question, answer=answer
        )

    def how_much(self) -> Block:
        """B's program on A's runs, and the other way round."""
        question = "What do both pay for the same runs?"
        found, tried = self.shown.incident, self.shown.counterfactual
        return overpaid.section(found, tried, self.inquiry.split, self.inquiry.trials[0], question)

    def runs_explained(self) -> Block:
        """Three runs of A with their path."""
        question = "Why did this run of A get its points?"
        if self.shown.small:
            return page.section("one", question, [], "Single runs are left out: this report is to be passed on.")
        before, after = self.sides
        how = ["Chosen by the report: a typical run, the largest, a failing one.", "Values are those the run saw."]
        body = example_runs.three_runs(
            self.inquiry.lake, after.rows, show_users=self._show_users, other=before, called=before.label
        )
        return page.section("one", question, how, None, body)

    def who(self) -> Block:
        """Who is in which group, and in which games."""
        before, after = self.sides
        a, b, both = self.inquiry.users
        count = self.shown.small.count
        pieces: list[Inline] = [
            f"Users in the log: {count(a)} of A, {count(b)} of B; {count(both)} are in both."
            if a and b
            else "No user is named in the logged runs of one of them."
        ]
        for one in self.inquiry.unlike:
            pieces += [" ", *against_wording.unlike_words(one, is_named=not self.shown.small)]
        if not self.inquiry.unlike:
            pieces.append(" Games, tasks and hours do not tell the groups apart beyond chance.")
        alike = self.inquiry.incident.alike
        moved = alike.moved if alike is not None else ()
        if moved:
            pieces.append(f" What runs of both read differs: {', '.join(moved[:5])}.")
        how = ["Shares of ok runs, estimated.", "Who gets which strategy is assigned outside."]
        if self.shown.small:
            return page.section("who", "Who plays which?", [*how, self.shown.small.note], pieces)
        return page.section("who", "Who plays which?", how, pieces, [games_table(before, after)])

    def failures(self) -> Block:
        """Codes of both."""
        return failures_table(*self.sides, self.shown.small, log_notes.refused_words(self.refused))

    def actions(self) -> Block:
        """What to do."""
        return page.section("do", "What to do?", [], None, [page.todo(against_wording.todo(self.inquiry))])

    def sure(self) -> Block:
        """Data box and queries."""
        comparison = self.inquiry
        box = comparison_tables.facts(
            comparison, log_notes.sampling_words(self.sampling), self.silences, "only the runs in it are compared"
        )
        defined = comparison.family.defined | comparison.other.defined
        gone = sorted(
            {f"{span.label}" for span in comparison.spans if (span.strategy_id, span.strategy_version) not in defined}
        )
        definitions = f"missing for {', '.join(gone)}" if gone else "all versions that ran readable"
        box = [(name, definitions if name == "Definitions" else value) for name, value in box]
        if self.refused:
            box.append(("Few ok rows", log_notes.refused_words(self.refused)))
        if self.shown.small:
            box.append(("Left out", self.shown.small.note))
        queries = [
            page.fold(
                f"Queries of {letter}, ready to paste",
                page.code(comparison_tables.queries(group, comparison.since, comparison.until)),
            )
            for letter, group in (("A", comparison.family), ("B", comparison.other))
        ]
        return page.section("sure", "How sure are we?", [], None, [page.facts(box), *queries])

    def summary(self) -> dict[str, object]:
        """The same facts for programs."""
        comparison = self.inquiry
        same: list[dict[str, object]] = [
            {
                "runs_of": one.whose,
                "relative": one.relative.to_dict() if one.relative else None,
                "per_run": one.per_run.to_dict(),
                "difference": one.total.to_dict(),
                "decided_count": one.decided_count,
                "differing_count": one.differing_count,
            }
            for one in comparison.same_runs
        ]
        first = comparison.same_runs[0].relative if comparison.same_runs else None
        share = {**first.to_dict(), "of": "same runs"} if first else None
        facts = super().summary()
        # Of the groups only where nothing better is known, and nothing is known against it.
        is_open = TrialVerdict.DIFFERS in comparison.verdicts or TrialVerdict.CANNOT_TELL in comparison.verdicts
        groups = facts["percent"] if is_open and comparison.is_at_same_hours and not comparison.unlike else None
        a, b, both = comparison.users
        return {
            **facts,
            "against": comparison.other.name,
            "percent": share or groups,
            "same_runs": same,
            "verdicts": {letter: verdict.value for letter, verdict in zip("AB", comparison.verdicts, strict=True)},
            "compared": {letter: next(iter(comparison.labels[letter])) for letter in "AB"},
            "shares": comparison.labels,
            "is_at_same_hours": comparison.is_at_same_hours,
            "unlike": [
                {"what": trait.what.value, "distance": trait.distance, "p": trait.p} for trait in comparison.unlike
            ],
            "live_version": None,
            "users": None if self.shown.small else {"a": a, "b": b, "both": both},
        }  # fmt: skip

    @property
    def _is_same(self) -> bool:
        return self.inquiry.is_same
