"""Everything that is due, one process per report; goes on after a failure."""

from __future__ import annotations

import contextlib
import hashlib
import json
import logging
import threading
import time
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

from analytics.config import Settings
from analytics.errors import (
    LakeError,
    LakeLockedError,
    NotExtractedError,
    ReportError,
    ReportsLockedError,
    UsageError,
    named,
)
from analytics.extraction import clocks
from analytics.lake import expiry_mark, losses
from analytics.lake.expiry_mark import Expired
from analytics.lake.lake import Lake
from analytics.lake.losses import Loss
from analytics.model import DayRecord
from analytics.reports.explore.lake_folder import find_lake
from analytics.reports.explore.open_lake import open_lake
from analytics.reports.parameter_values import Value
from analytics.reports.render import report_process
from analytics.reports.render.plan import Plan, plan, window_on
from analytics.reports.render.publish_folder import sweep
from analytics.reports.render.rendering import publish_failure
from analytics.reports.render.steps import StepLine
from analytics.reports.schedule import archive, cards
from analytics.reports.schedule.cards import FAILED, Card
from analytics.reports.schedule.definition import Definition, due_days
from analytics.reports.schedule.drafts import drafts_of, shown_already, still_refused
from analytics.storage import LakePath, lock, place
from analytics.version import __version__
from analytics.warehouse.warehouse import Warehouse
from analytics.window import Window

LOOK_BACK = timedelta(days=35)
"""Before a window: what both reports compare with lies in it."""
_SILENT = timedelta(days=7)
"""A tenant that logged nothing for so long gets no report of its own any more."""


@dataclass(frozen=True, slots=True)
class Job:
    """One report on one day.

    Attributes:
        definition: What is wanted.
        today: The day on which it is due.
        subject: Parameters that say which tenant and strategy.
        draft: Fingerprint of the strategy's newest draft, where it is only rehearsed when that has changed; empty else.
    """

    definition: Definition
    today: date
    subject: Mapping[str, Value] = field(default_factory=dict)
    draft: str = ""

    @property
    def label(self) -> str:
        """Tenant and strategy; empty for all."""
        realm = "(no realm)" if self.subject.get("no_realm") else self.subject.get("realm", "")
        parts = [realm, self.subject.get("family", ""), self.subject.get("strategy_id", "")]
        return " · ".join(str(part) for part in parts if part)

    def plan(self, out: Path, parameters: Mapping[str, Value]) -> Plan:
        """As ``render.plan.plan``.

        Args:
            out: Folder of reports.
            parameters: Of the command, before those of the definition.
        """
        given = {**parameters, **self.subject}
        return plan(self.definition, out, given, today=self.today, every=self.definition.every)


def jobs(definition: Definition, lake: Warehouse, parameters: Mapping[str, Value], today: date) -> list[list[Job]]:
    """What one definition asks for.

    Args:
        definition: The definition.
        lake: The lake, all tenants in sight.
        parameters: Of the command, before those of the definition.
        today: The day of the run.

    Returns:
        One list per tenant and strategy, oldest day first: each report is compared with the one before.

    Raises:
        UsageError: The definition does not fit its notebook.
    """
    records = [record for record in lake.records() if record.day is not None]
    chains: dict[str, list[Job]] = {}
    days = due_days(definition.every, today, definition.catch_up_days)
    # A draft is as it is now: of days gone by nobody knows what it was.
    for day in days[-1:] if definition.drafts else days:
        window = window_on(definition, parameters, day)
        if day != today and not any(record.day and record.day < window.until.date() for record in records):
            continue  # before the lake began
        for subject, draft in _subjects(definition, lake, records, window):
            chains.setdefault(json.dumps(subject, sort_keys=True), []).append(Job(definition, day, subject, draft))
    return list(chains.values())


def _subjects(
    definition: Definition, lake: Warehouse, records: Sequence[DayRecord], window: Window
) -> list[tuple[dict[str, Value], str]]:
    """Parameters that say tenant and strategy; beside them the fingerprint of a draft that has to have changed, or nothing."""
    realms = _realms(definition, lake, records, window)
    if not definition.drafts:
        return [(subject, "") for subject in _strategies(definition, lake, realms, window)]
    is_changed = definition.drafts == "changed"
    return [
        ({**_realm(one.realm), "family": one.family}, one.fingerprint if is_changed else "")
        for one in drafts_of(definition, lake, window)
        if realms == [{}] or _realm(one.realm) in realms
    ]


def _realms(
    definition: Definition, lake: Warehouse, records: Sequence[DayRecord], window: Window
) -> list[dict[str, Value]]:
    realms: list[dict[str, Value]]
    if definition.realms == "all":
        realms = [{}]
    elif definition.realms == "each":
        # An empty name is a report's word for all tenants: its own runs stand in the report on all.
        realms = [_realm(realm) for realm in lake.realms if realm != "" and _is_logged(realm, records, window)]
    else:
        realms = [_realm(realm) for realm in definition.realms] + ([_realm(None)] if definition.no_realm else [])
    return realms


def _strategies(
    definition: Definition, lake: Warehouse, realms: list[dict[str, Value]], window: Window
) -> list[dict[str, Value]]:
    if not definition.families:
        return realms
    names = definition.families
    if names != "each" and definition.realms != "each":
        return [{**realm, "family": name} for realm in realms for name in names]
    found = []
    for row in lake.table("families_run", since=window.since, until=window.until).to_pylist():
        own = _realm(row["realm_id"])
        if realms != [{}] and own not in realms:
            continue
        if names == "each" or row["family_name"] in names:
            name = {"family": row["family_name"]} if row["family_name"] else {"strategy_id": row["strategy_id"]}
            found.append({**own, **name})
    # One that was named and ran nowhere gets its report too: that nothing ran, or that nothing has such a name.
    there = {subject.get("family") for subject in found}
    return found + [{"family": name} for name in names if names != "each" and name not in there]


def _realm(realm: str | None) -> dict[str, Value]:
    return {"no_realm": True} if realm is None else {"realm": realm}


def _is_logged(realm: str | None, records: Sequence[DayRecord], window: Window) -> bool:
    first, last = (window.since - _SILENT).date(), window.until.date()
    return any(
        record.day is not None and first <= record.day < last and realm in record.partitions for record in records
    )


def is_current(planned: Plan, inputs: Collection[str]) -> bool:
    """The report is there, made from the same rows, program, parameters and predecessor; no failure stands beside it.

    Args:
        planned: The report.
        inputs: Fingerprints, of which it may have any: of what is there, and of what should be. A report that was made before
            the lake lost something is better than one made now.
    """
    card = cards.read(planned.target)
    if card is None or card.is_failed or card.inputs not in inputs:
        return False
    return not planned.target.with_name(planned.target.name + FAILED).exists()


def fingerprint(planned: Plan, ledger: Sequence[DayRecord], lost: Sequence[Loss] = ()) -> str:
    """Of all that a report is made from; another one means that it would say something else, or might.

    Args:
        planned: The report.
        ledger: What the lake should hold.
        lost: What of that it does not.
    """
    first, last = (planned.card.since - LOOK_BACK).date(), planned.card.day
    told: list[Any] = [__version__, hashlib.sha256(planned.notebook.read_bytes()).hexdigest()]
    told.append({key: value for key, value in planned.values.items() if key not in ("lake", "previous")})
    if draft := planned.text("draft"):
        with contextlib.suppress(OSError):  # the report says so itself
            told.append(hashlib.sha256(Path(draft).read_bytes()).hexdigest())
    previous = planned.text("previous") or planned.last
    before = cards.read(Path(previous).parent) if previous else None
    told.append(before.inputs or before.made_at.isoformat() if before else "")
    for record in ledger:
        if record.day is None or not first <= record.day <= last:
            continue
        partitions = [
            [repr(realm), info.row_count, info.id_hash, info.fingerprint.change_hash, str(info.sample_rates)]
            for realm, info in record.partitions.items()
            if not planned.card.is_scoped or realm == planned.card.realm
        ]
        told.append([str(record.day), record.is_complete, record.covers_all_realms, sorted(partitions)])
    gone = [loss.partition for loss in lost if loss.partition.day and first <= loss.partition.day <= last]
    if gone := [one for one in gone if not planned.card.is_scoped or one.realm == planned.card.realm]:
        told.append(sorted([repr(one.realm), str(one.day)] for one in gone))
    told.append(_definitions(Lake(place(planned.text("lake")))))
    return hashlib.sha256(json.dumps(told, sort_keys=True).encode()).hexdigest()[:16]


def _definitions(lake: Lake) -> list[list[Any]]:
    """The programs: files that are replaced only when they differ."""
    paths = [lake.place(name) for name in (*lake.files("definitions"), *lake.files("program_history"))]
    return sorted([path.parent.name, path.stat().st_size, path.stat().st_mtime_ns] for path in paths)


_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of one report.

    Attributes:
        job: Which.
        state: ``rendered``, ``up to date`` or ``failed``.
        card: What it says; of a failure, what happened.
        seconds: How long it took.
        alarm: Why its findings fail the job; empty when they do not, or when it was there before, unless it refuses a draft.
        said: Of a failure, for the log: the last words of its process, also what its page may not show.
        unseen: Why it cannot tell, and what mends it; empty where it can. Said until the days are there, also of a report that was
            there before.
    """

    job: Job
    state: str
    card: Card
    seconds: float
    alarm: str = ""
    said: str = ""
    unseen: str = ""


@dataclass(slots=True)
class RunResult:
    """What a run did.

    Attributes:
        out: Folders of reports that were written to.
        outcomes: Of every report that was due.
        removed: Renderings whose time was over.
    """

    out: list[Path] = field(default_factory=list)
    outcomes: list[Outcome] = field(default_factory=list)
    removed: list[str] = field(default_factory=list)

    @property
    def exit_code(self) -> int:
        """The worst of what happened.

        3 when a report failed; 1 when findings of a new one fail the job or a draft is still refused; 4 when one cannot tell,
        because days of its window are not in the lake; else 0.
        """
        # Of a lake in which there is nothing yet some reports have a page that says so, and others have none.
        if any(outcome.state == "failed" and not outcome.unseen for outcome in self.outcomes):
            return ReportError.exit_code
        if any(outcome.alarm for outcome in self.outcomes):
            return cards.FINDINGS
        return cards.CANNOT_TELL if any(outcome.unseen for outcome in self.outcomes) else 0


def run(
    definitions: Sequence[Definition],
    *,
    lake: str | LakePath | None = None,
    out: str | Path | None = None,
    today: date | None = None,
    workers: int = 1,
    force: bool = False,
    fail_on: str | None = None,
    wait_seconds: float = 0,
    parameters: Mapping[str, Value] | None = None,
    progress: Callable[[Outcome], None] | None = None,
) -> RunResult:
    """Render all that is due.

    A report is due when there is none of its window, when the last try failed, or when what it was made from has changed:
    rows that arrived late, a program, a parameter, the report before it, this package.

    Args:
        definitions: What is wanted.
        lake: Folder of the lake.
        out: Folder of reports; the definition's, ``ANALYTICS_REPORTS`` or ``reports/out`` when not given.
        today: The day from which windows count; today (UTC) when not given.
        workers: Reports at a time. Each takes up to 1.4 GB for ten million runs.
        force: Render also what is up to date.
        fail_on: Before that of the definitions.
        wait_seconds: How long to wait for another run.
        parameters: Of the notebooks, before those of the definitions.
        progress: Told of each report as it ends.

    Raises:
        ReportsLockedError: Another run is at work in the folder of reports.
        UsageError: A definition does not fit its notebook; nothing was rendered.
        LakeError: There is no lake.
    """
    if workers < 1:
        raise UsageError("--jobs must be at least 1", hint="2 where there are two cores and 3 GB to spare")
    root = find_lake(lake).resolve()
    day = today or datetime.now(UTC).date()
    given = {**(parameters or {}), "lake": str(root)}
    result = RunResult()
    by_out: dict[Path, list[Definition]] = {}
    for definition in definitions:
        where = Settings.from_env(reports=out or definition.out or None, sample_rates="").reports
        by_out.setdefault(where.resolve(), []).append(definition)
    for folder, own in by_out.items():
        with _hold(folder, wait_seconds) as held:
            result.out.append(folder)
            sweep(folder)
            opened = open_lake(root)
            chains = [chain for definition in own for chain in jobs(definition, opened, given, day)]
            ledger = opened.records()
            whole = opened.lake
            del opened  # its memory is wanted by those who render
            lost, mark = losses.of_days(whole, ledger, None), expiry_mark.read(whole.root)
            with report_process.Warm() as warm, ThreadPoolExecutor(workers) as pool:
                runner = _Runner(folder, given, ledger, lost, mark, force, fail_on, progress, held, warm, workers == 1)
                try:
                    for outcomes in pool.map(runner.chain, chains):
                        result.outcomes += outcomes
                except BaseException:
                    runner.stop()
                    raise
            # Nor are renderings old because this machine's clock has jumped.
            seen = clocks.last_time(whole)
            aged_by = min(day, seen + clocks.JUMP) if seen else day
            for definition in own:
                result.removed += archive.expire(folder, definition.name, definition.keep_days, aged_by)
            archive.refresh(folder)
    return result


@contextlib.contextmanager
def _hold(folder: Path, wait_seconds: float) -> Iterator[lock.Held]:
    """The lock of a folder of reports: it works as that of a lake does, and is told in its own words."""
    with contextlib.ExitStack() as stack:
        try:
            held = stack.enter_context(lock.hold(folder, wait_seconds))
        except LakeLockedError as error:
            raise ReportsLockedError(
                f"another run is rendering reports into {folder} ({error.facts['owner'] or 'owner unknown'})",
                hint="wait for it, or give --wait SECONDS",
                **error.facts,
            ) from None
        except LakeError as error:
            why = getattr(error.__cause__, "strerror", None)
            said = f"the folder of reports {folder} cannot be written" + (f" and locked: {why}" if why else "")
            raise ReportError(said, hint=error.hint) from None
        yield held


@dataclass
class _Runner:
    out: Path
    parameters: dict[str, Value]
    ledger: Sequence[DayRecord]
    lost: Sequence[Loss]
    mark: Expired | None
    force: bool
    fail_on: str | None
    progress: Callable[[Outcome], None] | None
    held: lock.Held
    warm: report_process.Warm
    is_alone: bool = True
    stopped: threading.Event = field(default_factory=threading.Event)

    def stop(self) -> None:
        """Begin nothing more, and end what runs."""
        self.stopped.set()

    def chain(self, chain: Sequence[Job]) -> list[Outcome]:
        """One report's days, oldest first."""
        outcomes = []
        for job in chain:
            if self.stopped.is_set():
                break
            self.held.ensure()
            outcome = self._one(job)
            outcomes.append(outcome)
            if self.progress:
                self.progress(outcome)
        return outcomes

    def _one(self, job: Job) -> Outcome:
        began = time.monotonic()
        planned = job.plan(self.out, self.parameters)
        inputs = fingerprint(planned, self.ledger, self.lost)
        planned = replace(planned, card=replace(planned.card, inputs=inputs))
        if not self.force and is_current(planned, {inputs, fingerprint(planned, self.ledger) if self.lost else inputs}):
            return self._up_to_date(job, planned, planned.target, began)
        last = shown_already(planned, self.out, job.draft) if job.draft and not self.force else None
        if last is not None and not self._has_come(last):
            return self._up_to_date(job, planned, last, began)
        words = unseen = ""
        try:
            card, words, unseen = self._render(planned, 60 * job.definition.timeout_minutes)
        except OSError as error:
            # A disk that is full for one report may have room for the others, and a failure's page may not fit either.
            said = f"{error.strerror or named(error)}, while the report or its failure was written"
            card = replace(planned.card, state="failed", verdict=said)
        seconds = time.monotonic() - began
        _log.info("%s: %s after %.1f s", planned.target.name, card.state, seconds)
        if card.is_failed:
            return Outcome(job, "failed", card, seconds, said=words, unseen=unseen)
        fail_on = self._wanted(job, planned)
        return Outcome(job, "rendered", card, seconds, cards.alarm(card, fail_on), unseen=cards.unseen(card, fail_on))

    def _wanted(self, job: Job, planned: Plan) -> str:
        """When the job shall fail. Conditions of a rehearsal are a wish of their own: who writes them wants it to."""
        return self.fail_on or ("new" if planned.text("fail_on") else job.definition.fail_on)

    def _has_come(self, page: Path) -> bool:
        """Whether a day that the page's window lacked is in the lake now: until it is shown, the page cannot tell."""
        card, held = cards.read(page), {str(record.day) for record in self.ledger}
        return card is not None and any(
            day in held for day in (*card.missing_days, *card.days_to_come) if day not in card.lost_days
        )

    def _up_to_date(self, job: Job, planned: Plan, page: Path, began: float) -> Outcome:
        """Nothing to make. Findings were told when they were new; a draft that was refused stays so until it changes."""
        refused = still_refused(page) if planned.text("fail_on") and self.fail_on != "never" else ""
        card = cards.with_expired(cards.read(page) or planned.card, self.mark)
        unseen = cards.unseen(card, self._wanted(job, planned))
        return Outcome(job, "up to date", card, time.monotonic() - began, refused, unseen=unseen)

    def _render(self, planned: Plan, limit_seconds: float) -> tuple[Card, str, str]:
        """What the report says, and of a failure the words for the log, of which some may be left out on its page.

        Where it failed for want of anything in the lake, also what `Outcome.unseen` is then.
        """
        with report_process.folder(self.out) as folder:
            line = StepLine(planned.card.name) if self.is_alone else None
            ended = report_process.run(
                planned,
                folder,
                limit_seconds=limit_seconds,
                is_stopped=self.stopped.is_set,
                tell=line.tell if line else None,
                warm=self.warm,
            )
            if line:
                line.clear()
            if ended.code == 0:
                return cards.read(planned.target) or planned.card, "", ""
            failure = planned.target.with_name(planned.target.name + FAILED)
            if ended.code != report_process.FAILED or ended.error is None:
                error = ended.error or ended.failure(None if self.stopped.is_set() else limit_seconds)
                publish_failure(planned, error, folder / report_process.HALF_RUN)
        words = " ".join(ended.error.message.split()) if ended.error else ended.words
        unseen = f"{ended.error.message}; {ended.error.hint}" if isinstance(ended.error, NotExtractedError) else ""
        return cards.read(failure) or planned.card, words, unseen
