"""Up to when can the rows of the source be taken as committed?

``created_at`` is the application's clock, and the row commits later. A row begins to commit at most the *lag* after it was
created, so one that is still invisible was created after the oldest open transaction began, less the lag. That is asked in
a transaction of its own before the snapshot is taken: a writer that commits in between is then in the snapshot.

An old transaction may be a forgotten console, and no run waits for ever: one that is older than the *patience* is left out
of account, and the span it may still touch is said and recorded. Nothing is lost by it: rows that arrive after all change
the fingerprint of their day, and the next run that looks at the day reads it again.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from typing import TypeAlias

from analytics.model import IgnoredTransaction, OpenTransaction, Watermark
from analytics.sql import Row
from analytics.window import ONE_DAY

COMMIT_LAG = timedelta(minutes=5)
"""How far behind the server's clock a row is taken as committed when no open transaction says otherwise. The engine
queues rows and commits them one by one; a drain of a few seconds is normal, minutes are not."""

Rows: TypeAlias = "Callable[[str], list[Row] | None]"


def read_watermark(rows: Rows, lag: timedelta, patience: timedelta) -> Watermark:
    """Look at the server's clock and its open transactions.

    Args:
        rows: Runs a statement of ``sql/source`` by name; ``None`` where the server refuses to tell, as managed ones do.
        lag: How long after its ``created_at`` a row's transaction may begin.
        patience: Transactions older than this are not waited for.
    """
    [server] = rows("horizon") or [{}]
    now = _utc(server["snapshot_at"])
    recovery, hidden = rows("recovery"), rows("hidden_sessions")
    # Sessions first: a transaction that is prepared in between leaves the one list only after it has entered the other.
    sessions, prepared = rows("open_transactions"), rows("prepared_transactions")
    is_standby = bool(recovery and recovery[0]["is_standby"])
    is_hidden = bool(hidden and hidden[0]["hidden_backends"])
    not_told = _not_told(recovery, sessions if hidden is not None else None, prepared)
    not_told += _elsewhere(rows("written_elsewhere") or [])
    # Of a standby they are readers, all of them: the writers are elsewhere.
    found = [] if is_standby else _transactions([*(sessions or ()), *(prepared or ())])
    waited_for = [transaction for transaction in found if now - transaction.began <= patience]
    oldest = waited_for[0] if waited_for else None
    base, reasons = now, [f"{lag.total_seconds() / 60:g} min behind the server's clock"]
    if is_standby:
        base, reasons = _of_standby(rows("replay"), now, lag, not_told)
    if not_told:
        reasons.append(
            f"this server does not tell {', '.join(not_told)}, so the lag alone protects against late commits"
        )
    if is_hidden:
        reasons.append(
            f"the role cannot see other sessions' transactions (grant pg_read_all_stats to {server['quoted_role']}; shows them)"
        )
    reason = "; ".join(reasons)
    if oldest:
        base = min(base, oldest.began)
        reason += f", and {oldest} open for {_age(oldest, now):.0f} s"
    return Watermark(
        base - lag,
        reason,
        pid=oldest.pid if oldest else None,
        role=oldest.role if oldest else None,
        age_seconds=_age(oldest, now) if oldest else None,
        gid=oldest.gid if oldest else None,
        ignored_transactions=tuple(
            IgnoredTransaction(transaction.began - lag, base - lag, transaction, now)
            for transaction in found
            if transaction not in waited_for
        ),
        open=tuple(found),
        sees_all=not is_standby and not is_hidden and not not_told,
        is_standby=is_standby,
        not_told=tuple(not_told),
        seen_at=now,
    )


def _not_told(recovery: list[Row] | None, sessions: list[Row] | None, prepared: list[Row] | None) -> list[str]:
    """What the server refuses to tell, in words."""
    answers = {
        "whether it is a standby": recovery,
        "the transactions of other sessions": sessions,
        "prepared transactions": prepared,
    }
    return [words for words, answer in answers.items() if answer is None]


def _elsewhere(writers: list[Row]) -> list[str]:
    """What cannot be known of those who write the table from another server, in words."""
    words = {
        ("subscription", True): "how far subscription {} is behind its publisher",
        ("subscription", False): "how far subscription {}, which does not run, is behind its publisher",
        ("foreign server", True): "the transactions of foreign server {}",
    }
    return [words[one["kind"], one["is_running"]].format(ascii(one["name"])[1:-1]) for one in writers]


def _transactions(seen: list[Row]) -> list[OpenTransaction]:
    """The oldest first."""
    found = (OpenTransaction(row["role"], _utc(row["began"]), row.get("pid"), row.get("gid")) for row in seen)
    return sorted(found, key=lambda transaction: transaction.began)


def _of_standby(
    replay: list[Row] | None, now: datetime, lag: timedelta, not_told: list[str]
) -> tuple[datetime, list[str]]:
    """From when on a standby's rows may be missing, before the lag is taken off, and why.

    Args:
        replay: Until when it has replayed, as far as it tells; what it does not tell is added to ``not_told``.
        now: By the server's clock.
        lag: As in ``read_watermark``.
        not_told: What the server refuses to tell.
    """
    base, minutes = now, f"{lag.total_seconds() / 60:g} min"
    behind = f"{minutes} behind the server's clock"
    if replay is None:
        not_told.append("how far it has replayed")
    elif replay[0]["replayed_at"]:
        base = min(now, _utc(replay[0]["replayed_at"]))
        behind = f"{minutes} behind what the standby has replayed ({_span(now - base)} ago)"
    return base, [behind, "this is a standby, where writers cannot be seen"]


def notes(watermark: Watermark) -> list[str]:
    """What a person should know about transactions that were not waited for, or that cannot be seen, in sentences."""
    said = f"this server does not tell {', '.join(watermark.not_told)}: only the lag protects against late commits"
    return [
        *([said] if watermark.not_told else []),
        *_ignored_notes(watermark),
    ]


def _ignored_notes(watermark: Watermark) -> list[str]:
    return [
        f"not waited for: {span.transaction}, open for {span.age_seconds / 3600:.1f} h; rows created since "
        f"{span.since:%Y-%m-%d %H:%M:%S} UTC may still arrive with it: end it, and extract from that day on once more"
        for span in watermark.ignored_transactions
    ]


def spans_of(day: date, watermark: Watermark, before: tuple[IgnoredTransaction, ...]) -> tuple[IgnoredTransaction, ...]:
    """What a day's ledger entry remembers of transactions that were not waited for, after a run over all realms.

    Args:
        day: Which.
        watermark: Of the run.
        before: What it remembered.

    Returns:
        The spans of ``before``, settled where their transaction has ended, and those that are new; both cut to the day.
    """
    begin = datetime(day.year, day.month, day.day, tzinfo=UTC)
    end = begin + ONE_DAY
    spans = {span.transaction: span for span in before}
    for span in watermark.ignored_transactions:
        since, until = max(span.since, begin), min(span.until, end)
        known = spans.get(span.transaction)
        if since < until:
            spans[span.transaction] = replace(known or span, since=since, until=until, settled_at=None)
    if not watermark.sees_all:
        return tuple(spans.values())
    return tuple(
        span
        if span.settled_at or _may_be_open(span.transaction, watermark)
        else replace(span, settled_at=watermark.seen_at)
        for span in spans.values()
    )


def _may_be_open(transaction: OpenTransaction, watermark: Watermark) -> bool:
    # A session's transaction that has been prepared since goes by another name and another time.
    return any(other == transaction or (other.gid and other.began >= transaction.began) for other in watermark.open)


def _utc(moment: datetime) -> datetime:
    return moment.replace(tzinfo=UTC)


def _age(transaction: OpenTransaction, now: datetime) -> float:
    return max(0.0, (now - transaction.began).total_seconds())


def _span(length: timedelta) -> str:
    seconds = length.total_seconds()
    return f"{seconds:.0f} s" if seconds < 60 and seconds % 60 else f"{seconds / 60:.3g} min"
