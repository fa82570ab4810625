"""Rows of a binary COPY → codes and numbers; UUIDs as text; see ``loops.copy_tuples``."""

from __future__ import annotations

from typing import TypeAlias

from analytics.extraction.encode.native.machine_code import INTEGER, ArrayOf, Loop

UUID_SIZE = 36
FIELDS = 22
TEXTS = 13
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

RowAddresses: TypeAlias = tuple[int, int, int, int, int]
"""Of the columns: ids, times, numbers (two eight-byte places a row each), codes (``WIDTH`` four-byte places) and first entries (one
eight-byte place)."""

_PAIR = (INTEGER, INTEGER)

write_uuids = Loop("copy_tuples.write_uuids", ArrayOf("int64", 2), ArrayOf("uint8"))
"""Write each id of an array (two halves, most significant first) as its 36 characters into another."""

hash_of_texts = Loop("copy_tuples.hash_of_texts", ArrayOf("uint8"), ArrayOf("int32"), returns=3)
"""The sum over ids of their first 60 bits, in two parts (upper and lower 30 bits), and 1 where all were ids."""

read_tuples = Loop(
    "copy_tuples.read_tuples",
    *((INTEGER,) * 3, INTEGER, _PAIR, (INTEGER,) * 5, _PAIR, _PAIR, _PAIR, INTEGER, INTEGER),
    returns=6,
)
"""Read whole tuples until something ends."""
