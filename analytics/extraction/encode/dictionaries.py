"""Texts as codes: the dictionaries of a run, and what the codes mean where several were filled one after the other.

The codes of each dictionary come after those of the one before. Nothing is united but the names of templates: what a file needs is
looked up for one row group at a time, so that a day's texts need not fit into memory together.
"""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from analytics.errors import SourceError
from analytics.extraction.encode.native import aggregate
from analytics.extraction.encode.native.memory import EntryTemplates, Names
from analytics.extraction.encode.parquet_writer import MemoryMap
from analytics.extraction.encode.trace_json import parse

if TYPE_CHECKING:
    import pyarrow as pa

    from analytics.estimates.arrays import Array, Bools, Bytes, Codes, Floats


def array(values: Array, absent: Bools | None = None, kind: pa.DataType | None = None) -> pa.Array:
    """One-dimensional numbers or booleans as an Arrow array.

    Args:
        values: numpy's; kept alive by the result where it needs no packing.
        absent: Where there is NULL.
        kind: Arrow's type; that of the numbers when not given. Must have their width.
    """
    import pyarrow as pa

    found = kind or pa.from_numpy_dtype(values.dtype)
    data = np.packbits(values, bitorder="little") if values.dtype == bool else np.ascontiguousarray(values)
    valid = None
    if absent is not None and absent.any():
        valid = pa.py_buffer(np.packbits(~absent, bitorder="little"))
    return pa.Array.from_buffers(found, len(values), [valid, pa.py_buffer(data)])


def texts(data: Bytes, ends: Codes) -> pa.StringArray:
    """Texts from their bytes and ends: text ``i`` is ``data[ends[i]:ends[i + 1]]``; one fewer than there are ends."""
    import pyarrow as pa

    return pa.Array.from_buffers(pa.string(), len(ends) - 1, [None, pa.py_buffer(ends), pa.py_buffer(data)])


def to_numpy(found: pa.Array) -> Array:
    """The numbers of an Arrow array without NULL, as numpy sees them; read only."""
    width = found.type.bit_width // 8
    kind = np.dtype(f"{'f' if str(found.type) == 'double' else 'i'}{width}")
    return np.frombuffer(found.buffers()[1], kind, len(found), found.offset * width)


TEXTS, TEXT_BYTES = 300_000, 10 << 20
VALUES, VALUE_BYTES = 500_000, 16 << 20
TEMPLATES, TEMPLATE_BYTES = 100_000, 12 << 20
"""Room of an ordinary dictionary: about 50 MB when it is full."""


class Dictionary:
    """Texts of columns and names in traces; JSON values; templates of trace entries.

    Args:
        row_bytes: Size of a row that must fit, whatever the usual room.
    """

    def __init__(self, row_bytes: int = 0) -> None:
        seed = secrets.randbits(62)
        entries = row_bytes // 2 + 1
        self.names = Names(max(TEXTS, 3 * entries + 50), max(TEXT_BYTES, 2 * row_bytes), seed)
        self.values = Names(max(VALUES, entries), max(VALUE_BYTES, row_bytes), seed)
        self.templates = EntryTemplates(max(TEMPLATES, entries), max(TEMPLATE_BYTES, row_bytes), seed)
        self._read_templates: dict[tuple[int, int, int], int] = {}
        self._checked: dict[Names, int] = {}
        self._facts = (np.empty(0, np.uint8), np.empty(0, np.float64))

    def add_exactly(self, text: str) -> tuple[list[int], list[int], bool]:
        """Read a trace that is not of the usual shape.

        Returns:
            Codes of templates and values (-1: no value), and whether the trace can be spelled again from them alone. A trace that
            is no array has no entries and cannot.
        """
        entries, is_exact = parse(text)
        templates, values = [], []
        for entry in entries or ():
            parts = (self._code(entry["type"]), self._code(entry["branch"]), self._code(entry["node_id"]))
            if parts not in self._read_templates:
                self._read_templates[parts] = self.templates.add(parts)
            templates.append(self._read_templates[parts])
            values.append(-1 if entry["value"] is None else self.values.code(entry["value"].encode()))
        return templates, values, is_exact and entries is not None

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

    def value_facts(self) -> tuple[Bytes, Floats]:
        """Kind (``native.groups``) and number of every value so far; NaN where it is no number."""
        import pyarrow.compute as pc

        found = self.value_texts()
        known_kinds, known_numbers = self._facts
        known = known_kinds.size
        if known < len(found):
            kinds, numbers = np.empty(len(found), np.uint8), np.full(len(found), np.nan)
            kinds[:known], numbers[:known] = known_kinds, known_numbers
            aggregate.kinds_of(self.values.blob, self.values.ends, known, kinds)
            which = np.flatnonzero(kinds[known:] == aggregate.NUMBER) + known
            # Arrow rounds correctly, and to an infinity what is too large, as Python's float() does
            numbers[which] = to_numpy(pc.cast(found.take(array(which)), "float64"))
            self._facts = (kinds, numbers)  # in one step: several threads may write files
        return self._facts

    def close(self, disk: MemoryMap | None = None) -> None:
        """Nothing more will be added.

        Args:
            disk: Move the texts there; they stay in memory when not given.
        """
        kinds, numbers = self.value_facts()
        self.texts()  # is checked while it is at hand
        self.names.close()
        self.values.close()
        self.templates.close()
        if disk is None:
            return
        names, values, templates = self.names, self.values, self.templates
        parts = templates.parts[: templates.count]
        arrays: list[Array] = [numbers, kinds, parts, names.ends[: names.count + 1], names.blob[: names.used]]
        arrays += [values.ends[: values.count + 1], values.blob[: values.used]]
        numbers, kinds, templates.parts, names.ends, names.blob, values.ends, values.blob = disk.keep(arrays)
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


class ChunkedStrings:
    """Arrays of texts, one after the other.

    Args:
        parts: The arrays.

    Attributes:
        starts: Of each part, the code of its first text; behind the last, how many there are.
    """

    def __init__(self, parts: Sequence[pa.StringArray]) -> None:
        self.parts = parts
        self.starts = np.concatenate([[0], np.cumsum([len(part) for part in parts], dtype=np.int64)])

    def __len__(self) -> int:
        return int(self.starts[-1])

    def __getitem__(self, code: int) -> str:
        part = int(np.searchsorted(self.starts, code, side="right")) - 1
        return str(self.parts[part][code - int(self.starts[part])].as_py())

    def take(self, codes: Array) -> pa.StringArray:
        """The texts of some codes, which ascend unless there is one part only."""
        import pyarrow as pa

        if len(self.parts) == 1:
            return self.parts[0].take(array(codes))
        if not self.parts:
            return pa.array([], pa.string())
        found = [part.take(array(some)) for part, some in zip(self.parts, self.cut(codes), strict=True) if len(some)]
        return pa.concat_arrays(found or [self.parts[0].slice(0, 0)])

    def cut(self, codes: Array) -> list[Array]:
        """Ascending codes, part by part, as each part counts them."""
        places = np.searchsorted(codes, self.starts)
        return [
            codes[first:last] - start
            for first, last, start in zip(places[:-1], places[1:], self.starts[:-1].astype(np.int32), strict=True)
        ]


class MergedDictionary:
    """Meanings of the codes of several dictionaries.

    Args:
        dictionaries: In the order of their codes; the last may still grow, which changes nothing here.

    Attributes:
        texts: Names and columns' texts, by code.
        values: JSON texts of values, by code.
        parts: Of templates, by code: codes of type, branch and node id. Equal names have equal codes.
        template_starts: Of each dictionary, the code of its first template.
    """

    def __init__(self, dictionaries: Sequence[Dictionary]) -> None:
        self._facts = [one.value_facts() for one in dictionaries]
        # The facts first: a dictionary grows meanwhile, and every value here must have its own.
        self.values = ChunkedStrings(
            [one.value_texts().slice(0, len(facts[0])) for one, facts in zip(dictionaries, self._facts, strict=True)]
        )
        parts = [one.templates.parts[: one.templates.count] for one in dictionaries]
        self.texts = ChunkedStrings([one.texts() for one in dictionaries])
        self.template_starts = np.cumsum([0, *map(len, parts)])[:-1]
        self.is_single = len(dictionaries) == 1
        self.parts = parts[0] if self.is_single else self._united(parts)

    def facts(self, codes: Array) -> tuple[Bytes, Floats]:
        """Kind (``native.groups``) and number of some values, whose codes ascend unless there is one dictionary only."""
        if self.is_single:
            [(kinds, numbers)] = self._facts
            return kinds[codes], numbers[codes]
        cut = [(facts, some) for facts, some in zip(self._facts, self.values.cut(codes), strict=True) if len(some)]
        return (
            np.concatenate([np.empty(0, np.uint8), *(kinds[some] for (kinds, _), some in cut)]),
            np.concatenate([np.empty(0), *(numbers[some] for (_, numbers), some in cut)]),
        )

    def all_facts(self) -> tuple[Bytes, Floats]:
        """Kinds and numbers by value's code; only of a single dictionary."""
        [facts] = self._facts
        return facts

    def _united(self, parts: list[Codes]) -> Codes:
        shifted = [
            np.where(some >= 0, some + start, -1)
            for some, start in zip(parts, self.texts.starts.tolist(), strict=False)
        ]
        found = np.concatenate([np.empty((0, 3), np.int32), *shifted])
        codes = np.unique(found[found >= 0])
        first_with = np.full(len(codes) + 1, -1, np.int32)
        if len(codes):
            encoded = self.texts.take(codes).dictionary_encode()
            places = to_numpy(encoded.indices)
            _, firsts = np.unique(places, return_index=True)
            first_with[:-1] = codes[firsts[places]]
        where = np.searchsorted(codes, found)
        where[found < 0] = len(codes)
        return first_with[where]


class CompactedCodes:
    """Which texts some codes mean, each once.

    Attributes:
        indices: Of each code, its place in ``used``; -1 stays.
        used: The codes that occur.
    """

    def __init__(self, indices: Codes, used: Array) -> None:
        self.indices, self.used = indices, used


class DictionaryEncoder:
    """Makes dictionaries that hold only what is used; for one thread.

    Args:
        merged: What codes mean.
    """

    def __init__(self, merged: MergedDictionary) -> None:
        self.merged = merged
        room = max(len(merged.texts), len(merged.values)) if merged.is_single else 0
        self._scratch, self._used = np.full(room, -1, np.int32), np.empty(room, np.int32)

    def compact(self, codes: Codes) -> CompactedCodes:
        """Number the codes that occur anew; in ascending order where there are several dictionaries."""
        indices = np.empty(len(codes), np.int32)
        if self.merged.is_single:
            count = aggregate.compact(codes, self._scratch, self._used, indices)
            return CompactedCodes(indices, self._used[:count].copy())
        slots = np.full(1 << (2 * len(codes)).bit_length(), -1, np.int32)
        used = np.empty(len(codes), np.int32)
        count = aggregate.compact_among_many(codes, slots, np.empty_like(slots), used, indices)
        order = np.argsort(used[:count])
        return CompactedCodes(_renumbered(indices, order), used[order])

    def texts(self, codes: Codes) -> pa.DictionaryArray:
        """Names and columns' texts of some codes; -1 is NULL."""
        return self.spelled(self.compact(codes), self.merged.texts)

    def spelled(self, compacted: CompactedCodes, texts: ChunkedStrings) -> pa.DictionaryArray:
        """Picked codes as texts; each text once, as a Parquet file wants it."""
        import pyarrow as pa

        some, indices = texts.take(compacted.used), compacted.indices
        if not self.merged.is_single:  # the same text may have been met by several
            encoded = some.dictionary_encode()
            some, places = encoded.dictionary, to_numpy(encoded.indices)
            indices = np.where(indices >= 0, places[indices], -1) if len(places) else indices
        return pa.DictionaryArray.from_arrays(array(indices, indices < 0), some)

    def plain(self, compacted: CompactedCodes, texts: ChunkedStrings) -> pa.StringArray:
        """Picked codes as texts, each as often as it comes: quicker where few come twice."""
        indices = compacted.indices
        return texts.take(compacted.used).take(array(indices, indices < 0))


def _renumbered(indices: Codes, order: Array) -> Codes:
    """Indices after what they point to was put in another order."""
    new = np.empty(len(order) + 1, np.int32)
    new[order] = np.arange(len(order), dtype=np.int32)
    new[-1] = -1  # where -1 points to
    return new[indices]
