"""Codes in file order → what a Parquet file and its rollup hold; see ``loops.aggregate``."""

from __future__ import annotations

from analytics.extraction.encode.native.machine_code import INTEGER, ArrayOf, Loop

NULL, TRUE, FALSE, TEXT, NUMBER, OTHER = range(6)
"""Kinds of a value, by the first byte of its JSON text."""

COUNT, TRUES, FALSES, NULLS, TEXTS, NUMBERS, FINITE, SQUARED = range(8)
WEIGHT, SUM, SQUARES, LEAST, GREATEST = range(5)

_BYTES, _CODES, _INTS, _FLOATS = ArrayOf("uint8"), ArrayOf("int32"), ArrayOf("int64"), ArrayOf("float64")

gather = Loop("aggregate.gather", _INTS, _CODES, _INTS, _INTS, _CODES)
"""Copy the codes of some rows' entries one after the other."""

compact = Loop("aggregate.compact", *[_CODES] * 4, returns=1)
"""Number the codes that occur anew, in order of first sight; -1 stays. How many occur."""

compact_among_many = Loop("aggregate.compact_among_many", *[_CODES] * 5, returns=1)
"""``compact`` where there are many more codes than occur."""

kinds_of = Loop("aggregate.kinds_of", _BYTES, _CODES, INTEGER, _BYTES)
"""The kind of each JSON value from a code on."""

part_of = Loop("aggregate.part_of", _CODES, ArrayOf("int32", 2), INTEGER, _CODES)
"""One part's code of each template."""

numbers_of = Loop("aggregate.numbers_of", _CODES, _BYTES, _FLOATS, _FLOATS, ArrayOf("bool"))
"""The number of each value, and where there is none."""

roll_up = Loop(
    "aggregate.roll_up",
    *(_INTS, _CODES, _FLOATS, (_CODES, _CODES), (_BYTES, _FLOATS), _CODES),
    (ArrayOf("int64", 2), ArrayOf("float64", 2)),
    returns=1,
)
"""Count and add up entries per unit and template. How many groups there are."""
