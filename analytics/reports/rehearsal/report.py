"""The rehearsal as a report: what a draft would have paid, before it is published."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING

from analytics.findings.rehearsal.drafts import fingerprint
from analytics.findings.rehearsal.look_back import look_back
from analytics.findings.replay.run_evidence import pieces
from analytics.program import MAX_NODES, published_size
from analytics.reports import missing_days, page
from analytics.reports.common import SummaryBlock, masked, realm_name, summary_block
from analytics.reports.page import Column, number
from analytics.reports.receipt.receipt import of_evidence
from analytics.reports.rehearsal import advice, changes, day_by_day, program_changes, users, wording
from analytics.reports.rehearsal.look_back import looked_back, plain
from analytics.reports.rehearsal.visible_facts import SOME, VisibleFacts
from analytics.reports.shown_report import InquiryWords, ShownReport
from analytics.reports.small_cells import SmallCells

if TYPE_CHECKING:
    from collections.abc import Sequence

    from analytics.estimates.estimate import Estimate
    from analytics.findings.rehearsal.gate import Condition
    from analytics.findings.rehearsal.look_back import LookBack
    from analytics.findings.rehearsal.parts import Totals
    from analytics.findings.rehearsal.rehearsal import Rehearsal
    from analytics.findings.rehearsal.rehearsed_runs import VersionRuns
    from analytics.reports.page import Block
    from analytics.reports.page.blocks import Body
    from analytics.reports.page.inline import Inline

_MOST_CASES = 30


class RehearsalReport(ShownReport):
    """The report as an object, which shows its verdict. Each section is a method that returns a page block.

    Args:
        found: The facts; a notebook may ask for any of them.
        called: What the draft is called: the file's name, or ``version 4``.
        show_users: Show user ids; masked otherwise.
        small: What may be shown of few users.
        conditions: What refuses the draft.
    """

    SECTIONS = (
        "head", "strip", "key", "much", "changed", "program", "runs_explained", "who", "failures", "unknown", "actions", "sure",
    )  # fmt: skip

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
        found.words = InquiryWords(self, found)

    @cached_property
    def shown(self) -> VisibleFacts:
        """The facts without what few users did."""
        return VisibleFacts(self.inquiry, self._small)

    @cached_property
    def verdict(self) -> wording.Verdict:
        """The sentence on top."""
        return wording.decide(self.shown)

    @cached_property
    def refused(self) -> list[str]:
        """Why the draft is refused, by each condition that does so."""
        reasons = [why for condition in self._conditions if (why := condition.refuses(self.inquiry))]
        # How many runs fail may be how many runs one user has.
        is_few = self.shown.failing == SOME
        return [why.partition(":")[0] if is_few and why.startswith("failures") else why for why in reasons]

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
            "" if found.beside is None else f" against {found.beside[0]}",
            " · runs of ",
            page.strong(number.window(found.since, found.until)),
            ", UTC",
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
                page.Cell(
                    f"Points a day beyond {wording.base_pay(found)}",
                    found.difference.times(1 / days),
                    "estimated, decided runs",
                ),
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
        body: list[Body] = [page.subhead("By day"), self._totals("Day", self.shown.days)]
        if not self._small:
            body += [page.subhead(f"By {wording.base_case(found)}"), self._totals("Case", found.cases[:_MOST_CASES])]
        return page.section("much", "How much more or less?", how, text, body)

    def _totals(self, title: str, parts: Sequence[Totals]) -> Block:
        rows = [
            {
                "name": number.day(part.name) if title == "Day" else part.name or changes.NO_CASE,
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
            Column("paid", wording.base(self.inquiry), kind="estimate"),
            Column("would", "Draft pays", kind="estimate"),
            Column("more", "Difference", kind="estimate", sign=True),
        ]
        return page.table(rows, columns)

    def changed(self) -> Block:
        """Which runs are paid otherwise: from which case to which."""
        return changes.section(self.inquiry, self._small)

    def program(self) -> Block:
        """What changed in the program, how large it is, and what a run of it will cost."""
        return program_changes.section(self.inquiry)

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
        return users.section(self.shown, show_users=self._show_users)

    def failures(self) -> Block:
        """What would fail."""
        how = ["On inputs that were recorded; a timeout is a matter of clocks and cannot be rehearsed."]
        found = self.shown.failures
        if not self.inquiry.failures:
            return page.section("fail", "What would fail?", how, wording.none_fails(self.inquiry))
        if not found:
            return page.section("fail", "What would fail?", [*how, self._small.note], "Some runs, of few users.")
        rows = [
            {"code": one.code, "rows": one.logged_count, "share": one.share, "run": one.execution_id} for one in found
        ]
        columns = [
            Column("code", "Code", kind="mono", role="name"),
            Column("rows", "Tried rows", kind="count"),
            Column("share", "Share of runs", kind="estimate", unit="%"),
            *([] if self._small else [Column("run", "For example", kind="mono")]),
        ]
        return page.section("fail", "What would fail?", self._how(how), None, [page.table(rows, columns)])

    def _how(self, how: list[str]) -> list[str]:
        return [*how, self._small.note] if self._small else how

    def unknown(self) -> Block:
        """What the log does not tell."""
        found = self.inquiry
        how = ["A field that no logged run read was not recorded.", wording.BEHAVIOUR]
        if not found.unknown:
            all_known = wording.decides_all(found) if len(found.tried.rows) else "No run was tried."
            return page.section("unknown", "What cannot be known?", how, all_known)
        if not self.shown.unknown:
            return page.section("unknown", "What cannot be known?", self._how(how), wording.left_open(found))
        rows = [
            {"why": wording.reason(one), "rows": one.logged_count, "share": one.share} for one in self.shown.unknown
        ]
        columns = [
            Column("why", "Missing", role="name"),
            Column("rows", "Tried rows", kind="count"),
            Column("share", "Share of runs", kind="estimate", unit="%"),
        ]
        text = wording.left_open(found)
        return page.section("unknown", "What cannot be known?", self._how(how), text, [page.table(rows, columns)])

    def actions(self) -> Block:
        """What to do."""
        return page.section(
            "do", "What to do?", [], None, [page.todo(advice.todo(self.shown, is_refused=bool(self.refused)))]
        )

    def sure(self) -> Block:
        """How far each version's runs could be tried."""
        found = self.inquiry
        rows = [
            {
                "label": version.label,
                "logged": version.logged_count,
                "tried": version.tried_count,
                "failed": self._failed(version),
                "unpaid": version.unpaid_count,
                "own": _part(version.own_count, version),
                "other": _part(version.contradicted_count, version),
                "open": _part(version.open_count, version),
                "why": version.reason,
            }
            for version in found.tried.versions
        ]
        columns = [
            Column("label", "Version", role="name"),
            Column("logged", "Logged ok rows", kind="count"),
            Column("failed", "Logged failures", align="right"),
            Column("unpaid", "Without finite points", kind="count"),
            Column("tried", "Tried", kind="count"),
            Column("own", "Its own program pays the same", align="right"),
            Column("other", "pays otherwise", align="right"),
            Column("open", "cannot tell: cut trace", align="right"),
            *([Column("why", "Why not tried", kind="author")] if any(row["why"] for row in rows) else []),
        ]
        text = (
            f"{len(found.tried.rows):,} of {number.counted(found.tried.logged_count, 'logged ok run')} "
            f"{'was' if found.tried.logged_count == 1 else 'were'} tried; "
            f"{wording.runs(self.shown.failed, 'logged failure')} left no input to try."
        )
        body = [page.table(rows, columns), *day_by_day.parts(found, self.shown.drift), *self._looked_back()]
        return page.section("sure", "How sure are we?", [], text, body)

    def _failed(self, version: VersionRuns) -> str:
        """Its logged failures."""
        rows = self.inquiry.logged
        is_its = (rows["label"] == version.label).to_numpy(bool) & (rows["status"] != "ok").to_numpy(bool)
        return self.shown.count(is_its, rows)

    @cached_property
    def looked_back(self) -> list[LookBack]:
        """What rehearsals of the last versions would have said, and what came."""
        found = self.inquiry
        return look_back(found.lake, found.family, found.until - found.since, most=found.most)

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
            "program": fingerprint(found.program.ast, found.program.parent_strategy_id, found.program.strategy_type),
            "against": None if found.beside is None else found.beside[0],
            "since": found.since.isoformat(),
            "until": found.until.isoformat(),
            "state": self._state,
            **missing_days.facts(found.coverage),
            "conditions": [one.text for one in self._conditions],
            "refused": self.refused,
            "counts": {"new": len(self.refused)},
            "tried_count": len(found.tried.rows),
            "logged_count": found.tried.logged_count,
            "relative": share.to_dict() if share else None,
            "difference": found.difference.to_dict(),
            "undecided": found.undecided.to_dict(),
            "may_fail": found.may_fail.to_dict(),
            "worst": found.worst_relative.to_dict() if found.worst_relative is not None else None,
            "changed": found.changed.to_dict(),
            "failures": [{"code": one.code, "logged_count": one.logged_count} for one in self.shown.failures],
            "most_visits": found.most_visits,
            "look_back": [] if self._small else [plain(one) for one in self.looked_back],
            "size": published_size(found.program.ast).nodes,
        }

    @property
    def _state(self) -> str:
        """The worst in a word. Where nothing changed in the days that are there, nothing is known of those that are not."""
        found = self.inquiry
        if found.failures or self.refused:
            return "new"
        if len(found.tried.rows) and found.changed.value:
            return "known"
        return "no data" if missing_days.unseen(found.coverage) else "quiet"

    def summary_block(self) -> SummaryBlock:
        """For the last cell of the notebook."""
        return summary_block(self.summary())


def _part(count: int, version: VersionRuns) -> str:
    """Of the tried runs of a version."""
    return number.percent(count / version.tried_count) if version.tried_count else number.NOTHING


def _share(title: str, share: Estimate, of: str) -> page.Cell:
    """A share of the runs as a big number, its interval below."""
    below = page.inline([wording.share_bracket(share), " ", of])
    return page.Cell(title, wording.percent(share), below, share.grade)
