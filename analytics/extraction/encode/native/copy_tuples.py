"""Rows of a binary COPY → codes and numbers; UUIDs as text.

A tuple is a count of fields, then per field four bytes of length (-1 for NULL) and its bytes, integers in network order
(PostgreSQL manual, COPY, "Binary Format"). The fields are those of ``sql/source/executions.sql``, in its order.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeAlias

import numpy as np

from analytics.extraction.encode.native.memory import (
    compiled,
    equal,
    has_room,
    intern,
    load8,
    load16,
    load32,
    load64,
    store32,
    store64,
    swap32,
    swap64,
)
from analytics.extraction.encode.native.trace_parser import Tables, scan

if TYPE_CHECKING:
    from analytics.estimates.arrays import Bytes, Codes, Ints

UUID_SIZE = 36
_HEX = np.frombuffer(b"0123456789abcdef", np.uint8)


@compiled
def write_uuids(ids: Ints, out: Bytes) -> None:
    """Write each id of ``ids`` (two halves, most significant first) as its 36 characters into ``out``."""
    for row in range(ids.shape[0]):
        place = row * UUID_SIZE
        digit = 0
        for column in range(UUID_SIZE):
            if column == 8 or column == 13 or column == 18 or column == 23:
                out[place + column] = 45
                continue
            half = ids[row, digit >> 4]
            out[place + column] = _HEX[(half >> (60 - 4 * (digit & 15))) & 15]
            digit += 1


@compiled
def hash_of_texts(data: Bytes, ends: Codes) -> tuple[int, int, bool]:
    """The sum over ids of their first 60 bits, in two parts (upper and lower 30 bits), and whether all were ids.

    Args:
        data: Bytes of the texts.
        ends: Text ``i`` is ``data[ends[i]:ends[i + 1]]``.
    """
    upper = lower = 0
    for row in range(ends.size - 1):
        if ends[row + 1] - ends[row] != UUID_SIZE:
            return 0, 0, False
        value = np.int64(0)
        for column in range(ends[row], ends[row] + 17):  # 15 digits and two dashes
            byte = data[column]
            if byte == 45:
                continue
            if 48 <= byte <= 57:
                digit = byte - 48
            elif 97 <= byte <= 102:
                digit = byte - 87
            else:
                return 0, 0, False
            value = (value << 4) | digit
        upper += value >> 30
        lower += value & 0x3FFFFFFF
    return upper, lower, True


FIELDS = 22
TEXTS = 13
_ID, _CREATED_AT, _UPDATED_AT, _POINTS, _DURATION, _VERSION, _NODES, _SAMPLED, _FIRST_TEXT, _TRACE = *range(9), 21

NUMBER, FLAGS, ENTRIES, VERSION, NODES, SIZE, STRATEGY, REALM = range(8)
"""Columns of ``codes``: partition, flags, count of entries, version, nodes executed, bytes it came in; texts from ``STRATEGY``
on."""
IRREGULAR = STRATEGY + TEXTS
WIDTH = IRREGULAR + 1

SAMPLED, NO_LIST, RETAINED, HARD = 1, 2, 4, 8
NO_POINTS, NO_DURATION, NO_CREATED_AT, NO_UPDATED_AT, NO_VERSION, NO_NODES, NO_SAMPLED = 16, 32, 64, 128, 256, 512, 1024

MORE, ENDED, RUN_FULL, DICTIONARY_FULL, MALFORMED, HARD_TRACE = range(6)
"""Why ``read_tuples`` stopped: out of bytes; the trailer; no room for rows or entries; no room for texts; not this format; the
last row's trace is for the exact reader."""

_SMALLEST_ENTRY = 2  # of a trace like [1,2]: the exact reader makes an entry of every element
_POSTGRES_EPOCH = 946_684_800_000_000  # 2000-01-01 in microseconds since 1970
_JSONB_VERSION = 1


RowAddresses: TypeAlias = tuple[int, int, int, int, int]
"""Of the columns: ids, times, numbers (two eight-byte places a row each), codes (``WIDTH`` four-byte places) and first entries (one
eight-byte place)."""


@compiled
def _field(address: int, end: int, starts: int, sizes: int) -> int:
    """Where the fields of the tuple at ``address`` lie; its size, 0 where it is cut off, -1 where it is none."""
    at = address
    if at + 2 > end:
        return 0
    if load8(at) != 0 or load8(at + 1) != FIELDS:
        return -1
    at += 2
    for field in range(FIELDS):
        if at + 4 > end:
            return 0
        size = np.int64(swap32(load32(at)))
        at += 4
        store64(starts + 8 * field, at)
        store64(sizes + 8 * field, size)
        if size > 0:
            at += size
    return at - address if at <= end else 0


@compiled
def _whole(start: int, size: int, target: int, absent: int) -> int:
    """An eight-byte field in the machine's order; the flag where it is NULL."""
    if size != 8:
        store64(target, np.int64(0))
        return absent
    store64(target, swap64(load64(start)))
    return 0


@compiled
def _small(start: int, size: int, target: int, absent: int) -> int:
    """A four-byte field in the machine's order; the flag where it is NULL."""
    if size != 4:
        store32(target, np.int32(0))
        return absent
    store32(target, swap32(load32(start)))
    return 0


@compiled
def _write_row(names: int, starts: int, rows: RowAddresses, row: int) -> int:
    """All of a tuple but its trace, into the columns.

    Args:
        names: The table of names.
        starts: Where the addresses of the tuple's fields are, and their sizes behind them.
        rows: The columns.
        row: Which place in them.

    Returns:
        The row's flags.
    """
    ids, times, numbers, codes, _ = rows
    sizes = starts + 8 * FIELDS
    execution_id = load64(starts + 8 * _ID)
    store64(ids + 16 * row, swap64(load64(execution_id)))
    store64(ids + 16 * row + 8, swap64(load64(execution_id + 8)))
    place = times + 16 * row
    flags = _whole(load64(starts + 8 * _CREATED_AT), load64(sizes + 8 * _CREATED_AT), place, NO_CREATED_AT)
    flags |= _whole(load64(starts + 8 * _UPDATED_AT), load64(sizes + 8 * _UPDATED_AT), place + 8, NO_UPDATED_AT)
    store64(place, load64(place) + _POSTGRES_EPOCH)
    store64(place + 8, load64(place + 8) + _POSTGRES_EPOCH)
    place = numbers + 16 * row
    flags |= _whole(load64(starts + 8 * _POINTS), load64(sizes + 8 * _POINTS), place, NO_POINTS)
    flags |= _whole(load64(starts + 8 * _DURATION), load64(sizes + 8 * _DURATION), place + 8, NO_DURATION)
    place = codes + 4 * WIDTH * row
    flags |= _small(load64(starts + 8 * _VERSION), load64(sizes + 8 * _VERSION), place + 4 * VERSION, NO_VERSION)
    flags |= _small(load64(starts + 8 * _NODES), load64(sizes + 8 * _NODES), place + 4 * NODES, NO_NODES)
    if load64(sizes + 8 * _SAMPLED) != 1:
        flags |= NO_SAMPLED
    elif load8(load64(starts + 8 * _SAMPLED)) != 0:
        flags |= SAMPLED
    for text in range(TEXTS):
        size = load64(sizes + 8 * (_FIRST_TEXT + text))
        code = intern(names, load64(starts + 8 * (_FIRST_TEXT + text)), size) if size >= 0 else np.int64(-1)
        store32(place + 4 * (STRATEGY + text), np.int32(code))
    store32(place + 4 * IRREGULAR, np.int32(-1))
    return flags


@compiled
def _write_trace(
    tables: Tables, literals: int, trace: int, size: int, codes: int, outputs: tuple[int, int]
) -> tuple[int, int]:
    """A tuple's trace, into the entries.

    Args:
        tables, literals, outputs: See ``trace_parser.scan``.
        trace, size: Address and bytes of its text, without the version of jsonb before it.
        codes: Address of the row's codes.

    Returns:
        How many entries it has, and flags.
    """
    if size < 0:
        return np.int64(0), NO_LIST
    if size == 4 and equal(trace, literals + 60, 4):
        store32(codes + 4 * IRREGULAR, np.int32(intern(tables[0], trace, size)))
        return np.int64(0), NO_LIST
    count = scan(tables, literals, trace, size, np.int64(load32(codes + 4 * STRATEGY)), outputs)
    if count < 0 or load8(trace - 1) != _JSONB_VERSION:
        return np.int64(0), HARD
    return count, 0


@compiled
def read_tuples(
    tables: Tables,
    literals: int,
    block: tuple[int, int],
    rows: RowAddresses,
    row_room: tuple[int, int],
    entries: tuple[int, int],
    entry_room: tuple[int, int],
    more_flags: int,
) -> tuple[int, int, int, int, int, int]:
    """Read whole tuples until something ends.

    Args:
        tables: Addresses of the tables of names, values and templates.
        literals: Address of ``trace_parser.LITERALS``.
        block: Address and size of the bytes.
        rows: The columns.
        row_room: The first free row, and how many there are.
        entries: Addresses of templates and values, four bytes each.
        entry_room: The first free entry, and how many there are.
        more_flags: Of every row.

    Returns:
        Bytes read; the first free row and entry; why it stopped; bytes of the next tuple, or of the hard trace; where that is.
    """
    names, values, templates = tables
    address, size = block
    row, most_rows = row_room
    entry, most_entries = entry_room
    fields = np.empty((2, FIELDS), np.int64)
    starts = fields.ctypes.data
    sizes = starts + 8 * FIELDS
    at, end = address, address + size
    while True:
        if at + 2 <= end and load16(at) == 0xFFFF:
            return at - address, row, entry, ENDED, 0, 0
        length = _field(at, end, starts, sizes)
        if length <= 0:
            return at - address, row, entry, MORE if length == 0 else MALFORMED, 0, 0
        most = length // _SMALLEST_ENTRY + 1
        if row == most_rows or entry + most > most_entries:
            return at - address, row, entry, RUN_FULL, length, 0
        # twice for names: the exact reader adds a trace's own names, and keeps its text besides
        if not (
            has_room(names, 3 * most + TEXTS + 2, 2 * length)
            and has_room(values, most, length)
            and has_room(templates, most, length)
        ):
            return at - address, row, entry, DICTIONARY_FULL, length, 0
        flags = more_flags | _write_row(names, starts, rows, row)
        place = rows[3] + 4 * WIDTH * row
        store64(rows[4] + 8 * row, entry)
        trace, length_of = fields[0, _TRACE] + 1, fields[1, _TRACE] - 1
        outputs = (entries[0] + 4 * entry, entries[1] + 4 * entry)
        count, more = _write_trace(tables, literals, trace, length_of, place, outputs)
        flags |= more
        store32(place + 4 * SIZE, np.int32(length))
        store32(place + 4 * ENTRIES, np.int32(count))
        store32(place + 4 * FLAGS, np.int32(flags))
        store32(place + 4 * NUMBER, np.int32(-1))
        entry += count
        row += 1
        at += length
        if flags & HARD:  # at once, while the room just looked for is still there
            return at - address, row, entry, HARD_TRACE, length_of, trace
