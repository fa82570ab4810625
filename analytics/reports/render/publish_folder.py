"""Folders of rendered reports: their names, how one is put in its place whole, and which was the one before."""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import json
import os
import re
import shutil
import time
from collections.abc import Iterator, Mapping
from datetime import datetime
from pathlib import Path

from analytics.errors import UsageError
from analytics.findings.runaway import previous_report
from analytics.reports.parameters import Value
from analytics.storage import scratch, shapes
from analytics.window import Window

_DAYS = re.compile(r"(?:^|_)\d{4}-\d{2}-\d{2}_(\d{4}-\d{2}-\d{2})_[0-9a-f]{8}$")
ELSEWHERE = ("lake", "since", "until", "counters", "previous", "engine", "gathered")
"""Parameters that say where things are, and the time."""
_SAME_LENGTH = 0.1
"""Months differ by a tenth; a day and a week are not the same report."""


def scope_of_previous(name: str, values: Mapping[str, Value]) -> dict[str, Value]:
    """What a report is about, apart from its time: kept in ``summary.json``, so that the next one knows its predecessor.

    Thresholds belong to it: under another cap other things are findings, and what is not found is not fixed.
    """
    lake = hashlib.sha256(str(values["lake"]).encode()).hexdigest()[:8]
    return {"name": name, "lake": lake, **{key: value for key, value in values.items() if key not in ELSEWHERE}}


def find_last(out: Path, prefix: str, about: Mapping[str, Value], window: Window) -> Path | None:
    """The ``summary.json`` of the report before; None when there is none.

    Args:
        out: Folder of rendered reports.
        prefix: What its folder's name begins with.
        about: Its ``scope``.
        window: The window of the new report. The last one began before it, and ended no later.
    """
    dated = [(match[1], folder) for folder in out.glob(f"{prefix}*") if (match := _DAYS.search(folder.name))]
    best: tuple[datetime, Path] | None = None
    for day, folder in sorted(dated, reverse=True):
        if best is not None and day < best[0].date().isoformat():
            break  # older by its name: need not be opened
        path = folder / "summary.json"
        until = _until(path, about, window)
        if until is not None and (best is None or until > best[0]):
            best = until, path
    return best[1] if best else None


def _until(path: Path, about: Mapping[str, Value], window: Window) -> datetime | None:
    """The end of a report's window; None where it cannot be the last one before another window.

    A file that was half-written or edited by hand is none: it must not stop every later report.
    """
    try:
        told = shapes.document(path.read_text(encoding="utf-8"))
        if told["scope"] != dict(about):
            return None
        last = previous_report.read(path)
    except (OSError, UsageError, *shapes.WRONG):
        return None
    if last.since >= window.since or last.until > window.until:
        return None
    length = window.until - window.since
    return last.until if abs((last.until - last.since) - length) <= _SAME_LENGTH * length else None


_STAGING = ".rendering-"
_ABANDONED_SECONDS = 24 * 3600.0
_SWAP_SECONDS = 60.0
"""Longer than two renames take."""


def slug(text: str) -> str:
    """A text as a part of a file's name."""
    return re.sub(r"[^a-z0-9_]+", "-", text.lower()).strip("-")[:40]


def folder_name(report: str, values: Mapping[str, Value], window: Window) -> str:
    """A name for the report's folder that people can read and no author's text can leave."""
    subject = [str(values.get(name) or "") for name in ("realm", "family", "strategy_id", "against")]
    if values.get("no_realm"):
        subject[0] = "no-realm"
    words = "-".join(part for text in subject if (part := slug(text)))
    days = f"{window.since:%Y-%m-%d}_{window.until:%Y-%m-%d}"
    # Two names may read the same once odd letters are out: the hash keeps them apart.
    relevant = {key: value for key, value in values.items() if key not in ELSEWHERE}
    prefix = slug(report)
    named = [relevant, str(window)] + ([report] if prefix != report else [])
    mark = hashlib.sha256(json.dumps(named, sort_keys=True).encode()).hexdigest()[:8]
    return "_".join(part for part in (prefix, words, days, mark) if part)


@contextlib.contextmanager
def staging(out: Path) -> Iterator[Path]:
    """A folder to make a rendering in, beside where it will lie; gone afterwards, whatever happens.

    Until it is searched and put in its place nobody else may look into it.
    """
    out.mkdir(parents=True, exist_ok=True)
    made = scratch.claim(out, _STAGING)
    try:
        yield made.path
    finally:
        made.release()


def put_in_place(made: Path, target: Path) -> None:
    """Swap the finished folder in; the old one stays until the new one is there."""
    made.chmod(0o777 & ~_umask())  # what is published may be read as any other file
    with turn(target.parent):
        if target.exists():
            remove(target, made)
        else:
            made.replace(target)


def remove(target: Path, successor: Path | None = None) -> None:
    """Take a rendering away, with one rename, and put another in its place."""
    old = target.with_name(f".{target.name}.old-{os.getpid()}")
    target.replace(old)
    if successor is not None:
        successor.replace(target)
    shutil.rmtree(old, ignore_errors=True)


def sweep(out: Path) -> None:
    """Take away what killed runs left behind, and put back a rendering that one had taken away last."""
    scratch.sweep(out, _STAGING)
    scratch.sweep(out, f".{scratch.PREFIX}")
    for left in out.glob(".*.old-*"):
        target = out / left.name[1:].rpartition(".old-")[0]
        with contextlib.suppress(OSError):  # another run may be sweeping too
            age = time.time() - left.stat().st_ctime
            if not target.exists() and age > _SWAP_SECONDS:
                left.replace(target)
            elif age > _ABANDONED_SECONDS:
                shutil.rmtree(left, ignore_errors=True)


def _umask() -> int:
    mask = os.umask(0o077)  # what another thread makes meanwhile is for the owner alone
    os.umask(mask)
    return mask


@contextlib.contextmanager
def turn(out: Path) -> Iterator[None]:
    """One at a time: of two reports that end together, the later must see the earlier."""
    out.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(out, os.O_RDONLY)
    try:
        with contextlib.suppress(
            OSError
        ):  # some network file systems lock no folders: then the next report mends the index
            fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)
