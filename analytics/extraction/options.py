"""How an extraction goes about its work: one object from the command and the library down to the job."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import timedelta

from analytics.config import PATIENCE, RETRIES
from analytics.errors import UsageError
from analytics.estimates.sampling_rates import Rates
from analytics.extraction.privacy.policy import Policy
from analytics.model import PartitionInfo, RealmFilter
from analytics.source.watermark import COMMIT_LAG

MOST_JOBS = 16
"""Each is a connection and a share of memory; the server's own cores are the limit long before."""

_LONGEST_WAIT = 86_400.0
"""Seconds: a run from cron is followed by the next by then."""


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a run is.

    Attributes:
        partitions_done, partitions_total: Of those that differ.
        rows_total: Rows to read in all.
        written: The partition that was just replaced; ``None`` once at the start.
    """

    partitions_done: int
    partitions_total: int
    rows_total: int
    written: PartitionInfo | None


@dataclass(frozen=True, slots=True, kw_only=True)
class ExtractOptions:
    """What is to be extracted, and how; what it is extracted from and to is the job's own.

    Attributes:
        rates: Fractions of ok runs the engine logs; they fix each row's ``sample_weight``. Where nobody has said one the
            result says so: a default is never silent.
        realms: Only these tenants (``None`` is the NULL realm); all when empty.
        policy: What is done with people's ids and with event fields; nothing when not given.
        force: Replace every partition of the window, whether it differs or not.
        allow_shrink: Follow the source when it has lost rows; without it such rows are kept, and a note says so.
        wait_seconds: How long to wait for another run to release the lake, a day at most.
        break_lock: Break the lock of a run that is gone, or has shown no sign of life for ten minutes.
        jobs: Connections to read with, side by side, all of one snapshot; at most ``MOST_JOBS``.
        lag: How long after its ``created_at`` a row's transaction may begin.
        patience: Open transactions of the source older than this are not waited for; their spans are noted and recorded.
        retries: How often in a row to try again when the source failed for a moment.
        accept_source: Another server or database than the one the lake was made from is meant.
        also_expired: Days of the window that were expired are wanted back; without it they are left alone, with a note.
        accept_key: Another pseudonym key than the lake's, or none, is meant.
        notice: Called with what cannot wait for the result's notes: that the source failed and is tried again.
        progress: Called once with the plan and after each partition, in each attempt.

    Raises:
        UsageError: Too few or too many jobs, or a time to wait that is none.
    """

    rates: Rates
    realms: Sequence[str | None] = ()
    policy: Policy = field(default_factory=Policy)
    force: bool = False
    allow_shrink: bool = False
    wait_seconds: float = 0
    break_lock: bool = False
    jobs: int = 1
    lag: timedelta = COMMIT_LAG
    patience: timedelta = PATIENCE
    retries: int = RETRIES
    accept_source: bool = False
    also_expired: bool = False
    accept_key: bool = False
    notice: Callable[[str], None] | None = None
    progress: Callable[[Progress], None] | None = None

    def __post_init__(self) -> None:
        if not 1 <= self.jobs <= MOST_JOBS:
            raise UsageError(
                f"{self.jobs} connections are {'none to read with' if self.jobs < 1 else 'more than a server likes'}",
                hint=f"--jobs 1 reads with one, --jobs 2 with two; at most {MOST_JOBS}",
            )
        if not 0 <= self.wait_seconds <= _LONGEST_WAIT:
            raise UsageError(
                f"{self.wait_seconds:g} seconds is no time to wait for another run",
                hint="--wait takes 0 to a day of seconds (86400)",
            )

    @property
    def chosen(self) -> RealmFilter:
        """The tenants, as the source and the ledger are asked for them."""
        return RealmFilter.of(self.realms)
