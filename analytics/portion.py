"""Coded rows of consecutive partitions, put in the order of their files: partition, strategy, version, time, id."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from analytics import arrays
from analytics.arrays import array
from analytics.dictionary import Dictionary
from analytics.native import groups, tuples
from analytics.runs import Rows, Run

if TYPE_CHECKING:
    import pyarrow as pa

_LAST = np.iinfo(np.int64).max
_AFTER_ALL = b"\xff"  # no UTF-8 text begins so


class Portion:
    """Rows of the partitions ``first`` to ``last``.

    Args:
        first, last: Numbers of partitions, inclusive.
        runs: That may hold rows of them.

    Attributes:
        first, last: As given.
        rows: In file order; their codes mean the texts below.
        bounds: Partition ``first + i`` has the rows ``bounds[i]`` to ``bounds[i + 1]``.
        texts, value_texts: By code.
        kinds, numbers: Of values, by code.
        parts: Of heads, by code: codes of type, branch and node id.
    """

    def __init__(self, first: int, last: int, runs: Sequence[Run]) -> None:
        self.first, self.last = first, last
        self.texts: pa.StringArray
        self.value_texts: pa.StringArray
        self.kinds: Any
        self.numbers: Any
        self.parts: Any
        self._runs = [run for run in runs if len(run.between(first, last).froms)]
        slices = [run.between(first, last) for run in self._runs]
        self._maps = _meanings(self, self._runs, slices)
        rows = Rows.together(slices) if slices else Rows.room(0)
        origins = np.repeat(np.arange(len(slices)), [len(part.froms) for part in slices])
        if self._maps is not None:
            columns = rows.codes = rows.codes.copy()
            for number, (texts, _, _) in enumerate(self._maps):
                which = origins == number
                codes = columns[which, tuples.STRATEGY :]
                columns[which, tuples.STRATEGY :] = np.where(codes >= 0, texts[codes], -1)
        order = self._order(rows)
        self.rows, self._origins = rows.take(order), origins[order]
        self.bounds = np.searchsorted(self.rows.codes[:, tuples.NUMBER], np.arange(first, last + 2))

    def entries(self, start: int, end: int) -> tuple[Any, Any]:
        """Codes of heads and values of the entries of some rows, one row after the other."""
        froms, counts = self.rows.froms[start:end], self.rows.codes[start:end, tuples.ENTRIES]
        origins = self._origins[start:end]
        total = int(counts.sum(dtype=np.int64))
        found = []
        for columns, place in (([r.heads for r in self._runs], 1), ([r.values for r in self._runs], 2)):
            sources = np.array([column.ctypes.data for column in columns], np.int64)
            maps = [0] * len(columns) if self._maps is None else [maps[place].ctypes.data for maps in self._maps]
            out = np.empty(total, np.int32)
            groups.gather(froms, counts, sources[origins], np.array(maps, np.int64)[origins], out)
            found.append(out)
        return found[0], found[1]

    def flagged(self, flag: int, start: int = 0, end: int | None = None) -> Any:
        """Which of some rows carry a flag."""
        return self.rows.codes[start:end, tuples.FLAGS] & flag != 0

    def _order(self, rows: Rows) -> Any:
        """File order, as positions in ``rows``; NULL times last, ids as their text sorts."""
        codes = rows.codes
        strategies, places = np.unique(codes[:, tuples.STRATEGY], return_inverse=True)
        names = [self.texts[code].as_py().encode() if code >= 0 else _AFTER_ALL for code in strategies.tolist()]
        ranks = np.empty(len(names), np.int64)
        ranks[sorted(range(len(names)), key=names.__getitem__)] = np.arange(len(names))
        versions = codes[:, tuples.VERSION].astype(np.int64) + (1 << 31)
        within = (ranks[places] << 32) + versions
        times = np.where(codes[:, tuples.FLAGS] & tuples.NO_CREATED_AT, _LAST, rows.times[:, 0])
        keys = (times, within, codes[:, tuples.NUMBER])
        order = np.lexsort(keys)
        # Equal times within a strategy are rare: only then do the ids decide.
        sorted_keys = [key[order] for key in keys]
        if len(order) and np.any(np.logical_and.reduce([key[1:] == key[:-1] for key in sorted_keys])):
            halves = rows.ids.view(np.uint64)
            order = np.lexsort((halves[:, 1], halves[:, 0], *keys))
        return order


def _meanings(portion: Portion, runs: Sequence[Run], slices: Sequence[Rows]) -> list[tuple[Any, Any, Any]] | None:
    """Set what the portion's codes mean.

    Returns:
        ``None`` where all runs share a dictionary, whose codes stay; else per run the codes to use instead, of texts, heads
        and values.
    """
    import pyarrow as pa

    dictionaries: list[Dictionary] = []
    for run in runs:
        if run.dictionary not in dictionaries:
            dictionaries.append(run.dictionary)
    if len(dictionaries) == 1:
        [one] = dictionaries
        portion.kinds, portion.numbers = one.value_facts()
        portion.texts, portion.value_texts = one.texts(), one.value_texts()
        portion.parts = one.heads.parts[: one.heads.count]
        return None
    used = [
        _used(one, [(r, s) for r, s in zip(runs, slices, strict=True) if r.dictionary is one]) for one in dictionaries
    ]
    portion.texts, text_maps = _united([one.texts() for one in dictionaries], [texts for texts, _, _ in used])
    portion.value_texts, value_maps = _united(
        [one.value_texts() for one in dictionaries], [values for _, _, values in used]
    )
    kinds, numbers = [], []
    for one, (_, _, values) in zip(dictionaries, used, strict=True):
        facts = one.value_facts()
        kinds.append(facts[0][values])
        numbers.append(facts[1][values])
    portion.kinds, portion.numbers = np.zeros(len(portion.value_texts), np.uint8), np.zeros(len(portion.value_texts))
    parts: list[Any] = []
    head_maps = []
    for one, (_, heads, values), texts, value_map, kind, number in zip(
        dictionaries, used, text_maps, value_maps, kinds, numbers, strict=True
    ):
        portion.kinds[value_map[values]], portion.numbers[value_map[values]] = kind, number
        head_map = np.full(one.heads.count, -1, np.int32)
        head_map[heads] = np.arange(len(heads)) + sum(len(part) for part in parts)
        head_maps.append(head_map)
        codes = one.heads.parts[heads]
        parts.append(np.where(codes >= 0, texts[codes], -1))
    portion.parts = np.concatenate(parts) if parts else np.empty((0, 3), np.int32)
    maps = dict(zip(map(id, dictionaries), zip(text_maps, head_maps, value_maps, strict=True), strict=True))
    if not dictionaries:
        portion.texts = portion.value_texts = pa.array([], pa.string())
    return [maps[id(run.dictionary)] for run in runs]


def _used(dictionary: Dictionary, members: Sequence[tuple[Run, Rows]]) -> tuple[Any, Any, Any]:
    """Codes of a dictionary that some rows use: texts, heads, values."""
    texts = np.zeros(dictionary.names.count, bool)
    heads = np.zeros(dictionary.heads.count, bool)
    values = np.zeros(dictionary.values.count, bool)
    for run, rows in members:
        codes = rows.codes[:, tuples.STRATEGY :]
        texts[codes[codes >= 0]] = True
        start = int(rows.froms[0])
        end = int(rows.froms[-1]) + int(rows.codes[-1, tuples.ENTRIES])
        heads[run.heads[start:end]] = True
        found = run.values[start:end]
        values[found[found >= 0]] = True
    parts = dictionary.heads.parts[np.flatnonzero(heads)]
    texts[parts[parts >= 0]] = True
    return np.flatnonzero(texts), np.flatnonzero(heads), np.flatnonzero(values)


def _united(texts: Sequence[pa.StringArray], used: Sequence[Any]) -> tuple[pa.StringArray, list[Any]]:
    """The used texts of several dictionaries as one, and per dictionary its code by the old one."""
    import pyarrow as pa

    chunks = [some.take(array(codes)) for some, codes in zip(texts, used, strict=True)]
    encoded = pa.chunked_array(chunks, pa.string()).combine_chunks().dictionary_encode()
    indices = arrays.numbers(encoded.indices)
    maps, place = [], 0
    for some, codes in zip(texts, used, strict=True):
        new = np.full(len(some), -1, np.int32)
        new[codes] = indices[place : place + len(codes)]
        place += len(codes)
        maps.append(new)
    return encoded.dictionary, maps
