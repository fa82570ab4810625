"""What a lake shows of itself: facts of its ledger, a calendar of its days, and what to try."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING, Any, Final

from analytics.lake import losses
from analytics.lake.losses import Loss
from analytics.lake.repair import extraction, to_come
from analytics.reports import page
from analytics.reports.common import realm_name
from analytics.reports.explore import results
from analytics.reports.page import number
from analytics.reports.page.calendar import Kind
from analytics.warehouse.coverage import Cell, cells, days_of
from analytics.window import ONE_DAY

if TYPE_CHECKING:
    from analytics.warehouse.warehouse import Warehouse

_MOST_REALMS: Final = 12
_MOST_DAYS: Final = 31
KINDS: Final[dict[str, Kind]] = {
    "complete": "complete",
    "empty": "empty",
    "partial": "partial",
    "missing": "not extracted",
    "stale": "stale",
    "expired": "expired",
}


@dataclass(frozen=True, slots=True)
class Card:
    """What the ledger says of a lake; nothing but the sizes of its files is looked at besides.

    Attributes:
        root: The lake's folder.
        realms: The tenants in sight, those with most rows first.
        days: Days that were extracted, oldest first.
        rows: Logged runs of each realm.
        failed: Logged runs that did not end ok.
        undated: Logged runs without a usable day.
        rates: Sampling rates in force, smallest first.
        newest: Time of the newest logged run.
        extracted: When the lake was written last.
        shown: The days of the calendar: the last ones, without a gap.
        cells: The calendar, of the first realms.
        gaps: Days of the calendar that were never extracted, for one of the realms at least.
        partial: Days whose rows may still arrive.
        lost: Partitions whose files are gone or not the ledger's.
    """

    root: str
    realms: tuple[str | None, ...]
    days: tuple[date, ...]
    rows: Counter[str | None]
    failed: int
    undated: int
    rates: tuple[float, ...]
    newest: datetime | None
    extracted: datetime | None
    shown: tuple[date, ...]
    cells: tuple[Cell, ...]
    gaps: tuple[date, ...]
    partial: tuple[date, ...]
    lost: tuple[Loss, ...]

    # ---- in a terminal ---------------------------------------------------------------------------------------------

    def text(self, now: datetime) -> str:
        """Some lines: facts, a calendar of marks, what to try."""
        told = [f"Lake {page.visible(self.root)}: {self._title()}", *self._sentences(now)]
        if self.cells:
            told += ["", *results.calendar_lines(self.cells, self.shown), results.calendar_key()]
            told += [more] if (more := self._more()) else []
        return "\n".join([*told, "", "Try", *(f"  {line}" for line in self._try())])

    # ---- in a cell -------------------------------------------------------------------------------------------------

    def block(self, now: datetime) -> page.Block:
        """The same with a calendar that is coloured."""
        parts: list[page.Block] = [
            page.note(["Lake ", page.mono(self.root)]),
            page.subhead(self._title()),
            *[page.note(sentence) for sentence in self._sentences(now)],
        ]
        if self.cells:
            found = {(cell.realm, cell.day): cell for cell in self.cells}
            rows = [
                page.Row(page.author(realm_name(realm)), [_day(found[realm, day]) for day in self.shown])
                for realm in self._shown_realms
            ]
            parts += [
                page.calendar(self.shown, rows),
                page.calendar_key([cell.kind for row in rows for cell in row.days]),
            ]
            parts += [page.note(more)] if (more := self._more()) else []
        parts.append(page.code("\n".join(self._try())))
        html = page.Markup('<div class="sa-card">{}</div>').format(page.Markup("").join(part.html for part in parts))
        return page.Block(html, self.text(now), "head")  # a head brings the style sheet

    # ---- words -----------------------------------------------------------------------------------------------------

    @property
    def _shown_realms(self) -> tuple[str | None, ...]:
        return self.realms[:_MOST_REALMS]

    def _title(self) -> str:
        if not self.rows.total():
            return "no runs yet"
        span = f", {number.day(self.days[0], year=True)} to {number.day(self.days[-1], year=True)}" if self.days else ""
        return (
            f"{_many(len(self.realms), 'realm')}, {_many(len(self.days), 'day')}{span}, "
            f"{_many(self.rows.total(), 'logged run')}"
        )

    def _sentences(self, now: datetime) -> list[str]:
        told = []
        if self.rates:
            rates = " to ".join(number.percent(rate) for rate in dict.fromkeys((self.rates[0], self.rates[-1])))
            told.append(
                f"A sample: {rates} of the ok runs, and all {_many(self.failed, 'failure')}. "
                "sample_weight says how many runs a row stands for."
            )
        if self.newest:
            told.append(f"The newest run is of {number.when(self.newest, year=True)} UTC, {_ago(now - self.newest)}.")
        if self.extracted:
            told.append(f"Extracted {number.when(self.extracted, year=True)} UTC, {_ago(now - self.extracted)}.")
        told += [self._completeness()] if self.days else []
        if self.lost:
            said = losses.words(self.lost)
            told.append(f"{said[0].upper()}{said[1:]}: {losses.repair(self.lost)}.")
        if self.undated:
            told.append(f"{_many(self.undated, 'row')} without a usable created_at: they belong to no day.")
        return told

    def _completeness(self) -> str:
        lost = losses.days_of(self.lost)
        wrong = [
            f"{_many(len(self.partial), 'day')} not complete yet ({_listed(self.partial)})" if self.partial else "",
            f"{_many(len(self.gaps), 'day')} never extracted ({_listed(self.gaps)})" if self.gaps else "",
            f"{_many(len(lost), 'day')} with lost files ({_listed(tuple(lost))})" if lost else "",
        ]
        if not any(wrong):
            return "Every day is complete." if not self.lost else "Rows without a day have lost their files."
        said = "; ".join(filter(None, wrong))
        days = {*self.partial, *self.gaps, *lost}
        days -= set(to_come(days))  # a clock ran ahead where the rows were written
        return f"{said[0].upper()}{said[1:]}" + (f": {extraction(days)}" if days else ".")

    def _more(self) -> str:
        told = []
        if hidden := self.realms[_MOST_REALMS:]:
            rows = sum(self.rows[realm] for realm in hidden)
            share = number.percent(rows / (self.rows.total() or 1))
            told.append(f"{_many(len(hidden), 'more realm')} with {share} of the rows")
        if earlier := sum(day < self.shown[0] for day in self.days):
            told.append(f"{_many(earlier, 'earlier day')}")
        return f"And {' and '.join(told)}; the view partitions has them all." if told else ""

    def _try(self) -> list[str]:
        if not self.days:
            return ["strategy-analytics extract   # in a terminal: fills the lake"]
        since, until = max(self.shown[0], self.shown[-1] - 6 * ONE_DAY), self.shown[-1] + ONE_DAY
        return [
            "lake.describe()                    # the views; describe('executions') has every column",
            "lake.sql('from strategy_days order by est_runs desc')",
            f"lake.run('strategy_summary', since='{since}', until='{until}')",
            "lake.queries()                     # what else can be run by name",
        ]


def card(lake: Warehouse) -> Card:
    """The card of a lake, of the realms in sight."""
    records = lake.records()
    realms = lake.realms
    shown = days_of(records)[-_MOST_DAYS:]
    rows: Counter[str | None] = Counter(dict.fromkeys(realms, 0))
    failed, rates, newest, extracted = 0, set(), [], []
    for record in records:
        for info in (info for realm in realms if (info := record.partitions.get(realm))):
            rows[info.partition.realm] += info.row_count
            failed += info.row_count - info.status_counts.get("ok", 0)
            rates |= {step.rate for step in info.sample_rates}
            newest += [at] if (at := info.fingerprint.max_created_at) else []
            extracted.append(info.extracted_at)
    order = sorted(realms, key=lambda realm: (-rows[realm], realm is None, realm or ""))
    covered = {record.day for record in records if record.covers_all_realms or rows.keys() <= record.partitions.keys()}
    return Card(
        root=str(lake.lake.root),
        realms=tuple(order),
        days=tuple(record.day for record in records if record.day),
        rows=rows,
        failed=failed,
        undated=sum(
            info.row_count
            for record in records
            if record.day is None
            for realm, info in record.partitions.items()
            if realm in rows
        ),
        rates=tuple(sorted(rates)),
        newest=max(newest, default=None),
        extracted=max(extracted, default=None),
        shown=tuple(shown),
        cells=tuple(cells(lake, order[:_MOST_REALMS], shown, records)),
        gaps=tuple(day for day in shown if day not in {*covered, *to_come(shown)}),
        partial=tuple(r.day for r in records if r.day and r.day in covered and not r.is_complete),
        lost=tuple(lake.lost()),
    )


def _day(cell: Cell) -> page.Day:
    return page.Day(KINDS[cell.state], more=_many(cell.logged_count, "logged run"))


def _many(count: int, noun: str) -> str:
    return f"{count:,} {noun}{'s' * (count != 1)}"


def _listed(days: tuple[date, ...]) -> str:
    """The first and the last are enough where there are many."""
    return ", ".join(map(str, days)) if len(days) < 4 else f"{days[0]} … {days[-1]}"


def _ago(age: timedelta) -> str:
    hours = age.total_seconds() / 3600
    if hours < 0:
        return "in the future by this machine's clock"
    if hours < 1:
        return f"{_many(int(hours * 60), 'minute')} ago"
    return f"{_many(int(hours), 'hour')} ago" if hours < 48 else f"{_many(int(hours / 24), 'day')} ago"


def shown(lake: Warehouse, now: datetime | None = None) -> dict[str, Any]:
    """What a notebook shows of a lake."""
    block = card(lake).block(now or datetime.now(UTC))
    return block._repr_mimebundle_()[0]
