"""A binary COPY as blocks of whole rows, the server drained by a thread of its own.

Rows are copied once, from libpq's buffer into a block; blocks are used again, because fresh memory costs more than filling it.
"""

from __future__ import annotations

import contextlib
import queue
import threading
import time
from collections.abc import Iterator
from typing import TYPE_CHECKING, TypeAlias

from analytics.source.connection import Connection
from analytics.source.server_errors import explain_server_error
from analytics.sql import Parameters

if TYPE_CHECKING:
    import psycopg
    from psycopg.pq.abc import PGconn

    from analytics.estimates.arrays import Bytes

BLOCK_BYTES = 4 << 20
"""Usual size of a block; a larger row gets a block of its own."""

_BLOCKS = 3  # one is filled, one is read, one waits
_PADDING = 16  # readable bytes behind a block; see native.memory
_SIGNATURE = 19  # PGCOPY\n\377\r\n\0, flags, length of an extension that no version has used
_TRAILER = b"\xff\xff"

# The server sends eight kilobytes at a time. Woken for each, the drain would spend half of its time on waking: it lets some
# arrive first, too few milliseconds to fill the socket. libpq then takes as much at once as its buffer holds, which grows to
# the largest message it has seen.
_PAUSE = 0.0002  # seconds
_LARGE_MESSAGE = "select repeat('x', 1048576)"


_Filled: TypeAlias = tuple[bytearray, int] | BaseException | None
"""A block and how much of it is rows; what went wrong; or the end."""


@contextlib.contextmanager
def copy_blocks(connection: Connection, statement: bytes, parameters: Parameters) -> Iterator[Iterator[Bytes]]:
    """The tuples of a binary COPY.

    Args:
        connection: In a transaction; it can be used again afterwards, also when the reader stops early.
        statement: ``copy (…) to stdout (format binary)``.
        parameters: Of the statement.

    Yields:
        An iterator of blocks (uint8 arrays of whole tuples, with readable bytes behind). A block is valid until the next is
        asked for.

    Raises:
        SourceError: The server failed in the middle; no block after that point is delivered.
    """
    block_bytes = BLOCK_BYTES + _PADDING
    free: queue.SimpleQueue[bytearray | None] = queue.SimpleQueue()
    full: queue.SimpleQueue[_Filled] = queue.SimpleQueue()
    for _ in range(_BLOCKS):
        free.put(bytearray(block_bytes))

    def drain() -> None:
        try:
            # a savepoint: a reader that stops early must not end the snapshot
            with connection.transaction(), connection.cursor() as cursor:
                cursor.execute(_LARGE_MESSAGE)
                with cursor.copy(statement, parameters) as copy:
                    _fill(copy, connection.pgconn, free, full)
            full.put(None)
        except BrokenPipeError:  # the reader wants no more
            full.put(None)
        except BaseException as error:  # handed to the reader, so that nothing is lost in a thread
            full.put(error)

    def blocks() -> Iterator[Bytes]:
        import numpy as np

        while (item := full.get()) is not None:
            if isinstance(item, BaseException):
                raise explain_server_error(item) from item
            block, size = item
            yield np.frombuffer(block, np.uint8)[:size]
            if len(block) == block_bytes:
                free.put(block)
            else:  # one large row: the usual size takes its place
                free.put(bytearray(block_bytes))

    thread = threading.Thread(target=drain, name="copy-drain", daemon=True)
    thread.start()
    try:
        yield blocks()
    finally:
        free.put(None)
        while thread.is_alive():
            thread.join(0.05)
            with contextlib.suppress(queue.Empty):
                while True:
                    full.get_nowait()


def _fill(
    copy: psycopg.Copy, pgconn: PGconn, free: queue.SimpleQueue[bytearray | None], full: queue.SimpleQueue[_Filled]
) -> None:
    """Move rows into blocks until the trailer.

    ``copy.read()`` waits for the server properly but costs a few microseconds a row; rows that have already arrived are taken
    from libpq directly. The trailer is the last thing before the end, so the end itself is always left to psycopg.
    """
    message: bytes | bytearray | memoryview | None = memoryview(copy.read())[_SIGNATURE:]
    block, place = _next(free), 0
    while message:
        size = len(message)
        if place + size > len(block) - _PADDING:
            if place:
                full.put((block, place))
                block, place = _next(free), 0
            if size > len(block) - _PADDING:
                block = bytearray(size + _PADDING)
        block[place : place + size] = message
        place += size
        if size == len(_TRAILER) and message == _TRAILER:
            message = copy.read()
            continue
        size, message = pgconn.get_copy_data(1)
        if size == 0:
            time.sleep(_PAUSE)
            message = copy.read()
        elif size < 0:
            _fail(pgconn)
    if place:
        full.put((block, place))


def _next(free: queue.SimpleQueue[bytearray | None]) -> bytearray:
    block = free.get()
    if block is None:
        raise BrokenPipeError("the reader stopped early")  # out of psycopg's COPY, which then cancels it
    return block


def _fail(pgconn: PGconn) -> None:
    """The server ended the stream before its trailer: raise what it said."""
    import psycopg

    said = None
    while (result := pgconn.get_result()) is not None:
        said = said or result
    if said is not None and said.error_field(psycopg.pq.DiagnosticField.SQLSTATE):
        raise psycopg.errors.error_from_result(said)
    raise psycopg.OperationalError("the connection was lost in the middle of the rows")
