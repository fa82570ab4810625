"""A DuckDB connection that can read a lake's tables and nothing else: not the disk, not the network, and no other setting.

DuckDB resolves links and ``..`` before it compares a path with the allowed folders, so a link that leads out of them is refused.
What SQL may still do is write within these folders; who lets others type SQL takes one reading statement, see ``is_read_only``.
"""

from __future__ import annotations

import contextlib
import weakref
from collections.abc import Iterable
from typing import TYPE_CHECKING

from analytics.storage import LakePath, scratch, signals, storage_of

if TYPE_CHECKING:
    import duckdb

_MOST_WORDS = 40  # of an EXPLAIN before the statement: options


def connect_restricted(folders: Iterable[LakePath]) -> duckdb.DuckDBPyConnection:
    """A connection of its own, in memory, locked.

    Results that do not fit into memory wait in a private folder below the system's one for temporary files (``TMPDIR``), which
    goes with the connection.

    Args:
        folders: What may be read; they need not exist yet.
    """
    import duckdb

    connection = duckdb.connect()
    signals.interrupt(connection)
    spill = ""  # a container may have no folder for temporary files: then nothing can wait on disk
    with contextlib.suppress(OSError):
        claimed = scratch.claim()
        weakref.finalize(connection, claimed.release)
        spill = str(claimed.path)
    allowed = [storage_of(folder).allow(connection) for folder in folders]
    connection.execute("set TimeZone = 'UTC'")
    connection.execute("set temp_directory = $1", [spill])
    connection.execute("set allowed_directories = $1", [allowed])
    for setting in (
        "python_enable_replacements",  # a name that is no table is not looked for among Python's variables
        "autoinstall_known_extensions",
        "autoload_known_extensions",
        "enable_external_access",
    ):
        connection.execute(f"set {setting} = false")
    connection.execute("set lock_configuration = true")
    return connection


def is_read_only(connection: duckdb.DuckDBPyConnection, query: str) -> bool:
    """The text is one statement that reads; an EXPLAIN of one, too (EXPLAIN ANALYZE does what it explains).

    Raises:
        duckdb.Error: It is no SQL.
    """
    import duckdb

    kinds = [statement.type for statement in connection.extract_statements(query)]
    if kinds != [duckdb.StatementType.EXPLAIN]:
        return kinds == [duckdb.StatementType.SELECT]
    # What is explained begins at the first word from which on the text is a statement by itself.
    for start, _ in duckdb.tokenize(query)[1:_MOST_WORDS]:
        try:
            kinds = [statement.type for statement in connection.extract_statements(_from(query, start))]
        except duckdb.Error:
            continue
        return kinds == [duckdb.StatementType.SELECT]
    return False


def kinds_of(connection: duckdb.DuckDBPyConnection, query: str) -> list[str]:
    """The kinds of a text's statements: ``SELECT``, ``COPY``, ``CREATE``.

    Raises:
        duckdb.Error: It is no SQL.
    """
    return [statement.type.name for statement in connection.extract_statements(query)]


def _from(query: str, start: int) -> str:
    return query.encode()[start:].decode("utf-8", "replace")
