"""The distinct texts of many rows, by code: what makes a row of the log a few dozen bytes while it waits for its file.

A dictionary only grows, and what was read from it stays true: files are written from its first texts while rows still add to
it. One that is full is followed by the next; rows say which one their codes belong to.
"""

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING, Any

import numpy as np

from analytics import arrays
from analytics.arrays import array, texts
from analytics.errors import SourceError
from analytics.flatten import parse
from analytics.native import groups
from analytics.native.heads import Heads
from analytics.native.names import Names
from analytics.spill import Spill

if TYPE_CHECKING:
    import pyarrow as pa

TEXTS, TEXT_BYTES = 300_000, 10 << 20
VALUES, VALUE_BYTES = 500_000, 16 << 20
HEADS, HEAD_BYTES = 100_000, 12 << 20
"""Room of an ordinary dictionary: about 50 MB when it is full."""


class Dictionary:
    """Texts of columns and names in traces; JSON values; heads of trace entries.

    Args:
        row_bytes: Size of a row that must fit, whatever the usual room.
    """

    def __init__(self, row_bytes: int = 0) -> None:
        seed = secrets.randbits(62)
        entries = row_bytes // 2 + 1
        self.names = Names(max(TEXTS, 3 * entries + 50), max(TEXT_BYTES, 2 * row_bytes), seed)
        self.values = Names(max(VALUES, entries), max(VALUE_BYTES, row_bytes), seed)
        self.heads = Heads(max(HEADS, entries), max(HEAD_BYTES, row_bytes), seed)
        self._read_heads: dict[tuple[int, int, int], int] = {}
        self._checked: dict[Names, int] = {}
        self._facts = (np.empty(0, np.uint8), np.empty(0, np.float64))

    def add_exactly(self, text: str) -> tuple[list[int], list[int], bool]:
        """Read a trace that is not of the usual shape.

        Returns:
            Codes of heads and values (-1: no value), and whether the trace can be spelled again from them alone. A trace that
            is no array has no entries and cannot.
        """
        entries, is_exact = parse(text)
        heads, values = [], []
        for entry in entries or ():
            parts = (self._code(entry["type"]), self._code(entry["branch"]), self._code(entry["node_id"]))
            if parts not in self._read_heads:
                self._read_heads[parts] = self.heads.add(parts)
            heads.append(self._read_heads[parts])
            values.append(-1 if entry["value"] is None else self.values.code(entry["value"].encode()))
        return heads, values, is_exact and entries is not None

    def text_of(self, code: int) -> str | None:
        """A text; ``None`` for -1."""
        if code < 0:
            return None
        return bytes(self.names.blob[self.names.ends[code] : self.names.ends[code + 1]]).decode()

    def texts(self) -> pa.StringArray:
        """Texts by code, so far."""
        return self._array(self.names)

    def value_texts(self) -> pa.StringArray:
        """JSON texts of values by code, so far."""
        return self._array(self.values)

    def value_facts(self) -> tuple[Any, Any]:
        """Kind (``native.groups``) and number of every value so far; NaN where it is no number."""
        import pyarrow.compute as pc

        found = self.value_texts()
        known_kinds, known_numbers = self._facts
        known = known_kinds.size
        if known < len(found):
            kinds, numbers = np.empty(len(found), np.uint8), np.full(len(found), np.nan)
            kinds[:known], numbers[:known] = known_kinds, known_numbers
            groups.kinds_of(self.values.blob, self.values.ends, known, kinds)
            which = np.flatnonzero(kinds[known:] == groups.NUMBER) + known
            # Arrow rounds correctly, and to an infinity what is too large, as Python's float() does
            numbers[which] = arrays.numbers(pc.cast(found.take(array(which)), "float64"))
            self._facts = (kinds, numbers)  # in one step: several threads may write files
        return self._facts

    def close(self, disk: Spill | None = None) -> None:
        """Nothing more will be added.

        Args:
            disk: Move the texts there; they stay in memory when not given.
        """
        kinds, numbers = self.value_facts()
        self.texts()  # is checked while it is at hand
        self.names.close()
        self.values.close()
        self.heads.close()
        if disk is None:
            return
        names, values, heads = self.names, self.values, self.heads
        parts = heads.parts[: heads.count]
        arrays = [numbers, kinds, parts, names.ends[: names.count + 1], names.blob[: names.used]]
        arrays += [values.ends[: values.count + 1], values.blob[: values.used]]
        numbers, kinds, heads.parts, names.ends, names.blob, values.ends, values.blob = disk.keep(arrays)
        self._facts = (kinds, numbers)

    def _code(self, name: str | None) -> int:
        return -1 if name is None else self.names.code(name.encode())

    def _array(self, names: Names) -> pa.StringArray:
        import pyarrow as pa

        count = names.count
        found = texts(names.blob, names.ends[: count + 1])
        checked = self._checked.get(names, 0)
        try:
            found.slice(checked).validate(full=True)
        except pa.ArrowInvalid as error:
            raise SourceError(
                f"the log holds text that is not UTF-8: {error}",
                hint="the database's encoding is SQL_ASCII, which checks nothing; find the row with "
                "convert_from(column::bytea, 'UTF8') and mend it at the source",
            ) from None
        self._checked[names] = count
        return found
