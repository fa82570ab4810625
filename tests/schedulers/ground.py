"""What every scheduler is given: a lake, a window, the page that one process makes, and processes that are killed at work."""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

SHARES = 8
VICTIM = 3
"""The share that is killed, doubled, lost."""
PATIENCE = 240.0
COMMAND = Path(sys.executable).with_name("strategy-analytics")

_STAMPS = (
    (re.compile(rb'"made_at": "[^"]+"'), b'"made_at"'),
    (re.compile(rb"execution log, [\d-]+ [\d:]+ UTC"), b"execution log"),
    (re.compile(rb'gathered = .*'), b"gathered"),
)  # fmt: skip
"""What may differ: when a page was made, and the parameter that names the folder."""


@dataclass(frozen=True)
class Trial:
    """One thing that was tried.

    Attributes:
        ground, what: In words.
        ended: What came of it.
        broken: What did not hold; empty where all did.
        skipped: Why it was not tried.
        seconds: It took.
    """

    ground: str
    what: str
    ended: str = ""
    broken: str = ""
    skipped: str = ""
    seconds: float = 0.0


@dataclass
class Bench:
    """Tells each trial as it ends."""

    tell: Callable[[Trial], None] = lambda _: None
    trials: list[Trial] = field(default_factory=list)

    def add(self, trial: Trial) -> None:
        """Write one down."""
        self.trials.append(trial)
        self.tell(trial)

    def play(self, ground: str, what: str, work: Callable[[], str]) -> None:
        """Do one thing; an `AssertionError` or anything else it raises is a line of its own."""
        began = time.monotonic()
        ended, broken = "", ""
        try:
            ended = work()
        except Exception as error:
            broken = f"{type(error).__name__}: {error}"[-900:]
        self.add(Trial(ground, what, ended, broken, "", time.monotonic() - began))


def run(*words: object, env: Mapping[str, str] | None = None, **options: Any) -> subprocess.CompletedProcess[str]:
    """A command, whatever its exit code."""
    return subprocess.run(
        [str(word) for word in words],
        capture_output=True,
        text=True,
        check=False,
        timeout=PATIENCE,
        env={**os.environ, **(env or {})},
        **options,
    )


@dataclass(frozen=True)
class Case:
    """A report of one window.

    Attributes:
        lake: The lake.
        since, until: Its days.
        folder: Where pages may be made.
    """

    lake: Path
    since: str
    until: str
    folder: Path

    @property
    def window(self) -> list[str]:
        """As words of the command."""
        return ["--lake", str(self.lake), "--all-realms", "--since", self.since, "--until", self.until]

    def page(self, gathered: Path | None = None) -> dict[str, bytes]:
        """What the command makes, of what was gathered or by itself."""
        out = self.folder / f"out-{time.monotonic_ns()}"
        more = [] if gathered is None else ["--gathered", gathered]
        done = run(COMMAND, "report", "runaway_rules", *self.window, *more, "--out", out)
        assert done.returncode == 0, done.stderr[-600:]
        return contents(out)


def contents(out: Path) -> dict[str, bytes]:
    """The files of the only page in a folder, without stamps."""
    [page] = [path.parent for path in out.glob("*/report.html")]
    found = {}
    for path in sorted(page.iterdir()):
        text = path.read_bytes()
        for pattern, instead in _STAMPS:
            text = pattern.sub(instead, text)
        found[path.name] = text
    return found


def ensure_same(made: Mapping[str, bytes], alone: Mapping[str, bytes]) -> str:
    """Bytes but for the stamps.

    Raises:
        AssertionError: They are not, with the first line that differs.
    """
    assert made.keys() == alone.keys(), f"other files: {sorted(made.keys() ^ alone.keys())}"
    for name, text in alone.items():
        if made[name] != text:
            pairs = zip(made[name].splitlines(), text.splitlines(), strict=False)
            first = next((pair for pair in pairs if pair[0] != pair[1]), ("", "a line is missing"))
            raise AssertionError(f"{name}: {first[0][:200]!r} where one process says {first[1][:200]!r}")
    return "the page is the same"


def shares_in(gathered: Path) -> set[int]:
    """Which are there."""
    found = [re.search(r"-(\d{5})-of-", path.name) for path in gathered.rglob("*.parquet")]
    return {int(match[1]) for match in found if match}


def clear(folder: Path) -> Path:
    """The folder, empty."""
    shutil.rmtree(folder, ignore_errors=True)
    return folder


@dataclass
class Killer:
    """Ends the process of a share once it has written something, as the kernel does where memory runs out.

    Attributes:
        times: How often it has.
    """

    times: int = 0


@contextlib.contextmanager
def killing(gathered: Path, most: int = 1) -> Iterator[Killer]:
    """Watch a folder and kill whoever writes the victim's share into it.

    Args:
        gathered: The folder, or one above it.
        most: So often.
    """
    killer, stop = Killer(), threading.Event()
    words = {b"gather", f"{VICTIM}/{SHARES}".encode()}

    def watch() -> None:
        killed: set[int] = set()
        while not stop.is_set() and killer.times < most:
            for pid in set(_processes(words, str(gathered).encode())) - killed:
                if any(gathered.rglob(f"*-{VICTIM:05}-of-*.parquet")):
                    with contextlib.suppress(ProcessLookupError):
                        os.kill(pid, signal.SIGKILL)
                        killed.add(pid)
                        killer.times += 1
            stop.wait(0.01)

    thread = threading.Thread(target=watch)
    thread.start()
    try:
        yield killer
    finally:
        stop.set()
        thread.join()


def _processes(words: set[bytes], into: bytes) -> Iterator[int]:
    """Of whose arguments some are these words and one begins with a folder: not the shells that have them in one text."""
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        with contextlib.suppress(OSError):
            said = path.read_bytes().split(b"\0")
            if words <= set(said) and any(word.startswith(into) for word in said):
                yield int(path.parent.name)


def wait(is_so: Callable[[], Any], otherwise: str, seconds: float = PATIENCE) -> Any:
    """Until something is so; what it is.

    Raises:
        AssertionError: It was not.
    """
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if found := is_so():
            return found
        time.sleep(0.5)
    raise AssertionError(otherwise)
