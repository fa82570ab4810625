"""The job: find what differs between source and lake, and make those partitions equal to the source."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Sequence
from datetime import timedelta

from analytics import definitions
from analytics.bookkeeping import Bookkeeper
from analytics.lake import Lake
from analytics.model import ExtractResult, RealmFilter
from analytics.plan import compare
from analytics.source import COMMIT_LAG, Source
from analytics.transfer import Progress, Transfer, timed
from analytics.window import Window


def extract(
    url: str,
    lake: Lake,
    window: Window,
    *,
    realms: Sequence[str | None] = (),
    sample_rate: float,
    sample_rate_is_default: bool = False,
    force: bool = False,
    allow_shrink: bool = False,
    wait_seconds: float = 0,
    lag: timedelta = COMMIT_LAG,
    progress: Callable[[Progress], None] | None = None,
) -> ExtractResult:
    """Make the lake equal to the source for a window of whole UTC days.

    Args:
        url: Of the database; empty for libpq's own variables.
        lake: Where to write.
        window: Whole UTC days.
        realms: Only these tenants (``None`` is the NULL realm); all when empty.
        sample_rate: Fraction of ok runs the engine logs, 0 to 1; fixes each row's ``sample_weight``.
        sample_rate_is_default: Nobody configured it; carried into the result, so that it is never silent.
        force: Replace every partition of the window, whether it differs or not.
        allow_shrink: Follow the source when it has lost rows; without it such rows are kept and said.
        wait_seconds: How long to wait for another run to release the lake.
        lag: How long after its ``created_at`` a row's transaction may begin.
        progress: Called once with the plan and after each partition.

    Returns:
        What was written, kept and left alone. A second run in a row has ``nothing_to_do``.

    Raises:
        SourceError, LakeError: Nothing is half-written; partitions that were finished stay.
        LakeLockedError: Another run is writing this lake.
    """
    window = window.whole_days()
    chosen = RealmFilter.of(realms)
    seconds: dict[str, float] = {}
    with timed(seconds, "wait"):
        lock = lake.lock(wait_seconds)
        lock.__enter__()
    with contextlib.ExitStack() as stack:
        stack.push(lock)
        with timed(seconds, "connect"):
            source = stack.enter_context(Source(url, lag=lag))
        workspace = stack.enter_context(lake.workspace())
        with timed(seconds, "fingerprint"):
            found = source.fingerprints(window, chosen)
            identity = source.identity()
        plan = compare(lake, window, chosen, found, sample_rate, force=force, allow_shrink=allow_shrink)
        run = Transfer(source, lake, workspace, chosen, sample_rate, allow_shrink, seconds, progress, plan)
        book = Bookkeeper(lake, window, chosen, plan, source.horizon, identity)
        # Chunk by chunk, so that a run that dies half-way has not worked for nothing.
        for days in run.chunks():
            book.record(days, run.settled)
        with timed(seconds, "definitions"):
            read = source.definitions()
            if not isinstance(read, str):
                definitions.write(lake, read, workspace)
        book.record([*window.days, None], run.settled)
    notes = [] if not isinstance(read, str) else [read]
    notes += book.notes(sample_rate)
    if run.moved_count:
        notes.append(
            f"{run.moved_count} rows have moved to another realm or day at the source; "
            "where that is outside this run, extract it too"
        )
    if source.change_column != "xmin":
        notes.append(
            f"an updated row is noticed only when it moves {source.change_column}: xmin cannot be read (a view, or column "
            "rights without it)"
        )
    return ExtractResult(
        window=window,
        written=run.written,
        unchanged=plan.unchanged,
        kept=run.kept,
        dropped=run.dropped,
        horizon=source.horizon,
        incomplete_days=book.incomplete_days,
        unread_columns=source.unread_columns,
        sample_rate=sample_rate,
        sample_rate_is_default=sample_rate_is_default,
        definitions=None if isinstance(read, str) else len(read),
        notes=notes,
        seconds=seconds,
        removed=sum(info is None for info in run.settled.values()),
    )
