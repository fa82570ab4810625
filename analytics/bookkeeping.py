"""The ledger's entries of one run: what was settled, and how complete each day is."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import UTC, date, datetime, timedelta

from analytics.horizon import spans_of
from analytics.lake import Lake
from analytics.model import DayRecord, Horizon, Partition, PartitionInfo, RealmFilter
from analytics.origin import is_same, says_more
from analytics.plan import Plan
from analytics.rates import described
from analytics.window import ONE_DAY, Window

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
        horizon: Up to when the source was complete.
        identity: Of the source.

    Attributes:
        incomplete_days: Days of the window for which rows may still arrive.
    """

    def __init__(
        self,
        lake: Lake,
        window: Window,
        chosen: RealmFilter,
        plan: Plan,
        horizon: Horizon,
        identity: dict[str, str],
    ) -> None:
        self._lake, self._window, self._chosen, self._plan = lake, window, chosen, plan
        self._horizon, self._identity = horizon, identity
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
                if day > self._horizon.until.date() + ONE_DAY:
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
        spans = old.not_waited_for if old else ()
        if whole and day is not None:
            spans = spans_of(day, self._horizon, spans)
        stays_complete = old is not None and old.is_complete and not here
        # Another source that was accepted must be remembered, or it would be refused again; so must what an older version of
        # this package did not ask, or another schema would be no stranger.
        is_known = old is not None and is_same(old.source, self._identity) and not says_more(old.source, self._identity)
        if old and stays_complete and spans == old.not_waited_for and is_known:
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
            complete_until=self._horizon.until if moves else (old.complete_until if old else None),
            horizon_reason=self._horizon.reason if moves or not old else old.horizon_reason,
            source=self._identity,
            recorded_at=datetime.now(UTC).replace(microsecond=0),
            not_waited_for=spans,
        )
        self._lake.record(fresh)
        return fresh.is_complete
