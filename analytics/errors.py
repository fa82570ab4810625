"""Every error the package raises on purpose.

    AnalyticsError
    ├── UsageError            exit 2   the caller asked for something that cannot be
    │   ├── ConfigurationError         a setting is missing or out of range
    │   └── UnknownNameError           no such query, view, realm, strategy, report …
    ├── SourceError           exit 3   the database, or what the engine's counters are read from
    │   ├── SourceUnavailableError     host, port, password, database
    │   ├── SourceAccessError          a right is missing
    │   ├── SourceIdentityError        another server than the one the lake was made from
    │   └── SourceSchemaError          a table or column is missing or has another type
    ├── LakeError             exit 3   the Parquet files
    │   ├── LakeFormatError            a newer version of this package has written it
    │   ├── DamagedFileError           a file cannot be read, or says what it cannot say
    │   ├── VerificationError          what was written is not what the server counted
    │   ├── NotExtractedError exit 4   nothing has come into the lake yet, so nothing can be told
    │   └── LakeLockedError   exit 75  another run holds the lock
    ├── QueryError            exit 3   DuckDB refused a query
    ├── ReportError           exit 3   a report could not be made
    │   └── ReportsLockedError exit 75 another run renders into the folder
    └── DemoError             exit 3   the embedded server or the simulation

An error says what happened, to what, and how to repair it (``hint``). The facts it is about are attributes, so that
programs need not parse the sentence.
"""

from __future__ import annotations

import difflib
import linecache
import re
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from types import TracebackType
from typing import ClassVar, Final

_reader: Final = {"is_command": False}
"""Who reads the errors of this process."""


@contextmanager
def read_by_command() -> Iterator[None]:
    """For a while errors are read by who typed a command, and speak of its options; by others they speak Python."""
    before = _reader["is_command"]
    _reader["is_command"] = True
    try:
        yield
    finally:
        _reader["is_command"] = before


_TRUTHS: Final = frozenset(
    ["accept-key", "accept-source", "allow-shrink", "also-expired", "break-lock", "force", "no-realm", "show-users"]
)
"""Options without a value."""
_NUMBERS: Final = frozenset(["jobs", "min-users", "retries", "sample-rate", "versus", "version", "wait"])
_OTHERWISE: Final[Mapping[str, str]] = {"execution": "execution_id", "strategy": "strategy_id", "wait": "wait_seconds"}
"""Options whose parameter is called otherwise."""
_TEXTS: Final = frozenset({
    "against", "baseline", "counters", "database-url", "draft", "engine", "execution", "family", "gathered", "lake", "patience",
    "previous", "realm", "sample-rates", "since", "strategy", "until",
})  # fmt: skip
_OPTION: Final = re.compile(
    r"""(?<![\w`-])--(?P<name>[a-z]+(?:-[a-z]+)*)"""
    r"""(?:[ ](?P<value>'[^']*'|"[^"]*"|\d[\w:.-]*|v\d+|tag:\w+|[A-Z]+(?:\.json)?(?![\w]))|(?P<none>\b))"""
)
_COMMAND: Final = re.compile(r"(?:strategy-analytics|make|docker|python) [^`;\n]*")
_SET: Final = re.compile(r"--set (?=\w)")
_SHARE: Final = re.compile(r"--share (\d+)/(\d+)")


def in_python(text: str) -> str:
    """A sentence of the command's options in the words of Python's parameters; commands in it stay commands."""
    if "--" not in text:
        return text
    parts, begin = [], 0
    for command in _COMMAND.finditer(text):
        parts += [_OPTION.sub(_parameter, _plain(text[begin : command.start()])), command[0]]
        begin = command.end()
    return "".join([*parts, _OPTION.sub(_parameter, _plain(text[begin:]))])


def _plain(text: str) -> str:
    return _SET.sub("", _SHARE.sub(r"share=\1, shares=\2", text))


def _parameter(option: re.Match[str]) -> str:
    name, value = option["name"], (option["value"] or "").strip("'\"")
    called = _OTHERWISE.get(name, name.replace("-", "_"))
    blank = " " if option["value"] is not None and not value else ""
    if name in _TRUTHS:
        return f"{called}=True{' ' + option['value'] if option['value'] else ''}{blank}"
    if name in _NUMBERS:
        return f"{called}={value}"
    return f'{called}="{value}"' if name in _TEXTS and value else f"{called}=" if name in _TEXTS else option[0]


REPAIR = "\n  "
"""Stands between what happened and its repair, where an error is a text."""


class AnalyticsError(Exception):
    """Base of every error raised on purpose.

    An option of the command is written as one, ``--realm NAME``, wherever the error is raised; who reads the error in Python reads
    ``realm="NAME"``.

    Args:
        message: One sentence: what happened, to what.
        hint: The command or change that repairs it; empty when there is none.
        command_hint: The same for who typed a command, where it is another than with options.
        **facts: What the error is about; every fact becomes an attribute of the error.
    """

    exit_code: ClassVar[int] = 3

    def __init__(self, message: str, *, hint: str = "", **facts: object) -> None:
        super().__init__(message)
        self._told = (message, hint, str(facts.pop("command_hint", "")) or hint)
        self.facts = facts

    @property
    def message(self) -> str:
        """One sentence: what happened, to what."""
        return self._told[0] if _reader["is_command"] else in_python(self._told[0])

    @property
    def hint(self) -> str:
        """What repairs it; empty when nothing does."""
        return self._told[2] if _reader["is_command"] else in_python(self._told[1])

    def add_words(self, words: str, repair: str = "") -> None:
        """Say more of what happened, at the end of the sentence; and what mends it first."""
        message, *hints = self._told
        hint, command_hint = ("; ".join(filter(None, (repair, one))) for one in hints)
        self._told = (message + words, hint, command_hint)

    def __getattr__(self, name: str) -> object:
        # Only called for names that are no ordinary attribute: the facts.
        facts: dict[str, object] = self.__dict__.get("facts", {})
        if name in facts:
            return facts[name]
        raise AttributeError(name)

    def __str__(self) -> str:
        return f"{self.message}{REPAIR}{self.hint}" if self.hint else self.message

    def _render_traceback_(self) -> list[str]:
        # IPython asks for this before it prints sixty lines: in a notebook the sentence and its repair are enough, and
        # where the cell has several lines, which of them it was.
        line = _line_of_cell(self.__traceback__)
        return [f"{type(self).__name__}: {self}", *([f"  {line}"] if line else [])]


def named(error: BaseException) -> str:
    """An exception in words: its class where it has none (a bare ``assert``, a ``MemoryError``), and what it says."""
    said = str(error).strip()
    return f"{type(error).__name__}: {said}" if said else type(error).__name__


def class_of(name: str) -> type[AnalyticsError] | None:
    """The error class of that name, as a process that raised it has said; ``None`` where the name is none of ours."""
    found = globals().get(name)
    return found if isinstance(found, type) and issubclass(found, AnalyticsError) else None


def _line_of_cell(traceback: TracebackType | None) -> str:
    """The line of a notebook's cell that an error came through; empty when the cell has no other, or it was no cell."""
    found = ""
    while traceback is not None:
        frame = traceback.tb_frame
        if frame.f_globals.get("__name__") == "__main__":
            lines = linecache.getlines(frame.f_code.co_filename)
            number = traceback.tb_lineno
            several = sum(bool(line.strip()) for line in lines) > 1 and number <= len(lines)
            found = f"line {number} of the cell: {lines[number - 1].strip()}" if several else ""
        traceback = traceback.tb_next
    return found


class UsageError(AnalyticsError):
    """The caller asked for something that cannot be done as asked."""

    exit_code = 2


class ConfigurationError(UsageError):
    """A setting is missing, contradictory or out of range."""


class UnknownNameError(UsageError):
    """Nothing has that name: a query, view, realm, strategy, report or parameter."""


class SourceError(AnalyticsError):
    """The PostgreSQL server, or what counters are read from, refused, failed or does not hold what is needed."""

    @property
    def is_transient(self) -> bool:
        """The same thing may succeed in a moment: a restart, a lost connection, a conflict on a standby."""
        return bool(self.facts.get("is_transient"))


class SourceUnavailableError(SourceError):
    """The server cannot be reached or does not let us in."""


class SourceAccessError(SourceError):
    """The role lacks a right."""


class SourceIdentityError(SourceError):
    """The lake was made from another server or database; nothing was written."""


class SourceSchemaError(SourceError):
    """A table or column is missing or has a type that cannot be read without loss."""


class LakeError(AnalyticsError):
    """The Parquet lake cannot be read or written."""


class LakeFormatError(LakeError):
    """A file of the lake is of a newer format than this version knows."""


class DamagedFileError(LakeError):
    """A file of the lake cannot be read, or says what no such file can say."""


class VerificationError(LakeError):
    """What would be written differs from what the server counted; nothing was replaced."""


class NotExtractedError(LakeError):
    """Nothing has come into the lake yet: what was asked for may be there, and nobody can tell."""

    exit_code = 4


class LakeLockedError(LakeError):
    """Another run holds the lake's lock."""

    exit_code = 75


class QueryError(AnalyticsError):
    """DuckDB refused a query."""


class ReportError(AnalyticsError):
    """A report could not be made; the last good one was left alone."""


class ReportsLockedError(ReportError):
    """Another run renders into the folder of reports."""

    exit_code = 75


class DemoError(AnalyticsError):
    """The embedded PostgreSQL or the simulated engine failed."""


_MOST_MEANT = 3


def did_you_mean(name: object, known: Iterable[object]) -> str:
    """``did you mean 'executions'? ``, to stand before the rest of a hint; empty when nothing known is near.

    A name that begins with what was given, or has it inside, is near, and so is one that is spelled almost like it.
    """
    wanted = str(name).casefold()
    names = dict.fromkeys(str(one) for one in known if one is not None)
    if not wanted:
        return ""
    spelled = {one.casefold(): one for one in names}
    near = [spelled[one] for one in difflib.get_close_matches(wanted, spelled, n=_MOST_MEANT, cutoff=0.7)]
    near += [one for one in names if len(wanted) > 2 and wanted in one.casefold() and one not in near]
    # repr writes out what cannot be seen
    return f"did you mean {' or '.join(repr(one) for one in near[:_MOST_MEANT])}? " if near else ""
