"""Scenarios: a full disk, a read-only one, strangers and damage in the lake."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from . import truth
from .origin import FIRST, REALMS
from .truth import BrokenPromiseError
from .world import World


@contextlib.contextmanager
def _small_disk(world: World, megabytes: int) -> Iterator[Path | None]:
    """A file system of its own; ``None`` where mounting is not allowed."""
    folder = world.file("disk")
    folder.mkdir()
    made = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", f"size={megabytes}m", "none", str(folder)], capture_output=True, check=False
    )
    try:
        yield folder if made.returncode == 0 else None
    finally:
        if made.returncode == 0:
            subprocess.run(["umount", "--lazy", str(folder)], check=False)


def _remount(folder: Path, options: str) -> None:
    subprocess.run(["mount", "-o", f"remount,{options}", str(folder)], check=True, capture_output=True)


def disk_full(world: World) -> None:
    """The disk fills up while a run writes: it says so, no partition is half, and with space again all is well."""
    origin = world.origin()
    with _small_disk(world, 16) as disk:
        lake = (disk or world.folder) / "full-lake"
        world.settle(origin, lake)
        refused = 0
        for kilobytes in (0, 4, 12, 24, 40, 80, 160, 320) if world.full else (0, 24):
            origin.add(300, padding=6_000)
            origin.note()
            if disk:
                ballast = disk / "ballast"
                free = os.statvfs(disk)
                with ballast.open("wb") as file:
                    file.write(b"\0" * max(0, free.f_bavail * free.f_frsize - kilobytes * 1024))
                ended = world.run(origin, lake, options={"force": True})
                truth.examine(origin, lake)
                ballast.unlink()
            else:
                ended = world.run(origin, lake, options={"force": True}, file_limit=kilobytes * 1024)
                truth.examine(origin, lake)
            if ended.how == "done":
                world.compare(origin, lake)
            else:
                refused += 1
                world.refused(ended, 3, "cannot be written", "free some space")
            if disk:
                _remount(disk, "size=256m")
            world.settle(origin, lake)
            if disk:
                _remount(disk, "size=64m")
        if not refused:
            raise BrokenPromiseError("the disk was never full")
        world.tally.notes = [f"{'tmpfs' if disk else 'a limit on file sizes'}, {refused} runs refused"]


def read_only(world: World) -> None:
    """The lake cannot be written: the run says so and changes nothing."""
    origin = world.origin()
    with _small_disk(world, 32) as disk:
        if disk is None and os.geteuid() == 0:
            world.tally.notes = ["not tried: root may write anything, and mounting is not allowed"]
            return
        lake = (disk or world.folder) / "read-only-lake"
        world.settle(origin, lake)
        before = {path: path.read_bytes() for path in lake.rglob("*") if path.is_file()}
        origin.stir()
        origin.note()
        folders = [path for path in (lake, *lake.rglob("*")) if path.is_dir()]
        if disk:
            _remount(disk, "ro")
        else:
            for folder in folders:
                folder.chmod(0o555)
        ended = world.run(origin, lake)
        if disk:
            _remount(disk, "rw")
        else:
            for folder in folders:
                folder.chmod(0o755)
        world.refused(ended, 3, "cannot be written")
        if {path: path.read_bytes() for path in lake.rglob("*") if path.is_file()} != before:
            raise BrokenPromiseError("a read-only lake was changed")
        world.settle(origin, lake)
        world.tally.notes = ["tmpfs mounted read-only" if disk else "folders without the right to write"]


def strangers_planted(world: World) -> None:
    """Truncated and foreign files anywhere in the tables' folders: set aside, and no row of them is counted."""
    origin, lake = world.origin(), world.lake()
    world.settle(origin, lake)
    day = f"day={FIRST}"
    places = [
        "export.parquet",
        "realm=acme/copy.parquet",
        f"realm=acme/{day}/part-1.parquet",
        f"realm=acme/{day}/.hidden.parquet",
        f"realm=stranger/{day}/part.parquet",
        f"realm=acme/{day}/deeper/part.parquet",
        f"backup/realm=acme/{day}/part.parquet",
        f"realm=Acme/{day}/part.parquet",
    ]
    contents: list[Callable[[Path, str], object]] = [
        lambda path, table: shutil.copy(next((lake / table).rglob("part.parquet")), path),
        lambda path, _: path.write_bytes(b"PAR1 and then nothing"),
        lambda path, _: pq.write_table(pa.table({"a": [1]}), path),
    ]
    planted = 0
    for round_number in range(len(contents) if world.full else 1):
        for number, place in enumerate(places):
            for table in ("executions", "node_days"):
                path = lake / table / place
                path.parent.mkdir(parents=True, exist_ok=True)
                contents[(number + round_number) % len(contents)](path, table)
                planted += 1
        if world.random.random() < 0.5:
            origin.stir()
        world.settle(origin, lake)
    aside = [path for path in (lake / ".set-aside").rglob("*") if path.is_file()]
    if len(aside) != planted:
        raise BrokenPromiseError(f"{planted} strangers were planted, {len(aside)} are set aside")
    world.tally.notes = [f"{planted} planted, all set aside"]


def damage(world: World) -> None:
    """A ledger that is lost, damaged or lies, files that are lost, cut or exchanged, a lost lock: mended by the next run."""
    origin, lake = world.origin(), world.lake()
    world.settle(origin, lake)
    part, ledger = "part.parquet", f"ledger/day={FIRST}.json"

    def lie(key: str, value: object) -> None:
        told = json.loads((lake / ledger).read_text(encoding="utf-8"))
        for item in told["partitions"]:
            item[key] = value
        (lake / ledger).write_text(json.dumps(told), encoding="utf-8")

    def files(table: str) -> list[Path]:
        return sorted((lake / table).rglob(part))

    def swap(table: str) -> None:
        one, *_, two = files(table)
        data = one.read_bytes()
        one.write_bytes(two.read_bytes())
        two.write_bytes(data)

    cut: dict[str, Callable[[], object]] = {
        "execution file cut": lambda: files("executions")[0].write_bytes(files("executions")[0].read_bytes()[:-20]),
        "rollup cut": lambda: files("node_days")[1].write_bytes(b""),
        "execution file lost": lambda: files("executions")[1].unlink(),
        "rollup lost": lambda: files("node_days")[0].unlink(),
    }
    more: dict[str, Callable[[], object]] = {
        "ledger lost": lambda: shutil.rmtree(lake / "ledger"),
        "a day of the ledger lost": lambda: (lake / ledger).unlink(),
        "ledger cut": lambda: (lake / ledger).write_bytes((lake / ledger).read_bytes()[:100]),
        "ledger empty": lambda: (lake / ledger).write_bytes(b""),
        "ledger of zeros": lambda: (lake / ledger).write_bytes(b"\0" * 500),
        "ledger of another version": lambda: (lake / ledger).write_text('{"format": 99}', encoding="utf-8"),
        "ledger lies about a size": lambda: lie("file_bytes", 1),
        "ledger lies about no rollup": lambda: lie("node_days_bytes", 0),
        "execution files exchanged": lambda: swap("executions"),
        "a realm's folder lost": lambda: shutil.rmtree(next((lake / "executions").iterdir())),
        "a table lost": lambda: shutil.rmtree(lake / "node_days"),
        "definitions cut": lambda: files("definitions")[0].write_bytes(b"PAR1"),
        "lock lost": lambda: (lake / ".lock").unlink(),
        "leftovers of another time": lambda: (
            (lake / ".tmp/run-1").mkdir(parents=True),
            (lake / ".tmp/run-1/executions-0.tmp").write_bytes(b"half"),
            (lake / "ledger/day=2026-07-01.json.tmp").write_bytes(b"{"),
        ),
    }
    chosen = {**cut, **more} if world.full else {**dict(list(cut.items())[:1]), **dict(list(more.items())[:3])}
    assert len(files("executions")) >= len(REALMS)
    for number, (name, harm) in enumerate(chosen.items()):
        harm()
        if number and world.random.random() < 0.3:
            origin.stir()
        try:
            world.settle(origin, lake)
        except BrokenPromiseError as error:
            raise BrokenPromiseError(f"{name}: {error}", lost=error.lost, duplicated=error.duplicated) from error
    world.tally.notes = [f"{len(chosen)} kinds of damage"]
