"""The lock of a lake in a bucket: an object that names its owner and is renewed; who does not renew it loses it.

A store has no locks that go with a process. What it does have is a write that names the version it replaces. So the lock is an
object ``.lock.json`` that one run makes (``If-None-Match: *``) and renews every ``HEARTBEAT`` (``If-Match``). A run that was
killed leaves it behind; it is taken over when its owner is provably gone (same machine, no such process), or when it has not
been renewed for ``LEASE`` by the store's own clock. An owner that only slept finds at its next step that it is not the owner any
more. Between that look and the write that follows it may still fall asleep: then every write of its own names the version
that it replaces, so the store refuses it where its successor has been; where the successor has not been yet, it is the successor
that is refused, and stops. Neither writes over what the other has written unseen.
"""

from __future__ import annotations

import contextlib
import json
import threading
import time
from collections.abc import Iterator
from dataclasses import asdict
from datetime import timedelta

from analytics.errors import LakeError, LakeLockedError
from analytics.storage.bucket import Bucket
from analytics.storage.client import Entry
from analytics.storage.lock import Owner, span

NAME = ".lock.json"
HEARTBEAT = timedelta(seconds=15)
LEASE = timedelta(minutes=2)
"""Eight heartbeats: more than a failing request costs with all its repetitions."""

_POLL_SECONDS = 0.5

_NOBODYS = Entry(0, f'"{"0" * 32}"', None)
"""A version that no object has: no content is known whose MD5 this is."""


class Lease:
    """A lock that this process holds."""

    def __init__(self, bucket: Bucket, entry: Entry) -> None:
        self._bucket, self._entry = bucket, entry
        self._renewed, self._beats, self._is_lost = _clock(), 0, False

    def ensure(self) -> None:
        """Do nothing while the lock is ours.

        Raises:
            LakeLockedError: It was taken over, or could not be renewed in time: another run may be writing.
        """
        if self._is_lost or _clock() - self._renewed > LEASE.total_seconds():
            raise LakeLockedError(
                f"the lock of the lake {self._bucket.url} was not renewed in time or taken over; this run stops here",
                hint="nothing is half-written; run again",
                path=self._bucket.url,
            )

    def renew(self) -> None:
        """Show a sign of life."""
        started = _clock()
        self._beats += 1
        with contextlib.suppress(LakeError, FileNotFoundError):  # the store fails: ``ensure`` counts the time
            entry = self._bucket.swap(NAME, _signed(self._beats), self._entry)
            if entry is None:
                self._is_lost = True
            else:
                self._entry, self._renewed = entry, started

    def release(self) -> None:
        """Let go, if it is still ours."""
        with contextlib.suppress(LakeError, FileNotFoundError):  # nobody waits longer than ``LEASE`` for it
            now = self._bucket.ask(NAME)
            if now and now.etag == self._entry.etag:
                self._bucket.remove(NAME)


@contextlib.contextmanager
def hold_lease(bucket: Bucket, wait_seconds: float = 0) -> Iterator[Lease]:
    """Hold the lock of the lake in a bucket.

    Raises:
        LakeLockedError: Another run holds it, still after ``wait_seconds``; the message says who and for how long.
        LakeError: The store refused, or knows no conditional writes.
    """
    deadline = time.monotonic() + wait_seconds
    while (entry := _take(bucket)) is None:
        if time.monotonic() >= deadline:
            raise _locked(bucket)
        time.sleep(_POLL_SECONDS)
    lease = Lease(bucket, entry)
    stop = threading.Event()
    pulse = threading.Thread(target=_pulse, args=(lease, stop), name="lake-lease", daemon=True)
    try:
        _probe(bucket)
        pulse.start()
        yield lease
    finally:
        stop.set()
        if pulse.ident:
            pulse.join()
        lease.release()


def break_lease(bucket: Bucket, *, stale_after: timedelta) -> Owner | None:
    """Break a lock that is stale: its owner is provably gone, or has not renewed it for ``stale_after``.

    Returns:
        Whose it was; ``None`` when nobody held it, or the owner is not known by name.

    Raises:
        LakeLockedError: It is not stale.
    """
    held = _holder(bucket)
    if held is None:
        return None
    owner, entry, silent = held
    if not (owner and owner.is_gone) and silent < stale_after:
        raise _locked(bucket, hint="its owner is alive, so it is not broken; wait for it")
    now = bucket.ask(NAME)
    if now and now.etag == entry.etag:
        bucket.remove(NAME)
    return owner


def holder(bucket: Bucket) -> tuple[Owner | None, timedelta] | None:
    """Who holds the lock, and how long ago it was renewed; ``None`` when nobody does."""
    held = _holder(bucket)
    return (held[0], held[2]) if held else None


def _holder(bucket: Bucket) -> tuple[Owner | None, Entry, timedelta] | None:
    try:
        data, entry = bucket.read(NAME)
    except FileNotFoundError:
        return None
    return Owner.read(data.decode(errors="replace")), entry, bucket.age(NAME) or timedelta(0)


def _take(bucket: Bucket) -> Entry | None:
    """Make the lock, or take over one that nobody renews; ``None`` while somebody has it."""
    found = bucket.swap(NAME, _signed(0), None)
    if found is None and (held := _holder(bucket)):
        owner, entry, silent = held
        if (owner and owner.is_gone) or silent > LEASE:
            found = bucket.swap(NAME, _signed(0), entry)
    return found


def _probe(bucket: Bucket) -> None:
    """Find out whether conditions mean anything to this store: what is there must not be made once more, nor replaced as another.

    Raises:
        LakeError: They do not.
    """
    if any(bucket.swap(NAME, _signed(0), before) is not None for before in (None, _NOBODYS)):
        bucket.remove(NAME)
        raise LakeError(
            f"the store of the lake {bucket.url} ignores conditional writes, so two runs could not be kept apart",
            hint="keep the lake in a store that knows If-None-Match and If-Match on PUT, or on a file system",
            path=bucket.url,
        )


def _signed(beat: int) -> bytes:
    """Who holds it; other bytes each time, so that each is another version."""
    return json.dumps({**asdict(Owner.me()), "beat": beat, "at": time.time_ns()}).encode()


def _clock() -> float:
    """Seconds that also pass while the machine is asleep."""
    return time.clock_gettime(getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC))


def _locked(bucket: Bucket, hint: str = "") -> LakeLockedError:
    held = _holder(bucket)
    owner, silent = (held[0], held[2]) if held else (None, timedelta(0))
    return LakeLockedError(
        f"another run is writing the lake {bucket.url} ({owner or 'owner unknown'}; last sign of life {span(silent)} ago)",
        hint=hint or f"wait for it, or give --wait SECONDS; a run that is gone loses the lock after {span(LEASE)}",
        path=bucket.url,
        owner=owner,
        silent_seconds=silent.total_seconds(),
    )


def _pulse(lease: Lease, stop: threading.Event) -> None:
    while not stop.wait(HEARTBEAT.total_seconds()):
        lease.renew()
