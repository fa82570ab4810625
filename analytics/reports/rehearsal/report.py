"""The rehearsal as a report: what a draft would have paid, before it is published."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from analytics.findings.rehearsal.look_back import look_back
from analytics.findings.replay.run_evidence import definition, pieces
from analytics.program import MAX_NODES, published_size, words
from analytics.program.compare import compare
from analytics.reports import page
from analytics.reports.common import SummaryBlock, masked, realm_name, summary_block
from analytics.reports.page import Column, number
from analytics.reports.receipt.receipt import of_evidence
from analytics.reports.rehearsal import wording
from analytics.reports.rehearsal.look_back import looked_back
from analytics.reports.small_cells import SmallCells

if TYPE_CHECKING:
    from collections.abc import Sequence

    from analytics.estimates.estimate import Estimate
    from analytics.findings.rehearsal.gate import Condition
    from analytics.findings.rehearsal.look_back import LookBack
    from analytics.findings.rehearsal.rehearsal import Rehearsal, Totals
    from analytics.findings.replay.run_evidence import Definition
    from analytics.reports.page import Block
    from analytics.reports.page.blocks import Body
    from analytics.reports.page.inline import Inline

_MOST_EDITS = 6
_MOST_CASES = 30
_NO_CASE = "no case"


class RehearsalReport:
    """The report as an object. Each section is a method that returns a page block.

    Args:
        found: The facts; a notebook may ask for any of them.
        called: What the draft is called: the file's name, or ``version 4``.
        show_users: Show user ids; masked otherwise.
        small: What may be shown of few users.
        conditions: What refuses the draft.
    """

    def __init__(
        self,
        found: Rehearsal,
        called: str,
        *,
        show_users: bool = False,
        small: SmallCells | None = None,
        conditions: Sequence[Condition] = (),
    ) -> None:
        self.inquiry, self.called, self._conditions = found, called, conditions
        self._show_users, self._small = show_users, small or SmallCells()

    @cached_property
    def verdict(self) -> wording.Verdict:
        """The sentence on top."""
        return wording.decide(self.inquiry)

    @cached_property
    def refused(self) -> list[str]:
        """Why the draft is refused, by each condition that does so."""
        return [why for condition in self._conditions if (why := condition.refuses(self.inquiry))]

    @property
    def title(self) -> str:
        """For the window of a browser."""
        return f"{self.inquiry.family.name}: rehearsal of {self.called}, {realm_name(self.inquiry.family.realm)}"

    @property
    def nav(self) -> list[tuple[str, str]]:
        """Links to the sections."""
        return [
            ("#much", "How much"), ("#changed", "Which runs"), ("#program", "Program"), ("#one", "Three runs"),
            ("#who", "Who"), ("#fail", "Failures"), ("#unknown", "Unknown"), ("#do", "What to do"), ("#sure", "How sure"),
        ]  # fmt: skip

    @cached_property
    def _running(self) -> tuple[str, Definition] | None:
        """Label and program of the version that ran last."""
        versions = [version for version in self.inquiry.tried.versions if version.strategy_id]
        if not versions:
            return None
        last = versions[-1]
        program = definition(self.inquiry.lake, last.strategy_id, last.strategy_version)
        return (last.label, program) if program is not None else None

    # ---- sections --------------------------------------------------------------------------------------------------

    def head(self) -> Block:
        """Verdict and status."""
        found = self.inquiry
        kick = [
            "Rehearsal · realm ",
            page.strong(page.author(realm_name(found.family.realm))),
            " · strategy ",
            page.strong(page.author(found.family.name)),
            " · tried ",
            page.strong(page.author(self.called)),
            f" · runs of {number.span(found.since, found.until)}, UTC",
        ]
        status, role = self.verdict.status, self.verdict.role
        if self.refused:
            status, role = [page.worse("Refused"), f" ({'; '.join(self.refused)}). ", *status], "worse"
        return page.head(kick, self.verdict.sentence, status, role)

    def strip(self) -> Block:
        """Four numbers."""
        found = self.inquiry
        days = max(1e-9, (found.until - found.since).total_seconds() / 86_400)
        counted = number.counted(len(found.tried.rows), "tried logged run")
        if not len(found.tried.rows):
            return page.strip([page.Cell("Runs in the window", found.runs, "estimated")])
        return page.strip(
            [
                page.Cell("Points a day beyond", found.difference.times(1 / days), "estimated, decided runs"),
                _share("Runs paid otherwise", found.changed, "of decided runs" if found.undecided.value else counted),
                _share("Cannot be decided", found.undecided, counted),
                page.Cell(
                    "Most nodes visited",
                    number.NOTHING if found.most_visits is None else f"{found.most_visits:,}",
                    f"of {MAX_NODES:,}",
                    "logged",
                ),
            ]
        )

    def key(self) -> Block:
        """How to read the numbers."""
        return page.key()

    def much(self) -> Block:
        """By day and by case."""
        found = self.inquiry
        how = [
            "Both programs on the same logged runs; the interval is of the sampling alone.",
            wording.BEHAVIOUR,
        ]
        if not len(found.tried.rows) or found.undecided.value >= 1:
            return page.section(
                "much", "How much more or less?", how, "No run is decided, so there is nothing to add up."
            )
        text: list[Inline] = [
            "Together ",
            page.est(found.difference, sign=True),
            " points in the window; ",
            page.est(found.per_run, sign=True),
            " per run.",
        ]
        body: list[Body] = [page.subhead("By day"), self._totals("Day", found.days)]
        if not self._small:
            body += [page.subhead("By the case that was paid"), self._totals("Case", found.cases[:_MOST_CASES])]
        return page.section("much", "How much more or less?", how, text, body)

    def _totals(self, title: str, parts: Sequence[Totals]) -> Block:
        rows = [
            {
                "name": number.day(part.name) if title == "Day" else part.name or _NO_CASE,
                "rows": part.logged_count,
                "paid": part.paid,
                "would": part.would,
                "more": part.difference,
            }
            for part in parts
        ]
        columns = [
            Column("name", title, kind="text" if title == "Day" else "author", role="name"),
            Column("rows", "Tried rows", kind="count"),
            Column("paid", "Was paid", kind="estimate"),
            Column("would", "Draft pays", kind="estimate"),
            Column("more", "Difference", kind="estimate", sign=True),
        ]
        return page.table(rows, columns)

    def changed(self) -> Block:
        """Which runs are paid otherwise: from which case to which."""
        found = self.inquiry
        how = ["By the case a run was paid in, and the one in which the draft pays it."]
        if not found.moved:
            return page.section("changed", "Which runs change?", how, wording.none_changed(found))
        of = "the runs that the log decides" if found.undecided.value else "the runs"
        text: list[Inline] = [
            f"{wording.percent(found.changed)} ", wording.share_bracket(found.changed), f" of {of} are paid otherwise.",
        ]  # fmt: skip
        if self._small:  # a move may be one user's
            return page.section("changed", "Which runs change?", [*how, self._small.note], text)
        rows = [
            {
                "was": move.was or _NO_CASE,
                "now": "fails" if move.move.value == "fails" else move.now or _NO_CASE,
                "rows": move.logged_count,
                "from": number.exact(move.amount_was) if np.isfinite(move.amount_was) else "varies",
                "to": number.exact(move.amount_now) if np.isfinite(move.amount_now) else "varies",
                "more": move.difference,
            }
            for move in found.moved
        ]
        columns = [
            Column("was", "Was paid in", kind="author", role="name"),
            Column("now", "Draft pays in", kind="author"),
            Column("rows", "Logged rows", kind="count"),
            Column("from", "Each", align="right"),
            Column("to", "Then each", align="right"),
            Column("more", "Difference", kind="estimate", sign=True),
        ]
        return page.section("changed", "Which runs change?", how, text, [page.table(rows, columns)])

    def program(self) -> Block:
        """What changed in the program, and how large it is."""
        size = published_size(self.inquiry.program.ast)
        how = [
            f"The validator counts {number.counted(size.nodes, 'node')} of {MAX_NODES:,} and depth {size.depth}.",
            "It refuses a program above either limit.",
        ]
        if self._running is None:
            return page.section("program", "What changes in the program?", how, "No program that ran is in the lake.")
        label, running = self._running
        old, new = running.outline, self.inquiry.program.outline
        wraps = running.built_in, self.inquiry.program.built_in
        edits = compare(old, new, wraps)
        listed: list[Body] = [page.note(page.inline(words.edit(edit, old, new))) for edit in edits.edits[:_MOST_EDITS]]
        if len(edits.edits) > _MOST_EDITS:
            listed.append(page.note(f"… and {len(edits.edits) - _MOST_EDITS:,} more."))
        text: list[Inline] = [f"Beside {label}, which ran last: ", words.edits(edits, new)]
        return page.section("program", "What changes in the program?", how, text, listed)

    def runs_explained(self) -> Block:
        """A typical change, the largest one and a failing one, each with its receipt and what the draft makes of it."""
        question, how = "Why would these runs be paid otherwise?", ["Values are those that the run saw."]
        if self._small:
            return page.section("one", question, how, "Single runs are left out: this report is to be passed on.")
        rows = self.inquiry.tried.rows
        moved = rows[rows["is_changed"].to_numpy(bool)]
        if moved.empty:
            return page.section("one", question, how, wording.none_changed(self.inquiry))
        gain = moved["low"] - moved["points"]
        # To nine digits of whatever size: a fixed number of decimals overflows for the largest amounts.
        alike = gain.map(lambda one: float(f"{one:.9g}"))
        chosen = {
            "Typical change": moved[alike == alike.mode().iloc[0]].iloc[-1],
            "Largest change": moved.loc[gain.abs().idxmax()],
        }
        if (failing := moved[moved["code"].notna()]).size:
            chosen["Would fail"] = failing.iloc[-1]
        body: list[Body] = []
        shown: set[str] = set()
        for title, row in chosen.items():
            if row["execution_id"] in shown:
                continue
            shown.add(row["execution_id"])
            [evidence] = pieces(self.inquiry.lake, [row["execution_id"]])
            explained = of_evidence(
                evidence, other=self.inquiry.program, label=wording.CALLED, show_users=self._show_users
            )
            was, then = number.exact(row["points"]), "fails" if row["code"] else number.exact(row["low"])
            user = row["external_user_id"] if self._show_users else masked(row["external_user_id"])
            line: list[Inline] = [
                page.strong(f"{title}: {was} → {then}"), " · ", page.mono(row["execution_id"]), f" · {row['label']} · user ",
                page.author(str(user)),
            ]  # fmt: skip
            body += [page.note(line), *explained.parts()] if not body else [page.fold(line, explained.parts())]
        return page.section("one", question, how, None, body)

    def who(self) -> Block:
        """Who wins and who loses most, among the logged runs."""
        question, how = (
            "Who wins, who loses?",
            ["Among the tried logged runs: the log is a sample and cannot list every user."],
        )
        if self._small:
            return page.section("who", question, [*how, self._small.note], "Single users are left out.")
        users = self.inquiry.users
        if not users:
            return page.section("who", question, how, wording.none_changed(self.inquiry))
        rows = [
            {
                "user": user.name if self._show_users else masked(user.name),
                "rows": user.logged_count,
                "more": user.difference,
            }
            for user in users
        ]
        columns = [
            Column("user", "User", kind="author", role="name"),
            Column("rows", "Tried rows", kind="count"),
            Column("more", "Difference", kind="estimate", sign=True),
        ]
        return page.section("who", question, how, None, [page.table(rows, columns)])

    def failures(self) -> Block:
        """What would fail."""
        how = ["On inputs that were recorded; a timeout is a matter of clocks and cannot be rehearsed."]
        found = self.inquiry.failures
        if not found:
            return page.section("fail", "What would fail?", how, wording.none_fails(self.inquiry))
        rows = [
            {"code": one.code, "rows": one.logged_count, "share": one.share, "run": one.execution_id} for one in found
        ]
        columns = [
            Column("code", "Code", kind="mono", role="name"),
            Column("rows", "Tried rows", kind="count"),
            Column("share", "Share of runs", kind="estimate", unit="%"),
            *([] if self._small else [Column("run", "For example", kind="mono")]),
        ]
        return page.section("fail", "What would fail?", how, None, [page.table(rows, columns)])

    def unknown(self) -> Block:
        """What the log does not tell."""
        found = self.inquiry
        how = ["A field that no logged run read was not recorded.", wording.BEHAVIOUR]
        if not found.unknown:
            all_known = "The log decides every tried run." if len(found.tried.rows) else "No run was tried."
            return page.section("unknown", "What cannot be known?", how, all_known)
        rows = [{"why": one.reason, "rows": one.logged_count, "share": one.share} for one in found.unknown]
        columns = [
            Column("why", "Missing", kind="author", role="name"),
            Column("rows", "Tried rows", kind="count"),
            Column("share", "Share of runs", kind="estimate", unit="%"),
        ]
        text = wording.bounds(*found.bounds)
        return page.section("unknown", "What cannot be known?", how, text, [page.table(rows, columns)])

    def actions(self) -> Block:
        """What to do."""
        return page.section(
            "do", "What to do?", [], None, [page.todo(wording.todo(self.inquiry, is_refused=bool(self.refused)))]
        )

    def sure(self) -> Block:
        """How far each version's runs could be tried."""
        found = self.inquiry
        rows = [
            {
                "label": version.label,
                "logged": version.logged_count,
                "failed": version.failed_count,
                "tried": version.tried_count,
                "own": number.percent(version.own_count / version.tried_count)
                if version.tried_count
                else number.NOTHING,
                "why": version.reason,
            }
            for version in found.tried.versions
        ]
        columns = [
            Column("label", "Version", role="name"),
            Column("logged", "Logged ok rows", kind="count"),
            Column("failed", "Logged failures", kind="count"),
            Column("tried", "Tried", kind="count"),
            Column("own", "Own program gives them again", align="right"),
            Column("why", "Why not", kind="author"),
        ]
        text = (
            f"{len(found.tried.rows):,} of {number.counted(found.tried.logged_count, 'logged ok run')} "
            f"{'was' if found.tried.logged_count == 1 else 'were'} tried; "
            f"{number.counted(found.tried.failed_count, 'logged failure')} left no input to try."
        )
        return page.section("sure", "How sure are we?", [], text, [page.table(rows, columns), *self._looked_back()])

    @cached_property
    def looked_back(self) -> list[LookBack]:
        """What rehearsals of the last versions would have said, and what came."""
        found = self.inquiry
        return look_back(found.lake, found.family, found.until - found.since)

    def _looked_back(self) -> list[Block]:
        """The same as a table. It tells of other windows than this report's, which may rest on fewer users."""
        return [] if self._small else looked_back(self.looked_back)

    # ---- for programs ----------------------------------------------------------------------------------------------

    def summary(self) -> dict[str, object]:
        """The same facts for programs."""
        found = self.inquiry
        share = found.relative
        return {
            "report": "rehearsal",
            "title": self.title,
            "nav": self.nav,
            "verdict": page.inline(self.verdict.sentence).striptags(),
            "realm_id": found.family.realm,
            "family_name": found.family.name,
            "draft": self.called,
            "since": found.since.isoformat(),
            "until": found.until.isoformat(),
            "state": "new" if found.failures or self.refused else "known" if found.changed.value else "quiet",
            "refused": self.refused,
            "counts": {"new": len(self.refused)},
            "tried_count": len(found.tried.rows),
            "logged_count": found.tried.logged_count,
            "relative": share.to_dict() if share else None,
            "difference": found.difference.to_dict(),
            "undecided": found.undecided.to_dict(),
            "worst": found.worst_relative.to_dict() if found.worst_relative is not None else None,
            "changed": found.changed.to_dict(),
            "failures": [{"code": one.code, "logged_count": one.logged_count} for one in found.failures],
            "most_visits": found.most_visits,
            "size": published_size(found.program.ast).nodes,
        }

    def summary_block(self) -> SummaryBlock:
        """For the last cell of the notebook."""
        return summary_block(self.summary())


def _share(title: str, share: Estimate, of: str) -> page.Cell:
    """A share of the runs as a big number, its interval below."""
    below = page.inline([wording.share_bracket(share), " ", of])
    return page.Cell(title, wording.percent(share), below, share.grade)
