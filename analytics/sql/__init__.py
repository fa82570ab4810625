"""SQL as source code: one file, one object. This module only finds and reads the files."""

from __future__ import annotations

import functools
import re
from collections.abc import Mapping
from importlib import resources
from typing import Any, TypeAlias

from analytics.errors import UnknownNameError, did_you_mean

Row: TypeAlias = dict[str, Any]
"""A row by its columns' names: what a column holds is written in the statement, and a driver cannot tell."""
Parameters: TypeAlias = Mapping[str, Any]
"""Values for a statement's ``$names``: whatever the driver takes."""

_ROOT = resources.files("analytics.sql")
_KINDS = {"queries": "query"}
"""What a kind's files are called in an error that somebody may see who knows none of them."""
_HALVES = re.compile(r"^with gathered as \(\n(?P<gathered>.*?)^\)", re.MULTILINE | re.DOTALL)
_DAY_COLUMN = re.compile(r"^ +e\.day,\n", re.MULTILINE)


@functools.cache
def text(kind: str, name: str) -> str:
    """The text of ``sql/<kind>/<name>.sql``.

    Raises:
        UnknownNameError: There is no such file.
    """
    if name not in names(kind):
        near = did_you_mean(name, names(kind))
        raise UnknownNameError(
            f"there is no {_KINDS.get(kind, f'{kind} file')} named {name!r}",
            hint=f"{near}known: {', '.join(names(kind))}",
            name=name,
        )
    return (_ROOT / kind / f"{name}.sql").read_text(encoding="utf-8")


@functools.cache
def names(kind: str) -> tuple[str, ...]:
    """Names of the files of one kind (``source``, ``views``, ``queries``, ``checks`` …), sorted."""
    return tuple(sorted(entry.name[:-4] for entry in (_ROOT / kind).iterdir() if entry.name.endswith(".sql")))


def body(statement: str) -> str:
    """The statement without its comment lines."""
    return "\n".join(line for line in statement.splitlines() if not line.lstrip().startswith("--"))


def gathered(statement: str) -> str | None:
    """The first half of a query in two halves: what it asks of the runs, which may be asked part by part, or elsewhere.

    Such a statement begins ``with gathered as (``; a line that begins with ``)`` ends that half. The rest merges its rows,
    whoever asked for them.

    Returns:
        A statement; ``None`` when the query is one.
    """
    match = _HALVES.search(statement)
    return match and match["gathered"]


def merging(statement: str) -> str:
    """The second half: as the whole, over rows named ``gathered_rows`` that the first half has given."""
    return _HALVES.sub("with gathered as (from gathered_rows\n)", statement, count=1)


def whole(statement: str) -> str:
    """The statement for who asks all its files at once: the first half need not tell days apart that the second half never reads.

    Parts are kept by day, so the first half groups by it; whoever needs no parts saves most of the groups.
    """
    match = _HALVES.search(statement)
    if match is None or re.search(r"\bday\b", body(statement[match.end() :])):
        return statement
    start, end = match.span("gathered")
    return statement[:start] + _DAY_COLUMN.sub("", statement[start:end]) + statement[end:]


def parameters(statement: str) -> tuple[str, ...]:
    """The ``$names`` a statement takes, in order of appearance."""
    return tuple(dict.fromkeys(re.findall(r"\$([a-z_][a-z0-9_]*)", body(statement))))


def explained(statement: str) -> dict[str, str]:
    """What a statement's comment says of each parameter: ``{"since": "timestamptz, start of the window"}``."""
    found: dict[str, str] = {}
    for head, words in re.findall(r"^-- (\$[^:]+): (.+)$", statement, re.MULTILINE):
        kind = ""
        # "$since, $until timestamptz": the type stands behind the last of those that have it.
        for name, own in reversed(re.findall(r"\$(\w+)(?: ([a-z\[\]]+))?", head)):
            kind = own or kind
            found[name] = f"{kind}, {words}"
    return {name: found.get(name, "") for name in parameters(statement)}


def told_columns(statement: str) -> dict[str, str]:
    """What a statement's comment says of columns of its answer, in lines such as ``-- column kind: limit, timeout or canary``."""
    return dict(re.findall(r"^-- column (\w+): (.+)$", statement, re.MULTILINE))


def is_for_reports(statement: str) -> bool:
    """A query that the package's own reports ask, with sums and parts that nobody reads by eye."""
    return "\n-- for reports\n" in statement


def title(statement: str) -> str:
    """The first sentence of a file's comment."""
    words = " ".join(line[2:].strip() for line in statement.splitlines() if line.startswith("--"))
    return words.split(". ")[0].rstrip(".")


def severity(statement: str) -> str:
    """What a check's comment gives as its severity; ``error`` when it says nothing."""
    match = re.search(r"^-- severity: (error|warning)$", statement, re.MULTILINE)
    return match[1] if match else "error"
