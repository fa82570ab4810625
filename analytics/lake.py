"""The Parquet files: where a partition lives, how it is replaced, what the ledger remembers.

The lake is the state. A partition is one file, replaced by one rename, so any reader that lists the folder sees whole
partitions only, also after a kill. The ledger (one JSON file per day) is written last; losing it costs a re-extraction.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import os
import re
import shutil
import time
from collections.abc import Iterable, Iterator
from datetime import UTC, date, datetime
from pathlib import Path

from analytics import ledger
from analytics.errors import LakeError, LakeLockedError
from analytics.model import DayRecord, Partition

HIVE_NULL = "__HIVE_DEFAULT_PARTITION__"
PART = "part.parquet"
_LONGEST_NAME = 255  # bytes, on every common file system
# Capitals are encoded too: on a file system that ignores case, "Acme" and "acme" would share a folder. So is "~", which
# marks a shortened name.
_PLAIN = frozenset("abcdefghijklmnopqrstuvwxyz0123456789-_.")


def realm_directory(realm: str | None) -> str:
    """The folder name of a realm: a hive key that DuckDB, pyarrow and Spark read back as the same string.

    NULL is hive's own word for it. A realm whose name a reader would take for something else (the empty string, hive's
    NULL word) or that is longer than a file name gets a name with a hash; the column ``realm_id`` inside the file is the
    truth in any case.
    """
    if realm is None:
        return f"realm={HIVE_NULL}"
    name = f"realm={_encoded(realm)}"
    is_null_word = realm.casefold() == HIVE_NULL.casefold()  # its case twin would share NULL's folder
    if not realm or is_null_word or len(name) > _LONGEST_NAME:
        digest = hashlib.sha256(realm.encode("utf-8", "surrogatepass")).hexdigest()
        # cut between characters: half of one would be no text for a reader that decodes the name
        start = "hive-null" if is_null_word else _encoded(realm[:8])
        name = f"realm={start}~{digest}"
    return name


def _encoded(text: str) -> str:
    return "".join(
        chr(byte) if chr(byte) in _PLAIN else f"%{byte:02X}" for byte in text.encode("utf-8", "surrogatepass")
    )


def day_directory(day: date | None) -> str:
    """The folder name of a day; rows without one have hive's NULL."""
    return f"day={HIVE_NULL if day is None else day.isoformat()}"


class Lake:
    """The files of one lake.

    Args:
        root: Its folder; need not exist yet.
    """

    def __init__(self, root: str | os.PathLike[str]) -> None:
        self.root = Path(root)

    # ---- paths -----------------------------------------------------------------------------------------------------

    def path(self, table: str, partition: Partition) -> Path:
        """Where a partition of ``executions`` or ``node_days`` lives."""
        return self.root / table / realm_directory(partition.realm) / day_directory(partition.day) / PART

    def realm_path(self, table: str, realm: str | None) -> Path:
        """Where a realm's ``definitions`` or ``definition_nodes`` live."""
        return self.root / table / realm_directory(realm) / PART

    def files(
        self, table: str, *, realms: Iterable[str | None] | None = None, days: Iterable[date | None] | None = None
    ) -> list[str]:
        """Explicit paths of a table's files, for readers: a ``**`` glob over a large lake is slow.

        Args:
            table: ``executions``, ``node_days``, ``definitions`` or ``definition_nodes``.
            realms: Only these; all when not given.
            days: Only these; all when not given. Ignored for tables without days.
        """
        base = self.root / table
        names = [realm_directory(realm) for realm in realms] if realms is not None else _subfolders(base, "realm=")
        if table in ("definitions", "definition_nodes"):
            candidates = [base / name / PART for name in names]
        else:
            wanted = [day_directory(day) for day in days] if days is not None else None
            candidates = [
                base / name / day / PART
                for name in names
                for day in (wanted if wanted is not None else _subfolders(base / name, "day="))
            ]
        return [str(path) for path in candidates if path.is_file()]

    # ---- writing ---------------------------------------------------------------------------------------------------

    @contextlib.contextmanager
    def workspace(self) -> Iterator[Path]:
        """A private folder inside the lake for files on their way; gone afterwards. Leftovers of killed runs are removed.

        It is on the same file system as the partitions, so a rename out of it is atomic. Only called under the lock.
        """
        base = self.root / ".tmp"
        shutil.rmtree(base, ignore_errors=True)
        folder = base / f"run-{os.getpid()}"
        try:
            folder.mkdir(parents=True)
            yield folder
        except OSError as error:
            raise LakeError(
                f"the lake {self.root} cannot be written: {error.strerror or error}",
                hint="check the folder's owner and free space (df -h); partitions that were finished stay, no other was touched",
                path=str(self.root),
            ) from error
        finally:
            shutil.rmtree(base, ignore_errors=True)

    def replace(self, staged: Path, target: Path) -> None:
        """Put a finished file in its place with one rename, durably: the data first, then the name."""
        target.parent.mkdir(parents=True, exist_ok=True)
        _sync(staged)
        staged.replace(target)
        _sync(target.parent)

    def remove(self, target: Path) -> None:
        """Take a partition's file away, and its folder when that is empty."""
        target.unlink(missing_ok=True)
        with contextlib.suppress(OSError):  # not empty, or gone: either is fine
            target.parent.rmdir()
            target.parent.parent.rmdir()

    @contextlib.contextmanager
    def lock(self, wait_seconds: float = 0) -> Iterator[None]:
        """Hold the lake's lock. The kernel releases it with the process, so a killed run leaves no stale lock.

        Raises:
            LakeLockedError: Another run holds it, still after ``wait_seconds``.
        """
        try:
            self.root.mkdir(parents=True, exist_ok=True)
            handle = (self.root / ".lock").open("a+", encoding="utf-8")
        except OSError as error:
            raise LakeError(
                f"the lake {self.root} cannot be written: {error.strerror}", hint="check the folder's owner and rights"
            ) from error
        with handle:
            deadline = time.monotonic() + wait_seconds
            while True:
                try:
                    fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    break
                except BlockingIOError:
                    if time.monotonic() >= deadline:
                        handle.seek(0)
                        raise LakeLockedError(
                            f"another run is writing the lake {self.root} ({handle.read().strip() or 'owner unknown'})",
                            hint="wait for it, or give --wait SECONDS",
                            path=str(self.root),
                        ) from None
                    time.sleep(0.2)
            handle.seek(0)
            handle.truncate()
            handle.write(f"pid {os.getpid()}, since {datetime.now(UTC):%Y-%m-%d %H:%M:%S} UTC")
            handle.flush()
            try:
                yield
            finally:
                handle.truncate(0)

    # ---- the ledger ------------------------------------------------------------------------------------------------

    def record(self, entry: DayRecord) -> None:
        """Write one day's ledger file, atomically."""
        target = self._ledger_path(entry.day)
        target.parent.mkdir(parents=True, exist_ok=True)
        staged = target.with_suffix(".json.tmp")
        staged.write_text(ledger.to_json(entry), encoding="utf-8")
        self.replace(staged, target)

    def recorded(self, day: date | None) -> DayRecord | None:
        """What the ledger remembers of a day; ``None`` when nothing, or when the file is damaged (then the day is read again)."""
        try:
            return ledger.from_json(self._ledger_path(day).read_text(encoding="utf-8"))
        except (FileNotFoundError, ValueError, KeyError, TypeError, AttributeError):
            return None

    def recorded_days(self) -> list[date | None]:
        """Days with a ledger file, oldest first, the undated partition last."""
        found: list[date] = []
        undated = False
        folder = self.root / "ledger"
        for name in sorted(path.name for path in folder.iterdir()) if folder.is_dir() else []:
            if name == f"{day_directory(None)}.json":
                undated = True
            elif match := re.fullmatch(r"day=(\d{4}-\d\d-\d\d)\.json", name):
                with contextlib.suppress(ValueError):  # 30 February
                    found.append(date.fromisoformat(match[1]))
        return [*sorted(found), *([None] if undated else [])]

    def realms(self) -> list[str | None]:
        """Every realm the ledger knows; shortened folder names are resolved by it too."""
        seen = {realm for day in self.recorded_days() if (entry := self.recorded(day)) for realm in entry.partitions}
        return sorted(seen, key=lambda realm: (realm is None, realm or ""))

    def _ledger_path(self, day: date | None) -> Path:
        return self.root / "ledger" / f"{day_directory(day)}.json"


def _subfolders(folder: Path, prefix: str) -> list[str]:
    try:
        return sorted(entry.name for entry in os.scandir(folder) if entry.name.startswith(prefix))
    except FileNotFoundError:
        return []


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
