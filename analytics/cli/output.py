"""What a person sees, what a program reads, and the files that a command writes.

Where words go to systemd's journal each line begins with its priority, as sd-daemon(3) has it, so that `journalctl -p warning`
and whoever watches the journal find what matters.
"""

from __future__ import annotations

import contextlib
import csv
import io
import json
import logging
import math
import os
import re
import select
import shlex
import sys
from collections.abc import Iterable, Iterator, Sequence
from datetime import date, datetime
from enum import IntEnum
from pathlib import Path
from typing import IO, TYPE_CHECKING, TextIO

from analytics.errors import UsageError
from analytics.version import __version__

if TYPE_CHECKING:
    import pyarrow as pa

    from analytics.lake.losses import Loss
    from analytics.operations.doctor.volume import RetentionWarning

MARK = b"strategy-analytics"
"""Key in a Parquet file's own metadata."""
_HEAD = 1 << 20


def write_parquet(table: pa.Table, target: Path | IO[bytes]) -> None:
    """A table as a Parquet file that says who wrote it.

    Floating columns, and nested ones, have no statistics: NaN is not in those, and DuckDB, for whom it is the largest number, would
    not look for one where they say that nothing is as large. What Parquet has no type for (intervals) is text as DuckDB writes it.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    for place, field in enumerate(table.schema):
        if not _is_storable(field.type):
            table = table.set_column(place, field.name, _as_text(table.column(place)))
    marked = table.replace_schema_metadata({**(table.schema.metadata or {}), MARK: __version__.encode()})
    exact = [
        field.name
        for field in table.schema
        if not pa.types.is_floating(field.type) and not pa.types.is_nested(field.type)
    ]
    pq.write_table(marked, str(target) if isinstance(target, Path) else target, write_statistics=exact)


def _is_storable(kind: pa.DataType) -> bool:
    """Parquet has such a type, and such ones of all that is in it."""
    import pyarrow as pa

    if pa.types.is_interval(kind) or (pa.types.is_struct(kind) and not kind.num_fields):
        return False
    return all(_is_storable(kind.field(place).type) for place in range(kind.num_fields))


def _as_text(column: pa.ChunkedArray) -> pa.ChunkedArray:
    import duckdb
    import pyarrow as pa

    rows = duckdb.connect().from_arrow(pa.table({"value": column}))
    return rows.select(duckdb.ColumnExpression("value").cast("VARCHAR").alias("value")).to_arrow_table().column("value")


def ensure_ours(path: Path, columns: Sequence[str], *, overwrite: bool) -> None:
    """Refuse to replace a file that is not an earlier answer, and a place where none can be.

    One is known by what a Parquet file says of itself, by the header of a CSV file, and by the keys of a JSON file's first object.
    An empty file holds nothing to lose; a pipe or device is not replaced.

    Args:
        path: What would be written.
        columns: Of the answer.
        overwrite: Whoever asks has said so.

    Raises:
        UsageError: It holds something else, is a folder, or its folder is not there.
    """
    if path.is_dir():
        raise UsageError(f"{path} is a folder", hint="name a file in it")
    if not path.parent.is_dir():
        raise UsageError(
            f"{path} cannot be written, there is no folder {path.parent}",
            hint=f"make it: mkdir -p {shlex.quote(str(path.parent))}",
        )
    if overwrite or not path.is_file() or path.stat().st_size == 0 or _is_ours(path, columns):
        return
    raise UsageError(
        f"{path} is there already, and is no earlier answer with these columns: it was left alone",
        hint="name another file, or say --overwrite",
    )


def _is_ours(path: Path, columns: Sequence[str]) -> bool:
    if path.suffix == ".parquet":
        import pyarrow as pa
        import pyarrow.parquet as pq

        try:
            return MARK in (pq.read_metadata(path).metadata or {})
        except (pa.ArrowException, OSError, ValueError):
            return False
    with path.open("rb") as file:
        head = file.read(_HEAD).decode("utf-8", "replace")
    if path.suffix == ".json":
        first, end, _ = head.partition("\n")
        try:
            value = json.loads(first)
        except (ValueError, RecursionError):
            return False
        return bool(end) and isinstance(value, dict) and list(value) == list(columns)
    if "<html" in head[:200]:
        return 'class="sa-page"' in head[:200]
    return next(csv.reader(head.splitlines()), None) == list(columns)


_LAST_STREAM = 2
_ARENA_MAX = -8  # of malloc.h

MOST_ROWS = 500
_WIDEST_CELL = 100


class Priority(IntEnum):
    """How much a line matters, in syslog's numbers."""

    ERROR = 3
    WARNING = 4
    NOTICE = 5
    INFO = 6
    DEBUG = 7


_AT_A_LAKE = re.compile(r"strategy-analytics (?:extract|status|check|query)\b(?! --lake)(?= --|$)")
_told: dict[str, str] = {"lake": ""}
"""What a command to be pasted is told with."""


@contextlib.contextmanager
def told_with_lake(lake: str | None) -> Iterator[None]:
    """For a while commands in what is said name the lake, where the one that runs was told it: pasted, they mean the same one."""
    from analytics.lake.shell import option

    before = _told["lake"]
    _told["lake"] = f" {option('lake', lake)}" if lake else ""
    try:
        yield
    finally:
        _told["lake"] = before


def say(*words: object, priority: Priority = Priority.INFO) -> None:
    """Words for a person, on stderr. Authors' text cannot move the cursor, nor begin a line of the journal."""
    from analytics.reports.page.inline import visible  # nobody who only asks for help waits for it

    mark = f"<{priority.value}>" if is_journal(sys.stderr) else ""
    text = _AT_A_LAKE.sub(lambda command: command[0] + _told["lake"], " ".join(map(str, words)))
    for line in text.split("\n"):
        try:
            print(_in_encoding(mark + visible(line), sys.stderr), file=sys.stderr, flush=True)
        except (OSError, ValueError):  # nobody reads them any more; the work goes on
            discard(sys.stderr)


class _Said(logging.Handler):
    """Lines of the package's log, among the words for a person."""

    def emit(self, record: logging.LogRecord) -> None:
        priority = Priority.DEBUG if record.levelno <= logging.DEBUG else Priority.INFO
        say(f"{record.name.removeprefix('analytics.')}: {record.getMessage()}", priority=priority)


@contextlib.contextmanager
def logged(verbosity: int) -> Iterator[None]:
    """While a command works, what the package logs: its steps for one ``-v``, each question and request for two."""
    if not verbosity:
        yield
        return
    package, handler = logging.getLogger("analytics"), _Said()
    before = package.level
    package.addHandler(handler)
    package.setLevel(logging.INFO if verbosity == 1 else logging.DEBUG)
    try:
        yield
    finally:
        package.removeHandler(handler)
        package.setLevel(before)


def is_journal(stream: TextIO) -> bool:
    """The stream goes to systemd's journal, see systemd.exec(5).

    The variable alone proves nothing: a child inherits it, and may write to a file.
    """
    from analytics.config import journal_stream

    try:
        status = os.fstat(stream.fileno())
    except (OSError, ValueError):  # no file at all, or closed
        return False
    return f"{status.st_dev}:{status.st_ino}" == journal_stream()


def put(text: str) -> None:
    """Words as data, on stdout. What cannot be seen, or is not in its encoding (a cron job's may be old), is escaped."""
    from analytics.reports.page.inline import visible

    print(_in_encoding(visible(text, lines=True), sys.stdout))


def _in_encoding(text: str, stream: TextIO) -> str:
    encoding = getattr(stream, "encoding", None) or "utf-8"
    return text.encode(encoding, "backslashreplace").decode(encoding)


def discard(stream: TextIO) -> None:
    """What is still to be written there goes nowhere: its reader has left, and Python would complain when it flushes at exit."""
    with contextlib.suppress(OSError, ValueError, AttributeError):
        null = os.open(os.devnull, os.O_WRONLY)
        os.dup2(null, stream.fileno())
        os.close(null)


def is_unread() -> bool:
    """Whether whoever read stdout or stderr has left."""
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()  # what could not be written waits there, and fails again
            poll = select.poll()
            poll.register(stream.fileno(), 0)
        except BrokenPipeError:
            return True
        except (OSError, ValueError, AttributeError):
            continue  # no stream of the system's
        if any(event & select.POLLERR for _, event in poll.poll(0)):
            return True
    return False


def own_streams() -> None:
    """Have something at 0, 1 and 2: what is opened first would get their numbers, and be written over by whoever prints there.

    What the encoding of the last two lacks (a cron job's may be ASCII) is escaped rather than the end of the command.
    """
    while (number := os.open(os.devnull, os.O_RDWR)) <= _LAST_STREAM:
        os.set_inheritable(number, True)
    os.close(number)
    for name in ("stdin", "stdout", "stderr"):
        if getattr(sys, name) is None:
            setattr(sys, name, open(os.devnull, "r" if name == "stdin" else "w", encoding="utf-8"))  # noqa: PTH123, SIM115
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


def put_json(value: object) -> None:
    """Data for programs, on stdout. NaN and infinities have no JSON: they become null.

    Control and bidi characters are written as JSON's escapes: the same value, and safe to look at. So is what is not in stdout's
    encoding.
    """
    from analytics.reports.page.inline import as_json

    text = as_json(plain_value(value))
    print(
        text
        if _in_encoding(text, sys.stdout) == text
        else re.sub(r"[^\x00-\x7f]", lambda m: json.dumps(m[0])[1:-1], text)
    )


def utf8(stream: TextIO) -> TextIO:
    """The stream for a file's content: UTF-8 wherever it goes, for whoever reads it later knows nothing of a cron job's locale."""
    if isinstance(stream, io.TextIOWrapper):
        stream.reconfigure(encoding="utf-8", errors="strict")
    return stream


def put_table(columns: Sequence[str], rows: Iterable[Sequence[object]], total: int | None = None) -> None:
    """A table for people, on stdout. Authors' text cannot move the cursor: control characters are written out.

    Args:
        columns: Their names.
        rows: Their values; the first `MOST_ROWS` are shown.
        total: How many rows there are, where not all were given.
    """
    from rich import box
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    listed = list(rows)
    for name, number in zip(columns, _are_numbers(columns, listed), strict=True):
        table.add_column(Text(name), justify="right" if number else "left", no_wrap=True)
    for row in listed[:MOST_ROWS]:
        table.add_row(*(Text(_cell(value)) for value in row))
    # Wide results are for a pager or a pipe: folding them into 80 columns would be unreadable.
    console = Console(file=sys.stdout, width=None if sys.stdout.isatty() else 10_000, soft_wrap=True)
    with console.capture() as drawn:  # rich would end the process with code 1 when the reader has left
        console.print(table)
    sys.stdout.write(drawn.get())
    if (more := (len(listed) if total is None else total) - MOST_ROWS) > 0:
        say(f"… {more:,} more rows; --format csv shows all")


def warn_of_deletion(alarm: RetentionWarning | None) -> None:
    """Say which days the source deletes before they are in the lake."""
    if alarm:
        say(f"warning: {alarm.sentence}\n  {alarm.command}", priority=Priority.WARNING)


def warn_of_losses(lost: Sequence[Loss], programs: Sequence[str] = ()) -> None:
    """Say which partitions and programs the lake has lost: what is asked of it next does not count them."""
    if programs:
        from analytics.lake import definitions

        sentence = f"warning: {definitions.lost_words(programs)}\n  {definitions.REPAIR}"
        say(sentence, priority=Priority.WARNING)
    if lost:
        from analytics.lake import losses

        sentence, repair = losses.words(lost), losses.repair(lost)
        say(f"warning: {sentence}; no answer counts what was in there\n  {repair}", priority=Priority.WARNING)


def iso(value: object) -> object:
    """A time or day as ISO 8601; anything else as it is."""
    return value.isoformat() if isinstance(value, datetime | date) else value


def _cell(value: object) -> str:
    if value is None or value is math.nan:
        return "–"
    if isinstance(value, float):
        return f"{value:,.6g}" if math.isfinite(value) else str(value)
    if isinstance(value, datetime):
        return value.strftime("%Y-%m-%d %H:%M:%S")
    from analytics.reports.page.inline import visible

    text = visible(
        value
        if isinstance(value, str)
        else json.dumps(plain_value(value), ensure_ascii=False)
        if isinstance(value, list | dict)
        else str(value)
    )
    return text if len(text) <= _WIDEST_CELL else text[: _WIDEST_CELL - 1] + "…"


def _are_numbers(columns: Sequence[str], rows: Sequence[Sequence[object]]) -> list[bool]:
    return [
        any(isinstance(row[i], int | float) and not isinstance(row[i], bool) for row in rows[:20])
        for i in range(len(columns))
    ]


def plain_value(value: object) -> object:
    """A value that JSON has; NaN and infinities are ``None``."""
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, dict):
        return {str(key): plain_value(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [plain_value(item) for item in value]
    if isinstance(value, datetime | date):
        return value.isoformat()
    return value if isinstance(value, str | int | bool | None) else str(value)


def limit_malloc_arenas() -> None:
    """Let threads share their heaps, where the C library is GNU's, and Arrow use them too.

    The C library gives every thread a heap of its own, and keeps what each has freed: with two connections 100 MB for nothing.
    Arrow's own allocator keeps another 100 MB. This is a matter of the whole process, so the command decides it and not the
    library.
    """
    import ctypes

    import pyarrow as pa

    pa.set_memory_pool(pa.system_memory_pool())
    with contextlib.suppress(AttributeError, OSError):  # another C library has no such call, and no such habit
        ctypes.CDLL(None).mallopt(_ARENA_MAX, 2)
