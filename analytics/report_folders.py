"""Folders of rendered reports: their names, and how one is put in its place whole."""

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
from pathlib import Path
from typing import Any

from analytics import scratch
from analytics.last_report import ELSEWHERE
from analytics.window import Window

_STAGING = ".rendering-"
_ABANDONED_SECONDS = 24 * 3600.0
_SWAP_SECONDS = 60.0
"""Longer than two renames take."""


def slug(text: str) -> str:
    """A text as a part of a file's name."""
    return re.sub(r"[^a-z0-9_]+", "-", text.lower()).strip("-")[:40]


def folder_name(report: str, values: Mapping[str, Any], window: Window) -> str:
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
