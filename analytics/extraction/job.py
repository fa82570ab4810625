"""The job: find what differs between source and lake, make those partitions equal to the source, record what was done."""

from __future__ import annotations

import contextlib
import functools
import logging
from collections.abc import Iterable, Mapping
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

from analytics.errors import UnknownNameError, did_you_mean
from analytics.estimates.sampling_rates import described
from analytics.extraction import clocks, day_files, resurfaced
from analytics.extraction.day_files import DayCompactor
from analytics.extraction.duplicates import Duplicates, finish_the_last
from analytics.extraction.plan import ExtractOptions, ExtractPlan, Observed, compare, exclude_expired
from analytics.extraction.plan import notes as file_notes
from analytics.extraction.privacy.prepare import PrivacySetup, prepare_privacy
from analytics.extraction.privacy.row_filter import protect_definition
from analytics.extraction.transfer import Transfer, timed
from analytics.lake import definitions, foreign_files, source_identity
from analytics.lake.lake import Lake
from analytics.lake.settled_programs import SettledPrograms
from analytics.lake.source_identity import is_same, may_repeat, says_more
from analytics.model import DayRecord, ExtractResult, Fingerprint, Partition, PartitionInfo, RealmFilter, Watermark
from analytics.source import watermark
from analytics.source.connection import Retries
from analytics.source.source import Source
from analytics.source.watermark import spans_of
from analytics.window import ONE_DAY, Window

_log = logging.getLogger(__name__)

_MOST_SAID = 3
_REMEMBERED = timedelta(days=400)
"""Days without a row are written into the ledger only for this long before the window's end."""


class Bookkeeper:
    """Writes the ledger of a run, day by day.

    Args:
        lake: Where.
        window: Of the run.
        chosen: Its realms: a run over some says nothing about the others.
        plan: With the ledger as it was.
        watermark: Up to when the source was complete.
        identity: Of the source.

    Attributes:
        incomplete_days: Days of the window for which rows may still arrive.
    """

    def __init__(
        self,
        lake: Lake,
        window: Window,
        chosen: RealmFilter,
        plan: ExtractPlan,
        watermark: Watermark,
        identity: dict[str, str],
    ) -> None:
        self._lake, self._window, self._chosen, self._plan = lake, window, chosen, plan
        self._watermark, self._identity = watermark, identity
        self._done: set[date | None] = set()
        self.incomplete_days: list[date] = []

    def record(self, days: Iterable[date | None], settled: Mapping[Partition, PartitionInfo | None]) -> None:
        """Write the days that changed or became more complete; each day once.

        Args:
            days: Whose partitions are all settled or unchanged.
            settled: New entries; ``None`` for a partition that was taken away.
        """
        for day in sorted(set(days) - self._done, key=lambda day: day or date.max):
            self._done.add(day)
            # Not as planned: rows may have been taken out of a partition since, see ``duplicates``.
            old = self._lake.recorded(day) if self._plan.records[day] else None
            here = {partition.realm: info for partition, info in settled.items() if partition.day == day}
            if day is not None and not here and old is None:
                if day > self._watermark.until.date() + ONE_DAY:
                    continue  # the future: nothing was looked for
                if self._window.until.date() - day > _REMEMBERED:
                    continue  # "since 1970": thousands of empty days say nothing
            is_complete = self._write(day, old, here)
            if day is not None and not is_complete:
                self.incomplete_days.append(day)

    def notes(self) -> list[str]:
        """What a person should know about the ledger's entries, in sentences."""
        other = self._plan.other_rates
        if not other:
            return []
        said = list(dict.fromkeys(described(steps) for steps in other.values()))
        more = f" (and {len(said) - _MOST_SAID} more)" if len(said) > _MOST_SAID else ""
        return [
            f"{len(other)} unchanged partitions were weighted with another sampling rate than "
            f"{' or '.join(said[:_MOST_SAID])}{more}; --force weighs them again"
        ]

    def _write(self, day: date | None, old: DayRecord | None, here: Mapping[str | None, PartitionInfo | None]) -> bool:
        # A run over some realms says nothing about the others: the day's completeness stays as it was.
        whole = self._chosen.all_realms
        spans = old.ignored_transactions if old else ()
        if whole and day is not None:
            spans = spans_of(day, self._watermark, spans)
        stays_complete = old is not None and old.is_complete and not here
        # Another source that was accepted must be remembered, or it would be refused again; so must what an older version of
        # this package did not ask, or another schema would be no stranger.
        is_known = old is not None and is_same(old.source, self._identity) and not says_more(old.source, self._identity)
        if old and stays_complete and spans == old.ignored_transactions and is_known:
            return True
        entries = dict(old.partitions) if old else {}
        for realm, info in here.items():
            if info is None:
                entries.pop(realm, None)
            else:
                entries[realm] = info
        if day is None and not entries and old is None:
            return False
        moves = whole and not stays_complete
        fresh = DayRecord(
            day=day,
            partitions=entries,
            covers_all_realms=whole or bool(old and old.covers_all_realms),
            complete_until=self._watermark.until if moves else (old.complete_until if old else None),
            horizon_reason=self._watermark.reason if moves or not old else old.horizon_reason,
            source=self._identity,
            recorded_at=datetime.now(UTC).replace(microsecond=0),
            ignored_transactions=spans,
        )
        self._lake.record(fresh)
        return fresh.is_complete


_MOST_NAMED = 3


def extract(url: str, lake: Lake, window: Window, options: ExtractOptions) -> ExtractResult:
    """Make the lake equal to the source for a window of whole UTC days.

    Args:
        url: Of the database; empty for libpq's own variables.
        lake: What is written to.
        window: Whole UTC days.
        options: What of it, and how.

    Returns:
        What was written, kept and left alone. A second run in a row has ``nothing_to_do``.

    Raises:
        SourceError, LakeError: Nothing is half-written; partitions that were finished stay.
        LakeLockedError: Another run is writing this lake.
        ConfigurationError: The lake's pseudonyms were made with another key.
        UsageError: The window is not of whole days, or all of its days are expired.
        UnknownNameError: Neither the source nor the lake has ever had a run of a realm.
    """
    broken = lake.break_lock() if options.break_lock else None
    window = window.whole_days()
    waited: dict[str, float] = {}
    retries = Retries(options.retries, options.notice)
    with timed(waited, "wait"):
        lock = lake.lock(options.wait_seconds)
        lock.__enter__()
    with contextlib.ExitStack() as stack:
        stack.push(lock)
        window, notes = exclude_expired(lake, window, also_expired=options.also_expired)
        run = _Run(lake, window, options)
        run.seconds |= waited
        result = retries.run(
            lambda: run.attempt(Source(url, lag=options.lag, patience=options.patience)), lambda: len(run.settled)
        )
    if broken:
        notes = [f"the stale lock of {broken} was broken", *notes]
    return replace(result, notes=[*notes, *result.notes, *retries.notes()])


class _Run:
    """What the attempts of one run have settled together.

    Args:
        lake: What is written to.
        window: Days that are not expired.
        options: What of it, and how.

    Attributes:
        seconds: That each step has taken.
        settled: What became of each partition that differed; ``None`` where it was taken away.
    """

    def __init__(self, lake: Lake, window: Window, options: ExtractOptions) -> None:
        self._lake, self._window, self._options = lake, window, options
        self.seconds: dict[str, float] = {}
        self.settled: dict[Partition, PartitionInfo | None] = {}
        self._kept: dict[Partition, int] = {}
        self._dropped: dict[Partition, int] = {}
        self._moved_count = 0
        self._strategies: dict[str | None, set[str]] = {}
        self._without: dict[Partition, PartitionInfo | None] = {}
        self._taken_out: dict[Partition, int] = {}
        self._sentences: list[str] = []
        self._timeline: int | None = None
        self._before: dict[Partition, PartitionInfo] = {}

    def attempt(self, opening: Source) -> ExtractResult:
        """Make the lake equal to one snapshot of the source."""
        lake, seconds = self._lake, self.seconds
        with contextlib.ExitStack() as stack:
            with timed(seconds, "connect"):
                source = stack.enter_context(opening)
                identity = source.identity()
            self._look_first(source, identity)
            workspace = stack.enter_context(lake.workspace())
            admitted = self._admit(source, workspace)
            plan = self._compared(source)
            wanted = day_files.needs_compaction(plan, source.watermark.until)
            gathering = stack.enter_context(contextlib.closing(DayCompactor(workspace, wanted)))
            book = Bookkeeper(lake, self._window, self._options.chosen, plan, source.watermark, identity)
            settled, taken_out = self._transferred(source, admitted, plan, book, gathering, workspace)
            if not (plan.same or settled):
                self._say(clocks.newest_elsewhere(source, self._window))
            with timed(seconds, "definitions"):
                self._write_definitions(source, admitted, workspace)
            book.record([*self._window.days, None], settled)
            self._say(file_notes(plan, settled))
            source_identity.remember(lake, identity, self._timeline)
            with timed(seconds, "day_files"):
                recorded = [day for day in plan.records if plan.records[day]]
                days = [*recorded, *(taken_out - set(plan.records))]
                self._say(day_files.write(lake, days, plan.records, gathering, workspace))
            with timed(seconds, "erased"):
                changed = {*self._written(), *self._taken_out}
                self._say(resurfaced.take_out(lake, self._options.policy.key, workspace, changed))
            self._say(lake.complete_columns())
        return self._result(source, plan, book, admitted.definitions)

    def _look_first(self, source: Source, identity: dict[str, str]) -> None:
        """Whether it is the lake's source, and what a person should know before anything is read."""
        accept = self._options.accept_source
        self._say(source_identity.check(self._lake, identity, accept=accept))
        self._timeline = source.timeline()
        if source.watermark.is_standby:  # its control file may be a moment behind
            known = source_identity.last_timeline(self._lake, identity)
            self._timeline = max(self._timeline or 0, known or 0) or None
        self._say(source_identity.check_timeline(self._lake, identity, self._timeline, accept=accept))
        self._say(clocks.sentences(source))
        if gone := definitions.lost_files(self._lake):
            self._say([f"{definitions.lost_words(gone)}: {definitions.REPAIR}"])

    def _admit(self, source: Source, workspace: Path) -> PrivacySetup:
        """What may come in; what a killed run left is finished, and who was erased is taken out of files put back."""
        finish_the_last(self._lake, workspace)
        with timed(self.seconds, "people"):
            options = self._options
            admitted = prepare_privacy(
                *(self._lake, source, options.policy, self._window, options.chosen, workspace),
                accept_key=options.accept_key,
            )
        self._say([*admitted.notes])
        with timed(self.seconds, "erased"):
            self._say(resurfaced.take_out(self._lake, self._options.policy.key, workspace))
        return admitted

    def _compared(self, source: Source) -> ExtractPlan:
        """What differs between source and lake; files of others are out of the way."""
        lake, window, chosen = self._lake, self._window, self._options.chosen
        with timed(self.seconds, "fingerprint"):
            fingerprints = source.fingerprints(window, chosen)
        self._refuse_strangers(source, {partition.realm for partition in fingerprints})
        files = foreign_files.list_files(lake, [*window.days, None])
        observed = Observed(fingerprints, source.transaction_ids(), source.watermark.is_standby)
        plan = compare(lake, window, observed, files.places, self._options)
        self._say(
            [
                f"{count} partitions are read again in which nothing seems to differ, because transaction ids may hide a "
                f"change: {why}; days outside this run are, when one covers them"
                for why, count in plan.repeated.items()
            ]
        )
        plan = self._without_settled(plan)
        for partition in plan.changed:
            record = plan.records.get(partition.day)
            if info := record.partitions.get(partition.realm) if record else None:
                self._before.setdefault(partition, info)
        _log.info("%s: %d partitions differ, %d are as they were", window, len(plan.changed), len(plan.same))
        if plan.changed:
            with timed(self.seconds, "fingerprint"):
                source.refuse_ids_twice(window, chosen)
        self._say(foreign_files.quarantine(lake, plan.records, files, SettledPrograms(lake).own_files()))
        day_files.remove_stale(lake)
        return plan

    def _transferred(
        self,
        source: Source,
        admitted: PrivacySetup,
        plan: ExtractPlan,
        book: Bookkeeper,
        gathering: DayCompactor,
        workspace: Path,
    ) -> tuple[dict[Partition, PartitionInfo | None], set[date | None]]:
        """Read and replace what differs: what became of each partition, and the days that lost runs to other places."""
        transfer = Transfer(
            source, self._lake, workspace, plan, self._options, privacy=admitted.privacy, gather=gathering.add
        )
        duplicates = Duplicates(self._lake, plan, self._window, workspace)
        self._without = {}  # an earlier attempt's are settled
        taken_out: set[date | None] = set()
        try:
            # Chunk by chunk, so that a run that dies half-way has not worked for nothing.
            with timed(self.seconds, "transfer"):
                for days in transfer.chunks():
                    # Before the days are recorded: after a kill in between they differ still, and are looked at again.
                    with timed(self.seconds, "duplicates"):
                        taken_out |= self._once(duplicates, transfer, days)
                    book.record(days, {**transfer.settled, **self._without})
                    self._say(day_files.write(self._lake, days, plan.records, gathering, workspace))
        finally:
            self._keep(transfer)
        return {**transfer.settled, **self._without}, taken_out

    def _write_definitions(self, source: Source, admitted: PrivacySetup, workspace: Path) -> None:
        if isinstance(admitted.definitions, str):
            return  # why they could not be read, in words
        privacy = admitted.privacy
        written = definitions.write(
            *(self._lake, admitted.definitions, workspace),
            protect=functools.partial(protect_definition, privacy) if privacy.replaces_anybody else None,
            unread=source.unread_of_programs.names,
            used=self._strategies,
        )
        self._say(written.notes())
        definitions.remember_files(self._lake)

    def _result(
        self, source: Source, plan: ExtractPlan, book: Bookkeeper, read: list[dict[str, Any]] | str
    ) -> ExtractResult:
        rates = self._options.rates
        same = {partition: info for partition, info in plan.same.items() if partition not in self.settled}
        looked_at = same | self._written()
        defaulted = [p for p in looked_at if rates.is_defaulted(p.realm, p.day)]
        steps = [step for info in looked_at.values() for step in info.sample_rates]
        return ExtractResult(
            window=self._window,
            written=list(self._written().values()),
            unchanged=len(same),
            kept=self._kept,
            dropped=self._dropped,
            horizon=source.watermark,
            incomplete_days=book.incomplete_days,
            unread_columns=source.unread_columns,
            sample_rates=sorted({step.rate for step in steps}) or [rates.otherwise],
            sample_rate_is_default=bool(defaulted) or (rates.otherwise_is_default and not rates.entries),
            defaulted=defaulted,
            definitions=None if isinstance(read, str) else len(read),
            notes=[
                *([read] if isinstance(read, str) else []),
                *self._sentences,
                *self._lost_with_a_server(is_standby=source.watermark.is_standby),
                *watermark.notes(source.watermark),
                *book.notes(),
                *self._notes(source),
            ],
            seconds=self.seconds,
            removed=sum(info is None for info in self.settled.values()),
        )

    def _lost_with_a_server(self, *, is_standby: bool) -> list[str]:
        """What the source no longer has since it was promoted or restored, in at most one sentence.

        A standby that was not told of the last transactions, or a backup, goes on without them, and nothing at the server says so.
        """
        lost: dict[int, int] = {}
        for partition, count in {**self._kept, **self._dropped}.items():
            info = self._before.get(partition)
            before = info.fingerprint.ids.timeline if info and info.fingerprint.ids else None
            if info and before and self._timeline and before != self._timeline and count > info.kept_count:
                lost[before] = lost.get(before, 0) + count - info.kept_count
        if not lost:
            return []
        were = "dropped" if self._options.allow_shrink else "kept (--allow-shrink follows the source)"
        late = ", or this standby has not replayed them yet" if is_standby else ""
        return [
            f"the server was promoted or restored since days were read, from timeline {' and '.join(map(str, sorted(lost)))} to "
            f"{self._timeline}: {sum(lost.values()):,} rows that the lake had from it are not there any more, lost "
            f"on the way or deleted since{late}; they were {were}"
        ]

    def _refuse_strangers(self, source: Source, seen: Iterable[str | None]) -> None:
        """A tenant that nobody knows is a typing error, which would be "nothing to do" for ever."""
        unseen = sorted({*self._options.chosen.realms} - {*seen})
        known = self._lake.realms() if unseen else []
        unknown = source.without_runs([realm for realm in unseen if realm not in known]) if unseen else []
        if unknown:
            near = did_you_mean(unknown[0], [*known, *seen])
            raise UnknownNameError(
                f"neither the source nor the lake has a run of the realm {unknown[0]!r}; nothing was written",
                hint=f"{near}one whose first run is still to come is extracted then",
                name=unknown[0],
            )

    def _without_settled(self, plan: ExtractPlan) -> ExtractPlan:
        """The plan less what ``--force`` wants replaced and an earlier attempt has replaced by the same rows."""

        def is_settled(partition: Partition, fingerprint: Fingerprint) -> bool:
            info, record = self.settled.get(partition), plan.records.get(partition.day)
            known = record.partitions.get(partition.realm) if record else None
            return (
                info is not None
                and info == known
                and info.fingerprint == fingerprint
                and not may_repeat(info.fingerprint.ids, fingerprint.ids)
                and self._lake.holds(info)
            )

        return replace(plan, changed={p: f for p, f in plan.changed.items() if not is_settled(p, f)})

    def _once(self, duplicates: Duplicates, transfer: Transfer, days: set[date | None]) -> set[date | None]:
        """Take the runs of days that were just written out of where else they stand; the days that lost some."""
        settled = {**transfer.settled, **self._without}
        written = {partition: info for partition, info in settled.items() if info and partition.day in days}
        taken = duplicates.settle(written, transfer.kept_ids, settled)
        for one in taken:
            partition = one.partition
            if partition in settled:
                self._without[partition] = one.info
            self._taken_out[partition] = self._taken_out.get(partition, 0) + one.count
            if one.info and one.info.kept_count:
                self._kept[partition] = one.info.kept_count
        return {one.partition.day for one in taken}

    def _keep(self, transfer: Transfer) -> None:
        """What an attempt settled stays settled, whether it came to its end or not."""
        self.settled |= {**transfer.settled, **self._without}
        self._kept |= transfer.kept
        self._dropped |= transfer.dropped
        self._moved_count += transfer.moved_count
        for realm, ids in transfer.strategies.items():
            self._strategies.setdefault(realm, set()).update(ids)

    def _written(self) -> dict[Partition, PartitionInfo]:
        return {partition: info for partition, info in self.settled.items() if info}

    def _say(self, sentences: list[str]) -> None:
        self._sentences = [*dict.fromkeys([*self._sentences, *sentences])]

    def _notes(self, source: Source) -> list[str]:
        notes = []
        if self._taken_out:
            first = ", ".join(str(partition) for partition in list(self._taken_out)[:_MOST_NAMED])
            notes.append(
                f"{sum(self._taken_out.values())} runs stood in another realm or day too, and were taken out there: {first}"
                f"{' …' * (len(self._taken_out) > _MOST_NAMED)}"
            )
        if self._moved_count:
            notes.append(
                f"{self._moved_count} rows have moved to another realm or day at the source; "
                "where that is outside this run, extract it too"
            )
        if blind := source.changes.blind_spot(source.role):
            notes.append(f"{blind[0]} ({blind[1]})")
        return notes
